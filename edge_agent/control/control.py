"""All windows together: batches and clock readings in, events and rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from edge_agent.config.model import TagRef, Window
from edge_agent.control.excursion import Moment
from edge_agent.control.group import Group
from edge_agent.control.inputs import UNCHANGED, Input
from edge_agent.control.window import Delays, Watcher
from edge_agent.model import Batch, Event, Schema


class Control:
    """The windows of one configuration. Pure: no clock, no task, no log; call it from one thread.

    The agent calls ``on_batch`` for every batch, in the order in which they come, and ``tick`` about four
    times a second with the present.

    A batch that is older than the newest of its device and poll group says nothing about the present: it is
    ignored, and counted in ``ignored_batches``. Between groups order does not matter: delays are measured by
    the time stamps of the source tag's own statements, ages by the newest moment heard of.
    """

    def __init__(self, windows: Sequence[Window], config_version: str, *, mono_ns: int, time_ns: int) -> None:
        self.ignored_batches = 0
        self._now_ns = mono_ns
        self._wall_ns = time_ns - mono_ns  # wall minus monotonic time, as of the last tick
        self._inputs: dict[TagRef, Input] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._by_digest: dict[str, Group] = {}
        self._watchers: dict[str, Watcher] = {}
        self._homeless: list[Watcher] = []  # no batch of their source has come yet
        self._due: list[Event] = []
        self._arrange(windows, config_version, Moment(mono_ns, time_ns, mono_ns))

    def on_batch(self, batch: Batch) -> list[Event]:
        """The events this batch causes. A batch in which nothing happens costs one comparison per window."""
        group = self._by_digest.get(batch.schema.digest)
        if group is None:
            group = self._bind(batch.schema)
        mono_ns = batch.mono_ns
        if group.mono_ns is not None and mono_ns < group.mono_ns:
            self.ignored_batches += 1
            return []
        if mono_ns > self._now_ns:
            self._now_ns = mono_ns
        if batch.quality != group.quality:
            if UNCHANGED in batch.quality:
                batch = group.complete(batch)
            if batch.quality != group.quality:
                return self._look_at_all(group, batch)
        if group.dirty:
            group.sort()
        if group.overdue(self._now_ns):
            return self._look_at_all(group, batch)
        values = batch.values
        try:
            for index, seen in group.watched:
                if values[index] != seen:
                    return self._look_at_all(group, batch)
            hits = group.beyond(values)
        except TypeError:  # text or None where a number was due
            return self._look_at_all(group, batch)
        if hits or group.loud:
            return self._look(group, batch, group.loud, [*hits, *group.loud])
        group.batch, group.mono_ns, group.fresh_ns = batch, mono_ns, mono_ns
        return []

    def tick(self, mono_ns: int, time_ns: int) -> list[Event]:
        """Notices what has become stale. Time in state is booked when asked for, and exact all the same."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        at = Moment(mono_ns, time_ns, self._now_ns)
        events, self._due = self._due, []
        for watcher in self._may_lapse():
            event = _mind(watcher, watcher.lapse, at)
            if event is not None:
                events.append(event)
        return events

    def _may_lapse(self) -> Iterable[Watcher]:
        """All but the quiet windows of settled groups: thousands of those cost nothing here."""
        due = dict.fromkeys(self._homeless)  # a window may read from several groups
        for group in self._groups.values():
            due.update(dict.fromkeys(group.loud if group.settled(self._now_ns) else group.windows))
        return due

    def reconfigure(
        self, windows: Sequence[Window], config_version: str, *, mono_ns: int, time_ns: int
    ) -> list[Event]:
        """Windows that are equal before and after keep state, timers and times. A window that is gone or
        changed ends its active excursion with reason ``removed`` or ``changed``; a changed one starts anew,
        but keeps its times and its number of excursions."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        return self._arrange(windows, config_version, Moment(mono_ns, time_ns, self._now_ns))

    def rows(self, mono_ns: int) -> Rows:
        """One plain row per window, with the times up to ``mono_ns``. Changes no state."""
        return Rows(list(self._watchers.values()), mono_ns, max(mono_ns, self._now_ns))

    def snapshot(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """JSON-able state by window name, of all or of those named (unknown names are left out), with the
        times up to the newest batch or tick."""
        chosen = self._watchers.keys() if names is None else names
        found = [self._watchers[name] for name in dict.fromkeys(chosen) if name in self._watchers]
        for watcher in found:
            watcher.account(self._now_ns)
        return {w.window.name: w.as_dict(w.spent.upto_ns + self._wall_ns) for w in found}

    def restore(self, states: Mapping[str, Any], *, mono_ns: int, time_ns: int) -> None:
        """Takes up a ``snapshot``. To be called once, after construction and before the first batch. The time
        since the snapshot counts as unknown; an active excursion is still active. Of a window that is not
        configured any more, an active excursion ends with the next tick. Malformed states are passed over."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        at = Moment(mono_ns, time_ns, self._now_ns)
        for name, saved in states.items():
            watcher = self._watchers.get(name)
            try:
                if watcher is not None:
                    watcher.restore(saved, at)
                elif saved["excursion"] is not None:
                    self._due.append(_orphan(name, saved, at, self._config_version))
            except (KeyError, TypeError, ValueError, OverflowError):
                continue  # a state of another version must not keep the agent from starting

    def _look_at_all(self, group: Group, batch: Batch) -> list[Event]:
        events = self._look(group, batch, group.windows, group.windows)
        group.dirty = True
        return events

    def _look(
        self, group: Group, batch: Batch, lapsing: Sequence[Watcher], concerned: Sequence[Watcher]
    ) -> list[Event]:
        """The exact path: first what time has made unknown, then what the batch says."""
        at = Moment(batch.mono_ns, batch.time_ns, self._now_ns)
        events = [_mind(watcher, watcher.lapse, at) for watcher in lapsing]
        group.apply(batch)
        events += [_mind(watcher, watcher.look, at) for watcher in concerned]
        return [event for event in events if event is not None]

    def _bind(self, schema: Schema) -> Group:
        """Takes in a schema that was not seen before; it replaces the former one of that poll group."""
        key = (schema.device, schema.group)
        group = self._groups.setdefault(key, Group(key))
        if group.schema is not None:
            self._by_digest.pop(group.schema.digest, None)
        group.bind(schema, self._inputs)
        self._by_digest[schema.digest] = group
        self._look_anew()
        self._homeless = [w for w in self._watchers.values() if w.source.group is None]
        return group

    def _look_anew(self) -> None:
        """What tags mean has changed: no window is quiet until it was looked at again."""
        readers: dict[Group, list[Watcher]] = {group: [] for group in self._groups.values()}
        for watcher in self._watchers.values():
            watcher.bounds = None
            for group in {found.group for found in watcher.inputs if found.group is not None}:
                readers[group].append(watcher)
        for group, windows in readers.items():
            group.windows, group.dirty = tuple(windows), True

    def _arrange(self, windows: Sequence[Window], config_version: str, at: Moment) -> list[Event]:
        if len({window.name for window in windows}) != len(windows):
            raise ValueError("two windows have the same name")
        self._config_version = config_version
        for found in self._inputs.values():
            found.pull()
            found.group = None
        refs = dict.fromkeys(ref for window in windows for ref in _refs(window))
        self._inputs = {ref: self._inputs.get(ref) or Input(ref) for ref in refs}
        before, self._watchers = self._watchers, {}
        events = []
        shared: dict[Delays, Delays] = {}
        for window in windows:
            old, delays = before.pop(window.name, None), Delays.of(window)
            event = self._place(window, old, shared.setdefault(delays, delays), at)
            events += [] if event is None else [event]
        events += [e for w in before.values() if (e := w.retire("removed", at)) is not None]
        self._homeless = list(self._watchers.values())
        for group in self._groups.values():
            group.release()
        self._by_digest.clear()
        return events

    def _place(self, window: Window, old: Watcher | None, delays: Delays, at: Moment) -> Event | None:
        if old is not None and old.window == window:
            old.config_version, old.delays = self._config_version, delays
            self._watchers[window.name] = old
            return None
        event = old.retire("changed", at) if old is not None else None
        told = None if old is None else old.told
        watcher = Watcher(window, self._inputs, delays, self._config_version, at, told)
        if old is not None:
            watcher.spent, watcher.excursions = old.spent, old.excursions
        self._watchers[window.name] = watcher
        return event


class Rows(Sequence[dict[str, Any]]):
    """The rows of all windows in the order of the configuration. Each is made when it is taken, with the
    state of that moment, so that whoever shows a hundred of thousands pays for a hundred."""

    __slots__ = ("_mono_ns", "_now_ns", "_watchers")

    def __init__(self, watchers: list[Watcher], mono_ns: int, now_ns: int) -> None:
        self._watchers = watchers
        self._mono_ns = mono_ns
        self._now_ns = now_ns

    def __len__(self) -> int:
        return len(self._watchers)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [watcher.row(self._mono_ns, self._now_ns) for watcher in self._watchers[index]]
        return self._watchers[index].row(self._mono_ns, self._now_ns)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for watcher in self._watchers:
            yield watcher.row(self._mono_ns, self._now_ns)


def _mind(watcher: Watcher, step: Callable[[Moment], Event | None], at: Moment) -> Event | None:
    """One step of one window; where that changes what is quiet, the compiled checks are renewed."""
    before = watcher.bounds
    event = step(at)
    if watcher.bounds is not before:
        for found in watcher.inputs:
            if found.group is not None:
                found.group.dirty = True
    return event


def _refs(window: Window) -> list[TagRef]:
    return [ref for ref in (window.source, window.target, window.when) if isinstance(ref, TagRef)]


def _orphan(name: str, saved: Mapping[str, Any], at: Moment, config_version: str) -> Event:
    """The end of an excursion whose window was removed while the agent was not running."""
    active = saved["excursion"]
    down_ns = max(0, at.time_ns - int(saved["time_ns"]))
    detail = {
        "old": str(saved["told"]),
        "new": "unknown",
        "reason": "removed",
        "active": False,
        "begin_ns": active["begin_ns"],
        "outside_ns": active["outside_ns"],
        "duration_s": (int(active["lasted_ns"]) + down_ns) / 1e9,
        "extreme": active["extreme"],
    }
    return Event("excursion_end", name, at.time_ns, at.mono_ns, config_version, detail)

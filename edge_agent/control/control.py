"""All windows together: batches and clock readings in, events and rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.config.model import LimitKind, TagRef, Window
from edge_agent.control.alarms import AlarmBook, AlarmCommand
from edge_agent.control.excursion import Moment
from edge_agent.control.group import Group
from edge_agent.control.inputs import UNCHANGED, Input
from edge_agent.control.outbox import Outbox
from edge_agent.control.rows import Rows
from edge_agent.control.terms import Terms, terms_of
from edge_agent.control.times import Times, kept
from edge_agent.control.window import Watcher
from edge_agent.model import Batch, Event, Schema, Value

if TYPE_CHECKING:
    from edge_agent.control.early import Advisor

_NO_WINDOWS = ("alarm:", "write:", "times:", "evidence:", "accounting:")  # rows of others in the same store


class Control:
    """The windows of one configuration. Pure: no clock, no task, no log; call it from one thread.

    The agent calls ``on_batch`` for every batch, in the order in which they come, and ``tick`` about twice
    a second with the present. What a call changes in the limits of windows goes to the alarms
    (``alarms``) within it. Each call returns the windows' events and then the alarms', both in the order in
    which they happened; ``changed`` gives the state rows to be committed with them.

    A batch that is older than the newest of its device and poll group says nothing about the present: it is
    ignored, and counted in ``ignored_batches``. Between groups order does not matter: delays are measured by
    the time stamps of the source tag's own statements, ages by the newest moment heard of.
    """

    def __init__(self, windows: Sequence[Window], config_version: str, *, mono_ns: int, time_ns: int) -> None:
        self.alarms = AlarmBook(config_version)
        self.ignored_batches = 0
        self._now_ns = mono_ns
        self._wall_ns = time_ns - mono_ns  # wall minus monotonic time, as of the last tick
        self._inputs: dict[TagRef, Input] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._by_digest: dict[str, Group] = {}
        self._watchers: dict[str, Watcher] = {}
        self._advisors: dict[str, Advisor] = {}
        self._homeless: list[Watcher] = []  # no batch of their source has come yet
        self._due: list[Event] = []
        self._outbox = Outbox(config_version)
        at = Moment(mono_ns, time_ns, mono_ns)
        self._arrange(windows, at)
        self._due += self.alarms.configure(windows, config_version, at)
        self._hire(at)

    def on_batch(self, batch: Batch) -> list[Event]:
        """The events this batch causes. A batch in which nothing happens costs one comparison per window; one
        that does not speak of every tag (a read that was not done in time) costs little more."""
        events = self._judge(batch)
        return events + self._advise(batch) if self._advisors else events

    def _judge(self, batch: Batch) -> list[Event]:
        group = self._by_digest.get(batch.schema.digest)
        if group is None:
            group = self._bind(batch.schema)
        mono_ns = batch.mono_ns
        if group.mono_ns is not None and mono_ns < group.mono_ns:
            self.ignored_batches += 1
            return []
        if mono_ns > self._now_ns:
            self._now_ns = mono_ns
        known: tuple[Value, ...] | None = None
        if batch.quality != group.quality:
            if UNCHANGED in batch.quality:
                batch = group.complete(batch)
            if batch.quality != group.quality:
                known = group.known_with(batch)
                if known is None:
                    return self._look_at_all(group, batch)
        if group.dirty:
            group.sort()
        if group.overdue(self._now_ns):
            return self._look_at_all(group, batch)
        values = batch.values if known is None else known
        try:
            for index, seen in group.watched:
                if values[index] != seen:
                    return self._look_at_all(group, batch)
            hits = group.beyond(values)
            if known is not None:
                hits = list(dict.fromkeys([*hits, *group.switched(values), *group.tracked]))
            elif group.stepped or group.paced or group.discrete:
                hits = list(dict.fromkeys([*hits, *group.stirred(batch)]))
        except TypeError:  # text or None where a number was due
            return self._look_at_all(group, batch)
        if hits or group.loud:
            return self._look(group, batch, group.loud, list(dict.fromkeys([*hits, *group.loud])))
        if known is not None:
            group.apply(batch)
        else:
            group.batch, group.mono_ns, group.fresh_ns = batch, mono_ns, mono_ns
        return []

    def _advise(self, batch: Batch) -> list[Event]:
        """Early warnings: after the windows were judged, of those that wish to be warned."""
        group = self._by_digest.get(batch.schema.digest)
        if group is None or group.mono_ns != batch.mono_ns:
            return []  # it was ignored
        at = Moment(batch.mono_ns, batch.time_ns, self._now_ns)
        for advisor in self._advisors.values():
            if advisor.watcher.source.group is group:
                advisor.hear(batch, at)
        return self._alarm()

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
        events += self._alarm()
        events += self.alarms.tick(at)
        return events

    def command(self, command: AlarmCommand, *, mono_ns: int, time_ns: int) -> list[Event]:
        """What a person does to alarms. Raises ``CommandRefused`` where that changes nothing."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        return self.alarms.command(command, Moment(mono_ns, time_ns, self._now_ns))

    def _alarm(self) -> list[Event]:
        """Hands over what was said to the alarms since the last time: window by window, in the order of the
        configuration, so that which alarm is the first of several does not depend on what was quiet."""
        if not self._outbox.transitions:
            return []
        said = self._outbox.take()
        if any(one.window != said[0].window for one in said):
            place = {name: index for index, name in enumerate(self._watchers)}
            said.sort(key=lambda one: place.get(one.window, len(place)))
        return self.alarms.hear(said)

    def _may_lapse(self) -> Iterable[Watcher]:
        """All but the quiet windows of settled groups: thousands of those cost nothing here."""
        due = dict.fromkeys(self._homeless)  # a window may read from several groups
        for group in self._groups.values():
            due.update(dict.fromkeys(group.loud if group.settled(self._now_ns) else group.windows))
        return due

    def reconfigure(
        self, windows: Sequence[Window], config_version: str, *, mono_ns: int, time_ns: int
    ) -> list[Event]:
        """Windows that are equal before and after (wherever they stand in the files) keep state, timers and
        times. A window that is gone or changed ends its active excursion with reason ``removed`` or
        ``changed``; a changed one starts anew, but keeps its times, its number of excursions, its suppression
        and which of its limits are active. Limits that are gone return."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        at = Moment(mono_ns, time_ns, self._now_ns)
        self._outbox = Outbox(config_version, self._outbox)
        events = self._arrange(windows, at)
        events += self._alarm()
        events += self.alarms.configure(windows, config_version, at)
        self._hire(at)
        return events

    def _hire(self, at: Moment) -> None:
        """An advisor for each window that wants one; those of windows that are the same go on."""
        before, self._advisors = self._advisors, {}
        for name, watcher in self._watchers.items():
            early = watcher.window.early
            if early is None:
                continue
            from edge_agent.control.early import Advisor  # with statistics: only where it is wanted

            old = before.get(name)
            if old is None or old.watcher is not watcher:
                kinds = (LimitKind.EARLY, LimitKind.PATTERN)
                old = Advisor(watcher, early, [kind for kind in kinds if self._warns(name, kind, at)])
            self._advisors[name] = old

    def _warns(self, window: str, kind: LimitKind, at: Moment) -> bool:
        row = self.alarms.get(f"{window}.{kind}", at)
        return row is not None and bool(row["active"])

    @property
    def windows(self) -> Mapping[str, Window]:
        """Those in force, by name; a view."""
        return _Windows(self._watchers)

    def rows(self, mono_ns: int) -> Rows[Watcher]:
        """One plain row per window, in the order of the configuration, with the times up to ``mono_ns``. A
        window with early warning has a member ``early``. Changes no state."""
        now_ns, advisors = max(mono_ns, self._now_ns), self._advisors

        def row(watcher: Watcher) -> dict[str, Any]:
            shown = watcher.row(mono_ns, now_ns)
            advisor = advisors.get(watcher.window.name) if advisors else None
            return shown if advisor is None else shown | {"early": advisor.row(now_ns)}

        return Rows(list(self._watchers.values()), row)

    def times(self, mono_ns: int) -> Iterator[Times]:
        """Of every window, up to ``mono_ns``: sums since ever. One at a time: there may be thousands."""
        for name, watcher in self._watchers.items():
            watcher.account(mono_ns)
            spent = watcher.spent
            in_ns, out_ns, unknown_ns, suppressed_ns = spent.by_state().values()
            by_reason = spent.by_reason()
            yield Times(name, in_ns, out_ns, unknown_ns, suppressed_ns, watcher.excursions, by_reason)

    def snapshot(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """JSON-able state by window name, of all or of those named (unknown names are left out), with the
        times up to the newest batch or tick. Of all: with the rows of the alarms (``alarm:NAME``)."""
        chosen = self._watchers.keys() if names is None else names
        found = [self._watchers[name] for name in dict.fromkeys(chosen) if name in self._watchers]
        rows = {watcher.window.name: self._row(watcher) for watcher in found}
        return rows if names is not None else rows | self.alarms.snapshot()

    def changed(self) -> dict[str, Any]:
        """The state rows, in the form of ``snapshot``, that what was returned since the last call has
        changed; None: the row is not needed any more. To be committed in one transaction with the events."""
        touched = list(self._outbox.touched)
        self._outbox.touched.clear()
        found = {name: self._watchers.get(name) for name in touched}
        rows = {name: None if watcher is None else self._row(watcher) for name, watcher in found.items()}
        return rows | self.alarms.changed()

    def _row(self, watcher: Watcher) -> dict[str, Any]:
        watcher.account(self._now_ns)
        return watcher.as_dict(watcher.spent.upto_ns + self._wall_ns)

    def restore(self, states: Mapping[str, Any], *, mono_ns: int, time_ns: int) -> None:
        """Takes up a ``snapshot``. To be called once, after construction and before the first batch. The time
        since the snapshot counts as unknown; an active excursion is still active, an active limit as well.
        Of a window that is not configured any more, an active excursion ends with the next tick. Malformed
        states, and rows of others, are passed over."""
        self._now_ns = max(self._now_ns, mono_ns)
        self._wall_ns = time_ns - mono_ns
        at = Moment(mono_ns, time_ns, self._now_ns)
        for name, saved in states.items():
            if name.startswith(_NO_WINDOWS):
                continue
            watcher = self._watchers.get(name)
            try:
                if watcher is not None:
                    watcher.restore(saved, at)
                else:
                    self._bury(name, saved, at)
            except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
                continue  # a state of another version must not keep the agent from starting
        self._recount(states, at)
        suppressed = [name for name, watcher in self._watchers.items() if watcher.suppressed]
        self.alarms.restore(states, at, suppressed)
        self._advisors = {}
        self._hire(at)

    def _recount(self, states: Mapping[str, Any], at: Moment) -> None:
        """Sums of time from the last checkpoint, of windows whose own row is older: a quiet window has not
        written any since."""
        time_ns, counted = kept(states)
        for times in counted:
            watcher, saved = self._watchers.get(times.window), states.get(times.window)
            own_ns = saved.get("time_ns", 0) if isinstance(saved, Mapping) else 0
            if watcher is not None and isinstance(own_ns, int) and own_ns < time_ns:
                watcher.recount(times, max(0, at.time_ns - time_ns), at)

    def _bury(self, name: str, saved: Mapping[str, Any], at: Moment) -> None:
        """The window was removed while the agent was not running."""
        if saved["excursion"] is not None:
            self._due.append(_orphan(name, saved, at, self._outbox.config_version))
        if "spent_ns" in saved:
            self._outbox.touched[name] = None

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
        for watcher in concerned:  # the statement before this one may have been left out
            if watcher.track is not None and watcher.track.heard is not batch:
                watcher.pull()
        group.apply(batch)
        events += [_mind(watcher, watcher.look, at) for watcher in concerned]
        told = [event for event in events if event is not None]
        return told + self._alarm() if self._outbox.transitions else told

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

    def _arrange(self, windows: Sequence[Window], at: Moment) -> list[Event]:
        if len({window.name for window in windows}) != len(windows):
            raise ValueError("two windows have the same name")
        for found in self._inputs.values():
            found.pull()
            found.group = None
        refs = dict.fromkeys(ref for window in windows for ref in _refs(window))
        self._inputs = {ref: self._inputs.get(ref) or Input(ref) for ref in refs}
        before, self._watchers = self._watchers, {}
        events = []
        shared: dict[Terms, Terms] = {}
        for window in windows:
            old, terms = before.pop(window.name, None), terms_of(window)
            event = self._place(window, old, shared.setdefault(terms, terms), at)
            events += [] if event is None else [event]
        for name, old in before.items():
            event = old.retire("removed", at)
            events += [] if event is None else [event]
            self._outbox.touched[name] = None
        self._homeless = list(self._watchers.values())
        for group in self._groups.values():
            group.release()
        self._by_digest.clear()
        return events

    def _place(self, window: Window, old: Watcher | None, terms: Terms, at: Moment) -> Event | None:
        if old is not None and old.window == window:
            old.window, old.outbox, old.terms = window, self._outbox, terms
            self._watchers[window.name] = old
            return None
        watcher = Watcher(window, self._inputs, terms, self._outbox, at)
        self._watchers[window.name] = watcher
        if old is None:
            return None
        event = old.retire("changed", at, [rule.kind for rule in terms.rules])
        watcher.inherit(old)
        self._outbox.touched[window.name] = None
        return event


class _Windows(Mapping[str, Window]):
    __slots__ = ("_watchers",)

    def __init__(self, watchers: Mapping[str, Watcher]) -> None:
        self._watchers = watchers

    def __getitem__(self, name: str) -> Window:
        return self._watchers[name].window

    def __iter__(self) -> Iterator[str]:
        return iter(self._watchers)

    def __len__(self) -> int:
        return len(self._watchers)


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

"""Two configurations over the same stored readings: what each would have raised, alarm by alarm.

Only what can differ is replayed: windows that are not the same in both, or that read something that is not
(``chosen``). Both sides get every batch and every tick at the same moments, so that a difference in the
result is one of the configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edge_agent.accounting.plan_of import accounting_of
from edge_agent.config.model import Origin, TagRef, Window
from edge_agent.control import Control
from edge_agent.model import Batch, Event, Quality, Schema

if TYPE_CHECKING:
    from edge_agent.config.model import Configuration
    from edge_agent.model import Tag

WARM_UP_NS = 600_000_000_000
"""The replay begins so much earlier: delays, spans of formulas and active alarms are then as they were."""
TICK_NS = 500_000_000
_FINE_NS = 60_000_000_000  # after that, nothing having come, ticks are rarer
_COARSE_NS = 10_000_000_000
_VOUCHED_NS = 1_200_000_000_000  # two of the reads that subscriptions are checked by
_SIGN_NS = 1_000_000_000
SHOWN = 20

OLD, NEW = 0, 1
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Choice:
    """Windows of each side that must be replayed, and how many need not be. ``virtual``: names of devices
    whose stored batches are made anew; ``read``: tags that are needed; ``scalings``: the new meaning of tags
    whose scaling is not what it was."""

    windows: tuple[tuple[Window, ...], tuple[Window, ...]]
    same: int
    virtual: frozenset[str]
    read: frozenset[tuple[str, str]]
    scalings: dict[tuple[str, str], Tag]

    def wants(self, schema: Schema) -> bool:
        """Of a stored schema, whether its batches are needed."""
        return schema.device not in self.virtual and any(
            (schema.device, n) in self.read for n in schema.names
        )


def chosen(old: Configuration, new: Configuration, *, everything: bool = False) -> Choice:
    sides = (old, new)
    scalings = _scalings(old, new)
    virtual = frozenset(c.derivation.device for c in sides if c.derivation is not None)
    changed_tags = frozenset(scalings)
    derived_differs = old.derivation != new.derivation or bool(virtual and scalings)
    plain = [{w.name: (_plain(w), w) for w in c.windows} for c in sides]

    def reads_a_change(window: Window) -> bool:
        refs = [(r.device, r.tag) for r in _refs(window)]
        return any(r in changed_tags or (derived_differs and r[0] in virtual) for r in refs)

    equal = {
        name
        for name, (form, window) in plain[OLD].items()
        if name in plain[NEW] and plain[NEW][name][0] == form and not reads_a_change(window)
    }
    keep = set() if everything else equal
    windows = [tuple(w for name, (_, w) in side.items() if name not in keep) for side in plain]
    read = {(r.device, r.tag) for side in windows for w in side for r in _refs(w)}
    for c in sides:
        if c.derivation is not None and any(device == c.derivation.device for device, _ in read):
            read |= {_split(key, c.derivation.sources[key][0]) for key in c.derivation.sources}
            read |= {(counter.tag.device, counter.tag.tag) for counter in c.derivation.counters}
    return Choice((windows[OLD], windows[NEW]), len(keep), virtual, frozenset(read), scalings)


def _plain(window: Window) -> Window:
    """Without what changes nothing: places in files, words for people."""
    further = tuple(replace(limit, origin=Origin()) for limit in window.further)
    return replace(window, further=further, origin=Origin(), standards=(), description="")


def _refs(window: Window) -> list[TagRef]:
    return [ref for ref in (window.source, window.target, window.when) if isinstance(ref, TagRef)]


def _split(key: str, group: str) -> tuple[str, str]:
    """``DEVICE.TAG``; device names have no dot."""
    device, _, tag = key.partition(".")
    return device, tag


def _scalings(old: Configuration, new: Configuration) -> dict[tuple[str, str], Tag]:
    before = {(d.name, t.name): t for d in old.devices for t in d.tags}
    out = {}
    for device in new.devices:
        for tag in device.tags:
            was = before.get((device.name, tag.name))
            if (
                was is not None
                and (was.scaling, was.type) != (tag.scaling, tag.type)
                and was.type == tag.type
            ):
                out[device.name, tag.name] = tag
    return out


def subscribed(configurations: Iterable[Configuration]) -> set[Key]:
    """Poll groups whose devices report changes: their silence means that nothing changed."""
    return {
        (device.name, group)
        for configuration in configurations
        for device in configuration.devices
        for group in device.plugin.subscribed(device.settings)
    }


class Side:
    """One configuration's control and derived values."""

    def __init__(
        self,
        configuration: Configuration,
        windows: Sequence[Window],
        time_ns: int,
        scalings: dict[tuple[str, str], Tag] | None = None,
    ) -> None:
        version, derivation = configuration.version, configuration.derivation
        self._control = Control(windows, version, mono_ns=time_ns, time_ns=time_ns)
        virtual = derivation is not None and any(
            ref.device == derivation.device for window in windows for ref in _refs(window)
        )
        self._accounting = accounting_of(derivation, version) if derivation is not None and virtual else None
        self._scalings = scalings or {}
        self._schemas: dict[str, Schema] = {}

    def take(self, batch: Batch) -> list[Event]:
        """Derived values first: windows over both then judge one moment."""
        if self._scalings:
            batch = self._rescaled(batch)
        events: list[Event] = []
        if self._accounting is not None:
            for derived in self._accounting.on_batch(batch).batches:
                events += self._control.on_batch(derived)
        return events + self._control.on_batch(batch)

    def tick(self, mono_ns: int, time_ns: int) -> list[Event]:
        events: list[Event] = []
        if self._accounting is not None:
            for _, derived in self._accounting.tick(mono_ns, time_ns).periods:
                events += self._control.on_batch(derived)
        return events + self._control.tick(mono_ns, time_ns)

    def _rescaled(self, batch: Batch) -> Batch:
        schema = self._schemas.get(batch.schema.digest)
        if schema is None:
            schema = self._schemas[batch.schema.digest] = self._meaning(batch.schema)
        return batch if schema is batch.schema else replace(batch, schema=schema)

    def _meaning(self, schema: Schema) -> Schema:
        tags = [self._scalings.get((schema.device, name)) for name in schema.names]
        if not any(t is not None and t.type is kind for t, kind in zip(tags, schema.types, strict=True)):
            return schema
        fits = [t if t is not None and t.type is k else None for t, k in zip(tags, schema.types, strict=True)]
        scaling = tuple(s if t is None else t.scaling for t, s in zip(fits, schema.scaling, strict=True))
        units = tuple(u if t is None else t.unit for t, u in zip(fits, schema.units, strict=True))
        return replace(schema, scaling=scaling, units=units)


@dataclass(slots=True)
class Moment:
    """From when to when the alarm was active on one side only (``active_in``: OLD or NEW)."""

    from_ns: int
    to_ns: int
    active_in: int


@dataclass(slots=True)
class Half:
    """One alarm on one side."""

    raised: int = 0
    active_ns: int = 0
    since_ns: int | None = None  # monotonic; active if not None
    from_start: bool = False  # active already when the span began
    times: list[int] = field(default_factory=list)  # the first ones


@dataclass(slots=True)
class Compared:
    """One alarm on both sides, of bounded size."""

    name: str
    halves: tuple[Half, Half] = field(default_factory=lambda: (Half(), Half()))
    moments: list[Moment] = field(default_factory=list)  # the first ones
    more_moments: int = 0
    differs: tuple[int, int] | None = None  # since when (wall time), active in which

    @property
    def differing(self) -> bool:
        return bool(self.moments or self.more_moments)

    def settle(self, time_ns: int) -> None:
        """After both sides have spoken."""
        old, new = (half.since_ns is not None for half in self.halves)
        if self.differs is None and old is not new:
            self.differs = time_ns, OLD if old else NEW
        elif self.differs is not None and (old is new or self.differs[1] != (OLD if old else NEW)):
            since_ns, side = self.differs
            self.differs = None if old is new else (time_ns, OLD if old else NEW)
            if time_ns <= since_ns:
                return
            if len(self.moments) < SHOWN:
                self.moments.append(Moment(since_ns, time_ns, side))
            else:
                self.more_moments += 1


class Comparison:
    """Alarms of both sides from ``start_ns`` on; what was before only says what was active then."""

    def __init__(self, start_ns: int) -> None:
        self.alarms: dict[str, Compared] = {}
        self._start_ns = start_ns
        self._begun = False

    def hear(self, told: Sequence[Sequence[Event]], mono_ns: int, time_ns: int) -> None:
        """What both sides said of the same moment."""
        if not self._begun and time_ns >= self._start_ns:
            self._begin(mono_ns)
        touched = set()
        for side, events in enumerate(told):
            for event in events:
                if event.kind == "alarm_raised":
                    touched.add(self._raised(side, event, mono_ns))
                elif event.kind in ("alarm_returned", "alarm_removed"):
                    touched.add(self._returned(side, event, mono_ns))
        if self._begun:
            for name in touched:
                self.alarms[name].settle(time_ns)

    def end(self, mono_ns: int, time_ns: int) -> None:
        """What is active still is so until here."""
        for alarm in self.alarms.values():
            for half in alarm.halves:
                if half.since_ns is not None:
                    half.active_ns += max(0, mono_ns - half.since_ns)
            if alarm.differs is not None:
                since_ns, side = alarm.differs
                if time_ns > since_ns:
                    alarm.moments.append(Moment(since_ns, time_ns, side))

    def _begin(self, mono_ns: int) -> None:
        self._begun = True
        for alarm in self.alarms.values():
            for half in alarm.halves:
                half.from_start = half.since_ns is not None
                half.since_ns = mono_ns if half.from_start else None
            alarm.settle(self._start_ns)

    def _raised(self, side: int, event: Event, mono_ns: int) -> str:
        alarm = self.alarms.setdefault(event.source, Compared(event.source))
        half = alarm.halves[side]
        if half.since_ns is None:
            half.since_ns = mono_ns
            if self._begun:
                half.raised += 1
                half.times += [event.time_ns] if len(half.times) < SHOWN else []
        return event.source

    def _returned(self, side: int, event: Event, mono_ns: int) -> str:
        alarm = self.alarms.setdefault(event.source, Compared(event.source))
        half = alarm.halves[side]
        if half.since_ns is not None:
            half.active_ns += mono_ns - half.since_ns if self._begun else 0
            half.since_ns = None
        return event.source


class Replay:
    """Feeds both sides. ``quiet``: poll groups whose silence means that nothing changed (``subscribed``)."""

    def __init__(self, sides: tuple[Side, Side], comparison: Comparison, quiet: set[Key]) -> None:
        self.batches = 0
        self.seen: set[tuple[str, str]] = set()  # tags that were in stored batches
        self._sides = sides
        self._comparison = comparison
        self._quiet = quiet
        self._newest: dict[Key, Batch] = {}
        self._digests: set[str] = set()
        self._mono_ns: int | None = None
        self._wall_ns = 0
        self._signed_ns = 0

    def run(self, batches: Iterable[Batch], end_ns: int, progress: Callable[[int], None]) -> None:
        """``progress`` hears wall times."""
        for batch in batches:
            self._pass(batch.mono_ns)
            self._wall_ns = batch.time_ns - batch.mono_ns
            self._take(batch)
            self.batches += 1
            if self.batches % 1000 == 0:
                progress(batch.time_ns)
        if self._mono_ns is not None:
            self._pass(end_ns - self._wall_ns)
            self._comparison.end(self._mono_ns, self._mono_ns + self._wall_ns)

    def _take(self, batch: Batch) -> None:
        if self._mono_ns is None:
            self._mono_ns = batch.mono_ns
        schema = batch.schema
        if schema.digest not in self._digests:
            self._digests.add(schema.digest)
            self.seen.update((schema.device, name) for name in schema.names)
        key = (schema.device, schema.group)
        if Quality.UNCHANGED in batch.quality:
            self._quiet.add(key)
        if key in self._quiet:
            self._newest[key] = batch
        self._say(batch, batch.mono_ns, batch.time_ns)

    def _say(self, batch: Batch, mono_ns: int, time_ns: int) -> None:
        told = [side.take(batch) for side in self._sides]
        self._comparison.hear(told, mono_ns, time_ns)

    def _pass(self, until_ns: int) -> None:
        """Ticks up to the moment of the next batch."""
        if self._mono_ns is None:
            return
        idle_from_ns = self._mono_ns
        for at_ns in _grid(self._mono_ns, until_ns, idle_from_ns + _FINE_NS):
            if at_ns - self._signed_ns >= _SIGN_NS:
                self._signed_ns = at_ns
                for sign in self._signs(at_ns):
                    self._say(sign, at_ns, at_ns + self._wall_ns)
            told = [side.tick(at_ns, at_ns + self._wall_ns) for side in self._sides]
            self._comparison.hear(told, at_ns, at_ns + self._wall_ns)
        self._mono_ns = max(self._mono_ns, until_ns)

    def _signs(self, at_ns: int) -> Iterator[Batch]:
        """Signs of life, which are not stored."""
        for batch in self._newest.values():
            if 0 < at_ns - batch.mono_ns <= _VOUCHED_NS:
                width = len(batch.values)
                still = bytes([Quality.UNCHANGED]) * width
                yield Batch(batch.schema, at_ns + self._wall_ns, at_ns, (None,) * width, still)


def _grid(after_ns: int, until_ns: int, fine_until_ns: int) -> Iterator[int]:
    """Ticks after one moment and before another."""
    at_ns = (after_ns // TICK_NS + 1) * TICK_NS
    while at_ns < until_ns:
        yield at_ns
        at_ns += TICK_NS if at_ns < fine_until_ns else _COARSE_NS


def plain(alarm: Compared) -> dict[str, Any]:
    """For programs."""
    return {
        "alarm": alarm.name,
        **{name: _half(alarm.halves[side]) for side, name in ((OLD, "old"), (NEW, "new"))},
        "differs": [
            {"from_ns": m.from_ns, "to_ns": m.to_ns, "active_in": ("old", "new")[m.active_in]}
            for m in alarm.moments
        ],
        "more_differences": alarm.more_moments,
    }


def _half(half: Half) -> dict[str, Any]:
    return {
        "raised": half.raised,
        "active_s": half.active_ns / 1e9,
        "active_at_begin": half.from_start,
        "active_at_end": half.since_ns is not None,
        "raised_ns": half.times,
    }

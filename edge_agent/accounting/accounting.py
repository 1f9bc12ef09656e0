"""All of it together: batches and clock readings in; derived batches, period batches and events out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from edge_agent.accounting.calendar import BEIJING, Calendar, Period
from edge_agent.accounting.counter import Counter, CounterSpec, Heard
from edge_agent.accounting.derived import Derived, DerivedValues, Source
from edge_agent.accounting.periods import Figure, Periods
from edge_agent.accounting.replacement import Replacement
from edge_agent.expression.rating import BAD, UNCERTAIN
from edge_agent.model import Batch, Event, Quality, Schema

_UNCHANGED = int(Quality.UNCHANGED)
_PREFIX: Final = "accounting:"
_COUNTERS: Final = "accounting:counters"
_PERIODS: Final = "accounting:periods"
_SPANS: Final = "accounting:spans"
_TOTAL: Final = "accounting:total:"  # and the counter
_UNKNOWN: Final = object()  # what of a row is on the disk
_NO_PARTS: Final[Mapping[str, Any]] = {"boundaries": (), "odd": ()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one configuration wants accounted. Keys are ``DEVICE.TAG``.

    ``device``: the virtual device that derived values and totals belong to. ``sources``: of every tag that
    a formula reads. ``names``: the columns of the counters in period batches.
    """

    device: str = "derived"
    derived: Sequence[Derived] = ()
    counters: Sequence[CounterSpec] = ()
    figures: Sequence[Figure] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = BEIJING


@dataclass(slots=True)
class Result:
    """``batches``: for the samples stream. ``periods``: with the stream each belongs to (month goes with
    day)."""

    batches: list[Batch] = field(default_factory=list)
    periods: list[tuple[Period, Batch]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Accounting:
    """Pure: no clock, no task, no log; call it from one thread.

    ``on_batch`` for every batch in the order in which they come, ``tick`` about once a second. A batch older
    than the newest of its poll group is ignored and counted in ``ignored_batches``. ``counters``: by
    ``DEVICE.TAG``; ``names``: the names of their columns.
    """

    def __init__(self, plan: Plan, config_version: str) -> None:
        self.ignored_batches = 0
        self.counters = {spec.name: Counter(spec, config_version) for spec in plan.counters}
        self._plan = plan
        self._version = config_version
        self._stored: dict[str, Any] = {}
        self._calendar = Calendar(plan.zone)
        self.values = DerivedValues(plan.device, plan.derived, plan.sources, self.counters, config_version)
        self.names = {key: plan.names.get(key, key) for key in self.counters}
        self.zone = plan.zone
        self._periods = Periods(
            plan.device, config_version, self.counters, self.names, plan.figures, self._calendar
        )
        self._readers: dict[str, tuple[tuple[int, Counter], ...]] = {}
        self._newest: dict[tuple[str, str], int] = {}

    def on_batch(self, batch: Batch) -> Result:
        """What this batch causes."""
        result = Result()
        key = (batch.schema.device, batch.schema.group)
        if batch.mono_ns < self._newest.get(key, batch.mono_ns):
            self.ignored_batches += 1
            return result
        self._newest[key] = batch.mono_ns
        heard = self._count(batch)
        for name, what in heard.items():
            result.events += what.events
            result.events += self._periods.hear(name, what, batch.time_ns, batch.mono_ns)
        derived = self.values.on_batch(batch, heard)
        if derived is not None:
            result.batches.append(derived)
        return result

    def tick(self, mono_ns: int, time_ns: int) -> Result:
        """Closes the periods that are over."""
        result = Result()
        for batch, event in self._periods.tick(time_ns, mono_ns):
            result.periods.append((Period(batch.schema.group.removeprefix("total.")), batch))
            result.events.append(event)
        return result

    def declare(self, name: str, replacement: Replacement, mono_ns: int, time_ns: int) -> Result:
        """A meter was or will be replaced; see ``Counter.declare``. Raises KeyError for an unknown
        counter."""
        heard = self.counters[name].declare(replacement, time_ns, mono_ns)
        events = heard.events + self._periods.hear(name, heard, time_ns, mono_ns)
        return Result(events=events)

    def withdraw(self, name: str) -> tuple[Replacement, ...]:
        """Takes back what was declared of a counter and not yet seen in its readings. Raises KeyError for an
        unknown counter."""
        return self.counters[name].withdraw()

    def _count(self, batch: Batch) -> dict[str, Heard]:
        readers = self._readers.get(batch.schema.digest)
        if readers is None:
            readers = self._readers[batch.schema.digest] = tuple(self._bind(batch.schema))
        heard = {}
        for index, counter in readers:
            quality, raw = batch.quality[index], batch.values[index]
            if quality == _UNCHANGED and counter.last_raw is not None:
                quality, raw = 0, counter.last_raw
            if quality >= BAD or isinstance(raw, (bool, str)) or raw is None:
                continue
            if raw - raw == 0:
                heard[counter.spec.name] = counter.read(
                    batch.time_ns,
                    batch.mono_ns,
                    raw,
                    uncertain=quality >= UNCERTAIN,
                )
        return heard

    def _bind(self, schema: Schema) -> Iterable[tuple[int, Counter]]:
        for index, name in enumerate(schema.names):
            counter = self.counters.get(f"{schema.device}.{name}")
            if counter is not None:
                yield index, counter

    # --- restart and reload --------------------------------------------------------------------------------

    def rows(self, mono_ns: int, time_ns: int) -> dict[str, Any]:
        """All state, JSON-able, by the name under which each part is stored (``accounting:...``). To be
        committed in one transaction with the events of ``Result`` that led to it."""
        to_wall_ns = time_ns - mono_ns
        rows: dict[str, Any] = {}
        counters: dict[str, Any] = {}
        for key, counter in self.counters.items():
            totals = self._periods.totals[key].snapshot()
            parts = {"boundaries": totals.pop("boundaries"), "odd": totals.pop("odd")}
            counters[key], rows[_TOTAL + key] = counter.snapshot() | totals, parts
        if counters:
            rows |= {_COUNTERS: counters, _PERIODS: self._periods.snapshot(to_wall_ns)}
        spans = self.values.snapshot(to_wall_ns)
        if spans:
            rows[_SPANS] = spans
        return rows

    def changed(self, mono_ns: int, time_ns: int) -> dict[str, Any]:
        """The rows that differ from what was last given out here or taken up by ``restore_rows``; None for
        one that is needed no more."""
        now = self.rows(mono_ns, time_ns)
        gone: dict[str, Any] = {name: None for name in self._stored if name not in now}
        found = gone | {name: row for name, row in now.items() if self._stored.get(name) != row}
        self._stored = now
        return found

    def restore_rows(self, rows: Mapping[str, Any], mono_ns: int, time_ns: int) -> tuple[str, ...]:
        """Once, before the first batch. Takes up what it can of rows of any kind: those of others and of
        counters that are configured no more are passed over. The names of rows that were malformed, whose
        part begins anew."""
        own = {name: row for name, row in rows.items() if name.startswith(_PREFIX) and row is not None}
        self._stored = dict(own)
        to_wall_ns, bad = time_ns - mono_ns, []
        counters = own.get(_COUNTERS)
        for key in self.counters:
            saved = counters.get(key) if isinstance(counters, Mapping) else counters
            if saved is not None and not self._restore_counter(key, saved, own.get(_TOTAL + key)):
                bad.append(f"{_COUNTERS} {key}")
        takers = {
            _PERIODS: lambda row: self._periods.restore(row, to_wall_ns),
            _SPANS: lambda row: self.values.restore(row, to_wall_ns),
        }
        for name, take in takers.items():
            if name in own and not _taken(take, own[name]):
                bad.append(name)
        return tuple(bad)

    def _restore_counter(self, key: str, saved: Any, parts: Any) -> bool:
        """The counter and its totals, both or none: the one's total is where the other's boundaries lie."""
        counter = Counter(self.counters[key].spec, self._version)
        totals = self._periods.totals[key]
        sound = _taken(counter.restore, saved) and _taken(
            lambda row: totals.restore({**row, **(parts or _NO_PARTS)}), saved
        )
        if sound:
            self.counters[key] = counter
        return sound

    def latest(self) -> list[Batch]:
        """The last batch of each period, also one issued before a restart. Windows on totals need it then,
        and after a reload: the next month may be weeks away."""
        return list(self._periods.latest.values())

    def adopt(self, other: Accounting, mono_ns: int, time_ns: int) -> None:
        """On a reload, in place of ``restore_rows``: all state of the former accounting, and what its
        formulas last read, so that nothing waits for slow poll groups again."""
        rows = other.rows(mono_ns, time_ns)
        self.restore_rows(rows, mono_ns, time_ns)
        self._stored = dict.fromkeys(rows, _UNKNOWN)
        self.values.adopt(other.values)


def _taken(take: Callable[[Any], object], row: Any) -> bool:
    """Whether a row was well-formed. It comes from a disk and perhaps from another version."""
    try:
        take(row)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        return False
    return True

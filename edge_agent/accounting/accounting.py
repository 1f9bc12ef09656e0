"""All of it together: batches and clock readings in; derived batches, period batches and events out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from edge_agent.accounting.calendar import BEIJING, Calendar, Period
from edge_agent.accounting.counter import Counter, CounterSpec, Heard
from edge_agent.accounting.derived import Derived, DerivedValues, Source
from edge_agent.accounting.periods import Figure, Periods
from edge_agent.accounting.replacement import Replacement
from edge_agent.accounting.tally import Tally
from edge_agent.expression.rating import BAD, UNCERTAIN
from edge_agent.model import Batch, Event, Quality, Schema

_UNCHANGED = int(Quality.UNCHANGED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one configuration wants accounted. Keys are ``DEVICE.TAG``.

    ``device``: the virtual device that derived values and totals belong to. ``sources``: of every tag that
    a formula reads. ``names``: the columns of the counters in period batches. ``tallied``: poll
    groups of which minimum, mean and maximum are wanted, with the age after which a value no longer holds.
    """

    device: str = "derived"
    derived: Sequence[Derived] = ()
    counters: Sequence[CounterSpec] = ()
    figures: Sequence[Figure] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    tallied: Mapping[tuple[str, str], float] = field(default_factory=dict)
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
    than the newest of its poll group is ignored and counted in ``ignored_batches``.
    """

    def __init__(self, plan: Plan, config_version: str) -> None:
        self.ignored_batches = 0
        self.counters = {spec.name: Counter(spec, config_version) for spec in plan.counters}
        self._plan = plan
        self._calendar = Calendar(plan.zone)
        self._derived = DerivedValues(plan.device, plan.derived, plan.sources, self.counters, config_version)
        names = {key: plan.names.get(key, key) for key in self.counters}
        self._periods = Periods(
            plan.device, config_version, self.counters, names, plan.figures, self._calendar
        )
        self._readers: dict[str, tuple[tuple[int, Counter], ...]] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._saved_tallies: dict[str, Any] = {}
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
        derived = self._derived.on_batch(batch, heard)
        if derived is not None:
            result.batches.append(derived)
        for each in (batch, derived):
            if each is not None and (each.schema.device, each.schema.group) in self._plan.tallied:
                result.periods += self._tally(each.schema).put(each)
        return result

    def tick(self, mono_ns: int, time_ns: int) -> Result:
        """Closes the periods that are over."""
        result = Result()
        for tally in self._tallies.values():
            result.periods += tally.tick(time_ns, mono_ns)
        for batch in self._periods.tick(time_ns, mono_ns):
            result.periods.append((Period(batch.schema.group.removeprefix("total.")), batch))
        return result

    def declare(self, name: str, replacement: Replacement, mono_ns: int, time_ns: int) -> Result:
        """A meter was or will be replaced; see ``Counter.declare``. Raises KeyError for an unknown
        counter."""
        heard = self.counters[name].declare(replacement, time_ns, mono_ns)
        events = heard.events + self._periods.hear(name, heard, time_ns, mono_ns)
        return Result(events=events)

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

    def _tally(self, schema: Schema) -> Tally:
        key = (schema.device, schema.group)
        tally = self._tallies.get(key)
        if tally is None or tally.schema.digest != schema.digest:
            tally = self._tallies[key] = Tally(schema, self._calendar, round(self._plan.tallied[key] * 1e9))
            saved = self._saved_tallies.pop("/".join(key), None)
            if saved is not None:
                tally.restore(saved)
        return tally

    def snapshot(self, mono_ns: int, time_ns: int) -> dict[str, Any]:
        """JSON-able state, to be stored together with what was issued up to now."""
        return {
            "counters": {name: counter.snapshot() for name, counter in self.counters.items()},
            "periods": self._periods.snapshot(),
            "spans": self._derived.snapshot(time_ns - mono_ns),
            "tallies": self._saved_tallies | {"/".join(k): t.snapshot() for k, t in self._tallies.items()},
        }

    def restore(self, saved: Mapping[str, Any], mono_ns: int, time_ns: int) -> None:
        """Once, before the first batch. Counters that are configured no more are passed over; raises what
        malformed data raises: the caller then starts with a new object."""
        for name, counter in self.counters.items():
            if name in saved["counters"]:
                counter.restore(saved["counters"][name])
        self._periods.restore(saved["periods"])
        self._derived.restore(saved["spans"], time_ns - mono_ns)
        self._saved_tallies = dict(saved["tallies"])

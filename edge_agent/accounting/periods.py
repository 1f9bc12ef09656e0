"""All counters per hour, day and month, and the figures made of them (kWh/kg). One batch per period, issued
once, with the period in the name of each column (``electricity.day``):

[start ........ end) + grace ──> batch and event ``period_total``, revision 0 ──> closed for ever
                                        a boundary decided later ──> event ``period_corrected``
                                        an amount released later ──> event ``amount_corrected``
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.accounting.calendar import HOUR, Calendar, Period
from edge_agent.accounting.counter import Counter, Heard
from edge_agent.accounting.totals import Amount, Totals
from edge_agent.expression import Formula
from edge_agent.expression.rating import BAD, GOOD, UNDEFINED
from edge_agent.model import Batch, Event, Quality, Schema, Value, ValueType

GRACE_NS: Final = 90_000_000_000  # a reading up to a minute behind the boundary may be its nearest
ISSUED: Final = (Period.HOUR, Period.DAY, Period.MONTH)
_MOST_MISSED: Final = 48  # periods told of after a pause; older ones are a gap in the record
_KEPT_NS: Final = 63 * 24 * HOUR


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio of totals. ``formula`` and ``condition`` read counters, by key, as amounts in the period.
    Undefined unless ``condition`` (a bool; None: always) holds: where nothing was produced there is no
    kWh/kg."""

    name: str
    formula: Formula
    condition: Formula | None = None


class Periods:
    """``names``: of the counters, in columns and events. Batches carry the period's start as their time.
    ``latest``: the last batch of each period, also after a restart."""

    def __init__(
        self,
        device: str,
        config_version: str,
        counters: Mapping[str, Counter],
        names: Mapping[str, str],
        figures: Sequence[Figure],
        calendar: Calendar,
    ) -> None:
        self.calendar = calendar
        self.counters = counters
        self.figures = figures
        self.config_version = config_version
        self.totals = {key: Totals(calendar) for key in counters}
        self.latest: dict[Period, Batch] = {}
        self._device = device
        self._names = names
        self._schemas = {p: self._schema(p) for p in ISSUED}
        self._open: dict[Period, tuple[int, int]] = {}
        self._closed: dict[Period, list[list[int]]] = {p: [] for p in ISSUED}
        self._revisions: dict[tuple[str, int], int] = {}
        self._now_ns = 0

    def _schema(self, period: Period) -> Schema:
        columns: list[tuple[str, str]] = []
        for key, counter in self.counters.items():
            name = f"{self._names[key]}.{period}"
            columns += [(name, counter.spec.unit), (f"{name}.coverage", "%")]
        columns += [(f"{figure.name}.{period}", figure.formula.unit) for figure in self.figures]
        return Schema(
            self._device, f"total.{period}", self.config_version, tuple(n for n, _ in columns),
            (ValueType.FLOAT64,) * len(columns), tuple(u for _, u in columns), (None,) * len(columns),
        )  # fmt: skip

    def hear(self, key: str, heard: Heard, time_ns: int, mono_ns: int) -> list[Event]:
        """Takes what a counter said; the corrections that follow from it."""
        self._follow(time_ns)
        decided: list[int] = []
        for point in heard.points:
            decided += self.totals[key].point(point)
        events = [self._amount_event(key, late, time_ns, mono_ns) for late in heard.late]
        if decided:
            events += self._corrections(key, decided, time_ns, mono_ns)
        return events

    def tick(self, time_ns: int, mono_ns: int) -> list[tuple[Batch, Event]]:
        """Closes what is over. Call it after every batch was heard that is older than ``time_ns``."""
        if not self.counters:
            return []
        self._follow(time_ns)
        for totals in self.totals.values():
            totals.tick(self._now_ns)
        return [issued for period in ISSUED for issued in self._close(period, mono_ns)]

    def _follow(self, time_ns: int) -> None:
        """The present never goes back, unless the clock turns out to have been wrong by more than a day."""
        if self._now_ns - time_ns > 24 * HOUR:
            self._open.clear()
            self._now_ns = time_ns
        self._now_ns = max(self._now_ns, time_ns)
        for period in ISSUED:
            if period not in self._open:
                self._open[period] = self.calendar.bounds(period, self._now_ns)

    def _close(self, period: Period, mono_ns: int) -> Iterable[tuple[Batch, Event]]:
        before = start, end = self._open[period]
        while end + GRACE_NS <= self._now_ns:
            if not self._is_closed(period, start):
                self._mark_closed(period, start, end)
                yield self._issue(period, start, end, mono_ns)
            oldest = self._now_ns - _MOST_MISSED * (end - start)
            start, end = self.calendar.bounds(period, max(end, oldest))
        if (start, end) != before:
            self._open[period] = start, end
            self._forget()

    def _issue(self, period: Period, start: int, end: int, mono_ns: int) -> tuple[Batch, Event]:
        amounts = {key: totals.amount(start, end) for key, totals in self.totals.items()}
        values: list[Value] = []
        quality = bytearray()
        columns: dict[str, Any] = {}
        for key, amount in amounts.items():
            value, unit = _number(amount), self.counters[key].spec.unit
            values += [value, amount.coverage]
            quality += bytes((amount.quality, GOOD))
            columns[self._names[key]] = _column(value, unit, amount.quality, amount.coverage)
        for figure in self.figures:
            made, rated = calculate(figure, amounts)
            values.append(made)
            quality.append(rated)
            coverage = min(amounts[slot.name].coverage for slot in figure.formula.slots)
            columns[figure.name] = _column(made, figure.formula.unit, rated, coverage)
        batch = Batch(self._schemas[period], start, mono_ns, tuple(values), bytes(quality))
        self.latest[period] = batch
        detail = {
            "period": str(period), "start_ns": start, "end_ns": end, "revision": 0, "columns": columns,
            "standards": [],
        }  # fmt: skip
        return batch, Event("period_total", self._device, start, mono_ns, self.config_version, detail)

    # --- corrections -------------------------------------------------------------------------------------

    def _corrections(self, key: str, decided: Sequence[int], time_ns: int, mono_ns: int) -> list[Event]:
        """Of closed periods that could not be told when they closed."""
        affected: dict[tuple[Period, int, int], None] = {}
        for at in decided:
            for period in ISSUED:
                for inside in (at - 1, at):
                    start, end = self.calendar.bounds(period, inside)
                    if at in (start, end) and self._is_closed(period, start):
                        affected[period, start, end] = None
        events = []
        for period, start, end in affected:
            amount = self.totals[key].amount(start, end)
            if amount.value is not None:
                events.append(self._corrected(key, period, start, end, amount, time_ns, mono_ns))
        return events

    def _corrected(
        self, key: str, period: Period, start: int, end: int, amount: Amount, time_ns: int, mono_ns: int
    ) -> Event:
        place = (f"{period}/{key}", start)
        self._revisions[place] = self._revisions.get(place, 0) + 1
        detail = {
            "name": self._names[key], "period": str(period), "start_ns": start, "end_ns": end,
            "revision": self._revisions[place],
            **_column(_number(amount), self.counters[key].spec.unit, amount.quality, amount.coverage),
        }  # fmt: skip
        return Event("period_corrected", key, time_ns, mono_ns, self.config_version, detail)

    def _amount_event(self, key: str, late: Any, time_ns: int, mono_ns: int) -> Event:
        unit = self.counters[key].spec.unit
        detail = {"at_ns": late.at_ns, "amount": str(late.amount), "unit": unit, "reason": late.reason}
        return Event("amount_corrected", key, time_ns, mono_ns, self.config_version, detail)

    # --- what is closed ----------------------------------------------------------------------------------

    def _is_closed(self, period: Period, start: int) -> bool:
        return any(first <= start < end for first, end in self._closed[period])

    def _mark_closed(self, period: Period, start: int, end: int) -> None:
        ranges = self._closed[period]
        for known in ranges:
            if known[1] == start:
                known[1] = end
                return
        ranges.append([start, end])
        del ranges[:-64]

    def _forget(self) -> None:
        kept = self._now_ns - _KEPT_NS
        for totals in self.totals.values():
            totals.forget(self._now_ns - 72 * HOUR, kept)
        self._revisions = {place: n for place, n in self._revisions.items() if place[1] >= kept}

    def snapshot(self, to_wall_ns: int) -> dict[str, Any]:
        """Without the totals, which are the caller's to store."""
        return {
            "latest": {str(p): _kept(batch, to_wall_ns) for p, batch in self.latest.items()},
            "open": {str(p): list(bounds) for p, bounds in self._open.items()},
            "closed": {str(p): [list(r) for r in ranges] for p, ranges in self._closed.items()},
            "revisions": [[name, start, n] for (name, start), n in self._revisions.items()],
            "now_ns": self._now_ns,
        }

    def restore(self, saved: Mapping[str, Any], to_wall_ns: int) -> None:
        """Raises what malformed data raises, having changed nothing. What was issued with other columns is
        not among ``latest``."""
        open_ = {Period(p): (int(b[0]), int(b[1])) for p, b in saved["open"].items()}
        closed = {Period(p): [[int(a), int(b)] for a, b in ranges] for p, ranges in saved["closed"].items()}
        revisions = {(str(name), int(start)): int(n) for name, start, n in saved["revisions"]}
        now_ns, latest = int(saved["now_ns"]), {}
        for p, (names, start, wall_ns, values, quality) in saved["latest"].items():
            schema = self._schemas[Period(p)]
            if list(schema.names) == names and len(values) == len(names) == len(bytes.fromhex(quality)):
                mono_ns = int(wall_ns) - to_wall_ns
                latest[Period(p)] = Batch(schema, int(start), mono_ns, tuple(values), bytes.fromhex(quality))
        self._open, self._closed, self._revisions = open_, self._closed | closed, revisions
        self._now_ns, self.latest = now_ns, latest


def calculate(figure: Figure, amounts: Mapping[str, Amount]) -> tuple[Value, int]:
    """A figure of one period."""
    if figure.condition is not None:
        holds, quality = _evaluate(figure.condition, amounts)
        if quality >= BAD:
            return None, quality
        if not holds:
            return None, UNDEFINED
    return _evaluate(figure.formula, amounts)


def _number(amount: Amount) -> float | None:
    return None if amount.value is None else float(amount.value)


def _column(value: Value, unit: str, quality: int, coverage: float) -> dict[str, Any]:
    rated = Quality(quality).name.lower()
    return {"value": value, "unit": unit, "quality": rated, "coverage": coverage}


def _kept(batch: Batch, to_wall_ns: int) -> list[Any]:
    return [
        list(batch.schema.names), batch.time_ns, batch.mono_ns + to_wall_ns, list(batch.values),
        batch.quality.hex(),
    ]  # fmt: skip


def _evaluate(formula: Formula, amounts: Mapping[str, Amount]) -> tuple[Value, int]:
    found = [amounts[slot.name] for slot in formula.slots]
    values = [None if a.value is None else float(a.value) for a in found]
    return formula.evaluate(values, [a.quality for a in found])

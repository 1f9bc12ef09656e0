"""One counter's amounts per hour, day and month: the difference of its total at two boundaries.

The total at a boundary is that of the nearest reading within a minute, else interpolated (estimated), else
unknown. Hours, days and months share their boundaries, so 24 hours add up to their day exactly. What was
decided is never decided anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from edge_agent.accounting.calendar import HOUR, MINUTE, Calendar, Period
from edge_agent.accounting.counter import Point
from edge_agent.accounting.decimals import EXACT
from edge_agent.expression.rating import BAD, ESTIMATED, GOOD, UNCERTAIN

NEAR_NS: Final = MINUTE
LONGEST_NS: Final = 62 * 24 * HOUR  # a longer silence is a new beginning
WRONG_NS: Final = 24 * HOUR  # set back so far, the clock had been wrong; less than that is waited out
STEP_NS: Final = MINUTE  # the wall clock ran so much ahead of the monotonic one: it was set, not elapsed
_DOUBTFUL: Final = frozenset({"reset", "jump", "multiplier", "uncertain", "clock_step"})
_SMALLEST: Final = Decimal("1e-9")


class Boundary(NamedTuple):
    """``gap_ns``: between the readings it was interpolated from, 0 for a reading. ``step_ns``: not 0 where
    the clock was set forward over it; boundaries of one step share it."""

    total: Decimal
    gap_ns: int = 0
    step_ns: int = 0


class Amount(NamedTuple):
    """``value`` is None where ``quality`` is bad. ``coverage``: percent of the period that was not
    silence."""

    value: Decimal | None
    quality: int
    coverage: float


@dataclass(slots=True)
class Odd:
    """What was odd in one hour."""

    gap_ns: int
    marks: set[str]


class Totals:
    """Fed with every point of its counter, and with the time."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._last: Point | None = None  # its time never goes back
        self._mono_known = True
        self._next = 0
        self._boundaries: dict[int, Boundary] = {}
        self._odd: dict[int, Odd] = {}

    def point(self, point: Point) -> list[int]:
        """Takes the next point; the boundaries that it decided."""
        last = self._last
        if last is None or point.time_ns - last.time_ns > LONGEST_NS:
            self._begin(point)
            return []
        if last.time_ns - point.time_ns > WRONG_NS:
            self._boundaries = {at: b for at, b in self._boundaries.items() if at <= point.time_ns}
            self._begin(point)
            return []
        stepped = self._mono_known and (
            point.time_ns - last.time_ns - (point.mono_ns - last.mono_ns) > STEP_NS
        )
        set_back = point.time_ns < last.time_ns
        point = point._replace(time_ns=max(point.time_ns, last.time_ns))
        decided = []
        while self._next <= point.time_ns:
            self._boundaries[self._next] = _between(last, point, self._next, stepped)
            decided.append(self._next)
            self._forward()
        self._note(last, point, "clock_step" if stepped or set_back else "")
        self._last, self._mono_known = point, True
        return decided

    def tick(self, time_ns: int) -> None:
        """A boundary whose nearest reading can only be the last one is decided without waiting for the
        next."""
        last = self._last
        while last is not None and time_ns > self._next + NEAR_NS and last.time_ns >= self._next - NEAR_NS:
            self._boundaries[self._next] = Boundary(last.total)
            self._forward()

    def amount(self, start: int, end: int) -> Amount:
        """Of the period [start, end), as far as it is known."""
        first, last = self._boundaries.get(start), self._boundaries.get(end)
        if first is None or last is None:
            return Amount(None, BAD, 0.0)
        if max(first.gap_ns, last.gap_ns) > end - start or (first.step_ns and first.step_ns == last.step_ns):
            return Amount(None, BAD, 0.0)
        quality, silent_ns = GOOD, 0
        for hour, odd in self._odd.items():
            if start <= hour < end:
                silent_ns += odd.gap_ns
                if odd.marks & _DOUBTFUL:
                    quality = UNCERTAIN
        if first.gap_ns or last.gap_ns or first.step_ns or last.step_ns:
            quality = ESTIMATED
        coverage = 100.0 * max(0.0, 1 - silent_ns / (end - start))
        return Amount(EXACT.subtract(last.total, first.total), quality, coverage)

    def forget(self, hours_before: int, all_before: int) -> None:
        """Drops boundaries within days before the one moment, and everything before the other."""
        for at in [at for at in self._boundaries if at < hours_before]:
            if at < all_before or self.calendar.bounds(Period.DAY, at)[0] != at:
                del self._boundaries[at]
        for at in [at for at in self._odd if at < all_before]:
            del self._odd[at]

    def _begin(self, point: Point) -> None:
        start, self._next = self.calendar.bounds(Period.HOUR, point.time_ns)
        if point.time_ns - start <= NEAR_NS and self._last is None:
            self._boundaries[start] = Boundary(point.total)
        self._last, self._mono_known = point, True

    def _forward(self) -> None:
        self._next = self.calendar.bounds(Period.HOUR, self._next)[1]

    def _note(self, last: Point, point: Point, mark: str) -> None:
        marks = {m for m in (mark, point.mark) if m}
        if not marks and not point.gap_ns:
            return
        hour, end = self.calendar.bounds(Period.HOUR, last.time_ns)
        while hour <= point.time_ns:
            silent_ns = min(end, point.time_ns) - max(hour, last.time_ns) if point.gap_ns else 0
            odd = self._odd.setdefault(hour, Odd(0, set()))
            odd.gap_ns += max(0, silent_ns)
            odd.marks |= marks
            hour, end = self.calendar.bounds(Period.HOUR, end)

    def snapshot(self) -> dict[str, Any]:
        last = self._last
        return {
            "last": None if last is None else [last.time_ns, str(last.total)],
            "next": self._next,
            "boundaries": [[at, str(b.total), b.gap_ns, b.step_ns] for at, b in self._boundaries.items()],
            "odd": [[hour, odd.gap_ns, sorted(odd.marks)] for hour, odd in self._odd.items()],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        last = saved["last"]
        boundaries = {int(at): Boundary(Decimal(t), int(g), int(s)) for at, t, g, s in saved["boundaries"]}
        odd = {int(hour): Odd(int(gap), set(marks)) for hour, gap, marks in saved["odd"]}
        self._last = None if last is None else Point(int(last[0]), 0, Decimal(last[1]))
        self._next, self._mono_known = int(saved["next"]), False
        self._boundaries, self._odd = boundaries, odd


def _between(before: Point, after: Point, at: int, stepped: bool) -> Boundary:
    earlier, later = at - before.time_ns, after.time_ns - at
    if stepped:
        return Boundary(before.total, 0, after.time_ns)
    if min(earlier, later) <= NEAR_NS:
        return Boundary(before.total if earlier <= later else after.total)
    rise = EXACT.multiply(EXACT.subtract(after.total, before.total), Decimal(earlier))
    share = EXACT.divide(rise, Decimal(earlier + later)).quantize(_SMALLEST, context=EXACT)
    return Boundary(EXACT.add(before.total, share), earlier + later)

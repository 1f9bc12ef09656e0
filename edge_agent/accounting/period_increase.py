"""The increase of a counter in each period, from its total: a number that only grows.

What was counted between two readings belongs to the time between them, in equal parts. A longer silence than
the counter's ``max_gap`` is given to no minute: its increase stands in the hour or the day that holds both
readings, or, across midnight, in none of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from edge_agent.accounting.calendar import HOUR
from edge_agent.accounting.period_time import DAY, floor
from edge_agent.config.period_values import PeriodTag
from edge_agent.model import Batch, Level

if TYPE_CHECKING:
    from edge_agent.accounting.period_book import PeriodBook


class Increase:
    """Of one counter. ``place``: among the tags of its book."""

    def __init__(self, place: int, tag: PeriodTag, book: PeriodBook) -> None:
        self._place = place
        self._tag = tag
        self._book = book
        self._max_gap_ns = round(tag.max_age_s * 1e9)
        self._total: Decimal | None = None
        self._time_ns = 0

    def say(self, time_ns: int, total: Decimal) -> None:
        """The total with a reading of that moment."""
        before, from_ns = self._total, self._time_ns
        self._total, self._time_ns = total, time_ns
        cells = self._book.cells_of_sample(floor(time_ns, self._book.minute_ns))
        if cells is not None:
            shown = float(total)
            cells[self._place].add(1, 0.0, shown, shown, shown, time_ns)
        if before is None or total < before or time_ns <= from_ns:
            return
        if time_ns - from_ns <= self._max_gap_ns:
            self._spread(float(total - before), from_ns, time_ns)
        else:
            self._late(float(total - before), from_ns, time_ns)

    def _spread(self, amount: float, from_ns: int, to_ns: int) -> None:
        """Over the minutes between two readings; the share of one that has been told goes to the next."""
        minute_ns, owed = self._book.minute_ns, 0.0
        start_ns = floor(from_ns, minute_ns)
        while start_ns < to_ns:
            held_ns = min(start_ns + minute_ns, to_ns) - max(start_ns, from_ns)
            share = amount if held_ns == to_ns - from_ns else amount * held_ns / (to_ns - from_ns)
            cells = self._book.cells(start_ns)
            if cells is None:
                owed += share
            else:
                cells[self._place].total += share + owed
                cells[self._place].known_ns += held_ns
                owed = 0.0
            start_ns += minute_ns

    def _late(self, amount: float, from_ns: int, to_ns: int) -> None:
        for level, length_ns in ((Level.HOUR, HOUR), (Level.DAY, DAY)):
            start_ns = floor(from_ns, length_ns)
            if start_ns == floor(to_ns, length_ns) and start_ns not in self._book.told[level]:
                whole = self._book.wholes(level, start_ns)[self._place]
                whole.total = (whole.total or 0.0) + amount
                return

    def recall(self, told: Batch, start_ns: int, end_ns: int) -> None:
        """What was told of this minute before a restart stands; counting goes on from its end."""
        names = {name: index for index, name in enumerate(told.schema.names)}
        wanted = [names.get(f"{self._tag.tag.tag}.{figure}", -1) for figure in ("sum", "last", "coverage")]
        cells = self._book.cells(start_ns)
        if min(wanted) < 0 or cells is None:
            return
        amount, shown, coverage = (told.values[index] for index in wanted)
        cell = cells[self._place]
        if isinstance(shown, (int, float)):
            cell.add(1, 0.0, shown, shown, shown, end_ns - 1)
        if isinstance(amount, (int, float)) and isinstance(coverage, (int, float)):
            if self._total is not None and self._time_ns < end_ns:  # the total at the end of the minute
                self._total += Decimal(repr(float(amount - cell.total)))
                self._time_ns = end_ns
            cell.total, cell.known_ns = amount, round(coverage / 100 * (end_ns - start_ns))

    def snapshot(self) -> list[Any]:
        return [None if self._total is None else str(self._total), self._time_ns]

    def restore(self, saved: list[Any]) -> None:
        total, self._time_ns = saved
        self._total = None if total is None else Decimal(total)

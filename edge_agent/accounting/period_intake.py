"""The samples of one poll group, on their way into the minutes of its device.

Batches are kept as they come and folded column by column: a sample of a chosen tag costs about as much as
adding it up four times. A value holds until the next batch speaks of it, at most ``max_age_ns``, and never
into a minute that has been told. Where the clock was set back, the same time is gone through again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter, mul
from typing import Any, Final, NamedTuple, Protocol

from edge_agent.accounting.period_beside import Watched
from edge_agent.accounting.period_cells import Cell
from edge_agent.expression.rating import BAD, NO_STATEMENT, UNCERTAIN
from edge_agent.model import Batch, Quality, Schema, Value

_FOLD: Final = 64  # rows that are kept before they are folded
_UNCHANGED: Final = int(Quality.UNCHANGED)
_STOPPED: Final = int(Quality.UNCERTAIN_STOPPED)
_WAITING: Final = int(Quality.WAITING)
_HELD: Final = 0xFF  # not said anew: the value of before still holds


@dataclass(frozen=True, slots=True)
class Column:
    """One chosen tag of the group. ``index``: in the schema; ``place``: among the device's tags; ``timed``:
    its values are weighted by time; ``flow``: what weighs its samples; ``uncertain`` ones count."""

    index: int
    place: int
    timed: bool
    uncertain: bool
    flow: Watched | None


class _Row(NamedTuple):
    """``quality``: None where everything is good; ``flows``: of the columns that are weighted."""

    time_ns: int
    values: Sequence[Value]
    quality: Sequence[int] | None
    flows: tuple[float | None, ...] = ()


class Minutes(Protocol):
    """What an intake needs of its book."""

    minute_ns: int

    def cells_of_sample(self, start_ns: int) -> list[Cell] | None: ...

    def cells(self, start_ns: int) -> list[Cell] | None: ...

    def late(self, samples: int, time_ns: int) -> None: ...


class Intake:
    def __init__(self, schema: Schema, columns: Sequence[Column], max_age_ns: int, minutes: Minutes) -> None:
        self.columns = tuple(columns)
        self.newest_ns = 0
        self._minutes = minutes
        self._minute_ns = minutes.minute_ns
        self._max_age_ns = max_age_ns
        self._start_ns = -1  # of the minute that the rows belong to; -1: of none
        self._end_ns = -1
        self._rows: list[_Row] = []
        self._carry: _Row | None = None  # holds on into a minute of which nothing has come yet
        self._carried_ns = 0  # so far it has been booked
        self._good = bytes(len(schema.names))
        indices = [column.index for column in columns]
        self._all = indices == list(range(len(schema.names)))
        self._pick = _picker(indices)
        self._flows = [column.flow for column in columns if column.flow is not None]
        self._said: list[int] | None = None  # when each was last spoken of; None: with the newest row

    def put(self, batch: Batch) -> None:
        time_ns = batch.time_ns
        values = batch.values if self._all else self._pick(batch.values)
        quality: Sequence[int] | None = None
        if batch.quality != self._good:
            quality = self._pick(batch.quality)
            if max(quality) >= NO_STATEMENT:
                values, quality = self._filled(values, quality, time_ns)
            else:
                self._said = None
        elif self._said is not None:
            self._said = None
        flows = tuple(flow.at(time_ns) for flow in self._flows)
        row = _Row(time_ns, values, quality, flows)
        if self._start_ns <= time_ns < self._end_ns and time_ns >= self.newest_ns:
            self._rows.append(row)
            if len(self._rows) >= _FOLD:
                self._fold(time_ns, keep=True)
            self.newest_ns = time_ns
        else:
            self._elsewhere(row)

    def _elsewhere(self, row: _Row) -> None:
        """Not simply the next one of its minute."""
        start_ns = row.time_ns - row.time_ns % self._minute_ns
        if self._minutes.cells_of_sample(start_ns) is None:
            said = sum(q < NO_STATEMENT for q in row.quality) if row.quality else len(row.values)
            self._minutes.late(said, row.time_ns)
            return
        if row.time_ns < self.newest_ns:  # the clock was set back: this time comes once more
            self._fold(self.newest_ns)
        else:
            self.settle(start_ns)
            if self._carry is not None:
                self._hold(self._carry, max(start_ns, self._carried_ns), row.time_ns)
        self._carry = None
        self._start_ns, self._end_ns = start_ns, start_ns + self._minute_ns
        self._rows.append(row)
        self.newest_ns = row.time_ns

    def settle(self, to_ns: int) -> None:
        """Books everything up to the beginning of that minute."""
        if self._rows and self._end_ns <= to_ns:
            self._settle(self._end_ns)
        while self._carry is not None and self._carried_ns < to_ns:
            start_ns = self._carried_ns
            self._carried_ns = start_ns - start_ns % self._minute_ns + self._minute_ns
            if not self._hold(self._carry, start_ns, self._carried_ns):
                self._carry = None

    def pause(self) -> None:
        """Books every sample; for how long the last ones hold is booked when more comes."""
        if self._rows:
            self._settle(self.newest_ns)

    def _settle(self, end_ns: int) -> None:
        self._carry, self._carried_ns = self._rows[-1] if self._rows else None, end_ns
        self._fold(end_ns)
        self._start_ns = self._end_ns = -1

    def _hold(self, row: _Row, start_ns: int, end_ns: int) -> bool:
        """The last row's values in a part of a minute of which nothing has come; whether they still hold."""
        held_ns = min(end_ns, row.time_ns + self._max_age_ns) - start_ns
        if held_ns <= 0:
            return False
        cells = self._minutes.cells(start_ns - start_ns % self._minute_ns)
        for place, column in enumerate(self.columns if cells is not None else ()):
            value: Any = row.values[place]
            quality = row.quality[place] if row.quality else 0
            if (
                cells is not None
                and self._usable(value, quality, column)
                and self._weight(row, column) is not None
            ):
                cells[column.place].hold(value, held_ns)
                if column.timed:
                    cells[column.place].span(value, value)
        return True

    # --- folding -------------------------------------------------------------------------------------------

    def _fold(self, end_ns: int, *, keep: bool = False) -> None:
        """Books the rows. ``keep``: the last one stays, for how long it holds is not known yet."""
        rows = self._rows
        if not rows:
            return
        times = [row.time_ns for row in rows]
        limit_ns = self._max_age_ns
        held = [min(b - a, limit_ns) for a, b in zip(times, [*times[1:], end_ns], strict=True)]
        self._rows = []
        if keep:
            self._rows = [rows[-1]]
            rows, held = rows[:-1], held[:-1]
        cells = self._minutes.cells(self._start_ns)
        if rows and cells is not None:
            self._add(cells, rows, held)

    def _add(self, cells: list[Cell], rows: Sequence[_Row], held: Sequence[int]) -> None:
        columns: Any = zip(*[row.values for row in rows], strict=True)
        whole_ns, count, last_ns = sum(held), len(rows), rows[-1].time_ns
        rated: Any = None
        if not all(row.quality is None for row in rows):
            good = self._good
            rated = list(zip(*[row.quality or good[: len(self.columns)] for row in rows], strict=True))
        for place, (column, values) in enumerate(zip(self.columns, columns, strict=True)):
            cell = cells[column.place]
            if column.flow is not None or (rated is not None and any(rated[place])):
                qualities = rated[place] if rated is not None else (0,) * count
                self._one_by_one(cell, column, rows, values, qualities, held)
                continue
            cell.add(count, sum(values), min(values), max(values), values[-1], last_ns)
            cell.known_ns += whole_ns
            if column.timed:
                cell.area += sum(map(mul, values, held))

    def _one_by_one(
        self,
        cell: Cell,
        column: Column,
        rows: Sequence[_Row],
        values: Sequence[Any],
        rated: Sequence[int],
        held: Sequence[int],
    ) -> None:
        for row, value, quality, held_ns in zip(rows, values, rated, held, strict=True):
            flow = self._weight(row, column)
            if not self._usable(value, quality, column) or flow is None:
                if quality != _HELD and quality < NO_STATEMENT:
                    cell.wrong(quality)
                continue
            cell.hold(value, held_ns)
            if quality == _HELD:
                if held_ns and column.timed:
                    cell.span(value, value)
                continue
            cell.add(1, value, value, value, value, row.time_ns)
            if column.flow is not None:
                cell.flow += flow
                cell.mass += flow * value

    def _usable(self, value: Value, quality: int, column: Column) -> bool:
        if not isinstance(value, (bool, int, float)) or (BAD <= quality < _HELD) or value - value != 0:
            return False
        return quality < UNCERTAIN or quality == _HELD or (column.uncertain and quality != _STOPPED)

    def _filled(
        self, values: Sequence[Value], quality: Sequence[int], time_ns: int
    ) -> tuple[Sequence[Value], Sequence[int]]:
        """What a report leaves out is as it was; what is vouched for is a sample of the same value."""
        width = len(values)
        before = self._rows[-1] if self._rows else self._carry
        old = before.values if before is not None else (None,) * width
        rated = (before.quality or bytes(width)) if before is not None else (_WAITING,) * width
        said = self._said or [self.newest_ns] * width
        filled, found = list(values), list(quality)
        for i, stated in enumerate(quality):
            if stated < NO_STATEMENT:
                said[i] = time_ns
                continue
            filled[i] = old[i]
            good = self._usable(old[i], rated[i], self.columns[i])
            if stated == _UNCHANGED:
                said[i] = time_ns
                found[i] = 0 if good else rated[i] if rated[i] < NO_STATEMENT else _WAITING
            elif good and time_ns - said[i] <= self._max_age_ns:
                found[i] = _HELD
            else:
                found[i], filled[i] = NO_STATEMENT, None
        self._said = said
        return filled, found

    def _weight(self, row: _Row, column: Column) -> float | None:
        return row.flows[self._flows.index(column.flow)] if column.flow is not None else 1.0


def _picker(indices: Sequence[int]) -> Callable[[Any], Any]:
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda row: (row[indices[0]],)

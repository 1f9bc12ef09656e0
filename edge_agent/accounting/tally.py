"""Minimum, maximum, mean and coverage of the values of one poll group, per minute, hour and day.

A value holds until the next batch, but no longer than ``max_age_ns``; the mean is weighted by that time, and
the coverage is the share of the period in which a usable value held. Values are engineering values; of on/off
tags the mean is the share of time on. A minute is folded column by column; hours and days are merged from
minutes.
What is stamped before an open minute is late: it is counted, not mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from typing import Any, Final

from edge_agent.accounting.calendar import HOUR, Calendar, Period
from edge_agent.expression.rating import BAD, ENOUGH, GOOD, NO_STATEMENT, UNCERTAIN
from edge_agent.model import Batch, Quality, Schema, Value, ValueType, engineering

GRACE_NS: Final = 5_000_000_000
_FOLD: Final = 64  # rows that are kept before they are folded
_LEVELS: Final = (Period.MINUTE, Period.HOUR, Period.DAY)
_COLUMNS: Final = ("min", "max", "avg", "coverage", "count")
_UNCHANGED: Final = int(Quality.UNCHANGED)

Row = tuple[int, int, tuple[Value, ...], bytes]
"""How long it held, 1 for a batch or 0 for the rest of one that was cut, values, quality."""


class Cell:
    """One tag in one period, raw."""

    __slots__ = ("area", "count", "high", "low", "weight_ns", "worst")

    def __init__(self) -> None:
        self.area: float = 0
        self.weight_ns = 0
        self.low: Any = None
        self.high: Any = None
        self.worst = GOOD
        self.count = 0

    def add(self, area: float, weight_ns: int, low: Any, high: Any, worst: int, count: int) -> None:
        self.area += area
        self.weight_ns += weight_ns
        if self.low is None or low < self.low:
            self.low = low
        if self.high is None or high > self.high:
            self.high = high
        self.worst = max(self.worst, worst)
        self.count += count

    def merge(self, other: Cell) -> None:
        if other.low is not None:
            self.add(other.area, other.weight_ns, other.low, other.high, other.worst, other.count)

    def as_list(self) -> list[Any]:
        return [self.area, self.weight_ns, self.low, self.high, self.worst, self.count]


class Tally:
    """One poll group. ``late``: batches that came for a minute already closed."""

    def __init__(self, schema: Schema, calendar: Calendar, max_age_ns: int) -> None:
        self.schema = schema
        self.calendar = calendar
        self.max_age_ns = max_age_ns
        self.late = 0
        self._indices = [i for i, t in enumerate(schema.types) if t is not ValueType.STRING]
        self._out = {level: self._period_schema(level) for level in _LEVELS}
        self._open: dict[Period, tuple[int, int]] = {}
        self._cells = {level: [Cell() for _ in self._indices] for level in _LEVELS}
        self._rows: list[Row] = []
        self._values: tuple[Value, ...] = ()
        self._quality = b""
        self._from_ns = 0  # up to where the newest values were booked
        self._until_ns = 0  # how long they may hold
        self._new = 0
        self._heard = False  # anything at all in the open minute
        self._all_ns = 0  # when a batch last spoke of all tags
        self._said: list[int] | None = None  # since then: when each was last spoken of
        self._mono_ns: int | None = None

    def _period_schema(self, level: Period) -> Schema:
        names, types, units = [], [], []
        for i in self._indices:
            name, unit = self.schema.names[i], self.schema.units[i]
            names += [f"{name}.{column}" for column in _COLUMNS]
            types += [ValueType.FLOAT64] * 4 + [ValueType.INT64]
            units += [unit, unit, unit, "%", ""]
        s = self.schema
        return Schema(
            s.device, f"{s.group}.{level}", s.config_version, tuple(names), tuple(types), tuple(units),
            (None,) * len(names),
        )  # fmt: skip

    def put(self, batch: Batch) -> list[tuple[Period, Batch]]:
        """Books a batch; the periods that are over with it."""
        if self._mono_ns is not None and batch.mono_ns < self._mono_ns:
            return []
        time_ns, self._mono_ns = batch.time_ns, batch.mono_ns
        if self._open and time_ns < self._open[Period.MINUTE][0]:
            if self._open[Period.MINUTE][0] - time_ns <= 24 * HOUR:
                self.late += 1
                return []
            self._start_anew(time_ns)  # the clock had been wrong by more than a day
        issued = list(self._advance(time_ns, batch.mono_ns)) if self._open else []
        if not self._open:
            self._start_anew(time_ns)
        self._hold(max(time_ns, self._from_ns))
        self._renew(batch, self._from_ns)
        return issued

    def tick(self, time_ns: int, mono_ns: int) -> list[tuple[Period, Batch]]:
        """The periods that are over by now."""
        if not self._open or time_ns < self._open[Period.MINUTE][1] + GRACE_NS:
            return []
        return list(self._advance(time_ns - GRACE_NS, mono_ns))

    def _start_anew(self, time_ns: int) -> None:
        self._open = {level: self.calendar.bounds(level, time_ns) for level in _LEVELS}
        self._cells = {level: [Cell() for _ in self._indices] for level in _LEVELS}
        self._rows, self._from_ns, self._until_ns, self._new = [], time_ns, 0, 0

    def _renew(self, batch: Batch, time_ns: int) -> None:
        """The batch's values hold from now on; of tags it does not speak of, the former ones."""
        values, quality = batch.values, batch.quality
        if max(quality, default=0) >= NO_STATEMENT:
            values, quality = self._filled(values, quality, time_ns)
        else:
            self._said, self._all_ns = None, time_ns
        self._values, self._quality = values, quality
        self._until_ns, self._new = time_ns + self.max_age_ns, 1

    def _filled(
        self, values: Sequence[Value], quality: bytes, time_ns: int
    ) -> tuple[tuple[Value, ...], bytes]:
        width = len(values)
        if not self._values:
            self._values, self._quality = (None,) * width, bytes([Quality.WAITING]) * width
        said = self._said or [self._all_ns] * width
        filled, rated = list(values), bytearray(quality)
        for i, found in enumerate(quality):
            if found >= NO_STATEMENT:
                filled[i], rated[i] = self._values[i], self._quality[i]
            if found < NO_STATEMENT or found == _UNCHANGED:
                said[i] = time_ns
            elif time_ns - said[i] > self.max_age_ns and rated[i] < BAD:
                rated[i] = Quality.STALE
        self._said = said
        return tuple(filled), bytes(rated)

    def _hold(self, to_ns: int) -> None:
        """Books the newest values up to that moment."""
        if self._values:
            held_ns = max(0, min(to_ns, self._until_ns) - self._from_ns)
            if held_ns or self._new:
                self._heard = True
                self._rows.append((held_ns, self._new, self._values, self._quality))
                if len(self._rows) >= _FOLD:
                    self._fold()
            self._new = 0
        self._from_ns = to_ns

    def _advance(self, to_ns: int, mono_ns: int) -> Iterable[tuple[Period, Batch]]:
        """Closes every period that ends at or before ``to_ns``. Periods of which nothing at all was heard are
        a gap in the record: no batch."""
        while to_ns >= self._open[Period.MINUTE][1]:
            end = self._open[Period.MINUTE][1]
            self._hold(end)
            self._fold()
            if self._heard:
                yield Period.MINUTE, self._batch(Period.MINUTE, mono_ns)
            self._heard = False
            self._up(Period.MINUTE, Period.HOUR)
            following = to_ns if self._until_ns < end else end
            for level, above in ((Period.HOUR, Period.DAY), (Period.DAY, None)):
                if self._open[level][1] <= following:
                    yield level, self._batch(level, mono_ns)
                    self._up(level, above)
                    self._open[level] = self.calendar.bounds(level, following)
            self._open[Period.MINUTE] = self.calendar.bounds(Period.MINUTE, following)

    def _up(self, level: Period, above: Period | None) -> None:
        if above is not None:
            for cell, whole in zip(self._cells[level], self._cells[above], strict=True):
                whole.merge(cell)
        self._cells[level] = [Cell() for _ in self._indices]

    def _fold(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        cells = self._cells[Period.MINUTE]
        columns = list(zip(*(row[2] for row in rows), strict=True))
        weights = [row[0] for row in rows]
        if not any(map(any, (row[3] for row in rows))):
            whole_ns, count = sum(weights), sum(row[1] for row in rows)
            for cell, i in zip(cells, self._indices, strict=True):
                column: Any = columns[i]
                cell.add(sum(map(mul, column, weights)), whole_ns, min(column), max(column), GOOD, count)
            return
        for cell, i in zip(cells, self._indices, strict=True):
            for (weight_ns, new, _, quality), value in zip(rows, columns[i], strict=True):
                if quality[i] < BAD and isinstance(value, (bool, int, float)):
                    cell.add(value * weight_ns, weight_ns, value, value, quality[i], new)

    def _batch(self, level: Period, mono_ns: int) -> Batch:
        start, end = self._open[level]
        values: list[Value] = []
        quality = bytearray()
        for cell, i in zip(self._cells[level], self._indices, strict=True):
            scaling = self.schema.scaling[i]
            covered = min(1.0, cell.weight_ns / (end - start))
            if cell.low is None:
                values += [None, None, None, covered * 100, cell.count]
                quality += bytes([Quality.BAD, Quality.BAD, Quality.BAD, GOOD, GOOD])
                continue
            mean = cell.area / cell.weight_ns if cell.weight_ns else cell.high
            ends = [_number(engineering(v, scaling)) for v in (cell.low, cell.high)]
            values += [min(ends), max(ends), _number(engineering(mean, scaling)), covered * 100, cell.count]
            rated = cell.worst if covered >= ENOUGH else max(cell.worst, UNCERTAIN)
            quality += bytes([rated, rated, rated, GOOD, GOOD])
        return Batch(self._out[level], start, mono_ns, tuple(values), bytes(quality))

    def snapshot(self) -> dict[str, Any]:
        """Of the open periods. What the newest values held since is booked first."""
        self._fold()
        return {
            "digest": self.schema.digest,
            "open": {str(level): list(bounds) for level, bounds in self._open.items()},
            "cells": {str(level): [c.as_list() for c in cells] for level, cells in self._cells.items()},
            "newest": [list(self._values), self._quality.hex(), self._from_ns, self._until_ns, self._new],
            "said": [self._all_ns, self._said],
            "heard": self._heard,
            "late": self.late,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Of the same schema only: else the open periods begin anew."""
        if saved["digest"] != self.schema.digest:
            return
        self._open = {Period(level): (int(b[0]), int(b[1])) for level, b in saved["open"].items()}
        for level, cells in saved["cells"].items():
            for cell, item in zip(self._cells[Period(level)], cells, strict=True):
                cell.area, cell.weight_ns, cell.low, cell.high, cell.worst, cell.count = item
        values, quality, self._from_ns, self._until_ns, self._new = saved["newest"]
        self._values, self._quality, self.late = tuple(values), bytes.fromhex(quality), int(saved["late"])
        self._heard = bool(saved["heard"])
        self._all_ns, self._said = saved["said"]


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (bool, int, float)) else 0.0

"""One tag in one period: what is gathered, and the figures and the flag that follow from it.

A minute is gathered from samples (``Cell``), an hour from its minutes and a day from its hours (``Whole``).
Each closes as a ``Part``. Nothing is filled in: what is not known lowers ``coverage``, and a figure without
anything valid behind it does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.config.period_values import Mean, PeriodTag
from edge_agent.model import Quality, Value, engineering

NORMAL: Final = "N"
FAULT: Final = "D"
STOPPED: Final = "F"
MAINTENANCE: Final = "M"
CALIBRATION: Final = "C"
COMMUNICATION: Final = "B"
ATTENDED: Final = MAINTENANCE + CALIBRATION  # measured, but not the process

_BAD: Final = {COMMUNICATION: Quality.BAD_COMM}
_TIMED: Final = (Mean.TIME, Mean.COUNTER)


@dataclass(frozen=True, slots=True)
class Part:
    """A closed period, in engineering units. ``known_ns``: for how long the value was known; ``area``: value
    times that time; ``flow``, ``mass``: sums of the weights and of the weighted values."""

    flag: str = COMMUNICATION
    avg: float | None = None
    count: int = 0
    total: float | None = None
    low: Any = None
    high: Any = None
    last: Any = None
    known_ns: int = 0
    area: float = 0.0
    flow: float = 0.0
    mass: float = 0.0


class Cell:
    """The samples of one minute, raw. ``count``: valid ones; the others by what was wrong with them. ``area``
    is value times nanoseconds."""

    __slots__ = (
        "area", "comm", "count", "flow", "high", "known_ns", "last", "last_ns", "low", "mass", "other",
        "stopped", "total",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.total: Any = 0
        self.low: Any = None
        self.high: Any = None
        self.last: Any = None
        self.last_ns = 0
        self.known_ns = 0
        self.area: Any = 0
        self.flow = 0.0
        self.mass = 0.0
        self.comm = self.stopped = self.other = 0

    def add(self, count: int, total: Any, low: Any, high: Any, last: Any, last_ns: int) -> None:
        self.count += count
        self.total += total
        self.span(low, high)
        if last_ns >= self.last_ns:
            self.last, self.last_ns = last, last_ns

    def span(self, low: Any, high: Any) -> None:
        if self.low is None or low < self.low:
            self.low = low
        if self.high is None or high > self.high:
            self.high = high

    def hold(self, value: Any, held_ns: int) -> None:
        """A value was known for so long."""
        self.known_ns += held_ns
        self.area += value * held_ns

    def wrong(self, quality: int, times: int = 1) -> None:
        if quality == Quality.BAD_COMM:
            self.comm += times
        elif quality == Quality.UNCERTAIN_STOPPED:
            self.stopped += times
        else:
            self.other += times

    def as_list(self) -> list[Any]:
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def of(cls, saved: Sequence[Any]) -> Cell:
        cell = cls()
        for name, value in zip(cls.__slots__, saved, strict=True):
            setattr(cell, name, value)
        return cell

    def close(self, tag: PeriodTag, length_ns: int, attended: str) -> Part:
        """``attended``: M, C or nothing."""
        scale, offset = (tag.scaling.scale, tag.scaling.offset) if tag.scaling else (1, 0)
        area = self.area * scale + self.known_ns * offset
        total: float | None = None
        if tag.mean is Mean.COUNTER:
            total = self.total if self.known_ns else None
        elif tag.integral_s is not None:
            total = area / (tag.integral_s * 1e9) if self.known_ns else None
        elif self.count:
            total = self.total * scale + self.count * offset
        mass = self.mass * scale + self.flow * offset
        avg = self._avg(tag, area, mass, scale, offset)
        found = () if tag.mean is Mean.COUNTER or self.low is None else (self.low, self.high)
        ends = sorted(_number(engineering(value, tag.scaling)) for value in found)
        flag = attended or self._flag(tag, length_ns, avg)
        last = None if self.last is None else _number(engineering(self.last, tag.scaling))
        low, high = (ends[0], ends[-1]) if ends else (None, None)
        return Part(flag, avg, self.count, total, low, high, last, self.known_ns, area, self.flow, mass)

    def _avg(self, tag: PeriodTag, area: float, mass: float, scale: float, offset: float) -> float | None:
        if tag.mean is Mean.TIME:
            return area / self.known_ns if self.known_ns else None
        if tag.mean is Mean.FLOW:
            return mass / self.flow if self.flow else None
        if tag.mean is Mean.COUNTER or not self.count:
            return None
        return float(self.total / self.count * scale + offset)

    def _flag(self, tag: PeriodTag, length_ns: int, avg: float | None) -> str:
        wrong = self.comm + self.stopped + self.other
        if tag.mean in _TIMED:
            enough = self.known_ns > 0 and self.known_ns * 100 >= tag.share * length_ns
        else:
            enough = avg is not None and self.count * 100 >= tag.share * (self.count + wrong)
        if enough and self.count >= tag.min_samples:
            return NORMAL
        if not (self.count or wrong or self.known_ns):
            return COMMUNICATION
        votes = {COMMUNICATION: self.comm, STOPPED: self.stopped, FAULT: self.other}
        return most_of(votes)


class Whole:
    """The parts of one hour or day. ``flags``: how many of them bear each letter. What was measured under
    maintenance or calibration is not the process: of such a part nothing but its letter is taken."""

    __slots__ = (
        "area", "avgs", "count", "flags", "flow", "high", "known_ns", "last", "low", "mass", "total",
    )  # fmt: skip

    def __init__(self) -> None:
        self.flags: dict[str, int] = {}
        self.avgs = 0.0
        self.count = 0
        self.total: float | None = None
        self.low: Any = None
        self.high: Any = None
        self.last: Any = None
        self.known_ns = 0
        self.area = 0.0
        self.flow = 0.0
        self.mass = 0.0

    def add(self, part: Part) -> None:
        self.flags[part.flag] = self.flags.get(part.flag, 0) + 1
        if part.flag in ATTENDED:
            return
        if part.flag == NORMAL:
            self.avgs += part.avg or 0.0
            self.flow += part.flow
            self.mass += part.mass
        self.count += part.count
        if part.total is not None:
            self.total = (self.total or 0.0) + part.total
        for value in (part.low, part.high):
            if value is not None:
                self.low = value if self.low is None else min(self.low, value)
                self.high = value if self.high is None else max(self.high, value)
        if part.last is not None:
            self.last = part.last
        self.known_ns += part.known_ns
        self.area += part.area

    def as_list(self) -> list[Any]:
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def of(cls, saved: Sequence[Any]) -> Whole:
        whole = cls()
        for name, value in zip(cls.__slots__, saved, strict=True):
            setattr(whole, name, value)
        return whole

    def close(self, tag: PeriodTag, length_ns: int, parts: int, needed: int) -> Part:
        """``parts``: of how many it should be made; ``needed``: how many must be normal."""
        normal = self.flags.get(NORMAL, 0)
        avg = None
        if tag.mean is Mean.SAMPLES and normal:
            avg = self.avgs / normal
        elif tag.mean is Mean.FLOW and self.flow:
            avg = self.mass / self.flow
        elif tag.mean is Mean.TIME and self.known_ns:
            avg = self.area / self.known_ns
        if tag.mean in _TIMED:
            enough = self.known_ns > 0 and self.known_ns * 100 >= tag.share * length_ns
        else:
            enough = avg is not None and normal * 100 >= tag.share * parts
        flag = NORMAL if enough and normal >= needed else self._abnormal()
        return Part(
            flag, avg, self.count, self.total, self.low, self.high, self.last, self.known_ns,
            self.area, self.flow, self.mass,
        )  # fmt: skip

    def _abnormal(self) -> str:
        return most_of({flag: count for flag, count in self.flags.items() if flag != NORMAL})


def most_of(votes: dict[str, int]) -> str:
    """The letter that more than half of what is not normal bears; D where none does."""
    whole = sum(votes.values())
    return next((flag for flag, count in votes.items() if count * 2 > whole), FAULT)


def figures(part: Part, tag: PeriodTag, length_ns: int) -> tuple[list[Value], bytes]:
    """In the order of ``PERIOD_FIGURES``. Counts, coverage and flag are always good: they are facts."""
    there = Quality.GOOD if part.flag == NORMAL else Quality.UNCERTAIN_ESTIMATED
    absent = Quality.UNDEFINED if part.flag == NORMAL else _BAD.get(part.flag, Quality.BAD)
    measured = [part.avg, part.low, part.high, part.total, part.last]
    rated = bytes(absent if value is None else there for value in measured)
    coverage = round(min(part.known_ns, length_ns) / length_ns * 100, 3)
    return [*measured, part.count, coverage, part.flag], rated + bytes(3)


def _number(value: Value) -> float | int:
    if isinstance(value, bool):
        return float(value)
    return value if isinstance(value, (int, float)) else 0.0

"""A day's readings, and what must be told of them: recomputed from the readings alone, with fractions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from edge_agent.model import Batch, ClockState, Quality, Schema, ValueType

STEP_S = 4
PER_MINUTE = 60 // STEP_S
MINUTES = 1440
TAGS = ("so2", "dust")
SCHEMA = Schema("stack", "fast", "day", TAGS, (ValueType.INT32,) * 2, ("mg/m3",) * 2, (None,) * 2)


@dataclass(frozen=True, slots=True)
class Reading:
    """``values``: None where the instrument gave none."""

    time_ns: int
    values: tuple[int | None, ...]

    def batch(self, mono_ns: int) -> Batch:
        marks = bytes(Quality.GOOD if v is not None else Quality.BAD_DEVICE for v in self.values)
        return Batch(SCHEMA, self.time_ns, mono_ns, self.values, marks, None, ClockState.SYNCHRONISED)


def day(begin_ns: int, seed: int) -> Iterator[Reading]:
    """One in thirty readings is missing; now and then an instrument is out for some minutes."""
    random = Random(seed)
    out = {tag: random.sample(range(MINUTES), 40) for tag in TAGS}
    for number in range(MINUTES * PER_MINUTE):
        minute = number // PER_MINUTE
        values = []
        for tag in TAGS:
            gone = any(0 <= minute - start < 2 for start in out[tag]) or random.random() < 1 / 30
            values.append(None if gone else random.randrange(1, 4000))
        yield Reading(begin_ns + number * STEP_S * 1_000_000_000, tuple(values))


@dataclass(frozen=True, slots=True)
class Told:
    """One factor in one period."""

    flag: str
    avg: Fraction | None = None
    low: int | None = None
    high: int | None = None


def expected(readings: list[Reading], place: int) -> dict[str, list[Told]]:
    """By command, in order: minutes of the valid readings, hours of the normal minutes, the day of the
    normal hours; normal is what has three quarters of what it should be made of."""
    minutes = [
        _minute([r.values[place] for r in readings[at : at + PER_MINUTE]])
        for at in range(0, len(readings), PER_MINUTE)
    ]
    hours = [_whole(minutes[at : at + 60]) for at in range(0, MINUTES, 60)]
    return {"2051": minutes, "2061": hours, "2031": [_whole(hours)]}


def _minute(values: list[int | None]) -> Told:
    valid = [v for v in values if v is not None]
    if not valid:
        return Told("D")
    flag = "N" if 4 * len(valid) >= 3 * len(values) else "D"
    return Told(flag, Fraction(sum(valid), len(valid)), min(valid), max(valid))


def _whole(parts: list[Told]) -> Told:
    normal = [p.avg for p in parts if p.flag == "N" and p.avg is not None]
    lows = [p.low for p in parts if p.low is not None]
    highs = [p.high for p in parts if p.high is not None]
    flag = "N" if 4 * len(normal) >= 3 * len(parts) else "D"
    avg = sum(normal, Fraction()) / len(normal) if normal else None
    return Told(flag, avg, min(lows, default=None), max(highs, default=None))

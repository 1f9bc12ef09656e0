"""Limits of a window: where it ends, where an excursion clears, and the same in raw units.

A technician writes 0.3 and the PLC says raw 3 with scale 0.1, which in binary is 0.30000000000000004. That
value *is* on the limit, and limits are inclusive. So each limit is moved outwards by what rounding can do,
and by nothing more: to the nearest number the value's own type can hold, and by a few units in the last
place where scaling, a tolerance or a deadband was computed. A fixed limit on an unscaled tag is compared
exactly.
"""

from __future__ import annotations

import math
import struct
import sys
from functools import lru_cache
from typing import NamedTuple

from edge_agent.model import Scaling, ValueType, engineering

LARGEST = sys.float_info.max  # infinity is no measurement: it must never pass as "below no limit"
_ROUNDINGS = 4  # raw * scale + offset rounds at most three times, scale itself once
_HALF_FLOAT32_STEP = 2.0**28  # a float32 has 29 bits less than a float64
_NUDGES = 64


class Edges(NamedTuple):
    """Engineering units, inclusive. Inside: low..high. An excursion clears within clear_low..clear_high."""

    low: float
    high: float
    clear_low: float
    clear_high: float


class Fence(NamedTuple):
    """Inside ``low``..``high`` (engineering units, inclusive) no limit of the window is exceeded. A raw value
    between the raw ones is surely inside and plausible; both None where no such promise can be made. One per
    window and long-lived, hence one flat tuple."""

    low: float
    high: float
    raw_low: float | None
    raw_high: float | None


REGARDLESS = Fence(0.0, 0.0, None, None)
"""Stands for: whatever the value is, nothing changes."""

DISCRETE = Fence(-LARGEST, LARGEST, None, None)
"""Of a window whose source is no number: what is allowed is told apart from this."""


@lru_cache(maxsize=256)
def fence(
    low: float,
    high: float,
    type_: ValueType,
    scaling: Scaling | None,
    least: float | None = None,
    most: float | None = None,
) -> Fence:
    """``low``, ``high``: edges (see there), the innermost of all limits. ``least``, ``most``: what is
    plausible. Tags of a kind often have the same limits: they then share one."""
    inside = Edges(low, high, low, high)
    if least is not None or most is not None:
        believed = edges(least, most, 0.0, type_, scaling)
        inside = Edges(max(low, believed.low), min(high, believed.high), low, high)
    raw = raw_bounds(inside, type_, scaling)
    return Fence(low, high, *(raw or (None, None)))


def edges(
    low: float | None,
    high: float | None,
    deadband: float,
    type_: ValueType,
    scaling: Scaling | None,
    blur: float | None = None,
) -> Edges:
    """``blur``: how far the limits themselves may be off (see ``target_blur``); None: they are as written."""
    outer_low = -LARGEST if low is None else _outwards(low, -1, type_, scaling, blur)
    outer_high = LARGEST if high is None else _outwards(high, +1, type_, scaling, blur)
    if deadband == 0:
        return Edges(outer_low, outer_high, outer_low, outer_high)
    clear_low = -LARGEST if low is None else _outwards(low + deadband, -1, type_, scaling, blur or 0.0)
    clear_high = LARGEST if high is None else _outwards(high - deadband, +1, type_, scaling, blur or 0.0)
    return Edges(outer_low, outer_high, clear_low, clear_high)


def target_blur(centre: float, tolerance: float, type_: ValueType, scaling: Scaling | None) -> float:
    """By how much ``centre`` +- ``tolerance`` may miss the sum that a person would write."""
    scale, offset = (1.0, 0.0) if scaling is None else (scaling.scale, scaling.offset)
    blur = _ROUNDINGS * math.ulp(max(abs(centre), abs(tolerance), abs(offset), abs(centre - offset)))
    if type_ is ValueType.FLOAT32 and scale != 0:
        blur += math.ulp((centre - offset) / scale) * _HALF_FLOAT32_STEP * abs(scale)
    return blur


def _outwards(
    limit: float, sign: int, type_: ValueType, scaling: Scaling | None, blur: float | None
) -> float:
    furthest = max if sign > 0 else min
    moved = limit
    if type_ is ValueType.FLOAT32:
        moved = furthest(limit, _as_float32_says_it(limit, scaling))
    if scaling is not None or blur is not None:
        offset = scaling.offset if scaling else 0.0
        rounding = _ROUNDINGS * math.ulp(max(abs(limit), abs(offset), abs(limit - offset)))
        moved += sign * (rounding + (blur or 0.0))
    return moved


def _as_float32_says_it(limit: float, scaling: Scaling | None) -> float:
    if scaling is not None and scaling.scale == 0:
        return limit
    raw = limit if scaling is None else (limit - scaling.offset) / scaling.scale
    try:
        nearest = struct.unpack("<f", struct.pack("<f", raw))[0]
    except OverflowError:
        return limit
    value = engineering(nearest, scaling)
    return value if isinstance(value, float) else limit


def raw_bounds(
    inside: Edges, type_: ValueType, scaling: Scaling | None
) -> tuple[float | int, float | int] | None:
    """Bounds such that every raw number between them (inclusive) is inside, judged by ``engineering``; None
    where no such promise can be made. They may be tighter than the truth, never wider.

    ``engineering`` is monotonic in the raw value (a product and a sum, each correctly rounded), so it is
    enough that both bounds themselves are inside.
    """
    if not type_.is_numeric:
        return None
    if scaling is None:
        return _of_type(inside.low, inside.high, type_)
    if not (math.isfinite(scaling.scale) and math.isfinite(scaling.offset)) or scaling.scale == 0:
        return None
    ends = [(edge - scaling.offset) / scaling.scale for edge in (inside.low, inside.high)]
    low, high = (max(-LARGEST, min(LARGEST, end)) for end in sorted(ends))
    tight_low = _pull_in(low, high, inside, scaling)
    tight_high = _pull_in(high, low, inside, scaling)
    if tight_low is None or tight_high is None or tight_low > tight_high:
        return None
    return _of_type(tight_low, tight_high, type_)


def _of_type(low: float, high: float, type_: ValueType) -> tuple[float | int, float | int]:
    """Whole numbers for whole numbers: comparing an int with a float costs twice as much."""
    return (low, high) if type_.is_float else (math.ceil(low), math.floor(high))


def _pull_in(bound: float, towards: float, inside: Edges, scaling: Scaling) -> float | None:
    """The bound, moved inwards until it is inside; None if a few roundings do not get it there."""
    for _ in range(_NUDGES):
        value = engineering(bound, scaling)
        if isinstance(value, float) and inside.low <= value <= inside.high:
            return bound
        bound = math.nextafter(bound, towards)
    return None

"""Engineering value -> raw value: the exact inverse of ``model.engineering``, or a reason why not."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

from edge_agent.control.guard.refusal import Reason
from edge_agent.model import Scaling, Tag, Value, ValueType, engineering

_RANGES = {
    ValueType.INT8: (-(2**7), 2**7 - 1),
    ValueType.UINT8: (0, 2**8 - 1),
    ValueType.INT16: (-(2**15), 2**15 - 1),
    ValueType.UINT16: (0, 2**16 - 1),
    ValueType.INT32: (-(2**31), 2**31 - 1),
    ValueType.UINT32: (0, 2**32 - 1),
    ValueType.INT64: (-(2**63), 2**63 - 1),
    ValueType.UINT64: (0, 2**64 - 1),
}


class Unmappable(ValueError):
    """``reason``: TYPE, NOT_A_NUMBER or TYPE_RANGE. ``raw``: what it would have been, for people."""

    def __init__(self, reason: Reason, raw: object = "-") -> None:
        self.reason = reason
        self.raw = raw
        super().__init__(str(reason))


def highest_raw(kind: ValueType) -> int:
    """Of an integer type."""
    return _RANGES[kind][1]


def to_raw(value: Any, tag: Tag) -> Value:
    """The raw value nearest to ``value``; nothing is clipped and no type bent. Raises Unmappable."""
    if tag.type is ValueType.BOOL:
        if not isinstance(value, bool):
            raise Unmappable(Reason.TYPE)
        return value
    if tag.type is ValueType.STRING or isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unmappable(Reason.TYPE)
    if isinstance(value, float) and not math.isfinite(value):
        raise Unmappable(Reason.NOT_A_NUMBER)
    raw = _float(value, tag) if tag.type.is_float else _integer(value, tag)
    if raw in tag.no_value:  # the device would take it for "there is no value"
        raise Unmappable(Reason.TYPE_RANGE, raw)
    return raw


def meaning(raw: Value, tag: Tag) -> Fraction | None:
    """The raw value in its unit, without the rounding of binary arithmetic: scale and offset count as the
    decimal numbers that were written. None for what is no number."""
    if raw is None or isinstance(raw, (bool, str)):
        return None
    return _exact(raw) * _exact(_scaling(tag).scale) + _exact(_scaling(tag).offset)


def within(raw: Value, tag: Tag, low: float, high: float) -> bool:
    """Whether what is written lies in the envelope, limits included. A float may round up to half of its own
    last digit beyond the limit that was written in decimals."""
    if isinstance(raw, bool):
        return low <= int(raw) <= high
    value = meaning(raw, tag)
    if value is None:
        return False
    slack = half_step(raw, tag) if tag.type.is_float else Fraction(0)
    return _exact(low) - slack <= value <= _exact(high) + slack


def farther(raw: Value, other: Value, tag: Tag, limit: float) -> bool:
    """Whether two raw values are more than ``limit`` apart, in engineering units."""
    one, two = meaning(raw, tag), meaning(other, tag)
    if one is None or two is None:
        return False
    slack = half_step(raw, tag) + half_step(other, tag) if tag.type.is_float else Fraction(0)
    return abs(one - two) > _exact(limit) + slack


def same(raw: Value, other: Value, tag: Tag, tolerance: float = 0.0) -> bool:
    """Whether two raw values mean the same: of integers and booleans exactly, of floats to half of their
    last digit; ``tolerance`` in engineering units comes on top."""
    if raw is None or other is None or isinstance(raw, bool) is not isinstance(other, bool):
        return False
    if meaning(raw, tag) is None or meaning(other, tag) is None:
        return raw == other
    return not farther(raw, other, tag, tolerance)


def towards(raw: Value, target: Value, tag: Tag, max_step: float | None) -> Value:
    """The raw value nearest to ``target`` that is no more than ``max_step`` from ``raw``."""
    if max_step is None or not farther(raw, target, tag, max_step):
        return target
    assert isinstance(raw, (int, float)) and isinstance(target, (int, float))
    counts = _exact(max_step) / abs(_exact(_scaling(tag).scale))
    sign = 1 if target > raw else -1
    return raw + sign * int(counts) if isinstance(raw, int) else raw + sign * float(counts)


def steps(raw: Value, target: Value, tag: Tag, max_step: float | None) -> int:
    """How many writes lead from ``raw`` to ``target``; at least one."""
    if max_step is None or not farther(raw, target, tag, max_step):
        return 1
    assert isinstance(raw, (int, float)) and isinstance(target, (int, float))
    counts = _exact(max_step) / abs(_exact(_scaling(tag).scale))
    whole = counts if isinstance(raw, float) else Fraction(int(counts))
    return 1 if whole == 0 else math.ceil(abs(_exact(target) - _exact(raw)) / whole)


def half_step(raw: Value, tag: Tag) -> Fraction:
    """Half of what one raw count means, in engineering units; of a float half its last digit."""
    scale = abs(_exact(_scaling(tag).scale))
    if not isinstance(raw, float):
        return scale / 2
    bits = 24 if tag.type is ValueType.FLOAT32 else 53
    smallest = 2.0**-149 if bits == 24 else math.ulp(0.0)
    return Fraction(max(2.0 ** (math.frexp(raw)[1] - bits), smallest)) / 2 * scale


def _integer(value: float, tag: Tag) -> int:
    scaling = tag.scaling
    if scaling is None:
        raw = value if isinstance(value, int) else round(value)
    else:
        exact = _inverse(value, scaling)
        raw = round(exact)
    low, high = _RANGES[tag.type]
    if not low <= raw <= high:
        raise Unmappable(Reason.TYPE_RANGE, raw)
    returned = engineering(raw, scaling)
    assert isinstance(returned, (int, float))
    # Beyond 2**53 a float value stands for many counts: what comes back must be the same float.
    if returned != value and abs(_exact(returned) - _exact(value)) > half_step(raw, tag):
        raise Unmappable(Reason.TYPE_RANGE, raw)
    return raw


def _float(value: float, tag: Tag) -> float:
    scaling = tag.scaling
    try:
        raw = float(value) if scaling is None else float(_inverse(value, scaling))
        if tag.type is ValueType.FLOAT32:
            raw = float(struct.unpack(">f", struct.pack(">f", raw))[0])
    except OverflowError:
        raise Unmappable(Reason.TYPE_RANGE, value) from None
    returned = engineering(raw, scaling)
    if not isinstance(returned, (int, float)) or not math.isfinite(returned):
        raise Unmappable(Reason.TYPE_RANGE, raw)
    largest = max(abs(returned), abs(_scaling(tag).offset), abs(value))
    slack = 2 * half_step(raw, tag) + 2 * Fraction(math.ulp(largest))  # the arithmetic of both ways
    if abs(_exact(returned) - _exact(value)) > slack:
        raise Unmappable(Reason.TYPE_RANGE, raw)
    return raw


def _inverse(value: float, scaling: Scaling) -> Fraction:
    scale = _exact(scaling.scale)
    if scale == 0:
        raise Unmappable(Reason.TYPE_RANGE)
    return (_exact(value) - _exact(scaling.offset)) / scale


def _scaling(tag: Tag) -> Scaling:
    return tag.scaling or _PLAIN


def _exact(number: float) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(Decimal(repr(number)))


_PLAIN = Scaling()

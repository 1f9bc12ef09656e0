"""Many windows in one comparison: the values of a batch as lanes of one long whole number.

A loop over windows touches three objects per window, and once a second none of them is in the processor's
cache any more. Here the columns that quiet windows read are packed side by side into one number, each in a
lane of its own with an empty guard bit on top. One addition and one subtraction of such numbers then compare
every column with its two bounds: a guard bit that is gone afterwards says that some value lies outside.

    lane of a uint16, low 300, high 500:   guard + value - 300  keeps its guard bit  <=>  value >= 300
                                           guard + 500 - value  keeps its guard bit  <=>  value <= 500

Whole numbers with a sign are moved up so that the smallest becomes 0 (their sign bit is inverted). A float is
taken as its 64 bits: without the sign bit, which serves as the guard, they are in the order of the magnitude.
No lane ever borrows from its neighbour or carries into it, whatever the value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from edge_agent.model import Value, ValueType

_EXACT = 2.0**53  # from here on whole numbers are rounded when they are packed as a float
_SIGN = 63


class Column(NamedTuple):
    """A column of the batch and the bounds of one window that reads it; several windows may read the same."""

    place: int
    type: ValueType
    low: float | int
    high: float | int


class Lanes:
    """``hold`` promises in one direction only: True means that every value is within its bounds; False that
    one is not, or that it has to be looked at singly (no number, not a number, not of its type)."""

    __slots__ = ("_ceilings", "_choose", "_deltas", "_flips", "_floors", "_guards", "_pack", "_signs")

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        """``width``: how many values a batch has. ``columns``: at least one, of numeric types."""
        known: dict[tuple[Any, ...], _Lane] = {}
        lanes = [known.get(key := column[1:]) or known.setdefault(key, _lane(*key)) for column in columns]
        places = [column.place for column in columns]
        self._choose = None if places == list(range(width)) else _chooser(places)
        self._pack = struct.Struct("<" + "".join([lane.format for lane in lanes])).pack
        self._guards = _joined([lane.guard for lane in lanes])
        self._floors = _joined([lane.floor for lane in lanes])
        self._ceilings = _joined([lane.ceiling for lane in lanes])
        self._flips = _joined([lane.flip for lane in lanes])
        self._signs = _joined([lane.sign for lane in lanes])
        self._deltas = _joined([lane.delta for lane in lanes])

    def hold(self, values: tuple[Value, ...]) -> bool:
        chosen = values if self._choose is None else self._choose(values)
        try:
            number = int.from_bytes(self._pack(*chosen), "little")
        except struct.error:
            return False
        ceilings, guards = self._ceilings, self._guards
        if self._flips:
            number ^= self._flips
        signs = number & self._signs
        if signs:  # floats below zero: their magnitude counts, against the ceiling for such
            number ^= signs
            ceilings ^= self._deltas & (signs - (signs >> _SIGN))
        return (number + self._floors) & (ceilings - number) & guards == guards


class _Lane(NamedTuple):
    """One lane of each of the long numbers, as bytes. ``delta``: what turns the ceiling into the one for the
    magnitude of a negative float."""

    format: str
    guard: bytes
    floor: bytes
    ceiling: bytes
    flip: bytes
    sign: bytes
    delta: bytes


_WHOLE = {  # format, bits, signed; the upper half of a lane stays empty
    ValueType.UINT8: ("H2x", 16, False),
    ValueType.UINT16: ("H2x", 16, False),
    ValueType.UINT32: ("I4x", 32, False),
    ValueType.UINT64: ("Q8x", 64, False),
    ValueType.INT8: ("h2x", 16, True),
    ValueType.INT16: ("h2x", 16, True),
    ValueType.INT32: ("i4x", 32, True),
    ValueType.INT64: ("q8x", 64, True),
}


def _lane(type_: ValueType, low: float | int, high: float | int) -> _Lane:
    if type_.is_float:
        return _float_lane(float(low), float(high))
    format_, bits, signed = _WHOLE[type_]
    return _whole_lane(format_, bits, signed, math.ceil(low), math.floor(high))


def _whole_lane(format_: str, bits: int, signed: bool, low: int, high: int) -> _Lane:
    zero = 1 << (bits - 1) if signed else 0
    guard, largest, size = 1 << (2 * bits - 1), (1 << bits) - 1, bits // 4
    floor, ceiling = max(0, low + zero), min(largest, high + zero)
    if floor > ceiling:  # no value of this type is inside
        floor, ceiling = guard, 0
    none = bytes(size)

    def packed(number: int) -> bytes:
        return number.to_bytes(size, "little")

    return _Lane(
        format_, packed(guard), packed(guard - floor), packed(guard | ceiling), packed(zero), none, none
    )


def _float_lane(low: float, high: float) -> _Lane:
    if abs(low) >= _EXACT:  # a whole number just beyond would be rounded onto the bound
        low = math.nextafter(low, math.inf)
    if abs(high) >= _EXACT:
        high = math.nextafter(high, -math.inf)
    guard = 1 << _SIGN
    floor, above, below = guard, 0, 0  # no value is inside
    if low <= high:
        floor = 0 if low <= 0 <= high else min(_bits(low), _bits(high))
        above = _bits(high) if high > 0 else 0
        below = _bits(low) if low < 0 else 0
    pack = struct.Struct("<Q").pack
    return _Lane(
        "d", pack(guard), pack(guard - floor), pack(guard | above), bytes(8), pack(guard), pack(above ^ below)
    )


def _bits(value: float) -> int:
    """Of the magnitude: whole numbers in the order of the values, from 0 upwards."""
    return int.from_bytes(struct.pack("<d", abs(value)), "little")


def _chooser(places: list[int]) -> Callable[[tuple[Value, ...]], tuple[Value, ...]]:
    if len(places) == 1:  # one place would give the value itself instead of a tuple; a slice gives one
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places)


def _joined(parts: Sequence[bytes]) -> int:
    return int.from_bytes(b"".join(parts), "little")

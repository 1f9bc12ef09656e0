"""Bytes of one reply -> values. Everything that can be decided is decided when the plan is made.

The trick that keeps the hot path in C: swapping the bytes inside every register of a reply turns BADC into
ABCD and CDAB into DCBA. So each order is one of two byte strings (as received, or swapped) read with one of
two ``struct`` directions, and a block needs one ``struct`` per order in use, usually one for all of it. Gaps
are ``x`` pad bytes; values that overlap go into a struct of their own. Strings and BCD take a Python call per
value; only a block that holds one pays for that.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from struct import Struct
from typing import Any

from drivers.modbus.kinds import KINDS, ByteOrder, bcd, text_decoder

Unpack = Callable[[bytes], Sequence[Any]]
_Convert = Callable[[Any], Any]

_EIGHT_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Field:
    """One value in a block: its offset in registers from the block's start; ``bit`` for a bool, ``high``
    where it is one byte of a register, ``length`` in bytes and ``encoding`` of a string."""

    offset: int
    kind: str
    order: ByteOrder = ByteOrder.ABCD
    bit: int | None = None
    high: bool | None = None
    length: int = 1
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class BlockCodec:
    """How to read one reply. ``unpack`` takes exactly the reply's data bytes and gives ``width`` columns;
    ``columns`` tells, for each field in the order given, which of them is its value. ``has_floats``: all
    columns are numbers, and one may be NaN or infinite. ``may_fail``: a column may be None; its bytes were
    no value."""

    unpack: Unpack
    width: int
    columns: tuple[int, ...]
    has_floats: bool
    may_fail: bool = False


@dataclass(frozen=True, slots=True, order=True)
class _Slot:
    """Bytes of the reply that ``struct`` reads as one, shared by all fields made of them."""

    start: int
    size: int
    format: str
    order: ByteOrder


def compile_registers(fields: Sequence[Field], count: int) -> BlockCodec:
    """For a reply of ``count`` registers that holds all the fields; they may overlap and repeat."""
    lanes = _lanes({_slot(field) for field in fields})
    column = {slot: index for index, slot in enumerate(chain.from_iterable(lanes))}
    unpack = _join([_lane_unpack(lane, 2 * count) for lane in lanes])

    bits = sorted({(column[_slot(f)], f.bit) for f in fields if f.bit is not None})
    if bits:
        unpack = _with_bits(unpack, tuple((index, 1 << bit) for index, bit in bits))
    derived: dict[tuple[int, Any], int] = {
        key: len(column) + index for index, key in enumerate(bits)
    }  # (column it is made of, how) -> its own column

    converted = sorted({(column[_slot(f)], _conversion(f)) for f in fields if _conversion(f)})
    derived |= {key: len(column) + len(bits) + index for index, key in enumerate(converted)}
    floats = {column[_slot(f)] for f in fields if KINDS[f.kind].value.is_float}
    if converted:
        converters = tuple((index, _converter(how)) for index, how in converted)
        unpack = _with_conversions(unpack, converters, tuple(sorted(floats)))

    columns = tuple(derived.get((column[_slot(f)], _derivation(f)), column[_slot(f)]) for f in fields)
    width = len(column) + len(derived)
    return BlockCodec(unpack, width, columns, bool(floats) and not converted, bool(converted))


def compile_bits(offsets: Sequence[int], count: int) -> BlockCodec:
    """For a reply of ``count`` coils or inputs: a column per bit, eight to a byte, lowest first."""

    def unpack(data: bytes) -> Sequence[bool]:
        return tuple(chain.from_iterable(map(_EIGHT_BITS.__getitem__, data)))

    return BlockCodec(unpack, (count + 7) // 8 * 8, tuple(offsets), has_floats=False)


def _slot(field: Field) -> _Slot:
    kind, start, order = KINDS[field.kind], 2 * field.offset, field.order
    if kind.name == "string":  # its registers stand in reading order whatever the order of numbers is
        order = ByteOrder.BADC if order.low_byte_first else ByteOrder.ABCD
        return _Slot(start, field.length, f"{field.length}s", order)
    if field.high is not None:
        first = field.high is (order.direction == ">")
        return _Slot(start + (not first), 1, kind.format, order)
    return _Slot(start, 2 * kind.registers, kind.format, order)


def _conversion(field: Field) -> str:
    """How the value is made of what ``struct`` read; "" where it is that already."""
    if field.kind == "string":
        return field.encoding
    return "bcd" if KINDS[field.kind].is_bcd else ""


def _derivation(field: Field) -> Any:
    return _conversion(field) if field.bit is None else field.bit


def _converter(how: str) -> _Convert:
    return bcd if how == "bcd" else text_decoder(how)


def _lanes(slots: set[_Slot]) -> list[list[_Slot]]:
    """Slots that one struct can read: of one byte order, ascending, without overlap."""
    lanes: list[list[_Slot]] = []
    for slot in sorted(slots):
        for lane in lanes:
            last = lane[-1]
            if last.order is slot.order and last.start + last.size <= slot.start:
                lane.append(slot)
                break
        else:
            lanes.append([slot])
    return lanes


def _lane_unpack(lane: Sequence[_Slot], size: int) -> Unpack:
    text, position = lane[0].order.direction, 0
    for slot in lane:
        text += _padding(slot.start - position) + slot.format
        position = slot.start + slot.size
    unpack = Struct(text + _padding(size - position)).unpack
    return _swapped(unpack) if lane[0].order.swaps else unpack


def _padding(size: int) -> str:
    return f"{size}x" if size else ""


def _swapped(unpack: Callable[[Any], Sequence[Any]]) -> Unpack:
    def swap_and_unpack(data: bytes) -> Sequence[Any]:
        words = array("H", data)
        words.byteswap()
        return unpack(words)

    return swap_and_unpack


def _join(lanes: Sequence[Unpack]) -> Unpack:
    if len(lanes) == 1:
        return lanes[0]

    def unpack_all(data: bytes) -> Sequence[Any]:
        return tuple(chain.from_iterable([lane(data) for lane in lanes]))

    return unpack_all


def _with_bits(unpack: Unpack, bits: Sequence[tuple[int, int]]) -> Unpack:
    def unpack_with_bits(data: bytes) -> Sequence[Any]:
        numbers = unpack(data)
        return (*numbers, *[numbers[index] & mask != 0 for index, mask in bits])

    return unpack_with_bits


def _with_conversions(
    unpack: Unpack, conversions: Sequence[tuple[int, _Convert]], floats: Sequence[int]
) -> Unpack:
    def unpack_and_convert(data: bytes) -> Sequence[Any]:
        values = list(unpack(data))
        for index in floats:
            if not isfinite(values[index]):
                values[index] = None
        values += [convert(values[index]) for index, convert in conversions]
        return values

    return unpack_and_convert

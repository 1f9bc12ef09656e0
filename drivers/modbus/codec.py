"""Bytes of one reply -> values. Everything that can be decided is decided when the plan is made.

Byte orders, by the places of the bytes of a value whose most significant byte is A:

====  =======  =======  ===============  ==============================================
name  2 bytes  4 bytes  8 bytes          in words
====  =======  =======  ===============  ==============================================
ABCD  A B      A B C D  A B C D E F G H  big-endian throughout; what the standard says
BADC  B A      B A D C  B A D C F E H G  bytes swapped inside each register
CDAB  A B      C D A B  G H E F C D A B  registers in reverse order ("low word first")
DCBA  B A      D C B A  H G F E D C B A  little-endian throughout
====  =======  =======  ===============  ==============================================

A bit of a register is a bit of the 16-bit number that the order makes of that register.

The trick that keeps the hot path in C: swapping the bytes inside every register of a reply turns BADC into
ABCD and CDAB into DCBA. So each order is one of two byte strings (as received, or swapped) read with one of
two ``struct`` directions, and a block needs one ``struct`` per order in use, usually one for all of it. Gaps
are ``x`` pad bytes; values that overlap go into a struct of their own.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from struct import Struct
from typing import Any

from edge_agent.model import ValueType

Unpack = Callable[[bytes], Sequence[Any]]


class ByteOrder(StrEnum):
    ABCD = "ABCD"
    BADC = "BADC"
    CDAB = "CDAB"
    DCBA = "DCBA"

    @property
    def swaps(self) -> bool:
        """Whether the bytes of each register are swapped before ``struct`` reads them."""
        return self in (ByteOrder.BADC, ByteOrder.CDAB)

    @property
    def direction(self) -> str:
        return ">" if self in (ByteOrder.ABCD, ByteOrder.BADC) else "<"


_FORMATS = {
    ValueType.BOOL: "H",  # a bit of a register
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT32: "f",
    ValueType.FLOAT64: "d",
}
_REGISTERS = {"h": 1, "H": 1, "i": 2, "I": 2, "f": 2, "q": 4, "Q": 4, "d": 4}
_EIGHT_BITS = tuple(tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256))

REGISTER_TYPES = tuple(kind for kind in _FORMATS if kind is not ValueType.BOOL)


def registers_of(kind: ValueType) -> int:
    """How many registers a value of this type takes. KeyError for a type Modbus cannot carry here."""
    return _REGISTERS[_FORMATS[kind]]


@dataclass(frozen=True, slots=True)
class Field:
    """One value in a block: its offset in registers from the block's start; ``bit`` for a bool."""

    offset: int
    kind: ValueType
    order: ByteOrder = ByteOrder.ABCD
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class BlockCodec:
    """How to read one reply. ``unpack`` takes exactly the reply's data bytes and gives ``width`` columns;
    ``columns`` tells, for each field in the order given, which of them is its value. ``has_floats``: a
    column may be NaN or infinite."""

    unpack: Unpack
    width: int
    columns: tuple[int, ...]
    has_floats: bool


@dataclass(frozen=True, slots=True, order=True)
class _Slot:
    """A number in the reply, shared by all fields that are it or a bit of it."""

    offset: int
    registers: int
    format: str
    order: ByteOrder


def compile_registers(fields: Sequence[Field], count: int) -> BlockCodec:
    """For a reply of ``count`` registers that holds all the fields; they may overlap and repeat."""
    lanes = _lanes({_slot(field) for field in fields})
    column = {slot: index for index, slot in enumerate(chain.from_iterable(lanes))}
    bits = sorted({(column[_slot(f)], f.bit) for f in fields if f.bit is not None})
    bit_column = {key: len(column) + index for index, key in enumerate(bits)}
    columns = tuple(
        column[_slot(f)] if f.bit is None else bit_column[column[_slot(f)], f.bit] for f in fields
    )
    unpack = _join([_lane_unpack(lane, count) for lane in lanes])
    if bits:
        unpack = _with_bits(unpack, tuple((index, 1 << bit) for index, bit in bits))
    has_floats = any(field.kind.is_float for field in fields)
    return BlockCodec(unpack, len(column) + len(bits), columns, has_floats)


def compile_bits(offsets: Sequence[int], count: int) -> BlockCodec:
    """For a reply of ``count`` coils or inputs: a column per bit, eight to a byte, lowest first."""

    def unpack(data: bytes) -> Sequence[bool]:
        return tuple(chain.from_iterable(map(_EIGHT_BITS.__getitem__, data)))

    return BlockCodec(unpack, (count + 7) // 8 * 8, tuple(offsets), has_floats=False)


def _slot(field: Field) -> _Slot:
    text = _FORMATS[field.kind]
    return _Slot(field.offset, _REGISTERS[text], text, field.order)


def _lanes(slots: set[_Slot]) -> list[list[_Slot]]:
    """Slots that one struct can read: of one byte order, ascending, without overlap."""
    lanes: list[list[_Slot]] = []
    for slot in sorted(slots):
        for lane in lanes:
            last = lane[-1]
            if last.order is slot.order and last.offset + last.registers <= slot.offset:
                lane.append(slot)
                break
        else:
            lanes.append([slot])
    return lanes


def _lane_unpack(lane: Sequence[_Slot], count: int) -> Unpack:
    text, position = lane[0].order.direction, 0
    for slot in lane:
        text += _padding(slot.offset - position) + slot.format
        position = slot.offset + slot.registers
    unpack = Struct(text + _padding(count - position)).unpack
    return _swapped(unpack) if lane[0].order.swaps else unpack


def _padding(registers: int) -> str:
    return f"{2 * registers}x" if registers else ""


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

"""Every type in every byte order, against numbers worked out here from single bytes, without ``struct``."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.codec import (
    REGISTER_TYPES,
    ByteOrder,
    Field,
    compile_bits,
    compile_registers,
    registers_of,
)
from edge_agent.model import ValueType

# On the wire, most significant byte of the value called A. Written out, not computed.
WIRE = {
    ("ABCD", 2): "AB",
    ("BADC", 2): "BA",
    ("CDAB", 2): "AB",
    ("DCBA", 2): "BA",
    ("ABCD", 4): "ABCD",
    ("BADC", 4): "BADC",
    ("CDAB", 4): "CDAB",
    ("DCBA", 4): "DCBA",
    ("ABCD", 8): "ABCDEFGH",
    ("BADC", 8): "BADCFEHG",
    ("CDAB", 8): "GHEFCDAB",
    ("DCBA", 8): "HGFEDCBA",
}


def significant_first(wire: bytes, order: str) -> bytes:
    """The value's bytes from A on, picked one by one out of the wire's."""
    places = WIRE[order, len(wire)]
    return bytes(wire[places.index(letter)] for letter in sorted(places))


def meaning(wire: bytes, kind: ValueType, order: str) -> int | float:
    plain = significant_first(wire, order)
    if kind.is_float:
        return ieee754(int.from_bytes(plain, "big"), 8 * len(plain))
    return int.from_bytes(plain, "big", signed=kind.startswith("int"))


def ieee754(bits: int, width: int) -> float:
    exponent_bits, fraction_bits = (8, 23) if width == 32 else (11, 52)
    sign = -1.0 if bits >> (width - 1) else 1.0
    exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1)
    fraction = bits & ((1 << fraction_bits) - 1)
    bias = (1 << (exponent_bits - 1)) - 1
    if exponent == (1 << exponent_bits) - 1:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, 1 - bias - fraction_bits)
    return sign * math.ldexp(fraction | 1 << fraction_bits, exponent - bias - fraction_bits)


def same(left: int | float, right: int | float) -> bool:
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return left == right and type(left) is type(right)


@pytest.mark.parametrize("order", ByteOrder)
@pytest.mark.parametrize("kind", REGISTER_TYPES)
def test_every_type_in_every_order(kind: ValueType, order: ByteOrder) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    size = 2 * registers_of(kind)
    codec = compile_registers([Field(0, kind, order)], registers_of(kind))
    edges = [bytes(size), b"\xff" * size, b"\x80" + bytes(size - 1), bytes(range(1, size + 1))]
    for wire in edges + [chance.randbytes(size) for _ in range(200)]:
        (value,) = codec.unpack(wire)
        assert same(value, meaning(wire, kind, order)), f"seed {seed}: {wire.hex()} as {kind} in {order}"


@pytest.mark.parametrize(
    ("kind", "order", "wire", "value"),
    [
        (ValueType.FLOAT32, "ABCD", "42f6e979", 123.45600128173828),
        (ValueType.FLOAT32, "CDAB", "e97942f6", 123.45600128173828),
        (ValueType.FLOAT32, "BADC", "f64279e9", 123.45600128173828),
        (ValueType.FLOAT32, "DCBA", "79e9f642", 123.45600128173828),
        (ValueType.INT16, "DCBA", "feff", -2),
        (ValueType.UINT32, "CDAB", "00020001", 65538),
        (ValueType.UINT64, "CDAB", "0004000300020001", 0x0001000200030004),
    ],
)
def test_known_values(kind: ValueType, order: str, wire: str, value: float) -> None:
    data = bytes.fromhex(wire)
    codec = compile_registers([Field(0, kind, ByteOrder(order))], len(data) // 2)
    assert list(codec.unpack(data)) == [value]


@given(st.data())
@settings(database=None, print_blob=True, max_examples=200)
def test_any_mixture_in_one_block(data: st.DataObject) -> None:
    """Overlaps, repeats, gaps, orders and bits together: each field reads its own bytes and no others."""
    count = data.draw(st.integers(4, 40))
    wire = data.draw(st.binary(min_size=2 * count, max_size=2 * count))
    fields = data.draw(st.lists(_fields(count), min_size=1, max_size=25))
    codec = compile_registers(fields, count)
    values = codec.unpack(wire)
    assert len(values) == codec.width
    for field, column in zip(fields, codec.columns, strict=True):
        size = 2 * registers_of(field.kind)
        own = wire[2 * field.offset : 2 * field.offset + size]
        if field.bit is None:
            assert same(values[column], meaning(own, field.kind, field.order))
        else:
            assert values[column] is bool(meaning(own, ValueType.UINT16, field.order) >> field.bit & 1)


def _fields(count: int) -> st.SearchStrategy[Field]:
    def at(kind: ValueType) -> st.SearchStrategy[Field]:
        return st.builds(
            Field,
            st.integers(0, count - registers_of(kind)),
            st.just(kind),
            st.sampled_from(ByteOrder),
            st.integers(0, 15) if kind is ValueType.BOOL else st.none(),
        )

    return st.sampled_from([*REGISTER_TYPES, ValueType.BOOL]).flatmap(at)


@given(st.lists(st.booleans(), min_size=1, max_size=2000), st.data())
@settings(database=None, print_blob=True, max_examples=50)
def test_bits_come_lowest_first(bits: list[bool], data: st.DataObject) -> None:
    wire = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        wire[index // 8] |= bit << index % 8
    offsets = data.draw(st.lists(st.integers(0, len(bits) - 1), min_size=1, max_size=20))
    codec = compile_bits(offsets, len(bits))
    values = codec.unpack(bytes(wire))
    assert len(values) == codec.width
    assert [values[column] for column in codec.columns] == [bits[offset] for offset in offsets]


def test_a_plain_block_is_one_struct_call() -> None:
    """The hot path: 62 floats of one byte order need no Python per value."""
    fields = [Field(2 * index, ValueType.FLOAT32) for index in range(62)]
    codec = compile_registers(fields, 125)
    assert getattr(codec.unpack, "__name__", "") == "unpack"
    assert type(codec.unpack).__name__ == "builtin_function_or_method"
    assert codec.columns == tuple(range(62))

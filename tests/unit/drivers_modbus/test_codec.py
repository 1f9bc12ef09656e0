"""Every type in every byte order, against numbers worked out here from single bytes, without ``struct``."""

from __future__ import annotations

import math
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.codec import Field, compile_bits, compile_registers
from drivers.modbus.kinds import KINDS, REGISTER_KINDS, ByteOrder, registers_of
from edge_agent.model import ValueType

# On the wire, most significant byte of the value called A. Written out, not computed.
WIRE = {
    ("ABCD", 1): "A",
    ("BADC", 1): "A",
    ("CDAB", 1): "A",
    ("DCBA", 1): "A",
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


def meaning(wire: bytes, kind: str, order: str) -> int | float | str | None:
    plain = significant_first(wire, order)
    if kind.startswith("float"):
        return ieee754(int.from_bytes(plain, "big"), 8 * len(plain))
    if kind.startswith("bcd"):
        digits = [digit for byte in plain for digit in (byte >> 4, byte & 15)]
        if max(digits) > 9:
            return None
        return sum(digit * 10**place for place, digit in enumerate(reversed(digits)))
    return int.from_bytes(plain, "big", signed=kind.startswith("int"))


def text(wire: bytes, length: int, order: str, encoding: str) -> str | None:
    """Registers in the order of the wire; their bytes swapped where the order has the low byte first."""
    places = range(len(wire)) if order in ("ABCD", "CDAB") else [place ^ 1 for place in range(len(wire))]
    plain = bytes(wire[place] for place in places)[:length]
    try:
        return plain.split(b"\0")[0].decode(encoding).rstrip(" ")
    except UnicodeDecodeError:
        return None


def ieee754(bits: int, width: int) -> float:
    exponent_bits, fraction_bits = {16: (5, 10), 32: (8, 23), 64: (11, 52)}[width]
    sign = -1.0 if bits >> (width - 1) else 1.0
    exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1)
    fraction = bits & ((1 << fraction_bits) - 1)
    bias = (1 << (exponent_bits - 1)) - 1
    if exponent == (1 << exponent_bits) - 1:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, 1 - bias - fraction_bits)
    return sign * math.ldexp(fraction | 1 << fraction_bits, exponent - bias - fraction_bits)


def same(left: object, right: object) -> bool:
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return left == right and type(left) is type(right)


@pytest.mark.parametrize("order", ByteOrder)
@pytest.mark.parametrize("kind", REGISTER_KINDS)
def test_every_type_in_every_order(kind: str, order: ByteOrder) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    size = 2 * registers_of(kind)
    codec = compile_registers([Field(0, kind, order)], registers_of(kind))
    edges = [bytes(size), b"\xff" * size, b"\x80" + bytes(size - 1), bytes(range(1, size + 1))]
    for wire in edges + [chance.randbytes(size) for _ in range(200)]:
        value = codec.unpack(wire)[codec.columns[0]]
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
        ("float16", "ABCD", "c580", -5.5),
        ("float16", "DCBA", "80c5", -5.5),
        ("bcd16", "ABCD", "1234", 1234),
        ("bcd16", "BADC", "3412", 1234),
        ("bcd32", "CDAB", "56781234", 12345678),
        ("bcd64", "ABCD", "1234567890123456", 1234567890123456),
        ("bcd16", "ABCD", "12a4", None),
        ("bcd16", "ABCD", "1e05", None),
    ],
)
def test_known_values(kind: str, order: str, wire: str, value: float | None) -> None:
    data = bytes.fromhex(wire)
    codec = compile_registers([Field(0, kind, ByteOrder(order))], len(data) // 2)
    assert codec.unpack(data)[codec.columns[0]] == value


@pytest.mark.parametrize("order", ByteOrder)
def test_each_byte_of_a_register(order: ByteOrder) -> None:
    """The high byte is that of the number which the order makes of the register."""
    high, low = Field(1, "uint8", order, high=True), Field(1, "int8", order, high=False)
    codec = compile_registers([low, high], 2)
    wire = bytes([9, 9]) + (b"\x12\xfe" if order in ("ABCD", "CDAB") else b"\xfe\x12")
    values = codec.unpack(wire)
    assert [values[column] for column in codec.columns] == [-2, 0x12]


@pytest.mark.parametrize(
    ("wire", "length", "order", "encoding", "value"),
    [
        (b"PUMP-1\0\0", 8, "ABCD", "utf-8", "PUMP-1"),
        (b"PUMP-1  ", 8, "CDAB", "utf-8", "PUMP-1"),
        (b"UPPM1-\0\0", 8, "BADC", "utf-8", "PUMP-1"),
        (b"UPPM1-\0\0", 8, "DCBA", "utf-8", "PUMP-1"),
        (b"PUMP-1\0x", 8, "ABCD", "utf-8", "PUMP-1"),
        (b"ABCDEX", 5, "ABCD", "utf-8", "ABCDE"),
        (b"BADCXE", 5, "BADC", "utf-8", "ABCDE"),
        (b"  A ", 4, "ABCD", "utf-8", "  A"),
        (b"\0\0\0\0", 4, "ABCD", "utf-8", ""),
        ("一号泵".encode("gbk") + b"\0\0", 8, "ABCD", "gbk", "一号泵"),
        ("一号泵".encode() + b"\0", 10, "ABCD", "utf-8", "一号泵"),
        ("一号泵".encode("gbk") + b"\0\0", 8, "ABCD", "utf-8", None),
        (b"\xff\xff\xff\xff", 4, "ABCD", "gbk", None),
        ("一号泵".encode("gbk")[:5] + b"\0", 5, "ABCD", "gbk", None),
    ],
)
def test_strings(wire: bytes, length: int, order: str, encoding: str, value: str | None) -> None:
    field = Field(0, "string", ByteOrder(order), length=length, encoding=encoding)
    codec = compile_registers([field], len(wire) // 2)
    assert codec.unpack(wire)[codec.columns[0]] == value
    assert codec.may_fail and not codec.has_floats


def test_a_bad_string_a_bad_number_and_their_neighbours() -> None:
    """Text and floats in one block: nobody may add them up, and each fails alone."""
    fields = [
        Field(0, "float32"),
        Field(2, "string", length=4),
        Field(4, "float32"),
        Field(6, "bcd16"),
        Field(7, "bcd16"),
        Field(8, "int16"),
        Field(8, "bool", bit=0),
    ]
    wire = struct.pack(">f", math.nan) + b"\xff\0\0\0" + struct.pack(">fHHh", 2.5, 0x0A00, 0x0900, -1)
    codec = compile_registers(fields, 9)
    values = codec.unpack(wire)
    assert [values[column] for column in codec.columns] == [None, None, 2.5, None, 900, -1, True]


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
        own = wire[2 * field.offset : 2 * (field.offset + registers_of(field.kind, field.length))]
        shown = values[column]
        if field.bit is not None:
            assert shown is bool(meaning(own, "uint16", field.order) >> field.bit & 1)
        elif field.high is not None:
            byte = bytes([meaning(own, "uint16", field.order) >> (8 if field.high else 0) & 0xFF])
            assert same(shown, meaning(byte, field.kind, "ABCD"))
        elif field.kind == "string":
            assert shown == text(own, field.length, field.order, field.encoding)
        else:
            expected = meaning(own, field.kind, field.order)
            lost = isinstance(expected, float) and not math.isfinite(expected) and codec.may_fail
            assert same(shown, None if lost else expected)


@st.composite
def _fields(draw: st.DrawFn, count: int) -> Field:
    kind = draw(st.sampled_from(sorted(KINDS)))
    length = draw(st.integers(1, 8)) if kind == "string" else 1
    return Field(
        draw(st.integers(0, count - registers_of(kind, length))),
        kind,
        draw(st.sampled_from(ByteOrder)),
        draw(st.integers(0, 15)) if kind == "bool" else None,
        draw(st.booleans()) if kind in ("int8", "uint8") else None,
        length,
        draw(st.sampled_from(["utf-8", "gbk"])),
    )


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


def test_bytes_and_half_floats_do_not_slow_a_block_down() -> None:
    fields = [
        Field(0, "uint8", high=True),
        Field(0, "int8", high=False),
        Field(1, "float16"),
        Field(2, "int64"),
    ]
    codec = compile_registers(fields, 6)
    assert type(codec.unpack).__name__ == "builtin_function_or_method"
    assert not codec.may_fail

"""The codec gives back exactly what it was given, or says that it cannot."""

from __future__ import annotations

import math
import random
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.buffer import Codec, SegmentCorrupt
from edge_agent.buffer.segment import checksum
from edge_agent.model import Batch, ClockState, Schema, Value, ValueType
from tests.unit.buffer.plant import schema_of

_INTEGERS = {
    f"{sign}int{bits}": (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for bits in (8, 16, 32, 64)
    for sign in ("", "u")
}
_LIMITS = {ValueType(name): limits for name, limits in _INTEGERS.items()}
_TYPES = list(ValueType)
_TIMES = st.integers(0, 2**62)


def values_of(type_: ValueType) -> st.SearchStrategy[Any]:
    if type_ is ValueType.BOOL:
        return st.booleans()
    if type_ is ValueType.FLOAT32:
        return st.floats(width=32)
    if type_ is ValueType.FLOAT64:
        return st.floats()
    if type_ is ValueType.STRING:
        return st.text(max_size=20)
    return st.integers(*_LIMITS[type_])


@st.composite
def segments(draw: st.DrawFn) -> tuple[Schema, list[Batch]]:
    types = draw(st.lists(st.sampled_from(_TYPES), min_size=0, max_size=12))
    schema = schema_of("press-1", types)
    odd: st.SearchStrategy[Any] = st.one_of(
        st.none(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3)
    )
    row = st.tuples(*(st.one_of(values_of(t), st.none()) for t in types))
    wild = st.tuples(*(st.one_of(values_of(t), odd) for t in types))
    batches = []
    for values in draw(st.lists(st.one_of(row, row, wild), min_size=1, max_size=6)):
        quality = draw(
            st.one_of(st.just(bytes(len(types))), st.binary(min_size=len(types), max_size=len(types)))
        )
        offset = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
        offsets = draw(st.one_of(st.none(), st.tuples(*(offset for _ in types))))
        clock = draw(st.sampled_from(ClockState))
        batches.append(Batch(schema, draw(_TIMES), draw(_TIMES), values, quality, offsets, clock))
    return schema, batches


def same(a: Value, b: Value) -> bool:
    if isinstance(a, float) and isinstance(b, float) and (math.isnan(a) or math.isnan(b)):
        return math.isnan(a) and math.isnan(b)
    if isinstance(a, float) and isinstance(b, float) and a == b == 0:
        return math.copysign(1, a) == math.copysign(1, b)
    return a == b


def check(decoded: tuple[Batch, ...], batches: list[Batch]) -> None:
    assert len(decoded) == len(batches)
    for got, want in zip(decoded, batches, strict=True):
        assert (got.time_ns, got.mono_ns, got.quality, got.offsets_ns, got.clock) == (
            want.time_ns,
            want.mono_ns,
            want.quality,
            want.offsets_ns,
            want.clock,
        )
        assert len(got.values) == len(want.values)
        for mine, theirs in zip(got.values, want.values, strict=True):
            assert same(mine, theirs), (mine, theirs)


@settings(max_examples=200, deadline=None)
@given(segments())
def test_every_type_comes_back_exactly(segment: tuple[Schema, list[Batch]]) -> None:
    schema, batches = segment
    codec = Codec()
    check(codec.decode(schema, codec.encode(batches)), batches)


@pytest.mark.parametrize("type_", [t for t in ValueType if t in _LIMITS])
def test_integers_turn_over_at_their_limits_unharmed(type_: ValueType) -> None:
    low, high = _LIMITS[type_]
    schema = schema_of("press-1", (type_, ValueType.UINT8, type_))
    rows = [(low, 0, high), (high, 255, low), (low, 0, high), (0, 1, 0), (high, 254, high), (low, 255, low)]
    batches = [Batch(schema, i, i, row, bytes(3)) for i, row in enumerate(rows)]
    decoded = Codec().decode(schema, Codec().encode(batches))
    assert [b.values for b in decoded] == rows
    assert all(type(v) is int for b in decoded for v in b.values)


def test_float32_takes_four_bytes_and_types_stay() -> None:
    schema = schema_of("press-1", (ValueType.FLOAT32,) * 200)
    source = random.Random(7)
    row = tuple(struct.unpack("<f", source.randbytes(3) + b"\x41")[0] for _ in range(200))
    body = Codec().encode([Batch(schema, 1, 1, row, bytes(200))])
    assert len(body) < 200 * 4 + 60
    assert Codec().decode(schema, body)[0].values == row


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (ValueType.FLOAT32, 0.1),
        (ValueType.UINT16, 70_000),
        (ValueType.INT16, 1.5),
        (ValueType.FLOAT64, 2**53 + 1),
        (ValueType.BOOL, 7),
        (ValueType.UINT8, "on"),
        (ValueType.STRING, 12),
    ],
)
def test_a_value_its_column_cannot_hold_is_kept_and_not_rounded(type_: ValueType, value: Value) -> None:
    schema = schema_of("press-1", (type_, ValueType.UINT16))
    batches = [
        Batch(schema, 1, 1, (value, 5), bytes(2)),
        Batch(schema, 2, 2, (None, 6), b"\x81\x00"),
    ]
    decoded = Codec().decode(schema, Codec().encode(batches))
    assert [b.values for b in decoded] == [(value, 5), (None, 6)]


def test_what_no_driver_may_deliver_is_refused() -> None:
    schema = schema_of("press-1", (ValueType.UINT16,))
    for bad in (
        Batch(schema, 1, 1, (1, 2), bytes(1)),
        Batch(schema, 1, 1, (1,), bytes(2)),
        Batch(schema, 2**64, 1, (1,), bytes(1)),
        Batch(schema, 1, 1, (b"bytes",), bytes(1)),  # type: ignore[arg-type]
        Batch(schema, 1, 1, (1,), bytes(1), (1, 2)),
    ):
        with pytest.raises(ValueError):
            Codec().encode([bad])


def realistic_rows(seed: int, columns: int = 500, rows: int = 5) -> list[tuple[int, ...]]:
    """40 % constant, 30 % counting, 30 % noisy, in mixed order."""
    source = random.Random(seed)
    kinds = ["constant"] * (columns * 4 // 10) + ["counter"] * (columns * 3 // 10)
    kinds += ["noise"] * (columns - len(kinds))
    source.shuffle(kinds)
    state = [(k, source.randint(2000, 60_000), source.choice([1, 2, 3, 6, 12])) for k in kinds]
    step = {
        "constant": lambda value, width, i: value,
        "counter": lambda value, width, i: (value + width * i) & 0xFFFF,
        "noise": lambda value, width, i: round(value + source.gauss(0, width)),
    }
    return [tuple(step[k](value, width, i) for k, value, width in state) for i in range(rows)]


def test_a_realistic_segment_is_smaller_than_a_byte_per_sample() -> None:
    schema = schema_of("press-1", (ValueType.UINT16,) * 500)
    sizes = []
    for seed in range(5):
        rows = realistic_rows(seed)
        stamps = [10**18 + i * 10**9 + i * 137 for i in range(len(rows))]
        batches = [Batch(schema, t, t, row, bytes(500)) for t, row in zip(stamps, rows, strict=True)]
        body = Codec().encode(batches)
        assert Codec().decode(schema, body) == tuple(batches)
        sizes.append(len(body) / 2500)
    assert sum(sizes) / len(sizes) < 0.9


def test_every_damaged_bit_is_noticed() -> None:
    """With the checksum, always; without it decode still raises nothing but SegmentCorrupt."""
    schema = schema_of("press-1", (ValueType.UINT16, ValueType.FLOAT64, ValueType.STRING))
    batches = [Batch(schema, i, i, (i, i / 3, f"lot {i}"), b"\x00\x81\x00") for i in range(4)]
    body = Codec().encode(batches)
    crc = checksum(body, 3, 9, schema.digest, 8)
    codec = Codec()
    for bit in range(len(body) * 8):
        damaged = bytearray(body)
        damaged[bit // 8] ^= 1 << bit % 8
        assert checksum(bytes(damaged), 3, 9, schema.digest, 8) != crc
        try:
            codec.decode(schema, bytes(damaged))
        except SegmentCorrupt:
            pass
    for length in range(len(body)):
        with pytest.raises(SegmentCorrupt):
            codec.decode(schema, body[:length])
    with pytest.raises(SegmentCorrupt):
        codec.decode(schema, body + b"\x00")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_junk_is_corrupt_and_nothing_else(junk: bytes) -> None:
    schema = schema_of("press-1", (ValueType.UINT16, ValueType.STRING))
    head = struct.pack("<BBIIIBqq", 1, 8, 2, 2, len(zlib.compress(junk)), 0, 0, 0)
    for body in (junk, head + junk, b"\x01" + junk):
        with pytest.raises(SegmentCorrupt):
            Codec().decode(schema, body)


def test_the_checksum_names_the_key() -> None:
    schema = schema_of("press-1", (ValueType.UINT16,))
    body = Codec().encode([Batch(schema, 1, 1, (5,), bytes(1))])
    sums = {
        checksum(body, 1, 1, schema.digest, 1),
        checksum(body, 2, 1, schema.digest, 1),
        checksum(body, 1, 2, schema.digest, 1),
        checksum(body, 1, 1, "0" * 16, 1),
        checksum(body, 1, 1, schema.digest, 2),
    }
    assert len(sums) == 5


def test_a_segment_of_another_schema_or_version_is_refused() -> None:
    narrow, wide = (schema_of("press-1", (ValueType.UINT16,) * n) for n in (2, 3))
    body = Codec().encode([Batch(narrow, 1, 1, (1, 2), bytes(2))])
    with pytest.raises(SegmentCorrupt):
        Codec().decode(wide, body)
    with pytest.raises(SegmentCorrupt, match="codec 2"):
        Codec().decode(narrow, b"\x02" + body[1:])

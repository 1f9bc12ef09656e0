"""Numbers that mean "no value", for every driver alike; and source times that cannot be."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from edge_agent.acquisition.sentinels import compiled
from edge_agent.acquisition.stamp import stamped
from edge_agent.driver import Columns
from edge_agent.model import Quality, Schema, Tag, Value, ValueType
from edge_agent.testing.clock import ManualClock

GOOD, BAD, ODD = Quality.GOOD, Quality.BAD_DECODE, Quality.UNCERTAIN_SOURCE_TIME
SECOND_NS = 1_000_000_000
CLOCK = ManualClock()


def one(kind: ValueType, sentinel: float, value: Value) -> Columns:
    tags = [Tag("plain", "0", kind), Tag("t", "1", kind, no_value=(7, sentinel))]
    strike = compiled(tags)
    assert strike is not None
    return strike(Columns((value, value), bytes([GOOD, GOOD])))


@pytest.mark.parametrize(
    ("kind", "sentinel", "raw"),
    [
        (ValueType.UINT16, 65535, 65535),
        (ValueType.UINT16, 0x8000, 32768),
        (ValueType.INT16, 0x8000, -32768),
        (ValueType.INT16, -32768, -32768),
        (ValueType.INT32, 0xFFFFFFFF, -1),
        (ValueType.UINT64, 2**64 - 1, 2**64 - 1),
        (ValueType.FLOAT64, -9999.9, -9999.9),
        (ValueType.FLOAT32, -9999.9, struct.unpack("<f", struct.pack("<f", -9999.9))[0]),
        (ValueType.FLOAT32, 9999, 9999.0),
    ],
)
def test_a_sentinel_is_no_value(kind: ValueType, sentinel: float, raw: Value) -> None:
    found = one(kind, sentinel, raw)
    assert (found.values, found.quality) == ((raw, None), bytes([GOOD, BAD]))


@pytest.mark.parametrize(
    ("kind", "sentinel", "raw"),
    [
        (ValueType.INT16, 0x8000, 32767),
        (ValueType.INT32, 0x8000, -32768),
        (ValueType.UINT64, 2**64 - 1, 2**64 - 2),
        (ValueType.FLOAT32, 1e300, 3.4e38),
        (ValueType.FLOAT64, -9999.9, -9999.900000001),
    ],
)
def test_what_is_near_is_a_value(kind: ValueType, sentinel: float, raw: Value) -> None:
    columns = one(kind, sentinel, raw)
    assert columns.values == (raw, raw) and not any(columns.quality)


def test_groups_without_sentinels_cost_nothing_and_untouched_columns_are_the_same_object() -> None:
    assert compiled([Tag("a", "0", ValueType.INT16), Tag("b", "1", ValueType.BOOL, no_value=(1,))]) is None
    strike = compiled([Tag("a", "0", ValueType.INT16, no_value=(5,))])
    assert strike is not None
    columns = Columns((4,), b"\0", (12,))
    assert strike(columns) is columns


def test_what_is_bad_already_stays_as_it_is_and_source_times_are_kept() -> None:
    strike = compiled([Tag(n, "0", ValueType.INT16, no_value=(5,)) for n in "ab"])
    assert strike is not None
    found = strike(Columns((None, 5), bytes([Quality.BAD_COMM, GOOD]), (None, 12)))
    assert found == Columns((None, None), bytes([Quality.BAD_COMM, BAD]), (None, 12))


@pytest.mark.parametrize(
    ("ahead_s", "expected"),
    [(0, GOOD), (59, GOOD), (61, ODD), (86400, ODD), (-86400, GOOD), (-20 * 365 * 86400, ODD)],
)
def test_a_source_time_that_cannot_be_makes_a_good_value_uncertain(ahead_s: int, expected: Quality) -> None:
    assert _stamped([ahead_s * SECOND_NS]) == [expected]


def test_no_source_time_and_other_qualities_are_left_alone() -> None:
    schema = Schema.of("d", "g", "v", [Tag(n, "0", ValueType.INT16) for n in "abc"])
    late = CLOCK.time_ns() + 3600 * SECOND_NS
    columns = Columns((1, None, 3), bytes([GOOD, Quality.BAD_DEVICE, Quality.UNCERTAIN]), (None, late, late))
    batch = stamped(schema, columns, CLOCK)
    assert batch.quality == columns.quality
    assert batch.offsets_ns == (None, 3600 * SECOND_NS, 3600 * SECOND_NS)
    assert stamped(schema, Columns((1, 2, 3), bytes(3)), CLOCK).offsets_ns is None


def _stamped(offsets: list[int]) -> list[Any]:
    schema = Schema.of("d", "g", "v", [Tag(str(i), "0", ValueType.INT16) for i in range(len(offsets))])
    times = tuple(CLOCK.time_ns() + offset for offset in offsets)
    batch = stamped(schema, Columns((1,) * len(offsets), bytes(len(offsets)), times), CLOCK)
    assert batch.values == (1,) * len(offsets), "the value itself is kept"
    return list(batch.quality)

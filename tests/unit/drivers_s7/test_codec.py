"""Bytes -> columns: types, bits, what is no number, and overlapping values."""

from __future__ import annotations

import struct

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.codec import Reply
from drivers.s7.settings import S7Settings
from edge_agent.driver import Plan
from edge_agent.model import Quality, Tag, Value, ValueType

SETTINGS = S7Settings.model_validate({"link": "tcp://plc", "cpu_state": "0s"})


def plan_for(*tags: tuple[str, ValueType]) -> Plan:
    return PLUGIN.plan(SETTINGS, [Tag(f"t{n}", *tag) for n, tag in enumerate(tags)], None, None)


@pytest.mark.parametrize(
    ("address", "kind", "data", "value"),
    [
        ("DB1.DBB0", ValueType.INT8, "80", -128),
        ("DB1.DBB0", ValueType.UINT8, "80", 128),
        ("DB1.DBW0", ValueType.INT16, "8000", -32768),
        ("DB1.DBW0", ValueType.UINT16, "0102", 258),
        ("DB1.DBD0", ValueType.INT32, "ffffffff", -1),
        ("DB1.DBD0", ValueType.UINT32, "01020304", 16909060),
        ("DB1.DBL0", ValueType.INT64, "8000000000000001", -(2**63) + 1),
        ("DB1.DBL0", ValueType.UINT64, "ffffffffffffffff", 2**64 - 1),
        ("DB1.DBD0", ValueType.FLOAT32, "41a40000", 20.5),
        ("DB1.DBL0", ValueType.FLOAT64, "3fb999999999999a", 0.1),
        ("DB1.DBX0.7", ValueType.BOOL, "80", True),
        ("DB1.DBX0.0", ValueType.BOOL, "80", False),
    ],
)
def test_a_type_is_decoded_with_its_own_python_type(
    address: str, kind: ValueType, data: str, value: Value
) -> None:
    columns = plan_for((address, kind)).decode([Reply((bytes.fromhex(data),))])
    assert columns.values == (value,)
    assert type(columns.values[0]) is type(value)
    assert (columns.quality, columns.source_ns) == (b"\x00", None)


def test_what_is_no_number_is_bad_and_its_neighbours_are_not() -> None:
    tags = [(f"DB1.DBD{4 * n}", ValueType.FLOAT32) for n in range(4)]
    data = struct.pack(">4f", float("nan"), 1.5, float("-inf"), 2.5)
    columns = plan_for(*tags).decode([Reply((data,))])
    assert columns.values == (None, 1.5, None, 2.5)
    assert columns.quality == bytes((Quality.BAD_DECODE, 0, Quality.BAD_DECODE, 0))


def test_overlapping_values_are_each_read_from_their_own_bytes() -> None:
    plan = plan_for(
        ("DB1.DBD0", ValueType.UINT32),
        ("DB1.DBW2", ValueType.INT16),
        ("DB1.DBB3", ValueType.UINT8),
        ("DB1.DBX3.1", ValueType.BOOL),
        ("DB1.DBD0", ValueType.UINT32),
    )
    assert plan.decode([Reply((bytes.fromhex("01020304"),))]).values == (
        0x01020304,
        0x0304,
        4,
        False,
        0x01020304,
    )


def test_an_item_that_failed_spoils_its_own_tags_only() -> None:
    plan = plan_for(
        ("DB1.DBX0.0", ValueType.BOOL), ("DB2.DBW0", ValueType.INT16), ("DB3.DBD0", ValueType.FLOAT32)
    )
    columns = plan.decode([Reply((Quality.BAD_ADDRESS, b"\x00\x07", Quality.BAD_CONFIG))])
    assert columns.values == (None, 7, None)
    assert columns.quality == bytes((Quality.BAD_ADDRESS, Quality.GOOD, Quality.BAD_CONFIG))

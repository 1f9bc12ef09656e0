"""Types, numbers at their limits, qualities."""

from __future__ import annotations

import pytest

from edge_agent.model import Quality, Value, ValueType
from edge_agent.uplinks.sparkplug.payloads import Payloads
from edge_agent.uplinks.sparkplug.values import DataType, kind_of, quality_code, quality_name, read
from hardware_mocks import sparkplug_wire
from tests.unit.uplinks_sparkplug.made import WIRE, Session, reading, schema

EXTREMES = [
    (ValueType.BOOL, 11, [True, False]),
    (ValueType.INT8, 1, [-128, -5, -1, 0, 127]),
    (ValueType.INT16, 2, [-32768, -5, 32767]),
    (ValueType.INT32, 3, [-(2**31), -1, 2**31 - 1]),
    (ValueType.INT64, 4, [-(2**63), -1, 2**53 + 1, 2**63 - 1]),
    (ValueType.UINT8, 5, [0, 255]),
    (ValueType.UINT16, 6, [0, 65535]),
    (ValueType.UINT32, 4, [0, 2**32 - 1]),
    (ValueType.UINT64, 8, [0, 2**53 + 1, 2**64 - 1]),
    (ValueType.FLOAT32, 9, [0.4099999964237213, -0.0, 3.4028234663852886e38]),
    (ValueType.FLOAT64, 10, [5e-324, 1.7976931348623157e308, 0.1]),
    (ValueType.STRING, 12, ["", "压力 ✓", "a\n\x01"]),
]


@pytest.mark.parametrize(("type_", "datatype", "values"), EXTREMES, ids=[str(t) for t, _, _ in EXTREMES])
def test_every_type_to_its_limits(type_: ValueType, datatype: int, values: list[Value]) -> None:
    of = schema(tags=[("tag", type_, "", None)])
    session = Session()
    session.born()
    session.data(*(reading(of, second, [value]) for second, value in enumerate(values, 1)))
    assert session.ledger.metric("press-1", "tag")[1].datatype == datatype
    assert [repr(v) for v in session.ledger.values("press-1", "tag")] == [repr(v) for v in values]
    assert session.ledger.broken == []


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (ValueType.INT8, 128), (ValueType.INT16, -32769), (ValueType.INT32, 2**31), (ValueType.INT64, 2**63),
        (ValueType.UINT8, 256), (ValueType.UINT8, -1), (ValueType.UINT16, 65536), (ValueType.UINT32, 2**32),
        (ValueType.UINT64, 2**64), (ValueType.UINT64, -1), (ValueType.UINT16, 1.5), (ValueType.INT16, 1.5),
        (ValueType.STRING, 7), (ValueType.FLOAT64, "seven"), (ValueType.STRING, "half a pair: \ud83d"),
    ],
)  # fmt: skip
def test_what_is_not_of_its_type_is_refused_and_tells_the_host_nothing(
    type_: ValueType, value: Value
) -> None:
    of = schema(tags=[("tag", type_, "", None)])
    session = Session()
    session.born()
    with pytest.raises((TypeError, ValueError, OverflowError)):
        session.data(reading(of, 1, [value]))
    good: Value = "text" if type_ is ValueType.STRING else 1.5 if type_.is_float else 1
    assert session.data(reading(of, 2, [good])) == ["DBIRTH press-1", "DDATA press-1"]
    assert (session.ledger.broken, session.ledger.gaps) == ([], 0)


def test_a_birth_survives_a_value_that_cannot_be_written() -> None:
    of = schema(tags=[("tag", ValueType.UINT16, "", None)])
    session = Session()
    session.born(reading(of, 0, [70_000]))
    assert session.ledger.metric("press-1", "tag")[1].value is None
    assert session.ledger.broken == []


CODES = {
    Quality.GOOD: 192, Quality.UNCERTAIN: 500, Quality.UNCERTAIN_STOPPED: 500,
    Quality.UNCERTAIN_SOURCE_TIME: 192, Quality.UNCERTAIN_ESTIMATED: 192, Quality.BAD: 0,
    Quality.BAD_COMM: 0, Quality.BAD_ADDRESS: 0,
    Quality.BAD_DECODE: 0, Quality.BAD_DEVICE: 0, Quality.BAD_CONFIG: 0, Quality.STALE: 500,
    Quality.WAITING: 500, Quality.UNDEFINED: 0,
}  # fmt: skip


@pytest.mark.parametrize("quality", CODES, ids=[q.name for q in CODES])
def test_qualities(quality: Quality) -> None:
    """The three codes that Sparkplug has, and the agent's own word beside those that are not good."""
    of = schema(tags=[("a", ValueType.FLOAT64, "", None), ("b", ValueType.FLOAT64, "", None)])
    session = Session()
    session.born(reading(of, 0, [1.0, 1.0]))
    value = None if quality.is_bad else 2.0
    session.data(reading(of, 1, [value, 3.0], bytes([quality, 0])))
    sample = session.ledger.samples["park/hall-3", "press-1", "a", next(iter(session.ledger.samples))[3]]
    assert (sample.quality, sample.value) == (CODES[quality], value)
    assert sample.reason == (None if quality is Quality.GOOD else quality.name.lower())


def test_every_quality_has_a_code() -> None:
    silent = {Quality.NOT_REPORTED, Quality.UNCHANGED}
    assert set(CODES) == set(Quality) - silent
    assert (quality_code(0x9F), quality_name(0x9F)) == (0, "0x9f")  # of a later release


@pytest.mark.parametrize("quality", [Quality.NOT_REPORTED, Quality.UNCHANGED])
def test_what_is_not_reported_is_not_sent(quality: Quality) -> None:
    of = schema()
    session = Session()
    session.born(reading(of, 0, [1.0, 1]))
    session.data(reading(of, 1, [None, 7], bytes([quality, 0])))
    assert session.ledger.values("press-1", "pressure") == []
    assert session.ledger.values("press-1", "count") == [7]
    assert session.data(reading(of, 2, [None, None], bytes([quality]) * 2)) == []


NEGATIVE = [(1, 8), (2, 16), (3, 32)]


@pytest.mark.parametrize(("datatype", "bits"), NEGATIVE)
@pytest.mark.parametrize("wide", [True, False], ids=["in 32 bits", "in its own width"])
def test_a_negative_number_is_read_as_either_maker_writes_it(datatype: int, bits: int, wide: bool) -> None:
    stands = -5 & ((1 << 32) - 1 if wide else (1 << bits) - 1)
    metric = WIRE.metric(int_value=stands)
    assert read(metric, datatype) == -5
    own = sparkplug_wire.Metric(kind=10, value=stands)
    assert sparkplug_wire.typed(own, datatype) == -5


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [
        (1, "int_value", 0x1_00), (2, "int_value", 0x1_0000), (2, "int_value", 0xFFFF_0005),
        (5, "int_value", 256), (6, "int_value", 65536), (7, "long_value", 2**32), (3, "double_value", 1.0),
        (8, "string_value", "1"), (16, "dataset_value", b""), (17, "bytes_value", b"x"),
    ],
)  # fmt: skip
def test_a_number_that_does_not_fit_is_not_cut_to_fit(datatype: int, field: str, value: Value) -> None:
    with pytest.raises(ValueError, match=r"fit|stands|cannot"):
        read(WIRE.metric(**{field: value}), datatype)


def test_numbers_are_read_from_either_field() -> None:
    """Some host applications write every whole number into the field of 64 bits."""
    assert read(WIRE.metric(long_value=70), DataType.UINT16) == 70
    assert read(WIRE.metric(long_value=2**64 - 5), DataType.INT16) == -5
    assert read(WIRE.metric(is_null=True), DataType.INT16) is None


def test_types_keep_their_field() -> None:
    fields = {kind_of(t, None).field for t in ValueType}
    assert fields == {
        "boolean_value", "int_value", "long_value", "float_value", "double_value", "string_value"
    }  # fmt: skip


def test_what_is_no_payload_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a Sparkplug payload"):
        Payloads(WIRE).read(b"ONLINE")


def test_uint32_is_an_int64_that_says_what_it_was() -> None:
    """Implementations disagree on the field of UInt32: one reads null where another wrote a number."""
    of = schema(tags=[("polls", ValueType.UINT32, "", None)])
    session = Session()
    session.born(reading(of, 0, [2**32 - 1]))
    _, born = session.ledger.metric("press-1", "polls")
    assert (born.datatype, born.value, born.properties["rawType"]) == (4, 2**32 - 1, "uint32")

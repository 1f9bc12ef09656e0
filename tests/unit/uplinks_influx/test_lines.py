"""What stands in a line, read back by a parser that shares no code with the writer."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Batch, Event, Level, Quality, Scaling, Schema, Value, ValueType
from edge_agent.testing.destination import ROWS, SCHEMA, START_NS, incident, segment
from edge_agent.uplink import Envelope, Key, Lane
from edge_agent.uplinks.influx import escape
from edge_agent.uplinks.influx.lines import MOST_FIELDS, Lines, Naming, NotSendable
from hardware_mocks.line_protocol import Point, parse

NAMING = Naming("press-line-1", unsigned=True)


def read(text: str) -> list[Point]:
    found = list(parse(text))
    assert all(isinstance(one, Point) for one in found), found
    return [one for one in found if isinstance(one, Point)]


def written(item: Envelope, **naming: Any) -> list[Point]:
    return read(Lines(replace(NAMING, **naming)).of(item))


def unit(
    row: tuple[Value, ...],
    kinds: tuple[ValueType, ...] = (ValueType.FLOAT64,),
    names: tuple[str, ...] = (),
    quality: tuple[int, ...] = (),
    scaling: tuple[Scaling | None, ...] = (),
    *,
    device: str = "d",
    group: str = "g",
    stream: str = "samples",
) -> Envelope:
    width = len(row)
    schema = Schema(
        device, group, "v", names or tuple(f"t{i}" for i in range(width)), kinds, ("",) * width,
        scaling or (None,) * width,
    )  # fmt: skip
    batch = Batch(schema, START_NS + 123_456_789, 0, row, bytes(quality or (0,) * width))
    return Envelope(Key(stream, 7, 1), Lane.LIVE, width, schema, (batch,))


def test_one_reading_is_one_line() -> None:
    points = written(segment(1))
    assert [point.measurement for point in points] == ["press-1"] * 3
    assert points[0].tags == (("device", "press-1"), ("group", "fast"), ("line", "press-line-1"))
    assert [point.time_ns for point in points] == [START_NS + 10**9 + i * 10**6 for i in range(3)]


def test_every_kind_of_value_is_exact_and_has_its_type() -> None:
    for batch, point in zip(segment(1, ROWS[:3]).batches, written(segment(1, ROWS[:3])), strict=True):
        wanted = dict(zip(SCHEMA.names, batch.values, strict=True))
        wanted["t_uint16"] = batch.values[2] * 0.1 - 40.0  # type: ignore[operator]
        assert {name: repr(value) for name, value in point.fields.items()} == {
            name: repr(value) for name, value in wanted.items()
        }
        assert list(point.kinds.values()) == [
            "boolean", "integer", "float", "integer", "integer", "unsigned", "float", "float", "string",
        ]  # fmt: skip


def test_a_float_that_is_whole_stays_a_float_field() -> None:
    (point,) = written(unit((5, 0.0), (ValueType.FLOAT32, ValueType.FLOAT64)))
    assert point.kinds == {"t0": "float", "t1": "float"}


def test_a_scaled_integer_is_a_float_field_also_where_it_is_whole() -> None:
    (point,) = written(unit((10,), (ValueType.INT16,), scaling=(Scaling(2.0, 0.0),)))
    assert (point.kinds, point.fields) == ({"t0": "float"}, {"t0": 20.0})


def test_what_has_no_value_is_left_out() -> None:
    names, kinds = ("a", "b", "c"), (ValueType.FLOAT64,) * 3
    bad = (Quality.BAD_COMM, Quality.GOOD, Quality.NOT_REPORTED)
    (point,) = written(unit((None, 1.0, None), kinds, names, bad))
    assert point.fields == {"b": 1.0}
    (point,) = written(unit((7.0, 1.0, 2.0), kinds, names, (Quality.STALE, 0, 0)))
    assert point.fields == {"b": 1.0, "c": 2.0}
    assert Lines(NAMING).of(unit((None,), quality=(Quality.BAD_COMM,))) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_nan_and_no_infinity_is_ever_sent(value: float) -> None:
    kinds = (ValueType.FLOAT64,) * 2
    (point,) = written(unit((value, 1.0), kinds))
    assert point.fields == {"t1": 1.0}
    assert Lines(NAMING).of(unit((value,))) == ""


def test_finite_numbers_with_an_infinite_sum_are_sent() -> None:
    largest = 1.7976931348623157e308
    (point,) = written(unit((largest, largest), (ValueType.FLOAT64,) * 2))
    assert point.fields == {"t0": largest, "t1": largest}


def test_uncertain_values_stand_in_a_line_of_their_own() -> None:
    kinds = (ValueType.FLOAT64,) * 3
    points = written(unit((1.0, 2.0, 3.0), kinds, quality=(0, Quality.UNCERTAIN_STOPPED, 0x7E)))
    assert [dict(point.tags).get("quality") for point in points] == [None, "uncertain_stopped", "7e"]
    assert [point.fields for point in points] == [{"t0": 1.0}, {"t1": 2.0}, {"t2": 3.0}]
    assert len({point.time_ns for point in points}) == 1


def test_an_unsigned_number_beyond_the_signed_ones_needs_a_server_that_knows_them() -> None:
    big = unit((2**64 - 1,), (ValueType.UINT64,))
    assert written(big)[0].fields == {"t0": 2**64 - 1}
    with pytest.raises(NotSendable, match=r"t0 = 18446744073709551615 .* `unsigned: true`"):
        written(big, unsigned=False)
    (point,) = written(unit((2**63 - 1,), (ValueType.UINT64,)), unsigned=False)
    assert (point.kinds, point.fields) == ({"t0": "integer"}, {"t0": 2**63 - 1})


def test_a_server_of_numbers_gets_no_text() -> None:
    (point, *_) = written(segment(1), strings=False)
    assert "t_string" not in point.fields
    assert len(point.fields) == 8
    assert Lines(replace(NAMING, strings=False)).of(unit(("x",), (ValueType.STRING,))) == ""


def test_a_reading_of_very_many_tags_is_several_lines_of_one_series() -> None:
    width = 2 * MOST_FIELDS + 1
    row = tuple(float(i) for i in range(width))
    for quality in ((0,) * width, (Quality.BAD, *(0,) * (width - 1))):
        points = written(unit(row, (ValueType.FLOAT64,) * width, quality=quality))
        assert len(points) == 3 - (quality[0] != 0)
        assert len({(point.series, point.time_ns) for point in points}) == 1
        assert sum(len(point.fields) for point in points) == width - (quality[0] != 0)


def test_period_values_have_a_measurement_and_a_level() -> None:
    names = ("kwh.avg", "kwh.count", "kwh.flag")
    kinds = (ValueType.FLOAT64, ValueType.INT64, ValueType.STRING)
    item = unit((1.5, 60, "N"), kinds, names, device="meter", group=Level.HOUR, stream="periods")
    (point,) = written(item)
    assert (point.measurement, point.tags) == (
        "meter_periods",
        (("device", "meter"), ("level", "hour"), ("line", "press-line-1")),
    )
    assert point.fields == {"kwh.avg": 1.5, "kwh.count": 60, "kwh.flag": "N"}


def test_events_are_a_measurement_of_their_own() -> None:
    item = incident(2)
    (point,) = written(item)
    assert point.measurement == "events"
    assert point.tags == (
        ("kind", "excursion_begin"), ("line", "press-line-1"), ("source", "press-1.pressure"),
    )  # fmt: skip
    assert json.loads(str(point.fields["detail"])) == dict(item.event.detail)  # type: ignore[union-attr]
    assert point.fields["time_ns"] == START_NS
    assert point.fields["key"] == "event/7/2"


def test_two_events_of_one_source_at_one_moment_are_two_points_and_the_same_one_again_is_one() -> None:
    points = [*written(incident(1)), *written(incident(2)), *written(incident(2))]
    assert len({(point.series, point.time_ns) for point in points}) == 2
    assert {point.time_ns // 1000 for point in points} == {START_NS // 1000}


def test_of_an_event_a_server_of_numbers_gets_the_numbers() -> None:
    detail = {"value": 3, "high": 0.5, "active": True, "note": "x", "nan": math.nan, "time": 5}
    event = Event("excursion_begin", "w", START_NS, 0, "v", detail)
    (point,) = written(Envelope(Key("event", 1, 1), Lane.LIVE, event=event), strings=False)
    assert point.fields == {"time_ns": START_NS, "count": 1, "value": 3.0, "high": 0.5}
    assert point.kinds["value"] == "float"


@pytest.mark.parametrize(
    ("pattern", "measurement"),
    [
        ("{{device}}", "d,1"),
        ("{{line}}.{{group}}", "press-line-1.g 2"),
        ("all", "all"),
        ("#{{device}}", "_d,1"),
    ],
)
def test_how_measurements_are_called(pattern: str, measurement: str) -> None:
    (point,) = written(unit((1.0,), device="d,1", group="g 2"), measurement=pattern)
    assert point.measurement == measurement


def test_further_tags() -> None:
    (point,) = written(unit((1.0,)), tags={"site": "north hall", "empty": ""})
    assert point.tag("site") == "north hall"
    assert "empty" not in dict(point.tags)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"), ("a,b", r"a\,b"), ("a=b", r"a\=b"), ("a b", r"a\ b"), ("a\\", "a/"),
        ("a\\,b", r"a/\,b"), ("a\nb", r"a\ b"), (" a ", "a"), ("\x00", ""), ("压力,1", r"压力\,1"),
        ('a"b', "a'b"), ("100%", "100%"),
    ],
)  # fmt: skip
def test_names(text: str, line: str) -> None:
    assert escape.key(text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [('a"b', r'"a\"b"'), ("a\\", r'"a\\"'), ('\\"', r'"\\\""'), ("a,b=c d", '"a,b=c d"'), ("", '""')],
)
def test_texts(text: str, line: str) -> None:
    assert escape.text(text) == line


def test_a_tag_called_time_is_not_lost() -> None:
    (point,) = written(unit((1.0, 2.0), (ValueType.FLOAT64,) * 2, ("time", "%d")))
    assert point.fields == {"time_": 1.0, "%d": 2.0}


# round trip

_name = st.text(min_size=1, max_size=12).filter(lambda text: bool(escape.key(text)))
_float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
_of = {
    ValueType.BOOL: st.booleans(),
    ValueType.INT16: st.integers(-(2**15), 2**15 - 1),
    ValueType.INT64: st.integers(-(2**63), 2**63 - 1),
    ValueType.UINT64: st.integers(0, 2**64 - 1),
    ValueType.FLOAT32: _float32,
    ValueType.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    ValueType.STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
}
_columns = st.lists(
    st.tuples(_name, st.sampled_from(list(_of)), st.booleans(), st.sampled_from([0, 0, 0, 0x41, 0x81, 0xC0])),
    min_size=1, max_size=8, unique_by=lambda column: escape.key(column[0]),
)  # fmt: skip


@given(st.data(), _columns, _name, _name)
def test_whatever_is_written_is_read_back_bit_for_bit(
    data: st.DataObject, columns: list[tuple[str, ValueType, bool, int]], device: str, line: str
) -> None:
    names, kinds, scaled, quality = zip(*columns, strict=True)
    scaling = tuple(
        Scaling(0.5, 1.0) if on and kind.is_numeric else None for on, kind in zip(scaled, kinds, strict=True)
    )
    row = tuple(
        data.draw(_of[kind]) if code < 0x80 else None for kind, code in zip(kinds, quality, strict=True)
    )
    item = unit(row, kinds, names, quality, scaling, device=device)
    points = written(item, line=line)
    found = {name: value for point in points for name, value in point.fields.items()}
    wanted = {}
    for name, kind, value, scale in zip(names, kinds, row, scaling, strict=True):
        if value is None:
            continue
        if scale is not None:
            value = value * scale.scale + scale.offset  # type: ignore[operator]
        if isinstance(value, float) and not math.isfinite(value):
            continue
        wanted[_plain(name) + ("_" if _plain(name) == "time" else "")] = (
            float(value) if kind.is_float else value  # type: ignore[arg-type]
        )
    assert {name: _bits(value) for name, value in found.items()} == {
        name: _bits(value) for name, value in wanted.items()
    }
    for point in points:
        assert point.tag("device") == _plain(device)
        assert point.tag("line") == _plain(line)
        assert point.time_ns == START_NS + 123_456_789


def _plain(name: str) -> str:
    swapped = {"\\": "/", '"': "'", "\x7f": " "}
    return "".join(" " if c < " " else swapped.get(c, c) for c in name).strip()


def _bits(value: Any) -> Any:
    return (type(value), struct.pack(">d", value)) if isinstance(value, float) else (type(value), value)

"""The message is what ``docs/wire-format.md`` says it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Batch, ClockState, Event, Schema, Value, ValueType
from edge_agent.testing.destination import SCHEMA, incident, segment
from edge_agent.uplink import Envelope, Key, Lane
from edge_agent.uplinks.http import message


def batch(values: tuple[Value, ...], quality: bytes, **more: Any) -> Batch:
    kind = ValueType.FLOAT64
    width = len(values)
    names = tuple(f"t{i}" for i in range(width))
    schema = Schema("d", "g", "c", names, (kind,) * width, ("",) * width, (None,) * width)
    return Batch(schema, more.pop("time_ns", 1_795_305_595_000_000_999), 0, values, quality, **more)


def encoded(*batches: Batch) -> dict[str, Any]:
    item = Envelope(Key("samples", 7, 1234), Lane.BACKLOG, 1, batches[0].schema, batches)
    decoded: dict[str, Any] = json.loads(message.encode_item(item, message.SchemaTexts()))
    return decoded


def test_a_whole_message() -> None:
    texts = message.SchemaTexts()
    item = segment(1, ((True, 1, 2, 3, 4, 5, 0.5, 1e300, "高"),))
    body = message.encode_message(
        message.encode_head("ab" * 16, '线 "1"'),
        123,
        [texts.of(SCHEMA)],
        [message.encode_item(item, message.SchemaTexts())],
        [message.encode_item(incident(9), message.SchemaTexts())],
    )
    assert json.loads(body) == {
        "format": "lineside/1",
        "agent": "ab" * 16,
        "line": '线 "1"',
        "sent_us": 123,
        "schemas": {SCHEMA.digest: SCHEMA.as_dict()},
        "segments": [
            {
                "key": "samples/7/1",
                "lane": "live",
                "schema": SCHEMA.digest,
                "time_us": [1_795_305_601_000_000],
                "values": [[True, 1, 2, 3, 4, 5, 0.5, 1e300, "高"]],
                "clock": 2,
            }
        ],
        "events": [
            {
                "key": "event/7/9",
                "lane": "live",
                "kind": "excursion_begin",
                "source": "press-1.pressure",
                "time_us": 1_795_305_600_000_000,
                "config_version": "3fa2c1d0e9b8",
                "detail": {"value": 0.52, "high": 0.5, "note": '压力 "高"'},
            }
        ],
    }


def test_a_message_of_nothing_but_events_is_valid() -> None:
    event = message.encode_item(incident(1), message.SchemaTexts())
    body = message.encode_message(message.encode_head("a", ""), 1, [], [], [event])
    assert json.loads(body)["segments"] == []


def test_quality_names_only_the_rows_that_are_not_all_good() -> None:
    good, bad = batch((1.0, 2.0), b"\x00\x00"), batch((1.0, None), b"\x00\x81")
    assert "quality" not in encoded(good, good)
    assert encoded(good, bad, good)["quality"] == {"1": "0081"}


def test_the_clock_of_a_segment_is_its_least_certain_one() -> None:
    rows = [
        batch((1.0,), b"\0", clock=state) for state in (ClockState.SYNCHRONISED, ClockState.UNSYNCHRONISED)
    ]
    assert encoded(*rows)["clock"] == 1
    assert encoded(rows[0])["clock"] == 2


@given(
    time_ns=st.integers(0, 2**62),
    source_ns=st.lists(st.one_of(st.none(), st.integers(0, 2**62)), min_size=1, max_size=4),
)
def test_time_plus_offset_is_the_sources_own_stamp_in_microseconds(
    time_ns: int, source_ns: list[int | None]
) -> None:
    offsets = tuple(None if s is None else s - time_ns for s in source_ns)
    row = batch((1.0,) * len(offsets), bytes(len(offsets)), time_ns=time_ns, offsets_ns=offsets)
    decoded = encoded(row)
    base = decoded["time_us"][0]
    assert base == time_ns // 1000
    back = [None if o is None else base + o for o in decoded["offsets_us"][0]]
    assert back == [None if s is None else s // 1000 for s in source_ns]


def test_rows_without_source_time_are_null_among_those_with() -> None:
    with_time = batch((1.0,), b"\0", offsets_ns=(-5_000,), time_ns=0)
    assert encoded(batch((1.0,), b"\0", time_ns=0), with_time)["offsets_us"] == [None, [-5]]
    assert "offsets_us" not in encoded(batch((1.0,), b"\0"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "\ud800", b"bytes"])
def test_what_json_cannot_carry_is_refused_and_never_bent(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        message.encode_item(segment(1, ((True, 1, 1, 1, 1, 1, 1.0, value, ""),)), message.SchemaTexts())
    whole = Schema("d", "g", "c", ("a", "b"), (ValueType.INT64,) * 2, ("",) * 2, (None,) * 2)
    if not isinstance(value, str):
        item = Envelope(
            Key("samples", 7, 1), Lane.LIVE, 2, whole, (Batch(whole, 0, 0, (1, value), bytes(2)),)
        )
        with pytest.raises((ValueError, TypeError)):
            message.encode_item(item, message.SchemaTexts())


@given(
    st.lists(
        st.tuples(
            *[
                st.integers(-(2**63), 2**64 - 1)
                | st.none()
                | st.floats(-1e9, 1e9)
                | st.text("09a", max_size=2)
            ]
            * 3
        ),
        max_size=4,
    )
)
def test_rows_of_whole_numbers_are_what_they_are(rows: list[tuple[Value, ...]]) -> None:
    """Also where a driver gave something else than its schema says: nothing is rounded or cut."""
    types = (ValueType.UINT16, ValueType.INT64, ValueType.UINT64)
    schema = Schema("d", "g", "c", ("a", "b", "c"), types, ("",) * 3, (None,) * 3)
    batches = tuple(Batch(schema, n, n, row, bytes(3)) for n, row in enumerate(rows))
    item = Envelope(Key("samples", 7, 1), Lane.LIVE, 3 * len(rows), schema, batches)
    texts = message.SchemaTexts()
    for _ in range(2):
        found = json.loads(message.encode_item(item, texts))["values"]
        assert [[(type(v), v) for v in row] for row in found] == [[(type(v), v) for v in row] for row in rows]


def test_an_event_with_a_foreign_object_is_refused() -> None:
    event = Event("k", "s", 0, 0, "c", {"x": object()})
    with pytest.raises(TypeError):
        message.encode_item(Envelope(Key("event", 1, 1), Lane.LIVE, event=event), message.SchemaTexts())


def test_an_envelope_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        message.encode_item(Envelope(Key("samples", 1, 1), Lane.LIVE), message.SchemaTexts())


@given(st.lists(st.lists(st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1),
                                   st.floats(allow_nan=False, allow_infinity=False),
                                   st.text(st.characters(exclude_categories=["Cs"]))),
                         min_size=3, max_size=3), min_size=1, max_size=4))  # fmt: skip
def test_any_values_survive(rows: list[list[Value]]) -> None:
    decoded = encoded(*(batch(tuple(row), bytes(3)) for row in rows))["values"]
    assert repr(decoded) == repr(rows)  # repr: 1, 1.0, True and -0.0 all differ


def test_schemas_are_encoded_once_and_the_memory_of_them_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MAX_CACHED_SCHEMAS", 3)
    texts = message.SchemaTexts()
    assert texts.of(SCHEMA) is texts.of(SCHEMA)
    for version in range(10):
        texts.of(replace(SCHEMA, config_version=str(version)))
    assert len(texts._texts) <= 3

"""What a template makes of units: structure, messages, what is missing, and that text stays text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Value, ValueType
from edge_agent.testing.destination import ROWS, START_NS, incident, segment
from edge_agent.uplink import Envelope, Key, Lane
from edge_agent.uplinks.templates import About, Template, faults

ABOUT = About("0f3c" * 8, "press-line-1", 5_000_000, "s3cret")
GOOD, BAD, AWAY = Quality.GOOD, Quality.BAD_COMM, Quality.NOT_REPORTED

THINGSBOARD: Any = [{"$each": "batch", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}]
GATEWAY: Any = {"{{device}}": THINGSBOARD}
ROW: Any = {"tag": "{{tag}}", "value": "{{value}}", "quality": "{{quality}}"}


def unit(
    seq: int,
    *rows: tuple[Value, ...],
    device: str = "press-1",
    names: tuple[str, ...] = ("p", "t"),
    quality: tuple[int, ...] = (GOOD, GOOD),
    stream: str = "samples",
) -> Envelope:
    scaling = (None, Scaling(0.1, 0.0))[: len(names)]
    kinds = (ValueType.FLOAT32, ValueType.INT16)[: len(names)]
    schema = Schema(device, "fast", "v1", names, kinds, ("MPa", "°C")[: len(names)], scaling)
    batches = tuple(
        Batch(schema, START_NS + seq * 10**9 + index * 10**6 + 999_999, 0, row, bytes(quality))
        for index, row in enumerate(rows)
    )
    return Envelope(Key(stream, 7, seq), Lane.LIVE, 2 * len(rows), schema, batches)


def filled(structure: Any, *items: Envelope, missing: str = "omit", events: bool = False) -> list[Any]:
    assert faults(structure, events=events) == []
    template = Template(structure, missing=missing, events=events)
    return [json.loads(one.encoded()) for one in template.fill(items, ABOUT)]


def test_thingsboard_device_api() -> None:
    found = filled(THINGSBOARD, unit(1, (0.41, 850), (0.42, 851)), unit(2, (0.43, 852)))
    assert found == [
        [
            {"ts": 1795305601000, "values": {"p": 0.41, "t": 85.0}},
            {"ts": 1795305601001, "values": {"p": 0.42, "t": 85.10000000000001}},
            {"ts": 1795305602000, "values": {"p": 0.43, "t": 85.2}},
        ]
    ]


def test_thingsboard_gateway_groups_by_device() -> None:
    items = [unit(1, (0.4, 1)), unit(2, (0.5, 2), device="press-2"), unit(3, (0.6, 3))]
    (found,) = filled(GATEWAY, *items)
    assert list(found) == ["press-1", "press-2"]
    assert [row["values"]["p"] for row in found["press-1"]] == [0.4, 0.6]
    assert [row["values"]["p"] for row in found["press-2"]] == [0.5]


@pytest.mark.parametrize(
    ("structure", "messages", "units"),
    [
        ({"rows": [{"$each": "sample", **ROW}]}, 1, [(0, 1, 2)]),
        ({"device": "{{device}}", "rows": [{"$each": "sample", **ROW}]}, 2, [(0, 2), (1,)]),
        ({"time": "{{time_iso}}", "values": {"{{tag}}": "{{value}}"}}, 4, [(0,), (0,), (1,), (2,)]),
        (ROW, 8, [(0,)] * 4 + [(1,)] * 2 + [(2,)] * 2),
        ([{"$each": "device", "d": "{{device}}", "rows": THINGSBOARD}], 1, [(0, 1, 2)]),
        ({"{{device}}.{{tag}}": "{{value}}"}, 4, [(0,), (0,), (1,), (2,)]),
    ],
)  # fmt: skip
def test_what_stands_outside_of_repetitions_decides_how_many_messages(
    structure: Any, messages: int, units: list[tuple[int, ...]]
) -> None:
    items = [unit(1, (0.4, 1), (0.5, 2)), unit(2, (0.6, 3), device="press-2"), unit(3, (0.7, 4))]
    assert faults(structure) == []
    found = list(Template(structure).fill(items, ABOUT))
    assert len(found) == messages
    assert [one.items for one in found] == units
    assert len({one.name for one in found}) == messages, "each message has a name of its own"


def test_what_has_no_value_is_left_out_or_null_and_never_zero() -> None:
    item = unit(1, (None, 850), (0.42, None), (None, None), quality=(BAD, BAD))
    marked = (replace(b, quality=bytes((BAD if v is None else 0) for v in b.values)) for b in item.batches)
    mixed = replace(item, batches=tuple(marked))
    assert [row["values"] for row in filled(THINGSBOARD, mixed)[0]] == [{"t": 85.0}, {"p": 0.42}]
    assert [row["values"] for row in filled(THINGSBOARD, mixed, missing="null")[0]] == [
        {"p": None, "t": 85.0}, {"p": 0.42, "t": None}, {"p": None, "t": None},
    ]  # fmt: skip
    rows = filled([{"$each": "sample", **ROW}], mixed, missing="null")[0]
    assert [(row["value"], row["quality"]) for row in rows[:2]] == [(None, "bad_comm"), (85.0, "good")]
    assert len(filled([{"$each": "sample", **ROW}], mixed)[0]) == 2


def test_a_bad_value_is_none_even_where_one_stands() -> None:
    assert filled(THINGSBOARD, unit(1, (0.4, 1), quality=(Quality.STALE, GOOD)))[0][0]["values"] == {"t": 0.1}


def test_an_uncertain_value_is_sent_with_its_quality() -> None:
    (row, _) = filled([{"$each": "sample", **ROW}], unit(1, (0.4, 1), quality=(0x41, GOOD)))[0]
    assert row == {"tag": "p", "value": 0.4, "quality": "uncertain_stopped"}


@pytest.mark.parametrize("missing", ["omit", "null"])
def test_what_was_not_reported_is_no_sample(missing: str) -> None:
    item = unit(1, (None, 1), quality=(AWAY, GOOD))
    assert filled(THINGSBOARD, item, missing=missing)[0][0]["values"] == {"t": 0.1}


@pytest.mark.parametrize("structure", [THINGSBOARD, GATEWAY, ROW, {"line": "{{line}}", "rows": THINGSBOARD}])
def test_nothing_to_say_is_no_message(structure: Any) -> None:
    assert filled(structure, unit(1, (None, None), quality=(BAD, BAD)), unit(2)) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_not_is_missing(value: float) -> None:
    assert filled(THINGSBOARD, unit(1, (value, 1)))[0][0]["values"] == {"t": 0.1}


def test_every_kind_of_value_keeps_its_type() -> None:
    (found,) = filled([{"$each": "sample", "n": "{{tag}}", "v": "{{value}}"}], segment(1, ROWS[:2]))
    values = [row["v"] for row in found[:9]]
    assert values[:2] == [True, -128]
    assert values[3:] == list(ROWS[0][3:])
    assert [type(v) for v in values] == [bool, int, float, int, int, int, float, float, str]


def test_placeholders_in_text_and_alone() -> None:
    structure = {
        "a": "{{value}}", "b": "{{ value_text }}", "c": "{{device}}/{{tag}} = {{value}} {{unit}}",
        "d": 7, "e": None,
        "f": "{{time_iso}} {{time_iso_cn}} {{time_cn}}", "g": ["{{time_s}}", "{{time_ms}}", "{{time_us}}"],
        "h": "{{time_ns}}", "k": "{{key}}", "t": "{{type}}", "q": "{{quality_code}}",
        "m": "{{agent}} {{line}} {{sent_ms}} {{sent_iso}} {{secret}} {{group}} {{config_version}}",
    }  # fmt: skip
    first, *_ = filled(structure, unit(1, (0.5, 1)))
    assert first == {
        "a": 0.5, "b": "0.5", "c": "press-1/p = 0.5 MPa", "d": 7, "e": None,
        "f": "2026-11-22T00:00:01.000Z 2026-11-22T08:00:01.000+08:00 2026-11-22 08:00:01",
        "g": [1795305601, 1795305601000, 1795305601000999], "h": 1795305601000999999, "k": "samples/7/1",
        "t": "float32", "q": 0,
        "m": f"{'0f3c' * 8} press-line-1 5 1970-01-01T00:00:00.005Z s3cret fast v1",
    }  # fmt: skip


def test_events() -> None:
    structure = [{"$each": "event", "kind": "{{kind}}", "at": "{{time_ms}}", "more": "{{detail}}"}]
    items = [incident(1), segment(1), incident(2)]
    assert faults(structure, events=True) == []
    (found,) = Template(structure, events=True).fill(items, ABOUT)
    assert found.items == (0, 2)
    assert json.loads(found.encoded())[0]["more"] == dict(items[0].event.detail)  # type: ignore[union-attr]
    (text,) = filled({"text": "{{source}}: {{detail_text}}"}, incident(1), events=True)
    assert json.loads(text["text"].removeprefix("press-1.pressure: "))["high"] == 0.5
    assert filled(THINGSBOARD, incident(1)) == []


def test_a_tag_that_is_called_as_a_key_of_the_template_is_an_error_and_overwrites_nothing() -> None:
    structure = {"ts": "{{time_ms}}", "{{tag}}": "{{value}}"}
    with pytest.raises(ValueError, match="'ts' stands twice"):
        filled(structure, unit(1, (0.1, 2), names=("ts", "t")))


def test_what_is_no_json_is_an_error() -> None:
    event = Event("excursion_begin", "w", START_NS, 0, "v", {"value": float("nan")})
    item = Envelope(Key("event", 7, 1), Lane.LIVE, event=event)
    (found,) = Template({"d": "{{detail}}"}, events=True).fill([item], ABOUT)
    with pytest.raises(ValueError, match="not JSON compliant"):
        found.encoded()


def test_the_same_units_make_the_same_bytes() -> None:
    items = [unit(1, (0.4, 1)), unit(2, (0.5, 2))]
    template = Template(GATEWAY)
    first, second = ([one.encoded() for one in template.fill(items, ABOUT)] for _ in range(2))
    assert first == second


_words = st.text(max_size=20)


@given(name=_words.filter(bool), text=_words, unit_=_words, line=_words)
def test_whatever_is_filled_in_stays_a_value(name: str, text: str, unit_: str, line: str) -> None:
    """No text can become structure: not with quotation marks, braces, or a placeholder's own name."""
    schema = Schema("d", "g", "v", (name,), (ValueType.STRING,), (unit_,), (None,))
    batch = Batch(schema, START_NS, 0, (text,), bytes(1))
    item = Envelope(Key("samples", 1, 1), Lane.LIVE, 1, schema, (batch,))
    structure = {
        "line": "{{line}}",
        "rows": [{"$each": "sample", "n": "{{tag}}", "{{tag}}": "[{{value}}|{{unit}}]"}],
    }
    found = list(Template(structure).fill([item], About(line=line)))
    if name == "n":
        return
    try:
        body = found[0].encoded()
    except UnicodeEncodeError:  # half a surrogate pair
        return
    assert json.loads(body) == {"line": line, "rows": [{"n": name, name: f"[{text}|{unit_}]"}]}

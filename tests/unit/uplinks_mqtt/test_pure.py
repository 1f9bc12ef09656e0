"""Topics, the memory of closings, keys in acknowledgements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.testing.destination import SCHEMA, incident, segment
from edge_agent.uplink import Key
from edge_agent.uplinks.mqtt import topics
from edge_agent.uplinks.mqtt.acks import key_of, read_ack
from edge_agent.uplinks.mqtt.closings import Closings

S = 1_000_000_000


def test_places_are_filled_and_others_left() -> None:
    assert topics.filled("a/{agent}/{device}", {"agent": "x"}) == "a/x/{device}"


def test_a_unit_names_its_device_and_group() -> None:
    assert topics.unit_topic("{stream}/{device}/{group}", segment(1)) == "samples/press-1/fast"
    assert topics.unit_topic("{stream}/{device}/{group}", incident(1)) == "event/events/events"


@given(st.text())
def test_a_value_is_one_level_whatever_it_holds(name: str) -> None:
    topic = topics.unit_topic("a/{device}/b", segment(1, schema=replace(SCHEMA, device=name)))
    first, level, last = topic.split("/")
    assert (first, last) == ("a", "b") and level
    assert not set(level) & set("+#\0")
    topic.encode()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("samples/7/12", Key("samples", 7, 12)),
        ("event/1/0", Key("event", 1, 0)),
        ("samples/7/٣", None),
        ("samples/7/1 ", None),
        ("samples/7/" + "9" * 30, None),
        ("Samples/7/1", None),
        ("", None),
    ],
)
def test_keys(text: str, key: Key | None) -> None:
    assert key_of(text) == key


@given(st.binary())
def test_no_bytes_break_the_reading_of_an_acknowledgement(payload: bytes) -> None:
    read_ack(payload, "a", must_name=True)


def test_three_short_connections_make_the_fourth_wait() -> None:
    closings = Closings()
    for at in (10, 12, 15):
        assert not closings.too_many(at * S)
        closings.add(at * S)
    assert closings.too_many(16 * S)
    assert Closings(closings.text).too_many(60 * S), "it is remembered"
    assert not closings.too_many(66 * S), "the pause is over: one try"
    closings.add(70 * S)
    assert closings.too_many(71 * S), "and no more"
    assert not closings.too_many(700 * S)


def test_moments_of_before_the_machine_was_started_count_nothing() -> None:
    closings = Closings("900000000000 900000000001 900000000002")
    assert not closings.too_many(5 * S)


@given(st.text())
def test_any_text_can_be_a_note(text: str) -> None:
    Closings(text).too_many(5 * S)

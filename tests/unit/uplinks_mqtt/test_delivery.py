"""How units become messages, and what the broker's answers make of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable
from edge_agent.model import Event
from edge_agent.testing.destination import ROWS, SCHEMA, RecordingHost, incident, segment
from edge_agent.uplink import ACKNOWLEDGED, NOTHING_TO_SEND, Answer, Envelope, Key, Lane
from hardware_mocks import mqtt_wire as wire
from hardware_mocks.message import parse_body, parse_message
from hardware_mocks.mqtt_broker import CLOSE
from hardware_mocks.mqtt_wire import Publish

from .conftest import Opened
from .park import AGENT, DATA, Park

OTHER = replace(SCHEMA, device="furnace-1")


def of(message: Publish, *codes: int) -> int:
    return codes[0] if message.topic == DATA else 0


async def test_many_units_are_one_message_of_the_wire_format(park: Park, opened: Opened) -> None:
    items = [segment(1), segment(2, ROWS), incident(1), segment(3, schema=OTHER)]
    async with opened(park) as uplink:
        assert await uplink.send(items) == [ACKNOWLEDGED] * 4
    (message,) = park.data
    assert (message.qos, message.retain, message.duplicate) == (1, False, False)
    parsed = parse_message(parse_body(message.payload, ""))
    assert parsed.agent == AGENT
    assert [item.key for item in parsed.items] == ["samples/7/1", "samples/7/2", "samples/7/3", "event/7/1"]


async def test_one_message_per_topic(park: Park, opened: Opened) -> None:
    items = [segment(1), segment(2, schema=OTHER), segment(3), incident(1)]
    async with opened(park, topic="plant/{line}/{stream}/{device}/{group}") as uplink:
        assert await uplink.send(items) == [ACKNOWLEDGED] * 4
    sent = {m.topic: json.loads(m.payload) for m in park.broker.published if m.topic.startswith("plant/")}
    assert {topic: len(body["segments"]) for topic, body in sent.items()} == {
        "plant/press-line-1/samples/press-1/fast": 2,
        "plant/press-line-1/samples/furnace-1/fast": 1,
        "plant/press-line-1/event/events/events": 0,
    }


async def test_user_properties_tell_what_is_in_it(park5: Park, opened: Opened) -> None:
    async with opened(park5) as uplink:
        await uplink.send([segment(1)])
        await uplink.send([segment(2)])
        await uplink.send([segment(1)])
    first, second, again = [m.properties for m in park5.data]
    assert first["content_type"] == "application/json" and first["payload_format"] == 1
    told = dict(first["user"])
    assert (told["agent"], told["line"], told["format"]) == (AGENT, "press-line-1", "lineside/1")
    assert first["user"] == again["user"] != second["user"]


async def test_schemas_are_retained_and_sent_once_per_connection(park: Park, opened: Opened) -> None:
    async with opened(park) as uplink:
        await uplink.send([segment(1)])
        await uplink.send([segment(2)])
        await uplink.send([segment(3, schema=OTHER)])
    assert [sorted(body["schemas"]) for body in park.bodies] == [[SCHEMA.digest], [], [OTHER.digest]]
    for schema in (SCHEMA, OTHER):
        kept = park.broker.retained[f"lineside/{AGENT}/schema/{schema.digest}"]
        message = parse_message(parse_body(kept.payload, ""))
        assert message.schemas[schema.digest]["device"] == schema.device
        assert message.items == ()
    order = [m.topic for m in park.broker.published if "/schema/" in m.topic or m.topic == DATA]
    assert order[0].endswith(SCHEMA.digest) and order[1] == DATA
    async with opened(park) as uplink:
        await uplink.send([segment(4)])
    assert park.bodies[-1]["schemas"], "a new connection sends it again"


async def test_without_a_schema_topic_every_message_can_be_decoded_alone(park: Park, opened: Opened) -> None:
    async with opened(park, schema_topic="") as uplink:
        await uplink.send([segment(1)])
        await uplink.send([segment(2)])
    assert [sorted(body["schemas"]) for body in park.bodies] == [[SCHEMA.digest]] * 2
    assert not [topic for topic in park.broker.retained if "schema" in topic]


async def test_a_unit_with_nothing_left_of_it_needs_no_message(park: Park, opened: Opened) -> None:
    empty = Envelope(Key("samples", 7, 5), Lane.LIVE, 0, SCHEMA, ())
    async with opened(park) as uplink:
        assert await uplink.send([empty]) == [NOTHING_TO_SEND]
        assert park.data == []
        assert await uplink.send([empty, segment(1)]) == [NOTHING_TO_SEND, ACKNOWLEDGED]
    assert list(park.received) == ["samples/7/1"]


async def test_what_is_no_json_is_rejected_alone(park: Park, opened: Opened) -> None:
    event = Event("kind", "source", 0, 0, "v", {"no": float("nan")})
    bad = Envelope(Key("event", 7, 9), Lane.LIVE, event=event)
    async with opened(park) as uplink:
        verdicts = await uplink.send([segment(1), bad, segment(2)])
    assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED, Answer.REJECTED, Answer.ACKNOWLEDGED]
    assert "cannot be written as JSON" in verdicts[1].reason


# Codes of PUBACK


async def test_nobody_subscribed_acknowledges_nothing(park5: Park, opened: Opened) -> None:
    park5.broker.listeners.clear()
    async with opened(park5) as uplink:
        (verdict,) = await uplink.send([segment(1)])
        assert verdict.answer is Answer.RETRY and "require_subscriber" in verdict.reason
    async with opened(park5, require_subscriber=False) as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x97, 0x91])
async def test_codes_that_pass(park5: Park, opened: Opened, code: int) -> None:
    park5.broker.moods.judges = lambda m: of(m, code)
    async with opened(park5) as uplink:
        verdicts = await uplink.send([segment(1), segment(2)])
        assert [v.answer for v in verdicts] == [Answer.RETRY] * 2 and verdicts[0].reason
        park5.broker.moods.judges = lambda _: 0
        assert await uplink.send([segment(1), segment(2)]) == [ACKNOWLEDGED] * 2


@pytest.mark.parametrize(("code", "error"), [(0x87, Denied), (0x99, Unacceptable), (0x90, Unacceptable)])
async def test_codes_that_concern_the_message(
    park5: Park, opened: Opened, code: int, error: type[Exception]
) -> None:
    park5.broker.moods.judges = lambda m: of(m, code)
    async with opened(park5) as uplink:
        with pytest.raises(error) as caught:
            await uplink.send([segment(1)])
        assert DATA in str(caught.value)
        if code == 0x87:
            assert "user line-7 may not publish" in str(caught.value)


@pytest.mark.parametrize(("where", "key"), [("status", "status_topic"), ("schema", "schema_topic")])
async def test_access_rules_that_forbid_a_retained_topic(
    park5: Park, opened: Opened, where: str, key: str
) -> None:
    park5.broker.moods.judges = lambda m: 0x87 if where in m.topic else 0
    with pytest.raises(Denied, match=f"`{key}`"):
        async with opened(park5) as uplink:
            await uplink.send([segment(1)])
    assert park5.data == []


async def test_what_was_taken_before_a_refusal_is_settled(
    park5: Park, opened: Opened, host: RecordingHost
) -> None:
    park5.broker.moods.judges = lambda m: 0x87 if m.topic == "p/furnace-1" else 0
    async with opened(park5, topic="p/{device}") as uplink:
        with pytest.raises(Denied, match="furnace-1"):
            await uplink.send([segment(1), segment(2, schema=OTHER), segment(3)])
    assert host.confirmed == [Key("samples", 7, 1), Key("samples", 7, 3)]


# Sizes


async def test_the_largest_packet_of_the_broker_is_respected(park5: Park, opened: Opened) -> None:
    park5.broker.moods.about = {"maximum_packet_size": 2200}
    async with opened(park5) as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
        with pytest.raises(TooLarge, match="the broker takes 2200 at most"):
            await uplink.send([segment(n) for n in range(2, 12)])
        assert len(park5.data) == 1, "nothing that large may go out"
        assert await uplink.send([segment(2)]) == [ACKNOWLEDGED]


async def test_the_configured_size_counts_where_the_broker_says_none(park: Park, opened: Opened) -> None:
    async with opened(park, max_packet="2200B") as uplink:
        with pytest.raises(TooLarge):
            await uplink.send([segment(n) for n in range(10)])
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]


async def test_the_size_is_exact(park5: Park, opened: Opened) -> None:
    """The estimate errs by three bytes at most, and never below."""
    async with opened(park5, schema_topic="") as uplink:
        await uplink.send([segment(1)])
    message = park5.data[0]
    size = len(wire.publish(message, v5=True))
    park5.broker.moods.about = {"maximum_packet_size": size + 3}
    async with opened(park5, schema_topic="") as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
    park5.broker.moods.about = {"maximum_packet_size": size - 1}
    async with opened(park5, schema_topic="") as uplink:
        with pytest.raises(TooLarge):
            await uplink.send([segment(1)])


async def test_no_more_under_way_than_the_broker_takes(park5: Park, opened: Opened) -> None:
    park5.broker.moods.about = {"receive_maximum": 1}
    items = [segment(n, schema=replace(SCHEMA, device=f"d{n}")) for n in range(5)]
    async with opened(park5, topic="p/{device}") as uplink:
        assert await uplink.send(items) == [ACKNOWLEDGED] * 5


# The connection ends while a message is out


async def test_a_connection_that_is_closed_once_on_a_message_is_opened_again(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    closes = iter([CLOSE])
    park.broker.moods.judges = lambda m: next(closes, 0) if m.topic == DATA else 0
    async with opened(park) as uplink:
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
    assert len(park.broker.connects) == 2 and host.losses == []


async def test_twice_in_a_row_it_is_the_message(park: Park, opened: Opened, host: RecordingHost) -> None:
    park.broker.moods.judges = lambda m: of(m, CLOSE)
    async with opened(park) as uplink:
        with pytest.raises(Unacceptable, match="twice in a row"):
            await uplink.send([segment(1)])
        park.broker.moods.judges = lambda _: 0
        assert await uplink.send([segment(2)]) == [ACKNOWLEDGED], "the connection is there for the next"
    assert len(park.broker.connects) == 3 and host.losses == []


async def test_a_broker_that_goes_away_meanwhile_is_unreachable(park: Park, opened: Opened) -> None:
    """Its data must not be taken for poison."""

    def die(message: Publish) -> int:
        if message.topic == DATA:
            park.broker._server.close()  # type: ignore[union-attr]
            return CLOSE
        return 0

    park.broker.moods.judges = die
    with pytest.raises(Unreachable):
        async with opened(park) as uplink:
            await uplink.send([segment(1)])


@pytest.mark.parametrize(
    ("code", "error"),
    [(0x95, TooLarge), (0x97, Unreachable), (0x8E, Denied), (0x99, Unacceptable), (0x82, Unacceptable)],
)
async def test_a_message_answered_by_disconnect(
    park5: Park, opened: Opened, code: int, error: type[Exception]
) -> None:
    async with opened(park5) as uplink:
        park5.broker.moods.judges = lambda m: _disconnecting(park5, m, code)
        with pytest.raises(error):
            await uplink.send([segment(1)])


def _disconnecting(park: Park, message: Publish, code: int) -> int:
    park.broker.moods.disconnects = code if message.topic == DATA else None
    return 0


async def test_a_puback_that_is_lost_is_no_confirmation(park: Park, opened: Opened) -> None:
    async with opened(park, timeout="400ms") as uplink:
        await uplink.send([segment(1)])
        park.broker.moods.drops_pubacks = 1
        with pytest.raises(Unreachable, match="no answer within"):
            await uplink.send([segment(2)])
    async with opened(park) as uplink:
        assert await uplink.send([segment(2)]) == [ACKNOWLEDGED]
    assert [body["segments"][0]["key"] for body in park.bodies] == ["samples/7/1"] + ["samples/7/2"] * 2


async def test_garbage_instead_of_a_puback_acknowledges_nothing(park: Park, opened: Opened) -> None:
    async with opened(park, status_topic="", schema_topic="") as uplink:
        park.broker.moods.garbles = True
        with pytest.raises(Unacceptable, match="not MQTT"):
            await uplink.send([segment(1)])
    assert park.messages == 2


@pytest.mark.parametrize("code", [0x95, 0xFE])
async def test_a_code_that_no_puback_may_have_is_a_refusal_of_the_message(
    park5: Park, opened: Opened, code: int
) -> None:
    park5.broker.moods.judges = lambda m: of(m, code)
    async with opened(park5) as uplink:
        with pytest.raises(Unacceptable):
            await uplink.send([segment(1)])

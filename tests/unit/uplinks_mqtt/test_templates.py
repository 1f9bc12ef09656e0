"""A foreign platform's own JSON: ThingsBoard's device API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.errors import Denied
from edge_agent.model import engineering
from edge_agent.testing.destination import ROWS, SCHEMA, RecordingHost, incident, segment
from edge_agent.uplink import ACKNOWLEDGED, NOTHING_TO_SEND, Answer, Envelope
from hardware_mocks.mqtt_wire import Connect

from .conftest import Opened
from .park import Park

BODY = [{"$each": "batch", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}]
EVENTS = [{"$each": "event", "ts": "{{time_ms}}", "values": {"event": "{{kind}}"}}]
TELEMETRY = "v1/devices/me/telemetry"


def thingsboard(park: Park, **more: Any) -> dict[str, Any]:
    """It knows devices by a token in place of a user name, and has no retained topics."""

    def known(told: Connect) -> int:
        return 0 if told.username == "t0ken" and told.password is None else (0x86 if told.v5 else 4)

    park.broker.moods.refuses = known
    return {"username": None, "password": None, "token": "t0ken\n", "topic": TELEMETRY, "body": BODY, **more}


def expected(item: Envelope) -> list[dict[str, Any]]:
    return [
        {
            "ts": batch.time_ns // 1_000_000,
            "values": {
                name: engineering(value, scaling)
                for name, value, scaling in zip(SCHEMA.names, batch.values, SCHEMA.scaling, strict=True)
                if value is not None
            },
        }
        for batch in item.batches
        if batch.values[0] is not None
    ]


async def test_telemetry_in_engineering_units(park: Park, opened: Opened) -> None:
    item = segment(1, ROWS)
    async with opened(park, **thingsboard(park)) as uplink:
        assert await uplink.send([item]) == [ACKNOWLEDGED]
    (message,) = park.broker.published
    assert message.topic == TELEMETRY and message.qos == 1
    assert json.loads(message.payload) == expected(item)
    assert park.broker.connects[0].will is None


async def test_events_have_a_template_of_their_own(park: Park, opened: Opened) -> None:
    keys = thingsboard(park)
    async with opened(park, **keys) as uplink:
        verdicts = await uplink.send([segment(1), incident(1)])
        assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED, Answer.REJECTED]
    async with opened(park, **keys, event_body=EVENTS) as uplink:
        assert await uplink.send([segment(1), incident(1)]) == [ACKNOWLEDGED] * 2
    assert json.loads(park.broker.published[-1].payload)[0]["values"] == {"event": "excursion_begin"}


async def test_a_unit_of_which_nothing_can_be_said_is_settled(park: Park, opened: Opened) -> None:
    bad = segment(2, ROWS[3:])
    async with opened(park, **thingsboard(park)) as uplink:
        assert await uplink.send([bad]) == [NOTHING_TO_SEND]
        assert park.broker.published == []


async def test_one_message_per_reading_where_the_template_asks_for_it(park5: Park, opened: Opened) -> None:
    """A unit is delivered when all of its messages are."""
    one = {"ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}
    codes = iter([0, 0x97, 0])
    keys = thingsboard(park5)
    park5.broker.moods.judges = lambda _: next(codes, 0)
    async with opened(park5, **{**keys, "body": one}) as uplink:
        assert [v.answer for v in await uplink.send([segment(1)])] == [Answer.RETRY]
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]
    assert len(park5.broker.published) == 6


async def test_a_unit_of_which_one_message_was_refused_is_not_delivered(
    park5: Park, opened: Opened, host: RecordingHost
) -> None:
    one = {"ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}
    codes = iter([0, 0, 0, 0, 0x87])  # three readings a unit
    keys = thingsboard(park5)
    park5.broker.moods.judges = lambda _: next(codes, 0)
    async with opened(park5, **{**keys, "body": one}) as uplink:
        with pytest.raises(Denied):
            await uplink.send([segment(1), segment(2)])
    assert host.confirmed == [segment(1).key]

"""The platform confirms keys on a topic of its own: the broker's PUBACK then settles nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.testing.destination import SCHEMA, Manner, RecordingHost, incident, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import PENDING, Key
from hardware_mocks.mqtt_wire import Publish

from .conftest import Opened
from .park import ACK, AGENT, Park

ONE, TWO = Key("samples", 7, 1), Key("samples", 7, 2)


@pytest.fixture(autouse=True)
def says_nothing_by_itself(acking: Park) -> None:
    acking.manner = Manner.LATE


async def test_units_wait_until_their_keys_are_named(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(acking) as uplink:
        assert await uplink.send([segment(1), segment(2), incident(1)]) == [PENDING] * 3
        assert host.confirmed == []
        acking.say({"agent": AGENT, "acknowledged": ["samples/7/2", "event/7/1"]})
        await until(lambda: len(host.confirmed) == 2, "never confirmed")
    assert set(host.confirmed) == {TWO, Key("event", 7, 1)}


async def test_a_confirmation_may_overtake_the_puback(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    acking.manner = Manner.CONFIRM  # confirms while the broker is still distributing
    async with opened(acking) as uplink:
        assert await uplink.send([segment(1)]) == [PENDING]
        await until(lambda: host.confirmed == [ONE], "never confirmed")


async def test_refused_late(acking: Park, opened: Opened, host: RecordingHost) -> None:
    """A key in both lists counts as refused."""
    async with opened(acking) as uplink:
        await uplink.send([segment(1), segment(2)])
        acking.say(
            {
                "agent": AGENT,
                "acknowledged": ["samples/7/1", "samples/7/2"],
                "rejected": {"samples/7/2": "no"},
            }
        )
        await until(lambda: host.confirmed, "never confirmed")
    assert (host.confirmed, host.refused) == ([ONE], [(TWO, "no")])


@pytest.mark.parametrize(
    "said",
    [
        {"agent": "f" * 32, "acknowledged": ["samples/7/1"]},
        {"agent": 7, "acknowledged": ["samples/7/1"]},
        {"agent": AGENT},
        {"agent": AGENT, "acknowledged": "samples/7/1"},
        {"agent": AGENT, "acknowledged": ["samples/7", "samples/7/1/2", "samples/x/1", None, 1]},
        ["samples/7/1"],
        b'{"agent": "' + AGENT.encode() + b'", "acknowledged": ["samples/7/1"',
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
    ],
)
async def test_what_is_no_confirmation_for_us_confirms_nothing(
    acking: Park, opened: Opened, host: RecordingHost, said: Any
) -> None:
    async with opened(acking) as uplink:
        await uplink.send([segment(1), segment(2)])
        acking.say(said)
        acking.say({"agent": AGENT, "acknowledged": ["samples/7/2"]})
        await until(lambda: host.confirmed, "the connection did not survive it")
    assert host.confirmed == [TWO] and host.losses == []


async def test_a_shared_topic_needs_the_name_of_the_agent(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    """Keys are unique together with the agent's id only."""
    async with opened(acking, ack_topic="park/ack") as uplink:
        await uplink.send([segment(1), segment(2)])
        acking.broker.distribute(Publish("park/ack", b'{"acknowledged": ["samples/7/1"]}', qos=1))
        named = b'{"agent": "%b", "acknowledged": ["samples/7/2"]}' % AGENT.encode()
        acking.broker.distribute(Publish("park/ack", named, qos=1))
        await until(lambda: host.confirmed, "never confirmed")
    assert host.confirmed == [TWO]


async def test_a_topic_of_its_own_needs_no_name(acking: Park, opened: Opened, host: RecordingHost) -> None:
    async with opened(acking) as uplink:
        await uplink.send([segment(1)])
        acking.say({"acknowledged": ["samples/7/1"]})
        await until(lambda: host.confirmed == [ONE], "never confirmed")


async def test_confirmations_of_another_topic_are_none(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(acking) as uplink:
        await uplink.send([segment(1)])
        for session in acking.broker._sessions.values():
            payload = b'{"agent": "%b", "acknowledged": ["samples/7/1"]}' % AGENT.encode()
            session.deliver(Publish(f"{ACK}/x", payload, qos=1))
        acking.say({"agent": AGENT, "acknowledged": []})
        await uplink.send([segment(2)])
    assert host.confirmed == []


async def test_a_schema_that_is_asked_for_goes_again(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    """A refusal of a unit whose schema was unknown is no statement about the unit."""
    other = replace(SCHEMA, device="furnace-1")
    async with opened(acking) as uplink:
        await uplink.send([segment(1), segment(2, schema=other)])
        acking.say(
            {"agent": AGENT, "acknowledged": ["samples/7/2"], "rejected": {"samples/7/1": "cannot decode"},
             "unknown_schemas": [SCHEMA.digest]}
        )  # fmt: skip
        await until(lambda: host.confirmed, "never confirmed")
        assert host.refused == []
        await uplink.send([segment(1), segment(3, schema=other)])
    assert sorted(acking.bodies[-1]["schemas"]) == [SCHEMA.digest]
    published = [m.topic for m in acking.broker.published if m.topic.endswith(SCHEMA.digest)]
    assert len(published) == 2, "and so does its retained message"


async def test_twice_the_same_confirmation(acking: Park, opened: Opened, host: RecordingHost) -> None:
    """The host ignores what it has settled."""
    acking.broker.moods.doubles = True
    async with opened(acking) as uplink:
        await uplink.send([segment(1)])
        acking.say({"agent": AGENT, "acknowledged": ["samples/7/1"]})
        await until(lambda: len(host.confirmed) == 2, "never confirmed")
    assert set(host.confirmed) == {ONE}


async def test_confirmations_that_come_while_we_are_away_wait_at_the_broker(
    acking: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(acking) as uplink:
        await uplink.send([segment(1)])
    assert not acking.broker.connects[0].clean
    await until(lambda: not acking.broker.clients, "never left")
    acking.say({"agent": AGENT, "acknowledged": ["samples/7/1"]})
    assert host.confirmed == []
    async with opened(acking):
        await until(lambda: host.confirmed == [ONE], "the broker forgot it")


async def test_requests_to_write_never_wait_at_the_broker(acking: Park, opened: Opened) -> None:
    """What somebody wanted an hour ago must not be done now."""
    async with opened(acking, command_topic="lineside/{agent}/command"):
        assert acking.broker.connects[0].clean


async def test_a_subscriber_need_not_be_there(acking: Park, opened: Opened) -> None:
    """The platform's word counts: whether anybody was subscribed just now does not matter."""
    acking.broker.listeners.clear()
    async with opened(acking) as uplink:
        assert await uplink.send([segment(1)]) == [PENDING]

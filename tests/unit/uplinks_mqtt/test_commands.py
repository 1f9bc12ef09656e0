"""What a platform asks for over the command topic, and what it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.testing.destination import RecordingHost, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import ACKNOWLEDGED, Command, Verdict
from hardware_mocks.mqtt_wire import Publish

from .conftest import Opened
from .park import AGENT, Park

TOPIC = f"lineside/{AGENT}/command"
WRITE = {
    "id": "w-1",
    "kind": "write",
    "tag": "press-1.setpoint",
    "value": 0.4,
    "token": "t0k",
    "comment": "c",
}


def ask(park: Park, body: Any, *, retain: bool = False) -> None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    park.broker.distribute(Publish(TOPIC, payload, qos=1, retain=retain))


def answers(park: Park) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in park.broker.published if m.topic == f"{TOPIC}/result"]


async def test_off_by_default(park: Park, opened: Opened, host: RecordingHost) -> None:
    async with opened(park) as uplink:
        assert not [f for s in park.broker._sessions.values() for f in s.filters]
        for session in park.broker._sessions.values():
            session.deliver(Publish(TOPIC, json.dumps(WRITE).encode(), qos=1))
        await uplink.send([segment(1)])
    assert host.asked == [] and answers(park) == []


async def test_a_write_goes_to_the_guard_and_its_verdict_back(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    async with opened(park, command_topic="lineside/{agent}/command"):
        ask(park, WRITE)
        await until(lambda: answers(park), "no answer")
    (asked,) = host.asked
    detail = {"tag": "press-1.setpoint", "value": 0.4, "token": "t0k", "comment": "c"}
    assert (asked.kind, asked.detail) == ("write", detail)
    assert TOPIC in asked.source
    assert answers(park) == [
        {"agent": AGENT, "id": "w-1", "done": False, "answer": "rejected", "reason": "read-only"}
    ]


async def test_a_write_that_was_done(park: Park, opened: Opened, host: RecordingHost) -> None:
    async def done(command: Command) -> Verdict:
        host.asked.append(command)
        return ACKNOWLEDGED

    host.ask = done  # type: ignore[method-assign]
    async with opened(park, command_topic="lineside/{agent}/command"):
        ask(park, WRITE)
        await until(lambda: answers(park), "no answer")
    assert answers(park)[0]["done"] is True


async def test_the_same_id_is_not_asked_twice(park: Park, opened: Opened, host: RecordingHost) -> None:
    park.broker.moods.doubles = True
    async with opened(park, command_topic="lineside/{agent}/command"):
        ask(park, WRITE)
        await until(lambda: len(answers(park)) == 2, "no answer")
        ask(park, {**WRITE, "id": "w-2"})
        await until(lambda: len(answers(park)) == 4, "no answer")
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({**WRITE, "kind": "set_time"}, "set_time"),
        ({**WRITE, "kind": 7}, "7"),
        ({"id": "x"}, "None"),
        ({**WRITE, "id": ""}, "write without an id"),
        ({k: v for k, v in WRITE.items() if k != "id"}, "write without an id"),
        ({**WRITE, "id": 7}, "write without an id"),
        (["write"], "unreadable"),
        (b"{", "unreadable"),
        (b"\xff" * 3000, "unreadable"),
        (b"[" * 100_000, "unreadable"),
    ],
)
async def test_everything_else_is_asked_as_what_is_never_done(
    park: Park, opened: Opened, host: RecordingHost, body: Any, kind: str
) -> None:
    """``Host.ask`` refuses and records it; the record is for everybody, so no token may be in it."""
    async with opened(park, command_topic="lineside/{agent}/command"):
        ask(park, body)
        await until(lambda: answers(park), "no answer")
    (asked,) = host.asked
    assert asked.kind == kind != "write"
    assert "token" not in asked.detail and "t0k" not in str(asked.detail)
    assert answers(park)[0]["done"] is False


async def test_a_retained_command_is_never_done(park: Park, opened: Opened, host: RecordingHost) -> None:
    """It would come again with every connection."""
    ask(park, WRITE, retain=True)
    async with opened(park, command_topic="lineside/{agent}/command"):
        await until(lambda: answers(park), "no answer")
    assert [command.kind for command in host.asked] == ["retained write"]


async def test_data_goes_on_while_a_write_takes_its_time(
    park: Park, opened: Opened, host: RecordingHost
) -> None:
    import asyncio

    begun = asyncio.Event()

    async def forever(command: Command) -> Verdict:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    host.ask = forever  # type: ignore[method-assign]
    async with opened(park, command_topic="lineside/{agent}/command") as uplink:
        for number in range(100):
            ask(park, {**WRITE, "id": f"w-{number}"})
        await begun.wait()
        assert await uplink.send([segment(1)]) == [ACKNOWLEDGED]

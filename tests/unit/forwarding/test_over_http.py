"""The forwarder with the HTTP uplink against a park on the loopback, in real time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from edge_agent.clock import SystemClock
from edge_agent.config.model import UplinkConfig
from edge_agent.forwarding import Forwarder, Hooks, Timing
from edge_agent.status import UplinkRow
from edge_agent.testing.destination import Manner, segment
from edge_agent.testing.wire import until
from edge_agent.uplink import Key
from edge_agent.uplinks.http import PLUGIN
from edge_agent.uplinks.http.settings import HttpSettings
from tests.unit.uplinks.park import Message, Park, confirm

from .fakes import NAME, Log, MemoryStore


class Line:
    """A park, a store, and a forwarder between them with short waits."""

    def __init__(self, park: Park) -> None:
        self.park = park
        self.store = MemoryStore()
        self.row = UplinkRow(NAME, "http", "http://127.0.0.1")
        self.recorded: list[Any] = []
        settings = HttpSettings.model_validate(park.settings)
        self.forwarder = Forwarder(
            UplinkConfig(NAME, "http", PLUGIN, settings, 8),
            [self.store],
            agent=lambda: "a" * 32,
            line="press-line-1",
            clock=SystemClock(),
            row=self.row,
            log=Log(),
            hooks=Hooks(event=lambda *record: self.recorded.append(record)),
            random=Random(1),
            timing=Timing(backoff_base_s=0.01, backoff_cap_s=0.05, denied_s=0.05),
        )

    def commit(self, count: int) -> list[Key]:
        keys = self.store.commit(count)
        self.store.units.update({key: segment(key.seq) for key in keys})
        return keys

    async def settled(self) -> None:
        await until(lambda: not self.store.open, f"still open: {self.store.open}, {self.row.reason}")

    def assert_stored_once_confirmed(self) -> None:
        assert {str(key) for key in self.store.acknowledged} == set(self.park.received)
        assert not self.store.laws.broken


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    park = Park()
    await park.start()
    line = Line(park)
    task = asyncio.create_task(line.forwarder.run())
    yield line
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await park.stop()


async def test_committed_units_arrive_and_the_schema_goes_once(line: Line) -> None:
    for _ in range(3):
        line.commit(5)
        await line.settled()
    line.assert_stored_once_confirmed()
    assert [len(m.body["schemas"]) for m in line.park.seen] == [1, 0, 0]
    assert all(m.body["line"] == "press-line-1" for m in line.park.seen)


async def test_a_park_that_forgot_the_schema_gets_it_and_every_unit(line: Line) -> None:
    line.commit(2)
    await line.settled()

    def forgetful(message: Message) -> web.Response:
        missing = [
            s["schema"] for s in message.body["segments"] if s["schema"] not in message.body["schemas"]
        ]
        if missing:
            return web.json_response({"acknowledged": [], "unknown_schemas": missing})
        return confirm(message)

    line.park.reply = forgetful
    line.commit(3)
    await line.settled()
    assert [len(m.body["schemas"]) for m in line.park.seen] == [1, 0, 1]
    assert line.store.quarantined == {}


async def test_poison_is_found_by_halving(line: Line) -> None:
    line.park.manner = Manner.POISON
    line.park.poison = {"samples/7/5"}
    keys = line.commit(8)
    await line.settled()
    assert set(line.store.quarantined) == {keys[4]}
    assert "bad value" in line.store.quarantined[keys[4]]
    line.assert_stored_once_confirmed()


async def test_a_park_that_comes_back_gets_everything(line: Line) -> None:
    line.commit(8)
    await line.settled()
    await line.park.stop()
    for _ in range(3):
        line.commit(8)
    await until(lambda: not line.row.up, "the outage was not noticed")
    assert "127.0.0.1" in line.row.reason
    await line.park.start()
    await line.settled()
    line.assert_stored_once_confirmed()
    await until(lambda: line.row.up, "the recovery was not noticed")


@pytest.mark.parametrize("manner", [Manner.MUTE, Manner.SILENT, Manner.REFUSE])
async def test_nothing_is_acknowledged_without_the_parks_word(line: Line, manner: Manner) -> None:
    line.park.manner = manner
    keys = line.commit(4)
    await until(lambda: len(line.park.seen) >= 3, "the forwarder gave up")
    assert line.store.acknowledged == []
    assert [kind for kind, _, _ in line.recorded] == ["uplink_denied"] * (manner is Manner.REFUSE)
    line.park.manner = Manner.CONFIRM
    await line.settled()
    assert sorted(line.store.acknowledged) == keys


async def test_an_answer_that_is_lost_leads_to_the_same_message_again(line: Line) -> None:
    def store_and_drop(message: Message) -> web.Response:
        line.park.reply = None
        line.park.forget_clients()
        return confirm(message)

    line.park.reply = store_and_drop
    line.commit(3)
    await line.settled()
    first, second = line.park.seen[:2]
    assert first.keys == second.keys
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]

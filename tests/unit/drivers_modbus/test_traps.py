"""Traps of docs/traps.md that no other test of the driver holds: serial ports, shared and idle links."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from drivers.modbus.link import ModbusTcpLink
from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.errors import LinkLost
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.registry import load_driver
from edge_agent.status import Board
from edge_agent.testing.wire import until
from tests.unit.drivers_modbus.peer_bus import PeerBus, linked, reply_to, request_for

TRUTH = struct.pack(">HH", 7, 11)
REQUEST = request_for("hr:107", "hr:108")
SHORT_S = 0.1
Connect = Callable[[], Awaitable[ModbusTcpLink]]
Reply = Callable[..., bytes]


class Mute:
    def broke(self, key: str, message: str, /, **fields: Any) -> None:
        assert "internal error" not in str(fields.get("error")), fields

    def healed(self, key: str, message: str, /, **fields: Any) -> None:
        pass


def device(name: str, link: str, periods: Mapping[str, float], **keys: Any) -> Device:
    """Its groups read hr:0, hr:1 and so on, a register each."""
    plugin = load_driver("modbus")
    settings = plugin.settings.model_validate({"link": link, "timeout": "200ms", **keys})
    tags = tuple(Tag(group, f"hr:{n}", ValueType.UINT16, group) for n, group in enumerate(periods))
    return Device(name, "modbus", plugin, settings, tags, dict(periods))


@asynccontextmanager
async def polled(*devices: Device) -> AsyncIterator[tuple[Board, list[Batch]]]:
    """The worker of their link at work."""
    clock, board = SystemClock(), Board()
    batches: list[Batch] = []

    def sink(driver: str, batch: Batch) -> None:
        batches.append(batch)

    host = WorkerHost(clock, board, ConnectGate(clock), Mute(), Random(1), sink, lambda link: None)
    worker = asyncio.create_task(LinkWorker(devices[0].link_key, list(devices), "1", host).run())
    try:
        yield board, batches
    finally:
        assert not worker.done(), worker
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


def good(batches: list[Batch], name: str) -> list[Batch]:
    return [b for b in batches if b.schema.device == name and not any(b.quality)]


# Serial ports


@asynccontextmanager
async def bus(scheme: str, folder: Path) -> AsyncIterator[PeerBus]:
    peer = PeerBus(scheme, folder)
    peer.script = lambda request: [peer.framed(reply_to(request, TRUTH))]
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


def real(peer: PeerBus) -> str:
    """What its name by id leads to."""
    return str(Path(peer.line.place).resolve())


async def ask(link: Any) -> bytes:
    async with asyncio.timeout(3):
        data: bytes = await link.exchange(REQUEST)
    return data


async def test_a_port_in_use_is_not_shared_and_its_holder_is_named(tmp_path: Path) -> None:
    async with bus("rtu", tmp_path) as peer, linked(peer) as first:
        with pytest.raises(LinkLost, match=rf"is held by .*process {os.getpid()}") as caught:
            async with linked(peer):
                pytest.fail("two masters on one line")
        assert caught.value.reason == "refused"
        assert await ask(first) == TRUTH, "the one that has it is not disturbed"
    async with bus("rtu", tmp_path) as peer, linked(peer) as again:
        assert await ask(again) == TRUTH, "closed, it is free"


async def test_two_names_of_one_port_are_one_bus(tmp_path: Path) -> None:
    async with bus("rtu", tmp_path) as peer:
        by_id = device("a", peer.link, {"g": 1.0})
        by_number = device("b", f"rtu://{real(peer)}", {"g": 1.0})
        assert peer.line.place != real(peer)
        assert by_id.link_key == by_number.link_key


async def test_an_adapter_that_comes_back_under_another_number_is_found(tmp_path: Path) -> None:
    """Somebody takes the old number while it is unplugged: only the name by id still leads to it."""
    async with bus("rtu", tmp_path) as peer:
        before = real(peer)
        async with linked(peer) as link:
            assert await ask(link) == TRUTH
            await peer.line.shut()
            with pytest.raises(LinkLost):
                await ask(link)
        with pytest.raises(LinkLost, match="is the adapter plugged in"):
            async with linked(peer):
                pytest.fail("there is no port")
        others: list[int] = []
        try:
            while len(others) < 40 and before not in map(os.ttyname, others[1::2]):
                others += os.openpty()
            await peer.start()
            assert real(peer) != before
            async with linked(peer) as link:
                assert await ask(link) == TRUTH
        finally:
            for descriptor in others:
                os.close(descriptor)


async def test_wrong_checksums_are_counted_for_their_own_station(tmp_path: Path) -> None:
    """What a wrong parity looks like, as against a station that is silent. Two proofs are answered so; then
    only silence helps, and that does not pass for the station being silent."""

    async with bus("rtu+tcp", tmp_path) as peer:

        def noisy(request: bytes) -> list[bytes]:
            proof = request[1] == 8  # answered by the request itself
            frame = bytearray(peer.framed(request if proof else reply_to(request, TRUTH[:2])))
            frame[-1] ^= request[0] == 2
            return [bytes(frame)]

        peer.script = noisy
        sound, spoilt = (device(f"d{n}", peer.link, {"g": 0.05}, station=n, timeout="2s") for n in (1, 2))
        async with polled(sound, spoilt) as (board, batches):
            row = board.devices["d2"]
            await until(lambda: row.failures["checksum"] >= 3, "nothing was counted")
            await until(lambda: len(good(batches, "d1")) >= 3, "its neighbour suffers")
            assert not good(batches, "d2")
            assert board.devices["d1"].failures["checksum"] == 0
            assert row.failures["timeout"] == 0
            assert row.mismatches == 2, "only what came is counted"


async def test_a_silent_station_is_asked_once_per_exchange(tmp_path: Path) -> None:
    """Retries belong to the scheduler: hidden ones would multiply with its own."""
    for scheme in ("rtu+tcp", "ascii+tcp", "rtu"):
        async with bus(scheme, tmp_path) as peer:
            peer.script = lambda request: []
            async with linked(peer) as link:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(SHORT_S):
                        await link.exchange(REQUEST)
                assert len(peer.received) == 1


# Connections


async def test_a_silent_device_is_asked_once_per_exchange(peer: Any, connect: Connect) -> None:
    link = await connect()
    for asked in range(1, 4):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await link.exchange(REQUEST)
        assert len(peer.received) == asked


async def test_ten_unanswered_requests_do_not_cost_the_connection(
    peer: Any, connect: Connect, reply: Reply
) -> None:
    """Behind a gateway they are one dead station's, and the connection is everybody's."""
    link = await connect()
    for _ in range(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await link.exchange(REQUEST)
    peer.script = lambda request: [reply(request, TRUTH)]
    assert await ask(link) == TRUTH
    assert peer.connections == 1


async def test_poll_groups_and_devices_of_one_address_share_one_connection(peer: Any, reply: Reply) -> None:
    """Many devices take one client: a second connection would end the first."""
    peer.script = lambda request: [reply(request, TRUTH[:2])]
    link = f"tcp://127.0.0.1:{peer.port}"
    one = device("one", link, {"fast": 0.02, "slow": 0.1})
    two = device("two", f"{link}/", {"fast": 0.05}, station=2)
    assert one.link_key == two.link_key
    async with polled(one, two) as (_, batches):
        await until(lambda: len(good(batches, "one")) >= 8 and len(good(batches, "two")) >= 3, "not read")
    assert {b.schema.group for b in good(batches, "one")} == {"fast", "slow"}
    assert peer.connections == 1


async def test_a_device_that_drops_idle_connections_is_read_again(peer: Any, reply: Reply) -> None:
    def once(request: bytes) -> list[bytes]:
        asyncio.get_running_loop().call_later(0.02, peer.hang_up)
        return [reply(request, TRUTH[:2])]

    peer.script = once
    async with polled(device("d", f"tcp://127.0.0.1:{peer.port}", {"g": 0.3})) as (_, batches):
        await until(lambda: len(good(batches, "d")) >= 3 and peer.connections >= 3, "not read on new ones")
    for batch in batches:
        assert any(batch.quality) == (batch.values == (None,)), "no old value is shown"
        assert batch.quality[0] in (Quality.GOOD, Quality.BAD_COMM)

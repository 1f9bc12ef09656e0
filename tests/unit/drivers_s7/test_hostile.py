"""Peers that mean no good, or are broken: deadlines hold, nothing is collected, the link is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.link import S7Link
from drivers.s7.plan import Limits
from edge_agent.driver import Plan
from edge_agent.errors import LinkLost, StationError
from edge_agent.model import Tag, ValueType
from hardware_mocks.faults import Behaviour, Fault

from .plc import connected, read, scripted, settings_for
from .simulated import simulated

TAGS = (Tag("a", "DB2.DBW0", ValueType.UINT16),)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(serve: Serve) -> AsyncIterator[int]:
    """A TCP server that does with a connection what ``serve`` says; -> its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def dripping(data: bytes) -> Serve:
    """A byte every 0.3 s: whoever starts his time-out anew with each of them waits for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in data:
            await asyncio.sleep(0.3)
            writer.write(bytes((byte,)))
            await writer.drain()

    return serve


async def took(work: Awaitable[object]) -> float:
    """Seconds until the deadline of half a second ended it."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await work
    return loop.time() - start


async def test_a_dripping_connect_ends_at_its_deadline() -> None:
    async with peer(dripping(bytes.fromhex("0300001109d000010002 00c0010ac1020100") * 9)) as port:
        link = S7Link(settings_for(port))
        assert await took(link.connect()) < 0.8
        await link.close()


async def test_a_dripping_reply_ends_at_its_deadline_and_is_thrown_away_afterwards() -> None:
    async with scripted({2: b"\x01\x02"}) as plc:
        settings = settings_for(plc.port, cpu_state="0s")
        async with connected(settings) as (link, limits):
            plan = plan_for(limits)
            whole: list[bytes] = []

            def drip(reply: bytes) -> list[bytes]:
                whole.append(struct.pack(">BBH", 3, 0, 7 + len(reply)) + b"\x02\xf0\x80" + reply)
                return [whole[0][:5]]

            correct, plc.send = plc.send, drip
            assert await took(link.exchange(plan.requests[0])) < 0.8
            plc.memory = {2: b"\x03\x04"}
            plc.send = lambda reply: [whole[0][5:], *correct(reply)]
            assert (await read(link, settings, TAGS, limits)).values == (0x0304,)


def plan_for(limits: Limits) -> Plan:
    return PLUGIN.plan(settings_for(1, cpu_state="0s"), TAGS, limits, None)


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a CPU without a free connection does."""


async def reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def reset_after_a_question(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    await reset_at_once(reader, writer)


async def disconnect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """COTP DR with reason 1, congestion."""
    await reader.read(22)
    writer.write(bytes.fromhex("0300000b06800001000001"))


@pytest.mark.parametrize("serve", [close_at_once, reset_at_once, reset_after_a_question, disconnect])
async def test_a_controller_that_does_not_want_us_is_a_lost_link(serve: Serve) -> None:
    async with peer(serve) as port:
        link = S7Link(settings_for(port))
        async with asyncio.timeout(2):
            with pytest.raises(LinkLost, match="rack 0, slot 1, connection op"):
                await link.connect()
            with pytest.raises(LinkLost):
                await link.enrol(settings_for(port))
            await link.close()


async def test_a_stolen_session_is_a_lost_link_and_a_new_object_reads_again() -> None:
    """A CPU that takes one client drops the old one when another comes."""
    async with simulated() as server:
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            await read(link, settings, TAGS, limits)
            await server.set_fault(None, Behaviour(Fault.REFUSE))
            for _ in range(2):
                with pytest.raises(LinkLost):
                    async with asyncio.timeout(2):
                        await link.exchange(plan_for(limits).requests[0])
        await server.set_fault(None, Behaviour(Fault.OK))
        async with connected(settings) as (link, limits):
            assert (await read(link, settings, TAGS, limits)).values == (1,)


async def test_a_host_name_that_cannot_be_one_is_a_lost_link() -> None:
    link = S7Link(settings_for(1).model_copy(update={"link": "tcp://a..b"}))
    with pytest.raises(LinkLost):
        await link.connect()
    await link.close()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says that four bytes short of 64 kB follow, and sends them and more."""
    await reader.read(22)
    writer.write(b"\x03\x00\xff\xff\x02\xf0\x80" + bytes(1 << 20))
    await writer.drain()


async def test_a_packet_longer_than_any_pdu_ends_the_link_before_it_is_collected() -> None:
    async with peer(flood) as port:
        link = S7Link(settings_for(port))
        with pytest.raises(LinkLost, match="announced a packet of 65535 bytes"):
            async with asyncio.timeout(2):
                await link.connect()
        await link.close()


async def test_the_cap_is_the_negotiated_length_of_this_connection() -> None:
    async with scripted({2: bytes(8)}, pdu=240) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda _: [b"\x03\x00" + (240 + 8).to_bytes(2)]
            with pytest.raises(LinkLost, match="announced a packet of 248 bytes"):
                async with asyncio.timeout(2):
                    await link.exchange(plan_for(limits).requests[0])


async def test_per_item_errors_and_a_wrong_reference_cost_only_what_they_concern() -> None:
    tags = (*TAGS, Tag("b", "DB3.DBB0", ValueType.UINT8), Tag("c", "DB77.DBB0", ValueType.UINT8))
    async with simulated() as server:
        server.areas.item_errors[0x84, 3] = 0x03
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            assert (await read(link, settings, tags, limits)).values == (1, None, None)
            await server.set_fault(None, Behaviour(Fault.WRONG_TRANSACTION))
            with pytest.raises((TimeoutError, StationError)):
                async with asyncio.timeout(0.1):
                    await link.exchange(plan_for(limits).requests[0])
            await server.set_fault(None, Behaviour(Fault.OK))
            assert (await read(link, settings, tags, limits)).values == (1, None, None)

"""The simulated S7 controller beside its data blocks: areas, timers, writes, state, limits of servers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server
from hardware_mocks.s7areas import DB, INPUTS, MEMORY, OUTPUTS, TIMERS

from .test_s7_server import Raw, item, read

COUNTERS = 0x1C


@pytest_asyncio.fixture
async def server(process: Process) -> AsyncIterator[S7Server]:
    server = S7Server(process, pdu=480)
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture
async def raw(server: S7Server) -> AsyncIterator[Raw]:
    connection = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    await connection.connect()
    await connection.setup(960)
    yield connection
    connection.close()


def numbered(kind: int, number: int, count: int = 1) -> bytes:
    return struct.pack(">BBBBHHB", 0x12, 0x0A, 0x10, kind, count, 0, kind) + number.to_bytes(3, "big")


async def write(raw: Raw, spec: bytes, kind: int, length: int, data: bytes) -> bytes:
    """-> the return codes"""
    parameter = bytes((5, 1)) + spec
    values = struct.pack(">BBH", 0, kind, length) + data
    head = struct.pack(">BBHHHH", 0x32, 1, 0, 9, len(parameter), len(values))
    await raw.send(b"\x02\xf0\x80" + head + parameter + values)
    reply = (await raw.receive())[3:]
    assert reply[10:14] == b"\x00\x00\x05\x01"
    return reply[14:]


async def test_every_area_is_read_and_written(server: S7Server, raw: Raw) -> None:
    for area in (MEMORY, OUTPUTS):
        assert await write(raw, item(0, 10, 2, area=area), 0x04, 16, b"\x12\x34") == b"\xff"
        assert (await raw.job(read(item(0, 10, 2, area=area))))[4] == b"\xff\x04\x00\x10\x12\x34"
    assert await write(raw, item(0, 0, 1, area=INPUTS), 0x04, 8, b"\x01") == b"\x03"
    server.areas.areas[INPUTS][3] = 0x80
    assert (await raw.job(read(item(0, 3, 1, 0x01, bit=7, area=INPUTS))))[4] == b"\xff\x03\x00\x01\x01"


async def test_timers_and_counters_are_counted_by_number(server: S7Server, raw: Raw) -> None:
    server.areas.areas[TIMERS][10:14] = bytes.fromhex("11232005")
    server.areas.areas[COUNTERS][6:8] = bytes.fromhex("0042")
    data = (await raw.job(read(numbered(TIMERS, 5, 2), numbered(COUNTERS, 3))))[4]
    assert data == bytes.fromhex("ff090004 11232005 ff090002 0042")
    assert (await raw.job(read(numbered(TIMERS, 255, 2))))[4] == bytes.fromhex("05000000")
    assert (await raw.job(read(item(0, 0, 2, area=TIMERS))))[4] == bytes.fromhex("06000000")
    assert await write(raw, numbered(TIMERS, 7), 0x09, 2, b"\x10\x01") == b"\xff"
    assert server.areas.areas[TIMERS][14:16] == b"\x10\x01"


async def test_a_bit_is_written_alone(server: S7Server, raw: Raw) -> None:
    server.areas.blocks[9] = bytearray(b"\x81")
    spec = item(9, 0, 1, 0x01, bit=1)
    assert await write(raw, spec, 0x03, 1, b"\x01") == b"\xff"
    assert server.areas.blocks[9] == b"\x83"
    assert await write(raw, spec, 0x03, 1, b"\x00") == b"\xff"
    assert server.areas.blocks[9] == b"\x81"


async def test_of_the_furnace_only_set_points_can_be_written(
    process: Process, server: S7Server, raw: Raw
) -> None:
    assert await write(raw, item(1, 20, 4), 0x04, 32, struct.pack(">f", 815.0)) == b"\xff"
    assert process.zones[1].setpoint_c == 815.0
    assert await write(raw, item(1, 4, 4), 0x04, 32, bytes(4)) == b"\x03"
    assert await write(raw, item(99, 4, 4), 0x04, 32, bytes(4)) == b"\x0a"
    assert await write(raw, item(3, 126, 4), 0x04, 32, bytes(4)) == b"\x05"


async def test_a_block_can_be_protected(server: S7Server, raw: Raw) -> None:
    server.areas.item_errors[DB, 2] = 0x03
    assert (await raw.job(read(item(2, 0, 1), item(3, 0, 2))))[4] == bytes.fromhex("03000000 ff040010 1406")


async def ask_state(raw: Raw) -> bytes:
    await raw.send(
        b"\x02\xf0\x80" + bytes.fromhex("32070000 0007 0008 0008 0001120411440100 ff09000404240000")
    )
    return (await raw.receive())[3:]


async def test_the_state_list_follows_the_switch(server: S7Server, raw: Raw) -> None:
    running = await ask_state(raw)
    assert running[:6] == bytes.fromhex("320700000007")
    assert running[10:22] == bytes.fromhex("000112081284010100000000")
    assert running[22:38] == bytes.fromhex("ff09001c 04240000 00140001 5144ff08")
    server.state_list.running = False
    assert (await ask_state(raw))[37] == 0x04
    assert server.state()["cpu"] == "STOP"
    server.state_list.answers = False
    assert (await ask_state(raw))[20:22] == b"\xd4\x01"
    server.state_list.answers = None
    await raw.send(
        b"\x02\xf0\x80" + bytes.fromhex("32070000 0008 0008 0008 0001120411440100 ff09000404240000")
    )
    with pytest.raises(TimeoutError):
        await raw.receive(0.2)
    assert server.state_list.asked == 4


async def test_a_server_that_cuts_its_lists_answers_fewer_items(server: S7Server, raw: Raw) -> None:
    server.cuts_items_at = 19
    _, _, error, parameter, _ = await raw.job(read(*(item(2, n, 1) for n in range(20))))
    assert (error, parameter) == (0, b"\x04\x13")

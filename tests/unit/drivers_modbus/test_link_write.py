"""Writing over TCP: the request on the wire, and what counts as its confirmation."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Writer
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, StationSilent
from edge_agent.model import Tag, Value, ValueType

Connect = Callable[[], Awaitable[ModbusTcpLink]]
WORD = Tag("word", "hr:1", ValueType.UINT16)
SETTINGS = ModbusSettings(link="tcp://127.0.0.1", station=17)


async def write(link: ModbusTcpLink, tag: Tag = WORD, raw: Value = 5, **keys: Any) -> None:
    async with asyncio.timeout(1):
        await link.write(SETTINGS.model_copy(update=keys), tag, raw)


def framed(request: bytes, pdu: bytes, unit: int = 17) -> bytes:
    return request[:4] + struct.pack(">HB", 1 + len(pdu), unit) + pdu


async def test_the_request_and_its_confirmation(peer: Any, connect: Connect) -> None:
    peer.script = lambda request: [request]
    link = await connect()
    assert isinstance(link, Writer)
    await write(link)
    assert peer.received[0][2:].hex(" ") == "00 00 00 06 11 06 00 01 00 05"


@pytest.mark.parametrize(
    ("reply", "unit"),
    [
        ("06 00 01 00 06", 17),  # another value
        ("06 00 02 00 05", 17),  # another place
        ("06 00 01 00", 17),
        ("06 00 01 00 05 00", 17),
        ("10 00 01 00 01", 17),
        ("03 02 00 05", 17),
        ("06 00 01 00 05", 18),
        ("90 02", 17),  # the exception of another function
    ],
)
async def test_anything_else_is_no_confirmation(reply: str, unit: int, peer: Any, connect: Connect) -> None:
    peer.script = lambda request: [framed(request, bytes.fromhex(reply), unit)]
    link = await connect()
    with pytest.raises(BadReply, match=r"station 17.*FC06"):
        await write(link)
    peer.script = lambda request: [request]
    await write(link)


@pytest.mark.parametrize(
    ("code", "error"),
    [(1, Refused), (2, Refused), (3, Refused), (4, Refused), (6, Busy), (11, StationSilent)],
)
async def test_exceptions(code: int, error: type[DriverError], peer: Any, connect: Connect) -> None:
    """There is no smaller write to plan: 2 and 3 are refusals."""
    peer.script = lambda request: [framed(request, bytes([0x86, code]))]
    link = await connect()
    with pytest.raises(error, match=f"exception {code}"):
        await write(link)


async def test_a_late_confirmation_is_not_that_of_the_next_write(peer: Any, connect: Connect) -> None:
    link = await connect()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await link.write(SETTINGS, WORD, 5)
    late = peer.received[0]
    peer.script = lambda request: [late]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await link.write(SETTINGS, WORD, 5)


async def test_what_cannot_be_written_is_never_sent(peer: Any, connect: Connect) -> None:
    link = await connect()
    for tag, raw in ((WORD, 70_000), (Tag("input", "ir:1", ValueType.UINT16), 1), (WORD, "x")):
        with pytest.raises(Refused):
            await write(link, tag, raw)
    assert peer.received == []


async def test_a_closed_link(connect: Connect) -> None:
    link = await connect()
    await link.close()
    with pytest.raises(LinkLost):
        await write(link)

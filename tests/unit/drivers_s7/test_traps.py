"""Traps of docs/traps.md that no other test of the driver holds."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.link import S7Link
from edge_agent.errors import BadReply, LinkLost
from edge_agent.model import Tag, ValueType

from .plc import connected, data_packet, read, scripted, settings_for
from .simulated import simulated

README = Path(__file__).parents[3] / "drivers" / "s7" / "README.md"
LIST = tuple(Tag(f"t{n}", f"DB{n}.DBB0", ValueType.UINT8) for n in range(11, 31))


async def test_a_controller_that_accepts_and_says_nothing_keeps_nobody() -> None:
    """The deadline is the caller's, and holds although nothing at all comes."""
    held: list[asyncio.StreamWriter] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        with contextlib.suppress(OSError):
            await reader.read()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    link = S7Link(settings_for(server.sockets[0].getsockname()[1]))
    begun = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await link.connect()
    async with asyncio.timeout(1):
        await link.close()
    assert asyncio.get_running_loop().time() - begun < 1.0
    for writer in held:
        writer.close()
    server.close()


async def test_a_list_that_is_answered_in_part_gives_no_value_at_all() -> None:
    """Taken by position, the values behind the one left out would be somebody else's."""
    async with simulated(pdu=480) as server:
        for number in range(11, 31):
            server.areas.blocks[number] = bytearray((number,))
        settings = settings_for(server.port, cpu_state="0s")
        async with connected(settings) as (link, limits):
            server.cuts_items_at = 19
            with pytest.raises(BadReply, match="answered 19"):
                await read(link, settings, LIST, limits)
            fewer = settings_for(server.port, cpu_state="0s", max_items=19)
            assert (await read(link, fewer, LIST, limits)).values == tuple(range(11, 31))


async def test_the_connection_of_the_programming_device_is_never_the_default() -> None:
    async with scripted() as plc:
        async with connected(settings_for(plc.port)):
            pass
        assert plc.connect_request[-2] == 2, "1 is the programming device's"


async def test_a_transport_fault_ends_the_object_and_a_new_one_knows_nothing_of_it() -> None:
    """Half a packet of the old connection must not be the beginning of the new one's."""
    async with scripted({2: b"\x01\x02"}) as plc:
        settings = settings_for(plc.port, cpu_state="0s")
        tags = [Tag("a", "DB2.DBW0", ValueType.UINT16)]
        async with connected(settings) as (old, limits):
            plc.send = lambda reply: [data_packet(reply)[:-1], b""]
            with pytest.raises(LinkLost):
                await read(old, settings, tags, limits)
            plc.send = lambda reply: [data_packet(reply)]
            with pytest.raises(LinkLost):
                await read(old, settings, tags, limits)
            async with connected(settings) as (new, fresh):
                assert (await read(new, settings, tags, fresh)).values == (0x0102,)
        assert plc.connections == 2


def test_the_manual_warns_before_it_advises_to_change_a_block() -> None:
    """Whoever switches a block to standard access in a running controller loses what is in it."""
    text = README.read_text(encoding="utf-8")
    for advice, warning in (("must not be optimised", "re-initialises all its values"), ("优化", "初始")):
        at = text.index(advice)
        assert re.search(warning, text[at : at + 900]), f"no warning behind {advice!r}"
    told = [problem.message.en + problem.cure.en for problem in PLUGIN.check(settings_for(1), LIST)]
    assert not any("optimi" in words for words in told)

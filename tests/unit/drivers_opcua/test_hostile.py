"""Servers that send too much, too large, or nothing at all."""

from __future__ import annotations

import asyncio
import resource
import struct
from collections.abc import Callable

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from drivers.opcua.link import OpcuaLink
from drivers.opcua.session import Session
from drivers.opcua.transport import CHUNKS_MAX, MESSAGE_MAX, Protocol
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.model import Tag, ValueType

from .server import URI, UaServer, connected, read, settings_for

_ACK = b"ACKF" + struct.pack("<IIIIII", 28, 0, 65535, 65535, 0, 0)
_FLOOD_BYTES = 200_000_000


class Flooder:
    """Acknowledges the Hello, then sends one thing over and over, as fast as it is taken."""

    def __init__(self, chunk: Callable[[int], bytes]) -> None:
        self._chunk = chunk
        self.sent = 0
        self.port = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(_ACK)
        await reader.read(65536)
        try:
            number = 0
            while self.sent < _FLOOD_BYTES:
                number += 1
                data = self._chunk(number)
                self.sent += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()
        self.ended.set()


def part(number: int) -> bytes:
    """An endless message in intermediate chunks of the largest size allowed."""
    size = 65_000
    return b"OPNC" + struct.pack("<II", size, 5) + bytes(size - 12)


def message_part(number: int) -> bytes:
    size = 65_000
    return b"MSGC" + struct.pack("<IIIII", size, 0, 0, number, 1) + bytes(size - 24)


FLOODS: dict[str, Callable[[int], bytes]] = {
    "zeros": lambda number: bytes(65_536),
    "a header of 4 GB and data behind it": lambda number: (
        (b"MSGF\xff\xff\xff\xff" if number == 1 else b"") + bytes(65_536)
    ),
    "an endless message": message_part,
    "opening chunks without end": part,
    "errors": lambda number: b"ERRF" + struct.pack("<III", 16, 0x80830000, 0xFFFFFFFF),
    "acknowledges": lambda number: _ACK,
}


@pytest.mark.parametrize("chunk", FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_ends_the_link_and_takes_no_memory(chunk: Callable[[int], bytes]) -> None:
    flooder = Flooder(chunk)
    listener = await asyncio.start_server(flooder.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    link = OpcuaLink(settings_for(port))
    with pytest.raises(LinkLost) as caught:
        async with asyncio.timeout(5):
            await link.connect()
    assert not isinstance(caught.value, LinkDenied)
    await link.close()
    async with asyncio.timeout(5):
        await flooder.ended.wait()
    listener.close()
    assert flooder.sent < 3 * MESSAGE_MAX, "it was read on after it had shown what it is"
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb < 40_000, f"{grown_kb} kB for a flood"


async def test_a_message_of_too_many_chunks_is_refused() -> None:
    """64 chunks of 20 kB are no 4 MB, but the 65th is too many."""
    sent = 0

    def small(number: int) -> bytes:
        nonlocal sent
        sent = number
        size = 20_000
        return b"MSGC" + struct.pack("<IIIII", size, 0, 0, number, 1) + bytes(size - 24)

    flooder = Flooder(small)
    listener = await asyncio.start_server(flooder.serve, "127.0.0.1", 0)
    session = Session(f"opc.tcp://127.0.0.1:{listener.sockets[0].getsockname()[1]}", 60.0)
    with pytest.raises(LinkLost):
        async with asyncio.timeout(5):
            await session.open()
    await session.close()
    listener.close()
    assert sent * 20_000 < MESSAGE_MAX + 4_000_000
    assert CHUNKS_MAX == 64


async def test_requests_without_answers_do_not_pile_up(server: UaServer) -> None:
    async with connected(settings_for(server.port)) as (link, _):
        session = link._session
        assert session is not None
        protocol = session._transport.protocol
        assert isinstance(protocol, Protocol)
        loop = asyncio.get_running_loop()
        protocol._callbackmap.update({10_000 + n: loop.create_future() for n in range(200)})
        with pytest.raises(LinkLost, match="unanswered"):
            await session.read(session.prepare(()))
        for future in protocol._callbackmap.values():
            future.cancel()


def test_an_array_of_nothing_is_no_way_to_stop_the_loop() -> None:
    """Nine bytes that the library would turn into a list of two thousand million Nones."""
    bomb = Buffer(b"\x80" + struct.pack("<i", 2**31 - 1))
    with pytest.raises(ua.UaError):
        ua_binary.variant_from_binary(bomb)


async def test_answers_in_small_pieces_are_put_together(server: UaServer) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", server.port)

        async def dribble() -> None:
            while data := await back.read(7):
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)

        async def forward() -> None:
            while data := await reader.read(65536):
                forth.write(data)
            forth.close()

        await asyncio.gather(dribble(), forward(), return_exceptions=True)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server.add("pieces", ua.Variant(list(range(300)), ua.VariantType.Int32))
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    settings = settings_for(listener.sockets[0].getsockname()[1])
    tags = [Tag(f"p{n}", f"element={n};nsu={URI};s=pieces", ValueType.INT32) for n in range(300)]
    async with connected(settings) as (link, limits):
        assert (await read(link, settings, tags, limits)).values == tuple(range(300))
    listener.close()
    async with asyncio.timeout(5):
        await ended.wait()

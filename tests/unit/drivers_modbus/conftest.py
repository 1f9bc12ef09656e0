"""A peer on a real socket that says exactly what a test tells it to say."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.settings import ModbusSettings

Script = Callable[[bytes], Iterable[bytes]]
"""A request frame of 12 bytes -> the pieces to send, each as a segment of its own."""


class Peer:
    """``received``: every request frame. ``script`` may be exchanged at any time."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.script: Script = lambda request: ()
        self.port = 0
        self._open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        await self._server.wait_closed()

    def send(self, *pieces: bytes) -> None:
        """To every connection, unasked."""
        for transport in self._open:
            for piece in pieces:
                transport.write(piece)

    def hang_up(self) -> None:
        for transport in list(self._open):
            transport.close()

    def reset(self) -> None:
        """Closes with a TCP reset."""
        for transport in list(self._open):
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


class _Session(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self._peer._open.add(transport)
        self._peer.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._peer._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._rest += data
        while len(self._rest) >= 12:
            request, self._rest = self._rest[:12], self._rest[12:]
            self._peer.received.append(request)
            for piece in self._peer.script(request):
                self._transport.write(piece)


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest_asyncio.fixture
async def connect(peer: Peer) -> AsyncIterator[Callable[[], Awaitable[ModbusTcpLink]]]:
    """Makes links to the peer; closes them at the end."""
    async with AsyncExitStack() as stack:

        async def make() -> ModbusTcpLink:
            link = ModbusTcpLink(ModbusSettings(link=f"tcp://127.0.0.1:{peer.port}"))
            stack.push_async_callback(link.close)
            await link.connect()
            return link

        yield make


@pytest.fixture
def reply() -> Callable[..., bytes]:
    """The right reply to a request, or one that is wrong in the part named."""

    def make(request: bytes, data: bytes, **wrong: int) -> bytes:
        transaction = wrong.get("transaction", int.from_bytes(request[:2], "big"))
        body = bytes(
            [
                wrong.get("unit", request[6]),
                wrong.get("function", request[7]),
                wrong.get("byte_count", len(data)),
            ]
        )
        length = wrong.get("length", len(body) + len(data))
        return struct.pack(">HHH", transaction & 0xFFFF, wrong.get("protocol", 0), length) + body + data

    return make

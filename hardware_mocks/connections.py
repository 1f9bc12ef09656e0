"""TCP plumbing of the servers: a port that can be shut and opened again, and framed connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable


class Malformed(ValueError):
    """The peer sent what cannot be a frame; the connection is closed, as a controller would."""


class FramedConnection(asyncio.Protocol):
    """One client. Cuts the byte stream into frames and hands each to ``handle``, in order.

    A subclass says how long a frame is and answers it with ``send``. There is no task per connection: what
    is late is a timer, so that closing leaves nothing behind.
    """

    def __init__(self, open_connections: set[FramedConnection]) -> None:
        self._open = open_connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def frame_size(self, buffer: bytearray) -> int:
        """Bytes of the first frame, 0 while its header is incomplete. Raises Malformed."""
        raise NotImplementedError

    def handle(self, frame: bytes) -> None:
        """Serves one whole frame. Raises Malformed."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while 0 < (size := self.frame_size(self._buffer)) <= len(self._buffer):
                frame = bytes(self._buffer[:size])
                del self._buffer[:size]
                self.handle(frame)
        except Malformed:
            self.abort()

    def send(self, data: bytes, delay_s: float = 0.0) -> None:
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self.send, data)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()


class Port:
    """A listening port. ``shut`` also drops every connection; ``open`` again takes the same number."""

    def __init__(
        self,
        host: str,
        port: int,
        make: Callable[[set[FramedConnection]], FramedConnection],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.number = port
        self.connections: set[FramedConnection] = set()
        self._make = make
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self) -> None:
        """Listens; ``number`` is then the real port. Raises OSError if it is taken."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: self._make(self.connections), self.host, self.number, ssl=self._tls
        )
        self.number = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self.connections):
            connection.abort()
        if server is not None:
            await server.wait_closed()

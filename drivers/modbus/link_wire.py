"""What carries the bytes of a bus: a serial port (``serial_port``), or a TCP connection to a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from drivers.modbus.endpoint import Endpoint
from drivers.modbus.link_errors import NOT_CONNECTED, about, reason_of
from edge_agent.errors import LinkLost, words_of
from edge_agent.settings import Text

Received = Callable[[bytes], None]
Gone = Callable[[LinkLost], None]
_CLOSED = Text("the gateway closed the connection", "网关关闭了连接")


class Wire(Protocol):
    """``received`` is called in the event loop with what came, ``gone`` once when no more can come."""

    async def open(self, received: Received, gone: Gone) -> None:
        """Once. LinkLost."""
        ...

    def write(self, data: bytes) -> None:
        """Never blocks. LinkLost where the other side does not take it."""
        ...

    async def close(self) -> None:
        """At any time, also during ``open`` that was cancelled, and more than once."""
        ...


class TcpWire(asyncio.Protocol):
    def __init__(self, where: Endpoint) -> None:
        self._where = where
        self._transport: asyncio.Transport | None = None
        self._lost: asyncio.Future[None] | None = None
        self._received: Received | None = None
        self._gone: Gone | None = None
        self._closed = False

    async def open(self, received: Received, gone: Gone) -> None:
        self._received, self._gone = received, gone
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        try:
            await loop.create_connection(lambda: self, self._where.host, self._where.port)
        except OSError as error:
            raise self._loss(error) from error

    def write(self, data: bytes) -> None:
        if self._transport is None or self._closed:
            raise LinkLost(about(self._where.place, NOT_CONNECTED))
        self._transport.write(data)

    async def close(self) -> None:
        self._closed = True
        if self._transport is not None and self._lost is not None:
            self._transport.abort()
            await asyncio.shield(self._lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):  # refined where possible, never a reason to fail
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._closed:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._received is not None and not self._closed:
            self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        if self._gone is not None:
            self._gone(self._loss(exc))

    def _loss(self, error: Exception | None) -> LinkLost:
        words = _CLOSED if error is None else words_of(error)
        return LinkLost(about(self._where.place, words), reason=reason_of(error))

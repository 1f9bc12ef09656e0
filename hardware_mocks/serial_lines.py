"""What a simulated serial bus hangs on: a pseudo-terminal, or a TCP port as a gateway has one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Received = Callable[[bytes], None]


class SerialLine(Protocol):
    """``place`` is what a client opens once the line is open: a path, or host:port."""

    @property
    def place(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def clients(self) -> int: ...
    async def open(self, received: Received) -> None: ...
    def write(self, data: bytes) -> None: ...
    async def shut(self) -> None: ...


class PtyLine:
    """``link``: a symbolic link that always names the pseudo-terminal, as /dev/serial/by-id does for an
    adapter that is plugged in anew. While the line is shut, it is gone, as an unplugged adapter's is.

    ``baud`` and ``parity``: what the stations are set to; a client set otherwise hears and says noise. The
    client's speed is read from the pseudo-terminal, which keeps it. Its parity is not: the kernel lets a
    pseudo-terminal have none, so whoever stands in for the client's port puts it into ``client_parity``."""

    port = 0

    def __init__(
        self, link: Path | None = None, *, baud: int | None = None, parity: str | None = None
    ) -> None:
        self._link = link
        self._speed = getattr(termios, f"B{baud}", None) if baud else None
        self._parity = parity
        self.client_parity = parity
        self._master = self._slave = -1
        self._path = ""

    @property
    def place(self) -> str:
        return str(self._link) if self._link is not None else self._path

    @property
    def is_open(self) -> bool:
        return self._master >= 0

    @property
    def clients(self) -> int:
        return 0

    async def open(self, received: Received) -> None:
        if self.is_open:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._path)
        asyncio.get_running_loop().add_reader(self._master, self._read, received)

    def write(self, data: bytes) -> None:
        """What nobody reads is lost, as on a wire."""
        if self.is_open:
            with contextlib.suppress(OSError):
                os.write(self._master, self._heard(data))

    async def shut(self) -> None:
        if not self.is_open:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def _read(self, received: Received) -> None:
        with contextlib.suppress(OSError):
            received(self._heard(os.read(self._master, 4096)))

    def _heard(self, data: bytes) -> bytes:
        """What arrives at the other end: noise where the two are set differently."""
        speed = termios.tcgetattr(self._slave)[4]
        wrong_speed = self._speed is not None and speed != self._speed
        if not wrong_speed and self.client_parity == self._parity:
            return data
        return bytes(byte ^ 0x80 if byte.bit_count() % 2 or wrong_speed else byte for byte in data)


class TcpLine:
    """Every client hears everything, as on a transparent gateway."""

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.port = port
        self._host = host
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Transport] = set()

    @property
    def place(self) -> str:
        return f"{self._host}:{self.port}"

    @property
    def is_open(self) -> bool:
        return self._server is not None

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def open(self, received: Received) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Client(self._clients, received), self._host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def write(self, data: bytes) -> None:
        for client in self._clients:
            client.write(data)

    async def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for client in list(self._clients):
            client.abort()
        if server is not None:
            await server.wait_closed()


class _Client(asyncio.Protocol):
    def __init__(self, clients: set[asyncio.Transport], received: Received) -> None:
        self._clients = clients
        self._received = received
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._clients.add(transport)

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._clients.discard(self._transport)

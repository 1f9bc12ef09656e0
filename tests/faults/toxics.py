"""A TCP proxy with toxics, in a thread of its own: delay, bandwidth, slices, silence, cuts. With a
certificate it ends TLS before the server; and it counts what clients said in clear where TLS was due.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

_CHUNK = 16_384
_TLS_RECORDS = range(0x14, 0x18)  # change, alert, handshake, data: no printable character


@dataclass(frozen=True, slots=True)
class Toxic:
    """``delay_s``: each way. ``bytes_per_s``: each way, 0: as fast as it goes. ``slice_bytes``: at most so
    many at once. ``swallow_answers``: the server hears, but what it says goes nowhere, and the connection is
    cut then; not in the first moments of a connection, so that a client may introduce itself. ``silent``:
    nothing passes in either direction. ``refuse``: connections are cut at once."""

    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    slice_bytes: int = _CHUNK
    swallow_answers: bool = False
    silent: bool = False
    refuse: bool = False


HEALTHY = Toxic()
INTRODUCTION_S = 0.5


class Proxy:
    """Passes to ``target_port`` on loopback. ``opened``: when clients connected (monotonic, s);
    ``clear_bytes``: in first chunks of clients that were no TLS, while there was a certificate."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.toxic = HEALTHY
        self.opened: list[float] = []
        self.passed_bytes = 0
        self.clear_bytes = 0
        self._target_port = target_port
        self._front: _TlsFront | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._outer: asyncio.Server = self._call(self._listen())
        self.port = int(self._outer.sockets[0].getsockname()[1])

    def use(self, toxic: Toxic) -> None:
        """From now on, for connections that stand as well."""
        self.toxic = toxic

    def secure(self, context: ssl.SSLContext | None) -> None:
        """Ends TLS with this certificate from now on; connections that stand are cut."""
        self._call(self._secure(context))

    def cut(self) -> None:
        self._call(self._cut())

    def close(self) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _secure(self, context: ssl.SSLContext | None) -> None:
        if self._front is not None:
            self._front.close()
            self._front = None
        if context is not None:
            self._front = _TlsFront(context, self._target_port)
        await self._cut()

    async def _shut(self) -> None:
        self._outer.close()
        if self._front is not None:
            self._front.close()
        await self._cut()

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened.append(time.monotonic())
        if self.toxic.refuse:
            writer.transport.abort()
            return
        port = self._target_port if self._front is None else self._front.port
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", port)
                writers.append(back)
                await self._both(
                    self._pump(reader, back, answer=False),
                    self._pump(there, writer, answer=True),
                )
        finally:
            self._tasks.discard(task)
            for end in writers:
                end.transport.abort()

    async def _both(self, *pumps: Coroutine[Any, Any, None]) -> None:
        """Until one of them ends: then both do."""
        tasks = [asyncio.create_task(pump) for pump in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answer: bool) -> None:
        first = not answer
        introduced = time.monotonic() + INTRODUCTION_S
        while data := await source.read(self.toxic.slice_bytes):
            if first and self._front is not None and data[0] not in _TLS_RECORDS:
                self.clear_bytes += len(data)
            first = False
            late = time.monotonic() > introduced
            if answer and late and self.toxic.swallow_answers:
                return
            while self.toxic.silent:  # noqa: ASYNC110 - switched from another thread
                await asyncio.sleep(0.05)
            await self._hold_up(len(data))
            self.passed_bytes += len(data)
            sink.write(data)
            await sink.drain()

    async def _hold_up(self, size: int) -> None:
        toxic = self.toxic
        wait_s = toxic.delay_s + (size / toxic.bytes_per_s if toxic.bytes_per_s else 0.0)
        if wait_s:
            await asyncio.sleep(wait_s)


class _TlsFront:
    """Ends TLS with blocking sockets: unlike asyncio's, these tell a client by an alert why."""

    def __init__(self, context: ssl.SSLContext, target_port: int) -> None:
        self._context = context
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="tls front", daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(10)
            with (
                self._context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection(("127.0.0.1", self._target_port)) as server,
            ):
                _copy_both(secure, server)


def _copy_both(one: ssl.SSLSocket, other: socket.socket) -> None:
    """One thread: what TLS has read already does not show at its socket."""
    one.settimeout(None)
    while True:
        if not one.pending():
            select.select([one, other], [], [])
        if one.pending() or select.select([one], [], [], 0)[0]:
            if not (data := one.recv(_CHUNK)):
                return
            other.sendall(data)
        if select.select([other], [], [], 0)[0]:
            if not (data := other.recv(_CHUNK)):
                return
            one.sendall(data)

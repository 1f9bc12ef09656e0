"""A TCP relay that can fall silent, be late or refuse: faults before a server that has none of its own."""

from __future__ import annotations

import asyncio
import contextlib

from hardware_mocks.faults import Fault, FaultSwitch

_CHUNK = 65536


class _Pair:
    """One client's connection and its other half. ``lost``: bytes were swallowed, the stream is broken."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.upstream: asyncio.StreamWriter | None = None
        self.lost = False

    def abort(self) -> None:
        for writer in (self.client, self.upstream):
            if writer is not None:
                writer.transport.abort()


class Relay:
    """Listens on ``port`` (the real one after ``open``); passes bytes to ``target_port`` on the same host."""

    def __init__(self, host: str, port: int, faults: FaultSwitch) -> None:
        self.host = host
        self.port = port
        self.target_port = 0
        self._faults = faults
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._server is not None

    @property
    def connections(self) -> int:
        return len(self._pairs)

    async def open(self) -> None:
        """Raises OSError if the port is taken."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Closes the socket and every connection, and waits until they are gone."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for pair in list(self._pairs):
            pair.abort()
        if self._handlers:
            await asyncio.wait(self._handlers)
        if server is not None:
            await server.wait_closed()

    def drop_broken(self) -> None:
        """Closes the connections that lost bytes while silent: no stream protocol survives a hole."""
        for pair in list(self._pairs):
            if pair.lost:
                pair.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            with contextlib.suppress(OSError):
                await self._relay(pair, reader)
        finally:
            pair.abort()
            self._pairs.discard(pair)
            self._handlers.discard(task)

    async def _relay(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        upstream_reader, upstream = await asyncio.open_connection(self.host, self.target_port)
        pair.upstream = upstream
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(pair, reader, upstream))
            group.create_task(self._pump(pair, upstream_reader, pair.client))

    async def _pump(self, pair: _Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(_CHUNK):
                if self._faults.peek().fault is Fault.SILENT:
                    pair.lost = True
                    continue
                if sink is pair.client and self._faults.peek().fault is Fault.LATE:
                    await asyncio.sleep(self._faults.peek().delay_s)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # the peer is gone: so is the pair
        finally:
            pair.abort()

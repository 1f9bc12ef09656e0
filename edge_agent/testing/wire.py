"""Tools for tests on real sockets: a relay that makes any device late, and waiting with words."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

PATIENCE_S = 5.0
"""How long anything that should happen may take."""


class HoldingProxy:
    """A TCP relay on the loopback that can hold back what the device sends. ``port`` is where to connect.

    Closing either side closes the other; ``stop`` closes everything."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._holding = False
        self.port = 0

    @property
    def held(self) -> int:
        return len(self._held)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        self._holding = True

    def release(self) -> None:
        self._holding = False
        held, self._held = self._held, []
        for writer, data in held:
            writer.write(data)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._relays):
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        try:
            device_reader, device_writer = await asyncio.open_connection(*self._target)
            try:
                await self._relay_both(reader, writer, device_reader, device_writer)
            finally:
                await _close(device_writer)
        except OSError:
            pass  # the device refused: the client sees its connection close
        except asyncio.CancelledError:
            pass  # stop(); 3.11's stream server logs a cancelled handler as an error
        finally:
            await _close(writer)
            self._relays.discard(task)

    async def _relay_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        device_reader: asyncio.StreamReader,
        device_writer: asyncio.StreamWriter,
    ) -> None:
        """Until either side ends."""
        up = asyncio.ensure_future(self._relay(reader, device_writer, may_hold=False))
        down = asyncio.ensure_future(self._relay(device_reader, writer, may_hold=True))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_hold: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if may_hold and self._holding:
                    self._held.append((writer, data))
                else:
                    writer.write(data)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def until(condition: Callable[[], object], complaint: str) -> None:
    """Waits for a condition; fails with the complaint if it does not come true in ``PATIENCE_S``."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            pytest.fail(complaint)
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def deadline(what: str) -> AsyncIterator[None]:
    """Fails with the name of what took too long."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except TimeoutError:
        pytest.fail(f"{what} took longer than {PATIENCE_S:g} s")


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count

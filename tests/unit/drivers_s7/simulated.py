"""The simulated controller of ``hardware_mocks`` for tests of the driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server


@asynccontextmanager
async def simulated(pdu: int = 480) -> AsyncIterator[S7Server]:
    server = S7Server(Process(1), pdu=pdu)
    await server.start()
    try:
        yield server
    finally:
        await server.close()

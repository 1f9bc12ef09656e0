"""The connection. A real one opens a socket in ``connect`` and sends bytes in ``exchange``."""

from __future__ import annotations

import asyncio

from drivers.sim.settings import SimSettings
from edge_agent.driver import Request, Reserved
from edge_agent.errors import LinkLost


class SimLink:
    """Meets ``edge_agent.driver.Link``. A new one is made for every connection attempt."""

    def __init__(self, settings: SimSettings) -> None:  # no I/O, and no event loop needed
        self._speed = settings.speed
        self._open = False
        self._reads = 0

    async def connect(self) -> None:  # once; raise LinkLost or LinkDenied if it fails
        self._open = True

    async def enrol(self, station: SimSettings) -> None:  # what was negotiated goes to plan() as its limits
        return None

    async def exchange(self, request: Request) -> tuple[float, ...]:  # one round trip; no time-out of its own
        if not self._open:
            raise LinkLost("the simulated link is closed", reason="reset")
        self._reads += 1
        seconds = asyncio.get_running_loop().time() * self._speed
        return tuple(signal.at(seconds, self._reads) for signal in request.body)

    async def prove(self, station: SimSettings, reserved: Reserved) -> None:
        return None  # nothing can be late here; replies with an identity of their own also return at once

    async def close(self) -> None:  # also before connect, twice, after a cancellation; never raises
        self._open = False

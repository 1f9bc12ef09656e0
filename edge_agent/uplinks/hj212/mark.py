"""How far QNs may have been used, in the uplink's memory. What is kept runs a minute ahead of what is used,
so that it is written once in a while and not for every packet; a crash costs QNs, never a repetition."""

from __future__ import annotations

import asyncio

from edge_agent.errors import StorageError
from edge_agent.uplink import Host

AHEAD_MS = 60_000
_NAME = "qn"
_KEEP_LIMIT_S = 2.0


class Mark:
    """A disk that takes nothing does not stop delivery: QNs then rise by the wall clock alone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._kept_ms = 0
        self._again_ms = 0

    async def load(self) -> int:
        """The first QN must be later than this. What is missing or damaged counts as none."""
        text = await self._host.recall(_NAME)
        self._kept_ms = int(text) if text.isascii() and text.isdigit() and len(text) < 15 else 0
        return self._kept_ms

    async def cover(self, last_ms: int) -> None:
        """To be awaited before a packet with this QN goes out."""
        if last_ms > max(self._kept_ms, self._again_ms):
            await self._keep(last_ms + AHEAD_MS)
            self._again_ms = last_ms + AHEAD_MS // 6

    async def settle(self, last_ms: int) -> None:
        """At the end of a connection: exactly what was used, so that QNs do not run away from the clock."""
        if last_ms < self._kept_ms:
            await self._keep(last_ms)

    async def _keep(self, ms: int) -> None:
        try:
            async with asyncio.timeout(_KEEP_LIMIT_S):
                await self._host.keep(_NAME, str(ms))
        except (StorageError, TimeoutError):
            return
        self._kept_ms = ms

"""The deadline around one exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_TURNS = 12
"""Turns of the loop in which an answer that has arrived is read and parsed."""


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """``asyncio.timeout``, but what had arrived when the time was up still counts. On a machine that is
    short of time the process may not have run for a second: the answer then lies unread in the socket, and to
    give up on it would have the same units sent twice."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        over = False

        def expire(turns: int) -> None:
            if over:
                return
            if turns:
                loop.call_soon(expire, turns - 1)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(seconds, expire, _TURNS)
        try:
            yield
        finally:
            over = True
            timer.cancel()

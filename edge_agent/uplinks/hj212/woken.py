"""Waiting by the agent's clock."""

from __future__ import annotations

import asyncio

from edge_agent.clock import Clock


async def woken(event: asyncio.Event, clock: Clock, until_ns: int | None) -> None:
    """Returns when the event is set, or has been set because the clock has come to ``until_ns``."""
    if until_ns is None:
        await event.wait()
        return
    async with asyncio.TaskGroup() as group:
        timer = group.create_task(_ring(event, clock, until_ns))
        await event.wait()
        timer.cancel()


async def _ring(event: asyncio.Event, clock: Clock, until_ns: int) -> None:
    await clock.sleep_until(until_ns)
    event.set()

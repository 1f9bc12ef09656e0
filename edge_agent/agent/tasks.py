"""The one TaskGroup, seen by the parts that start and stop tasks in it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """A task that ends by an exception ends the group, and with it the agent: supervisors never raise, so
    that can only be a bug in the wiring, and systemd restarts us."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work, name=name)

    async def stop(self, *tasks: asyncio.Task[None]) -> None:
        """Cancels all, then waits until all have ended: one that is slow to end costs its time only once."""
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

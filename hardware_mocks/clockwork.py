"""Makes the model run in real time, by the monotonic clock."""

from __future__ import annotations

import asyncio
import contextlib
import time

from hardware_mocks.process import Process

STEP_S = 0.05
MOST_STEPS_AT_ONCE = 200  # after a suspended machine: skip ahead rather than freeze the loop


class Clockwork:
    """Steps a process every 50 ms; a late tick makes up for the steps it missed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="clockwork")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        began_s = time.monotonic()
        done = 0
        while True:
            due = int((time.monotonic() - began_s) / STEP_S)
            for _ in range(min(due - done, MOST_STEPS_AT_ONCE)):
                self._process.step(STEP_S)
            done = due
            await asyncio.sleep(max(0.0, began_s + (done + 1) * STEP_S - time.monotonic()))

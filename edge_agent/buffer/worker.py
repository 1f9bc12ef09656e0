"""A thread that does blocking work in order, so that the event loop never waits for a disk.

Why not an executor: its threads are joined at interpreter exit, and a card that hangs in fsync would then
keep the whole process from ending.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """``submit`` from the event loop; jobs run one after the other, in the order of submission."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._since: deque[float] = deque()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._since.append(time.monotonic())
        self._jobs.put((job, future))
        return future

    @property
    def waiting_s(self) -> float:
        """For how long the job at the front has been waiting for its end, by the machine's own clock."""
        return time.monotonic() - self._since[0] if self._since else 0.0

    async def run(self, job: Callable[[], T]) -> T:
        """Cancelling the caller abandons the result, not the job."""
        return await asyncio.shield(self.submit(job))

    def stop(self) -> None:
        """No more jobs; the thread ends after those it has. Does not wait."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                result, error = job(), None
            except Exception as caught:  # noqa: BLE001 - it belongs to whoever submitted the job
                result, error = None, caught
            self._since.popleft()
            with suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits any more
                future.get_loop().call_soon_threadsafe(_resolve, future, result, error)
            del item, job, future, result, error


def _resolve(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)

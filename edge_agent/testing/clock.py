"""A clock that moves only when told, so that no test sleeps for luck."""

from __future__ import annotations

import asyncio
import heapq

from edge_agent.model import ClockState


class ManualClock:
    """Wall time starts at 2026-01-01T00:00:00Z, monotonic time at 1000 s. ``advance`` moves both, ``step``
    only the wall (a clock step). Sleepers wake in order of their deadlines."""

    def __init__(self, time_ns: int = 1_767_225_600_000_000_000, mono_ns: int = 1_000_000_000_000) -> None:
        self._time_ns = time_ns
        self._mono_ns = mono_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self.clock_state = ClockState.SYNCHRONISED
        self.boot_id = "manual"

    def mono_ns(self) -> int:
        return self._mono_ns

    def time_ns(self) -> int:
        return self._time_ns

    def state(self) -> ClockState:
        return self.clock_state

    async def sleep_until(self, mono_ns: int) -> None:
        if mono_ns <= self._mono_ns:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (mono_ns, self._count, future))
        await future

    def step(self, seconds: float) -> None:
        self._time_ns += round(seconds * 1e9)

    async def advance(self, seconds: float) -> None:
        """Moves time on, stopping at every sleeper's deadline and letting the loop run until it is idle."""
        target = self._mono_ns + round(seconds * 1e9)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            deadline, _, future = heapq.heappop(self._sleepers)
            self._move_to(max(deadline, self._mono_ns))
            if not future.done():
                future.set_result(None)
            await settle()
        self._move_to(target)
        await settle()

    def _move_to(self, mono_ns: int) -> None:
        self._time_ns += mono_ns - self._mono_ns
        self._mono_ns = mono_ns


async def settle(turns: int = 20) -> None:
    """Lets every ready task run. For tasks that wait for real sockets or threads use a condition instead."""
    for _ in range(turns):
        await asyncio.sleep(0)

"""A host on the loopback, and an agent's side that has a history."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.clock import Clock, SystemClock
from edge_agent.errors import LinesideError, StorageError
from edge_agent.model import Batch, ClockState
from edge_agent.testing.destination import RecordingHost
from edge_agent.testing.wire import deadline
from edge_agent.uplinks.hj212.settings import Hj212Settings
from edge_agent.uplinks.hj212.start import Run
from edge_agent.uplinks.hj212.uplink import Hj212Uplink
from hardware_mocks.hj212_host import Hj212Host

from .vectors import MN

RUN = Run("test", 0)


class SetClock(SystemClock):
    """The machine's, which says of itself what the test wants. ``up_s``: for how long it has been on; else as
    long as it truly has."""

    said = ClockState.SYNCHRONISED

    def __init__(self, up_s: float | None = None) -> None:
        super().__init__()
        self._earlier_ns = 0 if up_s is None else super().mono_ns() - round(up_s * 1e9)

    def mono_ns(self) -> int:
        return super().mono_ns() - self._earlier_ns

    def state(self) -> ClockState:
        return self.said


Opened = Callable[..., AbstractAsyncContextManager[Hj212Uplink]]


class Agent(RecordingHost):
    """``stored``: what ``history`` gives, by stream; ``broken``: it cannot look back; ``full``: it can keep
    nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.stored: dict[str, list[Batch]] = {}
        self.now: list[Batch] = []
        self.broken = False
        self.looked: list[tuple[str, int, int]] = []

    async def keep(self, name: str, text: str) -> None:
        if self.full:
            raise StorageError("no space left")
        await super().keep(name, text)

    def current(self) -> Sequence[Batch]:
        return self.now

    def history(self, stream: str, start_ns: int, end_ns: int) -> AsyncIterator[Batch]:
        if self.broken:
            raise LinesideError("history is not available")
        self.looked.append((stream, start_ns, end_ns))
        return _give([b for b in self.stored.get(stream, []) if start_ns <= b.time_ns < end_ns])


async def _give(batches: list[Batch]) -> AsyncIterator[Batch]:
    for one in batches:
        yield one


@pytest_asyncio.fixture
async def platform() -> AsyncIterator[Hj212Host]:
    served = Hj212Host(MN, "123456", "31")
    await served.start()
    yield served
    await served.close()
    assert served.violations == []


@pytest.fixture
def agent() -> Agent:
    return Agent()


def settings_for(platform: Hj212Host, **changes: Any) -> Hj212Settings:
    factors = [
        {"tag": "stack.so2", "code": "a21026"},
        {"tag": "stack.dust", "code": "a34013", "format": "N4.1"},
    ]
    keys = {
        "address": f"tcp://127.0.0.1:{platform.port}", "mn": MN, "pw": "123456", "st": "31",
        "factors": factors, "over_time": "1s", "report_start": False,
    }  # fmt: skip
    return Hj212Settings.model_validate(keys | changes)


@pytest.fixture
def connected(platform: Hj212Host, agent: Agent) -> Opened:
    @contextlib.asynccontextmanager
    async def opened(clock: Clock | None = None, **changes: Any) -> AsyncIterator[Hj212Uplink]:
        uplink = Hj212Uplink(settings_for(platform, **changes), agent, clock or SetClock(), RUN)
        try:
            async with deadline("connect"):
                await uplink.connect()
            yield uplink
        finally:
            async with deadline("close"):
                await uplink.close()

    return opened

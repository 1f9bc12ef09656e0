"""A park on the loopback, an uplink that knows it, and authorities."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.testing.clock import ManualClock
from edge_agent.testing.destination import RecordingHost
from edge_agent.uplinks.http import HttpUplink
from edge_agent.uplinks.http.settings import HttpSettings

from .park import Authority, Park

Opened = Callable[..., AbstractAsyncContextManager[HttpUplink]]


@pytest_asyncio.fixture
async def park() -> AsyncIterator[Park]:
    served = Park()
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
def opened(park: Park) -> Opened:
    """``async with opened(**settings) as uplink``: connected to ``park``, closed afterwards."""

    @contextlib.asynccontextmanager
    async def open_(**settings: Any) -> AsyncIterator[HttpUplink]:
        uplink = HttpUplink(
            HttpSettings.model_validate({**park.settings, "timeout": "5s", **settings}),
            RecordingHost(),
            ManualClock(),
        )
        try:
            await uplink.connect()
            yield uplink
        finally:
            await uplink.close()

    return open_


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "plant-ca")

"""A platform behind the toxic broker, and uplinks that know it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio

from edge_agent.clock import SystemClock
from edge_agent.testing.destination import RecordingHost
from edge_agent.uplinks.mqtt import MqttUplink
from edge_agent.uplinks.mqtt.settings import MqttSettings

from .park import Park

Opened = Callable[..., AbstractAsyncContextManager[MqttUplink]]


@pytest_asyncio.fixture(params=["5", "3.1.1"])
async def park(request: pytest.FixtureRequest) -> AsyncIterator[Park]:
    """Of both versions."""
    async with served(Park(request.param)) as park:
        yield park


@pytest_asyncio.fixture
async def park5() -> AsyncIterator[Park]:
    async with served(Park("5")) as park:
        yield park


@pytest_asyncio.fixture
async def park3() -> AsyncIterator[Park]:
    async with served(Park("3.1.1")) as park:
        yield park


@pytest_asyncio.fixture(params=["5", "3.1.1"])
async def acking(request: pytest.FixtureRequest) -> AsyncIterator[Park]:
    """Confirms on a topic of its own."""
    async with served(Park(request.param, acks=True)) as park:
        yield park


@contextlib.asynccontextmanager
async def served(park: Park) -> AsyncIterator[Park]:
    await park.start()
    try:
        yield park
    finally:
        await park.stop()


@pytest.fixture
def host() -> RecordingHost:
    return RecordingHost()


@pytest.fixture
def opened(host: RecordingHost) -> Opened:
    """``async with opened(park, **settings) as uplink``: connected, closed afterwards."""

    @contextlib.asynccontextmanager
    async def open_(park: Park, **settings: Any) -> AsyncIterator[MqttUplink]:
        keys = {**park.settings, "timeout": "5s", **settings}
        uplink = MqttUplink(MqttSettings.model_validate(keys), host, SystemClock())  # type: ignore[arg-type]
        try:
            await uplink.connect()
            yield uplink
        finally:
            await uplink.close()

    return open_

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hardware_mocks.process import Process

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def process() -> Process:
    """A model that nobody steps but the test."""
    return Process(seed=7)


@pytest.fixture
def until() -> Until:
    """Waits for a condition, at most 10 s."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await condition():  # noqa: ASYNC110 - the condition lies behind a socket
                await asyncio.sleep(0.02)

    return wait

"""The HTTP uplink meets the uplink contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio

from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.uplinks.http import PLUGIN
from tests.unit.uplinks.park import Park


class TestHttp(UplinkContract):
    plugin = PLUGIN

    def valid_settings(self) -> Mapping[str, Any]:
        return {"url": "https://park.example/in?key=1", "token": "t0ken", "timeout": "1s"}

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Park]:
        park = Park()
        await park.start()
        yield park
        await park.stop()


class TestHttpCompressed(TestHttp):
    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Park]:
        class Compressed(Park):
            @property
            def settings(self) -> Mapping[str, Any]:
                return {**super().settings, "compress": True}

        park = Compressed()
        await park.start()
        yield park
        await park.stop()

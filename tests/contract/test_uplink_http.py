"""The HTTP uplink meets the uplink contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio
from aiohttp import web

from edge_agent.testing.destination import Manner, Received
from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.uplinks.http import PLUGIN
from tests.unit.uplinks.park import Message, Park


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


class Platform(Park):
    """A platform with a JSON of its own, which cannot echo keys: its rows name their units all the same, so
    that this test can tell them apart."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, **FOREIGN}

    async def _in_manner(self, message: Message) -> web.StreamResponse:
        if self.manner in (Manner.SILENT, Manner.REFUSE, Manner.MUTE):
            return await super()._in_manner(message)
        rows: Any = message.body
        if self.manner is Manner.POISON and {row["unit"] for row in rows} & set(self.poison):
            return web.json_response({"code": 4001, "msg": "bad value"})
        arrived: dict[str, list[Any]] = {}
        for row in rows:
            if "detail" in row:
                self.events[row["unit"]] = row["detail"]
            else:
                arrived.setdefault(row["unit"], []).append(list(row["values"].values()))
        for key, values in arrived.items():
            self.received[key] = Received(values, [bytes(9)] * len(values))
        return web.json_response({"code": 0})


FOREIGN: Mapping[str, Any] = {
    "body": [{"$each": "batch", "unit": "{{key}}", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}],
    "event_body": [{"$each": "event", "unit": "{{key}}", "kind": "{{kind}}", "detail": "{{detail}}"}],
    "confirm": {"json": "code", "equals": 0, "refused": [4001]},
}


class TestForeignPlatform(TestHttp):
    exact_values = False  # engineering values, and what is missing is left out: tests/unit/uplinks_templates

    def valid_settings(self) -> Mapping[str, Any]:
        address = {"url": "https://park.example/api/{{secret}}/in", "secret": "s3cret"}
        return {**super().valid_settings(), **FOREIGN, **address}

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Park]:
        platform = Platform()
        await platform.start()
        yield platform
        await platform.stop()

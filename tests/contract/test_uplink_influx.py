"""The Influx uplink meets the uplink contract, over both APIs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, ClassVar

import pytest_asyncio
from aiohttp import web

from edge_agent.testing.destination import START_NS, Manner, Received
from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.uplinks.influx import PLUGIN
from hardware_mocks.line_protocol import Point, parse
from hardware_mocks.message import inflate

SECRET = "s3cret-token"


class Database:
    """Reads line protocol with the simulated database's parser. Lines carry no keys; what the suite sends is
    told apart by its time stamps."""

    def __init__(self, **keys: Any) -> None:
        self._manner = Manner.CONFIRM
        self.poison: Collection[str] = ()
        self.received: dict[str, Received] = {}
        self.events: dict[str, Mapping[str, Any]] = {}
        self.messages = 0
        self._keys = keys
        self._port = 0
        self._peers: set[Any] = set()
        self._speak = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    @property
    def manner(self) -> Manner:
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        if manner is not Manner.SILENT:
            self._speak.set()

    async def start(self) -> None:
        server = web.Server(self._answer, auto_decompress=False)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._speak.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @property
    def connections(self) -> int:
        return len(self._peers)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"url": f"http://127.0.0.1:{self._port}", "timeout": "300ms", **self._keys}

    async def confirm(self, keys: Any) -> None:
        raise NotImplementedError("confirmed by its answer")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        body = await request.read()
        self.messages += 1
        if self.manner is Manner.SILENT:
            self._speak.clear()
            await self._speak.wait()
        if self.manner is Manner.REFUSE or SECRET not in request.headers.get("Authorization", ""):
            return web.json_response({"error": "authorization failed"}, status=401)
        if self.manner is Manner.MUTE:  # a page somebody put there, not a database
            return web.Response(text="<html>It works!</html>")
        points = [p for p in parse(inflate(body).decode()) if isinstance(p, Point)]
        if self.manner is Manner.POISON and {_unit(point) for point in points} & set(self.poison):
            return web.json_response({"error": "partial write"}, status=400)
        for key in {_unit(point) for point in points}:
            self._store(key, [point for point in points if _unit(point) == key])
        return web.Response(status=204)

    def _store(self, key: str, points: list[Point]) -> None:
        if points[0].measurement == "events":
            self.events[key] = json.loads(str(points[0].fields["detail"]))
            return
        rows = [list(point.fields.values()) for point in sorted(points, key=lambda p: p.time_ns)]
        self.received[key] = Received(rows, [bytes(len(row)) for row in rows])


def _unit(point: Point) -> str:
    if point.measurement == "events":
        return str(point.fields["key"])
    return f"samples/7/{(point.time_ns - START_NS) // 1_000_000_000}"


class TestVersionTwo(UplinkContract):
    plugin = PLUGIN
    exact_values = False  # what has no value has no field; the rest is exact: tests/unit/uplinks_influx
    keys: ClassVar[Mapping[str, Any]] = {
        "org": "plant", "bucket": "lineside", "token": SECRET, "unsigned": True,
    }  # fmt: skip

    def valid_settings(self) -> Mapping[str, Any]:
        return {"url": "https://db.example:8086", "timeout": "1s", **self.keys}

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Database]:
        database = Database(**self.keys)
        await database.start()
        yield database
        await database.stop()


class TestVersionOne(TestVersionTwo):
    keys: ClassVar[Mapping[str, Any]] = {
        "database": "lineside",
        "strings": True,
        "token": SECRET,
        "unsigned": True,
    }

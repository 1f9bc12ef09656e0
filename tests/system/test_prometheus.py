"""A real Prometheus scrapes a real socket: what a plant's monitoring sees when a device dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from edge_agent.clock import SystemClock
from edge_agent.config.model import WebConfig
from edge_agent.model import Batch
from edge_agent.status import Board
from edge_agent.web import Sources, Web
from tests.plant.site import free_port
from tests.unit.metrics.board import SELECTED, make_board

pytestmark = [pytest.mark.tool("prometheus"), pytest.mark.timeout(120)]
RULES = Path(__file__).parents[2] / "config" / "prometheus" / "edge-agent.rules.yml"
DEADLINE_S = 40.0


class Prometheus:
    """One server process on loopback with a data folder of its own; ended by its process id."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        self.log = folder / "prometheus.log"
        config = folder / "prometheus.yml"
        # JSON is YAML: no quoting to get wrong.
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(RULES)],
                    "scrape_configs": [
                        {"job_name": "edge-agent", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
                    ],
                }
            ),
            encoding="utf-8",
        )
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        if self.running:
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(10)


class Scene:
    """The agent's side (a board made by hand) and the view from Prometheus."""

    def __init__(self, board: Board, prometheus: Prometheus, client: aiohttp.ClientSession) -> None:
        self.board = board
        self.prometheus = prometheus
        self._client = client

    async def query(self, expression: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.prometheus.port}/api/v1/query"
        try:
            async with self._client.get(url, params={"query": expression}) as answer:
                return list((await answer.json())["data"]["result"]) if answer.status == 200 else []
        except aiohttp.ClientError:
            return []  # not listening yet

    async def until(
        self, expression: str, wanted: Callable[[list[dict[str, Any]]], bool]
    ) -> list[dict[str, Any]]:
        return await eventually(lambda: self.query(expression), wanted, self.prometheus)


async def eventually(
    ask: Callable[[], Awaitable[list[dict[str, Any]]]],
    wanted: Callable[[list[dict[str, Any]]], bool],
    prometheus: Prometheus,
) -> list[dict[str, Any]]:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = await ask()
        if wanted(found):
            return found
        log = prometheus.log.read_text(errors="replace")[-3000:]
        assert prometheus.running, log
        assert time.monotonic() < deadline, f"last seen: {found}\n{log}"
        await asyncio.sleep(0.1)


def fresh(board: Board, clock: SystemClock) -> None:
    """The press has just been polled."""
    group = board.devices["press-1"].groups["fast"]
    assert group.latest is not None
    old = group.latest
    group.latest = Batch(old.schema, clock.time_ns(), clock.mono_ns(), old.values, old.quality)
    group.last_success_ns = group.latest.time_ns


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, board = SystemClock(), make_board()
    web = Web(WebConfig(port=0), Sources(board, clock, selected=lambda: SELECTED))
    assert await web.start()
    board.devices["press-1"].groups["fast"].period_s = 20.0  # "too old" is not what these tests wait for
    fresh(board, clock)
    prometheus = Prometheus(tmp_path, web.port)
    try:
        async with aiohttp.ClientSession() as client:
            yield Scene(board, prometheus, client)
    finally:
        await asyncio.to_thread(prometheus.close)
        await web.close()


async def test_a_dead_device_ends_its_series_and_not_its_neighbours(scene: Scene) -> None:
    await scene.until('up{job="edge-agent"}', lambda found: [row["value"][1] for row in found] == ["1"])
    values = await scene.until(
        'edgeagent_tag_value{device="press-1", tag="pressure"}', lambda found: len(found) == 1
    )
    assert values[0]["metric"]["unit"] == "MPa" and values[0]["value"][1] == "0.41"

    scene.board.devices["press-1"].turn("down", "cable", time.time_ns())
    await scene.until("edgeagent_tag_value", lambda found: found == [])
    await scene.until(
        'edgeagent_device_up{device="press-1"}', lambda found: [row["value"][1] for row in found] == ["0"]
    )
    # What is not about the device goes on, and the scrape itself never failed.
    assert await scene.query("edgeagent_uplink_pending_samples") != []
    failed = await scene.query('count_over_time((up{job="edge-agent"} == 0)[1m:1s])')
    assert failed == []


async def test_an_excursion_reaches_the_alert(scene: Scene) -> None:
    await scene.until('up{job="edge-agent"}', lambda found: [row["value"][1] for row in found] == ["1"])
    assert await scene.query('ALERTS{alertname="EdgeWindowOut"}') == []
    row = dict(scene.board.windows()[0]) | {"state": "out", "active": True, "value": 0.52}
    scene.board.windows = lambda: [row]
    found = await scene.until(
        'ALERTS{alertname="EdgeWindowOut", alertstate="firing"}', lambda found: len(found) == 1
    )
    assert found[0]["metric"]["window"] == "press-1.pressure"

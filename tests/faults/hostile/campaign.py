"""Servers, readers and an end: one run against the hostile devices of several transports."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.faults.hostile import certificate
from tests.faults.hostile.behaviours import APPLICABLE, Behaviour
from tests.faults.hostile.devices import TIMEOUT_S
from tests.faults.hostile.figures import BACK_WITHIN_S, Outcome
from tests.faults.hostile.reading import Fleet, resident_mb, until

ALL = ("tcp", "tls", "rtu", "ascii", "rtu+tcp", "s7", "opcua")
_LINKS = {"tcp": 4, "tls": 4, "rtu": 8, "ascii": 8, "rtu+tcp": 6, "ascii+tcp": 6, "s7": 6, "opcua": 6}
_PACE = {"tcp": 1.5, "tls": 1.5}
_POLL_S = 1.0
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Order:
    """Ends when there were ``reads`` requests and each fault came ``least`` times on each transport, or after
    ``limit_s``. What happens during ``warm_s`` counts, but for memory and lag."""

    seed: str
    transports: Sequence[str] = ALL
    share: float = 0.25
    reads: int = 0
    least: int = 0
    limit_s: float = 10.0
    warm_s: float = 3.0
    links: int | None = None
    pace: float = 1.0  # times as slow


class _Server:
    """The process of one transport."""

    def __init__(self, order: Order, transport: str, folder: Path) -> None:
        self.transport = transport
        self.links = order.links or _LINKS[transport]
        self._order = order
        self._folder = folder

    async def start(self) -> list[str]:
        options = ["--links", self.links, "--share", self._order.share, "--timeout", TIMEOUT_S]
        options += ["--seed", self._order.seed]
        if self.transport == "tls":
            options += ["--certificate", self._folder]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.hostile.server", self.transport, *map(str, options),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=_ROOT,
        )  # fmt: skip
        return list((await self._answer())["endpoints"])

    async def ask(self, command: str) -> dict[str, int]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self._answer()

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(10):
            await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        assert line, f"the hostile server of {self.transport} ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


async def run(order: Order, folder: Path, *, over: Callable[[], bool] = lambda: False) -> Outcome:
    """``over``: ends it earlier."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # as in the agent
    certificate.make(folder)
    if "opcua" in order.transports:
        import_module("asyncua")  # takes the loop's time at whoever's first connection
    fleet = Fleet(order.seed)
    servers = [_Server(order, transport, folder) for transport in order.transports]
    try:
        for server in servers:
            pace = order.pace * _PACE.get(server.transport, 1.0)
            fleet.add(server.transport, await server.start(), folder, pace)
        return await _observe(order, fleet, servers, over)
    finally:
        await fleet.close()
        for server in servers:
            await server.stop()


async def _observe(
    order: Order, fleet: Fleet, servers: Sequence[_Server], over: Callable[[], bool]
) -> Outcome:
    begin = time.monotonic()
    fleet.start_clock()
    await asyncio.sleep(order.warm_s)
    fleet.findings.lag_s = 0.0
    warm_mb = most_mb = resident_mb()
    counts: dict[str, dict[str, int]] = {}
    while not over():
        counts = {server.transport: await server.ask("counts") for server in servers}
        if time.monotonic() - begin > order.limit_s or _enough(order, counts):
            break
        await asyncio.sleep(_POLL_S)
    most_mb = max(most_mb, resident_mb())
    lag_s = fleet.findings.lag_s
    counts = {server.transport: await server.ask("share 0") for server in servers}
    found = fleet.findings
    good = dict(found.good)
    back_s = await _until_all_is_well(fleet)
    return Outcome(
        counts, good, found.wrong_values, found.hangs, found.unexpected, round(most_mb - warm_mb, 2),
        round(1000 * lag_s, 1), back_s, round(time.monotonic() - begin, 1), tuple(found.sentences),
        order.seed,
    )  # fmt: skip


def _enough(order: Order, counts: dict[str, dict[str, int]]) -> bool:
    if not order.reads or sum(sum(treated.values()) for treated in counts.values()) < order.reads:
        return False
    return all(
        treated[behaviour] >= order.least
        for transport, treated in counts.items()
        for behaviour in APPLICABLE[transport]
        if behaviour is not Behaviour.OK
    )


async def _until_all_is_well(fleet: Fleet) -> float | None:
    calm = time.monotonic()
    well = await until(lambda: all(fleet.good_at.get(d, 0) > calm for d in fleet.devices), BACK_WITHIN_S + 5)
    if not well:
        for device in fleet.devices:
            if fleet.good_at.get(device, 0) <= calm:
                fleet.findings.say(f"{device} did not come back: {fleet.states[device]}")
        return None
    return round(time.monotonic() - calm, 1)

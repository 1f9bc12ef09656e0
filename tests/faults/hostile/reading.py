"""The agent's own workers and drivers against hostile servers; every value delivered as good is checked."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.driver import DriverPlugin, Request
from edge_agent.model import Batch, Quality, Tag
from edge_agent.status import Board
from tests.faults.hostile import stamps
from tests.faults.hostile.devices import TIMEOUT_S, readers

PROOF_S = 0.5  # the longest deadline a proof has here: twice ``station.PROOF_S``
SLACK_S = 0.5
"""How much later than its deadline an exchange may end."""
STUCK_S = 20.0
_TICK_S = 0.01
_WARNINGS_MAX = 10


@dataclass(slots=True)
class Findings:
    """What was seen so far. ``good``: values by transport, 64 coils being one; ``unexpected``: errors of no
    known kind; ``sentences``: the first few of all that is wrong; ``lag_s``: the loop's worst."""

    exchanges: int = 0
    good: Counter[str] = field(default_factory=Counter)
    wrong_values: int = 0
    hangs: int = 0
    unexpected: int = 0
    sentences: list[str] = field(default_factory=list)
    lag_s: float = 0.0

    def say(self, sentence: str) -> None:
        if len(self.sentences) < _WARNINGS_MAX:
            self.sentences.append(sentence)


class Fleet:
    """Readers of any number of links. ``add`` starts them, ``close`` ends them."""

    def __init__(self, seed: object) -> None:
        self.findings = Findings()
        self.good_at: dict[str, float] = {}
        self._clock = SystemClock()
        self._board = Board()
        self._host = WorkerHost(
            self._clock,
            self._board,
            ConnectGate(self._clock, per_s=200),
            _Ears(self.findings),
            Random(f"{seed}/host"),
            self._sink,
            self._attempted,
        )
        self._places: dict[str, dict[str, int]] = {}
        self._transport: dict[str, str] = {}
        self._sent: dict[str, dict[int, int]] = defaultdict(dict)  # device/group -> tag position -> ticks
        self._requests: dict[int, tuple[Request, str]] = {}
        self._attempts: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stood_s = 0.0
        self._due_s = float("inf")  # of the ticker

    def add(
        self, transport: str, endpoints: Sequence[str], certificate: Path | None, pace: float = 1.0
    ) -> None:
        for link, endpoint in enumerate(endpoints):
            found = readers(transport, link, endpoint, certificate=certificate, pace=pace)
            plugin = self._watched(found[0].device.plugin)
            devices = [replace(reader.device, plugin=plugin) for reader in found]
            for reader in found:
                self._places[reader.device.name] = reader.places
                self._transport[reader.device.name] = transport
            worker = LinkWorker(devices[0].link_key, devices, "1", self._host)
            self._tasks.append(asyncio.create_task(worker.run(), name=worker.key))

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(self._places)

    @property
    def states(self) -> dict[str, str]:
        return {name: f"{row.state}: {row.reason}" for name, row in self._board.devices.items()}

    def failures(self) -> Counter[str]:
        return sum((row.failures for row in self._board.devices.values()), Counter())

    def start_clock(self) -> None:
        """From now on the loop's lag is measured and what nobody catches is noted."""
        asyncio.get_running_loop().set_exception_handler(self._uncaught)
        self._tasks.append(asyncio.create_task(self._tick(), name="ticker"))

    async def close(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                self.findings.unexpected += 1
                self.findings.say(f"a worker ended: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Watching

    async def _tick(self) -> None:
        while True:
            due = self._due_s = time.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            lag_s = time.monotonic() - due
            self.findings.lag_s = max(self.findings.lag_s, lag_s)
            self._stood_s += lag_s
            for key, at in self._attempts.items():
                if due - at > STUCK_S:
                    self.findings.hangs += 1
                    self.findings.say(f"{key}: nothing attempted for {due - at:.1f} s")
                    self._attempts[key] = due

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.findings.unexpected += 1
        self.findings.say(f"UNEXPECTED {context.get('message')}: {context.get('exception')!r}")

    def _attempted(self, key: str) -> None:
        self._attempts[key] = time.monotonic()

    def _watched(self, plugin: DriverPlugin) -> DriverPlugin:
        def plan(settings: Any, tags: Sequence[Tag], limits: Any, learned: Any) -> Any:
            made = plugin.plan(settings, tags, limits, learned)
            for request in made.requests:
                self._requests[id(request)] = (request, f"{tags[0].description}/{tags[0].group}")
            return made

        def open_link(settings: Any) -> Any:
            return self._timed(plugin.open_link(settings))

        return replace(plugin, plan=plan, open_link=open_link)

    def _timed(self, link: Any) -> Any:
        """The link with a clock at every call. Its class stays what it is, and with it what it is able to."""
        exchange, prove = link.exchange, link.prove

        async def timed_exchange(request: Request) -> Any:
            self._leaves((request,))
            return await self._measure(exchange(request), request)

        async def timed_prove(station: Any, reserved: Any) -> Any:
            return await self._measure(prove(station, reserved), "prove", PROOF_S)

        link.exchange, link.prove = timed_exchange, timed_prove
        if hasattr(link, "burst"):
            burst = link.burst

            async def timed_burst(requests: Sequence[Request], replies: list[Any]) -> None:
                self._leaves(requests)
                await self._measure(burst(requests, replies), "burst")

            link.burst = timed_burst
        return link

    def _leaves(self, requests: Sequence[Request]) -> None:
        now = stamps.now()
        self.findings.exchanges += len(requests)
        for request in requests:
            known = self._requests.get(id(request))
            if known is not None:
                self._sent[known[1]].update(dict.fromkeys(request.tags, now))

    async def _measure(self, awaitable: Any, what: object, deadline_s: float = TIMEOUT_S) -> Any:
        begin, stood_s = time.monotonic(), self._standing_s()
        try:
            return await awaitable
        finally:  # when the whole process stood still, which is measured for itself, no exchange can end
            took_s = time.monotonic() - begin - (self._standing_s() - stood_s)
            if took_s > deadline_s + SLACK_S:
                self.findings.hangs += 1
                self.findings.say(
                    f"{getattr(what, 'text', what)}: ended after {took_s:.3f} s of {deadline_s:g} s"
                )

    def _standing_s(self) -> float:
        """For how long the loop has stood still so far, the present stop included: after one, what waited
        for a deadline may run before the ticker does."""
        return self._stood_s + max(0.0, time.monotonic() - self._due_s)

    # Checking

    def _sink(self, driver: str, batch: Batch) -> None:
        device, group = batch.schema.device, batch.schema.group
        sent, places = self._sent[f"{device}/{group}"], self._places[device]
        bits: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        good = 0
        for position, (name, value, quality) in enumerate(
            zip(batch.schema.names, batch.values, batch.quality, strict=True)
        ):
            if not Quality(quality).is_good:
                continue
            good += 1
            if isinstance(value, bool):
                bits[places[name]].append((position, value))
            else:
                self._judge(batch, name, value, places[name], sent.get(position, 0))
        for where, found in bits.items():
            number = sum(bool(value) << bit for bit, (_, value) in enumerate(found))
            if len(found) == 64:
                oldest = min(sent.get(position, 0) for position, _ in found)
                self._judge(batch, "coils", number, where, oldest)
        if good == len(batch.values):
            self.good_at[device] = time.monotonic()

    def _judge(self, batch: Batch, name: str, value: Any, where: int, sent: int) -> None:
        self.findings.good[self._transport[batch.schema.device]] += 1
        fault = stamps.fault_of(value, where, sent)
        if fault is not None:
            self.findings.wrong_values += 1
            self.findings.say(f"WRONG VALUE {batch.schema.device}/{name}: {fault}")


class _Ears:
    """Hears what the workers say; an internal error of a driver is a finding."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def broke(self, key: str, message: str, /, **fields: Any) -> None:
        error = str(fields.get("error", ""))
        if "internal error" in error:
            self._findings.unexpected += 1
            self._findings.say(f"UNEXPECTED {key}: {error}")

    def healed(self, key: str, message: str, /, **fields: Any) -> None:
        pass


def resident_mb() -> float:
    """Resident memory of this process after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def until(condition: Callable[[], bool], deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True

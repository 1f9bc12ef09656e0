"""A scripted protocol for tests of acquisition: exchanges take manual time and answer as scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.config.model import Device
from edge_agent.driver import Columns, DeviceSettings, DriverPlugin, Plan, Request, Reserved
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.status import Board
from edge_agent.testing.clock import ManualClock, settle


class FakeSettings(DeviceSettings):
    station: int = 1


class Wire:
    """The world behind the links. ``answers[station]`` is called for every exchange and may raise."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.cost_s: dict[int, float] = {}
        self.answers: dict[int, Callable[[Request], Any]] = {}
        self.connect_error: Exception | None = None
        self.links: list[FakeLink] = []
        self.connects_ns: list[int] = []
        self.log: list[tuple[int, int, str]] = []
        self.proofs: list[int] = []
        self.busy_ns: dict[int, int] = {}


class FakeLink:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.closed = 0
        self.in_flight = 0
        wire.links.append(self)

    async def connect(self) -> None:
        self.wire.connects_ns.append(self.wire.clock.mono_ns())
        await asyncio.sleep(0)
        if self.wire.connect_error is not None:
            raise self.wire.connect_error

    async def enrol(self, station: FakeSettings) -> Any:
        return {"station": station.station}

    async def exchange(self, request: Request) -> Any:
        station = request.body
        self.in_flight += 1
        assert self.in_flight == 1, "two exchanges overlap on one link"
        start = self.wire.clock.mono_ns()
        try:
            self.wire.log.append((start, station, request.text))
            cost_s = self.wire.cost_s.get(station, 0.001)
            await self.wire.clock.sleep_until(start + round(cost_s * 1e9))
            return self.wire.answers.get(station, lambda _: 7)(request)
        finally:
            self.in_flight -= 1
            spent = self.wire.clock.mono_ns() - start
            self.wire.busy_ns[station] = self.wire.busy_ns.get(station, 0) + spent

    async def prove(self, station: FakeSettings, reserved: Reserved) -> None:
        self.wire.proofs.append(station.station)

    async def close(self) -> None:
        self.closed += 1


def one_request_per_tag(settings: FakeSettings, tags: Sequence[Tag], limits: Any, learned: Any) -> Plan:
    def decode(replies: Sequence[Any]) -> Columns:
        values = tuple(None if isinstance(r, Quality) else r for r in replies)
        return Columns(values, bytes(r if isinstance(r, Quality) else 0 for r in replies))

    requests = tuple(
        Request((i,), settings.station, 0.001, f"{tag.name}/{learned}") for i, tag in enumerate(tags)
    )
    return Plan(requests, decode)


def plugin(wire: Wire) -> DriverPlugin:
    return DriverPlugin(
        settings=FakeSettings,
        link_key=lambda s: "fake",
        check=lambda s, t: [],
        plan=one_request_per_tag,
        open_link=lambda s: FakeLink(wire),
    )


class Ear:
    def __init__(self) -> None:
        self.broken: list[str] = []
        self.heals: list[str] = []

    def broke(self, key: str, message: str, **fields: object) -> None:
        self.broken.append(key)

    def healed(self, key: str, message: str, **fields: object) -> None:
        self.heals.append(key)


class Bench:
    """One worker over ``devices`` ({name: {group: (period_s, tags)}}), its batches and its board."""

    def __init__(
        self, clock: ManualClock, devices: dict[str, dict[str, tuple[float, int]]], **timeouts: str
    ) -> None:
        self.clock = clock
        self.wire = Wire(clock)
        self.board = Board()
        self.batches: list[Batch] = []
        self.ear = Ear()
        self.attempts = 0
        made = plugin(self.wire)
        self.devices = [
            Device(
                name,
                "fake",
                made,
                FakeSettings(station=number, timeout=timeouts.get(name)),
                tuple(
                    Tag(f"{group}{i}", str(i), ValueType.INT16, group)
                    for group, (_, count) in groups.items()
                    for i in range(count)
                ),
                {group: period_s for group, (period_s, _) in groups.items()},
            )
            for number, (name, groups) in enumerate(devices.items(), 1)
        ]
        host = WorkerHost(
            clock,
            self.board,
            ConnectGate(clock),
            self.ear,
            Random(1),
            lambda _, b: self.batches.append(b),
            self._mark,
        )
        self.worker = LinkWorker("fake:fake", self.devices, "v1", host)

    def _mark(self, key: str) -> None:
        self.attempts += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.worker.run())
        try:
            await settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def of(self, device: str, group: str = "g") -> list[Batch]:
        return [b for b in self.batches if (b.schema.device, b.schema.group) == (device, group)]

    def good(self, device: str, group: str = "g") -> list[Batch]:
        return [b for b in self.of(device, group) if not any(b.quality)]

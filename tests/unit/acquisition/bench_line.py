"""A scripted protocol for tests of acquisition: exchanges take manual time and answer as scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.config.model import Device
from edge_agent.driver import Columns, DeviceSettings, DriverPlugin, Plan, Request, Reserved, Sink
from edge_agent.model import Batch, Quality, Tag, Value, ValueType
from edge_agent.status import Board
from edge_agent.testing.clock import ManualClock, settle


class FakeSettings(DeviceSettings):
    station: int = 1
    subscribe: tuple[str, ...] = ()
    cost: float = 0.001
    reread: float = 600.0


class Wire:
    """The world behind the links. ``answers[station]`` is called for every exchange and may raise, so is
    ``proving[station]`` for every try to prove. What takes no time here has no entry in ``proof_s``."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.cost_s: dict[int, float] = {}
        self.text_cost_s: dict[str, float] = {}  # of one request
        self.answers: dict[int, Callable[[Request], Any]] = {}
        self.connect_error: Exception | None = None
        self.links: list[FakeLink] = []
        self.connects_ns: list[int] = []
        self.log: list[tuple[int, int, str]] = []
        self.proofs: list[int] = []
        self.reserved: list[Reserved] = []
        self.proving: dict[int, Callable[[], Any]] = {}
        self.proof_s: dict[int, float] = {}
        self.enrolling: dict[int, Callable[[], Any]] = {}
        self.enrol_s: dict[int, float] = {}
        self.subscribe_error: Exception | None = None
        self.liveness_s = 10.0
        self.busy_ns: dict[int, int] = {}
        self.writing: dict[int, Callable[[Tag, Value], Any]] = {}
        self.written: list[tuple[int, str, Value]] = []


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
        number = station.station
        if number in self.wire.enrol_s:
            async with self._busy(number, "enrol", self.wire.enrol_s[number]):
                self.wire.enrolling.get(number, lambda: None)()
        return {"station": number}

    async def exchange(self, request: Request) -> Any:
        station = request.body
        cost_s = self.wire.text_cost_s.get(request.text) or self.wire.cost_s.get(station, request.cost_s)
        async with self._busy(station, request.text, cost_s):
            return self.wire.answers.get(station, lambda _: 7)(request)

    async def prove(self, station: FakeSettings, reserved: Reserved) -> None:
        number = station.station
        self.wire.proofs.append(number)
        self.wire.reserved.append(reserved)
        if number in self.wire.proof_s:
            async with self._busy(number, "prove", self.wire.proof_s[number]):
                self.wire.proving.get(number, lambda: None)()
        elif number in self.wire.proving:
            self.wire.proving[number]()

    @asynccontextmanager
    async def _busy(self, station: int, text: str, cost_s: float) -> AsyncIterator[None]:
        """One round trip, which takes its time before it is answered."""
        self.in_flight += 1
        assert self.in_flight == 1, "two exchanges overlap on one link"
        start = self.wire.clock.mono_ns()
        try:
            self.wire.log.append((start, station, text))
            await self.wire.clock.sleep_until(start + round(cost_s * 1e9))
            yield
        finally:
            self.in_flight -= 1
            spent = self.wire.clock.mono_ns() - start
            self.wire.busy_ns[station] = self.wire.busy_ns.get(station, 0) + spent

    async def close(self) -> None:
        self.closed += 1


def one_request_per_tag(settings: FakeSettings, tags: Sequence[Tag], limits: Any, learned: Any) -> Plan:
    def decode(replies: Sequence[Any]) -> Columns:
        values = tuple(None if isinstance(r, Quality) else r for r in replies)
        return Columns(values, bytes(r if isinstance(r, Quality) else 0 for r in replies))

    requests = tuple(
        Request((i,), settings.station, settings.cost, f"{tag.name}/{learned}") for i, tag in enumerate(tags)
    )
    return Plan(requests, decode)


class ReportingLink(FakeLink):
    """Also reports changes: ``sinks`` by group, to be called by the test."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.sinks: dict[str, Sink] = {}

    async def subscribe(
        self, station: FakeSettings, tags: Sequence[Tag], plan: Plan, period_s: float, sink: Sink
    ) -> float:
        await asyncio.sleep(0)
        if self.wire.subscribe_error is not None:
            raise self.wire.subscribe_error
        assert plan.requests
        self.sinks[tags[0].group] = sink
        self.wire.log.append((self.wire.clock.mono_ns(), station.station, f"subscribe {tags[0].group}"))
        return self.wire.liveness_s


class WritingLink(FakeLink):
    """Also writes: a write takes as long as an exchange of its station."""

    async def write(self, station: FakeSettings, tag: Tag, raw: Value) -> None:
        number = station.station
        async with self._busy(number, f"write {tag.name}", self.wire.cost_s.get(number, station.cost)):
            self.wire.writing.get(number, lambda *_: None)(tag, raw)
            self.wire.written.append((number, tag.name, raw))


def plugin(wire: Wire, **more: Any) -> DriverPlugin:
    made = DriverPlugin(
        settings=FakeSettings,
        link_key=lambda s: "fake",
        check=lambda s, t: [],
        plan=one_request_per_tag,
        open_link=lambda s: FakeLink(wire),
    )
    return replace(made, **more)


class Ear:
    def __init__(self) -> None:
        self.broken: list[str] = []
        self.heals: list[str] = []

    def broke(self, key: str, message: str, **fields: object) -> None:
        self.broken.append(key)

    def healed(self, key: str, message: str, **fields: object) -> None:
        self.heals.append(key)


class Bench:
    """One worker over ``devices`` ({name: {group: (period_s, tags)}}), its batches and its board. ``keys``:
    settings of all devices, ``costs``: of one each, ``more``: of the plug-in."""

    def __init__(
        self,
        clock: ManualClock,
        devices: dict[str, dict[str, tuple[float, int]]],
        *,
        keys: dict[str, Any] | None = None,
        costs: dict[str, float] | None = None,
        more: dict[str, Any] | None = None,
        reporting: bool = False,
        writing: bool = False,
        **timeouts: str,
    ) -> None:
        self.clock = clock
        self.wire = Wire(clock)
        self.board = Board()
        self.batches: list[Batch] = []
        self.ear = Ear()
        self.attempts = 0
        made = plugin(self.wire, **(more or {}))
        if reporting:
            made = replace(
                made,
                open_link=lambda s: ReportingLink(self.wire),
                subscribed=lambda s: frozenset(s.subscribe),
            )
        if writing:
            made = replace(made, open_link=lambda s: WritingLink(self.wire))
        self.devices = [
            Device(
                name,
                "fake",
                made,
                FakeSettings(
                    station=number,
                    timeout=timeouts.get(name),
                    **{"cost": (costs or {}).get(name, 0.001), **(keys or {})},
                ),
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
            self._take,
            self._mark,
        )
        self.worker = LinkWorker("fake:fake", self.devices, "v1", host)

    def _take(self, driver: str, batch: Batch) -> None:
        self.batches.append(batch)
        self.board.record(driver, batch)

    def _mark(self, key: str) -> None:
        self.attempts += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(self.worker.run())
        try:
            await settle()
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def of(self, device: str, group: str = "g") -> list[Batch]:
        return [b for b in self.batches if (b.schema.device, b.schema.group) == (device, group)]

    def good(self, device: str, group: str = "g") -> list[Batch]:
        return [b for b in self.of(device, group) if not any(b.quality)]

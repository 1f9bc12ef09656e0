"""A simulated press over real sockets, link workers, a journal on disk, and the executor of writes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.acquisition import ConnectGate, WorkerHost
from edge_agent.agent.links import Links
from edge_agent.agent.tasks import Tasks
from edge_agent.agent.write_facts import moment
from edge_agent.agent.writes import Writes, tags_of
from edge_agent.buffer import EventStore
from edge_agent.clock import SystemClock
from edge_agent.config.model import (
    Alarming,
    Configuration,
    Device,
    Heartbeat,
    Limit,
    LimitKind,
    Output,
    Priority,
    TagRef,
    Window,
    Writable,
    WriteLevel,
    Writing,
)
from edge_agent.control.alarms import AlarmBook
from edge_agent.control.guard import Guard, Outcome, WriteRequest
from edge_agent.control.transition import Change, Transition
from edge_agent.model import Batch, Event, Scaling, Tag, ValueType
from edge_agent.status import Board
from edge_agent.systemd import Progress
from hardware_mocks.clockwork import Clockwork
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.process import Process, Schedule

PRESS = "press"
NEVER = Schedule(0, 0, 0)
BEAT_S = 0.2
TAGS = (
    Tag("setpoint", "hr:17", ValueType.UINT16, unit="MPa", scaling=Scaling(0.001)),
    Tag("zone1", "hr:14", ValueType.INT16, unit="°C", scaling=Scaling(0.1)),
    Tag("fan", "hr:402", ValueType.UINT16, unit="rpm"),
    Tag("pressure", "ir:3", ValueType.UINT16, unit="MPa", scaling=Scaling(0.001)),
    Tag("remote", "di:32", ValueType.BOOL),
    Tag("beat", "hr:400", ValueType.UINT16),
    Tag("horn", "co:32", ValueType.BOOL),
    Tag("lamp", "co:33", ValueType.BOOL),
    Tag("secret", "hr:15", ValueType.INT16, scaling=Scaling(0.1)),
)


def ref(tag: str, device: str = PRESS) -> TagRef:
    return TagRef(device, tag)


def writable(tag: str, low: float, high: float, **more: Any) -> Writable:
    keys: dict[str, Any] = {
        "when": (ref("remote"),), "inputs": (ref("pressure"),), "min_interval_s": 0.0, "per_day": 1000,
        "verify_within_s": 0.5,
    }  # fmt: skip
    return Writable(ref(tag), low=low, high=high, **{**keys, **more})


def writing(**more: Any) -> Writing:
    own = {"level": WriteLevel.ALARM, "when": (), "inputs": ()}
    listed = (
        writable("setpoint", 0.30, 0.45, max_step=0.05),
        writable("fan", 1000, 1600, ttl_s=0.5, max_step=500),
        writable("zone1", 800, 900, max_rate=10, min_interval_s=0.2, per_day=3, approve=True),
        writable("beat", 0, 65535, who=("heartbeat",), **own),
        writable("horn", 0, 1, who=("annunciation",), **own),
        writable("lamp", 0, 1, who=("annunciation",), **own),
    )
    keys: dict[str, Any] = {
        "level": WriteLevel.SETPOINT, "per_day": 2000, "writables": listed,
        "heartbeats": (Heartbeat(ref("beat"), BEAT_S),),
        "outputs": (Output(ref("horn"), silence=True), Output(ref("lamp"), active=True)),
    }  # fmt: skip
    return Writing(**{**keys, **more})


WINDOW = Window(
    "press.pressure", ref("pressure"), unit="MPa",
    further=(Limit(LimitKind.HIHI, 0.5, alarming=Alarming(Priority.CRITICAL)),
             Limit(LimitKind.HIGH, 0.45, alarming=Alarming(Priority.HIGH))),
)  # fmt: skip


class Spy:
    """The links, and what was known of the journal at the moment of each write. ``hold`` may wait."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.before_write: Callable[[str, str], None] = lambda device, tag: None

    async def read(self, device: str, tag_name: str) -> Any:
        return await self.links.read(device, tag_name)

    async def write(self, device: str, tag_name: str, raw: Any) -> None:
        self.before_write(device, tag_name)
        await self.links.write(device, tag_name, raw)


class Plant:
    """One run of an agent over a simulated line that outlives it."""

    def __init__(self, server: ModbusServer, process: Process, configuration: Configuration) -> None:
        self.server = server
        self.process = process
        self.configuration = configuration
        self.clock = SystemClock()
        self.board = Board()
        self.alarms = AlarmBook(configuration.version)
        self.said: list[Event] = []
        self.refuses_commits = False
        self.store: EventStore
        self.links: Links
        self.writes: Writes
        self.spy: Spy
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    @asynccontextmanager
    async def running(self, directory: Path, *, supervised: bool = True) -> AsyncIterator[Plant]:
        self.store = await EventStore.open(directory, self.clock, [], 1)
        gate = ConnectGate(self.clock)
        host = WorkerHost(
            self.clock, self.board, gate, Mute(), Random(1), self._take, lambda key: None
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                tasks = Tasks(group)
                self.links = Links(host, tasks, Progress())
                self.spy = Spy(self.links)
                self.writes = self._make_writes()
                journal = tasks.start("journal", self._journal())
                await self.links.apply(self.configuration)
                others = [tasks.start("writes", self.writes.run())] if supervised else []
                try:
                    await self.until(lambda: all(d.up for d in self.board.devices.values()), "devices up")
                    yield self
                finally:
                    await tasks.stop(*others)
                    await self.links.stop()
                    await tasks.stop(journal)
        finally:
            await self.store.close()

    def _make_writes(self) -> Writes:
        at = moment(self.clock)
        tags = tags_of(self.configuration)
        guard = Guard(
            self.configuration.writing, tags, self.configuration.version, random=secrets.token_bytes
        )
        guard.restore(self.store.window_states(), at)
        self.alarms.configure([WINDOW], self.configuration.version, at)
        writes = Writes(
            guard, self.spy, self.clock, board=self.board, alarms=self.alarms,
            announce=self.announce, commit=self.commit,
        )  # fmt: skip
        writes.configure(self.configuration)
        return writes

    # What the flow does

    def _take(self, driver: str, batch: Batch) -> None:
        self.board.record(driver, batch)

    def announce(self, events: Sequence[Event], states: Mapping[str, Any]) -> None:
        self.said.extend(events)
        self._queue.put_nowait((events, states, None))

    async def commit(self, events: Sequence[Event], states: Mapping[str, Any]) -> bool:
        self.said.extend(events)
        if self.refuses_commits:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((events, states, done))
        return await done

    async def _journal(self) -> None:
        """In the order in which things were said; all that waits goes in one commit."""
        while True:
            waiting = [await self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            events = [event for said, _, _ in waiting for event in said]
            states = {key: row for _, rows, _ in waiting for key, row in rows.items()}
            keys = await self.store.commit(events, states)
            durable = len(keys) == len(events) and self.store.info()["state"] == "ok"
            for _, _, done in waiting:
                if done is not None and not done.done():
                    done.set_result(durable)

    # For tests

    def arm(self, user: str = "li") -> str:
        armed = self.writes.guard.arm(user, 600, moment(self.clock))
        self.announce(armed.audit.events, armed.audit.states)
        return armed.token

    async def ask(self, tag: str, value: Any, token: str = "", **more: Any) -> Outcome:
        device = more.pop("device", PRESS)
        request = WriteRequest(ref(tag, device), value, user="li", token=token, **more)
        return await self.writes.execute(request)

    def alarm(self, kind: LimitKind, *, on: bool) -> None:
        change = Change.ALARM if on else Change.RETURN
        self.alarms.hear([Transition(change, WINDOW.name, kind, moment(self.clock), 0.6, 0.5)])
        self.writes.look()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.said]

    def frames(self, register: int | None = None) -> int:
        """Requests that write, as the controller counted them; heartbeats only if asked for."""
        written = [int.from_bytes(pdu[1:3]) for _, pdu in self.server.written]
        wanted = [place for place in written if (place != 400 if register is None else place == register)]
        return len(wanted)

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not condition():
            said = [(e.kind, e.source, e.detail.get("text", e.detail.get("reason"))) for e in self.said[-5:]]
            assert loop.time() < end_s, f"not within {within_s:g} s: {what}; said last: {said}"
            await asyncio.sleep(0.01)

    async def beating(self) -> None:
        await self.until(lambda: self.writes.facts.heartbeat_ok(PRESS), "the heartbeat is written")


class Mute:
    def broke(self, key: str, message: str, /, **fields: Any) -> None: ...

    def healed(self, key: str, message: str, /, **fields: Any) -> None: ...


@asynccontextmanager
async def press(
    heartbeat_s: float = 5.0, **more: Any
) -> AsyncIterator[tuple[ModbusServer, Process, Configuration]]:
    """A simulated press that runs in real time, and the configuration of an agent for it. ``heartbeat_s``:
    how patient it is; the agent beats every ``BEAT_S``."""
    process = Process(3, NEVER, NEVER)
    process.heartbeat.period_s = heartbeat_s
    server = ModbusServer.of_line(process, units=2)
    clockwork = Clockwork(process)
    await server.start()
    await clockwork.start()
    try:
        yield server, process, configured(server, **more)
    finally:
        await clockwork.close()
        await server.close()


def configured(server: ModbusServer, **more: Any) -> Configuration:
    keys = {"link": f"tcp://127.0.0.1:{server.port}", "station": 1, "timeout": "300ms"}
    settings = ModbusSettings.model_validate(keys)
    device = Device(PRESS, "modbus", PLUGIN, settings, TAGS, {"default": 0.1})
    other = replace(device, name="other", settings=ModbusSettings.model_validate({**keys, "station": 2}))
    return Configuration("line", "v1", Path(), devices=(device, other), writing=writing(**more))

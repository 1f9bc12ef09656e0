"""One of eight stations on a serial bus falls silent: 9600 baud, RTU, a pseudo-terminal at that speed.
Three buses at once, each a simulated bus in a process of its own, all read by the agent's own workers:

- *busy*: polled faster than the bus can go, so that every millisecond the dead station costs is one that
  others miss. Its cycle is compared with
- *without*: the same bus with the dead station left out of the configuration;
- *calm*: a fast group beside slow ones, with time to spare. What counts is its longest gap, and how soon the
  dead station is back once it answers again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.registry import load_driver
from edge_agent.status import Board
from tests.plant.processes import Child, post

STATIONS = 8
DEAD = 5
BAUD = 9600
REGISTERS = 10
BUSY_S = 0.25
FAST_S, SLOW_S = 0.5, 2.0
TIMEOUT_S = 0.5 * FAST_S  # what the agent takes where none is configured
PROBE_AFTER_S = 5.0  # at most, between two questions to a station that is dead
PROBE_SHARE = 0.05
BEFORE_S = 6.0
JITTER_S = 0.03  # of a machine that does other things as well


@dataclass(frozen=True, slots=True)
class Outcome:
    """``cycle_s``: mean time between two reads of a station that lives, with the dead one on the bus;
    ``cycle_without_s``: without it. ``longest_gap_s``: of the fast group with the dead station on the bus;
    ``longest_gap_before_s``: before it died. ``healed_s``: until the first good value."""

    stretch_percent: float
    cycle_s: float
    cycle_without_s: float
    longest_gap_s: float
    longest_gap_before_s: float
    healed_s: float
    heal_allowed_s: float


class _Bus:
    def __init__(self, folder: Path, name: str) -> None:
        options = ["--baud", str(BAUD), "--modbus-units", str(STATIONS), "--latency-s", "0.005"]
        self.child = Child(
            ["hardware_mocks", "modbus-rtu", "--control-port", "0", "--with-parent", *options],
            folder / f"{name}.log",
        )

    def fault(self, fault: str) -> None:
        control = f"http://127.0.0.1:{self.child.ports['control']}/control"
        post(control, {"server": "modbus", "fault": fault, "unit": DEAD})

    def close(self) -> None:
        assert self.child.stop() == 0, self.child.text()


class _Readers:
    """One worker; ``good`` holds the times, by device and group, of wholly good batches."""

    def __init__(self, path: str, periods_s: Mapping[int, float]) -> None:
        self.good: dict[tuple[str, str], list[float]] = defaultdict(list)
        clock = SystemClock()
        self.board = Board()
        host = WorkerHost(
            clock, self.board, ConnectGate(clock), _Mute(), Random(1), self._sink, lambda link: None
        )
        devices = [_device(path, station, period_s) for station, period_s in periods_s.items()]
        self._worker = LinkWorker(devices[0].link_key, devices, "1", host)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._worker.run())

    async def close(self) -> None:
        if self._task is not None:
            assert not self._task.done(), self._task
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def state(self, station: int) -> str:
        return self.board.devices[_name(station)].state

    def _sink(self, driver: str, batch: Batch) -> None:
        if all(Quality(quality).is_good for quality in batch.quality):
            self.good[batch.schema.device, batch.schema.group].append(batch.mono_ns / 1e9)


class _Mute:
    def broke(self, key: str, message: str, /, **fields: Any) -> None:
        assert "internal error" not in str(fields.get("error")), fields

    def healed(self, key: str, message: str, /, **fields: Any) -> None:
        pass


def run(folder: Path, seconds: float) -> Outcome:
    """``seconds``: how long the cycle is averaged once the breaker is open."""
    with ExitStack() as stack:
        buses = [stack.enter_context(closing(_Bus(folder, name))) for name in ("busy", "without", "calm")]
        return asyncio.run(_run(buses, seconds))


async def _run(buses: Sequence[_Bus], seconds: float) -> Outcome:
    everyone = range(1, STATIONS + 1)
    paths = [bus.child.ports["modbus"] for bus in buses]
    busy = _Readers(paths[0], dict.fromkeys(everyone, BUSY_S))
    without = _Readers(paths[1], {station: BUSY_S for station in everyone if station != DEAD})
    calm = _Readers(paths[2], {station: FAST_S if station == 1 else SLOW_S for station in everyone})
    fleet = (busy, without, calm)
    try:
        for readers in fleet:
            readers.start()
        for readers in fleet:
            await _until("every station is read", partial(_all_read, readers), 20)
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(BEFORE_S)
        before_s = _longest_gap(calm, begin)
        for bus in (buses[0], buses[2]):
            await asyncio.to_thread(bus.fault, "silent")
        for readers in (busy, calm):
            await _until("the breaker is open", partial(_is_silent, readers), 60)
        begin = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        cycle_s, cycle_without_s = _cycle(busy, begin), _cycle(without, begin)
        longest_gap_s = _longest_gap(calm, begin)
        healed_s = await _heal(buses[2], calm)
        return Outcome(
            round(100 * (cycle_s / cycle_without_s - 1), 1), round(cycle_s, 3), round(cycle_without_s, 3),
            round(longest_gap_s, 3), round(before_s, 3), healed_s,
            max(PROBE_AFTER_S, TIMEOUT_S * (1 / PROBE_SHARE - 1)) + TIMEOUT_S + SLOW_S,
        )  # fmt: skip
    finally:
        for readers in fleet:
            await readers.close()


async def _heal(bus: _Bus, readers: _Readers) -> float:
    await asyncio.to_thread(bus.fault, "ok")
    begin = asyncio.get_running_loop().time()
    await _until("the station is read again", lambda: _since(readers.good[_name(DEAD), "read"], begin), 60)
    return round(readers.good[_name(DEAD), "read"][-1] - begin, 2)


def check(outcome: Outcome) -> list[str]:
    problems = []
    if outcome.stretch_percent > 10:
        problems.append(f"a silent station stretches the cycle of its bus: {outcome}")
    if outcome.longest_gap_s > max(FAST_S, outcome.longest_gap_before_s) + TIMEOUT_S + JITTER_S:
        problems.append(f"a silent station delays a fast group: {outcome}")
    if outcome.healed_s > outcome.heal_allowed_s:
        problems.append(f"a station that answers again is found too late: {outcome}")
    return problems


def _device(path: str, station: int, period_s: float) -> Device:
    plugin = load_driver("modbus")
    keys = {"link": f"rtu://{path}", "station": station, "baud": BAUD}
    tags = tuple(Tag(f"r{i}", f"hr:{i}", ValueType.UINT16, "read") for i in range(REGISTERS))
    return Device(
        _name(station), "modbus", plugin, plugin.settings.model_validate(keys), tags, {"read": period_s}
    )


def _name(station: int) -> str:
    return f"station-{station}"


def _is_silent(readers: _Readers) -> bool:
    return readers.state(DEAD) == "silent"


def _all_read(readers: _Readers) -> bool:
    return all(row.state == "up" for row in readers.board.devices.values())


def _cycle(readers: _Readers, begin: float) -> float:
    """Mean over the stations that live."""
    means = []
    for (name, _), times in readers.good.items():
        found = _since(times, begin)
        if name != _name(DEAD):
            means.append((found[-1] - found[0]) / (len(found) - 1))
    return sum(means) / len(means)


def _longest_gap(readers: _Readers, begin: float) -> float:
    return max(b - a for a, b in pairwise(_since(readers.good[_name(1), "read"], begin)))


def _since(times: Sequence[float], begin: float) -> list[float]:
    return [at for at in times if at >= begin]


async def _until(what: str, condition: Callable[[], Any], deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - the condition has no event to wait for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {deadline_s:g} s: {what}") from None

"""A slave on a serial line is late once, 0.7 s where 0.5 s is the limit, and answers in order ever after.
That makes a client without proof read every register one request behind, for ever.

Register n holds n. Asked, in turn and alike in function and count, are 1000, 2000, 3000 and 5000, and besides
4000-4001; one of the first answers is late. That plan leaves no count that could prove anything: then
function 8 must, or, with a slave that refuses it or does not even say so, only silence can. A plan with a
longer request (6000-6007) has counts to spare.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.registry import load_driver
from edge_agent.status import Board
from tests.faults.hostile.modbus import crc

TIMEOUT_S = 0.5
LATE_S = (0.7, 1.3, 2.1)
PROMPT_S = 0.05
IN_STEP_WITHIN_S = 3.0
PLACES = (1000, 2000, 3000, 4000, 4001, 5000)
LONG = range(6000, 6008)
PERIOD_S = 0.8
SILENCE_S = 16.0  # without any means of proof: three tries, then ten seconds in which nothing is asked
VARIANTS = ("spare counts", "echo", "refuses echo", "ignores echo")
_WATCH_S = 6.0
_AFTER_S = 4.0  # five polls in which nothing may be shifted


@dataclass(frozen=True, slots=True)
class Outcome:
    """``in_step_s``: from the late answer's request to the first read in which everything is good."""

    late_s: float
    transport: str
    variant: str
    wrong_values: int
    good_values: int
    in_step_s: float | None

    @property
    def allowed_s(self) -> float:
        return _allowed_s(self.variant)


class _Slave:
    """Answers one request after the other; the third read it hears late. ``write`` is where answers go."""

    def __init__(self, late_s: float, variant: str) -> None:
        self._late_s = late_s
        self._variant = variant
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._heard = 0
        self._buffer = b""
        self.asked_late_at = 0.0
        self.write: Any = None

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            self._waiting.put_nowait(self._buffer[:8])
            self._buffer = self._buffer[8:]

    async def work(self) -> None:
        while True:
            request = await self._waiting.get()
            body = self._echo(request) if request[1] == 8 else self._read(request)
            self._heard += request[1] != 8
            late = self._heard == 3 and not self.asked_late_at
            if late:
                self.asked_late_at = asyncio.get_running_loop().time()
            await asyncio.sleep(self._late_s if late else PROMPT_S)
            if body:
                self.write(body + crc(body))

    def _echo(self, request: bytes) -> bytes:
        if self._variant == "ignores echo":
            return b""
        return request[:6] if self._variant == "echo" else request[:1] + b"\x88\x01"

    def _read(self, request: bytes) -> bytes:
        first, count = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
        data = b"".join((first + i & 0xFFFF).to_bytes(2) for i in range(count))
        return request[:2] + bytes((len(data),)) + data


def run(transport: str, late_s: float, variant: str) -> Outcome:
    """``transport``: rtu (a pseudo-terminal) or rtu+tcp."""
    return asyncio.run(_run(transport, late_s, variant))


def run_all(late_s: Sequence[float] = LATE_S, variants: Sequence[str] = VARIANTS) -> list[Outcome]:
    """Every lateness and variant on both transports, side by side."""

    async def together() -> list[Outcome]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_run(transport, late, variant))
                for transport in ("rtu", "rtu+tcp")
                for late in late_s
                for variant in variants
            ]
        return [task.result() for task in tasks]

    return asyncio.run(together())


async def _run(transport: str, late_s: float, variant: str) -> Outcome:
    slave = _Slave(late_s, variant)
    work = asyncio.create_task(slave.work())
    place, shut = await (_pty(slave) if transport == "rtu" else _gateway(slave))
    wrong, good, in_step_at = 0, 0, None

    def sink(driver: str, batch: Batch) -> None:
        nonlocal wrong, good, in_step_at
        for name, value, quality in zip(batch.schema.names, batch.values, batch.quality, strict=True):
            if Quality(quality).is_good:
                good += 1
                wrong += value != int(name[1:])
        if slave.asked_late_at and in_step_at is None and not any(batch.quality):
            in_step_at = asyncio.get_running_loop().time()

    clock = SystemClock()
    host = WorkerHost(clock, Board(), ConnectGate(clock), _Mute(), Random(1), sink, lambda link: None)
    device = _device(transport, place, variant)
    worker = asyncio.create_task(LinkWorker(device.link_key, [device], "1", host).run())
    try:
        end = asyncio.get_running_loop().time() + _WATCH_S + 2 * _allowed_s(variant)
        while in_step_at is None and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - of polls
            await asyncio.sleep(0.05)
        await asyncio.sleep(_AFTER_S)
    finally:
        assert not worker.done(), worker
        for task in (worker, work):
            task.cancel()
        await asyncio.gather(worker, work, return_exceptions=True)
        shut()
    in_step_s = None if in_step_at is None else round(in_step_at - slave.asked_late_at, 2)
    return Outcome(late_s, transport, variant, wrong, good, in_step_s)


async def _pty(slave: _Slave) -> tuple[str, Any]:
    master, end = os.openpty()
    tty.setraw(end)
    os.set_blocking(master, False)
    slave.write = lambda data: os.write(master, data)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, lambda: slave.feed(os.read(master, 4096)))

    def shut() -> None:
        loop.remove_reader(master)
        os.close(master)
        os.close(end)

    return os.ttyname(end), shut


async def _gateway(slave: _Slave) -> tuple[str, Any]:
    class Port(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            slave.write = transport.write  # type: ignore[attr-defined]  # it is one that writes

        def data_received(self, data: bytes) -> None:
            slave.feed(data)

    server = await asyncio.get_running_loop().create_server(Port, "127.0.0.1", 0)
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}", server.close


class _Mute:
    def broke(self, key: str, message: str, /, **fields: Any) -> None:
        assert "internal error" not in str(fields.get("error")), fields

    def healed(self, key: str, message: str, /, **fields: Any) -> None:
        pass


def check(outcome: Outcome) -> list[str]:
    problems = []
    if outcome.wrong_values:
        problems.append(f"after a late answer values were shifted: {outcome}")
    if outcome.in_step_s is None or outcome.in_step_s > outcome.allowed_s:
        problems.append(f"after a late answer the station was not trusted again in time: {outcome}")
    if outcome.good_values < len(PLACES):
        problems.append(f"hardly anything was read: {outcome}")
    return problems


def _allowed_s(variant: str) -> float:
    return IN_STEP_WITHIN_S if variant in ("spare counts", "echo") else SILENCE_S


def _device(transport: str, place: str, variant: str) -> Device:
    plugin = load_driver("modbus")
    places = (*PLACES, *LONG) if variant == "spare counts" else PLACES
    keys = {"link": f"{transport}://{place}", "station": 1, "timeout": f"{TIMEOUT_S:g}s", "max_gap": 1}
    tags = tuple(Tag(f"r{n}", f"hr:{n}", ValueType.UINT16) for n in places)
    return Device(
        "slave", "modbus", plugin, plugin.settings.model_validate(keys), tags, {"default": PERIOD_S}
    )

"""Many cheap Modbus devices in one process, for load: the image moves once a second, answers are slices.

Of every device's holding registers 40 % are constant, 30 % count, 30 % are noise.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from typing import Any

from hardware_mocks.faults import Behaviour, Unsupported
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.registers import Unit


class BenchUnit:
    """Holding registers 0 to ``registers`` - 1 as one bytearray."""

    def __init__(self, registers: int, seed: int) -> None:
        self._random = random.Random(seed)
        self._image = bytearray(self._random.randbytes(2 * registers))
        self._counting = range(registers * 4 // 10, registers * 7 // 10)
        self._noise_start = 2 * self._counting.stop
        self.arrivals: deque[float] = deque(maxlen=2000)

    def move(self) -> None:
        """One second of change."""
        image = self._image
        for register in self._counting:
            offset = 2 * register
            value = (image[offset] << 8 | image[offset + 1]) + 1
            image[offset], image[offset + 1] = value >> 8 & 0xFF, value & 0xFF
        image[self._noise_start :] = self._random.randbytes(len(image) - self._noise_start)

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        if start == 0:  # every poll begins here; when it came tells how late it was
            self.arrivals.append(time.monotonic())
        data = bytes(self._image[2 * start : 2 * (start + count)])
        return data if table == "hr" and len(data) == 2 * count else None

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        return None

    def write_registers(self, start: int, values: list[int]) -> bool:
        """The constant registers keep what is written."""
        if start + len(values) > self._counting.start:
            return False
        data = b"".join(value.to_bytes(2, "big") for value in values)
        self._image[2 * start : 2 * start + len(data)] = data
        return True

    def write_bits(self, start: int, values: list[bool]) -> bool:
        return False


class Bench:
    """``devices`` units, each on a port of its own (``first_port``, +1 ...; 0: any), or, with ``shared``, all
    as unit ids 1..N on one port. To `line.Line` it is one server; "unit" N in a fault order is device N."""

    name = "modbus"

    def __init__(self, devices: int, registers: int, shared: bool, first_port: int = 0) -> None:
        self._units = [BenchUnit(registers, seed) for seed in range(1, devices + 1)]
        if shared:
            table: dict[int, Unit] = dict(enumerate(self._units, 1))
            self._servers = [ModbusServer(table, first_port)]
        else:
            self._servers = [
                ModbusServer({1: unit}, first_port + i if first_port else 0)
                for i, unit in enumerate(self._units)
            ]
        self._shared = shared
        self._mover: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._servers[0].port

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self._servers]

    async def start(self) -> None:
        for server in self._servers:
            await server.start()
        self._mover = asyncio.create_task(self._move_for_ever(), name="bench mover")

    async def close(self) -> None:
        task, self._mover = self._mover, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for server in self._servers:
            await server.close()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises faults.Unsupported."""
        if self._shared:
            await self._servers[0].set_fault(unit, behaviour)
            return
        if unit is not None and not 1 <= unit <= len(self._servers):
            raise Unsupported(f"no device {unit}; there are {len(self._servers)}")
        for server in self._servers if unit is None else [self._servers[unit - 1]]:
            await server.set_fault(None, behaviour)

    def state(self) -> dict[str, Any]:
        requests: Counter[str] = Counter()
        for number, server in enumerate(self._servers, 1):
            for unit, count in server.requests.items():
                requests[str(unit if self._shared else number)] += count
        arrivals = [list(unit.arrivals) for unit in self._units]
        return {
            "ports": self.ports,
            "arrivals": arrivals,
            "requests": requests.total(),
            "writes": sum(server.writes.total() for server in self._servers),
            "units": dict(requests),
        }

    async def _move_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for unit in self._units:
                unit.move()

"""A controller that counts its own polls: ``python -m tests.faults.plc``.

Each unit has ``tags`` values of 32 bits, read in one request. A value says where it stood and which poll it
was: unit and tag in the upper 8 bits, the number of the poll in the lower 24. Whoever has all values can tell
which polls are missing, which came twice, and whether one stands under a foreign name; the controller itself
knows how many there were, and when each was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from hardware_mocks.faults import Behaviour
from hardware_mocks.lifetime import die_with_parent, run_until_signal
from hardware_mocks.line import Line
from hardware_mocks.modbus import ModbusServer

MOST_UNITS = MOST_TAGS = 15
_COUNTER_BITS = 24


def value_of(unit: int, tag: int, number: int) -> int:
    return (unit * (MOST_TAGS + 1) + tag) << _COUNTER_BITS | number


def number_of(value: int) -> int:
    return value & (1 << _COUNTER_BITS) - 1


def place_of(value: int) -> tuple[int, int]:
    """Unit and tag that a value says it is of."""
    return divmod(value >> _COUNTER_BITS, MOST_TAGS + 1)


class CountingUnit:
    """``polls``: (wall time, monotonic time) in ns of each poll, in order; the first one is number 1."""

    def __init__(self, unit: int, tags: int) -> None:
        self._unit = unit
        self._tags = tags
        self.polls: list[tuple[int, int]] = []

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        if table != "hr" or start != 0 or count > 2 * self._tags:
            return None
        self.polls.append((time.time_ns(), time.monotonic_ns()))
        values = (value_of(self._unit, tag, len(self.polls)) for tag in range(self._tags))
        return b"".join(value.to_bytes(4, "big") for value in values)[: 2 * count]

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        return None

    def write_registers(self, start: int, values: list[int]) -> bool:
        return False

    def write_bits(self, start: int, values: list[bool]) -> bool:
        return False


class CountingPlc:
    """All units on one port. To `line.Line` it is one server."""

    name = "modbus"

    def __init__(self, units: int, tags: int) -> None:
        self._units = {unit: CountingUnit(unit, tags) for unit in range(1, units + 1)}
        self._server = ModbusServer(dict(self._units))

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises faults.Unsupported."""
        await self._server.set_fault(unit, behaviour)

    def state(self) -> dict[str, Any]:
        return {"port": self.port, "polls": {str(number): unit.polls for number, unit in self._units.items()}}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--units", type=int, default=2, choices=range(1, MOST_UNITS + 1))
    options.add_argument("--tags", type=int, default=4, choices=range(1, MOST_TAGS + 1))
    chosen = options.parse_args()
    die_with_parent()
    plc = Line(None, [CountingPlc(chosen.units, chosen.tags)])
    asyncio.run(run_until_signal([plc], lambda: plc.ports))


if __name__ == "__main__":
    main()

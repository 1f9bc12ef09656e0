"""A serial bus with several Modbus stations, RTU or ASCII, on a pseudo-terminal or behind a TCP gateway.

The register map is that of ``hardware_mocks.modbus``. A station that is not there says nothing, and so does
every station to a broadcast (0), which is obeyed. Each station answers in the order in which it was asked,
one request after the other: late once, it is late with all that were asked meanwhile. With ``baud`` the bytes
of both directions take the time they take on a line (start bit, 8 bits, parity, stop bit).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hardware_mocks.faults import Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.modbus_pdu import WRITES, answer, remembering, spoiled
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit, Unit
from hardware_mocks.serial_frames import FRAMINGS
from hardware_mocks.serial_lines import PtyLine, SerialLine

CHARACTER_BITS = 11
_SILENCE_S = 0.2  # a request that stops in the middle for so long is given up
_PIECE = 4  # bytes sent at once at a given speed


class ModbusSerialServer:
    """``requests`` counts requests read, per station, those nobody answers too, ``writes`` those with a
    function that writes. ``latency_s``: from the end
    of a request to the start of its reply; ``latencies`` for single stations. ``echo``: what a client sends
    comes back to it, as with adapters that hear themselves. ``diagnostics``: function 8 is known.
    ``holding``: replies are made, but kept in ``held`` until ``release``."""

    name = "modbus"

    def __init__(
        self,
        units: Mapping[int, Unit],
        line: SerialLine | None = None,
        *,
        framing: str = "rtu",
        baud: int | None = None,
        latency_s: float = 0.0,
        latencies: Mapping[int, float] | None = None,
        echo: bool = False,
        diagnostics: bool = True,
    ) -> None:
        self.units = units
        self.line: SerialLine = PtyLine() if line is None else line
        self.faults = FaultSwitch(frozenset(Fault) - {Fault.WRONG_TRANSACTION, Fault.PUT_GET_OFF})
        self.requests: Counter[int] = Counter()
        self.writes: Counter[int] = Counter()
        self.holding = False
        self.held: list[bytes] = []
        self._frames = FRAMINGS[framing]()
        self._character_s = CHARACTER_BITS / baud if baud else 0.0
        self._latency_s = latency_s
        self._latencies = dict(latencies or {})
        self._echo = echo
        self._diagnostics = diagnostics
        self._buffer = bytearray()
        self._heard_s = 0.0
        self._line_free_s = 0.0
        self._unit_free_s: dict[int, float] = {}
        self._opened = 0

    @classmethod
    def of_line(
        cls, process: Process, line: SerialLine | None = None, units: int = 3, **options: Any
    ) -> ModbusSerialServer:
        """Stations 1 to ``units`` on one bus, all over the same model."""
        return cls({unit: LineUnit(process) for unit in range(1, units + 1)}, line, **options)

    @property
    def port(self) -> int:
        return self.line.port

    @property
    def place(self) -> str:
        return self.line.place

    async def start(self) -> None:
        await self.line.open(self._received)

    async def close(self) -> None:
        self._opened += 1
        self._buffer.clear()
        self._unit_free_s.clear()
        self._line_free_s = 0.0
        await self.line.shut()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """``refuse`` unplugs the line. Raises faults.Unsupported."""
        if unit is not None and unit not in self.units:
            raise Unsupported(f"no unit {unit}; there are {sorted(self.units)}")
        self.faults.set(unit, behaviour)
        await (self.close() if behaviour.fault is Fault.REFUSE else self.start())

    def state(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "place": self.place,
            "listening": self.line.is_open,
            "connections": self.line.clients,
            "requests": self.requests.total(),
            "units": {str(unit): self.requests[unit] for unit in self.units},
            "writes": self.writes.total(),
            "faults": self.faults.describe(),
        }

    def release(self) -> None:
        """Sends what was held, oldest first."""
        self.holding = False
        held, self.held = self.held, []
        for frame in held:
            self.line.write(frame)

    def _received(self, data: bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._heard_s > _SILENCE_S:
            self._buffer.clear()
        self._heard_s = now_s
        if self._echo:
            self.line.write(data)
        self._buffer += data
        for request in self._frames.cut(self._buffer):
            arrived_s = max(now_s, self._line_free_s) + len(self._frames.frame(request)) * self._character_s
            self._line_free_s = arrived_s
            self._serve(request[0], request[1:], arrived_s)

    def _serve(self, unit: int, pdu: bytes, arrived_s: float) -> None:
        self.requests[unit] += 1
        self.writes[unit] += pdu[0] in WRITES
        if unit == 0:
            for every in self.units.values():
                answer(every, pdu)
            return
        behaviour = self.faults.take(unit, write=pdu[0] in WRITES)
        if unit not in self.units or behaviour.fault in (Fault.SILENT, Fault.REFUSE):
            return
        said_unit, said = spoiled(
            behaviour,
            unit,
            pdu[0],
            answer(remembering(self.units[unit], behaviour), pdu, diagnostics=self._diagnostics),
        )
        if behaviour.fault is Fault.WRITE_LOST:
            return
        frame = self._frames.frame(bytes((said_unit,)) + said)
        if behaviour.fault is Fault.TRUNCATED:
            frame = frame[: len(frame) // 2]
        if behaviour.fault is Fault.PARITY:
            frame = bytes(0 if byte.bit_count() % 2 else byte for byte in frame)
        late_s = behaviour.delay_s if behaviour.fault is Fault.LATE else 0.0
        ready_s = max(arrived_s, self._unit_free_s.get(unit, 0.0))
        ready_s += self._latencies.get(unit, self._latency_s) + late_s
        self._unit_free_s[unit] = ready_s
        self._send(frame, ready_s)

    def _send(self, frame: bytes, ready_s: float) -> None:
        if self.holding:
            self.held.append(frame)
            return
        loop = asyncio.get_running_loop()
        if not self._character_s:
            loop.call_at(ready_s, self._write, frame, self._opened)
            return
        at_s = max(ready_s, self._line_free_s)
        for start in range(0, len(frame), _PIECE):
            piece = frame[start : start + _PIECE]
            at_s += len(piece) * self._character_s
            loop.call_at(at_s, self._write, piece, self._opened)
        self._line_free_s = at_s

    def _write(self, data: bytes, opened: int) -> None:
        if opened == self._opened:
            self.line.write(data)

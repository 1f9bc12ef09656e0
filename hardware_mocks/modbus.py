"""A Modbus TCP server over the model, written from the specification alone; given a context, over TLS.

``modbus_pdu`` says which functions it knows and what it refuses. At most 125 registers or 2000 bits per read.
Every unit has this map, and a poll counter of its own:

    table  offset  type     scale   what
    hr     0-1     uint32           poll counter: +1 with every read that covers hr:0
    hr     2-3     float32          press pressure, MPa, ABCD
    hr     4-5     float32          press pressure, MPa, CDAB
    hr     6-7     float32          press pressure, MPa, BADC
    hr     8-9     float32          press pressure, MPa, DCBA
    hr     10      uint16           exhaust fan, rpm
    hr     11      uint16   0.01    conveyor, m/min
    hr     12-13   int32            active power, W
    hr     14-16   int16    0.1     set-points of zones 1-3, °C (writable)
    hr     17      uint16   0.001   pressure set-point, MPa (writable)
    hr     20-21   uint32   0.01    electricity, kWh, rolls over at 2^32 counts
    hr     22-23   uint32   0.01    gas, m³, rolls over at 10^8 counts
    hr     24      uint16   0.01    water, m³, rolls over at 2^16 counts
    hr     26-29   uint64           product mass, g
    hr     40-47   float32          123.456 in ABCD, CDAB, BADC, DCBA (constant)
    hr     48-49   int32            -123456 (constant)
    hr     50-53   uint64           0x0123456789ABCDEF (constant)
    hr     100-349 uint16           1000 + offset (constant)
    hr     400     uint16           heartbeat of a supervisor (writable; `supervised` says what it does)
    hr     401     uint16           bit 0 in remote, bit 1 fallen back, bit 2 heartbeat watched
    hr     402     uint16           exhaust fan set-point, rpm (writable)
    hr     403     uint16   0.01    conveyor set-point, m/min (writable)
    hr     404     uint16           how often it has fallen back
    ir     0-2     int16    0.1     temperatures of zones 1-3, °C
    ir     3       uint16   0.001   press pressure, MPa
    ir     4       uint16   0.1     COD, mg/L
    ir     5       uint16   0.1     SO2, mg/m³
    ir     6       uint16   0.1     NOx, mg/m³
    ir     7       uint16   0.01    particulate, mg/m³
    ir     8-11    float64          product mass, kg
    ir     12-13   uint32           seconds since start
    co     0       bool             line running (writable)
    co     1, 2    bool             exhaust fan running, burner enabled; 3-7 false
    co     32, 33  bool             horn, lamp (writable)
    di     0, 1    bool             line running, pressure switch (> 0.5 MPa)
    di     2, 3    bool             furnace door closed, emergency stop released; 4-15 false
    di     32, 33  bool             in remote (not local), fallen back to the controller's own set-points

hr:18, hr:19 and hr:25 are reserved and read 0. Every other address does not exist (exception 2): hr:30-39 and
hr:54-99 are holes.
"""

from __future__ import annotations

import ssl
import struct
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from hardware_mocks.connections import FramedConnection, Malformed, Port
from hardware_mocks.faults import Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.modbus_pdu import WRITES, answer, remembering, spoiled
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit, Unit

_MBAP = struct.Struct(">HHHB")


class ModbusServer:
    """``port`` is the real one after ``start``. ``requests`` counts requests read, per unit id, ``writes``
    those with a function that writes, whatever became of them; ``written`` has the newest, (unit, PDU).
    ``identities``: unit -> object -> text, of those that identify themselves (function 43/14)."""

    name = "modbus"

    def __init__(
        self,
        units: Mapping[int, Unit],
        port: int = 0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.units = units
        self.faults = FaultSwitch(frozenset(Fault) - {Fault.PARITY, Fault.PUT_GET_OFF})
        self.requests: Counter[int] = Counter()
        self.writes: Counter[int] = Counter()
        self.identities: dict[int, dict[int, bytes]] = {}
        self.written: deque[tuple[int, bytes]] = deque(maxlen=1000)
        self._port = Port(host, port, lambda peers: _ModbusConnection(peers, self), tls)

    @classmethod
    def of_line(
        cls, process: Process, port: int = 0, units: int = 3, tls: ssl.SSLContext | None = None
    ) -> ModbusServer:
        """Unit ids 1 to ``units`` behind one port, all over the same model."""
        return cls({unit: LineUnit(process) for unit in range(1, units + 1)}, port, tls=tls)

    @property
    def port(self) -> int:
        return self._port.number

    async def start(self) -> None:
        await self._port.open()

    async def close(self) -> None:
        await self._port.shut()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises faults.Unsupported."""
        if unit is not None and unit not in self.units:
            raise Unsupported(f"no unit {unit}; there are {sorted(self.units)}")
        self.faults.set(unit, behaviour)
        if behaviour.fault is Fault.REFUSE:
            await self._port.shut()
        else:
            await self._port.open()

    def state(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "listening": self._port.is_open,
            "connections": len(self._port.connections),
            "requests": sum(self.requests.values()),
            "units": {str(unit): self.requests[unit] for unit in self.units},
            "writes": self.writes.total(),
            "unit_writes": {str(unit): self.writes[unit] for unit in self.units},
            "faults": self.faults.describe(),
        }


class _ModbusConnection(FramedConnection):
    def __init__(self, peers: set[FramedConnection], server: ModbusServer) -> None:
        super().__init__(peers)
        self._server = server

    def frame_size(self, buffer: bytearray) -> int:
        if len(buffer) < _MBAP.size:
            return 0
        _, protocol, length, _ = _MBAP.unpack_from(buffer)
        if protocol != 0 or not 2 <= length <= 254:
            raise Malformed
        return int(length) + 6

    def handle(self, frame: bytes) -> None:
        transaction, _, _, unit = _MBAP.unpack_from(frame)
        server = self._server
        server.requests[unit] += 1
        writes = frame[7] in WRITES
        if writes:
            server.writes[unit] += 1
            server.written.append((unit, frame[7:]))
        behaviour = server.faults.take(unit, write=writes)
        if behaviour.fault in (Fault.SILENT, Fault.REFUSE):
            return
        memory = remembering(server.units.get(unit), behaviour)
        said = answer(memory, frame[7:], identity=server.identities.get(unit))
        said_unit, pdu = spoiled(behaviour, unit, frame[7], said)
        if behaviour.fault is Fault.WRITE_LOST:
            return
        if behaviour.fault is Fault.WRONG_TRANSACTION:
            transaction = (transaction + 1) % 0x10000
        reply = _MBAP.pack(transaction, 0, len(pdu) + 1, said_unit) + pdu
        if behaviour.fault is Fault.TRUNCATED:
            reply = reply[: len(reply) // 2]
        self.send(reply, behaviour.delay_s if behaviour.fault is Fault.LATE else 0.0)

"""A Modbus TCP server over the model, written from the specification alone.

Functions 1-6, 15, 16; exceptions 1 (function), 2 (address), 3 (quantity), 0x0B for a unit that is not there.
At most 125 registers or 2000 bits per read. Every unit has this map, and a poll counter of its own:

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
    di     0, 1    bool             line running, pressure switch (> 0.5 MPa)
    di     2, 3    bool             furnace door closed, emergency stop released; 4-15 false

hr:18, hr:19 and hr:25 are reserved and read 0. Every other address does not exist (exception 2): hr:30-39 and
hr:54-99 are holes.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hardware_mocks.connections import FramedConnection, Malformed, Port
from hardware_mocks.faults import Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit, Unit

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_SUCH_UNIT = 1, 2, 3, 0x0B
MOST_REGISTERS, MOST_BITS = 125, 2000
_MBAP = struct.Struct(">HHHB")


class ModbusException(Exception):
    """What the reply says instead of data."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


class ModbusServer:
    """``port`` is the real one after ``start``. ``requests`` counts requests read, per unit id."""

    name = "modbus"

    def __init__(self, units: Mapping[int, Unit], port: int = 0, host: str = "127.0.0.1") -> None:
        self.units = units
        self.faults = FaultSwitch(frozenset(Fault))
        self.requests: Counter[int] = Counter()
        self._port = Port(host, port, lambda peers: _ModbusConnection(peers, self))

    @classmethod
    def of_line(cls, process: Process, port: int = 0, units: int = 3) -> ModbusServer:
        """Unit ids 1 to ``units`` behind one port, all over the same model."""
        return cls({unit: LineUnit(process) for unit in range(1, units + 1)}, port)

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
        behaviour = server.faults.take(unit)
        if behaviour.fault in (Fault.SILENT, Fault.REFUSE):
            return
        pdu = _answer(server.units.get(unit), frame[7:])
        if behaviour.fault is Fault.EXCEPTION:
            pdu = bytes((frame[7] | 0x80, behaviour.code))
        reply = _spoil(behaviour.fault, transaction, unit, pdu)
        self.send(reply, behaviour.delay_s if behaviour.fault is Fault.LATE else 0.0)


def _spoil(fault: Fault, transaction: int, unit: int, pdu: bytes) -> bytes:
    """The frame, with the one thing wrong that the fault asks for."""
    if fault is Fault.WRONG_TRANSACTION:
        transaction = (transaction + 1) % 0x10000
    elif fault is Fault.WRONG_UNIT:
        unit = unit % 247 + 1
    elif fault is Fault.WRONG_FUNCTION:
        pdu = bytes((pdu[0] ^ 0x07,)) + pdu[1:]
    elif fault is Fault.SHORT and pdu[0] <= 4:
        cut = 1 if pdu[0] <= 2 else 2
        pdu = bytes((pdu[0], pdu[1] - cut)) + pdu[2:-cut]
    elif fault is Fault.LONG and pdu[0] <= 4:
        more = 1 if pdu[0] <= 2 else 2
        pdu = bytes((pdu[0], (pdu[1] + more) % 256)) + pdu[2:] + b"\x5a" * more
    frame = _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu
    return frame[: len(frame) // 2] if fault is Fault.TRUNCATED else frame


def _answer(unit: Unit | None, request: bytes) -> bytes:
    function = request[0]
    try:
        if unit is None:
            raise ModbusException(NO_SUCH_UNIT)
        if function in (1, 2):
            return _read_bits(unit, request)
        if function in (3, 4):
            return _read_registers(unit, request)
        if function in (5, 6, 15, 16):
            return _write(unit, request)
        raise ModbusException(ILLEGAL_FUNCTION)
    except ModbusException as refusal:
        return bytes((function | 0x80, refusal.code))


def _start_and_count(request: bytes, most: int) -> tuple[int, int]:
    if len(request) != 5:
        raise ModbusException(ILLEGAL_VALUE)
    start, count = struct.unpack_from(">HH", request, 1)
    if not 1 <= count <= most:
        raise ModbusException(ILLEGAL_VALUE)
    if start + count > 0x10000:
        raise ModbusException(ILLEGAL_ADDRESS)
    return start, count


def _read_bits(unit: Unit, request: bytes) -> bytes:
    start, count = _start_and_count(request, MOST_BITS)
    bits = unit.bits("co" if request[0] == 1 else "di", start, count)
    if bits is None:
        raise ModbusException(ILLEGAL_ADDRESS)
    packed = _pack_bits(bits)
    return bytes((request[0], len(packed))) + packed


def _read_registers(unit: Unit, request: bytes) -> bytes:
    start, count = _start_and_count(request, MOST_REGISTERS)
    data = unit.registers("hr" if request[0] == 3 else "ir", start, count)
    if data is None:
        raise ModbusException(ILLEGAL_ADDRESS)
    return bytes((request[0], len(data))) + data


def _write(unit: Unit, request: bytes) -> bytes:
    function = request[0]
    if len(request) < 5:
        raise ModbusException(ILLEGAL_VALUE)
    start, word = struct.unpack_from(">HH", request, 1)
    if function == 5:
        if word not in (0x0000, 0xFF00):
            raise ModbusException(ILLEGAL_VALUE)
        written = unit.write_bits(start, [word == 0xFF00])
    elif function == 6:
        written = unit.write_registers(start, [word])
    elif function == 15:
        written = unit.write_bits(start, _bits_to_write(request, word))
    else:
        written = unit.write_registers(start, _registers_to_write(request, word))
    if not written:
        raise ModbusException(ILLEGAL_ADDRESS)
    return request[:5]


def _bits_to_write(request: bytes, count: int) -> list[bool]:
    size = (count + 7) // 8
    if not 1 <= count <= 1968 or len(request) != 6 + size or request[5] != size:
        raise ModbusException(ILLEGAL_VALUE)
    return [bool(request[6 + i // 8] >> i % 8 & 1) for i in range(count)]


def _registers_to_write(request: bytes, count: int) -> list[int]:
    if not 1 <= count <= 123 or len(request) != 6 + 2 * count or request[5] != 2 * count:
        raise ModbusException(ILLEGAL_VALUE)
    return list(struct.unpack_from(f">{count}H", request, 6))


def _pack_bits(bits: list[bool]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        packed[i // 8] |= bit << i % 8
    return bytes(packed)

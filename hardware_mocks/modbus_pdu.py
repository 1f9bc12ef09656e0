"""What a Modbus device says to a request: request PDU in, reply PDU out. The same on every transport.

Functions 1-6, 15, 16, 22, 23, and, where the device knows them, 8 with sub-function 0 and 43/14; exceptions
1 (function), 2 (address), 3 (quantity), 0x0B for a unit that is not there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from hardware_mocks.faults import Behaviour, Fault
from hardware_mocks.registers import Unit

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NO_SUCH_UNIT = 1, 2, 3, 0x0B
MOST_REGISTERS, MOST_BITS = 125, 2000
WRITES = frozenset({5, 6, 15, 16, 22, 23})


class ModbusException(Exception):
    """What the reply says instead of data."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


def spoiled(behaviour: Behaviour, unit: int, function: int, pdu: bytes) -> tuple[int, bytes]:
    """Unit and PDU of the reply, with the one thing wrong that the fault asks for."""
    fault = behaviour.fault
    if fault is Fault.EXCEPTION:
        return unit, bytes((function | 0x80, behaviour.code))
    if fault is Fault.WRONG_UNIT:
        return unit % 247 + 1, pdu
    if fault is Fault.WRONG_FUNCTION:
        return unit, bytes((pdu[0] ^ 0x07,)) + pdu[1:]
    if fault is Fault.SHORT and pdu[0] <= 4:
        cut = 1 if pdu[0] <= 2 else 2
        return unit, bytes((pdu[0], pdu[1] - cut)) + pdu[2:-cut]
    if fault is Fault.LONG and pdu[0] <= 4:
        more = 1 if pdu[0] <= 2 else 2
        return unit, bytes((pdu[0], (pdu[1] + more) % 256)) + pdu[2:] + b"\x5a" * more
    return unit, pdu


class FaultyMemory:
    """A unit that acknowledges writes and does not store what was written."""

    def __init__(self, unit: Unit, behaviour: Behaviour) -> None:
        self._unit = unit
        self._behaviour = behaviour

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        return self._unit.registers(table, start, count)

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        return self._unit.bits(table, start, count)

    def write_registers(self, start: int, values: list[int]) -> bool:
        if self._behaviour.fault is Fault.WRITE_CLAMP:
            return self._unit.write_registers(start, [min(v, self._behaviour.most) for v in values])
        return self._unit.registers("hr", start, len(values)) is not None

    def write_bits(self, start: int, values: list[bool]) -> bool:
        if self._behaviour.fault is Fault.WRITE_CLAMP:
            return self._unit.write_bits(start, values)
        return self._unit.bits("co", start, len(values)) is not None


def remembering(unit: Unit | None, behaviour: Behaviour) -> Unit | None:
    """The unit as its fault lets it store what is written."""
    faulty = behaviour.fault in (Fault.WRITE_STUCK, Fault.WRITE_CLAMP)
    return FaultyMemory(unit, behaviour) if unit is not None and faulty else unit


def answer(
    unit: Unit | None,
    request: bytes,
    *,
    diagnostics: bool = False,
    identity: Mapping[int, bytes] | None = None,
) -> bytes:
    """``diagnostics``: whether the device knows function 8. ``identity``: what it says to function 43/14."""
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
        if function == 22:
            return _mask(unit, request)
        if function == 23:
            return _write_and_read(unit, request)
        if function == 8 and diagnostics and request[1:3] == b"\0\0":
            return request
        if request[:3] == b"\x2b\x0e\x01" and identity:
            objects = b"".join(bytes((number, len(text))) + text for number, text in identity.items())
            return b"\x2b\x0e\x01\x01\x00\x00" + bytes((len(identity),)) + objects
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


def _mask(unit: Unit, request: bytes) -> bytes:
    if len(request) != 7:
        raise ModbusException(ILLEGAL_VALUE)
    start, keep, put = struct.unpack_from(">HHH", request, 1)
    data = unit.registers("hr", start, 1)
    if data is None:
        raise ModbusException(ILLEGAL_ADDRESS)
    if not unit.write_registers(start, [int.from_bytes(data, "big") & keep | put & ~keep & 0xFFFF]):
        raise ModbusException(ILLEGAL_ADDRESS)
    return request


def _write_and_read(unit: Unit, request: bytes) -> bytes:
    if len(request) < 12:
        raise ModbusException(ILLEGAL_VALUE)
    read = bytes((3,)) + request[1:5]
    written = bytes((16,)) + request[5:]
    start, count = struct.unpack_from(">HH", request, 5)
    if not unit.write_registers(start, _registers_to_write(written, count)):
        raise ModbusException(ILLEGAL_ADDRESS)
    return bytes((23,)) + _read_registers(unit, read)[1:]


def _pack_bits(bits: list[bool]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        packed[i // 8] |= bit << i % 8
    return bytes(packed)

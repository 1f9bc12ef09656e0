"""One raw value -> the request that writes it, and the one reply that confirms it.

========================  ==============  ================  =============
place                     ``single``      ``multiple``      ``readback``
========================  ==============  ================  =============
coil                      FC05            FC15              FC05
one register              FC06            FC16              FC23
several registers         FC16            FC16              FC23
bit or byte of a          FC22            FC22              FC22
register
========================  ==============  ================  =============

FC22 changes single bits inside the device, so no bit that the PLC's program changes at the same moment is
lost; a device without it refuses, and the register is never read, changed here and written back. FC23 writes
and reads the same registers, so its reply shows what the device holds afterwards.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.modbus.address import Address, AddressError, Range, Table, notations, parse
from drivers.modbus.kinds import KINDS, ByteOrder, Kind, encoding_of, kind_name, order_of, registers_of
from edge_agent.errors import Refused
from edge_agent.model import Tag, Value, ValueType
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_MOST_REGISTERS = {"single": 123, "multiple": 123, "readback": 121}


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes one tag. ``pdu``: the request from its function code on. ``reply``: the whole
    reply PDU of success; anything else is not a confirmation. ``text``: for people and logs."""

    station: int
    function: int
    pdu: bytes
    reply: bytes
    text: str


def write_request(settings: ModbusSettings, tag: Tag, raw: Value) -> Write:
    """Refused for a tag that cannot be written alone or a value that does not fit its type. No scaling."""
    try:
        address = parse(tag.address)
        obstacle = _obstacle(settings, tag, address)
        if obstacle is not None:
            raise _Unfit(obstacle.en)
        pdu, reply, width = _encoded(settings, tag, address, raw)
    except (AddressError, _Unfit) as error:
        raise Refused(f"{tag.name}: {error}", reason="other") from None
    whole = Range(address.table, address.offset, address.offset + width)
    place = f"{address} = {address.reference}" if address.is_part else str(whole)
    return Write(settings.station, pdu[0], pdu, reply, f"FC{pdu[0]:02d} {place} := {raw!r}")


def unwritable(settings: ModbusSettings, tag: Tag) -> Text | None:
    """See ``DriverPlugin.unwritable``. Whether a device knows FC22, which bits and bytes need, only it can
    tell."""
    try:
        return _obstacle(settings, tag, parse(tag.address))
    except AddressError:  # ``check`` tells
        return None


def _obstacle(settings: ModbusSettings, tag: Tag, address: Address) -> Text | None:
    """Why nothing can be written there, whatever the value."""
    if settings.station == 0:
        return Text(
            "station 0 is a broadcast, which nobody confirms; give the number of the device as station",
            "0 号站为广播，无人确认；请将 station 设为设备的站号",
        )
    where, name = notations(address), kind_name(tag)
    if address.table in (Table.DISCRETE, Table.INPUT):
        table = "co" if address.table is Table.DISCRETE else "hr"
        return Text(
            f"{where} can only be read: Modbus has no way to write that table; many devices have the value "
            f"as {table}:... too",
            f"{where} 只读：Modbus 无法写入该表；许多设备在 {table}:... 也有同一值",
        )
    if not _fits(address, KINDS.get(name)):
        return Text(f"{name} does not fit {where}", f"{name} 与 {where} 不符")
    count, most = registers_of(name, tag.length), _MOST_REGISTERS[settings.write_with]
    if count > most:
        return Text(
            f"{count} registers do not fit one request ({most} at most)",
            f"{count} 个寄存器超出一次请求（最多 {most} 个）",
        )
    return None


def _fits(address: Address, kind: Kind | None) -> bool:
    if kind is None:
        return False
    if (kind.name == "bool") is not (address.table is Table.COIL or address.bit is not None):
        return False
    return (kind.name in ("int8", "uint8")) is (address.high is not None)


class _Unfit(ValueError):
    """Why a value cannot be written there."""


def _encoded(settings: ModbusSettings, tag: Tag, address: Address, raw: Value) -> tuple[bytes, bytes, int]:
    """Request PDU, reply PDU and how many places they change."""
    kind = KINDS[kind_name(tag)]
    if address.table is Table.COIL:
        return *_coil(address.offset, _flag(raw), settings.write_with == "multiple"), 1
    order = order_of(settings, tag)
    if address.bit is not None:
        mask = _on_wire(1 << address.bit, order)
        return *_masked(address.offset, mask, mask if _flag(raw) else 0), 1
    if address.high is not None:
        return *_byte(address, kind, raw, order), 1
    data = register_bytes(kind, raw, order, tag.length, encoding_of(settings, tag))
    return *_registers(address.offset, data, settings.write_with), len(data) // 2


def _coil(offset: int, on: bool, multiple: bool) -> tuple[bytes, bytes]:
    if multiple:
        head = struct.pack(">BHH", 15, offset, 1)
        return head + bytes([1, on]), head
    pdu = struct.pack(">BHH", 5, offset, 0xFF00 if on else 0)
    return pdu, pdu


def _masked(offset: int, change: int, value: int) -> tuple[bytes, bytes]:
    """FC22: the device keeps the bits outside ``change`` and sets those inside to ``value``."""
    pdu = struct.pack(">BHHH", 22, offset, change ^ 0xFFFF, value)
    return pdu, pdu


def _byte(address: Address, kind: Kind, raw: Value, order: ByteOrder) -> tuple[bytes, bytes]:
    byte = _packed(kind, raw)[0]
    shift = 8 if address.high else 0
    return _masked(address.offset, _on_wire(0xFF << shift, order), _on_wire(byte << shift, order))


def _registers(offset: int, data: bytes, write_with: str) -> tuple[bytes, bytes]:
    count = len(data) // 2
    if write_with == "readback":
        reply = bytes([23, len(data)]) + data
        return struct.pack(">BHHHHB", 23, offset, count, offset, count, len(data)) + data, reply
    if count == 1 and write_with == "single":
        pdu = struct.pack(">BH", 6, offset) + data
        return pdu, pdu
    head = struct.pack(">BHH", 16, offset, count)
    return head + bytes([len(data)]) + data, head


def register_bytes(kind: Kind, raw: Value, order: ByteOrder, length: int, encoding: str) -> bytes:
    """As they go over the wire."""
    if kind.value is ValueType.STRING:
        plain = _text_bytes(raw, length, encoding)
        return _swapped(plain) if order.low_byte_first else plain
    plain = _packed(kind, raw)
    if order in (ByteOrder.CDAB, ByteOrder.DCBA):
        plain = b"".join(plain[start : start + 2] for start in range(len(plain) - 2, -1, -2))
    return _swapped(plain) if order.low_byte_first else plain


def _packed(kind: Kind, raw: Value) -> bytes:
    """Most significant byte first."""
    number = _real(kind, raw) if kind.value.is_float else _integer(kind, raw)
    if kind.is_bcd:
        highest = 10 ** (4 * kind.registers) - 1
        if not 0 <= number <= highest:
            raise _Unfit(f"{number} does not fit {kind.name}: 0 to {highest}")
        number = int(str(number), 16)
    try:
        return struct.pack(">" + kind.format, number)
    except (struct.error, OverflowError):
        raise _Unfit(f"{raw!r} does not fit {kind.name}") from None


def _real(kind: Kind, raw: Value) -> float:
    if isinstance(raw, float) and math.isfinite(raw):
        return raw
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise _Unfit(f"{raw!r} is not a number for {kind.name}")


def _integer(kind: Kind, raw: Value) -> int:
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _Unfit(f"{raw!r} is not a whole number for {kind.name}")
    return raw


def _flag(raw: Value) -> bool:
    if not isinstance(raw, bool):
        raise _Unfit(f"{raw!r} is not true or false")
    return raw


def _text_bytes(raw: Value, length: int, encoding: str) -> bytes:
    """Filled with NUL up to the last register."""
    if not isinstance(raw, str) or "\0" in raw:
        raise _Unfit(f"{raw!r} is not a text")
    try:
        data = raw.encode(encoding)
    except UnicodeEncodeError:
        raise _Unfit(f"{raw!r} cannot be written in {encoding}") from None
    if len(data) > length:
        raise _Unfit(f"{raw!r} takes {len(data)} bytes in {encoding}, but the string has {length}")
    return data.ljust(2 * registers_of("string", length), b"\0")


def _swapped(data: bytes) -> bytes:
    return b"".join(data[start + 1 : start + 2] + data[start : start + 1] for start in range(0, len(data), 2))


def _on_wire(register: int, order: ByteOrder) -> int:
    """The register's number as the protocol carries it, from the number that the byte order makes of it."""
    return (register & 0xFF) << 8 | register >> 8 if order.low_byte_first else register

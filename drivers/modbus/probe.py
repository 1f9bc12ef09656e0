"""Memory as registers, for commissioning: what bytes can mean in each of the four orders. Pure.

The command line of mbpoll counts from 1 (``-r``), takes the low word first unless it is told ``-B``, and has
no swapped bytes and nothing wider than two registers; such values it shows as registers in hexadecimal.
"""

from __future__ import annotations

import shlex
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drivers.modbus.address import Address, AddressError, Table, notations, parse, parse_range
from drivers.modbus.endpoint import endpoint
from drivers.modbus.kinds import KINDS, ByteOrder, Kind, bcd, kind_name, order_of, registers_of
from drivers.modbus.write import register_bytes
from edge_agent.driver import Form
from edge_agent.model import Tag, Value, ValueType
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_NUMBERS = ("int16", "uint16", "float32", "int32", "uint32", "float64", "int64", "uint64", "bcd16", "bcd32")
_ORDERS = (ByteOrder.ABCD, ByteOrder.CDAB, ByteOrder.DCBA, ByteOrder.BADC)
_ONE_REGISTER = (ByteOrder.ABCD, ByteOrder.BADC)  # the others are the same there
_MBPOLL = {"int16": ":int16", "uint16": "", "int32": ":int", "float32": ":float"}


class ModbusProber:
    """Meets ``edge_agent.driver.Prober``."""

    cell_bytes = 2
    align_bytes = 2

    def forms(self, settings: ModbusSettings) -> Sequence[Form]:
        return [
            Form(name, str(order), 2 * KINDS[name].registers, decoder(KINDS[name], order))
            for name in _NUMBERS
            for order in (_ONE_REGISTER if KINDS[name].registers == 1 else _ORDERS)
        ]

    def cells(self, settings: ModbusSettings, address: str, before: int, after: int) -> Sequence[Tag]:
        where = parse(address)
        if where.table.is_bits:
            raise _bits(address)
        first, last = max(0, where.offset - before), min(0xFFFF, where.offset + after)
        return _cells(settings, where.table, first, last + 1)

    def cells_of(self, settings: ModbusSettings, tag: Tag) -> Sequence[Tag]:
        where = parse(tag.address)
        if where.table.is_bits:
            return ()
        count = registers_of(kind_name(tag), tag.length)
        return _cells(settings, where.table, where.offset, where.offset + count)

    def place(self, settings: ModbusSettings, cell: Tag) -> tuple[str, int]:
        where = parse(cell.address)
        return where.table.prefix, where.offset

    def address(self, cell: Tag, form: Form) -> str:
        return parse(cell.address).reference

    def usual(self, settings: ModbusSettings, tags: Sequence[Tag]) -> Sequence[str]:
        tables = {place.table for tag in tags if not (place := parse(tag.address)).table.is_bits}
        starts = {
            table: min(p.offset for tag in tags if (p := parse(tag.address)).table is table)
            for table in tables
        }
        return [
            str(Address(table, 0 if (start := starts.get(table, 0)) < 100 else start))
            for table in (Table.HOLDING, Table.INPUT)
        ]

    def encoded(self, settings: ModbusSettings, tag: Tag, raw: Value) -> bytes | None:
        where, kind = parse(tag.address), KINDS[kind_name(tag)]
        if where.table.is_bits or where.is_part or kind.value is ValueType.STRING or raw is None:
            return None
        try:
            return register_bytes(kind, raw, order_of(settings, tag), tag.length, "utf-8")
        except ValueError:
            return None

    def notation(self, tag: Tag) -> str:
        return notations(parse(tag.address))

    def elsewhere(self, settings: ModbusSettings, tag: Tag) -> str:
        line = _mbpoll_line(settings)
        if not line:
            return ""
        where, name = parse(tag.address), kind_name(tag)
        kind, count = {Table.COIL: "0", Table.DISCRETE: "1"}.get(where.table, ""), 1
        if not kind:
            kind, count = _mbpoll_kind(where, name, order_of(settings, tag), registers_of(name, tag.length))
        words = ["mbpoll", *line[:-1], "-a", str(settings.station), "-t", kind, "-r", str(where.offset + 1)]
        if kind.endswith((":int", ":float")) and order_of(settings, tag) is ByteOrder.ABCD:
            words.append("-B")
        return shlex.join([*words, "-c", str(count), "-1", line[-1]])


def _mbpoll_kind(where: Address, name: str, order: ByteOrder, registers: int) -> tuple[str, int]:
    digit = where.table.digit
    if where.is_part or name not in _MBPOLL or order.low_byte_first:
        return f"{digit}:hex", registers
    return f"{digit}{_MBPOLL[name]}", 1


def _mbpoll_line(settings: ModbusSettings) -> list[str]:
    where = endpoint(settings.link)
    if where.scheme == "tcp":
        return ["-m", "tcp", "-p", str(where.port), where.host]
    if where.scheme == "rtu":
        line = ["-b", str(settings.baud), "-P", settings.parity, "-s", str(settings.stop_bits)]
        return ["-m", "rtu", *line, where.device]
    return []


def _cells(settings: ModbusSettings, table: Table, start: int, end: int) -> list[Tag]:
    closed = [part for text in settings.forbidden if (part := parse_range(text)).table is table]
    return [
        Tag(str(place), str(place), ValueType.UINT16, byte_order=str(ByteOrder.ABCD))
        for offset in range(start, end)
        if not any(part.start <= offset < part.end for part in closed)
        for place in (Address(table, offset),)
    ]


def decoder(kind: Kind, order: ByteOrder) -> Callable[[bytes], int | float | None]:
    """Bytes as on the wire -> number."""
    unpack = struct.Struct(order.direction + kind.format).unpack

    def decode(data: bytes) -> int | float | None:
        if order.swaps:
            words = array("H", data)
            words.byteswap()
            data = words.tobytes()
        number: int | float = unpack(data)[0]
        return bcd(int(number)) if kind.is_bcd else number

    return decode


def _bits(address: str) -> AddressError:
    return AddressError(
        Text(f"'{address}' is a coil or a discrete input", f"“{address}”是线圈或离散输入"),
        Text(
            "a number stands in registers: 40001 (hr:0) or 30001 (ir:0)",
            "数值在寄存器中：40001（hr:0）或 30001（ir:0）",
        ),
    )

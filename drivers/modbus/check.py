"""Every mistake in a device's settings and tags, found without a device.

E-MB-001 address   E-MB-002 type does not fit the place   E-MB-003 type not supported   E-MB-004 past the end
E-MB-005 byte order   E-MB-006 value wider than a request   W-MB-101 station 0   W-MB-102 read twice
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.modbus.address import Address, AddressError, notations, parse
from drivers.modbus.codec import REGISTER_TYPES, ByteOrder, registers_of
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem, Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

_ORDERS = ", ".join(ByteOrder)
_TYPES = ", ".join(REGISTER_TYPES)


def check(settings: ModbusSettings, tags: Sequence[Tag]) -> list[Problem]:
    """All of them, in the order of the tags; the settings first."""
    problems = _check_station(settings)
    seen: dict[tuple[object, ...], str] = {}
    for tag in tags:
        problems += _check_byte_order(tag)
        try:
            address = parse(tag.address)
        except AddressError as error:
            problems.append(Problem("E-MB-001", _at(tag, "address"), error.message, error.cure))
            continue
        found = _check_type(tag, address) or _check_extent(settings, tag, address)
        problems += found
        if not found:
            first = seen.setdefault((address, tag.type, tag.byte_order.strip().upper()), tag.name)
            problems += [] if first == tag.name else [_read_twice(tag, address, first)]
    return problems


def _at(tag: Tag, column: str) -> tuple[str, str, str]:
    return ("tags", tag.name, column)


def _check_station(settings: ModbusSettings) -> list[Problem]:
    if settings.station != 0:
        return []
    return [
        Problem(
            "W-MB-101",
            ("station",),
            Text("station 0 is the broadcast address on a serial line", "站号 0 是串行总线上的广播地址"),
            Text(
                "behind a gateway nobody answers it: write the station's own number (1 to 247, or 255)",
                "网关后面的设备不会应答：请写设备自己的站号（1 至 247），直连 PLC 可写 255",
            ),
            warning=True,
        )
    ]


def _check_byte_order(tag: Tag) -> list[Problem]:
    order = tag.byte_order.strip().upper()
    if not order or order in tuple(ByteOrder):
        return []
    return [
        Problem(
            "E-MB-005",
            _at(tag, "byte_order"),
            Text(f"'{tag.byte_order}' is not a byte order", f"“{tag.byte_order}”不是字节序"),
            Text(
                f"one of {_ORDERS}, or leave it empty for the device's own",
                f"请写 {_ORDERS} 之一，或留空使用设备的字节序",
            ),
        )
    ]


def _check_type(tag: Tag, address: Address) -> list[Problem]:
    where = notations(address)
    bit_place = address.table.is_bits or address.bit is not None
    if tag.type is ValueType.STRING:
        return [_type_problem("E-MB-003", tag, "strings are not supported yet", "暂不支持字符串", _one_of())]
    if bit_place and tag.type is not ValueType.BOOL:
        return [
            _type_problem(
                "E-MB-002",
                tag,
                f"{where} is a single bit, {tag.type} does not fit",
                f"{where} 只有一位，放不下 {tag.type}",
                Text("use bool, or the address of a register", "请改用 bool，或改写寄存器地址"),
            )
        ]
    if not bit_place and tag.type is ValueType.BOOL:
        cure = Text(
            f"say which bit: {address}.0 is the least significant; or use uint16",
            f"请指明位号：{address}.0 为最低位；或改用 uint16",
        )
        return [_type_problem("E-MB-002", tag, f"{where} has 16 bits", f"{where} 有 16 位", cure)]
    if not bit_place and tag.type not in REGISTER_TYPES:
        return [
            _type_problem(
                "E-MB-003",
                tag,
                f"{tag.type}: a register has 16 bits",
                f"{tag.type}：寄存器为 16 位",
                _one_of(),
            )
        ]
    return []


def _one_of() -> Text:
    return Text(f"use one of {_TYPES}", f"请改用 {_TYPES} 之一")


def _type_problem(code: str, tag: Tag, en: str, zh: str, cure: Text) -> Problem:
    return Problem(code, _at(tag, "type"), Text(en, zh), cure)


def _check_extent(settings: ModbusSettings, tag: Tag, address: Address) -> list[Problem]:
    if address.table.is_bits:
        return []
    count = registers_of(tag.type)
    if address.offset + count > 0x10000:
        return [
            Problem(
                "E-MB-004",
                _at(tag, "address"),
                Text(
                    f"{tag.type} takes {count} registers: {notations(address)} is too close to the end",
                    f"{tag.type} 占 {count} 个寄存器：{notations(address)} 离末尾太近",
                ),
                Text(
                    f"the last place for it is {address.table.prefix}:{0x10000 - count}",
                    f"最后可用的地址是 {address.table.prefix}:{0x10000 - count}",
                ),
            )
        ]
    if count > settings.max_registers:
        return [
            Problem(
                "E-MB-006",
                _at(tag, "type"),
                Text(
                    f"{tag.type} takes {count} registers, but max_registers is {settings.max_registers}",
                    f"{tag.type} 占 {count} 个寄存器，而 max_registers 为 {settings.max_registers}",
                ),
                Text(
                    f"set max_registers to {count} or more: a value is never split over two requests",
                    f"请把 max_registers 设为不小于 {count}：一个数值不会拆到两个请求中",
                ),
            )
        ]
    return []


def _read_twice(tag: Tag, address: Address, first: str) -> Problem:
    return Problem(
        "W-MB-102",
        _at(tag, "address"),
        Text(
            f"'{tag.name}' and '{first}' are both {tag.type} at {notations(address)}",
            f"“{tag.name}”和“{first}”都是 {notations(address)} 上的 {tag.type}",
        ),
        Text(
            "if that is not meant, one of the two addresses is wrong",
            "如非有意，其中一个地址写错了",
        ),
        warning=True,
    )

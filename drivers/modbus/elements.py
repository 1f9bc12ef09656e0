"""The addresses of an array's elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.modbus.address import Address, AddressError, notations, parse
from drivers.modbus.kinds import KINDS, kind_name, registers_of
from edge_agent.model import Tag
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings


def elements(settings: ModbusSettings, tag: Tag, count: int) -> Sequence[str]:
    """In the notation that counts from 0. Values follow each other without a gap; bits of a register go on
    with bit 0 of the next; bytes alternate, beginning with the one the first address names, so that
    ``hr:0.h`` is an array with the high byte first and ``hr:0.l`` one with the low byte first. Raises
    AddressError, a ValueError, where they leave the address space or the first address is none."""
    first = parse(tag.address)
    found = [_element(first, kind_name(tag), tag.length, index) for index in range(count)]
    width = 1 if first.table.is_bits or first.is_part else _width(kind_name(tag), tag.length)
    if found and found[-1].offset + width > 0x10000:
        raise AddressError(
            Text(
                f"{count} elements from {notations(first)} on go past the end of the table",
                f"从 {notations(first)} 起的 {count} 个元素超出数据区末尾",
            ),
            Text("the last place is offset 65535, reference 65536", "最后一个地址为偏移 65535，即编号 65536"),
        )
    return [str(address) for address in found]


def _element(first: Address, kind: str, length: int, index: int) -> Address:
    if first.bit is not None:
        registers, bit = divmod(first.bit + index, 16)
        return replace(first, offset=first.offset + registers, bit=bit)
    if first.high is not None:
        return replace(first, offset=first.offset + index // 2, high=first.high is (index % 2 == 0))
    width = 1 if first.table.is_bits else _width(kind, length)
    return replace(first, offset=first.offset + width * index)


def _width(kind: str, length: int) -> int:
    return registers_of(kind, length) if kind in KINDS else 1

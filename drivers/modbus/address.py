"""Addresses as people write them, and the place on the wire they mean.

Two notations, because manuals use both:

``hr:10``, ``ir:10``, ``co:10``, ``di:10``
    what stands in the protocol, counted from 0: holding register, input register, coil, discrete input.
``40011`` or ``400011``
    the reference notation, counted from 1, first digit the table (0 coil, 1 discrete input, 3 input register,
    4 holding register); 5 digits reach 9999 places, 6 digits all 65536.

``hr:10.3`` and ``40011.3`` are bit 3 (0 = least significant) of a register.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from edge_agent.settings import Text

_PLAIN = re.compile(r"(hr|ir|co|di):(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII | re.IGNORECASE)
_REFERENCE = re.compile(r"([0-9])(\d{4}|\d{5})(?:\.(\d{1,3}))?", re.ASCII)
_GRAMMAR = Text(
    "write hr:0 (from 0) or 40001 (from 1); a bit of a register is hr:0.3 or 40001.3",
    "请写 hr:0（从 0 起）或 40001（从 1 起）；寄存器的某一位写 hr:0.3 或 40001.3",
)


class Table(Enum):
    """The four address spaces of a Modbus device: (prefix, function code that reads it, reference digit)."""

    COIL = ("co", 1, "0")
    DISCRETE = ("di", 2, "1")
    HOLDING = ("hr", 3, "4")
    INPUT = ("ir", 4, "3")

    def __init__(self, prefix: str, function: int, digit: str) -> None:
        self.prefix = prefix
        self.function = function
        self.digit = digit

    @property
    def is_bits(self) -> bool:
        return self.function <= 2


_BY_PREFIX = {table.prefix: table for table in Table}
_BY_DIGIT = {table.digit: table for table in Table}


@dataclass(frozen=True, slots=True)
class Address:
    """A place: table, offset from 0 as on the wire, and a bit number where a bit of a register is meant."""

    table: Table
    offset: int
    bit: int | None = None

    def __str__(self) -> str:
        return f"{self.table.prefix}:{self.offset}{self._bit_text}"

    @property
    def reference(self) -> str:
        """The same place in 6-digit reference notation."""
        return f"{self.table.digit}{self.offset + 1:05d}{self._bit_text}"

    @property
    def _bit_text(self) -> str:
        return "" if self.bit is None else f".{self.bit}"


class AddressError(ValueError):
    """Not an address. ``message`` and ``cure`` are for the person who wrote it."""

    def __init__(self, message: Text, cure: Text) -> None:
        self.message = message
        self.cure = cure
        super().__init__(message.en)


def parse(text: str) -> Address:
    """The place an address means. Raises AddressError."""
    text = text.strip()
    if match := _PLAIN.fullmatch(text):
        return _checked(text, _BY_PREFIX[match[1].lower()], int(match[2]), match[3])
    if match := _REFERENCE.fullmatch(text):
        table = _BY_DIGIT.get(match[1])
        if table is None:
            raise AddressError(
                Text(
                    f"'{text}': no table begins with {match[1]}", f"“{text}”：没有以 {match[1]} 开头的数据区"
                ),
                Text(
                    "0 is a coil, 1 a discrete input, 3 an input register, 4 a holding register",
                    "0 为线圈，1 为离散输入，3 为输入寄存器，4 为保持寄存器",
                ),
            )
        return _checked(text, table, int(match[2]) - 1, match[3])
    raise AddressError(Text(f"'{text}' is not a Modbus address", f"“{text}”不是 Modbus 地址"), _cure(text))


def notations(address: Address) -> str:
    """Both notations and the function code, for people: ``400001 = hr:0, FC03``."""
    return f"{address.reference} = {address}, FC{address.table.function:02d}"


def _checked(text: str, table: Table, offset: int, bit_text: str | None) -> Address:
    if not 0 <= offset <= 0xFFFF:
        raise AddressError(
            Text(f"'{text}' is outside the address space", f"“{text}”超出地址范围"),
            Text(
                f"{table.prefix}:0 to {table.prefix}:65535, or {table.digit}00001 to {table.digit}65536",
                f"{table.prefix}:0 至 {table.prefix}:65535，或 {table.digit}00001 至 {table.digit}65536",
            ),
        )
    if bit_text is None:
        return Address(table, offset)
    if table.is_bits:
        raise AddressError(
            Text(f"'{text}': a coil or discrete input has no bits", f"“{text}”：线圈和离散输入没有位号"),
            Text(f"leave '.{bit_text}' out", f"请去掉“.{bit_text}”"),
        )
    if int(bit_text) > 15:
        raise AddressError(
            Text(f"'{text}': a register has the bits 0 to 15", f"“{text}”：寄存器只有第 0 至 15 位"),
            Text("bit 0 is the least significant", "第 0 位为最低位"),
        )
    return Address(table, offset, int(bit_text))


def _cure(text: str) -> Text:
    narrow = unicodedata.normalize("NFKC", text)
    if narrow != text:
        return Text(f"use half-width characters: {narrow}", f"请用半角字符：{narrow}")
    if text.isascii() and text.isdigit() and len(text) < 5:
        return Text(
            f"leading zeros are missing (spreadsheets drop them): write co:N, or {text.zfill(5)} for a coil",
            f"缺少前导零（电子表格会去掉）：请写 co:N，线圈也可写 {text.zfill(5)}",
        )
    return _GRAMMAR

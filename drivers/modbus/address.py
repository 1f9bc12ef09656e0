"""Addresses as people write them, and the place on the wire they mean.

Two notations, because manuals use both:

``hr:10``, ``ir:10``, ``co:10``, ``di:10``
    what stands in the protocol, counted from 0: holding register, input register, coil, discrete input. Many
    manuals count these in hexadecimal: ``hr:0x000A`` is the same place.
``40011`` or ``400011``
    the reference notation, counted from 1, first digit the table (0 coil, 1 discrete input, 3 input register,
    4 holding register); 5 digits reach 9999 places, 6 digits all 65536.

``hr:10.3`` and ``40011.3`` are bit 3 (0 = least significant) of a register, ``hr:10.h`` and ``hr:10.l`` its
high and its low byte. Whatever is shown to people has both notations.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from edge_agent.settings import Text

_PLAIN = re.compile(r"(hr|ir|co|di):(\d{1,9}|0x[0-9a-f]{1,8})(?:\.(\d{1,3}|[hl]))?", re.ASCII | re.IGNORECASE)
_REFERENCE = re.compile(r"([0-9])(\d{4}|\d{5})(?:\.(\d{1,3}|[hl]))?", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"\s*([^\s~-]+?)\s*(?:(?:-|~|\.\.)\s*([^\s~-]+)\s*)?", re.ASCII)
_GRAMMAR = Text(
    "write hr:0 (from 0) or 40001 (from 1); a bit of a register is hr:0.3 or 40001.3, "
    "its high byte hr:0.h, its low byte hr:0.l",
    "请写 hr:0（从 0 起）或 40001（从 1 起）；寄存器的某一位写 hr:0.3 或 40001.3，"
    "高字节写 hr:0.h，低字节写 hr:0.l",
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
TABLE_OF = {table.function: table for table in Table}


@dataclass(frozen=True, slots=True)
class Address:
    """A place: table, offset from 0 as on the wire, and a bit number or a byte (``high``: True, False) where
    a part of a register is meant."""

    table: Table
    offset: int
    bit: int | None = None
    high: bool | None = None

    def __str__(self) -> str:
        return f"{self.table.prefix}:{self.offset}{self._part}"

    @property
    def reference(self) -> str:
        """The same place in 6-digit reference notation."""
        return f"{self.table.digit}{self.offset + 1:05d}{self._part}"

    @property
    def is_part(self) -> bool:
        return self.bit is not None or self.high is not None

    @property
    def _part(self) -> str:
        if self.high is not None:
            return ".h" if self.high else ".l"
        return "" if self.bit is None else f".{self.bit}"


@dataclass(frozen=True, slots=True)
class Range:
    """Places ``start`` up to, not including, ``end`` of one table."""

    table: Table
    start: int
    end: int

    def __str__(self) -> str:
        """Both notations: ``hr:0..4 = 400001..400005``, ``hr:0 = 400001``."""
        prefix, digit = self.table.prefix, self.table.digit
        if self.end - self.start == 1:
            return f"{prefix}:{self.start} = {digit}{self.start + 1:05d}"
        return f"{prefix}:{self.start}..{self.end - 1} = {digit}{self.start + 1:05d}..{digit}{self.end:05d}"


class AddressError(ValueError):
    """Not an address. ``message`` and ``cure`` are for the person who wrote it."""

    def __init__(self, message: Text, cure: Text) -> None:
        self.message = message
        self.cure = cure
        super().__init__(f"{message.en}: {cure.en}")


def parse(text: str) -> Address:
    """The place an address means. Raises AddressError."""
    text = text.strip()
    if match := _PLAIN.fullmatch(text):
        return _checked(text, _BY_PREFIX[match[1].lower()], int(match[2], _base(match[2])), match[3])
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


def parse_range(text: str) -> Range:
    """``hr:100-120`` or ``400101-400121``, both ends included; ``hr:100`` alone; the second end may do
    without its table. Raises AddressError."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise _not_a_range(text)
    first = last = parse(match[1])
    if match[2] is not None:
        bare = ":" in match[1] and ":" not in match[2]
        last = parse(f"{first.table.prefix}:{match[2]}" if bare else match[2])
    if first.is_part or last.is_part or first.table is not last.table or first.offset > last.offset:
        raise _not_a_range(text)
    return Range(first.table, first.offset, last.offset + 1)


def notations(address: Address) -> str:
    """Both notations and the function code, for people: ``400001 = hr:0, FC03``."""
    return f"{address.reference} = {address}, FC{address.table.function:02d}"


def _base(number: str) -> int:
    return 16 if number[:2].lower() == "0x" else 10


def _checked(text: str, table: Table, offset: int, part: str | None) -> Address:
    if not 0 <= offset <= 0xFFFF:
        raise AddressError(
            Text(f"'{text}' is outside the address space", f"“{text}”超出地址范围"),
            Text(
                f"{table.prefix}:0 to {table.prefix}:65535, or {table.digit}00001 to {table.digit}65536",
                f"{table.prefix}:0 至 {table.prefix}:65535，或 {table.digit}00001 至 {table.digit}65536",
            ),
        )
    if part is None:
        return Address(table, offset)
    whole = notations(Address(table, offset))
    if table.is_bits:
        raise AddressError(
            Text(
                f"'{text}': a coil or discrete input has no bits or bytes ({whole})",
                f"“{text}”：线圈和离散输入没有位号或字节（{whole}）",
            ),
            Text(f"leave '.{part}' out", f"请去掉“.{part}”"),
        )
    if part in "hHlL":
        return Address(table, offset, high=part in "hH")
    if int(part) > 15:
        raise AddressError(
            Text(
                f"'{text}': a register has the bits 0 to 15 ({whole})",
                f"“{text}”：寄存器只有第 0 至 15 位（{whole}）",
            ),
            Text("bit 0 is the least significant", "第 0 位为最低位"),
        )
    return Address(table, offset, int(part))


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


def _not_a_range(text: str) -> AddressError:
    return AddressError(
        Text(f"'{text}' is not a range of addresses", f"“{text}”不是地址范围"),
        Text(
            "write hr:100-120 or 400101-400121: one table, first and last place",
            "请写 hr:100-120 或 400101-400121：同一数据区的首末地址",
        ),
    )

"""Addresses: ``DB1.DBX0.3`` and its kin -> where a value lies in a data block and how it is coded there.

Pure and offline. The letter after ``DB`` gives the width (X one bit, B 1 byte, W 2, D 4, L 8) and the tag's
type must have that width. TIA's leading ``%`` is accepted, and ``DBB`` for 8-byte types: the tools print
no absolute address of their own for those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.model import Tag, ValueType
from edge_agent.settings import Problem, Text

_FORM = re.compile(r"%?DB(\d{1,9})\.DB([XBWDL])(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII | re.IGNORECASE)
_WIDTH = {"X": 1, "B": 1, "W": 2, "D": 4, "L": 8}
_CODE = {
    ValueType.BOOL: "B",  # the byte; the codec picks the bit
    ValueType.INT8: "b",
    ValueType.UINT8: "B",
    ValueType.INT16: "h",
    ValueType.UINT16: "H",
    ValueType.INT32: "i",
    ValueType.UINT32: "I",
    ValueType.INT64: "q",
    ValueType.UINT64: "Q",
    ValueType.FLOAT32: "f",
    ValueType.FLOAT64: "d",
}
_SIZE = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8, "f": 4, "d": 8}
_LETTER = {1: "DBB", 2: "DBW", 4: "DBD", 8: "DBL"}
_DB_MAX = 65_535
_BYTES_MAX = 65_536  # a data block that PUT/GET can read is at most 64 kB

_FORMS = Text(
    en="Write DB1.DBX0.3 (bool), DB1.DBB1 (8 bit), DB1.DBW2 (16), DB1.DBD4 (32) or DB1.DBL8 (64).",
    zh="请写成 DB1.DBX0.3(bool)、DB1.DBB1(8 位)、DB1.DBW2(16)、DB1.DBD4(32)或 DB1.DBL8(64)。",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes ``start`` to ``start + length`` of data block ``db``, read with struct letter ``code``.

    ``bit`` is set for booleans only; ``is_float`` tells the codec where NaN can come from.
    """

    db: int
    start: int
    length: int
    code: str
    bit: int | None = None

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def is_float(self) -> bool:
        return self.code in "fd"


class AddressMistake(ValueError):
    """An address that cannot be read as the tag's type; carries what a person must be told."""

    def __init__(self, code: str, column: str, message: Text, cure: Text) -> None:
        super().__init__(message.en)
        self.code = code
        self.column = column
        self.message = message
        self.cure = cure


def locate(tag: Tag) -> Place:
    """Where the tag's value lies. Raises AddressMistake."""
    if tag.type not in _CODE:
        raise _unsupported(tag)
    match = _FORM.fullmatch(tag.address.strip())
    if match is None:
        raise AddressMistake(
            "E-S7-ADDRESS",
            "address",
            Text(en=f"'{tag.address}' is not an S7 address.", zh=f"“{tag.address}”不是 S7 地址。"),
            _FORMS,
        )
    db, letter, start = int(match[1]), match[2].upper(), int(match[3])
    bit = None if match[4] is None else int(match[4])
    code = _CODE[tag.type]
    if not _fits(tag.type, letter, _SIZE[code]):
        raise _wrong_width(tag, letter)
    _check_bit(tag, letter, bit)
    _check_range(tag, db, start, _SIZE[code])
    return Place(db, start, _SIZE[code], code, bit)


def tag_problems(tag: Tag) -> list[Problem]:
    """Every mistake in one tag; at most one of them is about the address itself."""
    problems = []
    try:
        place = locate(tag)
    except AddressMistake as mistake:
        problems.append(
            Problem(mistake.code, ("tags", tag.name, mistake.column), mistake.message, mistake.cure)
        )
    else:
        if place.length > 1 and place.start % 2:
            problems.append(_odd(tag, place))
    if tag.byte_order:
        problems.append(_byte_order(tag))
    return problems


def _fits(type_: ValueType, letter: str, size: int) -> bool:
    if (type_ is ValueType.BOOL) != (letter == "X"):
        return False
    return size == _WIDTH[letter] or (letter == "B" and size == 8)


def _unsupported(tag: Tag) -> AddressMistake:
    return AddressMistake(
        "E-S7-TYPE",
        "type",
        Text(en=f"Type '{tag.type}' cannot be read from S7 yet.", zh=f"暂不支持从 S7 读取类型“{tag.type}”。"),
        Text(en="Use bool or one of the number types.", zh="请使用 bool 或数值类型。"),
    )


def _wrong_width(tag: Tag, letter: str) -> AddressMistake:
    wanted = "DBX" if tag.type is ValueType.BOOL else _LETTER[_SIZE[_CODE[tag.type]]]
    return AddressMistake(
        "E-S7-WIDTH",
        "address",
        Text(
            en=f"'{tag.address}' (DB{letter}) does not have the width of type '{tag.type}'.",
            zh=f"“{tag.address}”(DB{letter})的宽度与类型“{tag.type}”不符。",
        ),
        Text(en=f"For '{tag.type}' use {wanted}.", zh=f"类型“{tag.type}”请使用 {wanted}。"),
    )


def _check_bit(tag: Tag, letter: str, bit: int | None) -> None:
    if letter == "X" and (bit is None or bit > 7):
        raise AddressMistake(
            "E-S7-BIT",
            "address",
            Text(
                en=f"'{tag.address}' needs a bit number from 0 to 7.",
                zh=f"“{tag.address}”需要 0 到 7 的位号。",
            ),
            Text(en="Write for example DB1.DBX0.3.", zh="例如写成 DB1.DBX0.3。"),
        )
    if letter != "X" and bit is not None:
        raise AddressMistake(
            "E-S7-BIT",
            "address",
            Text(
                en=f"'{tag.address}' has a bit number, but DB{letter} is not a bit.",
                zh=f"“{tag.address}”带有位号,但 DB{letter} 不是位地址。",
            ),
            Text(
                en="Leave out the bit, or use DBX with type bool.",
                zh="请去掉位号,或使用 DBX 并将类型设为 bool。",
            ),
        )


def _check_range(tag: Tag, db: int, start: int, size: int) -> None:
    if not 1 <= db <= _DB_MAX or start + size > _BYTES_MAX:
        raise AddressMistake(
            "E-S7-RANGE",
            "address",
            Text(
                en=f"'{tag.address}' lies outside what an S7 controller has.",
                zh=f"“{tag.address}”超出 S7 控制器的地址范围。",
            ),
            Text(
                en=f"Data blocks are numbered 1 to {_DB_MAX}, their bytes 0 to {_BYTES_MAX - 1}.",
                zh=f"数据块编号为 1 到 {_DB_MAX},字节编号为 0 到 {_BYTES_MAX - 1}。",
            ),
        )


def _odd(tag: Tag, place: Place) -> Problem:
    return Problem(
        "E-S7-ODD",
        ("tags", tag.name, "address"),
        Text(
            en=f"'{tag.address}' starts at odd byte {place.start}; such values lie at even bytes.",
            zh=f"“{tag.address}”从奇数字节 {place.start} 开始;控制器通常把这类值放在偶数字节。",
        ),
        Text(en="Compare with the offset column of the data block.", zh="请与数据块的“偏移量”一列核对。"),
        warning=True,
    )


def _byte_order(tag: Tag) -> Problem:
    return Problem(
        "E-S7-BYTE-ORDER",
        ("tags", tag.name, "byte_order"),
        Text(
            en=f"byte_order '{tag.byte_order}' has no meaning for S7: its values are always big-endian.",
            zh=f"byte_order“{tag.byte_order}”对 S7 无意义:其数值始终为大端序。",
        ),
        Text(en="Leave byte_order empty.", zh="请将 byte_order 留空。"),
    )

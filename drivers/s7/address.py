"""Addresses: ``DB1.DBX0.3``, ``MW10``, ``T5`` and their kin -> where a value lies and how it is coded there.

Pure and offline. The letter before the number gives the width (X one bit, B 1 byte, W 2, D 4, L 8) and the
tag's type must have that width; texts and everything longer than 8 bytes begin at a B. TIA's leading ``%`` is
accepted, and B for 8-byte types: the tools print no absolute address of their own for those. The German
letters E, A and Z are read as I, Q and C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from drivers.s7.kinds import Convert, Kind, converter, kind_of
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

_BLOCK = re.compile(r"%?DB(\d{1,9})\.DB([XBWDL])(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII | re.IGNORECASE)
_AREA = re.compile(r"%?([MIQEA])([XBWDL]?)(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII | re.IGNORECASE)
_NUMBERED = re.compile(r"%?([TCZ])(\d{1,9})", re.ASCII | re.IGNORECASE)
GERMAN = {"E": "I", "A": "Q", "Z": "C"}
_WIDTH = {"X": 1, "B": 1, "W": 2, "D": 4, "L": 8}
_DB_MAX = 65_535
_BYTES_MAX = 65_536  # what PUT/GET can reach of a block or an area
_NUMBERS_MAX = 32_768

FORMS = Text(
    en="Write DB1.DBX0.3 (bool), DB1.DBB1 (8 bit, texts), DB1.DBW2 (16), DB1.DBD4 (32), DB1.DBL8 (64); "
    "M10.3, MB1, MW10, MD4, ML8 and the same with I and Q; T5 (timer), C3 (counter).",
    zh="请写成 DB1.DBX0.3(bool)、DB1.DBB1(8 位、文本)、DB1.DBW2(16)、DB1.DBD4(32)、DB1.DBL8(64)；"
    "M10.3、MB1、MW10、MD4、ML8，I、Q 同理；T5(定时器)、C3(计数器)。",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes ``start`` to ``start + length`` of ``area`` (of data block ``db``), stored as struct ``code``.

    ``area``: DB, M, I, Q, T or C; a timer or counter counts as two bytes at twice its number. ``bit`` is set
    for booleans only. ``convert``: stored form -> value, raising ValueError; None where they are the same.
    """

    area: str
    db: int
    start: int
    length: int
    code: str
    bit: int | None = None
    kind: str = ""
    convert: Convert | None = field(default=None, compare=False)

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def is_float(self) -> bool:
        return self.code in ("f", "d")


@dataclass(frozen=True, slots=True)
class Point:
    """What an address alone says. ``letter``: X, B, W, D, L, or "" for timers and counters."""

    area: str
    db: int
    letter: str
    start: int
    bit: int | None
    german: bool = False

    def __str__(self) -> str:
        if self.area in ("T", "C"):
            return f"{self.area}{self.start}"
        bit = "" if self.bit is None else f".{self.bit}"
        if self.area == "DB":
            return f"DB{self.db}.DB{self.letter}{self.start}{bit}"
        return f"{self.area}{self.letter if self.letter != 'X' else ''}{self.start}{bit}"


class AddressMistake(ValueError):
    """An address that cannot be read as the tag's type; carries what a person must be told."""

    def __init__(self, code: str, column: str, message: Text, cure: Text) -> None:
        super().__init__(message.en)
        self.code = code
        self.column = column
        self.message = message
        self.cure = cure


def parse(address: str) -> Point:
    """The address alone. Raises AddressMistake for what is none; ranges and widths are ``locate``'s."""
    text = address.strip()
    if (match := _BLOCK.fullmatch(text)) is not None:
        return Point("DB", int(match[1]), match[2].upper(), int(match[3]), _number(match[4]))
    if (match := _NUMBERED.fullmatch(text)) is not None:
        letter = match[1].upper()
        return Point(GERMAN.get(letter, letter), 0, "", int(match[2]), None, letter in GERMAN)
    if (match := _AREA.fullmatch(text)) is not None:
        letter = match[1].upper()
        return Point(
            GERMAN.get(letter, letter),
            0,
            match[2].upper() or "X",
            int(match[3]),
            _number(match[4]),
            letter in GERMAN,
        )
    raise AddressMistake(
        "E-S7-ADDRESS",
        "address",
        Text(en=f"'{address}' is not an S7 address.", zh=f"“{address}”不是 S7 地址。"),
        FORMS,
    )


def locate(tag: Tag, encoding: str = "gbk") -> Place:
    """Where the tag's value lies. ``encoding``: of texts whose tag names none. Raises AddressMistake."""
    point = parse(tag.address)
    kind = kind_of(tag, point.area)
    if kind is None or kind.type != tag.type:
        raise _unknown_type(tag)
    _check_length(tag, kind)
    if point.area in ("T", "C"):
        _check_numbered(tag, point, kind)
        start = 2 * point.start
    else:
        _check_bytes(tag, point, kind)
        start = point.start
    size = kind.bytes_of(tag.length)
    code = f"{size}s" if kind.is_text else kind.code
    convert = converter(kind, tag.encoding or encoding)
    return Place(point.area, point.db, start, size, code, point.bit, kind.name, convert)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _check_bytes(tag: Tag, point: Point, kind: Kind) -> None:
    size = kind.bytes_of(tag.length)
    if kind.name in ("timer", "counter"):
        raise _wrong_area(tag, kind)
    if not _fits(kind, point.letter, size):
        raise _wrong_width(tag, point, kind, size)
    _check_bit(tag, point)
    if (point.area == "DB" and not 1 <= point.db <= _DB_MAX) or point.start + size > _BYTES_MAX:
        raise _out_of_range(tag)


def _check_numbered(tag: Tag, point: Point, kind: Kind) -> None:
    right = ("timer", "s5time") if point.area == "T" else ("counter",)
    if kind.name not in (*right, "word"):
        wanted = Text(
            en=f"Use type {right[0]}; word gives the bits as they are.",
            zh=f"请使用类型 {right[0]}；word 给出原始位。",
        )
        raise AddressMistake("E-S7-TYPE", "type", _type_message(tag), wanted)
    if point.start >= _NUMBERS_MAX:
        raise _out_of_range(tag)


def _fits(kind: Kind, letter: str, size: int) -> bool:
    if (kind.type is ValueType.BOOL) != (letter == "X"):
        return False
    if letter == "B" and (kind.is_text or size >= 8):
        return True
    return size == _WIDTH[letter] and (not kind.is_text or kind.name in ("char", "wchar"))


def _check_length(tag: Tag, kind: Kind) -> None:
    if kind.is_text and not 0 <= tag.length <= kind.most:
        raise AddressMistake(
            "E-S7-LENGTH",
            "type",
            Text(
                en=f"A {kind.name} cannot have {tag.length} characters.",
                zh=f"{kind.name} 不能有 {tag.length} 个字符。",
            ),
            Text(en=f"Write 1 to {kind.most}.", zh=f"请写 1 到 {kind.most}。"),
        )
    if not kind.is_text and tag.type is ValueType.STRING and tag.length > 1:
        raise AddressMistake(
            "E-S7-LENGTH",
            "type",
            Text(en=f"A {kind.name} has no length.", zh=f"{kind.name} 没有长度。"),
            Text(en=f"Write {kind.name}.", zh=f"请写 {kind.name}。"),
        )


def _type_message(tag: Tag) -> Text:
    name = tag.wire or tag.type
    return Text(
        en=f"Type '{name}' cannot be read at '{tag.address}'.",
        zh=f"不能在“{tag.address}”处读取类型“{name}”。",
    )


def _unknown_type(tag: Tag) -> AddressMistake:
    cure = Text(
        en="Use a type of the controller (int, real, s5time, string[20], ...) or one of the agent's.",
        zh="请使用控制器的类型(int、real、s5time、string[20] 等)或代理自带的类型。",
    )
    return AddressMistake("E-S7-TYPE", "type", _type_message(tag), cure)


def _wrong_area(tag: Tag, kind: Kind) -> AddressMistake:
    cure = Text(
        en="Timers and counters have addresses such as T5 and C3; a time in a data block is an s5time.",
        zh="定时器和计数器的地址形如 T5、C3；数据块中的时间请用 s5time。",
    )
    return AddressMistake("E-S7-TYPE", "type", _type_message(tag), cure)


def _wrong_width(tag: Tag, point: Point, kind: Kind, size: int) -> AddressMistake:
    letters = "X" if kind.type is ValueType.BOOL else "B" if kind.is_text else _letter(size)
    prefix = "DB" if point.area == "DB" else point.area
    wanted = f"{prefix}{letters}" if letters != "X" or point.area == "DB" else f"{prefix}10.3"
    return AddressMistake(
        "E-S7-WIDTH",
        "address",
        Text(
            en=f"'{tag.address}' does not have the width of type '{tag.wire or tag.type}'.",
            zh=f"“{tag.address}”的宽度与类型“{tag.wire or tag.type}”不符。",
        ),
        Text(
            en=f"For '{tag.wire or tag.type}' use {wanted}.",
            zh=f"类型“{tag.wire or tag.type}”请使用 {wanted}。",
        ),
    )


def _letter(size: int) -> str:
    return {1: "B", 2: "W", 4: "D", 8: "L"}.get(size, "B")


def _check_bit(tag: Tag, point: Point) -> None:
    if point.letter == "X" and (point.bit is None or point.bit > 7):
        raise AddressMistake(
            "E-S7-BIT",
            "address",
            Text(
                en=f"'{tag.address}' needs a bit number from 0 to 7.",
                zh=f"“{tag.address}”需要 0 到 7 的位号。",
            ),
            Text(en="Write for example DB1.DBX0.3 or M10.3.", zh="例如写成 DB1.DBX0.3 或 M10.3。"),
        )
    if point.letter != "X" and point.bit is not None:
        raise AddressMistake(
            "E-S7-BIT",
            "address",
            Text(
                en=f"'{tag.address}' has a bit number, but is not the address of a bit.",
                zh=f"“{tag.address}”带有位号，但不是位地址。",
            ),
            Text(
                en="Leave out the bit, or write DB1.DBX0.3 or M10.3 with type bool.",
                zh="请去掉位号，或写成 DB1.DBX0.3、M10.3 并将类型设为 bool。",
            ),
        )


def _out_of_range(tag: Tag) -> AddressMistake:
    return AddressMistake(
        "E-S7-RANGE",
        "address",
        Text(
            en=f"'{tag.address}' lies outside what an S7 controller has.",
            zh=f"“{tag.address}”超出 S7 控制器的地址范围。",
        ),
        Text(
            en=f"Data blocks are numbered 1 to {_DB_MAX}, bytes 0 to {_BYTES_MAX - 1}, timers and counters 0 "
            f"to {_NUMBERS_MAX - 1}.",
            zh=f"数据块编号为 1 到 {_DB_MAX}，字节编号为 0 到 {_BYTES_MAX - 1}，"
            f"定时器和计数器编号为 0 到 {_NUMBERS_MAX - 1}。",
        ),
    )

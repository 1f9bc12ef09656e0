"""What a value is on the wire: its type name, how wide it is, how its bytes lie.

Byte orders, by the places of the bytes of a value whose most significant byte is A:

====  =======  =======  ===============  ==============================================
name  2 bytes  4 bytes  8 bytes          in words
====  =======  =======  ===============  ==============================================
ABCD  A B      A B C D  A B C D E F G H  big-endian throughout; what the standard says
BADC  B A      B A D C  B A D C F E H G  bytes swapped inside each register
CDAB  A B      C D A B  G H E F C D A B  registers in reverse order ("low word first")
DCBA  B A      D C B A  H G F E D C B A  little-endian throughout
====  =======  =======  ===============  ==============================================

A bit or a byte of a register belongs to the 16-bit number that the order makes of that register. Of a string
only the bytes inside each register are swapped (BADC, DCBA) or not (ABCD, CDAB): its registers always stand
in reading order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_agent.model import Tag, ValueType

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings


class ByteOrder(StrEnum):
    ABCD = "ABCD"
    BADC = "BADC"
    CDAB = "CDAB"
    DCBA = "DCBA"

    @property
    def swaps(self) -> bool:
        """Whether the bytes of each register are swapped before ``struct`` reads them."""
        return self in (ByteOrder.BADC, ByteOrder.CDAB)

    @property
    def direction(self) -> str:
        return ">" if self in (ByteOrder.ABCD, ByteOrder.BADC) else "<"

    @property
    def low_byte_first(self) -> bool:
        """Whether the low byte of a register stands first on the wire."""
        return self in (ByteOrder.BADC, ByteOrder.DCBA)


@dataclass(frozen=True, slots=True)
class Kind:
    """``format``: of struct, for a whole value. ``registers``: how many it takes; of a string per 2 bytes."""

    name: str
    value: ValueType
    format: str
    registers: int = 1
    is_bcd: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("bool", ValueType.BOOL, "H"),  # a bit of a register
        Kind("int8", ValueType.INT8, "b"),  # a byte of a register
        Kind("uint8", ValueType.UINT8, "B"),
        Kind("int16", ValueType.INT16, "h"),
        Kind("uint16", ValueType.UINT16, "H"),
        Kind("int32", ValueType.INT32, "i", 2),
        Kind("uint32", ValueType.UINT32, "I", 2),
        Kind("int64", ValueType.INT64, "q", 4),
        Kind("uint64", ValueType.UINT64, "Q", 4),
        Kind("float16", ValueType.FLOAT32, "e"),
        Kind("float32", ValueType.FLOAT32, "f", 2),
        Kind("float64", ValueType.FLOAT64, "d", 4),
        Kind("bcd16", ValueType.UINT16, "H", 1, is_bcd=True),
        Kind("bcd32", ValueType.UINT32, "I", 2, is_bcd=True),
        Kind("bcd64", ValueType.UINT64, "Q", 4, is_bcd=True),
        Kind("string", ValueType.STRING, "s"),
    )
}
TYPES = {name: kind.value for name, kind in KINDS.items() if name not in frozenset(ValueType)}
"""The names a tag table may use beyond the agent's own."""

REGISTER_KINDS = tuple(kind for kind in KINDS if kind not in ("bool", "int8", "uint8", "string"))
"""Those that take whole registers and no length."""

ENCODINGS = ("utf-8", "gbk")


def kind_name(tag: Tag) -> str:
    return tag.wire or str(tag.type)


def registers_of(kind: str, length: int = 1) -> int:
    """How many registers a value of this kind takes; ``length`` in bytes, of a string. KeyError for a kind
    that Modbus does not have."""
    return (length + 1) // 2 if kind == "string" else KINDS[kind].registers


def order_of(settings: ModbusSettings, tag: Tag) -> ByteOrder:
    return ByteOrder(tag.byte_order.strip().upper() or settings.byte_order)


def encoding_of(settings: ModbusSettings, tag: Tag) -> str:
    return normal_encoding(tag.encoding) or settings.encoding


def normal_encoding(name: str) -> str:
    """``UTF8`` and ``utf-8`` are one; what is unknown stays as it is."""
    plain = name.strip().lower().replace("_", "-")
    return {"utf8": "utf-8", "gb2312": "gbk", "cp936": "gbk"}.get(plain, plain)


def bcd(number: int) -> int | None:
    """0x1234 -> 1234. None where a digit is above 9: then it is not BCD."""
    try:
        return int(f"{number:x}")
    except ValueError:
        return None


def text_decoder(encoding: str) -> Callable[[bytes], str | None]:
    """Bytes of a string -> text without its padding: it ends at the first NUL, trailing spaces go. None where
    the bytes are not text in that encoding."""

    def decode(data: bytes) -> str | None:
        end = data.find(b"\0")
        try:
            return (data if end < 0 else data[:end]).decode(encoding).rstrip(" ")
        except UnicodeDecodeError:
            return None

    return decode

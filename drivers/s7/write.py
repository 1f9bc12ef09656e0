"""One raw value -> one Write Var. Pure. Whether it may be written at all is decided long before; here it is
only refused what the protocol cannot write alone or safely."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from drivers.s7.address import AddressMistake, Place, Point, locate, parse
from drivers.s7.kinds import KINDS, Kind
from drivers.s7.pdu import Range, write_request
from edge_agent.errors import Refused
from edge_agent.model import Tag, Value, ValueType
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings


def write_pdu(settings: S7Settings, tag: Tag, raw: Value) -> bytes:
    """The request PDU with reference 0. Raises Refused.

    Inputs are overwritten by their terminals in the next cycle. A bit shares its byte with whatever else the
    program keeps there: it is written only where the byte is declared exclusive. Texts are not written: how
    long a STRING may be is known to the controller only, and a longer one would run into what follows it.
    """
    try:
        place = locate(tag, settings.encoding)
    except AddressMistake as mistake:
        raise _refused(tag, str(mistake)) from mistake
    obstacle = _obstacle(settings, place)
    if obstacle is not None:
        raise _refused(tag, obstacle.en)
    kind = KINDS[place.kind]
    target = Range(place.area, place.db, place.start, place.length)
    if place.bit is None:
        return write_request(target, _pack(tag, kind, raw))
    if not isinstance(raw, bool):
        raise _refused(tag, f"{raw!r} is not a bool")
    return write_request(target, bytes((raw,)), place.bit)


def unwritable(settings: S7Settings, tag: Tag) -> Text | None:
    """See ``DriverPlugin.unwritable``."""
    try:
        return _obstacle(settings, locate(tag, settings.encoding))
    except AddressMistake:  # of the tag or in exclusive_bytes; ``check`` tells
        return None


def _obstacle(settings: S7Settings, place: Place) -> Text | None:
    """Why nothing can be written there, whatever the value."""
    if place.area == "I":
        return Text(
            "an input follows its terminal and cannot be written; let the program copy a bit or word of a "
            "data block or of M",
            "输入区跟随端子，不能写入；请让程序从数据块或 M 区复制",
        )
    if KINDS[place.kind].is_text:
        return Text("texts are not written", "不写入文本")
    if place.bit is None or is_exclusive(place, settings.exclusive_bytes):
        return None
    byte = Point(place.area, place.db, "B", place.start, None)
    return Text(
        f"{byte} is not one of exclusive_bytes: the program may write its other bits at the same moment; "
        f"where nothing but this agent writes that byte, add {byte} to exclusive_bytes",
        f"{byte} 不在 exclusive_bytes 中：程序可能同时写该字节的其他位；"
        f"如果只有本代理写该字节，请将 {byte} 加入 exclusive_bytes",
    )


def is_exclusive(place: Place, exclusive_bytes: Sequence[str]) -> bool:
    return (place.area, place.db, place.start) in {exclusive_byte(text) for text in exclusive_bytes}


def exclusive_byte(text: str) -> tuple[str, int, int]:
    """(area, data block, byte). Raises AddressMistake for what is not the address of one byte."""
    point = parse(text)
    locate(Tag(text, text, ValueType.UINT8))
    return point.area, point.db, point.start


def _pack(tag: Tag, kind: Kind, raw: Value) -> bytes:
    if not _has_type(kind.type, raw):
        raise _refused(tag, f"{raw!r} is not a value of type {kind.name}")
    try:
        return struct.pack(">" + kind.code, raw if kind.revert is None else kind.revert(raw))
    except (ValueError, OverflowError, struct.error) as error:
        raise _refused(tag, f"{raw!r} does not fit type {kind.name}: {error}") from error


def _has_type(wanted: ValueType, raw: Value) -> bool:
    if wanted is ValueType.STRING:
        return isinstance(raw, str)
    if isinstance(raw, float):
        return wanted.is_float and isfinite(raw)
    return isinstance(raw, int) and not isinstance(raw, bool)


def _refused(tag: Tag, why: str) -> Refused:
    return Refused(f"{tag.name} ({tag.address}): {why}", reason="permission")

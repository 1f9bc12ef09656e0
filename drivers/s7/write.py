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
    kind = KINDS[place.kind]
    if place.area == "I":
        raise _refused(tag, "an input follows its terminal and cannot be written")
    if kind.is_text:
        raise _refused(tag, "texts are not written")
    target = Range(place.area, place.db, place.start, place.length)
    if place.bit is None:
        return write_request(target, _pack(tag, kind, raw))
    if not isinstance(raw, bool):
        raise _refused(tag, f"{raw!r} is not a bool")
    if not is_exclusive(place, settings.exclusive_bytes):
        byte = Point(place.area, place.db, "B", place.start, None)
        raise _refused(tag, f"{byte} is not one of exclusive_bytes: the program may write its other bits")
    return write_request(target, bytes((raw,)), place.bit)


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

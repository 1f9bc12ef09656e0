"""Memory as bytes, for commissioning: what they can mean. Big-endian throughout, as S7 is. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.s7.address import AddressMistake, Place, Point, locate, parse
from drivers.s7.kinds import KINDS, Kind
from edge_agent.driver import Form
from edge_agent.model import Tag, Value, ValueType

if TYPE_CHECKING:
    from drivers.s7.settings import S7Settings

_NUMBERS = ("int", "word", "real", "dint", "dword", "lreal", "bcd16", "s5time")
_LETTERS = {1: "B", 2: "W", 4: "D", 8: "L"}
_DB = re.compile(r"%?DB(\d{1,5})", re.ASCII | re.IGNORECASE)
_LAST = 65_535


class S7Prober:
    """Meets ``edge_agent.driver.Prober``. An address may be a whole block: ``DB1`` is its first byte. What
    has two bytes or more begins at an even byte, as STEP 7 and TIA lay out
    blocks that are not optimised."""

    cell_bytes = 1
    align_bytes = 2

    def forms(self, settings: S7Settings) -> Sequence[Form]:
        return [Form(name, "", KINDS[name].size, _decoder(KINDS[name])) for name in _NUMBERS]

    def cells(self, settings: S7Settings, address: str, before: int, after: int) -> Sequence[Tag]:
        whole = _DB.fullmatch(address.strip())
        point = parse(f"DB{whole[1]}.DBB0" if whole else address)
        if point.area in ("T", "C"):
            tag = Tag(str(point), str(point), ValueType.UINT16, wire="word")
            locate(tag)
            return ()
        first = max(0, point.start - before) // 2 * 2
        last = min(_LAST, point.start + after)
        return [_cell(replace(point, bit=None, german=False), byte) for byte in range(first, last + 1)]

    def cells_of(self, settings: S7Settings, tag: Tag) -> Sequence[Tag]:
        place, point = locate(tag, settings.encoding), parse(tag.address)
        if point.area in ("T", "C"):
            return ()
        return [_cell(replace(point, bit=None, german=False), byte) for byte in range(place.start, place.end)]

    def place(self, settings: S7Settings, cell: Tag) -> tuple[str, int]:
        place: Place = locate(cell, settings.encoding)
        return (f"DB{place.db}" if place.area == "DB" else place.area), place.start

    def address(self, cell: Tag, form: Form) -> str:
        return str(replace(parse(cell.address), letter=_LETTERS[form.size]))

    def usual(self, settings: S7Settings, tags: Sequence[Tag]) -> Sequence[str]:
        points = [parse(tag.address) for tag in tags]
        firsts = {
            (p.area, p.db): str(Point(p.area, p.db, "B", 0, None)) for p in points if p.area not in ("T", "C")
        }
        return list(firsts.values())

    def encoded(self, settings: S7Settings, tag: Tag, raw: Value) -> bytes | None:
        try:
            kind = KINDS[locate(tag, settings.encoding).kind]
        except AddressMistake:
            return None
        if kind.is_text or kind.type is ValueType.BOOL or raw is None:
            return None
        try:
            return struct.pack(">" + kind.code, raw if kind.revert is None else kind.revert(raw))
        except (ValueError, TypeError, OverflowError, struct.error):
            return None

    def notation(self, tag: Tag) -> str:
        return ""

    def elsewhere(self, settings: S7Settings, tag: Tag) -> str:
        return ""


def _cell(point: Point, byte: int) -> Tag:
    address = str(replace(point, letter="B", start=byte))
    return Tag(address, address, ValueType.UINT8)


def _decoder(kind: Kind) -> Callable[[bytes], int | float | None]:
    unpack, convert = struct.Struct(">" + kind.code).unpack, kind.convert

    def decode(data: bytes) -> int | float | None:
        stored: int | float = unpack(data)[0]
        if convert is None:
            return stored
        try:
            value = convert(stored)
        except ValueError:
            return None
        return value if isinstance(value, int | float) else None

    return decode

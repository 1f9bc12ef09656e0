"""What stands in a table of a device, without a tag table: which places answer, and what they read as.

As few requests as possible: as many places at once as the device takes; where it refuses, halves, down to the
places that do not exist.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from drivers.modbus.address import Address, Table
from drivers.modbus.request import read_of
from drivers.modbus.scan import PAUSE_S, connected
from edge_agent.driver import Link, Request, Survey
from edge_agent.errors import Refused, Replan, StationSilent
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

TIMEOUT_S = 2.0
COUNT = 100
_TABLES = {table.prefix: table for table in Table}

Seen = dict[int, bytes]
"""Place -> its register's two bytes, or one byte of a bit."""


def look(settings: ModbusSettings, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
    """``tries``: ``table`` hr, ir, co or di (one), ``start`` and ``count``. A finding per place that answers:
    ``address``, ``raw`` (hexadecimal), and of registers ``uint16``, ``int16`` and, where the next one answers
    as well, ``int32``, ``float32`` and both with the words exchanged (``..._cdab``). ``steps`` counts places.
    Raises StationSilent where the station says nothing, Refused where it has no such table."""
    tries = tries or {}
    table = _TABLES[str((tries.get("table") or ("hr",))[0]).lower()]
    start = int((tries.get("start") or (0,))[0])
    count = max(0, min(int((tries.get("count") or (COUNT,))[0]), 0x10000 - start))
    most = settings.max_bits if table.is_bits else settings.max_registers
    requests = -(-count // most)
    return Survey(
        count,
        requests * (settings.timeout or TIMEOUT_S),
        lambda survey: _Look(survey, settings, table).run(start, count, most),
    )


class _Look:
    """``_absent``: places the device does not have."""

    def __init__(self, survey: Survey, settings: ModbusSettings, table: Table) -> None:
        self._survey = survey
        self._settings = settings
        self._table = table
        self._absent = 0

    async def run(self, start: int, count: int, most: int) -> AsyncIterator[Mapping[str, Any]]:
        end, shown = start + count, start
        link = await connected(self._settings)
        try:
            await link.enrol(self._settings)
            self._survey.begin()
            seen: Seen = {}
            for first in range(start, end, most):
                size = min(most, end - first)
                seen |= await self._read(link, first, size)
                # The last register waits: a value may begin in it and end in the next request's first.
                ready = end if first + size == end else first + size - 1
                for offset in range(shown, ready):
                    if offset in seen:
                        yield _place(self._table, offset, seen)
                shown = ready
                await asyncio.sleep(PAUSE_S)
        finally:
            await link.close()
        if self._absent:
            self._survey.notes.append(
                Text(
                    f"{self._absent} of {count} places do not exist in this device.",
                    f"{count} 个地址中有 {self._absent} 个在该设备中不存在。",
                )
            )

    async def _read(self, link: Link, first: int, size: int) -> Seen:
        """The places of a range that exist; a refusal of several is a refusal of one of them."""
        read = read_of(self._settings.station, self._table, first, size)
        self._survey.trying = read.place
        try:
            async with asyncio.timeout(self._settings.timeout or TIMEOUT_S):
                data = await link.exchange(Request((), read, text=read.place))
        except TimeoutError:
            raise StationSilent(
                Text(
                    f"station {read.station} does not answer: {read.place}",
                    f"站号 {read.station} 无应答：{read.place}",
                )
            ) from None
        except (Refused, Replan) as error:
            if error.reason == "illegal_function":
                raise
            if size == 1:
                self._survey.done += 1
                self._absent += 1
                return {}
            half = size // 2
            return await self._read(link, first, half) | await self._read(link, first + half, size - half)
        self._survey.done += size
        return dict(enumerate(_split(self._table, data, size), first))


def _split(table: Table, data: bytes, count: int) -> list[bytes]:
    if table.is_bits:
        return [bytes((data[number // 8] >> number % 8 & 1,)) for number in range(count)]
    return [data[2 * number : 2 * number + 2] for number in range(count)]


def _place(table: Table, offset: int, seen: Seen) -> dict[str, Any]:
    data, place = seen[offset], Address(table, offset)
    found: dict[str, Any] = {"address": str(place), "reference": place.reference}
    if table.is_bits:
        return found | {"raw": data.hex(), "bool": bool(data[0])}
    found |= {"raw": data.hex(" "), "uint16": int.from_bytes(data), "int16": _number(">h", data)}
    following = seen.get(offset + 1)
    if following is not None:
        straight, crossed = data + following, following + data
        found |= {
            "int32": _number(">i", straight),
            "float32": _number(">f", straight),
            "int32_cdab": _number(">i", crossed),
            "float32_cdab": _number(">f", crossed),
        }
    return found


def _number(form: str, data: bytes) -> int | float | None:
    """None for what is no finite number."""
    number: int | float = struct.unpack(form, data)[0]
    return number if isfinite(number) else None

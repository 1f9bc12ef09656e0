"""Who answers behind a link, for commissioning. Every candidate is asked for one holding register; whatever
it replies, a refusal included, shows that it is there. ``scan_line`` finds the speed and parity of a bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drivers.modbus import identify
from drivers.modbus.address import Table
from drivers.modbus.cost import is_serial
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.link_open import open_link
from drivers.modbus.request import read_of
from edge_agent.driver import Link, Request, Survey
from edge_agent.errors import LinkLost, StationError, StationSilent
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

STATIONS = range(1, 248)
ITSELF = 255  # by which a device on Ethernet is asked for itself, not for a bus behind it
TIMEOUT_S = 0.3
PAUSE_S = 0.02
"""After an answer, so that a gateway has room for its other clients."""
_CONNECT_S = 3.0
_SUSPICIOUS = 20  # so many stations, and each of them answers: more likely it is one device

Finding = dict[str, Any]


def scan(settings: ModbusSettings, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
    """Findings ``{"station": 7, "said": ...}`` in the order of ``tries["station"]``. On a serial port also
    ``baud`` and ``parity``, of those that ``tries`` names. With transaction ids also, under ``about``, which
    tables answer and how the device identifies itself."""
    tries = tries or {}
    if is_serial(settings.link):
        from drivers.modbus.scan_line import scan_line

        return scan_line(settings, tries)
    stations = tuple(tries.get("station") or (*STATIONS, ITSELF))
    timeout_s = settings.timeout or TIMEOUT_S
    return Survey(
        len(stations),
        len(stations) * timeout_s,
        lambda survey: _behind(survey, settings, stations),
    )


async def _behind(
    survey: Survey, settings: ModbusSettings, stations: Sequence[int]
) -> AsyncIterator[Mapping[str, Any]]:
    """A device that closes the connection at a strange station number is connected to again."""
    link: Link | None = None
    found = 0
    try:
        for station in stations:
            survey.step(f"{settings.link} {station}")
            link = link or await connected(settings)
            try:
                answer = await ask_table(link, settings, station, Table.HOLDING)
                finding = None if answer is None else finding_of(station, answer)
                if finding is not None and isinstance(link, ModbusTcpLink):
                    finding["about"] = await _about(link, settings, station, isinstance(answer, bytes))
            except LinkLost:
                await link.close()
                link = None
                continue
            if finding is not None:
                found += 1
                yield finding
                await asyncio.sleep(PAUSE_S)
    finally:
        if link is not None:
            await link.close()
    if found == len(stations) >= _SUSPICIOUS:
        survey.notes.append(_EVERY_NUMBER)


_EVERY_NUMBER = Text(
    "Every number answers: this is one device that does not look at the unit id, not a gateway. Use 1.",
    "每个单元号都有应答：这是一台忽略单元号的设备，不是网关。请用 1。",
)


async def connected(settings: ModbusSettings) -> Link:
    """A new link, connected. Raises LinkLost."""
    link = open_link(settings)
    try:
        async with asyncio.timeout(_CONNECT_S):
            await link.connect()
    except TimeoutError:
        await link.close()
        raise LinkLost(f"no connection within {_CONNECT_S:g} s", reason="timeout") from None
    except BaseException:
        await link.close()
        raise
    return link


def finding_of(station: int, answer: bytes | StationError) -> Finding:
    if isinstance(answer, StationError):
        return {"station": station, "said": str(answer), "said_zh": f"有应答，但拒绝读取：{answer}"}
    place = read_of(station, Table.HOLDING, 0, 1).place
    return {"station": station, "said": f"{place} is readable", "said_zh": f"{place} 可读"}


async def ask_table(
    link: Link, settings: ModbusSettings, station: int, table: Table, timeout_s: float | None = None
) -> bytes | StationError | None:
    """The first place of a table: its data, how it was refused, or None for silence. Raises LinkLost."""
    read = read_of(station, table, 0, 1)
    await link.enrol(settings.model_copy(update={"station": station}))
    try:
        async with asyncio.timeout(timeout_s or settings.timeout or TIMEOUT_S):
            data: bytes = await link.exchange(Request((), read, text=read.place))
    except (TimeoutError, StationSilent):
        return None
    except StationError as error:
        return error
    return data


async def _about(link: ModbusTcpLink, settings: ModbusSettings, station: int, holding: bool) -> Finding:
    """Which tables answer, and what the device says it is. Raises LinkLost."""
    others = (Table.INPUT, Table.COIL, Table.DISCRETE)
    answers = {table: await ask_table(link, settings, station, table) for table in others}
    readable = [Table.HOLDING.prefix] * holding
    readable += [table.prefix for table, answer in answers.items() if isinstance(answer, bytes)]
    about: Finding = {"tables": readable}
    try:
        async with asyncio.timeout(settings.timeout or TIMEOUT_S):
            about |= identify.parse(await link.ask(station, identify.REQUEST))
    except (TimeoutError, StationError):
        pass  # it does not identify itself
    return about

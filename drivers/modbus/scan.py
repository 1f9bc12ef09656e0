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
    heard = _Heard()
    try:
        for station in stations:
            link = link or await connected(settings)
            survey.step(f"{settings.link} {station}")
            try:
                answer = await ask_table(link, settings, station, Table.HOLDING)
                if isinstance(answer, StationSilent):
                    heard.gateway = answer
                    continue
                finding = None if answer is None else finding_of(station, answer)
                if finding is not None and isinstance(link, ModbusTcpLink):
                    finding["about"] = await _about(link, settings, station, isinstance(answer, bytes))
            except LinkLost as error:
                heard.lost.append(error)
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
    if not found:
        survey.silence = heard.words(settings.link, stations)


class _Heard:
    """What came although no device answered. ``gateway``: its word that nobody is behind it."""

    def __init__(self) -> None:
        self.gateway: StationSilent | None = None
        self.lost: list[LinkLost] = []

    def words(self, link: str, stations: Sequence[int]) -> Text | None:
        if self.gateway is not None:
            return Text(
                f"The gateway at {link} answers, but no device behind it does at unit {spans(stations)} "
                f"({self.gateway}). Check the wiring and speed of the bus behind it, and try other numbers "
                "with --units.",
                f"{link} 的网关有应答，但单元号 {spans(stations)} 后面没有设备应答"
                f"（{self.gateway.text.zh}）。请检查网关后面总线的接线和波特率，"
                "或用 --units 换其他单元号。",
            )
        strange = [error for error in self.lost if error.reason == "mismatch"]
        if strange:
            return Text(
                f"The port of {link} answers, but not in Modbus ({strange[0]}). Is it another service, or is "
                "tcp:// written where the gateway needs rtu+tcp://, or the other way round?",
                f"{link} 的端口有应答，但不是 Modbus（{strange[0].text.zh}）。"
                "该端口是否为其他服务？tcp:// 与 rtu+tcp:// 是否写反？",
            )
        if len(self.lost) == len(stations):
            return Text(
                f"{link} takes connections and ends each of them without an answer: another protocol, or a "
                "device that lets only certain addresses in.",
                f"{link} 接受连接，但每次都不应答就断开：可能是其他协议，或设备只允许指定的地址访问。",
            )
        return None


def spans(numbers: Sequence[int]) -> str:
    """(1, 2, 3, 7) -> "1-3,7"."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


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
        raise LinkLost(
            Text(f"no connection within {_CONNECT_S:g} s", f"{_CONNECT_S:g} s 内未能连接"), reason="timeout"
        ) from None
    except BaseException:
        await link.close()
        raise
    return link


def finding_of(station: int, answer: bytes | StationError) -> Finding:
    if isinstance(answer, StationError):
        return {"station": station, "said": str(answer), "said_zh": f"有应答，但拒绝读取：{answer.text.zh}"}
    place = read_of(station, Table.HOLDING, 0, 1).place
    return {"station": station, "said": f"{place} is readable", "said_zh": f"{place} 可读"}


async def ask_table(
    link: Link, settings: ModbusSettings, station: int, table: Table, timeout_s: float | None = None
) -> bytes | StationError | None:
    """The first place of a table: its data, how it was refused, StationSilent where a gateway says that the
    station is, or None for silence. Raises LinkLost."""
    read = read_of(station, table, 0, 1)
    await link.enrol(settings.model_copy(update={"station": station}))
    try:
        async with asyncio.timeout(timeout_s or settings.timeout or TIMEOUT_S):
            data: bytes = await link.exchange(Request((), read, text=read.place))
    except TimeoutError:
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

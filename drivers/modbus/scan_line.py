"""The speed, parity and stations of a serial bus nobody has written down.

One bus has one setting. The lowest numbers, where most devices stand, are asked at every combination first,
and the others after that; as soon as anybody answers, only that combination is gone on with. A reply counts
only with a sound checksum, so a combination that was found is right.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers.modbus.address import Table
from drivers.modbus.cost import cost_of
from drivers.modbus.endpoint import endpoint
from drivers.modbus.scan import STATIONS, Finding, ask_table, connected, finding_of
from drivers.modbus.serial_port import SerialWire, holding, made_by
from edge_agent.driver import Survey
from edge_agent.errors import BadReply, LinkLost, StationSilent
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings
    from edge_agent.driver import Link

RESPONSE_S = 0.15
"""A device that takes longer to answer is not found; give ``timeout`` then."""
LISTEN_S = 1.0
"""A master that polls says something at least so often."""
FIRST = 10
"""Stations that are asked at every combination before the others."""
_OPENING_S = 0.1

Line = tuple[int, str]
"""Baud and parity."""


def scan_line(settings: ModbusSettings, tries: Mapping[str, Sequence[Any]]) -> Survey:
    """Findings ``{"baud": 9600, "parity": "even", "stop_bits": 1, "station": 7, "said": ...}``; see
    ``scan.scan``. Without ``tries`` for the line, its settings as they are."""
    lines = list(product(tries.get("baud") or (settings.baud,), tries.get("parity") or (settings.parity,)))
    stations = tuple(tries.get("station") or STATIONS)
    rounds_s = 2 * len(lines) * _OPENING_S
    return Survey(
        len(lines) * len(stations),
        sum(_wait_s(_on(settings, line)) for line in lines) * len(stations) + rounds_s,
        lambda survey: _Search(survey, settings, lines, stations).run(),
        lambda: in_use(settings),
    )


class _Search:
    """One search. ``_damaged``: combinations at which something came that was no sound frame."""

    def __init__(
        self, survey: Survey, settings: ModbusSettings, lines: Sequence[Line], stations: Sequence[int]
    ) -> None:
        self._survey = survey
        self._settings = settings
        self._lines = lines
        self._first, self._others = stations[:FIRST], stations[FIRST:]
        self._damaged: dict[Line, int] = {}

    async def run(self) -> AsyncIterator[Mapping[str, Any]]:
        right: Line | None = None
        for stations in (self._first, self._others):
            for line in self._lines if right is None else (right,):
                async for finding in self._ask(line, stations):
                    right = line
                    yield finding
                if right is not None:
                    break
        if right is None:
            self._tell_damage()

    async def _ask(self, line: Line, stations: Sequence[int]) -> AsyncIterator[Finding]:
        if not stations:
            return
        settings = _on(self._settings, line)
        link = await connected(settings)
        try:
            for station in stations:
                self._survey.step(f"{line[0]} 8{line[1][0].upper()}{settings.stop_bits} #{station}")
                found = await self._one(link, settings, line, station)
                if found is not None:
                    said = {"baud": line[0], "parity": line[1], "stop_bits": settings.stop_bits}
                    yield said | found
        finally:
            await link.close()

    async def _one(self, link: Link, settings: ModbusSettings, line: Line, station: int) -> Finding | None:
        answer = await ask_table(link, settings, station, Table.HOLDING, _wait_s(settings))
        if isinstance(answer, BadReply):
            self._damaged[line] = self._damaged.get(line, 0) + 1
            return None
        if answer is None or isinstance(answer, StationSilent):
            return None
        return finding_of(station, answer)

    def _tell_damage(self) -> None:
        if not self._damaged:
            return
        places = ", ".join(f"{baud} {parity}" for baud, parity in self._damaged)
        self._survey.notes.append(
            Text(
                f"Something answered, but damaged, at {places}: check the wires A and B, the shield and the "
                "termination; two devices with one number sound alike.",
                f"在 {places} 收到了损坏的应答：请检查 A、B 线、屏蔽层和终端电阻；两台设备站号相同也会如此。",
            )
        )


def _on(settings: ModbusSettings, line: Line) -> ModbusSettings:
    return settings.model_copy(update={"baud": line[0], "parity": line[1]})


def _wait_s(settings: ModbusSettings) -> float:
    """How long one station has: its time to answer, and the frames on the line."""
    return settings.timeout or RESPONSE_S + cost_of(settings).ns(2) / 1e9


async def in_use(settings: ModbusSettings) -> Sequence[Text]:
    """Processes that have the port open; where there are none, whether another master is heard."""
    device = endpoint(settings.link).device
    users = await asyncio.to_thread(holding, device)
    others = [
        _user(device, process, name)
        for process, name in users
        if process != os.getpid() and not made_by(process, device)
    ]
    if others:
        return others
    heard = await _heard(settings, device)
    if not heard:
        return ()
    return [
        Text(
            f"{heard} bytes came within {LISTEN_S:g} s although nothing was asked: another master is polling "
            "this bus, and questions from here would collide with its own.",
            f"未发送任何请求，{LISTEN_S:g} 秒内却收到 {heard} 字节：总线上有另一个主站在轮询，"
            "此处的请求会与它冲突。",
        )
    ]


async def _heard(settings: ModbusSettings, device: str) -> int:
    """Bytes that come without being asked for; at a wrong speed they are other bytes, but they come."""
    wire, pieces = SerialWire(device, settings), list[int]()

    def gone(loss: LinkLost) -> None: ...

    try:
        await wire.open(lambda data: pieces.append(len(data)), gone)
        await asyncio.sleep(LISTEN_S)
    finally:
        await wire.close()
    return sum(pieces)


def _user(device: str, process: int, name: str) -> Text:
    if _is_agent(process):
        return Text(
            f"The running agent (process {process}) polls through {device}. `sudo systemctl stop edge-agent` "
            "frees the port and `sudo systemctl start edge-agent` goes on afterwards; nothing is polled "
            "meanwhile.",
            f"正在运行的代理（进程 {process}）占用 {device}。执行 `sudo systemctl stop edge-agent` "
            "可释放串口，之后执行 `sudo systemctl start edge-agent` 恢复；期间不采集数据。",
        )
    return Text(
        f"{name} (process {process}) has {device} open: close that program first.",
        f"{name}（进程 {process}）占用 {device}：请先关闭该程序。",
    )


def _is_agent(process: int) -> bool:
    try:
        words = (Path("/proc") / str(process) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"run" in words and any(word.endswith((b"edge-agent", b"edge_agent")) for word in words)

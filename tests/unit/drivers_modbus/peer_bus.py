"""A bus that says exactly what a test tells it to say, on TCP or on a pseudo-terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.modbus import PLUGIN
from drivers.modbus.link_bus import ModbusBusLink
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Request
from edge_agent.model import Tag, ValueType
from hardware_mocks.serial_frames import FRAMINGS
from hardware_mocks.serial_lines import PtyLine, TcpLine

Script = Callable[[bytes], Iterable[bytes]]
"""Station and PDU of a request -> the pieces to send at once."""

SCHEMES = ("rtu+tcp", "ascii+tcp", "rtu", "ascii")


class PeerBus:
    """``received``: station and PDU of every request. ``script`` may be exchanged at any time."""

    def __init__(self, scheme: str, folder: Path) -> None:
        framing, _, over_tcp = scheme.partition("+")
        self.scheme = scheme
        self.line = TcpLine() if over_tcp else PtyLine(folder / "bus")
        self.received: list[bytes] = []
        self.arrived_s: list[float] = []
        self.script: Script = lambda request: ()
        self._frames = FRAMINGS[framing]()
        self._buffer = bytearray()

    @property
    def link(self) -> str:
        return f"{self.scheme}://{self.line.place}"

    def framed(self, body: bytes) -> bytes:
        return self._frames.frame(body)

    def send(self, data: bytes) -> None:
        self.line.write(data)

    def settings(self, station: int = 17, **keys: Any) -> ModbusSettings:
        speed = {} if self.line.port else {"baud": 115_200}
        return ModbusSettings.model_validate({"link": self.link, "station": station} | speed | keys)

    async def start(self) -> None:
        await self.line.open(self._heard)

    async def stop(self) -> None:
        await self.line.shut()

    def _heard(self, data: bytes) -> None:
        self._buffer += data
        for body in self._frames.cut(self._buffer):
            self.received.append(body)
            self.arrived_s.append(asyncio.get_running_loop().time())
            for piece in self.script(body):
                self.send(piece)


def reply_to(request: bytes, content: bytes) -> bytes:
    """Station and PDU of the right reply."""
    return request[:2] + bytes([len(content)]) + content


def request_for(*addresses: str, station: int = 17, kind: ValueType = ValueType.UINT16) -> Request:
    settings = ModbusSettings(link="rtu:///dev/ttyS0", station=station, max_gap=2000)
    tags = [Tag(f"t{i}", address, kind) for i, address in enumerate(addresses)]
    (request,) = PLUGIN.plan(settings, tags, None, None).requests
    return request


@asynccontextmanager
async def linked(peer: PeerBus, **keys: Any) -> AsyncIterator[ModbusBusLink]:
    settings = peer.settings(**keys)
    link = PLUGIN.open_link(settings)
    assert isinstance(link, ModbusBusLink)
    try:
        await link.connect()
        await link.enrol(settings)
        yield link
    finally:
        await link.close()

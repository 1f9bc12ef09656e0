"""The S7 driver meets the driver contract, before python-snap7's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio

from drivers.s7 import PLUGIN
from edge_agent.model import Tag, Value, ValueType
from edge_agent.testing.driver_contract import WireDriverContract
from edge_agent.testing.wire import HoldingProxy
from tests.unit.drivers_s7.plc import Snap7Plc


class ServedPlc:
    def __init__(self) -> None:
        self._plc = Snap7Plc(
            {
                1: bytes.fromhex("01 05 ff fe 41 20 00 00"),
                2: bytes(range(16)),
                3: bytes.fromhex("0a 04 c2 af ce c2 00 00 00 00 00 00"),
                "M": bytes.fromhex("08"),
                "T": bytes.fromhex("00 00 11 23"),
            }
        )
        self._proxy = HoldingProxy("127.0.0.1", self._plc.start())
        self.expected: tuple[Value, ...] = (True, 5, -2, 10.0, 0x08090A0B0C0D0E0F, "炉温", True, 12300)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"link": f"tcp://127.0.0.1:{self._proxy.port}", "timeout": "1s"}

    @property
    def held(self) -> int:
        return self._proxy.held

    async def start(self) -> None:
        await self._proxy.start()

    def hold(self) -> None:
        self._proxy.hold()

    def change(self) -> None:
        self._plc.memory[1][:] = bytes.fromhex("00 06 ff fd 41 a0 00 00")
        self._plc.memory[2][:] = bytes(range(16, 32))
        self._plc.memory[3][:] = b"\x0a\x02ok" + bytes(8)
        self._plc.memory["M"][:] = b"\x00"
        self._plc.memory["T"][:] = bytes.fromhex("00 00 00 05")
        self.expected = (False, 6, -3, 20.0, 0x18191A1B1C1D1E1F, "ok", False, 50)

    def release(self) -> None:
        self._proxy.release()

    async def stop(self) -> None:
        await self._proxy.stop()
        await self._plc.stop()


class TestS7(WireDriverContract):
    plugin = PLUGIN
    tags = (
        Tag("running", "DB1.DBX0.0", ValueType.BOOL),
        Tag("recipe", "DB1.DBB1", ValueType.UINT8),
        Tag("offset", "DB1.DBW2", ValueType.INT16),
        Tag("level", "DB1.DBD4", ValueType.FLOAT32),
        Tag("energy", "DB2.DBL8", ValueType.UINT64),
        Tag("batch", "DB3.DBB0", ValueType.STRING, length=10),
        Tag("flag", "%M0.3", ValueType.BOOL),
        Tag("pause", "T1", ValueType.UINT32, wire="timer"),
    )
    mistakes = (
        Tag("syntax", "DB1.W10", ValueType.INT16),
        Tag("bit", "DB1.DBX0.8", ValueType.BOOL),
        Tag("width", "DB1.DBW0", ValueType.FLOAT32),
        Tag("block", "DB0.DBB0", ValueType.UINT8),
        Tag("text", "DB1.DBW0", ValueType.STRING, length=20),
        Tag("timer", "DB1.DBW0", ValueType.UINT32, wire="timer"),
        Tag("order", "DB1.DBW0", ValueType.INT16, byte_order="CDAB"),
    )

    def valid_settings(self) -> Mapping[str, Any]:
        return {"link": "tcp://127.0.0.1:102", "rack": 0, "slot": 1}

    @pytest_asyncio.fixture
    async def device(self) -> AsyncIterator[ServedPlc]:
        device = ServedPlc()
        await device.start()
        yield device
        await device.stop()

"""The modbus driver meets the driver contract, against a server that is not ours: pymodbus's own.

A relay before the server makes it late; the values change through the server's own action hook."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import PLUGIN
from edge_agent.driver import Request
from edge_agent.model import Tag, Value, ValueType
from edge_agent.testing.driver_contract import WireDriverContract
from edge_agent.testing.wire import HoldingProxy

STATION = 7
SIZE = 40


class PymodbusDevice:
    """Two sets of values; ``change`` goes from one to the other."""

    def __init__(self) -> None:
        self._round = 0
        self._server: ModbusTcpServer | None = None
        self._proxy: HoldingProxy | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        assert self._proxy is not None
        return {"link": f"tcp://127.0.0.1:{self._proxy.port}", "station": STATION, "max_gap": 2}

    @property
    def expected(self) -> tuple[Value, ...]:
        n = self._round
        return (0.5 + n, -5 - n, 3_000_000_000 + n, n == 0, n == 1, 2.0**40 + n, -(2**60) + n, n == 0, 77 + n)

    def _registers(self) -> list[int]:
        """Holding registers and input registers alike; every value packed by hand from ``expected``."""
        pressure, offset, energy, bit3, _, total, big, _, raw = self.expected
        image = bytearray(2 * SIZE)
        struct.pack_into(">f", image, 0, pressure)
        struct.pack_into(">h", image, 2 * 2, offset)
        image[2 * 4 : 2 * 6] = _words_reversed(struct.pack(">I", energy))
        struct.pack_into(">H", image, 2 * 6, 0x0008 if bit3 else 0x0010)
        struct.pack_into(">d", image, 2 * 12, total)
        struct.pack_into(">q", image, 2 * 20, big)
        struct.pack_into(">H", image, 2 * 30, raw)
        return list(struct.unpack(f">{SIZE}H", image))

    async def _act(
        self, function: int, start: int, address: int, count: int, registers: list[int], written: object
    ) -> None:
        fresh = [0x0002 if self._round == 0 else 0] if function <= 2 else self._registers()
        registers[: len(fresh)] = fresh

    async def start(self) -> None:
        bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
        registers = [SimData(0, count=SIZE, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(STATION, simdata=(bits, bits, registers, registers), action=self._act)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", 0))
        await self._server.serve_forever(background=True)
        port = self._server.transport.sockets[0].getsockname()[1]
        self._proxy = HoldingProxy("127.0.0.1", port)
        await self._proxy.start()
        self.hold, self.release = self._proxy.hold, self._proxy.release

    @property
    def held(self) -> int:
        assert self._proxy is not None
        return self._proxy.held

    def change(self) -> None:
        self._round = 1 - self._round

    async def stop(self) -> None:
        assert self._proxy is not None and self._server is not None
        await self._proxy.stop()
        await self._server.shutdown()


def _words_reversed(data: bytes) -> bytes:
    return b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))


class TestModbus(WireDriverContract):
    plugin = PLUGIN
    tags = (
        Tag("pressure", "hr:0", ValueType.FLOAT32),
        Tag("offset", "40003", ValueType.INT16),
        Tag("energy", "hr:4", ValueType.UINT32, byte_order="CDAB"),
        Tag("pump_on", "40007.3", ValueType.BOOL),
        Tag("valve_on", "hr:6.4", ValueType.BOOL),
        Tag("total", "hr:12", ValueType.FLOAT64),
        Tag("big", "ir:20", ValueType.INT64),
        Tag("running", "co:1", ValueType.BOOL),
        Tag("raw", "300031", ValueType.UINT16),
    )
    mistakes = (
        Tag("no_address", "hr:x", ValueType.UINT16),
        Tag("no_table", "20001", ValueType.UINT16),
        Tag("out_of_range", "hr:65536", ValueType.UINT16),
        Tag("past_the_end", "hr:65535", ValueType.FLOAT32),
        Tag("int_on_coil", "co:0", ValueType.INT16),
        Tag("bool_on_register", "hr:0", ValueType.BOOL),
        Tag("bit_16", "hr:0.16", ValueType.BOOL),
        Tag("order", "hr:1", ValueType.INT32, byte_order="ABDC"),
        Tag("text", "co:20", ValueType.STRING, length=10),
        Tag("too_long", "hr:20", ValueType.STRING, length=251),
        Tag("half_register", "hr:21", ValueType.INT8),
    )

    def valid_settings(self) -> Mapping[str, Any]:
        return {"link": "tcp://127.0.0.1", "station": STATION, "timeout": "500ms"}

    @pytest_asyncio.fixture
    async def device(self) -> AsyncIterator[PymodbusDevice]:
        device = PymodbusDevice()
        await device.start()
        yield device
        await device.stop()

    async def test_a_foreign_request_object_comes_back_untouched(self, device: PymodbusDevice) -> None:
        """The supervisor may rebuild a Request around the same body, such as for an ad-hoc read."""
        settings = self.settings(device.settings)
        link = PLUGIN.open_link(settings)
        await link.connect()
        try:
            plan = self.planned(settings)
            rebuilt = [await link.exchange(Request(r.tags, r.body)) for r in plan.requests]
            assert plan.decode(rebuilt).values == device.expected
        finally:
            await link.close()

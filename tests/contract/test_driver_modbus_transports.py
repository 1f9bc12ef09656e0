"""The modbus driver meets the driver contract on every transport, against a simulated bus or server that
shares no code with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN
from edge_agent.model import Tag, Value, ValueType
from edge_agent.testing.driver_contract import WireDriverContract
from edge_agent.testing.wire import HoldingProxy
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.serial_lines import PtyLine, TcpLine
from tests.unit.drivers_modbus.bank import Bank
from tests.unit.drivers_modbus.certificates import Authority, server_context

STATION = 7


class ServedBank:
    """Two sets of values; ``change`` goes from one to the other."""

    def __init__(self) -> None:
        self._round = 0
        self.bank = Bank(64)
        self._fill()

    @property
    def expected(self) -> tuple[Value, ...]:
        n = self._round
        return (0.5 + n, -5 - n, n == 0, 2.0**40 + n, n == 0, 77 + n)

    def change(self) -> None:
        self._round = 1 - self._round
        self._fill()

    def _fill(self) -> None:
        pressure, offset, pump, total, running, raw = self.expected
        self.bank.put(0, "f", float(pressure or 0))
        self.bank.put(2, "h", offset or 0)  # type: ignore[arg-type]
        self.bank.put(6, "H", 8 if pump else 16)
        self.bank.put(12, "d", float(total or 0))
        self.bank.put(30, "H", raw or 0)  # type: ignore[arg-type]
        self.bank.flags[1] = bool(running)


class BusDevice(ServedBank):
    """On a simulated serial bus, with a second station that is not asked."""

    def __init__(self, scheme: str, folder: Path) -> None:
        super().__init__()
        framing, _, over_tcp = scheme.partition("+")
        line = TcpLine() if over_tcp else PtyLine(folder / "bus")
        units = {STATION: self.bank, STATION + 1: Bank(64)}
        self._scheme = scheme
        self._bus = ModbusSerialServer(units, line, framing=framing)

    @property
    def settings(self) -> Mapping[str, Any]:
        keys = {"link": f"{self._scheme}://{self._bus.place}", "station": STATION, "max_gap": 2}
        return keys | ({} if self._bus.port else {"baud": 115_200})

    @property
    def held(self) -> int:
        return len(self._bus.held)

    async def start(self) -> None:
        await self._bus.start()

    def hold(self) -> None:
        self._bus.holding = True

    def release(self) -> None:
        self._bus.release()

    async def stop(self) -> None:
        await self._bus.close()


class TlsDevice(ServedBank):
    """Behind a relay that passes the encrypted bytes on, or holds them back."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        authority = Authority(folder, "plant")
        server, self._own = authority.issue("server", "127.0.0.1"), authority.issue("agent")
        self._ca = authority.ca
        self._server = ModbusServer({STATION: self.bank}, tls=server_context(authority, server))
        self._proxy: HoldingProxy | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "link": f"tls://127.0.0.1:{self.proxy.port}",
            "station": STATION,
            "max_gap": 2,
            "ca_file": self._ca,
            "cert_file": self._own.cert,
            "key_file": self._own.key,
        }

    @property
    def proxy(self) -> HoldingProxy:
        assert self._proxy is not None
        return self._proxy

    @property
    def held(self) -> int:
        return self.proxy.held

    async def start(self) -> None:
        await self._server.start()
        self._proxy = HoldingProxy("127.0.0.1", self._server.port)
        await self._proxy.start()

    def hold(self) -> None:
        self.proxy.hold()

    def release(self) -> None:
        self.proxy.release()

    async def stop(self) -> None:
        await self.proxy.stop()
        await self._server.close()


class Transport(WireDriverContract):
    __test__ = False
    plugin = PLUGIN
    scheme: ClassVar[str]
    tags = (
        Tag("pressure", "hr:0", ValueType.FLOAT32),
        Tag("offset", "40003", ValueType.INT16),
        Tag("pump_on", "40007.3", ValueType.BOOL),
        Tag("total", "hr:12", ValueType.FLOAT64),
        Tag("running", "co:1", ValueType.BOOL),
        Tag("raw", "300031", ValueType.UINT16),
    )
    mistakes = (Tag("no_address", "hr:x", ValueType.UINT16), Tag("on_coil", "co:0", ValueType.INT16))
    writes = (
        (Tag("one", "40003", ValueType.INT16), -1234),
        (Tag("two", "hr:0", ValueType.FLOAT32), 0.25),
        (Tag("four", "hr:12", ValueType.FLOAT64), 3.5),
        (Tag("bit", "hr:6.5", ValueType.BOOL), True),
        (Tag("coil", "co:1", ValueType.BOOL), False),
    )
    refusals = (
        (Tag("input", "ir:30", ValueType.UINT16), 1),
        (Tag("wide", "hr:2", ValueType.INT16), 40_000),
    )

    @pytest_asyncio.fixture
    async def device(self, tmp_path: Path) -> AsyncIterator[Any]:
        device = TlsDevice(tmp_path) if self.scheme == "tls" else BusDevice(self.scheme, tmp_path)
        await device.start()
        yield device
        await device.stop()

    def valid_settings(self) -> Mapping[str, Any]:
        place = "/dev/ttyS9" if self.scheme in ("rtu", "ascii") else "127.0.0.1:1502"
        keys = {"link": f"{self.scheme}://{place}", "station": STATION, "timeout": "500ms"}
        return keys | ({"ca_file": "ca.pem"} if self.scheme == "tls" else {})


class TestTls(Transport):
    __test__ = True
    scheme = "tls"


class TestRtu(Transport):
    __test__ = True
    scheme = "rtu"


class TestAscii(Transport):
    __test__ = True
    scheme = "ascii"


class TestRtuOverTcp(Transport):
    __test__ = True
    scheme = "rtu+tcp"


class TestAsciiOverTcp(Transport):
    __test__ = True
    scheme = "ascii+tcp"


def test_every_transport_has_a_suite() -> None:
    suites = {suite.scheme for suite in Transport.__subclasses__()}
    assert suites == {"tls", "rtu", "ascii", "rtu+tcp", "ascii+tcp"}


@pytest.mark.parametrize("suite", Transport.__subclasses__())
def test_suites_run(suite: type[Transport]) -> None:
    """``__test__`` is inherited: forgotten, a suite would pass by not running."""
    assert suite.__test__

"""Which stations answer: on a bus, and on a device that closes the connection at a strange number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.errors import LinkLost
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.serial_lines import PtyLine
from tests.plant.site import free_port
from tests.unit.drivers_modbus.bank import Bank

pytestmark = pytest.mark.timeout(60)


async def found(settings: ModbusSettings) -> dict[int, str]:
    assert PLUGIN.scan is not None
    findings = [finding async for finding in PLUGIN.scan(settings)]
    assert [f["station"] for f in findings] == sorted(f["station"] for f in findings)
    return {finding["station"]: finding["said"] for finding in findings}


async def test_on_a_bus_who_refuses_is_found_too(tmp_path: Path) -> None:
    bus = ModbusSerialServer({3: Bank(10), 17: Bank(0), 247: Bank(10)}, PtyLine(tmp_path / "bus"))
    await bus.start()
    try:
        answers = await found(ModbusSettings(link=f"rtu://{bus.place}", baud=115_200, timeout="30ms"))
    finally:
        await bus.close()
    assert list(answers) == [3, 17, 247]
    assert "exception 2" in answers[17] and "readable" in answers[3]
    assert bus.requests.total() == 247, "each is asked once"


@pytest.mark.parametrize("units", [{1: 10, 255: 10}, {9: 10}])
async def test_on_a_connection(units: Mapping[int, int]) -> None:
    server = ModbusServer({unit: Bank(size) for unit, size in units.items()}, 0)
    await server.start()
    try:
        settings = ModbusSettings(link=f"tcp://127.0.0.1:{server.port}", timeout="20ms")
        assert list(await found(settings)) == list(units)
    finally:
        await server.close()


async def test_nobody_there() -> None:
    with pytest.raises(LinkLost):
        await found(ModbusSettings(link=f"tcp://127.0.0.1:{free_port()}", timeout="20ms"))

"""Which stations answer: on a bus, and on a device that closes the connection at a strange number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from drivers.modbus import PLUGIN, identify
from drivers.modbus.settings import ModbusSettings
from edge_agent.errors import LinkLost
from hardware_mocks.faults import Behaviour, Fault
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
        answers = await found(ModbusSettings(link=f"rtu://{bus.place}", baud=115_200, timeout="50ms"))
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
        settings = ModbusSettings(link=f"tcp://127.0.0.1:{server.port}", timeout="40ms")
        assert list(await found(settings)) == list(units)
    finally:
        await server.close()


async def test_nobody_there() -> None:
    with pytest.raises(LinkLost):
        await found(ModbusSettings(link=f"tcp://127.0.0.1:{free_port()}", timeout="20ms"))


async def test_a_bus_that_answers_damaged_is_told_so(tmp_path: Path) -> None:
    bus = ModbusSerialServer({3: Bank(10)}, PtyLine(tmp_path / "bus"))
    await bus.start()
    await bus.set_fault(3, Behaviour(Fault.WRONG_FUNCTION))
    assert PLUGIN.scan is not None
    settings = ModbusSettings(link=f"rtu://{bus.place}", timeout="100ms")
    survey = PLUGIN.scan(settings, {"baud": (9600, 19200), "station": (2, 3)})
    try:
        assert [finding async for finding in survey] == []
    finally:
        await bus.close()
    assert "damaged" in survey.notes[0].en and "9600 even, 19200 even" in survey.notes[0].en
    assert survey.done == survey.steps == 4


def test_identification_is_read_from_a_sound_reply_only() -> None:
    sound = b"\x2b\x0e\x01\x01\x00\x00\x03\x00\x02AB\x01\x01C\x02\x031.0"
    assert identify.parse(sound) == {"vendor": "AB", "product": "C", "revision": "1.0"}
    for size in range(len(sound)):
        assert identify.parse(sound[:size]) == {}
    assert identify.parse(b"\xab\x01") == {}

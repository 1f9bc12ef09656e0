"""Which floats are suspected, and what explains them."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.doctor_values import absurd, by_value, impossible, sensible
from drivers.modbus.settings import ModbusSettings
from edge_agent.model import Scaling, Tag, ValueType
from edge_agent.settings import Finding
from hardware_mocks.modbus import ModbusServer
from tests.unit.drivers_modbus.bank import Bank

TAG = Tag("pressure", "hr:2", ValueType.FLOAT32)


def misread(value: float, device: str, configured: str) -> float:
    """A float32 that the device sends in one order, read in another."""
    wire = bytes(pack(">f", value)["ABCD".index(letter)] for letter in device)
    number: float = unpack(">f", bytes(wire[configured.index(letter)] for letter in "ABCD"))[0]
    return number


@pytest.mark.parametrize("value", [0.0, 0.4, -0.4, 23.7, 850.0, 1e-3, 1.2e7, 3.4e9, -50_000.0, 1e-6])
def test_measurements_are_not_absurd(value: float) -> None:
    assert not absurd(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e-30, -1e-8, -2e7, 1e20])
def test_what_nobody_measures(value: float) -> None:
    assert absurd(value) and not sensible(value)


@pytest.mark.parametrize("device", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize("configured", ["ABCD", "CDAB", "BADC", "DCBA"])
def test_the_order_is_named_from_a_value_somebody_else_read(device: str, configured: str) -> None:
    settings = ModbusSettings(link="tcp://h", byte_order=configured)
    row = {"pressure": {"value": misread(123.456, device, configured)}}
    finding = by_value(settings, [TAG], row)
    if device == configured:
        assert finding is None
    else:
        assert finding is not None and finding.code == "modbus_byte_order"
        assert f"as {device} they do" in finding.message.en and "123.456" in finding.message.en


def test_a_scaled_value_says_nothing_of_its_bytes() -> None:
    tag = Tag("pressure", "hr:2", ValueType.FLOAT32, scaling=Scaling(2.0, 1.0))
    settings = ModbusSettings(link="tcp://h")
    assert by_value(settings, [tag], {"pressure": {"value": -1e20}}) is None


class TwoTables(Bank):
    """Input registers are a memory of their own."""

    def __init__(self) -> None:
        super().__init__(20)
        self.inputs = Bank(20)

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        own = super() if table == "hr" else self.inputs
        return own.registers(table, start, count)


async def diagnosed(device: TwoTables, address: str) -> list[Finding]:
    assert PLUGIN.doctor is not None
    server = ModbusServer({1: device})
    await server.start()
    try:
        settings = ModbusSettings(link=f"tcp://127.0.0.1:{server.port}")
        tags = [Tag("pressure", address, ValueType.FLOAT32)]
        return list(await PLUGIN.doctor().diagnose(settings, tags))
    finally:
        await server.close()


@pytest.mark.parametrize(("address", "right"), [("ir:2", "hr:2 = 400003"), ("hr:6", "ir:6 = 300007")])
async def test_a_value_in_the_other_table_is_found(address: str, right: str) -> None:
    device = TwoTables()
    device.put(2, "f", 0.4)
    device.inputs.put(2, "HH", 8500, 400)
    device.put(6, "HH", 8500, 400)
    device.inputs.put(6, "f", 23.75)
    (finding,) = await diagnosed(device, address)
    assert finding.code == "modbus_table"
    assert right in finding.message.en and right in finding.message.zh


@pytest.mark.parametrize("words", [(0, 2), (8500, 400), (0x7171, 0x7171)])
async def test_what_no_machine_measures_is_told_where_nothing_explains_it(words: tuple[int, int]) -> None:
    device = TwoTables()
    device.put(2, "HH", *words)
    (finding,) = await diagnosed(device, "hr:2")
    assert (finding.code, finding.kind) == ("modbus_strange_value", "fault")
    assert "pressure hr:2 = 400003: " in finding.message.zh and "pressure --try-orders" in finding.cure.zh


async def test_zero_and_a_value_that_a_vacuum_gauge_may_have_are_left_alone() -> None:
    device = TwoTables()
    assert await diagnosed(device, "hr:2") == []
    device.put(2, "f", 3e-9)
    assert await diagnosed(device, "hr:2") == []


def test_beside_a_running_agent_too() -> None:
    settings = ModbusSettings(link="tcp://h")
    finding = by_value(settings, [TAG], {"pressure": {"value": 8500 * 1e-45}})
    assert finding is not None and finding.code == "modbus_strange_value"
    assert impossible(1e-18) and not impossible(float("inf")) and not impossible(0.0)

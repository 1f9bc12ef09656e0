"""Which floats are suspected, and what explains them."""

from __future__ import annotations

from struct import pack, unpack

import pytest

from drivers.modbus.doctor_values import absurd, order_by_value, sensible
from drivers.modbus.settings import ModbusSettings
from edge_agent.model import Scaling, Tag, ValueType

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
    finding = order_by_value(settings, [TAG], row)
    if device == configured:
        assert finding is None
    else:
        assert finding is not None and finding.code == "modbus_byte_order"
        assert f"as {device} they do" in finding.message.en and "123.456" in finding.message.en


def test_a_scaled_value_says_nothing_of_its_bytes() -> None:
    tag = Tag("pressure", "hr:2", ValueType.FLOAT32, scaling=Scaling(2.0, 1.0))
    settings = ModbusSettings(link="tcp://h")
    assert order_by_value(settings, [tag], {"pressure": {"value": -1e20}}) is None

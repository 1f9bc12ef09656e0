"""The sim driver meets the driver contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.sim import PLUGIN
from edge_agent.model import Tag, Value, ValueType
from edge_agent.testing.driver_contract import DriverContract


@dataclass
class SimulatedDevice:
    settings: Mapping[str, Any]
    expected: tuple[Value, ...]


class TestSim(DriverContract):
    plugin = PLUGIN
    tags = (
        Tag("setpoint", "constant:5.5", ValueType.FLOAT32),
        Tag("offset", "constant:-7", ValueType.INT16),
        Tag("running", "constant:1", ValueType.BOOL),
        Tag("pieces", "counter", ValueType.UINT32),
    )
    mistakes = (
        Tag("no_signal", "cosine:60s", ValueType.FLOAT32),
        Tag("no_period", "sine:0s", ValueType.FLOAT32),
        Tag("too_small", "constant:300", ValueType.INT8),
        Tag("negative", "constant:-1", ValueType.UINT16),
        Tag("text", "counter", ValueType.STRING),
    )

    def valid_settings(self) -> Mapping[str, Any]:
        return {"link": "sim://test", "timeout": "1s"}

    @pytest.fixture
    def device(self) -> SimulatedDevice:
        return SimulatedDevice(self.valid_settings(), (5.5, -7, True, 1))

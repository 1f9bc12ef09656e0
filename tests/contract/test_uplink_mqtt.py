"""The MQTT uplink meets the uplink contract: both versions, both ways of confirming."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import pytest_asyncio

from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.uplinks.mqtt import PLUGIN
from tests.unit.uplinks_mqtt.park import Park


class TestMqtt5(UplinkContract):
    plugin = PLUGIN
    version: ClassVar[str] = "5"

    def valid_settings(self) -> Mapping[str, Any]:
        return {
            "url": "mqtts://park.example",
            "version": self.version,
            "username": "line",
            "password": "p4ss",
            "timeout": "1s",
        }

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Park]:
        park = Park(self.version, acks=self.confirms_late)
        await park.start()
        yield park
        await park.stop()


class TestMqtt311(TestMqtt5):
    version = "3.1.1"


class TestMqtt5Acknowledged(TestMqtt5):
    confirms_late = True


class TestMqtt311Acknowledged(TestMqtt5):
    version = "3.1.1"
    confirms_late = True

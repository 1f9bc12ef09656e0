"""HJ 212 meets the uplink contract as far as the protocol can: factors, one-second resolution, no events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import pytest_asyncio

from edge_agent.testing.destination import EPOCH, START_NS, Manner, Received
from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.uplinks.hj212 import PLUGIN
from edge_agent.uplinks.hj212.moment import read_stamp
from hardware_mocks.hj212_host import Hj212Host, Manners
from hardware_mocks.hj212_wire import Packet
from tests.unit.uplinks_hj212.vectors import MN

KEYS: dict[str, Any] = {
    "address": "tcp://127.0.0.1:1",
    "mn": MN,
    "pw": "123456",
    "st": "31",
    "over_time": "1s",
    "real_time": "1s",
    "report_start": False,
    "factors": [{"tag": "press-1.t_float32", "code": "a01012"}, {"tag": "press-1.t_int8", "code": "a19001"}],
}


def key_of(packet: Packet) -> str:
    seconds = (read_stamp(packet.data["DataTime"]) - START_NS) // 1_000_000_000
    return f"samples/{EPOCH}/{seconds}"


class Served:
    """The simulated host in the manners of the suite."""

    def __init__(self) -> None:
        self.host = Hj212Host(MN, "123456", "31")
        self.poison: Collection[str] = ()
        self.events: Mapping[str, Mapping[str, Any]] = {}

    @property
    def manner(self) -> Manner:
        raise AttributeError

    @manner.setter
    def manner(self, manner: Manner) -> None:
        made = Manners()
        made.wrong_qn = manner is Manner.MUTE
        made.late = manner is Manner.LATE
        made.answer = manner is not Manner.SILENT
        made.refuse = 3 if manner is Manner.REFUSE else None
        if manner is Manner.POISON:
            made.poison = lambda packet: key_of(packet) in self.poison
        self.host.manners = made

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**KEYS, "address": f"tcp://127.0.0.1:{self.host.port}"}

    @property
    def connections(self) -> int:
        return self.host.connections

    @property
    def messages(self) -> int:
        return len(self.host.packets)

    @property
    def received(self) -> Mapping[str, Received]:
        return {
            key_of(p): Received(
                [[p.data.get("a01012-Rtd"), p.data.get("a19001-Rtd")]], [p.data["a01012-Flag"].encode()]
            )
            for p in self.host.records.values()
        }

    async def confirm(self, keys: Sequence[str]) -> None:
        self.host.acknowledge_late(lambda packet: packet.cn == "2011" and key_of(packet) in keys)

    async def stop(self) -> None:
        await self.host.close()


class TestHj212(UplinkContract):
    plugin = PLUGIN
    confirms_late = True
    sends_events = False
    exact_values = False

    def valid_settings(self) -> Mapping[str, Any]:
        return KEYS

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Served]:
        served = Served()
        await served.host.start()
        yield served
        await served.stop()

"""The Sparkplug uplink meets the uplink contract, as far as a protocol without confirmations can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest_asyncio

from edge_agent.testing.destination import ROWS, ServedDestination, segment
from edge_agent.testing.uplink_contract import UplinkContract
from edge_agent.testing.wire import until
from edge_agent.uplink import Answer
from edge_agent.uplinks.sparkplug import PLUGIN
from tests.unit.uplinks_sparkplug.served import Served


class TestSparkplug(UplinkContract):
    plugin = PLUGIN
    confirms_late = True
    sends_events = False  # a record with a detail of its own is no metric

    def valid_settings(self) -> Mapping[str, Any]:
        return {
            "url": "mqtts://broker.example", "group": "park", "node": "hall-3", "primary_host": "scada",
            "username": "line-1", "password": "s3cret-password",
        }  # fmt: skip

    @pytest_asyncio.fixture
    async def destination(self) -> AsyncIterator[Served]:
        served = Served()
        await served.start()
        yield served
        await served.stop()

    async def test_a_late_confirmation_reaches_the_host(self, destination: ServedDestination) -> None:
        """Nobody names keys here: what a connection has outlived is confirmed in the order of sending."""
        items = [segment(1), segment(2)]
        async with self._connected(destination) as (uplink, host):
            verdicts = await uplink.send(items)
            assert [v.answer for v in verdicts] == [Answer.PENDING] * 2
            assert host.confirmed == [], "confirmed before the connection has outlived it"
            await until(lambda: bool(host.confirmed), "the late confirmation never reached the host")
            assert host.confirmed == [item.key for item in items]

    async def test_poison_spoils_itself_only(self, destination: ServedDestination) -> None:
        """A host application cannot refuse: what is set aside is what cannot be written."""
        rows = (*ROWS[:1], (*ROWS[0][:-1], "half a pair: \ud83d"))
        good, bad = segment(1), segment(2, rows)
        async with self._connected(destination) as (uplink, host):
            verdicts = await uplink.send([bad, good])
            assert [v.answer for v in verdicts] == [Answer.REJECTED, Answer.PENDING]
            assert "cannot be written" in verdicts[0].reason
            await self._await_acknowledged(verdicts[1:], [good], host)
        assert set(destination.received) == {str(good.key)}

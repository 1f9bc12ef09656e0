"""The forwarder with the HJ 212 uplink against a host that loses, doubles, damages and hangs up."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.model import UplinkConfig
from edge_agent.forwarding import Forwarder, Hooks, Timing
from edge_agent.status import UplinkRow
from edge_agent.testing.wire import until
from edge_agent.uplink import Key
from edge_agent.uplinks.hj212 import PLUGIN
from hardware_mocks.hj212_host import Hj212Host
from tests.unit.forwarding.fakes import NAME, Log, MemoryStore

from .conftest import settings_for
from .made import minute


class Line:
    def __init__(self, platform: Hj212Host, seed: int) -> None:
        self.store = MemoryStore("periods")
        self.row = UplinkRow(NAME, "hj212", "tcp://127.0.0.1")
        settings = settings_for(platform, over_time="200ms", re_count=2, window=3)
        self.forwarder = Forwarder(
            UplinkConfig(NAME, "hj212", PLUGIN, settings, 8),
            [self.store],
            agent=lambda: "a" * 32,
            line="stack",
            clock=SystemClock(),
            row=self.row,
            log=Log(),
            hooks=Hooks(event=lambda *_: None),
            random=Random(seed),
            timing=Timing(backoff_base_s=0.01, backoff_cap_s=0.05, denied_s=0.05, confirm_s=2.0),
        )

    def commit(self, count: int) -> list[Key]:
        keys = self.store.commit(count)
        self.store.units.update({key: minute(key.seq) for key in keys})
        return keys


@pytest.mark.parametrize("seed", range(4))
async def test_every_unit_arrives_and_is_settled_once(platform: Hj212Host, seed: int) -> None:
    random = Random(seed)
    line = Line(platform, seed)
    running = asyncio.create_task(line.forwarder.run())
    try:
        for _ in range(12):
            platform.manners.lose = random.randrange(2)
            platform.manners.double = random.randrange(3)
            platform.manners.corrupt = random.randrange(2)
            platform.manners.hang_up_after = random.choice([None, None, 1, 3])
            line.commit(random.randrange(1, 7))
            await asyncio.sleep(random.uniform(0, 0.05))
        platform.manners.hang_up_after = None
        await until(lambda: not line.store.open, f"seed {seed}: {line.store.open}, {line.row.reason}")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    arrived = {
        int(p.data["DataTime"][8:10]) * 60 + int(p.data["DataTime"][10:12]) for p in platform.records.values()
    }
    assert arrived == {8 * 60 + key.seq for key in line.store.acknowledged}
    assert not line.store.quarantined


async def test_nothing_is_settled_while_the_host_is_mute(platform: Hj212Host) -> None:
    platform.manners.answer = False
    line = Line(platform, 1)
    line.commit(3)
    running = asyncio.create_task(line.forwarder.run())
    try:
        await until(lambda: platform.connections >= 2, "it never tried again")
        assert line.store.acknowledged == []
        platform.manners.answer = True
        await until(lambda: not line.store.open, "never settled")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

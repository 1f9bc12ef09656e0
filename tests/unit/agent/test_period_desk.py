"""The desk of period values: state and stores, looked at from the next start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.period_desk import SAVE_NS, PeriodDesk
from edge_agent.buffer import Buffer
from edge_agent.config.model import BufferConfig, Configuration
from edge_agent.config.period_values import PeriodTag, PeriodValues
from edge_agent.config.process import TagRef
from edge_agent.model import Batch, Level, Schema, Tag, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Stream

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
MIDNIGHT = 1_767_196_800 * S  # of Beijing
SCHEMA = Schema.of("d", "g", "v", [Tag("x", "", ValueType.FLOAT64)])
TAG = PeriodTag(TagRef("d", "x"), TagRef("d", "x"), ValueType.FLOAT64, max_age_s=90.0)


class Desk:
    """A desk, both stores, and what the events' store would hold of it."""

    def __init__(self, folder: Path) -> None:
        buffer = BufferConfig(periods_bytes=50_000_000)
        self.clock = ManualClock(MIDNIGHT)
        self.configuration = Configuration("l", "v", folder, buffer=buffer, periods=PeriodValues((TAG,)))
        self.states: dict[str, Any] = {}

    async def open(self) -> None:
        self.samples = await Buffer.open(
            self.configuration.state_dir, self.configuration.buffer, self.clock, ()
        )
        self.desk = PeriodDesk(self.clock, lambda key: None)
        await self.desk.open(self.configuration, self.samples)
        await self.desk.begin(self.configuration, self.states, self.samples)

    async def run(self, seconds: int, every: int = 30, flush: int = 600) -> None:
        for second in range(0, seconds, every):
            batch = Batch(SCHEMA, self.clock.time_ns(), self.clock.mono_ns(), (1.0,), b"\0")
            self.desk.take(batch)
            self.samples.append(batch)
            self.desk.tick()
            if second % flush == 0:
                await self.samples.flush()
                await self.desk.flush()
            await self.clock.advance(every)

    async def told(self, level: Level, start_ns: int, end_ns: int) -> list[int]:
        assert self.desk.store is not None
        return [b.time_ns async for b in self.desk.store.history(None, level, start_ns, end_ns)]

    async def close(self) -> None:
        await self.desk.close()
        await self.samples.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_days_are_found_among_the_minutes_beside_which_they_are_stored(desk: Desk) -> None:
    await desk.run(2 * 86_400 + 7200, every=240, flush=1200)
    await desk.desk.flush()
    for day in range(2):
        start = MIDNIGHT + day * DAY
        assert await desk.told(Level.DAY, start, start + 1) == [start]
        assert await desk.told(Level.HOUR, start + 5 * HOUR, start + 6 * HOUR) == [start + 5 * HOUR]
        found = await desk.told(Level.MINUTE, start + 5 * HOUR, start + 6 * HOUR)
        assert found == [start + 5 * HOUR + n * MINUTE for n in range(60)]


async def test_state_is_only_given_out_when_all_that_was_told_is_on_disk(desk: Desk) -> None:
    await desk.run(120)
    assert desk.desk.store is not None and desk.desk.store.in_memory_samples
    assert desk.desk.changed() == {}
    await desk.desk.flush()
    assert set(desk.desk.changed()) == {"periods:d"}
    assert not desk.desk.due()
    await desk.clock.advance(SAVE_NS / S)
    assert desk.desk.due()


async def test_a_start_goes_on_where_the_stores_end(desk: Desk) -> None:
    await desk.run(600)
    await desk.desk.flush()
    desk.states = desk.desk.changed()
    await desk.run(930)
    await desk.samples.flush()
    await desk.desk.flush()
    await desk.close()  # but the state is that of a quarter of an hour ago
    await desk.open()
    await desk.run(3600)
    await desk.desk.flush()
    minutes = await desk.told(Level.MINUTE, MIDNIGHT, MIDNIGHT + DAY)
    assert minutes == [MIDNIGHT + n * MINUTE for n in range(len(minutes))] and len(minutes) > 80
    assert desk.desk.store is not None
    (hour,) = [b async for b in desk.desk.store.history(None, Level.HOUR, MIDNIGHT, MIDNIGHT + HOUR)]
    assert hour.values[5] == 120 and hour.values[7] == "N", "every sample of the hour, each once"


async def test_a_store_is_there_where_it_is_needed_or_was(desk: Desk, tmp_path: Path) -> None:
    bare = replace(desk.configuration, state_dir=tmp_path / "other", periods=PeriodValues())
    (tmp_path / "other").mkdir()
    other = PeriodDesk(desk.clock, lambda key: None)
    await other.open(bare, desk.samples)
    assert other.store is None and other.info() == {} and other.tick() == ()
    here = PeriodDesk(desk.clock, lambda key: None)
    await desk.desk.close()
    await here.open(replace(bare, state_dir=tmp_path), desk.samples)
    assert here.store is not None and here.store.stream is Stream.PERIODS
    assert here.info()["late_samples"] == 0
    await here.close()

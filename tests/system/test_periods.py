"""Minute values of a running agent, in their store and at the park, over restarts: each once, none left out.

The agent runs in this process under a clock that runs faster than ours: its minutes are minutes, and none of
them takes one.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.agent import Agent
from edge_agent.buffer import open_history
from edge_agent.config import load
from edge_agent.log import Once
from edge_agent.model import Batch, ClockState
from edge_agent.systemd import Notifier
from edge_agent.uplink import Stream
from tests.plant.mocks import Park
from tests.plant.site import Site

pytestmark = pytest.mark.timeout(90)

S = 10**9
MINUTE, HOUR = 60 * S, 3600 * S
NOON = 1_767_240_000 * S  # of Beijing, 2026-01-01
SPEED = 120

TAGS = [
    ("power", "constant:5", "float32", "kW", "fast"),
    ("pulses", "counter", "uint32", "kWh", "fast"),
    ("label", "constant:1", "bool", "", "fast"),
]
PERIODS = [{"tags": ["power"], "rule": "plain", "integral_per": "1h"}, {"tags": ["label"], "rule": "gas"}]
DERIVED = """counters:
  - {tag: sim-1.pulses, name: energy, nameplate: 40000 kW, max_gap: 30s}
tags:
  - {name: twice, formula: sim-1.power * 2}
periods:
  - {tags: [energy, twice]}
"""


class FastClock:
    """Wall time begins where it is told to. Both clocks run ``SPEED`` times as fast as those of the machine
    after ``go`` and hardly at all before: what a start takes on this machine is no part of the story."""

    def __init__(self, time_ns: int) -> None:
        self.boot_id = "fast"
        self._speed = 1
        self._anchor_ns = time.monotonic_ns()
        self._mono_ns = 1000 * S
        self._wall_ns = time_ns - 1000 * S

    def mono_ns(self) -> int:
        return (time.monotonic_ns() - self._anchor_ns) * self._speed + self._mono_ns

    def time_ns(self) -> int:
        return self.mono_ns() + self._wall_ns

    def go(self, speed: int) -> None:
        self._mono_ns, self._anchor_ns = self.mono_ns(), time.monotonic_ns()
        self._speed = speed

    def set(self, time_ns: int) -> None:
        self._wall_ns += time_ns - self.time_ns()

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED

    async def sleep_until(self, mono_ns: int) -> None:
        while (left_ns := mono_ns - self.mono_ns()) > 0:  # noqa: ASYNC110 - the speed may change meanwhile
            await asyncio.sleep(min(left_ns / S / self._speed, 0.05))


@asynccontextmanager
async def running(site: Site, clock: FastClock) -> AsyncIterator[Agent]:
    stop = asyncio.Event()
    speaker = Once(logging.getLogger("test"), clock.mono_ns)
    agent = Agent(
        load(site.config, environ={}), clock=clock, notifier=Notifier({}), speaker=speaker, stop=stop
    )
    task = asyncio.create_task(agent.run())
    ready = asyncio.create_task(agent.ready.wait())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    clock.go(SPEED)
    try:
        yield agent
    finally:
        clock.go(1)
        stop.set()
        ready.cancel()
        await task


async def until(clock: FastClock, time_ns: int) -> None:
    await clock.sleep_until(clock.mono_ns() + time_ns - clock.time_ns())


async def eventually(what: str, told: Callable[[], Any]) -> Any:
    async with asyncio.timeout(30):
        while not (found := await asyncio.to_thread(told)):  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)
    return found


def stored(state: Path) -> dict[tuple[str, str, int], Batch]:
    """Every period value on disk; twice the same is an error."""
    found: dict[tuple[str, str, int], Batch] = {}
    with open_history(state) as history:
        for batch in history.batches(0, 2**62, stream=Stream.PERIODS):
            key = batch.schema.device, batch.schema.group, batch.time_ns
            assert key not in found, f"{key} is stored twice"
            found[key] = batch
    return found


def figure(batch: Batch, name: str) -> Any:
    return batch.values[batch.schema.names.index(name)]


@pytest.fixture
def fast_site(tmp_path: Path, park: Park) -> Iterator[Site]:
    site = Site(tmp_path / "site", park.url, flush="1s")
    site.write_main(web={"port": 0})
    site.device("sim-1", TAGS, columns="name,address,type,unit,group", driver="sim", poll={"fast": "2s"},
                periods=PERIODS)  # fmt: skip
    (site.config / "derived.d").mkdir()
    (site.config / "derived.d" / "line.yaml").write_text(DERIVED, encoding="utf-8")
    yield site
    site.close()


async def test_every_minute_reaches_the_park_once_over_a_restart(fast_site: Site, park: Park) -> None:
    clock = FastClock(NOON + 57 * MINUTE + 20 * S)
    async with running(fast_site, clock) as agent:
        await until(clock, NOON + HOUR + MINUTE + 30 * S)
        info = agent.board.buffer()["periods"]
        assert info["state"] == "ok" and info["late_samples"] == 0
        assert info["quota_bytes"] == agent.configuration.buffer.periods_bytes
    clock.set(NOON + HOUR + 3 * MINUTE + 30 * S)  # two minutes are missed
    async with running(fast_site, clock) as agent:
        await until(clock, NOON + HOUR + 6 * MINUTE + 30 * S)
        row = agent.board.uplinks["park"]
        await eventually("all is delivered", lambda: row.pending_samples < 60 and row.acknowledged_samples)
        batches = [
            b
            async for b in agent._history(
                Stream.PERIODS, NOON, 2**62, agent.configuration.uplinks[0].selection
            )
        ]
        assert {b.schema.group for b in batches} == {"minute", "hour"}
    starts = [NOON + n * MINUTE for n in range(57, 66)]
    found = stored(fast_site.state)
    for device in ("sim-1", "derived"):
        assert sorted(t for d, level, t in found if (d, level) == (device, "minute")) == starts
        assert [t for d, level, t in found if (d, level) == (device, "hour")] == [NOON]
    arrived = park.samples("sim-1", "power.flag")
    minutes = [(t * 1000, flag) for t, flag, _, _ in arrived if t * 1000 != NOON]
    flags = dict(minutes)
    assert sorted(flags) == starts and len(minutes) == len(flags)
    assert [flags[t] for t in starts[1:4]] == ["N", "N", "N"] and flags[NOON + 62 * MINUTE] == "B"
    assert [flags[t] for t in starts[7:]] == ["N", "N"]
    whole = found["sim-1", "minute", NOON + 58 * MINUTE]
    known = figure(whole, "power.coverage") / 100  # polls of a fast clock may come late on a busy machine
    assert known > 0.75 and figure(whole, "power.avg") == 5.0
    assert figure(whole, "power.sum") == pytest.approx(5 / 60 * known, rel=1e-4), "5 kW over what is known"
    assert figure(whole, "label.flag") == "N" and 28 <= figure(whole, "label.count") <= 31
    missed = found["sim-1", "minute", NOON + 62 * MINUTE]
    assert (figure(missed, "power.avg"), figure(missed, "power.count")) == (None, 0)
    derived = found["derived", "minute", NOON + 58 * MINUTE]
    assert figure(derived, "twice.avg") == 10.0
    assert figure(derived, "energy.sum") == pytest.approx(30, abs=2), "one pulse every two seconds"
    hour = found["derived", "hour", NOON]
    sums = [figure(found["derived", "minute", t], "energy.sum") for t in starts[:3]]
    assert figure(hour, "energy.sum") == pytest.approx(sum(sums))
    report = park.report()
    assert (report["duplicates"], report["conflicts"], report["missing"], report["problems"]) == (0, 0, 0, [])
    keys = {key.partition("/")[0] for *_, key, _ in arrived}
    assert keys == {"periods"}


async def test_a_power_cut_takes_no_period_and_doubles_none(fast_site: Site, tmp_path: Path) -> None:
    """The files as they are at some moment are what the next start finds."""
    fast_site.write_main(uplinks=[])
    clock = FastClock(NOON + 10 * S)
    async with running(fast_site, clock):
        await until(clock, NOON + 7 * MINUTE + 30 * S)
        shutil.copytree(fast_site.state, tmp_path / "cut")
        cut_ns = clock.time_ns()
    before = stored(fast_site.state)
    shutil.rmtree(fast_site.state)
    shutil.copytree(tmp_path / "cut", fast_site.state)
    clock.set(cut_ns + 5 * S)
    async with running(fast_site, clock):
        await until(clock, NOON + 10 * MINUTE + 30 * S)
    found = stored(fast_site.state)
    minutes = sorted(t for d, level, t in found if (d, level) == ("sim-1", "minute"))
    assert minutes == [NOON + n * MINUTE for n in range(10)]
    for minute in range(1, 7):
        key = ("sim-1", "minute", NOON + minute * MINUTE)
        assert figure(found[key], "power.flag") == "N"
        assert found[key].values == before[key].values
    cut = found["sim-1", "minute", NOON + 7 * MINUTE]
    assert 18 <= figure(cut, "power.count") <= 30, (
        "what was read before the cut came out of the samples' store"
    )


async def test_a_store_of_before_is_emptied_though_nothing_is_chosen_any_more(
    fast_site: Site, park: Park
) -> None:
    park.mood("vanish", seconds=0)
    clock = FastClock(NOON + 10 * S)
    async with running(fast_site, clock):
        await until(clock, NOON + 2 * MINUTE + 30 * S)
    assert stored(fast_site.state)
    park.mood("ok")
    (fast_site.config / "derived.d" / "line.yaml").unlink()
    fast_site.device("sim-1", TAGS, columns="name,address,type,unit,group", driver="sim", poll={"fast": "2s"})
    async with running(fast_site, clock) as agent:
        assert agent.configuration.periods.tags == ()
        await eventually("they arrive", lambda: len(park.samples("sim-1", "power.avg")) >= 2)


async def test_a_reload_that_chooses_the_first_tag_opens_the_store(fast_site: Site, park: Park) -> None:
    derived = fast_site.config / "derived.d" / "line.yaml"
    derived.unlink()
    fast_site.device("sim-1", TAGS, columns="name,address,type,unit,group", driver="sim", poll={"fast": "2s"})
    clock = FastClock(NOON + 10 * S)
    async with running(fast_site, clock) as agent:
        assert not (fast_site.state / "periods.db").exists() and "periods" not in agent.board.buffer()
        derived.write_text(DERIVED, encoding="utf-8")
        await agent.apply(load(fast_site.config, environ={}))
        await until(clock, NOON + 3 * MINUTE + 10 * S)
        await eventually("they arrive", lambda: park.samples("derived", "twice.avg"))
        derived.write_text(DERIVED.replace("[energy, twice]", "[twice]"), encoding="utf-8")
        await agent.apply(load(fast_site.config, environ={}))
        await until(clock, NOON + 5 * MINUTE + 10 * S)
    minutes = sorted(t for d, level, t in stored(fast_site.state) if level == "minute")
    assert minutes == [NOON + n * MINUTE for n in range(5)]

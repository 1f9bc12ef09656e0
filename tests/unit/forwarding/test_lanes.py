"""What goes first, and how much at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge_agent.errors import Unreachable
from edge_agent.forwarding import outbox
from edge_agent.forwarding.forwarder import LIVE_BURST
from edge_agent.uplink import Envelope, Key, Lane, Verdict

from .fakes import Bench, MemoryStore, take_all


async def test_a_commit_is_sent_at_once_without_any_timer() -> None:
    async with Bench() as bench:
        assert bench.destination.sends == []
        keys = bench.samples.commit(3)
        await bench.work()
        assert bench.destination.sends == [keys]
        assert bench.samples.acknowledged == keys
        assert (bench.row.sends, bench.row.acknowledged_segments, bench.row.acknowledged_samples) == (
            1,
            3,
            30,
        )
        assert bench.row.up
        assert bench.row.last_success_ns == bench.clock.time_ns()


async def test_an_idle_forwarder_asks_the_stores_nothing() -> None:
    async with Bench() as bench:
        bench.samples.commit()
        await bench.work()
        takes = bench.samples.takes
        await bench.pass_time(3600)
        assert bench.samples.takes == takes


async def test_live_goes_before_backlog_and_events_before_samples() -> None:
    bench = Bench(max_segments=4)
    old = [bench.samples.commit(2), bench.samples.commit(2)]
    live = bench.samples.commit(2)
    event = bench.events.commit(1)
    async with bench:
        await bench.work()
    assert bench.destination.sends == [event + live, old[0] + old[1]]
    assert bench.destination.lanes == [{Lane.LIVE}, {Lane.BACKLOG}]


async def test_live_is_looked_at_again_after_every_chunk_of_backlog() -> None:
    bench = Bench(max_segments=2)
    for _ in range(10):
        bench.samples.commit(2)
    fresh: list[Key] = []

    def answer(items: Sequence[Envelope]) -> Sequence[Verdict]:
        if len(bench.destination.sends) == 5:  # the fifth message is under way
            fresh.extend(bench.samples.commit(1))
        return take_all(items)

    bench.destination.answer = answer
    async with bench:
        await bench.work()
    assert bench.destination.sends.index(fresh) == 5, "the next message"
    assert bench.all_settled()


async def test_backlog_drains_without_a_pause() -> None:
    bench = Bench(max_segments=2)
    for _ in range(20):
        bench.samples.commit(2)
    async with bench:
        await bench.work(1000)  # the clock does not move
    assert bench.all_settled()
    assert len(bench.destination.sends) == 20


async def test_a_flood_of_live_data_does_not_starve_the_backlog() -> None:
    bench = Bench(max_segments=1)
    backlog = bench.samples.commit(1)
    bench.samples.commit(100)
    async with bench:
        await bench.work(2000)
    assert bench.destination.sends.index(backlog) == LIVE_BURST


async def test_the_number_of_samples_in_a_message_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_SAMPLES", 100)
    bench = Bench()
    bench.samples.commit(10, samples=40)
    async with bench:
        await bench.work()
    assert [len(keys) for keys in bench.destination.sends] == [2] * 5


async def test_a_segment_larger_than_the_bound_still_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_SAMPLES", 100)
    bench = Bench()
    bench.samples.commit(2, samples=250)
    async with bench:
        await bench.work()
    assert [len(keys) for keys in bench.destination.sends] == [1, 1]


async def test_two_uplinks_of_one_store_know_nothing_of_each_other() -> None:
    """One that is down costs the other nothing."""
    down, up = Bench(stores=[MemoryStore()]), Bench(stores=[MemoryStore()])
    down.destination.refuse_connect = Unreachable("no route")
    async with down, up:
        for bench in (down, up):
            bench.stores[0].commit(5)
        await up.work()
        await down.clock.advance(120)
    assert up.all_settled()
    assert len(down.stores[0].open) == 5

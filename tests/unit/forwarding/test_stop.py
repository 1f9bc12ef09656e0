"""Cancellation at every point, and the polite stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

import pytest

from edge_agent.errors import Unacceptable, Unreachable
from edge_agent.forwarding import forwarder
from edge_agent.uplink import PENDING, Answer, Envelope, Verdict

from .fakes import RETRY, Bench, FakeUplink, take_all


class CancelAt:
    """Drives a coroutine and throws CancelledError at its ``step``-th suspension."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], step: int) -> None:
        self._coroutine = coroutine
        self._left = step
        self.reached = False

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            waited = self._coroutine.send(None)
            while True:
                if self._left == 0:
                    self.reached = True
                    self._left -= 1
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                self._left -= 1
                try:
                    value = yield waited
                except asyncio.CancelledError as error:
                    waited = self._coroutine.throw(error)
                else:
                    waited = self._coroutine.send(value)
        except StopIteration:
            return


def mixed(items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
    """Something of everything, by the key alone."""
    if any(item.key.seq % 11 == 0 for item in items):
        return Unacceptable("poison")
    kinds = (Verdict(Answer.ACKNOWLEDGED), Verdict(Answer.REJECTED, "no"), RETRY, PENDING)
    return [kinds[item.key.seq % 4] for item in items]


async def test_cancelled_at_every_point_it_leaves_no_task_and_loses_nothing() -> None:
    points = 0
    for step in range(10_000):
        bench = Bench(max_segments=8)
        for _ in range(3):
            bench.samples.commit(6)
        bench.events.commit(2)
        bench.destination.answer = mixed
        runner = CancelAt(bench.forwarder.run(), step)
        task = asyncio.ensure_future(_drive(runner))
        for _ in range(12):
            await bench.pass_time(2)
            if task.done():
                break
        if not runner.reached:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.destination.opened == bench.destination.closed
        for store in bench.stores:
            committed = set(store.units)
            assert committed == set(store.acknowledged) | set(store.quarantined) | set(store.open)
        bench.destination.answer = take_all
        await bench.forwarder.drain(5.0)
        pending = bench.forwarder._outbox.held.active()
        assert {k for s in bench.stores for k in s.open} == {item.key for item in pending}
        if not runner.reached:
            break
        points += 1
    assert points > 30


async def _drive(runner: CancelAt) -> None:
    await runner


async def test_drain_sends_what_is_committed_live_first() -> None:
    bench = Bench(max_segments=4)
    async with bench:
        await bench.work()
    old = bench.samples.commit(2)
    last = bench.samples.commit(2)
    event = bench.events.commit(1)
    await bench.forwarder.drain(5.0)
    assert bench.destination.sends == [event + last, old]
    assert bench.all_settled()
    assert bench.destination.opened == bench.destination.closed == 2


async def test_it_listens_to_its_stores_only_while_it_runs() -> None:
    """A reload may replace an uplink a hundred times: the stores must not collect those that are gone."""
    bench = Bench()
    assert [store.watchers for store in bench.stores] == [0, 0]
    async with bench:
        await bench.work()
        assert [store.watchers for store in bench.stores] == [1, 1]
    assert [store.watchers for store in bench.stores] == [0, 0]
    bench.samples.commit(2)
    await bench.forwarder.drain(5.0)
    assert bench.all_settled()


async def test_drain_tries_deferred_units_once_more_and_gives_up_at_the_first_failure() -> None:
    bench = Bench()
    bench.samples.commit(2)
    bench.destination.answer = lambda items: [Verdict(Answer.RETRY, "HTTP 503", 300.0) for _ in items]
    async with bench:
        await bench.work()
    await bench.forwarder.drain(5.0)
    assert len(bench.destination.sends) == 2
    bench.destination.answer = take_all
    await bench.forwarder.drain(5.0)
    assert bench.all_settled()


async def test_drain_of_an_unreachable_destination_is_one_try() -> None:
    bench = Bench()
    bench.samples.commit(2)
    bench.destination.refuse_connect = Unreachable("no route")
    await bench.forwarder.drain(5.0)
    assert len(bench.destination.connects) == 1
    assert len(bench.samples.open) == 2


async def test_drain_ends_at_its_deadline() -> None:
    bench = Bench()
    bench.samples.commit(2)
    bench.destination.gate = asyncio.Event()  # never answers
    async with asyncio.timeout(2):
        await bench.forwarder.drain(0.05)
    assert len(bench.samples.open) == 2
    assert bench.destination.closed == 1


async def test_drain_waits_for_confirmations_of_what_it_sent() -> None:
    bench = Bench()
    keys = bench.samples.commit(2)
    bench.destination.answer = lambda items: [PENDING for _ in items]
    draining = asyncio.ensure_future(bench.forwarder.drain(5.0))
    await bench.work()
    assert not draining.done()
    assert bench.destination.host is not None
    bench.destination.host.acknowledged(keys[:1])
    await bench.work()
    assert not draining.done()
    bench.destination.host.rejected(keys[1:], "too late")
    await bench.work()
    assert draining.done()
    assert bench.samples.acknowledged == keys[:1]
    assert bench.destination.closed == 1


@pytest.mark.parametrize("why", ["deadline", "lost"])
async def test_drain_does_not_wait_for_ever(why: str) -> None:
    bench = Bench()
    bench.samples.commit(2)
    bench.destination.answer = lambda items: [PENDING for _ in items]
    async with asyncio.timeout(2):
        draining = asyncio.ensure_future(bench.forwarder.drain(0.05 if why == "deadline" else 100.0))
        await bench.work()
        if why == "lost":
            assert bench.destination.host is not None
            bench.destination.host.lost("gone")
        await draining
    assert len(bench.samples.open) == 2
    assert bench.destination.closed == 1


async def test_what_is_under_way_is_not_cut_off_by_a_polite_stop() -> None:
    bench = Bench(max_segments=2)
    bench.samples.commit(6)
    bench.destination.gate = asyncio.Event()
    async with bench:
        await bench.work()
        finishing = asyncio.ensure_future(bench.forwarder.finish(5.0))
        await bench.work()
        assert not finishing.done()
        bench.destination.gate.set()
        await bench.work()
        assert finishing.done()
        assert len(bench.destination.sends) == 1, "and no other message"
        assert len(bench.samples.acknowledged) == 2
    await bench.forwarder.drain(5.0)
    sent = [key for message in bench.destination.sends for key in message]
    assert bench.all_settled() and len(sent) == len(set(sent)) == 6


async def test_a_polite_stop_waits_for_confirmations() -> None:
    bench = Bench()
    keys = bench.samples.commit(2)
    bench.destination.answer = lambda items: [PENDING for _ in items]
    async with bench:
        await bench.work()
        finishing = asyncio.ensure_future(bench.forwarder.finish(5.0))
        await bench.work()
        assert not finishing.done()
        assert bench.destination.host is not None
        bench.destination.host.acknowledged(keys)
        await bench.work()
        assert finishing.done()
    assert len(bench.destination.sends) == 1


@pytest.mark.parametrize("why", ["hung", "unreachable", "paused", "idle"])
async def test_a_polite_stop_does_not_wait_for_ever(why: str) -> None:
    bench = Bench()
    if why != "idle":
        bench.samples.commit(2)
    if why == "hung":
        bench.destination.gate = asyncio.Event()
    if why == "unreachable":
        bench.destination.refuse_connect = Unreachable("no route")
    if why == "paused":
        bench.destination.answer = lambda items: [Verdict(Answer.RETRY, "HTTP 503", 300.0) for _ in items]
    async with bench:
        await bench.work()
        async with asyncio.timeout(2):
            await bench.forwarder.finish(0.05 if why == "hung" else 100.0)


async def test_drain_while_running_is_refused() -> None:
    bench = Bench()
    async with bench:
        with pytest.raises(RuntimeError, match="while run"):
            await bench.forwarder.drain(1.0)


async def test_a_close_that_raises_or_hangs_does_not_stop_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(self: FakeUplink) -> None:
        if len(bench.destination.connects) == 1:
            raise OSError("cannot close")
        await asyncio.Event().wait()

    bench = Bench()
    bench.samples.commit(1)
    monkeypatch.setattr(FakeUplink, "close", hang)
    monkeypatch.setattr(forwarder, "CLOSE_LIMIT_S", 0.01)
    bench.destination.refuse_connect = Unreachable("no route")
    async with bench:
        async with asyncio.timeout(5):
            while len(bench.destination.connects) < 3:
                await asyncio.sleep(0.002)
                await bench.pass_time(1)
        bench.destination.refuse_connect = None
        async with asyncio.timeout(5):
            while not bench.all_settled():
                await asyncio.sleep(0.002)
                await bench.pass_time(1)

"""Single reads and writes between polls: when their turn is, what they cost the polls, and how each ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.acquisition import JobFailed
from edge_agent.driver import Request
from edge_agent.errors import BadReply, Busy, LinkLost, Refused, Replan, StationError, StationSilent
from edge_agent.model import Quality, Tag
from edge_agent.testing.clock import ManualClock, settle

from .bench_line import Bench

ONE = {"a": {"g": (1.0, 2)}}


def bench(devices: dict[str, dict[str, tuple[float, int]]] | None = None, **more: Any) -> Bench:
    return Bench(ManualClock(), devices or ONE, writing=True, **more)


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


async def failure(task: asyncio.Task[Any]) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        await task
    assert str(caught.value), "a sentence for a person"
    return caught.value


async def test_a_write_wakes_a_link_that_waits_for_its_next_poll() -> None:
    line = bench()
    async with line.running():
        await line.clock.advance(0.3)
        before_ns = line.clock.mono_ns()
        task = start(line.worker.write("a", "g0", 5))
        await settle()
        assert line.wire.log[-1] == (before_ns, 1, "write g0"), "at once, not at the next slot"
        await line.clock.advance(0.01)
        assert task.done() and task.result() is None
    assert line.wire.written == [(1, "g0", 5)]


async def test_in_real_time_a_job_is_done_within_milliseconds() -> None:
    """With the machine's own clock, whose sleep is the event loop's."""
    from edge_agent.clock import SystemClock

    line = Bench(SystemClock(), {"a": {"g": (30.0, 1)}}, writing=True)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    async with line.running():
        async with asyncio.timeout(10):
            while not line.good("a"):  # noqa: ASYNC110 - of the worker's own time
                await asyncio.sleep(0.005)
        spent = []
        for number in range(20):
            began_s = loop.time()
            async with asyncio.timeout(5):
                await line.worker.write("a", "g0", number)
            spent.append(loop.time() - began_s)
    assert [raw for _, _, raw in line.wire.written] == list(range(20))
    assert sorted(spent)[10] < 0.05, spent


async def test_a_read_says_what_a_poll_would_say() -> None:
    line = bench()
    async with line.running():
        await line.clock.advance(0.3)
        line.wire.answers[1] = lambda request: 41 if request.text.startswith("g1") else 40
        task = start(line.worker.read("a", "g1"))
        await line.clock.advance(0.01)
        assert task.result() == (41, Quality.GOOD)
    assert line.wire.log[-1][2].startswith("g1")


async def test_a_number_that_means_no_value_is_none_to_a_read_either() -> None:
    line = bench()
    station = line.worker._stations[0]
    tags = tuple(replace(tag, no_value=(32_767,)) for tag in station.device.tags)
    station.device = replace(station.device, tags=tags)
    async with line.running():
        await line.clock.advance(0.3)
        line.wire.answers[1] = lambda _: 32_767
        task = start(line.worker.read("a", "g0"))
        await line.clock.advance(0.01)
        assert task.result() == (None, Quality.BAD_DECODE)


async def test_a_device_that_refuses_a_way_of_reading_is_asked_another_way() -> None:
    line = bench()
    asked: list[str] = []

    def answer(request: Request) -> int:
        asked.append(request.text)
        if request.text.endswith("/None"):
            raise Replan("not so", "differently")
        return 9

    async with line.running():
        await line.clock.advance(0.3)
        line.wire.answers[1] = answer
        task = start(line.worker.read("a", "g0"))
        await line.clock.advance(0.01)
        assert task.result() == (9, Quality.GOOD)
    assert asked == ["g0/None", "g0/differently"]


async def test_a_hundred_jobs_put_off_a_poll_by_one_exchange_at_most() -> None:
    line = bench({"a": {"g": (1.0, 1)}})
    line.wire.cost_s[1] = 0.03
    async with line.running():
        await line.clock.advance(0.9)
        tasks = [start(line.worker.write("a", "g0", n)) for n in range(100)]
        await line.clock.advance(20)
        assert all(task.done() and task.exception() is None for task in tasks)
    row = line.board.devices["a"].groups["g"]
    assert row.overruns == 0
    slots = [at for at, _, text in line.wire.log if text.startswith("g0")]
    late_s = [(at - 1_000_000_000_000) % 1_000_000_000 / 1e9 for at in slots]
    assert max(late_s) <= 0.03, late_s
    assert [raw for _, _, raw in line.wire.written] == list(range(100)), "in the order in which they came"


async def test_while_a_long_read_is_due_jobs_take_a_fifth_of_the_link() -> None:
    """And they do get that: a heartbeat must not wait for the end of a read of many requests."""
    line = bench({"a": {"g": (10.0, 50)}})
    line.wire.cost_s[1] = 0.1
    async with line.running():
        await line.clock.advance(0.05)
        tasks = [start(line.worker.write("a", "g0", n)) for n in range(40)]
        await line.clock.advance(4.95)
        written, asked = len(line.wire.written), len(line.wire.log)
        assert asked >= 45
        assert 0.15 * asked <= written <= 0.25 * asked
        for task in tasks:
            task.cancel()
        await line.clock.advance(6)
        await asyncio.gather(*tasks, return_exceptions=True)
    assert line.board.devices["a"].groups["g"].overruns == 0
    assert len(line.good("a")) >= 1


async def test_a_write_whose_caller_has_given_up_is_never_done() -> None:
    line = bench()
    line.wire.cost_s[1] = 0.2
    async with line.running():
        await line.clock.advance(0.1)  # a read is under way
        task = start(line.worker.write("a", "g0", 5))
        await settle()
        task.cancel()
        await line.clock.advance(3)
        assert task.cancelled()
    assert line.wire.written == []


async def test_a_tag_or_device_that_does_not_exist() -> None:
    line = bench()
    async with line.running():
        await line.clock.advance(0.3)
        for device, tag in (("a", "gx"), ("b", "g0")):
            error = await failure(start(line.worker.write(device, tag, 1)))
            assert error.reason == "unknown" and not error.uncertain
            assert f"{device}.{tag}" in str(error)


async def test_a_driver_that_cannot_write_can_be_read() -> None:
    line = Bench(ManualClock(), ONE)
    async with line.running():
        await line.clock.advance(0.3)
        error = await failure(start(line.worker.write("a", "g0", 1)))
        assert (error.reason, error.uncertain) == ("not_writable", False)
        reading = start(line.worker.read("a", "g0"))
        await line.clock.advance(0.01)
        assert reading.result() == (7, Quality.GOOD)


async def test_without_a_connection_it_fails_at_once() -> None:
    line = bench()
    line.wire.connect_error = LinkLost("refused", reason="refused")
    async with line.running():
        for _ in range(3):
            error = await failure(start(line.worker.write("a", "g0", 1)))
            assert error.reason == "down" and not error.uncertain
            await line.clock.advance(1)
    assert line.wire.written == []


async def test_before_it_has_ever_run_it_fails_at_once() -> None:
    error = await failure(start(bench().worker.read("a", "g0")))
    assert error.reason == "down"


async def test_a_write_without_an_answer_is_uncertain_and_the_station_in_doubt() -> None:
    line = bench({"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}})

    def silent(tag: Tag, raw: Any) -> None:
        raise StationSilent("no answer within 1 s")

    async with line.running():
        await line.clock.advance(0.3)
        line.wire.writing[1] = silent
        proofs = line.wire.proofs.count(1)
        task = start(line.worker.write("a", "g0", 1))
        await line.clock.advance(0.01)
        error = await failure(task)
        assert (error.reason, error.uncertain) == ("timeout", True)
        assert "nobody knows" in str(error)
        again = await failure(start(line.worker.write("a", "g0", 1)))
        assert (again.reason, again.uncertain) == ("untrusted", False)
        assert line.board.devices["a"].failures["timeout"] == 1
        await line.clock.advance(1)
        assert line.wire.proofs.count(1) == proofs + 1, "proved before its next poll"
        del line.wire.writing[1]
        task = start(line.worker.write("a", "g0", 2))
        await line.clock.advance(0.01)
        assert task.result() is None


async def test_the_deadline_of_a_write_is_the_stations() -> None:
    line = bench({"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}}, a="40ms")
    async with line.running():
        await line.clock.advance(0.3)
        line.wire.cost_s[1] = 3600
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        error = await failure(start(line.worker.write("a", "g0", 1)))
        assert error.reason == "timeout" and loop.time() - began_s < 1.0
        assert "0.05 s" in str(error) or "0.04 s" in str(error), error


@pytest.mark.parametrize(
    ("raised", "reason", "uncertain", "trusted"),
    [
        (Refused("read-only"), "refused", False, True),
        (Busy("later"), "busy", True, True),
        (BadReply("another reply"), "mismatch", True, False),
    ],
)
async def test_what_the_device_says_decides_what_is_known(
    raised: StationError, reason: str, uncertain: bool, trusted: bool
) -> None:
    line = bench()

    def answer(tag: Tag, raw: Any) -> None:
        raise raised

    async with line.running():
        await line.clock.advance(0.3)
        line.wire.writing[1] = answer
        task = start(line.worker.write("a", "g0", 1))
        await line.clock.advance(0.01)
        error = await failure(task)
        assert (error.reason, error.uncertain) == (reason, uncertain)
        assert line.worker._stations[0].trusted is trusted
        await line.clock.advance(2)
        assert line.board.devices["a"].state == "up"


async def test_a_dead_station_is_not_asked_and_its_neighbour_is() -> None:
    line = bench({"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}})

    def silent(_: Request) -> Any:
        raise StationSilent("no answer")

    async with line.running():
        await line.clock.advance(0.3)
        line.wire.answers[1] = silent
        await line.clock.advance(6)
        assert line.board.devices["a"].state == "silent"
        error = await failure(start(line.worker.write("a", "g0", 1)))
        assert error.reason == "silent"
        task = start(line.worker.write("b", "g0", 1))
        await line.clock.advance(0.01)
        assert task.result() is None
    assert line.wire.written == [(2, "g0", 1)]


async def test_jobs_of_a_link_that_is_stopped_end() -> None:
    line = bench()
    line.wire.cost_s[1] = 0.5
    async with line.running() as worker:
        await line.clock.advance(0.1)
        first = start(line.worker.write("a", "g0", 1))
        waiting = [start(line.worker.read("a", "g0")) for _ in range(3)]
        await line.clock.advance(0.5)  # the exchange before it has ended
        assert line.wire.log[-1][2] == "write g0"
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        error = await failure(first)
        assert (error.reason, error.uncertain) == ("stopped", True)
        for task in waiting:
            assert not (await failure(task)).uncertain
        assert (await failure(start(line.worker.read("a", "g0")))).reason == "down"


async def test_jobs_of_a_link_that_breaks_end() -> None:
    line = bench()

    def broken(tag: Tag, raw: Any) -> None:
        raise LinkLost("the device closed the connection")

    async with line.running():
        await line.clock.advance(0.3)
        line.wire.writing[1] = broken
        tasks = [start(line.worker.write("a", "g0", n)) for n in range(3)]
        await line.clock.advance(0.01)
        errors = [await failure(task) for task in tasks]
        assert [e.reason for e in errors] == ["lost"] * 3
        assert [e.uncertain for e in errors] == [True, False, False], "only the first was sent"
        del line.wire.writing[1]
        await line.clock.advance(5)
        task = start(line.worker.write("a", "g0", 9))
        await line.clock.advance(0.01)
        assert task.result() is None


async def test_a_bug_in_the_driver_ends_the_job_too() -> None:
    line = bench()
    async with line.running():
        await line.clock.advance(0.3)
        line.wire.writing[1] = lambda tag, raw: 1 / 0
        task = start(line.worker.write("a", "g0", 1))
        await line.clock.advance(0.01)
        error = await failure(task)
        assert error.uncertain and "ZeroDivisionError" in str(error)
        assert line.ear.broken[0] == "bug:fake:fake"


async def test_what_a_single_read_looks_like_is_not_used_for_a_proof() -> None:
    """A late reply to it must not pass for one."""
    seen: list[list[str]] = []

    def reserve(settings: Any, plans: Any) -> Any:
        seen.append([r.text for p in plans for r in p.requests])
        from edge_agent.driver import Reserved

        return Reserved()

    line = bench({"a": {"g": (1.0, 2)}}, more={"reserve": reserve})
    async with line.running():
        await line.clock.advance(0.3)
        task = start(line.worker.read("a", "g1"))
        await line.clock.advance(0.01)
        assert task.result() == (7, Quality.GOOD)
        line.worker._stations[0].trusted = False
        await line.clock.advance(1)
    assert seen[-1] == ["g0/None", "g1/None", "g1/None"]


async def test_a_sleep_that_was_broken_off_leaves_the_schedule_alone() -> None:
    """No poll is moved, none is left out, whatever comes in between."""
    line = bench({"a": {"g": (1.0, 1)}})
    async with line.running():
        for number in range(50):
            await line.clock.advance(0.13)
            task = start(line.worker.write("a", "g0", number))
            await line.clock.advance(0.002)
            assert task.done()
    slots = [b.mono_ns for b in line.of("a")]
    assert {b - a for a, b in pairwise(slots)} == {1_000_000_000}
    assert line.board.devices["a"].groups["g"].overruns == 0

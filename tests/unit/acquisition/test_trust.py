"""Streams without transaction ids: after a silence a station must prove whose answers its answers are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.driver import Plan, Request, Reserved
from edge_agent.errors import BadReply, Replan, StationSilent
from edge_agent.model import Quality
from edge_agent.testing.clock import ManualClock

from .bench_line import Bench

PAIR = {"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}}


def silent(*_: Any) -> Any:
    raise StationSilent("no answer")


def odd(*_: Any) -> Any:
    raise BadReply("an exception reply proves nothing")


def once(error: Exception) -> Any:
    errors = iter([error])

    def answer(request: Request) -> Any:
        for raised in errors:
            raise raised
        return 5

    return answer


async def test_a_station_is_proved_before_its_first_poll_on_every_connection() -> None:
    """Another process, or an older connection, may have left a request under way."""
    bench = Bench(ManualClock(), PAIR)
    bench.wire.proof_s = {1: 0.01, 2: 0.01}
    async with bench.running():
        await bench.clock.advance(1.5)
        for number in (1, 2):
            asked = [text for _, station, text in bench.wire.log if station == number]
            assert asked[:2] == ["prove", "g0/None"]
        bench.wire.answers[1] = bench.wire.answers[2] = silent
        await bench.clock.advance(20)
        assert len(bench.wire.links) > 1
    assert bench.board.devices["a"].proofs["ok"] >= len(bench.wire.links) - 1


async def test_nothing_is_believed_until_it_is_proved() -> None:
    bench = Bench(ManualClock(), PAIR)
    bench.wire.proof_s = {1: 0.05, 2: 0.05}
    async with bench.running():
        await bench.clock.advance(1.5)
        bench.wire.answers[1] = once(StationSilent("late"))
        bench.wire.proving[1] = silent
        lost_ns = bench.clock.mono_ns()
        await bench.clock.advance(30)
        assert all(b.mono_ns < lost_ns for b in bench.good("a"))
        asked = [(ns, text) for ns, station, text in bench.wire.log if station == 1 and ns > lost_ns]
        assert {text for _, text in asked[1:]} == {"prove"}, "no poll before a proof"
        assert len(bench.good("b")) == 32, "and its neighbour has lost nothing"
        del bench.wire.proving[1]
        await bench.clock.advance(8)
    assert bench.board.devices["a"].state == "up"
    assert bench.good("a")[-1].mono_ns > lost_ns


async def test_a_failed_proof_turns_all_tags_bad_and_says_so() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1), "slow": (60.0, 2)}, "b": {"g": (1.0, 1)}})
    bench.wire.proof_s = {1: 0.3}
    states: list[str] = []
    async with bench.running():
        await bench.clock.advance(1.5)
        assert len(bench.good("a", "slow")) == 1
        bench.wire.answers[1] = once(StationSilent("late"))
        tries = iter([silent])
        bench.wire.proving[1] = lambda: next(tries, lambda: None)()
        for _ in range(60):
            await bench.clock.advance(0.05)
            states.append(bench.board.devices["a"].state)
    assert list(dict.fromkeys(states)) == ["up", "proving"]
    assert bench.of("a", "slow")[-1].quality == bytes([Quality.BAD_COMM] * 2), "not only those of the poll"
    assert states[-1] == "up"
    row = bench.board.devices["a"]
    assert row.proofs == {"ok": 2, "failed": 1}


async def test_after_the_proof_the_same_slot_is_polled() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (10.0, 3)}, "b": {"g": (10.0, 1)}})
    bench.wire.proof_s = {1: 0.05}
    async with bench.running():
        await bench.clock.advance(0.5)
        bench.wire.answers[1] = once(StationSilent("late"))
        await bench.clock.advance(10)
    last = bench.of("a")[-1]
    assert last.quality == bytes([Quality.BAD_COMM, 0, 0]), "one request was lost, not the read"


async def test_a_proof_is_one_exchange_and_neighbours_come_between() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}, "b": {"fast": (0.2, 1)}}, a="400ms")
    bench.wire.proof_s = {1: 0.15}
    async with bench.running():
        await bench.clock.advance(2.05)
        bench.wire.proving[1], bench.wire.answers[1] = silent, silent
        bench.wire.cost_s[1] = 0.15
        await bench.clock.advance(4)
    times = [b.mono_ns / 1e9 for b in bench.good("b", "fast")]
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) <= 0.2 + 0.15 + 0.01, gaps
    assert bench.board.devices["b"].groups["fast"].overruns == 0


async def test_failed_proofs_open_the_breaker_and_are_paid_from_the_probes_budget() -> None:
    bench = Bench(ManualClock(), {f"d{n}": {"g": (1.0, 1)} for n in range(1, 9)})
    for n in (2, 3):
        bench.wire.proof_s[n], bench.wire.proving[n], bench.wire.answers[n] = 0.5, silent, silent
    async with bench.running():
        await bench.clock.advance(30)
        assert bench.board.devices["d2"].state == bench.board.devices["d3"].state == "silent"
        bench.wire.busy_ns.clear()
        await bench.clock.advance(600)
    assert 0 < (bench.wire.busy_ns[2] + bench.wire.busy_ns[3]) / 1e9 <= 0.05 * 600 + 0.5
    assert bench.board.devices["d1"].groups["g"].overruns == 0


async def test_failing_to_enrol_is_paid_from_the_probes_budget() -> None:
    bench = Bench(ManualClock(), {f"d{n}": {"g": (1.0, 1)} for n in range(1, 9)})
    bench.wire.enrol_s[2], bench.wire.enrolling[2] = 0.8, silent
    async with bench.running():
        await bench.clock.advance(30)
        bench.wire.busy_ns.clear()
        await bench.clock.advance(600)
    assert 0 < bench.wire.busy_ns[2] / 1e9 <= 0.05 * 600 + 0.8


async def test_a_station_whose_reserved_range_is_refused_is_trusted_after_a_long_silence() -> None:
    bench = Bench(ManualClock(), PAIR)
    bench.wire.proof_s[1], bench.wire.proving[1] = 0.02, odd
    async with bench.running():
        await bench.clock.advance(30)
    proofs = [ns / 1e9 for ns, station, text in bench.wire.log if (station, text) == (1, "prove")]
    polls = [ns / 1e9 for ns, station, text in bench.wire.log if station == 1 and text != "prove"]
    assert len(proofs) == 3
    assert 10 <= polls[0] - proofs[-1] <= 12, "left alone meanwhile"
    assert bench.good("a")
    row = bench.board.devices["a"]
    assert row.proofs == {"failed": 3, "outwaited": 1}
    assert row.mismatches == 3


async def test_silence_is_no_proof_for_a_station_that_has_answered_one() -> None:
    bench = Bench(ManualClock(), PAIR)
    async with bench.running():
        await bench.clock.advance(1.5)
        bench.wire.proof_s[1], bench.wire.proving[1] = 0.2, silent
        bench.wire.answers[1] = once(StationSilent("late"))
        await bench.clock.advance(2)
        bench.wire.log.clear()
        await bench.clock.advance(120)
    assert {text for _, station, text in bench.wire.log if station == 1} == {"prove"}


async def test_a_station_that_ignores_every_proof_is_trusted_after_a_long_silence() -> None:
    """There are devices that say nothing to what they do not know; they would never be read."""
    bench = Bench(ManualClock(), PAIR)
    bench.wire.proof_s[1], bench.wire.proving[1] = 0.2, silent
    async with bench.running():
        await bench.clock.advance(60)
    proofs = [ns / 1e9 for ns, station, text in bench.wire.log if (station, text) == (1, "prove")]
    polls = [ns / 1e9 for ns, station, text in bench.wire.log if station == 1 and text != "prove"]
    assert polls[0] - proofs[-1] >= 10, "left alone meanwhile"
    assert bench.good("a")
    assert bench.board.devices["a"].state == "up"


def reserving(settings: Any, plans: Sequence[Plan]) -> Reserved:
    return Reserved((len(plans),), tuple(r.text for p in plans for r in p.requests))


async def test_what_is_reserved_follows_the_plans_of_all_groups() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1), "h": (1.0, 1)}}, more={"reserve": reserving})
    errors = iter([Replan("hole", "hole"), StationSilent("late")])

    def answer(request: Request) -> Any:
        for error in errors:
            raise error
        return 5

    bench.wire.answers[1] = answer
    async with bench.running():
        await bench.clock.advance(2.5)
    assert [r.request for r in bench.wire.reserved] == [("g0/None", "h0/None"), ("g0/hole", "h0/None")]
    assert all(r.counts == (2,) for r in bench.wire.reserved)


@pytest.mark.parametrize(("cost_s", "first_s", "longest_s"), [(0.001, 0.1, 0.25), (0.3, 0.95, 0.95)])
async def test_deadlines_leave_room_for_the_wire(cost_s: float, first_s: float, longest_s: float) -> None:
    """At 9600 baud 125 registers take 0.3 s; half of the fastest period would never be enough."""
    bench = Bench(
        ManualClock(), {"a": {"g": (1.0, 1)}, "b": {"fast": (0.2, 1)}}, costs={"a": cost_s, "b": 0.001}
    )
    slow, fast = bench.worker._stations
    [request] = slow.cycles[0].plan.requests
    assert slow.deadline_s(request) == pytest.approx(first_s)
    assert fast.deadline_s(fast.cycles[0].plan.requests[0]) == pytest.approx(0.1)
    assert slow.proof_deadline_s() == pytest.approx(longest_s)


async def test_a_configured_time_out_holds_unless_the_wire_needs_more() -> None:
    bench = Bench(
        ManualClock(), {"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}}, costs={"b": 0.2}, a="150ms", b="150ms"
    )
    quick, slow = bench.worker._stations
    assert quick.deadline_s(quick.cycles[0].plan.requests[0]) == pytest.approx(0.15)
    assert slow.deadline_s(slow.cycles[0].plan.requests[0]) == pytest.approx(0.6)


async def test_a_proof_that_failed_gets_more_time_up_to_the_longest_request() -> None:
    def two_costs(settings: Any, tags: Any, limits: Any, learned: Any) -> Plan:
        return Plan((Request((0,), 1, 0.001, "short"), Request((1,), 1, 0.3, "long")), lambda replies: None)  # type: ignore[arg-type,return-value]

    bench = Bench(ManualClock(), {"a": {"g": (0.2, 2)}, "b": {"g": (0.2, 1)}}, more={"plan": two_costs})
    station = bench.worker._stations[0]
    found = []
    for _ in range(6):
        found.append(round(station.proof_deadline_s(), 3))
        station.not_proved(0, answered=False)
    assert found == [0.25, 0.5, 0.95, 0.95, 0.95, 0.95]
    station.proved()
    assert station.proof_deadline_s() == pytest.approx(0.25)


@pytest.mark.parametrize(("others", "longest_s"), [({"b": {"g": (0.5, 1)}}, 0.25), ({}, 2.0)])
async def test_others_never_wait_longer_for_a_proof_than_for_a_poll(others: Any, longest_s: float) -> None:
    bench = Bench(ManualClock(), {"a": {"g": (0.5, 1)}, **others})
    station = bench.worker._stations[0]
    for _ in range(6):
        station.not_proved(0, answered=False)
    assert station.proof_deadline_s() == pytest.approx(longest_s)

"""A slow bus and what dead or deaf stations may cost on it. Times as at 9600 baud: 10 registers take 40 ms;
a time-out takes what the agent allows for that."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from edge_agent.acquisition.breaker import Breaker
from edge_agent.driver import Request
from edge_agent.errors import StationSilent
from edge_agent.testing.clock import ManualClock

from .bench_line import Bench

EIGHT = {f"d{n}": {"fast": (1.0, 1), "slow": (5.0, 2)} for n in range(1, 9)}
DEAD = 4
COST_S = 0.04


def kill(bench: Bench, number: int, only: str = "") -> None:
    """It is silent from now on: each exchange with it takes its whole deadline, a proof too."""
    station = bench.worker._stations[number - 1]
    limit_s = max(station.deadline_s(r) for c in station.cycles for r in c.plan.requests)

    def silent(request: Request | None = None) -> Any:
        if request is None or request.text.startswith(only):
            raise StationSilent("no answer")
        return 7

    bench.wire.answers[number] = silent
    bench.wire.cost_s[number] = limit_s
    if not only:
        bench.wire.proving[number], bench.wire.proof_s[number] = silent, limit_s


def heal(bench: Bench, number: int) -> None:
    for table in (bench.wire.answers, bench.wire.proving, bench.wire.cost_s):
        table.pop(number, None)  # type: ignore[attr-defined]
    bench.wire.proof_s[number] = COST_S


def bus(devices: dict[str, dict[str, tuple[float, int]]] = EIGHT, cost_s: float = COST_S) -> Bench:
    bench = Bench(ManualClock(), devices, keys={"cost": cost_s})
    for number in range(1, len(devices) + 1):
        bench.wire.proof_s[number] = cost_s
    return bench


def gaps(bench: Bench, device: str, group: str, since_ns: int) -> list[float]:
    times = [b.mono_ns for b in bench.good(device, group) if b.mono_ns >= since_ns]
    return [(b - a) / 1e9 for a, b in pairwise(times)]


async def test_one_silent_station_of_eight_stretches_the_cycle_by_less_than_a_tenth() -> None:
    """Measured on a bus that is always busy: how many reads the other seven get in a minute."""
    busy = {f"d{n}": {"fast": (0.2, 1)} for n in range(1, 9)}
    counts = []
    for dead in (False, True):
        bench = bus(busy)
        async with bench.running():
            if dead:
                kill(bench, DEAD)
            await bench.clock.advance(30)
            bench.batches.clear()
            await bench.clock.advance(60)
        reads = sum(len(bench.good(f"d{n}", "fast")) for n in range(1, 9) if n != DEAD)
        counts.append(reads / 7)
    healthy, hurt = counts
    assert hurt >= healthy / 1.1, f"{healthy} reads a minute of each station, {hurt} beside a dead one"


async def test_the_longest_gap_of_a_fast_group_is_a_period_and_a_time_out() -> None:
    bench = bus()
    async with bench.running():
        await bench.clock.advance(20.3)
        start_ns = bench.clock.mono_ns()
        kill(bench, DEAD)
        limit_s = bench.wire.cost_s[DEAD]
        await bench.clock.advance(120)
    assert bench.board.devices[f"d{DEAD}"].state == "silent"
    for n in range(1, 9):
        if n != DEAD:
            worst = max(gaps(bench, f"d{n}", "fast", start_ns))
            assert worst <= 1.0 + limit_s + COST_S, f"d{n}: {worst} s"
            assert bench.board.devices[f"d{n}"].groups["fast"].overruns == 0


async def test_a_dead_station_on_a_bus_that_is_never_idle_is_found_alive() -> None:
    bench = bus({f"d{n}": {"fast": (0.2, 1)} for n in range(1, 9)})
    async with bench.running():
        kill(bench, DEAD)
        await bench.clock.advance(60)
        assert bench.board.devices[f"d{DEAD}"].state == "silent"
        limit_s = bench.wire.cost_s[DEAD]
        heal(bench, DEAD)
        healed_ns = bench.clock.mono_ns()
        await bench.clock.advance(20 * limit_s + 8)
    first_ns = next(b.mono_ns for b in bench.good(f"d{DEAD}", "fast") if b.mono_ns > healed_ns)
    assert (first_ns - healed_ns) / 1e9 <= max(19 * limit_s, 5.0) + 2.0


async def test_dead_stations_together_get_five_percent_with_all_that_is_tried_on_them() -> None:
    bench = bus()
    async with bench.running():
        for n in (2, 5, 6):
            kill(bench, n)
        await bench.clock.advance(60)
        bench.wire.busy_ns.clear()
        await bench.clock.advance(600)
    limit_s = bench.wire.cost_s[2]
    dead_s = sum(bench.wire.busy_ns.get(n, 0) for n in (2, 5, 6)) / 1e9
    assert 0.02 * 600 < dead_s <= 0.05 * 600 + limit_s


def test_after_a_probe_one_silence_opens_the_breaker_again_until_a_whole_read_was_answered() -> None:
    """A device may answer the least there is, which is what a probe asks for, and nothing more."""
    breaker = Breaker()
    for now_ns in range(3):
        breaker.silent(now_ns)
    waits = []
    for _ in range(5):
        breaker.half_open()
        assert not breaker.open
        breaker.answered()
        assert breaker.silent(0), "one is enough"
        waits.append(breaker.probe_at_ns / 1e9)
    assert waits == [2, 4, 5, 5, 5], "and it is not asked every second for ever"
    breaker.half_open()
    breaker.settled()
    assert [breaker.silent(0) for _ in range(3)] == [False, False, True]


async def test_a_device_that_answers_nothing_but_probes_is_asked_little_more_than_a_dead_one() -> None:
    bench = bus({"a": {"p": (3600.0, 1), "q": (10.0, 30)}, "b": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(5)
        kill(bench, 1)
        await bench.clock.advance(10)
        assert bench.board.devices["a"].state == "silent"
        heal(bench, 1)
        kill(bench, 1, only="q")
        for n in range(30):
            bench.wire.text_cost_s[f"q{n}/None"] = bench.wire.cost_s[1]
        del bench.wire.cost_s[1]
        bench.wire.text_cost_s["p0/None"] = COST_S / 2
        bench.wire.log.clear()
        await bench.clock.advance(120)
    asked = [text for _, _, text in bench.wire.log if text.startswith("q")]
    assert 5 <= len(asked) <= 35, asked
    assert bench.board.devices["b"].groups["g"].overruns == 0


async def test_a_request_that_is_never_answered_is_left_out_and_costs_the_others_nothing() -> None:
    """Some devices are silent where others refuse an address."""
    bench = bus({"a": {"g": (1.0, 4)}, "b": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(5)
        kill(bench, 1, only="g1")
        bench.wire.cost_s.pop(1)
        await bench.clock.advance(10)
        start_ns = bench.clock.mono_ns()
        bench.wire.log.clear()
        await bench.clock.advance(120)
    asked = [text for _, station, text in bench.wire.log if station == 1 and text.startswith("g1")]
    assert len(asked) in (2, 3), "once a minute"
    late = [b for b in bench.of("a") if b.mono_ns > start_ns]
    assert len(late) >= 119
    assert all(b.quality[0] == b.quality[2] == b.quality[3] == 0 for b in late)
    assert bench.board.devices["a"].state == "up"
    assert [key for key in bench.ear.broken if key.startswith("mute:a")]


async def test_many_groups_on_a_bus_that_is_too_slow_all_get_their_turn() -> None:
    bench = bus({f"d{n}": {"fast": (0.2, 1), "slow": (2.0, 4)} for n in range(1, 5)})
    async with bench.running():
        await bench.clock.advance(120)
    for n in range(1, 5):
        slow = bench.of(f"d{n}", "slow")
        seen = [sum(b.quality[i] == 0 for b in slow) for i in range(4)]
        assert min(seen) >= 20, f"d{n}: {seen}"
        assert len(bench.good(f"d{n}", "fast")) >= 200, f"d{n}"


async def test_a_dead_link_is_noticed_within_one_slow_slot() -> None:
    """One device, polled every minute: its three silences need not take three minutes."""
    bench = Bench(ManualClock(), {"a": {"g": (60.0, 3)}})
    async with bench.running():
        await bench.clock.advance(1)
        kill(bench, 1)
        bench.wire.cost_s[1] = 1.0
        asked = len(bench.wire.log)
        while len(bench.wire.log) == asked:
            await bench.clock.advance(0.1)
        assert len(bench.wire.links) == 1
        await bench.clock.advance(5)
    assert len(bench.wire.links) > 1

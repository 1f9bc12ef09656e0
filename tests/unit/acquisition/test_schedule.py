"""When things are asked: the grid, deadlines, overruns, fairness."""

from __future__ import annotations

from edge_agent.model import Quality
from edge_agent.testing.clock import ManualClock

from .bench_line import Bench


async def test_polls_stand_on_the_grid_whatever_an_exchange_costs() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    bench.wire.cost_s[1] = 0.3
    start = bench.clock.mono_ns()
    async with bench.running():
        await bench.clock.advance(10.5)
    asked = [(ns - start) / 1e9 for ns, _, _ in bench.wire.log]
    assert asked == [float(k) for k in range(11)]
    assert [round((b.mono_ns - start) / 1e9, 6) for b in bench.batches] == [k + 0.3 for k in range(11)]
    assert bench.board.devices["a"].groups["g"].overruns == 0


async def test_a_slot_that_went_by_is_counted_and_never_caught_up() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}}, a="5s")
    async with bench.running():
        await bench.clock.advance(0.5)
        bench.wire.cost_s[1] = 3.2  # slots 2 and 3 pass while slot 1 is read
        await bench.clock.advance(3.0)
        bench.wire.cost_s[1] = 0.001
        await bench.clock.advance(2.0)
    row = bench.board.devices["a"].groups["g"]
    assert row.overruns == 2
    assert len(bench.batches) == 4  # slots 0, 1, 4, 5


async def test_a_slow_group_does_not_block_a_fast_one() -> None:
    bench = Bench(ManualClock(), {"a": {"slow": (10.0, 50), "fast": (0.5, 1)}})
    bench.wire.cost_s[1] = 0.1  # the slow group needs 5 s of the link
    async with bench.running():
        await bench.clock.advance(9.95)
    assert len(bench.of("a", "fast")) == 20
    assert bench.board.devices["a"].groups["fast"].overruns == 0
    assert len(bench.good("a", "slow")) == 1


async def test_a_read_that_does_not_fit_its_period_is_partial_and_every_tag_gets_its_turn() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 5)}})
    bench.wire.cost_s[1] = 0.3
    async with bench.running():
        await bench.clock.advance(20)
    first = bench.batches[0]
    assert first.quality == bytes([0, 0, 0, 0, Quality.NOT_REPORTED])
    seen = [sum(b.quality[i] == 0 for b in bench.batches) for i in range(5)]
    assert min(seen) >= max(seen) - 1, f"some tags starve: {seen}"
    assert bench.board.devices["a"].groups["g"].overruns > 0


async def test_a_pause_of_the_whole_machine_is_one_gap_not_a_burst() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(1.5)
        before = len(bench.wire.log)
        bench.clock._mono_ns += 60_000_000_000
        bench.clock._time_ns += 60_000_000_000
        await bench.clock.advance(0.2)
    assert len(bench.wire.log) - before <= 1
    assert bench.board.devices["a"].groups["g"].overruns == 59


async def test_a_step_of_the_wall_clock_moves_no_schedule() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(2.5)
        bench.clock.step(-7200)
        await bench.clock.advance(2)
        bench.clock.step(10 * 365 * 86400)
        await bench.clock.advance(2)
    gaps = {b.mono_ns - a.mono_ns for a, b in zip(bench.batches, bench.batches[1:], strict=False)}
    assert gaps == {1_000_000_000}

"""What errors do: to the station they concern, to its neighbours, and to the link."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.driver import Plan, Request
from edge_agent.errors import BadReply, Busy, LinkDenied, LinkLost, Refused, Replan, StationSilent
from edge_agent.model import Quality
from edge_agent.testing.clock import ManualClock

from .bench_line import Bench, FakeLink

TEN = {f"d{n}": {"g": (1.0, 3)} for n in range(1, 11)}


def silent(request: Request) -> Any:
    raise StationSilent("no answer")


def raises(error: Exception) -> Any:
    def answer(request: Request) -> Any:
        raise error

    return answer


async def run(bench: Bench, seconds: float) -> None:
    async with bench.running():
        await bench.clock.advance(seconds)


async def test_a_dead_station_costs_its_neighbours_no_poll() -> None:
    healthy, hurt = Bench(ManualClock(), TEN), Bench(ManualClock(), TEN)
    hurt.wire.cost_s[3], hurt.wire.answers[3] = 0.5, silent
    await run(healthy, 300)
    await run(hurt, 300)
    for n in (1, 2, *range(4, 11)):
        assert len(hurt.good(f"d{n}")) >= len(healthy.good(f"d{n}")), f"d{n} missed polls"
        assert hurt.board.devices[f"d{n}"].groups["g"].overruns == 0
    assert hurt.board.devices["d3"].state == "silent"
    assert len(hurt.wire.links) == 1, "a dead station must not disconnect its neighbours"


async def test_dead_stations_together_get_at_most_five_percent_of_the_link() -> None:
    bench = Bench(ManualClock(), TEN)
    for n in (2, 3, 4, 5):
        bench.wire.cost_s[n], bench.wire.answers[n] = 0.5, silent
    async with bench.running():
        await bench.clock.advance(30)
        bench.wire.busy_ns.clear()
        await bench.clock.advance(600)
    dead_s = sum(bench.wire.busy_ns.get(n, 0) for n in (2, 3, 4, 5)) / 1e9
    assert 0 < dead_s <= 0.05 * 600 + 0.5


async def test_a_station_that_answers_again_is_polled_again() -> None:
    bench = Bench(ManualClock(), TEN)
    bench.wire.cost_s[3], bench.wire.answers[3] = 0.5, silent
    async with bench.running():
        await bench.clock.advance(60)
        assert not bench.good("d3")
        del bench.wire.answers[3], bench.wire.cost_s[3]
        await bench.clock.advance(70)
    assert len(bench.good("d3")) >= 5
    assert bench.board.devices["d3"].state == "up"
    assert "device:d3" in bench.ear.heals


async def test_however_long_it_was_dead_it_is_found_alive_within_seconds() -> None:
    bench = Bench(ManualClock(), TEN)
    bench.wire.cost_s[3], bench.wire.answers[3] = 0.2, silent
    async with bench.running():
        await bench.clock.advance(900)
        del bench.wire.answers[3], bench.wire.cost_s[3]
        await bench.clock.advance(6)
    assert bench.board.devices["d3"].state == "up"


async def test_dead_stations_are_probed_in_turn() -> None:
    bench = Bench(ManualClock(), TEN)
    for n in (2, 5, 9):
        bench.wire.cost_s[n], bench.wire.answers[n] = 0.5, silent
    async with bench.running():
        await bench.clock.advance(30)
        bench.wire.log.clear()
        await bench.clock.advance(300)
    probed = [station for _, station, _ in bench.wire.log if station in (2, 5, 9)]
    assert len(probed) >= 28, "the budget allows one in ten seconds"
    assert all(len(set(probed[i : i + 3])) == 3 for i in range(len(probed) - 2)), probed


async def test_its_tags_turn_bad_at_once_and_are_said_to_be_bad_once() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 2)}, "b": {"g": (1.0, 2)}})
    async with bench.running():
        await bench.clock.advance(2.5)
        bench.wire.answers[1] = silent
        await bench.clock.advance(60)
    bad = [b for b in bench.of("a") if b.quality == bytes([Quality.BAD_COMM] * 2)]
    assert len(bad) == 2, "one silent poll of two requests, and once more when the breaker opened"
    assert all(v is None for b in bad for v in b.values)


async def test_when_nobody_on_a_link_answers_the_link_is_made_anew() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(1.5)
        bench.wire.answers[1] = silent
        await bench.clock.advance(20)
        assert len(bench.wire.links) > 1
        del bench.wire.answers[1]
        healed_ns = bench.clock.mono_ns()
        await bench.clock.advance(5)
    first_good = next(b.mono_ns for b in bench.good("a") if b.mono_ns > healed_ns)
    assert (first_good - healed_ns) / 1e9 <= 5
    assert all(link.closed for link in bench.wire.links)


async def test_a_lost_link_gets_a_new_object_and_its_tags_are_bad_once() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}, "b": {"g": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(1.5)
        bench.wire.answers[1] = raises(LinkLost("reset by peer"))
        bench.wire.connect_error = LinkLost("refused", reason="refused")
        await bench.clock.advance(60)
        assert len(bench.wire.links) > 20, "capped at 2 s between tries"
        for name in ("a", "b"):
            bad = [b for b in bench.of(name) if b.quality[0] == Quality.BAD_COMM]
            assert len(bad) == 1
        bench.wire.connect_error, bench.wire.answers = None, {}
        await bench.clock.advance(4)
    assert bench.board.devices["a"].state == bench.board.devices["b"].state == "up"
    assert bench.ear.broken.count("device:a") >= 1
    assert sorted(bench.ear.heals) == ["device:a"] * 2 + ["device:b"] * 2


async def test_no_more_than_ten_connects_a_second() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    bench.wire.connect_error = LinkLost("refused")
    await run(bench, 30)
    times = bench.wire.connects_ns
    assert len(times) > 15
    for i, start in enumerate(times):
        assert sum(start <= t < start + 1_000_000_000 for t in times[i:]) <= 10


async def test_wrong_credentials_are_tried_once_a_minute() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    bench.wire.connect_error = LinkDenied("certificate not trusted", reason="cert")
    await run(bench, 600)
    assert 9 <= len(bench.wire.links) <= 11
    assert bench.board.devices["a"].state == "refused"


async def test_a_bug_in_a_driver_is_contained() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    bench.wire.answers[1] = raises(KeyError("bug"))
    await run(bench, 30)
    assert bench.board.devices["a"].state == "down"
    assert "KeyError" in bench.board.devices["a"].reason
    assert 4 <= len(bench.wire.links) <= 8


def broken(*_: Any) -> Any:
    raise RuntimeError("bug")


@pytest.mark.parametrize("where", ["open_link", "connect", "enrol", "prove", "decode", "close"])
async def test_wherever_a_driver_breaks_its_link_starts_over_and_no_worker_ends(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "decode":
        more: dict[str, Any] = {"plan": lambda *_: Plan((Request((0,), 1, 0.001, "x"),), broken)}
    else:
        more = {"open_link": broken} if where == "open_link" else {}
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}}, more=more)
    if hasattr(FakeLink, where):
        monkeypatch.setattr(FakeLink, where, broken)
    async with bench.running() as worker:
        await bench.clock.advance(30)
        assert not worker.done()
        assert bench.attempts >= 5
        monkeypatch.undo()
        if where != "close":
            assert bench.board.devices["a"].state == "down"
            assert "RuntimeError" in bench.board.devices["a"].reason
        elif bench.good("a"):
            bench.wire.answers[1] = raises(LinkLost("reset"))
            monkeypatch.setattr(FakeLink, where, broken)
            await bench.clock.advance(3)
            assert "close:fake:fake" in bench.ear.broken and not worker.done()


async def test_replan_starts_the_read_over_with_what_was_learned() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 2)}})
    bench.wire.answers[1] = lambda r: 1 if r.text.endswith("/hole") else raises(Replan("hole", "hole"))(r)
    await run(bench, 2.5)
    assert len(bench.good("a")) == 3


async def test_a_replan_that_learns_nothing_is_a_refusal_not_a_loop() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 2)}})
    bench.wire.answers[1] = raises(Replan("hole", "same"))
    await run(bench, 5)
    assert len(bench.wire.log) < 10
    assert bench.of("a")[-1].quality == bytes([Quality.BAD_ADDRESS] * 2)


async def test_busy_is_asked_again_not_sooner_than_it_said() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    calls: list[int] = []

    def answer(request: Request) -> Any:
        calls.append(bench.clock.mono_ns())
        if len(calls) == 1:
            raise Busy("busy", retry_after_s=0.4)
        return 5

    bench.wire.answers[1] = answer
    await run(bench, 0.9)
    assert (calls[1] - calls[0]) / 1e9 == pytest.approx(0.401, abs=0.001)
    assert len(bench.good("a")) == 1


async def test_a_refused_request_is_left_out_for_a_minute_and_its_neighbours_read_on() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 2)}})
    bench.wire.answers[1] = lambda r: raises(Refused("no such register"))(r) if r.text.startswith("g0") else 5
    await run(bench, 125)
    asked = [text for _, _, text in bench.wire.log if text.startswith("g0")]
    assert len(asked) == 3
    assert all(b.quality == bytes([Quality.BAD_ADDRESS, 0]) for b in bench.of("a"))


async def test_after_a_reply_that_does_not_fit_the_station_must_prove_itself() -> None:
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 1)}})
    answers = iter([BadReply("count"), None, None])

    def answer(request: Request) -> Any:
        error = next(answers, None)
        if error is not None:
            raise error
        return 5

    bench.wire.answers[1] = answer
    await run(bench, 2.5)
    assert bench.wire.proofs == [1, 1], "once for the new connection, once for the reply that did not fit"
    assert [b.quality[0] for b in bench.of("a")] == [Quality.BAD_COMM, 0, 0]
    row = bench.board.devices["a"]
    assert row.failures == {"mismatch": 1}
    assert (row.mismatches, row.proofs) == (1, {"ok": 2})

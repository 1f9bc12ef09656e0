"""Groups whose changes the device reports: reads beside the reports, keep-alives, and noticing their end."""

from __future__ import annotations

from typing import Any, cast

from edge_agent.driver import Columns
from edge_agent.errors import LinkLost, Refused, StationSilent
from edge_agent.model import Quality
from edge_agent.testing.clock import ManualClock

from .bench_line import Bench, ReportingLink

UNCHANGED, LEFT_OUT = Quality.UNCHANGED, Quality.NOT_REPORTED
KEYS = {"subscribe": ("g",)}
TWO = {"a": {"g": (1.0, 2)}}


def bench_of(devices: dict[str, dict[str, tuple[float, int]]] | None = None, **more: Any) -> Bench:
    return Bench(ManualClock(), devices or TWO, keys=KEYS, **{"reporting": True, **more})


def link(bench: Bench) -> ReportingLink:
    return cast(ReportingLink, bench.wire.links[-1])


def report(bench: Bench, *values: Any) -> None:
    """... for a tag that did not change."""
    quality = bytes(UNCHANGED if value is ... else 0 for value in values)
    link(bench).sinks["g"](Columns(tuple(None if v is ... else v for v in values), quality))


async def alive(bench: Bench, seconds: float) -> None:
    """Time goes by with a keep-alive every second."""
    for _ in range(round(seconds)):
        link(bench).sinks["g"](None)
        await bench.clock.advance(1)


async def test_the_group_is_read_once_at_once_and_then_rarely() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.1)
        assert [text for _, _, text in bench.wire.log] == ["subscribe g", "g0/None", "g1/None"]
        assert len(bench.good("a")) == 1
        await alive(bench, 620)
    reads = [(ns - bench.wire.log[0][0]) / 1e9 for ns, _, text in bench.wire.log if text == "g0/None"]
    assert len(reads) == 2 + (reads[-1] > 610), reads
    assert len(bench.wire.links) == 1
    row = bench.board.devices["a"].groups["g"]
    assert row.polls == len(reads), "a report is no poll"
    assert row.overruns == 0


async def test_the_device_may_say_how_often_it_is_read() -> None:
    bench = Bench(ManualClock(), TWO, keys={**KEYS, "reread": 30.0}, reporting=True)
    async with bench.running():
        await bench.clock.advance(0.1)
        await alive(bench, 95)
    assert len([1 for _, _, text in bench.wire.log if text == "g0/None"]) in (4, 5)


async def test_reports_are_batches_and_keep_alives_are_batches_of_nothing() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        report(bench, 8, ...)
        link(bench).sinks["g"](None)
    change, still = bench.of("a")[-2:]
    assert (change.values, change.quality, change.samples) == ((8, None), bytes([0, UNCHANGED]), 1)
    assert (still.quality, still.samples) == (bytes([UNCHANGED] * 2), 0)


async def test_what_is_shown_is_put_together_from_reports_and_stays_fresh() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        report(bench, 8, ...)
        await bench.clock.advance(9)
        link(bench).sinks["g"](None)
        await bench.clock.advance(9)
        shown = bench.board.snapshot(0, bench.clock.mono_ns(), tags=True)["devices"][0]["groups"][0]
    assert [(v["value"], v["quality"], v["age_s"]) for v in shown["values"]] == [
        (8, "good", 9.0),
        (7, "good", 9.0),
    ]
    assert shown["quality"] == {"good": 2, "uncertain": 0, "bad": 0, "stale": 0}


async def test_a_subscription_without_a_sign_of_life_is_a_lost_link_in_time() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        await alive(bench, 30)
        assert len(bench.wire.links) == 1
        await bench.clock.advance(8.9)
        assert len(bench.wire.links) == 1 and bench.board.devices["a"].state == "up"
        await bench.clock.advance(0.2)
        assert bench.board.devices["a"].disconnects == 1
        assert bench.board.devices["a"].failures == {"timeout": 1}
        assert bytes([Quality.BAD_COMM] * 2) in [b.quality for b in bench.of("a")[-2:]]
        await bench.clock.advance(3)
    assert len(bench.wire.links) == 2
    assert [text for _, _, text in bench.wire.log].count("subscribe g") == 2
    assert bench.good("a")[-1].mono_ns == bench.of("a")[-1].mono_ns, "and is read anew"


async def test_a_report_of_an_older_connection_is_not_taken() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        old = link(bench).sinks["g"]
        await bench.clock.advance(14)
        assert len(bench.wire.links) == 2
        count = len(bench.batches)
        old(None)
        old(Columns((1, 2), bytes(2)))
        assert len(bench.batches) == count


async def test_a_pause_of_the_whole_machine_is_not_taken_for_a_dead_subscription() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        bench.clock._mono_ns += 60_000_000_000
        bench.clock._time_ns += 60_000_000_000
        await bench.clock.advance(0.2)
        assert len(bench.wire.links) == 1
        await alive(bench, 5)
    assert len(bench.wire.links) == 1


async def test_a_report_that_comes_while_the_group_is_read_is_newer_than_what_is_read() -> None:
    """The first reply of a read holds a value; it changes and is reported; then the read ends."""
    bench = bench_of()
    bench.wire.cost_s[1] = 0.2
    async with bench.running():
        await bench.clock.advance(0.3)
        report(bench, 8, ...)
        await bench.clock.advance(0.5)
        shown = bench.board.snapshot(0, bench.clock.mono_ns(), tags=True)["devices"][0]["groups"][0]
    assert [v["value"] for v in shown["values"]] == [8, 7], "and not 7 again until the next change"
    assert bench.batches[-1].quality == bytes([UNCHANGED, 0])


async def test_tags_the_device_does_not_watch_are_polled_and_nobody_vouches_for_them() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.1)
        link(bench).sinks["g"](Columns((8, None), bytes([0, LEFT_OUT])))
        link(bench).sinks["g"](None)
        assert bench.batches[-1].quality == bytes([UNCHANGED, LEFT_OUT])
        await alive(bench, 20)
    assert len([1 for _, _, text in bench.wire.log if text == "g1/None"]) >= 10
    assert bench.ear.broken.count("subscription:a:g") == 1


async def test_a_link_that_cannot_report_is_polled_and_that_is_said_once() -> None:
    bench = Bench(ManualClock(), TWO, keys=KEYS, more={"subscribed": lambda s: frozenset(s.subscribe)})
    async with bench.running():
        await bench.clock.advance(20.5)
    assert len(bench.good("a")) == 21
    assert bench.ear.broken.count("subscription:a:g") == 1


async def test_a_device_that_refuses_the_subscription_is_polled_and_asked_again_on_the_next_connection() -> (
    None
):
    bench = bench_of()
    bench.wire.subscribe_error = Refused("too many subscriptions")
    async with bench.running():
        await bench.clock.advance(10.5)
        assert len(bench.good("a")) == 11
        bench.wire.subscribe_error = None
        bench.wire.answers[1] = lambda r: (_ for _ in ()).throw(LinkLost("reset"))
        await bench.clock.advance(2)
        bench.wire.answers.clear()
        await bench.clock.advance(3)
        assert link(bench).sinks
    assert bench.ear.broken.count("subscription:a:g") == 1 and "subscription:a:g" in bench.ear.heals


async def test_a_report_of_the_wrong_width_is_a_bug_of_the_driver_and_is_not_stored() -> None:
    bench = bench_of()
    async with bench.running():
        await bench.clock.advance(0.5)
        link(bench).sinks["g"](Columns((1, 2, 3), bytes(3)))
        await bench.clock.advance(11)
    assert len(bench.wire.links) > 1
    assert all(len(b.values) == 2 for b in bench.batches)


async def test_other_groups_are_polled_beside() -> None:
    bench = bench_of({"a": {"g": (1.0, 2), "h": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(0.1)
        await alive(bench, 20)
    assert len(bench.good("a", "h")) == 21
    assert bench.of("a", "h")[0].values == (7,)


async def test_silent_reads_beside_a_living_subscription_lose_the_link_as_ever() -> None:
    bench = bench_of({"a": {"g": (1.0, 2), "h": (1.0, 1)}})
    async with bench.running():
        await bench.clock.advance(0.1)
        bench.wire.answers[1] = lambda r: (_ for _ in ()).throw(StationSilent("gone"))
        for _ in range(5):
            for sink in link(bench).sinks.values():
                sink(None)
            await bench.clock.advance(1)
    assert len(bench.wire.links) > 1

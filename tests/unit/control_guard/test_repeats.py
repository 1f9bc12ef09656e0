"""Ten thousand refusals are counted one by one and recorded in a few lines."""

from __future__ import annotations

from dataclasses import replace

from edge_agent.config.process import TagRef
from edge_agent.control.guard import Permit, Reason, Refusal
from edge_agent.model import Event, Quality
from tests.unit.control_guard.bench import BEAT, READY, SETPOINT, ZONE, Bench, armed_bench, with_writable


def ask(bench: Bench, times: int, tag: TagRef = SETPOINT, *, every_s: float = 0.0, **changes: object) -> None:
    for number in range(times):
        refusal = bench.judge(bench.request(tag, 1000.0 + number % 1000, **changes))
        assert isinstance(refusal, Refusal)
        bench.wait(every_s)


def tick(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        bench.wait(1)
        bench.keep(bench.guard.tick(bench.now))


def refusals(bench: Bench) -> list[Event]:
    return [event for event in bench.events if event.kind == "write_refused"]


def counts(bench: Bench) -> list[int | None]:
    return [event.detail.get("count") for event in refusals(bench)]


def test_the_first_is_told_and_then_how_many() -> None:
    bench = armed_bench()
    began_ns = bench.now.time_ns
    ask(bench, 101)
    assert counts(bench) == [None]
    tick(bench, 59)
    assert counts(bench) == [None]
    tick(bench, 1)
    assert counts(bench) == [None, 100]
    first, summary = (event.detail for event in bench.events)
    assert first["value"] == 1000.0 and summary["value"] == 1100.0, "the newest"
    same = ("tag", "reason", "who", "user", "stage")
    assert [first[name] for name in same] == [summary[name] for name in same]
    assert summary["since_ns"] == began_ns
    assert [event.kind for event in bench.events] == ["write_refused"] * 2
    tick(bench, 300)
    assert counts(bench) == [None, 100], "nothing more to tell"
    ask(bench, 1)
    assert counts(bench) == [None, 100, None], "and then the first again"


def test_after_a_quiet_minute_the_first_is_told_again_also_without_a_tick() -> None:
    bench = armed_bench()
    ask(bench, 1)
    bench.wait(60)
    ask(bench, 2)
    assert counts(bench) == [None, None]
    bench.wait(60)
    ask(bench, 1)
    assert counts(bench) == [None, None, 2]


def test_a_flood_of_an_hour() -> None:
    bench = armed_bench()
    bench.arm(3600.0)
    bench.events.clear()
    ask(bench, 3600, every_s=1.0)
    tick(bench, 61)
    told = counts(bench)
    assert told[0] is None and None not in told[1:]
    assert 60 <= len(told) <= 62
    assert 1 + sum(count for count in told if count) == 3600
    assert bench.guard.status(bench.now)["refused"] == {"out_of_range": 3600}
    assert bench.guard.status(bench.now)["outcomes"]["refused"] == 3600


def test_other_tags_reasons_and_persons_are_told_for_themselves() -> None:
    bench = armed_bench()
    for _ in range(3):
        ask(bench, 1)
        ask(bench, 1, ZONE)
        ask(bench, 1, token="guess")
        ask(bench, 1, user="zhang")
        ask(bench, 1, who="uplink:park")
    assert counts(bench) == [None] * 5
    told = {(e.detail["tag"], e.detail["reason"], e.detail["who"], e.detail["user"]) for e in bench.events}
    assert len(told) == 5
    assert bench.guard.status(bench.now)["outcomes"]["refused"] == 15


def test_who_asks_for_ever_new_tags_does_not_fill_it_either() -> None:
    bench = Bench()
    for number in range(1000):
        ask(bench, 1, TagRef("press", f"x{number}"))
    assert len(bench.events) == 51
    tick(bench, 60)
    assert len(bench.events) == 52
    summary = bench.events[-1]
    assert (summary.source, summary.detail["reason"], summary.detail["count"]) == (
        "writes",
        "not_listed",
        949,
    )
    assert "tag" not in summary.detail and "user" not in summary.detail
    assert bench.guard.status(bench.now)["refused"] == {"not_listed": 1000}
    tick(bench, 61)
    ask(bench, 1, TagRef("press", "later"))
    assert bench.events[-1].detail["tag"] == "press.later", "there is room again"


def test_what_has_an_intent_has_an_end() -> None:
    bench = armed_bench()
    for _ in range(5):
        permit = bench.judge(bench.request())
        assert isinstance(permit, Permit)
        bench.keep(bench.guard.before(permit, None, bench.now, Quality.BAD_COMM).audit)
    assert bench.kinds() == ["write_intent", "write_refused"] * 5
    ids = [event.detail["id"] for event in bench.events]
    assert ids[::2] == ids[1::2]


def test_a_revert_that_waits_for_its_condition() -> None:
    bench = armed_bench(with_writable(SETPOINT, ttl_s=60.0))
    bench.write(bench.request(value=63.0))
    bench.plant.readings[READY] = (False, Quality.GOOD, 0.0)
    bench.wait(60)
    bench.events.clear()
    for _ in range(3600):
        for request in bench.guard.due(bench.now):
            bench.judge(request)
        bench.wait(1)
        bench.keep(bench.guard.tick(bench.now))
    refused = bench.guard.status(bench.now)["refused"]["precondition_false"]
    assert sum(event.detail.get("count", 1) for event in refusals(bench)) == refused
    assert {event.detail["who"] for event in refusals(bench)} == {"ttl"}


def test_beats_are_not_counted() -> None:
    bench = Bench()
    bench.write(bench.request(BEAT, 1, who="heartbeat"))
    bench.plant.down.add("press")
    bench.write(bench.request(BEAT, 2, who="heartbeat"))
    status = bench.guard.status(bench.now)
    assert set(status["outcomes"].values()) == {0} and status["refused"] == {}


def test_every_end_is_counted() -> None:
    bench = armed_bench(with_writable(SETPOINT, ttl_s=60.0))
    bench.write(bench.request(value=61.0))
    bench.wait(2)
    bench.write(bench.request(value=62.0, dry_run=True))
    bench.write(bench.request(value=99.0))
    permit = bench.judge(bench.request(value=60.0))
    assert isinstance(permit, Permit)
    bench.guard.failed(permit, "no answer", bench.now)
    bench.wait(60)
    for request in bench.guard.due(bench.now):
        bench.write(replace(request))
    outcomes = bench.guard.status(bench.now)["outcomes"]
    assert outcomes == {"done": 1, "reverted": 1, "dry_run": 1, "refused": 1, "failed": 1, "mismatch": 0}


def test_the_reason_is_the_last_word() -> None:
    """Of the same request, refused for another reason a moment later, both are told."""
    bench = armed_bench()
    ask(bench, 5)
    bench.guard.disarm("li", bench.now)
    ask(bench, 5)
    reasons = [event.detail["reason"] for event in bench.events]
    assert reasons == [Reason.OUT_OF_RANGE, Reason.NOT_ARMED]

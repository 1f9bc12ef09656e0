"""Horns and lamps beside set-points: a fault of either must not stop the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable, WriteLevel, Writing
from edge_agent.control.guard import Permit, Reason, Refusal, Verdict, WriteRequest
from tests.unit.control_guard.bench import (
    BEAT,
    HORN,
    OVEN,
    REMOTE,
    SETPOINT,
    START,
    WRITING,
    ZONE,
    Bench,
    armed_bench,
    with_writable,
)


def sound(bench: Bench, value: bool = True) -> WriteRequest:
    return bench.request(HORN, value, who="annunciation")


def sent(bench: Bench, request: WriteRequest) -> Permit:
    permit = bench.judge(request)
    assert isinstance(permit, Permit), permit
    now = bench.guard.before(permit, bench.held[permit.ref], bench.now)
    assert isinstance(now, Permit)
    bench.keep(now.audit)
    return now


def mismatch(bench: Bench, request: WriteRequest, found: Any) -> Verdict:
    verdict = bench.guard.verified(sent(bench, request), found, bench.now)
    bench.keep(verdict.audit)
    assert verdict.kind == "write_mismatch"
    return verdict


def row(bench: Bench, tag: TagRef) -> dict[str, Any]:
    rows = bench.guard.status(bench.now)["writables"]
    return next(found for found in rows if found["tag"] == str(tag))


# --- a horn that does not sound ---


def test_a_mismatch_of_an_output_is_told_and_locks_nothing() -> None:
    bench = armed_bench()
    verdict = mismatch(bench, sound(bench), False)
    assert not verdict.locked and not verdict.ok
    assert bench.kinds() == ["write_intent", "write_mismatch"]
    assert bench.events[1].detail["read_back"] is False
    assert bench.guard.locked() == frozenset()
    for request in (bench.request(), bench.request(BEAT, 1, who="heartbeat"), sound(bench)):
        assert isinstance(bench.judge(request), Permit)


def test_it_is_seen_until_it_sounds() -> None:
    bench = Bench()
    since_ns = bench.now.time_ns
    for _ in range(3):
        mismatch(bench, sound(bench), False)
        bench.wait(30)
    found = {"wrote": True, "read_back": False, "since_ns": since_ns, "times": 3, "reason": "read_back"}
    assert row(bench, HORN)["mismatch"] == found
    assert bench.kinds() == ["write_intent", "write_mismatch"], "told once"
    assert bench.guard.status(bench.now)["outcomes"]["mismatch"] == 3
    assert isinstance(bench.write(sound(bench)), Verdict)
    assert row(bench, HORN)["mismatch"] is None
    assert bench.kinds()[2:] == ["write_done"]


def test_a_tag_that_is_no_longer_listed_is_forgotten() -> None:
    bench = Bench()
    mismatch(bench, sound(bench), False)
    without = replace(WRITING, writables=tuple(w for w in WRITING.writables if w.tag != HORN))
    bench.guard.reconfigure(without, bench.guard._tags, "cfg2", bench.now)
    bench.guard.reconfigure(WRITING, bench.guard._tags, "cfg3", bench.now)
    assert row(bench, HORN)["mismatch"] is None


def test_trying_again_costs_nothing() -> None:
    """Otherwise a horn that was mended at noon would be out of budget until midnight."""
    bench = Bench(with_writable(HORN, per_day=2))
    for turn in range(200):
        if turn % 2:
            mismatch(bench, sound(bench), None)
        else:
            bench.keep(bench.guard.failed(sent(bench, sound(bench)), "no answer", bench.now).audit)
        bench.wait(30)
    assert row(bench, HORN)["today"] == 0
    for value in (True, False):
        assert isinstance(bench.write(sound(bench, value)), Verdict)
    last = bench.write(sound(bench))
    assert isinstance(last, Refusal) and last.reason is Reason.BUDGET_TAG, "what arrived does count"


def test_an_output_that_cannot_be_written_locks_nothing() -> None:
    bench = armed_bench()
    for _ in range(10):
        assert not bench.guard.failed(sent(bench, sound(bench)), "refused", bench.now, written=False).locked
        bench.wait(30)
    assert isinstance(bench.judge(bench.request()), Permit)


def test_a_horn_that_works_does_not_forgive_the_set_points() -> None:
    bench = armed_bench()
    for turn in range(3):
        verdict = bench.guard.failed(sent(bench, bench.request()), "no answer", bench.now)
        bench.keep(verdict.audit)
        assert verdict.locked is (turn == 2)
        bench.wait(2)
        bench.write(sound(bench, turn % 2 == 0))


def test_a_person_at_an_output_locks_as_with_any_other_tag() -> None:
    """It is what was asked for that decides, not the tag."""
    writing = with_writable(HORN, who=("operator", "annunciation"))
    bench = armed_bench(writing)
    assert mismatch(bench, bench.request(HORN, True), False).locked


def test_an_exhausted_budget_is_loud_once_and_shown_until_it_is_written() -> None:
    bench = Bench(with_writable(HORN, per_day=1))
    since_ns = bench.now.time_ns
    assert isinstance(bench.write(sound(bench)), Verdict)
    for _ in range(3):
        last = bench.write(sound(bench, False))
        assert isinstance(last, Refusal) and last.reason is Reason.BUDGET_TAG
        bench.wait(1)
    found = row(bench, HORN)["mismatch"]
    assert found == {
        "wrote": False, "read_back": True, "since_ns": since_ns, "times": 3, "reason": "budget_tag",
    }  # fmt: skip
    told = [event for event in bench.events if event.kind == "write_mismatch"]
    assert len(told) == 1 and "used up" in told[0].detail["text"]
    assert "已用完" in bench.guard.journal.chinese(told[0].detail["text"])
    bench.wait(86_400)
    assert isinstance(bench.write(sound(bench, False)), Verdict)
    assert row(bench, HORN)["mismatch"] is None


def test_the_budget_of_a_set_point_is_a_refusal_and_nothing_more() -> None:
    bench = armed_bench(with_writable(SETPOINT, per_day=0))
    last = bench.judge(bench.request())
    assert isinstance(last, Refusal) and last.reason is Reason.BUDGET_TAG
    assert "write_mismatch" not in bench.kinds() and row(bench, SETPOINT)["mismatch"] is None


def test_an_output_that_was_changed_by_somebody_else_is_told_once_and_shown_until_it_is_back() -> None:
    bench = Bench()
    bench.write(sound(bench))
    for turn in range(4):
        bench.wait(2)
        bench.held[HORN] = False
        bench.plant.readings[HORN] = (False, 0, 0.5)
        bench.keep(bench.guard.dropped(HORN, True, bench.now))
        assert row(bench, HORN)["mismatch"]["reason"] == "dropped"
        assert isinstance(bench.write(sound(bench)), Verdict)
        off = row(bench, HORN)["mismatch"]
        assert (off and off["times"]) == (turn or None), "shown on as soon as it happens again"
        bench.wait(30)
    assert bench.kinds().count("write_mismatch") == 1
    assert row(bench, HORN)["today"] == 5, "it was really written each time"
    bench.keep(bench.guard.tick(bench.now))
    assert row(bench, HORN)["mismatch"] is not None
    bench.wait(3600)
    bench.keep(bench.guard.tick(bench.now))
    assert row(bench, HORN)["mismatch"] is None, "left alone by now"
    bench.keep(bench.guard.dropped(HORN, True, bench.now))
    assert bench.kinds().count("write_mismatch") == 2


def test_saying_again_what_it_holds_already_costs_nothing() -> None:
    bench = Bench(with_writable(HORN, per_day=2))
    for _ in range(50):
        bench.write(sound(bench))
        bench.wait(60)
    assert row(bench, HORN)["today"] == 1


# --- what can be written now ---


def ready(bench: Bench, tag: TagRef) -> str | None:
    rows = bench.guard.status(bench.now, bench.plant)["writables"]
    found = next(found for found in rows if found["tag"] == str(tag))
    assert found["ready"] is (found["why"] is None)
    if found["why"] is None:
        return None
    assert found["why"]["text"]["en"] and found["why"]["text"]["zh"]
    return str(found["why"]["reason"])


def test_the_status_tells_what_could_be_written_now_and_leaves_nothing_behind() -> None:
    bench = Bench()
    plant, guard = bench.plant, bench.guard
    before = (guard.snapshot(bench.now), len(guard.journal.recent), dict(guard.journal.outcomes))
    assert ready(bench, SETPOINT) is None and ready(bench, HORN) is None, "arming is told apart"
    plant.down.add("press")
    found = [ready(bench, tag) for tag in (SETPOINT, HORN, OVEN)]
    assert found == ["device_down", "device_down", None]
    plant.down.clear()
    plant.silent.add("press")
    assert (ready(bench, SETPOINT), ready(bench, HORN)) == ("heartbeat_lost", None)
    plant.silent.clear()
    plant.critical.add("press")
    assert (ready(bench, SETPOINT), ready(bench, HORN)) == ("critical_alarm", None)
    plant.critical.clear()
    for reading, reason in (
        ((False, 0, 0.1), "precondition_false"), ((True, 0, 60.0), "precondition_unknown"),
    ):  # fmt: skip
        plant.readings[REMOTE] = reading
        assert ready(bench, SETPOINT) == reason
    plant.readings[REMOTE] = (True, 0, 0.1)
    plant.readings[ZONE] = (612, 0, 60.0)
    assert ready(bench, SETPOINT) == "input_stale"
    plant.readings[ZONE] = (612, 0, 0.1)
    assert ready(bench, SETPOINT) is None
    after = (guard.snapshot(bench.now), len(guard.journal.recent), dict(guard.journal.outcomes))
    assert after == before
    guard.books.device("press").lock("press.setpoint: wrote 862, read back 850", bench.now.time_ns)
    assert (ready(bench, SETPOINT), ready(bench, HORN), ready(bench, OVEN)) == ("locked_out", None, None)
    (locked,) = guard.status(bench.now)["locked"]
    assert locked["text"]["zh"] == "press.setpoint：写入 862，读回 850"
    guard.kill("wang", True, bench.now)
    assert {ready(bench, tag) for tag in (SETPOINT, HORN, OVEN)} == {"kill_switch"}
    off = Bench(replace(WRITING, level=WriteLevel.OBSERVE))
    assert ready(off, HORN) == "writes_off"
    assert "ready" not in guard.status(bench.now)["writables"][0], "only where it is asked for"


# --- a set-point that went wrong ---


def test_a_lock_out_silences_no_horn() -> None:
    bench = armed_bench()
    assert mismatch(bench, bench.request(), 600).locked
    assert bench.guard.locked() == {"press"}
    for _ in range(3):
        end = bench.write(sound(bench))
        assert isinstance(end, Verdict) and end.ok
    for request in (
        bench.request(),
        bench.request(who="uplink:park"),
        bench.request(START, True),
        bench.request(BEAT, 1, who="heartbeat"),
    ):
        listed = with_writable(SETPOINT, who=("operator", "uplink:park"))
        bench.guard._list = {w.tag: w for w in listed.writables}
        decision = bench.judge(request)
        assert isinstance(decision, Refusal) and decision.reason is Reason.LOCKED_OUT
    bench.guard.unlock("press", "wang", "found", bench.now)
    assert bench.guard.locked() == frozenset()


def test_a_lock_out_that_comes_between_silences_no_horn() -> None:
    bench = armed_bench()
    permit = bench.judge(sound(bench))
    assert isinstance(permit, Permit)
    mismatch(bench, bench.request(), 600)
    assert isinstance(bench.guard.before(permit, False, bench.now), Permit)


def test_the_kill_switch_does() -> None:
    bench = Bench()
    bench.guard.kill("wang", True, bench.now)
    decision = bench.judge(sound(bench))
    assert isinstance(decision, Refusal) and decision.reason is Reason.KILL_SWITCH


def test_only_devices_that_are_written_to_count_as_locked() -> None:
    bench = Bench()
    bench.guard.books.device("gone").lock("long ago", 1)
    assert bench.guard.locked() == frozenset()
    assert [found["device"] for found in bench.guard.status(bench.now)["locked"]] == ["gone"]


# --- at the same time ---

LAMP = TagRef("press", "start")


def test_outputs_and_set_points_do_not_wait_for_each_other() -> None:
    """A read-back may take seconds."""
    lamp = Writable(LAMP, WriteLevel.ALARM, high=1.0, who=("annunciation",), min_interval_s=0.0)
    others = tuple(w for w in WRITING.writables if w.tag != LAMP)
    writing: Writing = replace(WRITING, writables=(*others, lamp))
    bench = armed_bench(writing)
    first = sent(bench, sound(bench))
    second = sent(bench, bench.request(LAMP, True, who="annunciation"))
    third = sent(bench, bench.request())
    again = bench.judge(sound(bench, False))
    assert isinstance(again, Refusal) and again.reason is Reason.BUSY, "its own tag"
    other = bench.judge(bench.request(value=63.0))
    assert isinstance(other, Refusal) and other.reason is Reason.BUSY, "one set-point at a time"
    for permit in (first, second, third):
        assert bench.guard.verified(permit, permit.raw, bench.now).ok


def test_a_person_and_the_agent_at_the_same_output_do() -> None:
    bench = armed_bench(with_writable(HORN, who=("operator", "annunciation")))
    permit = sent(bench, bench.request(HORN, True))
    refused = bench.judge(sound(bench, False))
    assert isinstance(refused, Refusal) and refused.reason is Reason.BUSY
    bench.guard.verified(permit, True, bench.now)
    bench.held[HORN] = True
    permit = sent(bench, sound(bench, False))
    refused = bench.judge(bench.request(HORN, True))
    assert isinstance(refused, Refusal) and refused.reason is Reason.BUSY


def test_who_waits_for_its_turn_leaves_no_record_of_it() -> None:
    bench = armed_bench()
    sent(bench, bench.request(value=61.0))
    bench.events.clear()
    refusal = bench.guard.judge(bench.request(), bench.plant, bench.now, waiting=True)
    assert isinstance(refusal, Refusal) and refusal.reason is Reason.BUSY and not refusal.audit
    assert bench.guard.status(bench.now)["refused"] == {}
    refusal = bench.guard.judge(bench.request(value=99.0), bench.plant, bench.now, waiting=True)
    assert isinstance(refusal, Refusal) and refusal.audit, "any other reason does"
    assert bench.guard.status(bench.now)["refused"] == {"out_of_range": 1}

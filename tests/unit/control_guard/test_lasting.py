"""What follows a write: reverts, lock-outs, restarts, reloads; and what each leaves in the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from edge_agent.config.writing import Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Guard, Permit, Reason, Refusal, Verdict
from edge_agent.model import Quality
from tests.unit.control_guard.bench import (
    BEAT,
    HORN,
    OVEN,
    READY,
    SETPOINT,
    START,
    START_NS,
    TAGS,
    WRITING,
    Bench,
    S,
    armed_bench,
    with_writable,
)

TTL = with_writable(SETPOINT, ttl_s=60.0)


def fly(bench: Bench, **changes: Any) -> Permit:
    """A permit at the point where its value is being sent."""
    permit = bench.judge(bench.request(**changes))
    assert isinstance(permit, Permit)
    now = bench.guard.before(permit, bench.held[permit.ref], bench.now)
    assert isinstance(now, Permit)
    bench.keep(now.audit)
    return now


def restarted(bench: Bench, *, away_s: float = 5.0, writing: Writing | None = None) -> Bench:
    """Another process, another monotonic clock, only what was committed."""
    after = Bench(writing or bench.guard.writing, bench.now.time_ns + int(away_s * S))
    after.now = Moment(7 * S, after.now.time_ns, 7 * S)
    after.held, after.plant = bench.held, bench.plant
    after.guard.restore(json.loads(json.dumps(bench.states)), after.now)
    return after


def finish(bench: Bench) -> list[str]:
    """Writes what is due until nothing is, a second apart; the kinds of what came of it."""
    kinds = []
    for _ in range(30):
        for request in bench.guard.due(bench.now):
            end = bench.write(request)
            kinds.append(end.kind if isinstance(end, Verdict) else str(end.reason))
        bench.wait(1.0)
    return kinds


# --- the journal ---


def test_a_write_leaves_its_intent_and_its_end() -> None:
    bench = armed_bench()
    end = bench.write(bench.request(comment="batch 7"))
    assert isinstance(end, Verdict) and end.ok
    assert bench.kinds() == ["write_intent", "write_done"]
    intent, done = (event.detail for event in bench.events)
    assert [stage for stage, _ in intent["stages"]] == ["authorise", "map", "verify", "accept"]
    assert [stage for stage, _ in done["stages"]] == [
        "authorise", "map", "verify", "accept", "read", "write", "confirm",
    ]  # fmt: skip
    assert intent["id"] == done["id"]
    told = {
        "tag": "press.setpoint",
        "value": 62.0,
        "raw": 620,
        "user": "li",
        "armed_by": "li",
        "unit": "degC",
    }
    assert told.items() <= done.items()
    assert (done["before"], done["comment"]) == (60.0, "batch 7")
    assert {event.source for event in bench.events} == {"press.setpoint"}
    assert {event.config_version for event in bench.events} == {"cfg1"}


def test_the_intent_stands_before_anything_is_read_or_sent() -> None:
    bench = armed_bench()
    permit = bench.judge(bench.request())
    assert isinstance(permit, Permit)
    assert [event.kind for event in permit.audit.events] == ["write_intent"]
    assert permit.audit.states["write:press.setpoint"]["days"], "the count is on disk before the frame"


def test_beats_and_horns_are_told_when_something_is_new() -> None:
    bench = Bench()
    for value in (1, 2, 3):
        bench.write(bench.request(BEAT, value, who="heartbeat"))
        bench.wait(1)
    assert bench.kinds() == ["write_done"]
    bench.plant.down.add("press")
    for value in (4, 5):
        assert isinstance(bench.write(bench.request(BEAT, value, who="heartbeat")), Refusal)
    assert bench.kinds() == ["write_done", "write_refused"]
    bench.plant.down.clear()
    bench.events.clear()
    for value in (True, True, False):
        bench.write(bench.request(HORN, value, who="annunciation"))
    assert bench.kinds() == ["write_intent", "write_done"] * 2


def test_horns_and_beats_need_neither_token_nor_the_absence_of_critical_alarms() -> None:
    bench = Bench()
    bench.plant.critical.add("press")
    bench.plant.silent.add("press")
    assert isinstance(bench.judge(bench.request(HORN, True, who="annunciation")), Permit)
    beat = bench.judge(bench.request(BEAT, 1, who="heartbeat"))
    assert isinstance(beat, Permit), "a beat does not wait for another write"
    assert not beat.read_before and not beat.verify
    bench.guard.kill("wang", True, bench.now)
    for request in (bench.request(HORN, True, who="annunciation"), bench.request(BEAT, 1, who="heartbeat")):
        decision = bench.judge(request)
        assert isinstance(decision, Refusal) and decision.reason is Reason.KILL_SWITCH


def test_a_dry_run_costs_nothing_and_writes_nothing() -> None:
    for writing, dry in ((WRITING, True), (replace(WRITING, dry_run=True), False)):
        bench = armed_bench(with_writable(SETPOINT, writing, ttl_s=60.0))
        end = bench.write(bench.request(dry_run=dry))
        assert isinstance(end, Verdict) and end.kind == "write_dry_run" and end.ok
        assert bench.kinds() == ["write_dry_run"] and bench.sent == []
        row = bench.guard.status(bench.now)["writables"][0]
        assert (row["today"], row["revert"]) == (0, None)
        assert isinstance(bench.judge(bench.request()), Permit), "at once again"


# --- reverts ---


def test_a_value_goes_back_to_what_was_there() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    bench.wait(59.9)
    assert bench.guard.due(bench.now) == []
    bench.wait(0.1)
    bench.guard.disarm("li", bench.now)
    bench.events.clear()
    assert finish(bench) == ["write_reverted"]
    assert bench.held[SETPOINT] == 600
    assert bench.kinds() == ["write_intent", "write_reverted"]
    assert bench.events[1].detail["who"] == "ttl"
    assert bench.guard.books.tags[SETPOINT].revert is None


def test_a_renewed_value_goes_back_to_the_first_one_and_later() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    bench.wait(40)
    bench.write(bench.request(value=66.0))
    bench.wait(59)
    assert bench.guard.due(bench.now) == []
    bench.wait(1)
    assert finish(bench) == ["write_reverted", "write_reverted"], "6 K in steps of 5 K"
    assert bench.held[SETPOINT] == 600


def test_a_long_way_back_keeps_step_and_rate() -> None:
    bench = armed_bench(with_writable(SETPOINT, ttl_s=60.0, revert=42.0, max_rate=1.0))
    bench.write(bench.request(value=62.0))
    bench.wait(60)
    assert finish(bench) == ["write_reverted"] * 4
    assert [raw for _, raw in bench.sent] == [620, 570, 520, 470, 420]


def test_room_for_the_way_back_is_kept_from_everybody_else() -> None:
    writing = with_writable(SETPOINT, replace(WRITING, per_day=4), ttl_s=60.0, revert=52.0)
    bench = armed_bench(writing)
    end = bench.write(bench.request(value=62.0))
    assert isinstance(end, Verdict) and end.ok, "one there and two back"
    bench.held[START] = False
    end = bench.write(bench.request(START, True))
    assert isinstance(end, Verdict) and end.ok, "the fourth"
    bench.wait(5)
    decision = bench.judge(bench.request(START, False))
    assert isinstance(decision, Refusal) and decision.reason is Reason.BUDGET_ALL
    bench.wait(60)
    assert finish(bench) == ["write_reverted", "write_reverted"]


def test_what_somebody_else_changed_is_left_alone() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    bench.held[SETPOINT] = 555
    bench.wait(60)
    bench.events.clear()
    assert finish(bench) == ["changed_meanwhile"]
    assert bench.held[SETPOINT] == 555
    assert bench.events[-1].detail["reason"] == "changed_meanwhile"


def test_a_revert_that_is_refused_comes_again_less_and_less_often() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    bench.plant.readings[READY] = (False, Quality.GOOD, 0.0)
    bench.wait(60)
    tries = []
    for second in range(1200):
        for request in bench.guard.due(bench.now):
            decision = bench.judge(request)
            assert isinstance(decision, Refusal) and decision.reason is Reason.PRECONDITION_FALSE
            tries.append(second)
        bench.wait(1)
    assert tries[:6] == [0, 5, 15, 35, 75, 155]
    assert tries[-1] - tries[-2] == 300
    bench.plant.readings[READY] = (True, Quality.GOOD, 0.0)
    bench.wait(300)
    assert finish(bench) == ["write_reverted"]


@pytest.mark.parametrize(("away_s", "at_once"), [(30.0, False), (61.0, True), (-86_400.0, False)])
def test_reverts_survive_a_restart(away_s: float, at_once: bool) -> None:
    """By wall time, and never later than what was left: a clock set back a day does not make it longer."""
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    after = restarted(bench, away_s=away_s)
    assert bool(after.guard.due(after.now)) is at_once
    if not at_once:
        after.wait(61.0)
        assert finish(after) == ["write_reverted"]
        assert after.held[SETPOINT] == 600


def test_a_revert_is_on_disk_before_the_frame() -> None:
    bench = armed_bench(TTL)
    fly(bench, value=63.0)
    bench.held[SETPOINT] = 630  # sent, and the agent was killed
    after = restarted(bench, away_s=70.0)
    assert finish(after) == ["write_reverted"]
    assert after.held[SETPOINT] == 600


def test_reverts_of_tags_that_are_no_longer_listed_end_with_a_word() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    less = replace(TTL, writables=tuple(w for w in TTL.writables if w.tag != SETPOINT))
    bench.keep(bench.guard.reconfigure(less, TAGS, "cfg2", bench.now))
    bench.wait(60)
    assert finish(bench) == ["not_listed"]
    assert bench.events[-1].config_version == "cfg2"


# --- failures ---


def test_a_mismatch_locks_at_once() -> None:
    bench = armed_bench()
    verdict = bench.guard.verified(fly(bench), 600, bench.now)
    bench.keep(verdict.audit)
    assert verdict.locked and not verdict.ok
    assert bench.kinds() == ["write_intent", "write_mismatch", "write_locked"]
    assert bench.events[2].source == "press"
    beat = bench.judge(bench.request(BEAT, 1, who="heartbeat"))
    assert isinstance(beat, Refusal) and beat.reason is Reason.LOCKED_OUT, "so that the PLC falls back"
    assert isinstance(restarted(bench).judge(bench.request(BEAT, 1, who="heartbeat")), Refusal)
    with pytest.raises(Exception, match="say why"):
        bench.guard.unlock("press", "wang", " ", bench.now)
    bench.keep(bench.guard.unlock("press", "wang", "valve was in manual", bench.now))
    assert bench.events[-1].kind == "write_unlocked"
    assert bench.events[-1].detail["user"] == "wang"
    bench.wait(5)
    assert isinstance(bench.judge(bench.request()), Permit)
    assert restarted(bench).guard.books.lock_of("press") is None


def test_three_failures_in_a_row_lock() -> None:
    bench = armed_bench()
    for turn in range(5):
        verdict = bench.guard.failed(fly(bench), "no answer", bench.now)
        bench.keep(verdict.audit)
        assert verdict.locked is (turn == 4)
        bench.wait(2)
        if turn == 1:
            assert isinstance(bench.write(bench.request(value=60.0)), Verdict), "which starts the count anew"
            bench.wait(2)
    assert isinstance(bench.judge(bench.request()), Refusal)


def test_what_failed_before_anything_was_sent_is_not_the_devices_fault() -> None:
    bench = armed_bench()
    for _ in range(5):
        permit = bench.judge(bench.request())
        assert isinstance(permit, Permit)
        assert not bench.guard.failed(permit, "disk full", bench.now, written=False).locked
    assert bench.guard.books.tags[SETPOINT].days.count(bench.now.time_ns) == 0


def test_a_write_that_was_surely_not_done_leaves_nothing_to_revert() -> None:
    bench = armed_bench(TTL)
    bench.keep(bench.guard.failed(fly(bench), "refused", bench.now, written=False).audit)
    assert bench.guard.books.tags[SETPOINT].revert is None
    bench = armed_bench(TTL)
    bench.keep(bench.guard.failed(fly(bench), "no answer", bench.now).audit)
    assert bench.guard.books.tags[SETPOINT].revert is not None
    bench.wait(60)
    assert finish(bench) == ["changed_meanwhile"], "it had not arrived: nothing to take back"


def test_a_permit_that_comes_to_no_end_is_closed() -> None:
    bench = armed_bench()
    fly(bench)
    bench.wait(61)
    bench.keep(bench.guard.tick(bench.now))
    assert bench.kinds()[-1] != "write_failed"
    bench.wait(2)
    bench.keep(bench.guard.tick(bench.now))
    assert bench.kinds()[-1] == "write_failed"
    assert isinstance(bench.judge(bench.request()), Permit)


def test_a_read_back_within_the_tolerance_is_enough() -> None:
    bench = armed_bench(with_writable(SETPOINT, verify_tolerance=0.5))
    permit = fly(bench)
    assert bench.guard.matches(permit, 625) and not bench.guard.matches(permit, 626)
    assert not bench.guard.matches(permit, None)
    assert bench.guard.verified(permit, 615, bench.now).ok


# --- arming, approval, kill switch, restart ---


def test_a_restart_never_resumes_writing() -> None:
    bench = armed_bench()
    bench.write(bench.request())
    after = restarted(bench)
    decision = after.judge(replace(after.request(), token=bench.token))
    assert isinstance(decision, Refusal) and decision.reason is Reason.NOT_ARMED
    assert bench.token not in json.dumps(bench.guard.snapshot(bench.now)) + json.dumps(bench.states)


def test_budgets_and_kill_switch_survive() -> None:
    bench = armed_bench(with_writable(SETPOINT, per_day=1))
    bench.write(bench.request())
    bench.keep(bench.guard.kill("wang", True, bench.now))
    after = restarted(bench)
    assert after.guard.status(after.now)["killed_by"] == "wang"
    with pytest.raises(Exception, match="kill switch"):
        after.arm()
    after.keep(after.guard.kill("wang", False, after.now, "checked"))
    after.arm()
    decision = after.judge(after.request(value=60.0))
    assert isinstance(decision, Refusal) and decision.reason is Reason.BUDGET_TAG
    after.wait(86_400)
    after.arm()
    assert isinstance(after.judge(after.request(value=60.0)), Permit)
    assert after.kinds()[:2] == ["write_killed", "write_armed"]


def test_the_day_is_that_of_beijing() -> None:
    midnight_ns = (START_NS // S // 86_400 * 86_400 + 57_600) * S  # 16:00 UTC
    bench = Bench(with_writable(SETPOINT, per_day=1), midnight_ns - 10 * S)
    bench.arm()
    bench.write(bench.request(value=61.0))
    bench.wait(5)
    decision = bench.judge(bench.request(value=62.0))
    assert isinstance(decision, Refusal) and decision.reason is Reason.BUDGET_TAG
    bench.wait(5)
    assert isinstance(bench.judge(bench.request(value=62.0)), Permit)


def test_a_clock_set_back_finds_its_count() -> None:
    bench = armed_bench(with_writable(SETPOINT, per_day=1))
    bench.write(bench.request(value=61.0))
    at = bench.now
    bench.now = Moment(at.mono_ns + 10 * S, at.time_ns + 86_400 * S, at.now_ns)
    bench.write(bench.request(value=62.0))
    bench.now = Moment(at.mono_ns + 20 * S, at.time_ns + 20 * S, at.now_ns)
    decision = bench.judge(bench.request(value=63.0))
    assert isinstance(decision, Refusal) and decision.reason is Reason.BUDGET_TAG


def test_a_state_that_cannot_be_read_forbids() -> None:
    bench = Bench()
    bench.guard.restore({"write:press.setpoint": {"days": 7}, "write:*": [], "excursion": 1}, bench.now)
    assert bench.guard.books.lock_of("press") is not None
    assert bench.guard.books.killed_by


def test_four_eyes() -> None:
    bench = armed_bench()
    decision = bench.judge(bench.request(OVEN, 210, comment="hotter"))
    assert isinstance(decision, Refusal) and decision.pending == "a1"
    with pytest.raises(Exception, match="another person"):
        bench.guard.approve("a1", "li", bench.now)
    with pytest.raises(Exception, match="nothing waits"):
        bench.guard.approve("a2", "wang", bench.now)
    approved = bench.guard.approve("a1", "wang", bench.now)
    bench.keep(approved.audit)
    assert approved.request is not None and approved.request.token == ""
    changed = bench.judge(replace(approved.request, value=220))
    assert isinstance(changed, Refusal) and changed.reason is Reason.TOKEN_WRONG, "approved was another value"
    end = bench.write(approved.request)
    assert isinstance(end, Verdict) and end.ok
    assert bench.events[-1].detail["approved_by"] == "wang"
    bench.wait(5)
    again = bench.judge(approved.request)
    assert isinstance(again, Refusal), "once"


def test_an_approval_ends_with_its_time_and_with_the_arming() -> None:
    for how in ("time", "arming"):
        bench = armed_bench()
        bench.arm(3600.0)
        bench.judge(bench.request(OVEN, 210))
        if how == "time":
            bench.wait(601)
            with pytest.raises(Exception, match="expired"):
                bench.guard.approve("a1", "wang", bench.now)
            continue
        approved = bench.guard.approve("a1", "wang", bench.now)
        bench.arm()
        assert approved.request is not None
        decision = bench.judge(approved.request)
        assert isinstance(decision, Refusal) and decision.reason is Reason.TOKEN_WRONG


def test_arming_has_a_longest_time_and_ends() -> None:
    bench = Bench()
    for seconds in (0.0, -1.0, 3601.0, float("nan"), float("inf")):
        with pytest.raises(Exception, match="at most"):
            bench.arm(seconds)
    bench.arm(10)
    assert bench.guard.status(bench.now)["armed"]["user"] == "li"
    bench.wait(10)
    bench.keep(bench.guard.tick(bench.now))
    bench.keep(bench.guard.tick(bench.now))
    assert bench.kinds() == ["write_armed", "write_disarmed"]
    assert bench.events[1].detail["reason"] == "expired"


def test_nothing_can_be_armed_where_nothing_may_be_written() -> None:
    with pytest.raises(Exception, match="level is alarm"):
        Guard(Writing(), {}, "cfg1", random=lambda size: b"x" * size).arm("li", 60.0, Moment(0, 0, 0))


def test_a_reload_that_changes_nothing_keeps_the_arming_and_any_other_ends_it() -> None:
    bench = armed_bench()
    places = count(1)
    moved = tuple(replace(w, place=f"press.yaml:{next(places)}") for w in WRITING.writables)
    assert not bench.guard.reconfigure(replace(WRITING, writables=moved), TAGS, "cfg2", bench.now)
    assert isinstance(bench.judge(bench.request()), Permit)
    audit = bench.guard.reconfigure(with_writable(SETPOINT, high=70.0), TAGS, "cfg3", bench.now)
    assert [event.kind for event in audit.events] == ["write_disarmed"]
    assert audit.events[0].config_version == "cfg3"
    decision = bench.judge(bench.request(value=71.0))
    assert isinstance(decision, Refusal) and decision.reason is Reason.NOT_ARMED


def test_tokens_differ_and_are_kept_nowhere() -> None:
    bench = Bench()
    tokens = set()
    for _ in range(3):
        bench.arm()
        tokens.add(bench.token)
    assert len(tokens) == 3
    assert all(len(token) == 32 for token in tokens)
    everything = repr([bench.guard.status(bench.now), bench.events, bench.states, bench.request()])
    assert not any(token in everything for token in tokens)

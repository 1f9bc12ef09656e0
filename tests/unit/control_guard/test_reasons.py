"""Every reason: a sound request is permitted, and one change makes it refused for exactly that reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.config.writing import WriteLevel, Writing
from edge_agent.control.guard import Permit, Reason, Refusal, WriteRequest
from edge_agent.control.guard.refusal import sentence
from edge_agent.model import Quality
from tests.unit.control_guard.bench import (
    HORN,
    OVEN,
    READY,
    REMOTE,
    SETPOINT,
    START,
    WRITING,
    ZONE,
    Bench,
    S,
    armed_bench,
    with_writable,
)

Case = tuple[Bench, WriteRequest]


def base(writing: Writing = WRITING, **changes: Any) -> Case:
    bench = armed_bench(writing)
    return bench, bench.request(**changes)


def fact(tag: Any, value: Any, quality: int = Quality.GOOD, age_s: float = 0.2) -> Case:
    bench, request = base()
    bench.plant.readings[tag] = (value, quality, age_s)
    return bench, request


def written_before(seconds: float, writing: Writing = WRITING, value: float = 61.0) -> Case:
    bench = armed_bench(writing)
    assert not isinstance(bench.write(bench.request(value=60.0)), Refusal)
    bench.wait(seconds)
    bench.events.clear()
    return bench, bench.request(value=value)


def spent(writing: Writing) -> Case:
    bench = armed_bench(writing)
    for value in (61.0, 62.0):
        assert not isinstance(bench.write(bench.request(value=value)), Refusal)
        bench.wait(5)
    bench.events.clear()
    return bench, bench.request(value=63.0)


def killed() -> Case:
    bench, request = base()
    bench.guard.kill("wang", True, bench.now)
    return bench, request


def expired() -> Case:
    bench, request = base()
    bench.wait(601)
    return bench, request


def rearmed() -> Case:
    bench, request = base()
    bench.arm()
    bench.events.clear()
    return bench, request


def locked() -> Case:
    bench, request = base()
    permit = bench.judge(request)
    assert isinstance(permit, Permit)
    permit = bench.guard.before(permit, 600, bench.now)
    assert isinstance(permit, Permit)
    assert bench.guard.verified(permit, 600, bench.now).locked
    bench.wait(5)
    bench.events.clear()
    return bench, bench.request()


def under_way() -> Case:
    bench, request = base()
    assert isinstance(bench.judge(bench.request(value=61.0)), Permit)
    bench.events.clear()
    return bench, request


def down(what: str) -> Case:
    bench, request = base()
    getattr(bench.plant, what).add("press")
    return bench, request


CHANGES: list[tuple[Reason, str, Callable[[], Case]]] = [
    (Reason.WRITES_OFF, "nothing listed", lambda: (bench := Bench(Writing()), bench.request())),
    (Reason.WRITES_OFF, "level observe", lambda: leveled(WriteLevel.OBSERVE)),
    (Reason.NOT_LISTED, "a tag that is read only", lambda: base(tag=ZONE)),
    (Reason.WHO, "an uplink that is not named", lambda: base(who="uplink:park")),
    (Reason.WHO, "a person at the horn", lambda: base(tag=HORN, value=True)),
    (Reason.WHO, "somebody as the agent itself", lambda: base(who="annunciation")),
    (Reason.LEVEL, "alarm", lambda: leveled(WriteLevel.ALARM)),
    (Reason.LEVEL, "a request bit at setpoint", lambda: leveled(WriteLevel.SETPOINT, tag=START, value=True)),
    (Reason.INCOMPLETE, "no condition", lambda: base(with_writable(SETPOINT, when=()))),
    (Reason.INCOMPLETE, "no input", lambda: base(with_writable(SETPOINT, inputs=()))),
    (Reason.INCOMPLETE, "no read-back", lambda: base(with_writable(SETPOINT, verify_within_s=0.0))),
    (Reason.INCOMPLETE, "no heartbeat", lambda: base(replace(WRITING, heartbeats=()))),
    (Reason.KILL_SWITCH, "kill switch", killed),
    (Reason.NOT_ARMED, "never armed", lambda: (bench := Bench(), bench.request())),
    (Reason.TOKEN_EXPIRED, "expired", expired),
    (Reason.TOKEN_WRONG, "no token", lambda: base(token="")),
    (Reason.TOKEN_WRONG, "a guess", lambda: base(token="AAAA")),
    (Reason.TOKEN_WRONG, "the token of the former arming", rearmed),
    (Reason.LOCKED_OUT, "after a mismatch", locked),
    (Reason.TYPE, "text", lambda: base(value="62")),
    (Reason.TYPE, "bool for a number", lambda: base(value=True)),
    (Reason.TYPE, "number for a bool", lambda: base(tag=START, value=1)),
    (Reason.TYPE, "nothing", lambda: base(value=None)),
    (Reason.NOT_A_NUMBER, "NaN", lambda: base(value=math.nan)),
    (Reason.NOT_A_NUMBER, "infinity", lambda: base(value=-math.inf)),
    (Reason.TYPE_RANGE, "more than int16 holds", lambda: base(value=3276.8)),
    (Reason.TYPE_RANGE, "an endless whole number", lambda: base(value=10**400)),
    (Reason.OUT_OF_RANGE, "low", lambda: base(value=19.9)),
    (Reason.OUT_OF_RANGE, "high", lambda: base(value=80.1)),
    (Reason.OUT_OF_RANGE, "a hair too high", lambda: base(value=math.nextafter(80.0, 100.0))),
    (Reason.DEVICE_DOWN, "device down", lambda: down("down")),
    (Reason.HEARTBEAT_LOST, "heartbeat lost", lambda: down("silent")),
    (Reason.CRITICAL_ALARM, "critical alarm", lambda: down("critical")),
    (Reason.PRECONDITION_UNKNOWN, "condition stale", lambda: fact(REMOTE, True, age_s=5.1)),
    (Reason.PRECONDITION_UNKNOWN, "condition bad", lambda: fact(REMOTE, None, Quality.BAD_COMM)),
    (Reason.PRECONDITION_UNKNOWN, "condition uncertain", lambda: fact(REMOTE, True, Quality.UNCERTAIN)),
    (Reason.PRECONDITION_UNKNOWN, "condition is a number", lambda: fact(REMOTE, 1)),
    (Reason.PRECONDITION_FALSE, "condition false", lambda: fact(READY, False)),
    (Reason.INPUT_BAD, "input bad", lambda: fact(ZONE, None, Quality.BAD_DEVICE)),
    (Reason.INPUT_BAD, "input uncertain", lambda: fact(ZONE, 612, Quality.UNCERTAIN_STOPPED)),
    (Reason.INPUT_STALE, "input stale", lambda: fact(ZONE, 612, age_s=5.1)),
    (Reason.BUSY, "another write", under_way),
    (Reason.INTERVAL, "too soon", lambda: written_before(0.9)),
    (Reason.STEP, "too far", lambda: base(value=65.1)),
    (Reason.RATE, "too fast", lambda: written_before(1.0, value=62.1)),
    (Reason.BUDGET_TAG, "budget of the tag", lambda: spent(with_writable(SETPOINT, per_day=2))),
    (Reason.BUDGET_ALL, "budget of all", lambda: spent(replace(WRITING, per_day=2))),
    (Reason.BUDGET_TAG, "no room to revert", lambda: base(with_writable(SETPOINT, per_day=1, ttl_s=60.0))),
    (Reason.RECOMMENDED, "level recommend", lambda: leveled(WriteLevel.RECOMMEND)),
    (Reason.RECOMMENDED, "a tag of level recommend",
     lambda: base(with_writable(SETPOINT, level=WriteLevel.RECOMMEND))),
    (Reason.APPROVAL_MISSING, "four eyes", lambda: base(tag=OVEN, value=210)),
]  # fmt: skip


def leveled(level: WriteLevel, **changes: Any) -> Case:
    """Writing of that level, which cannot always be armed."""
    bench = Bench(replace(WRITING, level=level))
    if level >= WriteLevel.SETPOINT:
        bench.arm()
        bench.events.clear()
    return bench, bench.request(**changes)


def test_the_sound_request_is_permitted() -> None:
    bench, request = base()
    permit = bench.judge(request)
    assert isinstance(permit, Permit)
    assert (permit.raw, permit.value, permit.verify, permit.read_before) == (620, 62.0, True, True)
    assert bench.kinds() == ["write_intent"]
    assert permit.request.token == ""


@pytest.mark.parametrize(("reason", "what", "case"), CHANGES, ids=[f"{r}: {w}" for r, w, _ in CHANGES])
def test_one_change_refuses_for_that_reason(reason: Reason, what: str, case: Callable[[], Case]) -> None:
    bench, request = case()
    bench.events.clear()
    decision = bench.judge(request)
    assert isinstance(decision, Refusal)
    assert decision.reason is reason
    assert bench.kinds() == ["write_refused"]
    detail = bench.events[0].detail
    assert detail["reason"] == reason and detail["stage"] == reason.stage
    assert "{" not in decision.text.en + decision.text.zh
    assert re.search(r"[\u4e00-\u9fff]", decision.text.zh)
    told = json.dumps(detail, allow_nan=False)
    assert not bench.token or bench.token not in told + repr(decision)


AFTER = {
    Reason.UNREADABLE, Reason.CHANGED_MEANWHILE, Reason.NO_WAY_BACK, Reason.AUDIT_UNAVAILABLE,
    Reason.RECONFIGURED,
}  # fmt: skip


def test_every_reason_has_its_case() -> None:
    assert {reason for reason, _, _ in CHANGES} | AFTER == set(Reason)
    cases = [list(Reason).index(reason) for reason, _, _ in CHANGES]
    assert max(cases) < min(list(Reason).index(reason) for reason in AFTER)


# --- the order ---


def _break(bench: Bench, request: WriteRequest, reason: Reason) -> WriteRequest:
    """Makes that condition fail, whatever else fails already."""
    readings, guard = bench.plant.readings, bench.guard
    match reason:
        case Reason.WHO:
            return replace(request, who="uplink:park")
        case Reason.KILL_SWITCH:
            guard.books.killed_by = "wang"
        case Reason.TOKEN_WRONG:
            return replace(request, token="AAAA")
        case Reason.LOCKED_OUT:
            guard.books.device("press").lock("test", bench.now.time_ns)
        case Reason.TYPE:
            return replace(request, value="text")
        case Reason.OUT_OF_RANGE:
            return replace(request, value=99.0)
        case Reason.DEVICE_DOWN:
            bench.plant.down.add("press")
        case Reason.HEARTBEAT_LOST:
            bench.plant.silent.add("press")
        case Reason.CRITICAL_ALARM:
            bench.plant.critical.add("press")
        case Reason.PRECONDITION_UNKNOWN:
            readings[READY] = (None, Quality.BAD, 0.0)
        case Reason.PRECONDITION_FALSE:
            readings[REMOTE] = (False, Quality.GOOD, 0.0)
        case Reason.INPUT_BAD:
            readings[ZONE] = (None, Quality.BAD, 0.0)
        case Reason.INTERVAL:
            ledger = guard.books.tag(SETPOINT)
            ledger.sent_mono_ns, ledger.raw = bench.now.mono_ns - S // 2, 600
        case Reason.STEP:
            readings[SETPOINT] = (300, Quality.GOOD, 0.0)
        case Reason.BUDGET_TAG:
            guard.books.tag(SETPOINT).days.add(bench.now.time_ns, 10)
        case _:
            raise AssertionError(reason)
    return request


ORDER = [
    Reason.WHO, Reason.KILL_SWITCH, Reason.TOKEN_WRONG, Reason.LOCKED_OUT, Reason.TYPE, Reason.OUT_OF_RANGE,
    Reason.DEVICE_DOWN, Reason.HEARTBEAT_LOST, Reason.CRITICAL_ALARM, Reason.PRECONDITION_UNKNOWN,
    Reason.PRECONDITION_FALSE, Reason.INPUT_BAD, Reason.INTERVAL, Reason.STEP, Reason.BUDGET_TAG,
]  # fmt: skip


def test_the_first_that_applies_is_told() -> None:
    bench, request = base()
    for reason in reversed(ORDER):
        request = _break(bench, request, reason)
        decision = bench.judge(request)
        assert isinstance(decision, Refusal) and decision.reason is reason
    assert sorted(ORDER, key=list(Reason).index) == ORDER


# --- after the controller was read ---


def after(writing: Writing = WRITING, raw: Any = 600, quality: int = Quality.GOOD, **changes: Any) -> Any:
    bench = armed_bench(writing)
    permit = bench.judge(bench.request(**changes))
    assert isinstance(permit, Permit)
    bench.events.clear()
    decision = bench.guard.before(permit, raw, bench.now, quality)
    bench.keep(decision.audit)
    return bench, decision


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        (Reason.UNREADABLE, {"raw": None, "quality": Quality.BAD_COMM}),
        (Reason.UNREADABLE, {"raw": 600, "quality": Quality.UNCERTAIN}),
        (Reason.CHANGED_MEANWHILE, {"raw": 601}),
        (Reason.NO_WAY_BACK, {"writing": with_writable(SETPOINT, ttl_s=60.0, low=61.0)}),
        (Reason.BUDGET_TAG, {"writing": with_writable(SETPOINT, ttl_s=60.0, revert=40.0, per_day=4)}),
    ],
)
def test_what_the_controller_holds_is_judged(reason: Reason, arguments: Any) -> None:
    bench, decision = after(**arguments)
    assert isinstance(decision, Refusal) and decision.reason is reason
    assert bench.kinds() == ["write_refused"]
    assert bench.guard.books.tags[SETPOINT].days.count(bench.now.time_ns) == 0, (
        "what is not sent costs nothing"
    )
    assert isinstance(bench.judge(bench.request()), Permit), "the device is free again"


def test_step_and_rate_are_judged_by_what_was_read_where_nothing_was_known() -> None:
    bench = armed_bench()
    del bench.plant.readings[SETPOINT]
    permit = bench.judge(bench.request(value=62.0))
    assert isinstance(permit, Permit) and permit.expected is None
    decision = bench.guard.before(permit, 300, bench.now)
    assert isinstance(decision, Refusal) and decision.reason is Reason.STEP
    bench = armed_bench(with_writable(SETPOINT, max_step=None))
    bench.write(bench.request(value=60.0))
    bench.wait(30)
    del bench.plant.readings[SETPOINT]
    permit = bench.judge(bench.request(value=62.0))
    assert isinstance(permit, Permit) and permit.expected is None
    decision = bench.guard.before(permit, 1, bench.now)
    assert isinstance(decision, Refusal) and decision.reason is Reason.RATE, "61.9 in 30 s is 2.06 a second"


@pytest.mark.parametrize("what", ["kill", "disarm", "lock", "again"])
def test_a_permit_is_withdrawn_by_what_people_do_meanwhile(what: str) -> None:
    bench = armed_bench()
    permit = bench.judge(bench.request())
    assert isinstance(permit, Permit)
    if what == "kill":
        bench.guard.kill("wang", True, bench.now)
    elif what == "disarm":
        bench.guard.disarm("wang", bench.now)
    elif what == "lock":
        bench.guard.books.device("press").lock("test", bench.now.time_ns)
    else:
        bench.arm(user="wang")
    decision = bench.guard.before(permit, 600, bench.now)
    expected = {"kill": Reason.KILL_SWITCH, "lock": Reason.LOCKED_OUT}.get(what, Reason.NOT_ARMED)
    assert isinstance(decision, Refusal) and decision.reason is expected


def test_every_sentence_speaks_of_what_it_is_given() -> None:
    values = dict.fromkeys(
        ("tag", "who", "permitted", "needed", "level", "missing", "user", "device", "since", "why", "value",
         "type", "raw", "low", "high", "input", "state", "age", "limit", "before", "pending", "found",
         "judged"),
        "x",
    )  # fmt: skip
    for reason in Reason:
        text = sentence(reason, values)
        assert text.en and text.zh and reason.stage

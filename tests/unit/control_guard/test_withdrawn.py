"""A permit that ends although the device did nothing wrong: no record on disk, or a reload in between."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edge_agent.control.guard import Permit, Reason, Refusal, Stage
from tests.unit.control_guard.bench import HORN, SETPOINT, Bench, armed_bench, with_writable

TTL = with_writable(SETPOINT, ttl_s=60.0)
WHY: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.AUDIT_UNAVAILABLE, {"limit": "1"}),
    (Reason.RECONFIGURED, {}),
    (Reason.KILL_SWITCH, {"user": "wang"}),
]


def permitted(bench: Bench, *, read: bool, **changes: Any) -> Permit:
    permit = bench.judge(bench.request(**changes))
    assert isinstance(permit, Permit)
    if read:
        now = bench.guard.before(permit, bench.held[permit.ref], bench.now)
        assert isinstance(now, Permit)
        bench.keep(now.audit)
        return now
    return permit


@pytest.mark.parametrize("read", [False, True], ids=["before the read", "just before the write"])
@pytest.mark.parametrize(("reason", "values"), WHY, ids=[str(reason) for reason, _ in WHY])
def test_it_is_refused_for_that_reason(reason: Reason, values: dict[str, Any], read: bool) -> None:
    bench = armed_bench()
    permit = permitted(bench, read=read)
    refusal = bench.guard.withdrawn(permit, reason, bench.now, **values)
    bench.keep(refusal.audit)
    assert isinstance(refusal, Refusal) and refusal.reason is reason
    assert bench.kinds() == ["write_intent", "write_refused"]
    detail = bench.events[1].detail
    assert (detail["reason"], detail["stage"], detail["id"]) == (reason, reason.stage, permit.id)
    json.dumps(detail, allow_nan=False)
    assert "{" not in refusal.text.en + refusal.text.zh
    assert re.search(r"[\u4e00-\u9fff]", refusal.text.zh)


def test_nothing_was_sent_is_the_stage() -> None:
    assert Reason.AUDIT_UNAVAILABLE.stage is Reason.RECONFIGURED.stage is Stage.WRITE


@pytest.mark.parametrize("read", [False, True])
def test_a_disk_fault_never_locks_a_device_out(read: bool) -> None:
    bench = armed_bench(TTL)
    for _ in range(10):
        permit = permitted(bench, read=read)
        bench.keep(bench.guard.withdrawn(permit, Reason.AUDIT_UNAVAILABLE, bench.now, limit="1").audit)
    assert "write_locked" not in bench.kinds()
    assert "press" not in bench.guard.books.devices
    ledger = bench.guard.books.tags[SETPOINT]
    assert (ledger.days.count(bench.now.time_ns), ledger.revert, ledger.raw) == (0, None, None)
    assert bench.states["write:press.setpoint"]["revert"] is None, "on disk as well"
    assert isinstance(bench.judge(bench.request()), Permit), "at once, and no interval runs"


def test_it_does_not_forgive_what_failed_before() -> None:
    bench = armed_bench()
    for _ in range(2):
        bench.guard.failed(permitted(bench, read=True), "no answer", bench.now)
        bench.wait(2)
    bench.guard.withdrawn(permitted(bench, read=True), Reason.AUDIT_UNAVAILABLE, bench.now, limit="1")
    assert bench.guard.failed(permitted(bench, read=True), "no answer", bench.now).locked


def test_what_was_to_be_taken_back_still_is() -> None:
    bench = armed_bench(TTL)
    bench.write(bench.request(value=63.0))
    bench.wait(30)
    permit = permitted(bench, read=True, value=64.0)
    bench.keep(bench.guard.withdrawn(permit, Reason.RECONFIGURED, bench.now).audit)
    bench.wait(30)
    due = bench.guard.due(bench.now)
    assert [(request.tag, request.value) for request in due] == [(SETPOINT, 60.0)], "at its old time"


def test_a_permit_that_is_over_stays_over() -> None:
    bench = armed_bench()
    first = permitted(bench, read=False)
    bench.guard.withdrawn(first, Reason.RECONFIGURED, bench.now)
    second = permitted(bench, read=False)
    bench.guard.withdrawn(first, Reason.RECONFIGURED, bench.now)
    assert bench.guard.books.tags[SETPOINT].days.count(bench.now.time_ns) == 1, "the second goes on"
    assert isinstance(bench.guard.before(second, 600, bench.now), Permit)
    refused = bench.guard.before(first, 600, bench.now)
    assert isinstance(refused, Refusal)


def test_an_output_as_well() -> None:
    bench = Bench()
    permit = permitted(bench, read=True, tag=HORN, value=True, who="annunciation")
    bench.keep(bench.guard.withdrawn(permit, Reason.RECONFIGURED, bench.now).audit)
    assert bench.kinds() == ["write_intent", "write_refused"]
    assert isinstance(bench.judge(bench.request(HORN, True, who="annunciation")), Permit)

"""Early warning and the sums of time as Control holds them: from batches to alarms, across restarts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.config.model import Alarming, Early, Limit, LimitKind, Priority, Shifts, TagRef, Window
from edge_agent.control import Control
from edge_agent.control.excursion import Moment
from edge_agent.control.times import TimeBook
from edge_agent.model import Batch, Event, Quality, Schema, Tag, ValueType

S = 1_000_000_000
WALL = 1_800_000_000 * S
SCHEMA = Schema.of("press-1", "fast", "v", [Tag("pressure", "0", ValueType.FLOAT64)])
ADVISED = Window(
    "press-1.pressure",
    TagRef("press-1", "pressure"),
    low=0.2,
    high=0.5,
    early=Early(over_s=240, ahead_s=300),
    further=(
        Limit(LimitKind.EARLY, alarming=Alarming(Priority.LOW)),
        Limit(LimitKind.PATTERN, alarming=Alarming(Priority.LOW)),
    ),
)
PATTERNED = replace(ADVISED, early=Early(rules=(1,), every_s=1))


def control(window: Window = ADVISED, start_s: int = 0) -> Control:
    return Control([window], "v", mono_ns=start_s * S, time_ns=WALL + start_s * S)


def said(at_s: int, value: float, quality: Quality = Quality.GOOD) -> Batch:
    shown = None if quality.is_bad else value
    return Batch(SCHEMA, WALL + at_s * S, at_s * S, (shown,), bytes([quality]))


def alarms(events: list[Event]) -> list[tuple[str, str, str]]:
    return [
        (e.kind, e.source.rpartition(".")[2], e.detail["reason"])
        for e in events
        if e.kind.startswith("alarm_")
    ]


def test_a_ramp_warns_minutes_before_the_limit_and_the_alarm_ends_with_it() -> None:
    checked, told = control(), []
    for at_s in range(300):
        told += [(at_s, a) for a in alarms(checked.on_batch(said(at_s, 0.3 + 0.0005 * at_s)))]
    assert len(told) == 1
    at_s, (kind, name, reason) = told[0]
    assert (kind, name) == ("alarm_raised", "early")
    left_min = (0.5 - 0.3 - 0.0005 * at_s) / 0.0005 / 60
    assert reason == f"high limit in {left_min:.1f} min"
    row = checked.rows(299 * S)[0]
    assert row["state"] == "in"
    left_min = (0.5 - 0.3 - 0.0005 * 299) / 0.0005 / 60
    assert row["early"]["minutes_left"] == pytest.approx(left_min, abs=0.3)
    ended = []
    for at_s in range(300, 700):
        ended += alarms(checked.on_batch(said(at_s, 0.45)))
    assert ended == [("alarm_returned", "early", "no limit is near")]


def test_a_bad_input_breaks_the_trend_and_ends_no_warning() -> None:
    checked = control()
    for at_s in range(300):
        checked.on_batch(said(at_s, 0.3 + 0.0005 * at_s))
    assert checked.alarms.letter("press-1.pressure.early") == "B"
    events = checked.on_batch(said(300, 0.0, Quality.BAD_COMM))
    assert checked.alarms.letter("press-1.pressure.early") == "B"
    assert [e.kind for e in events] == ["window_unknown"]
    assert checked.rows(300 * S)[0]["early"]["minutes_left"] is None


def test_a_broken_pattern_is_an_alarm_of_its_own() -> None:
    checked, told = control(PATTERNED), []
    for at_s in range(60):
        told += alarms(checked.on_batch(said(at_s, 0.35 + (0.001 if at_s % 2 else -0.001))))
    assert told == []
    told = alarms(checked.on_batch(said(60, 0.36)))
    assert told == [("alarm_raised", "pattern", "Nelson 1")]
    assert alarms(checked.on_batch(said(61, 0.35))) == [
        ("alarm_returned", "pattern", "the pattern has ended")
    ]
    early = checked.rows(61 * S)[0]["early"]
    assert early["cp"] > 1 and early["cpk"] > 1


def test_a_warning_outlives_a_restart_and_a_reload() -> None:
    checked = control()
    for at_s in range(300):
        checked.on_batch(said(at_s, 0.3 + 0.0005 * at_s))
    saved = json.loads(json.dumps(checked.snapshot()))
    again = control(start_s=301)
    again.restore(saved, mono_ns=301 * S, time_ns=WALL + 301 * S)
    told = []
    for at_s in range(302, 380):
        told += alarms(again.on_batch(said(at_s, 0.45)))
    assert told == [], "too early to say that it is over"
    assert again.alarms.letter("press-1.pressure.early") == "B"
    again.reconfigure([ADVISED], "w", mono_ns=381 * S, time_ns=WALL + 381 * S)
    for at_s in range(382, 700):
        told += alarms(again.on_batch(said(at_s, 0.45)))
    assert [name for _, name, _ in told] == ["early"]


def test_a_quiet_window_loses_no_more_than_the_time_since_the_checkpoint() -> None:
    """kill -9: only what was committed is left, and a window that is quiet has committed nothing itself."""
    plain = Window("press-1.pressure", TagRef("press-1", "pressure"), low=0.2, high=0.5)
    checked, book, disk = control(plain), TimeBook(Shifts(), "v"), dict[str, Any]()
    for at_s in range(1, 1000):
        checked.on_batch(said(at_s, 0.4))
        at = Moment(at_s * S, WALL + at_s * S, at_s * S)
        book.tick(at, lambda: checked.times(at_s * S))  # noqa: B023 - asked within the call
        disk |= book.changed()
        if at_s % 300 == 0:
            disk |= book.checkpoint(at, checked.times(at_s * S))
    disk = json.loads(json.dumps(disk))

    again, book = control(plain, 1010), TimeBook(Shifts(), "v")
    again.restore(disk, mono_ns=1010 * S, time_ns=WALL + 1010 * S)
    book.restore(disk)
    seconds = again.rows(1010 * S)[0]["seconds"]
    assert seconds["in"] == pytest.approx(899, abs=1), "as of the checkpoint at 900 s"
    assert seconds["unknown"] == pytest.approx(111, abs=1)
    assert sum(seconds.values()) == pytest.approx(1010, abs=1e-6)
    at = Moment(1010 * S, WALL + 1010 * S, 1010 * S)
    (day,) = book.so_far(at, again.times(1010 * S))
    row = day["windows"]["press-1.pressure"]
    assert row["in"] + row["unknown"] == pytest.approx(1009, abs=1)


def test_a_row_of_its_own_that_is_newer_is_believed_rather_than_the_checkpoint() -> None:
    plain = Window("press-1.pressure", TagRef("press-1", "pressure"), low=0.2, high=0.5)
    checked, book = control(plain), TimeBook(Shifts(), "v")
    for at_s in range(1, 100):
        checked.on_batch(said(at_s, 0.4))
    disk = book.checkpoint(Moment(50 * S, WALL + 50 * S, 50 * S), checked.times(50 * S))
    disk |= checked.snapshot()
    again = control(plain, 100)
    again.restore(json.loads(json.dumps(disk)), mono_ns=100 * S, time_ns=WALL + 100 * S)
    assert again.rows(100 * S)[0]["seconds"]["in"] == pytest.approx(98, abs=1)


@pytest.mark.parametrize("broken", [None, [], {"names": 1}, {"span": ["now", "", 1, 1], "since_ns": 1}])
def test_a_broken_checkpoint_is_passed_over(broken: object) -> None:
    again = control()
    again.restore({"times:now": broken}, mono_ns=S, time_ns=WALL + S)
    assert again.rows(S)[0]["seconds"]["in"] == 0

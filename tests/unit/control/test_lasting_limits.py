"""What lasts of limits and alarms: restarts, reloads, the rows to be committed, unknown time by reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.config.model import Limit, LimitKind, Origin, Plausible, Window
from edge_agent.control import Control
from edge_agent.control.alarms import AlarmCommand, CommandRefused
from edge_agent.model import Event, Quality
from tests.unit.control.line import (
    GOOD,
    PRESSURE,
    RUNNING,
    START_NS,
    TEMPERATURE,
    WALL_NS,
    Line,
    ns,
    record,
    window,
)

BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])
HIHI = Limit(LimitKind.HIHI, 0.7)
BAD_INPUT = Limit(LimitKind.BAD_INPUT, on_delay_s=2)


def restarted(line: Line, windows: list[Window], at: float, down_s: float = 10, alarms: bool = False) -> Line:
    """A new process, from what a ``changed`` after every call would have left on the disk."""
    line.control.tick(START_NS + ns(at), WALL_NS + ns(at))
    saved = json.loads(json.dumps(line.control.snapshot()))
    new = Line()
    new.control = Control(windows, "v1", mono_ns=START_NS - 5, time_ns=WALL_NS)
    if not alarms:
        new.told = record(new.control)
    new.control.restore(saved, mono_ns=START_NS, time_ns=WALL_NS + ns(at + down_s))
    return new


def reload(line: Line, at: float, *windows: Window) -> list[Event]:
    return line.keep(
        line.control.reconfigure(windows, "v2", mono_ns=START_NS + ns(at), time_ns=WALL_NS + ns(at))
    )


# Restart


def test_a_restart_keeps_which_limits_are_active_and_repeats_nothing() -> None:
    windows = [window(high=0.5, further=(HIHI, BAD_INPUT))]
    line = Line(*windows)
    line.batch(0, pressure=0.8)
    assert line.told.take() == [("alarm", "high"), ("alarm", "hihi")]
    new = restarted(line, windows, 1)
    assert [limit["active"] for limit in new.row(0)["limits"]] == [True, True, False]
    new.batch(1, pressure=0.6)
    assert new.told.take() == [("return", "hihi")]
    assert new.events == [], "it was out before and is out now"
    (event,) = new.batch(2, pressure=0.4)
    assert event.kind == "excursion_end"
    assert new.told.take() == [("return", "high")]


def test_a_restart_keeps_the_suppression() -> None:
    windows = [window("off", high=0.5, when=RUNNING), window("on", high=0.5, when=RUNNING)]
    line = Line(*windows)
    line.batch(0, running=False, pressure=0.6)
    line.told.take()
    new = restarted(line, windows, 1)
    assert new.told.suppressed == ["off", "on"]
    assert [row["suppressed"] for row in new.control.rows(0)] == [True, True]
    new.batch(1, running=False, pressure=0.6)
    assert (new.told.take(), new.events) == ([], [])
    new.batch(2, running=True)
    assert new.told.take() == [("unsuppress", "")] * 2, "the limits were active before the restart"


def test_a_restart_that_finds_the_condition_on() -> None:
    windows = [window(high=0.5, when=RUNNING)]
    line = Line(*windows)
    line.batch(0, running=False)
    new = restarted(line, windows, 1)
    assert [e.kind for e in new.batch(1, running=True)] == ["window_unsuppressed"]
    assert new.told.take() == [("unsuppress", "")]


def test_a_restart_keeps_an_alarm_of_the_input() -> None:
    windows = [window(high=0.5, max_age_s=3, further=(BAD_INPUT,))]
    line = Line(*windows)
    line.batch(0)
    for at in (4, 6):
        line.tick(at)
    assert line.told.take() == [("alarm", "bad_input")]
    new = restarted(line, windows, 7)
    new.tick(1)
    new.tick(9)
    assert new.told.take() == []
    new.batch(10)
    assert new.told.take() == [("return", "bad_input")]


@pytest.mark.parametrize(
    "change",
    [
        {"limits": ["sideways"]},
        {"limits": 7},
        {"unknown_ns": {"stale": "soon"}},
        {"unknown_ns": []},
    ],
)
def test_a_malformed_row_changes_nothing(change: dict[str, Any]) -> None:
    line = Line(window(high=0.5))
    line.batch(0, pressure=0.6)
    saved = line.control.snapshot()
    saved["w"] |= change
    new = Line(window(high=0.5))
    new.control.restore(saved, mono_ns=START_NS, time_ns=WALL_NS)
    assert new.row(0)["excursions"] == 0 and not new.row(0)["limits"][0]["active"]
    new.batch(1)
    assert new.state(1) == ("in", False)


def test_limits_that_are_gone_since_are_passed_over() -> None:
    line = Line(window(high=0.5, further=(HIHI,)))
    line.batch(0, pressure=0.8)
    new = restarted(line, [window(high=0.5)], 1)
    new.batch(1, pressure=0.8)
    assert (new.told.take(), new.state(1)) == ([], ("out", True))


# Reload


def test_a_changed_window_keeps_the_active_limits_that_still_exist() -> None:
    line = Line(window(high=0.5, off_delay_s=2, further=(HIHI,)))
    line.batch(0, pressure=0.8)
    line.told.take()
    (event,) = reload(line, 1, window(high=0.9, off_delay_s=2))
    assert (event.kind, event.detail["reason"]) == ("excursion_end", "changed")
    (said,) = line.told.heard
    assert (said.change, said.kind, said.reason) == ("return", "hihi", "changed")
    line.told.take()
    assert [e.kind for e in line.batch(2)] == ["excursion_begin"], "the off-delay has to pass first"
    assert line.events[-1].detail["reason"] == "inside, off-delay running"
    assert [e.kind for e in line.batch(4)] == ["excursion_end"]
    assert line.events[-1].detail["extreme"] is None
    assert line.told.take() == [("return", "high")]


def test_a_removed_window_takes_its_limits_along() -> None:
    line = Line(window("gone", high=0.5, further=(HIHI,)), window("stays", high=0.5))
    line.batch(0, pressure=0.8)
    line.told.take()
    reload(line, 1, window("stays", high=0.5))
    assert [(t.window, t.kind, t.reason) for t in line.told.heard] == [
        ("gone", "high", "removed"),
        ("gone", "hihi", "removed"),
    ]


def test_a_window_that_only_moved_in_its_file_is_not_changed() -> None:
    old = window(high=0.5, further=(HIHI,), origin=Origin(place="a.yaml:4"))
    moved = replace(
        old, origin=Origin(place="a.yaml:9"), further=(replace(HIHI, origin=Origin(place="a.yaml:11")),)
    )
    line = Line(old)
    line.batch(0, pressure=0.8)
    line.told.take()
    assert reload(line, 1, moved) == []
    assert line.told.take() == []
    line.batch(2)
    assert line.state(2) == ("out", True) and line.row(2)["excursions"] == 1


def test_an_unchanged_window_keeps_pending_delays_rates_and_doubts() -> None:
    rise = Limit(LimitKind.RISE, 1.0, over_s=4)
    same = window(high=0.5, on_delay_s=4, plausible=Plausible(frozen_s=6), further=(rise,), max_age_s=9)
    line = Line(same)
    for at, value in enumerate([0.0, 0.0, 0.6]):
        line.batch(at, pressure=value)
    reload(line, 2.5, same)
    line.batch(4, pressure=7.0)
    assert line.told.take() == [("alarm", "rise")]
    line.batch(6)
    assert line.told.take() == [("alarm", "high")]
    line.batch(10)
    assert line.row(10)["reason"] == "frozen"


def test_an_implausible_value_is_not_believed_because_of_a_reload() -> None:
    line = Line(
        window(source=PRESSURE, high=0.5, when=TEMPERATURE, plausible=Plausible(high=2), max_age_s=9),
    )
    line.batch(0, pressure=7.0)
    reload(
        line, 1, window(source=PRESSURE, high=0.6, when=TEMPERATURE, plausible=Plausible(high=2), max_age_s=9)
    )
    line.batch(2, quality=bytes([Quality.NOT_REPORTED, GOOD, GOOD]))
    assert line.row(2)["reason"] == "implausible_range"
    assert line.told.take() == []


def test_a_suppression_outlasts_a_change_of_the_window() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, running=False)
    line.told.take()
    reload(line, 1, window(high=0.6, when=RUNNING))
    line.batch(2)
    assert line.told.take() == []
    reload(line, 3, window(high=0.6))
    line.batch(4)
    assert line.told.take() == [("unsuppress", "")]


# What is to be committed


def test_changed_gives_the_rows_that_events_and_limits_have_touched() -> None:
    line = Line(window("a", high=0.5), window("b", high=0.9), window("c", high=0.5, when=RUNNING))
    line.batch(0, running=False)
    line.control.changed()
    line.batch(1, pressure=0.6)
    rows = line.control.changed()
    assert list(rows) == ["a", "c"], "under suppression as well"
    assert (rows["a"]["limits"], rows["a"]["told"], rows["c"]["told"]) == (["high"], "out", "suppressed")
    assert rows == line.control.snapshot(["a", "c"])
    assert line.control.changed() == {}
    line.batch(2)
    assert line.control.changed() == {}
    reload(line, 3, window("b", high=0.9), window("c", high=0.6, when=RUNNING))
    assert {name: row is None for name, row in line.control.changed().items()} == {"a": True, "c": False}


def test_the_row_of_a_window_removed_while_down_goes() -> None:
    line = Line(window("gone", high=0.1))
    line.batch(0)
    new = restarted(line, [window("new", high=0.5)], 0)
    assert [e.kind for e in new.tick(1)] == ["excursion_end"]
    assert new.control.changed() == {"gone": None}


def test_rows_of_others_are_left_alone() -> None:
    line = Line(window(high=0.5))
    others = {"alarm:x.high": {}, "write:x": {"excursion": None, "spent_ns": {}}, "times:day": {}}
    line.control.restore(others, mono_ns=START_NS, time_ns=WALL_NS)
    assert line.control.changed() == {}
    assert line.tick(1) == []


# With the real alarms


def alarmed(*windows: Window) -> Line:
    line = Line()
    line.control = Control(windows, "v1", mono_ns=START_NS, time_ns=WALL_NS)
    return line


def test_window_events_come_first_then_those_of_the_alarms() -> None:
    line = alarmed(window("a", high=0.5), window("b", high=0.5, further=(HIHI,)))
    line.batch(0)
    events = line.batch(1, pressure=0.8)
    assert [(e.kind, e.source) for e in events] == [
        ("excursion_begin", "a"), ("excursion_begin", "b"),
        ("alarm_raised", "a.high"), ("alarm_raised", "b.high"), ("alarm_raised", "b.hihi"),
    ]  # fmt: skip
    assert list(line.control.changed()) == ["a", "b", "alarm:a.high", "alarm:b.high", "alarm:b.hihi"]


def test_a_command_goes_to_the_alarms() -> None:
    line = alarmed(window(high=0.5))
    line.batch(0, pressure=0.8)
    at = {"mono_ns": START_NS + ns(1), "time_ns": WALL_NS + ns(1)}
    (event,) = line.control.command(AlarmCommand("ack", "w.high", user="li"), **at)
    assert (event.kind, event.detail["user"], event.detail["after"]) == ("alarm_acknowledged", "li", "C")
    with pytest.raises(CommandRefused):
        line.control.command(AlarmCommand("ack", "nobody.high", user="li"), **at)
    assert set(line.control.changed()) == {"w", "alarm:w.high"}


def test_alarms_live_through_a_restart_and_nobody_is_told_twice() -> None:
    windows = [window(high=0.5), window("off", high=0.5, when=RUNNING)]
    line = alarmed(*windows)
    line.batch(0, pressure=0.8, running=False)
    new = restarted(line, windows, 1, alarms=True)
    assert (new.control.alarms.letter("w.high"), new.control.alarms.letter("off.high")) == ("B", "H")
    assert new.batch(1, pressure=0.8, running=False) == [] and new.tick(2) == []
    events = new.batch(3, pressure=0.4)
    assert [(e.kind, e.source) for e in events if e.kind.startswith("alarm")] == [
        ("alarm_returned", "w.high"), ("alarm_returned", "off.high")
    ]  # fmt: skip


def test_what_was_wrong_while_the_window_did_not_apply_is_not_annunciated() -> None:
    line = alarmed(window(high=0.5, when=RUNNING))
    line.batch(0, pressure=0.8, running=False)
    events = line.batch(1, pressure=0.4, running=True)
    assert not any(event.detail.get("annunciated") for event in events)
    assert line.control.alarms.letter("w.high") == "A"


# Unknown time by reason


def test_unknown_time_is_booked_by_reason_and_adds_up() -> None:
    line = Line(window(high=0.5, max_age_s=3, plausible=Plausible(high=2), when=RUNNING))
    line.tick(2)
    line.batch(2)
    line.batch(3, quality=BAD_PRESSURE)
    line.batch(5, pressure=9.0)
    line.batch(6, pressure=0.4)
    line.tick(11)
    line.batch(12, quality=bytes([GOOD, GOOD, Quality.BAD_DEVICE]))
    row = line.row(13)
    assert row["unknown_by"] == {
        "bad_comm": 2.0, "implausible_range": 1.0, "when stale": 3.0, "when bad_device": 1.0, "waiting": 2.0
    }  # fmt: skip
    assert sum(row["unknown_by"].values()) == row["seconds"]["unknown"]
    (times,) = line.control.times(START_NS + ns(13))
    assert (times.window, times.in_ns, times.unknown_ns) == ("w", ns(4), ns(9))
    assert sum(times.unknown_by.values()) == times.unknown_ns


def test_a_reason_that_changes_while_unknown_is_booked_by_its_own_time() -> None:
    line = Line(window(high=0.5, max_age_s=9))
    line.batch(0)
    line.batch(1, quality=BAD_PRESSURE)
    line.batch(3, quality=bytes([Quality.BAD_DEVICE, GOOD, GOOD]))
    assert line.row(4)["unknown_by"] == {"bad_comm": 2.0, "bad_device": 1.0}


def test_nothing_unknown_is_not_shown() -> None:
    line = Line(window(high=0.5))
    line.batch(0)
    assert "unknown_by" not in line.row(1)


def test_reasons_live_through_a_restart_and_the_time_between_is_waiting() -> None:
    windows = [window(high=0.5, max_age_s=3)]
    line = Line(*windows)
    line.batch(0)
    line.tick(5)
    new = restarted(line, windows, 5, down_s=60)
    new.tick(1)
    assert new.row(1)["unknown_by"] == {"stale": 2.0, "waiting": 61.0}

"""What lasts: times in state, restarts, reloads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_agent.config.model import Window
from edge_agent.control import Control
from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Tag, ValueType
from tests.unit.control.line import (
    FAST,
    GOOD,
    PRESSURE,
    SETPOINT,
    START_NS,
    TEMPERATURE,
    WALL_NS,
    Line,
    ns,
    record,
    window,
)

BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])
DAY_S = 86_400


def restarted(line: Line, windows: list[Window], *, down_s: float, ran_s: float) -> Line:
    """A new process: another monotonic era, the wall clock further on."""
    saved = json.loads(json.dumps(line.control.snapshot()))
    new = Line()
    new.control = Control(windows, "v1", mono_ns=START_NS - 5, time_ns=WALL_NS)
    new.told = record(new.control)
    new.control.restore(saved, mono_ns=START_NS, time_ns=WALL_NS + ns(ran_s + down_s))
    return new


def test_time_in_state_adds_up_exactly() -> None:
    line = Line(window(high=0.5, max_age_s=3, on_delay_s=1))
    moments = [0.1, 0.7, 1.3333333, 2.9, 8.123456789, 9.0, 9.5, 20.000000001]
    for index, at in enumerate(moments):
        line.batch(at, pressure=0.6 if index % 3 else 0.4, quality=BAD_PRESSURE if index == 5 else None)
        line.tick(at + 0.01)
        spent = line.control.snapshot()["w"]["spent_ns"]
        assert sum(spent.values()) == ns(at + 0.01)
        line.row(at + 0.02)
        assert sum(line.control.snapshot()["w"]["spent_ns"].values()) == ns(at + 0.02)


def test_staleness_counts_from_its_own_moment_not_from_the_tick() -> None:
    line = Line(window(high=0.5, max_age_s=3))
    line.batch(1)
    line.tick(7)
    assert line.row(8)["seconds"] == {"in": 3.0, "out": 0.0, "unknown": 5.0, "suppressed": 0.0}


def test_restart_keeps_the_excursion_and_counts_the_gap_as_unknown() -> None:
    windows = [window(high=0.5, on_delay_s=1)]
    line = Line(*windows)
    for at, value in enumerate([0.4, 0.6, 0.9, 0.6]):
        line.batch(at, pressure=value)
    line.tick(4)
    new = restarted(line, windows, down_s=60, ran_s=4)
    row = new.row(0)
    assert (row["state"], row["reason"], row["active"], row["excursions"]) == ("unknown", "waiting", True, 1)
    assert row["seconds"] == {"in": 2.0, "out": 2.0, "unknown": 60.0, "suppressed": 0.0}
    assert new.batch(1, pressure=0.6) == []  # still out: that was told before the restart
    assert new.state(1) == ("out", True)
    (end,) = new.batch(3, pressure=0.4)
    assert (end.kind, end.detail["extreme"], end.detail["duration_s"]) == ("excursion_end", 0.9, 65.0)


def test_restart_forgets_pending_delays() -> None:
    windows = [window(high=0.5, on_delay_s=2)]
    line = Line(*windows)
    line.batch(0, pressure=0.6)
    line.batch(1.5)
    new = restarted(line, windows, down_s=10, ran_s=1.5)
    assert new.batch(1, pressure=0.6) == []
    assert new.batch(2.5) == []
    assert [e.kind for e in new.batch(3)] == ["excursion_begin"]


def test_after_a_restart_every_unknown_is_closed() -> None:
    """What was told before the restart is not told again; what differs from it is."""
    windows = [window("a", high=0.5), window("b", high=0.5, max_age_s=99)]
    line = Line(*windows)
    line.batch(0)
    line.tick(5)
    assert [(e.source, e.kind) for e in line.events] == [("a", "window_unknown")]
    new = restarted(line, windows, down_s=10, ran_s=5)
    assert [(e.source, e.kind) for e in new.batch(1)] == [("a", "window_known")]


def test_a_clock_set_back_while_down_takes_nothing_away() -> None:
    windows = [window(high=0.5)]
    line = Line(*windows)
    line.batch(0)
    line.tick(1)
    new = restarted(line, windows, down_s=-DAY_S, ran_s=1)
    assert new.row(0)["seconds"] == {"in": 1.0, "out": 0.0, "unknown": 0.0, "suppressed": 0.0}


def test_an_excursion_of_a_window_removed_while_down_ends() -> None:
    line = Line(window("gone", high=0.1))
    line.batch(0)
    new = restarted(line, [window("new", high=0.5)], down_s=10, ran_s=0)
    (event,) = new.tick(0.25)
    assert (event.kind, event.source, event.detail["reason"]) == ("excursion_end", "gone", "removed")
    assert event.detail["duration_s"] == 10.0
    assert new.tick(0.5) == []


@pytest.mark.parametrize(
    "saved",
    [
        {},
        None,
        [],
        "x",
        {"told": "sideways"},
        {"told": "in", "time_ns": 0, "excursions": 1, "spent_ns": {}, "excursion": None},
    ],
)
def test_a_malformed_state_does_not_keep_the_agent_from_starting(saved: Any) -> None:
    line = Line(window(high=0.5))
    line.control.restore({"w": saved, "other": saved}, mono_ns=START_NS, time_ns=WALL_NS)
    line.batch(1)
    assert line.state(1) == ("in", False)
    assert line.row(1)["excursions"] == 0


def test_snapshot_of_some() -> None:
    line = Line(window("a", high=0.5), window("b", high=0.5))
    assert list(line.control.snapshot(["b", "nobody", "b"])) == ["b"]
    assert list(line.control.snapshot()) == ["a", "b"]


def reload(line: Line, at: float, *windows: Window) -> list[Event]:
    return line.keep(
        line.control.reconfigure(windows, "v2", mono_ns=START_NS + ns(at), time_ns=WALL_NS + ns(at))
    )


def test_reload_leaves_unchanged_windows_alone() -> None:
    same = window("same", high=0.5, on_delay_s=3)
    line = Line(same, window("gone", high=0.5))
    line.batch(0, pressure=0.4)
    line.batch(1, pressure=0.6)
    assert [(e.source, e.kind) for e in line.events] == [("gone", "excursion_begin")]
    (event,) = reload(line, 2, same, window("new", high=9.0))
    assert (event.source, event.kind, event.detail["reason"]) == ("gone", "excursion_end", "removed")
    assert event.config_version == "v1"  # the one whose limits the event names
    assert [row["name"] for row in line.control.rows(0)] == ["same", "new"]
    assert [(e.source, e.kind) for e in line.batch(4)] == [("same", "excursion_begin")]  # its timer ran on
    assert line.events[-1].config_version == "v2"


def test_reload_with_a_changed_window_starts_it_anew_but_keeps_its_times() -> None:
    line = Line(window(high=0.5))
    line.batch(0, pressure=0.6)
    (event,) = reload(line, 2, window(high=0.55))
    assert (event.kind, event.detail["reason"], event.detail["new"]) == (
        "excursion_end",
        "changed",
        "unknown",
    )
    assert line.row(2)["seconds"]["out"] == 2.0
    assert [e.kind for e in line.batch(3)] == ["excursion_begin"]
    assert line.row(3)["excursions"] == 2


def test_reload_ends_nothing_that_is_not_active() -> None:
    line = Line(window("a", high=0.5), window("b", high=0.5))
    line.batch(0)
    assert reload(line, 1, window("b", high=0.7)) == []
    assert line.batch(2) == []
    assert line.state(2, "b") == ("in", False)


@pytest.mark.parametrize(
    ("raw", "began"), [(-399, ["excursion_begin"]), (-400, [])], ids=["the same", "one step lower"]
)
def test_a_target_that_a_reload_gives_another_scaling_is_the_same_where_only_rounding_differs(
    raw: int, began: list[str]
) -> None:
    """1 * 0.1 - 40 is -39.9 and -399 * 0.1 is -39.900000000000006: no delay starts anew for that."""
    same = window(source=PRESSURE, target=SETPOINT, tolerance=0.4, on_delay_s=1, max_age_s=9)
    tag = Tag("setpoint", "0", ValueType.INT16, scaling=Scaling(0.1, -40.0))
    line = Line(same, slow=Schema.of("plc-2", "slow", "v1", [tag]))
    line.batch(0, "slow", setpoint=1)
    line.batch(0.5, pressure=-39.0)
    assert reload(line, 1, same) == []
    line.schemas["slow"] = Schema.of("plc-2", "slow", "v2", [replace(tag, scaling=Scaling(0.1))])
    assert line.batch(1.2, "slow", setpoint=raw) == []
    assert [event.kind for event in line.batch(1.5)] == began


def test_reload_and_then_a_target_that_never_comes_back() -> None:
    same = window(source=TEMPERATURE, target=SETPOINT, tolerance=5, max_age_s=3)
    line = Line(same)
    for at in (0, 0.5, 1):
        line.batch(at, "slow")
        line.batch(at + 0.1)
    assert reload(line, 1.2, same) == []
    for at in (1.5, 2, 2.5, 3, 3.5):
        line.batch(at)
        line.tick(at)
    assert line.events == []
    line.batch(4.2)
    assert (line.kinds, line.row(4.2)["reason"]) == (["window_unknown"], "target stale")


def test_a_late_batch_turns_no_time_back() -> None:
    line = Line(window(high=0.5))
    line.batch(0)
    line.tick(5)
    assert line.row(5)["state"] == "unknown"
    late = Batch(FAST, WALL_NS + ns(4.9), START_NS + ns(4.9), (0.4, 2000, True), bytes(3))
    assert [e.kind for e in line.control.on_batch(late)] == ["window_known"]
    assert sum(line.row(6)["seconds"].values()) == 6.0


def test_events_name_the_moment_of_their_batch() -> None:
    line = Line(window(source=PRESSURE, high=0.5))
    line.batch(0)
    (event,) = line.batch(1.25, pressure=0.6)
    assert (event.mono_ns, event.time_ns) == (START_NS + ns(1.25), WALL_NS + ns(1.25))

"""Limits of every kind, each with its own machine. Times are seconds after the start."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.config.model import Limit, LimitKind, TagRef, Window
from edge_agent.model import Quality, Schema, Tag, ValueType
from tests.unit.control.line import GOOD, PRESSURE, SETPOINT, START_NS, TEMPERATURE, Line, window

BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])
PLC = Schema.of(
    "press-1", "fast", "v1", [Tag("mode", "0", ValueType.INT16), Tag("recipe", "2", ValueType.STRING)]
)
MODE = TagRef("press-1", "mode")
RECIPE = TagRef("press-1", "recipe")


def rate(kind: LimitKind, value: float, over_s: float = 0.0, **more: Any) -> Limit:
    return Limit(kind, value, over_s=over_s, **more)


def told(line: Line, at: float, value: float) -> list[tuple[str, str]]:
    line.batch(at, pressure=value)
    return line.told.take()


def test_each_limit_has_its_own_deadband_and_delays() -> None:
    hihi = Limit(LimitKind.HIHI, 0.7, deadband=0.05, on_delay_s=0, off_delay_s=2)
    line = Line(window(high=0.5, deadband=0.1, on_delay_s=2, further=(hihi,)))
    trace = {0: 0.4, 1: 0.8, 2: 0.68, 3: 0.65, 4: 0.65, 5: 0.65, 6: 0.45, 7: 0.4}
    heard = {at: told(line, at, value) for at, value in trace.items()}
    assert {at: changes for at, changes in heard.items() if changes} == {
        1: [("alarm", "hihi")],
        3: [("alarm", "high")],
        5: [("return", "hihi")],
        7: [("return", "high")],
    }
    assert line.kinds == ["excursion_begin", "excursion_end"]
    assert [e.detail["limits"] for e in line.events] == [["hihi"], []]


def test_four_levels_and_the_row_that_shows_them() -> None:
    further = (Limit(LimitKind.LOLO, 0.1), Limit(LimitKind.HIHI, 0.9))
    line = Line(window(low=0.3, high=0.5, further=further))
    assert told(line, 0, 0.05) == [("alarm", "low"), ("alarm", "lolo")]
    row = line.row(0)
    assert row["reason"] == "low, lolo"
    assert row["limits"] == [
        {"kind": "low", "value": 0.3, "active": True},
        {"kind": "high", "value": 0.5, "active": False},
        {"kind": "lolo", "value": 0.1, "active": True},
        {"kind": "hihi", "value": 0.9, "active": False},
    ]
    assert told(line, 1, 0.95) == [
        ("return", "low"), ("alarm", "high"), ("return", "lolo"), ("alarm", "hihi")
    ]  # fmt: skip
    assert line.state(1) == ("out", True), "one excursion from side to side"
    assert line.kinds == ["excursion_begin"]


def test_any_level_may_follow_the_target() -> None:
    further = (Limit(LimitKind.HIHI, None, tolerance=8), Limit(LimitKind.LOLO, 150))
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, further=further, max_age_s=9))
    line.batch(0, "slow", setpoint=2000)
    line.batch(0.1, temperature=2081)
    assert line.told.take() == [("alarm", "high"), ("alarm", "hihi")]
    assert [limit["value"] for limit in line.row(0.1)["limits"]] == [195.0, 205.0, 208.0, 150]
    line.batch(1, "slow", setpoint=2010)
    assert line.told.take() == [("return", "hihi")]
    transition_limits = line.row(1)["limits"]
    assert [limit["value"] for limit in transition_limits] == [196.0, 206.0, 209.0, 150]


def test_a_target_move_restarts_the_delays_of_limits_that_follow_it_and_of_no_others() -> None:
    fixed = Limit(LimitKind.HIHI, 204, on_delay_s=2)
    settings = {"target": SETPOINT, "tolerance": 5, "on_delay_s": 2, "off_delay_s": 2, "max_age_s": 9}
    line = Line(window(source=TEMPERATURE, further=(fixed,), **settings))
    line.batch(0, "slow", setpoint=1990)
    line.batch(0.1, temperature=2000)
    line.batch(1, temperature=2051)
    line.batch(2, "slow", setpoint=2000)
    line.batch(3)
    assert line.told.take() == [("alarm", "hihi")]
    line.batch(4)
    assert line.told.take() == [("alarm", "high")]
    line.batch(5, temperature=2030)
    line.batch(6, "slow", setpoint=2005)
    line.batch(7)
    assert line.told.take() == [("return", "hihi")], "the off-delay of high began anew"
    line.batch(8)
    assert line.told.take() == [("return", "high")]


def test_a_value_that_leaps_from_one_side_to_the_other_ends_one_excursion_and_begins_another() -> None:
    low = Limit(LimitKind.LOW, 0.3, on_delay_s=1)
    line = Line(window(high=0.5, further=(low,)))
    for at, value in enumerate([0.6, 0.1, 0.1]):
        line.batch(at, pressure=value)
    assert line.kinds == ["excursion_begin", "excursion_end", "excursion_begin"]
    assert line.events[2].detail["outside_ns"] == line.events[1].time_ns
    line.batch(4, pressure=0.4)
    assert line.events[-1].detail["extreme"] == 0.1


# Rates


def test_rise_and_fall_between_two_readings() -> None:
    line = Line(window(low=-9, high=9, further=(rate(LimitKind.RISE, 0.5), rate(LimitKind.FALL, 0.2))))
    assert told(line, 0, 0.0) == []
    assert told(line, 1, 0.5) == [], "inclusive"
    assert told(line, 1.5, 0.8) == [("alarm", "rise")]
    assert line.row(1.5)["reason"] == "rise" and line.state(1.5) == ("out", True)
    assert told(line, 2.5, 0.7) == [("return", "rise")]
    assert told(line, 3.0, 0.55) == [("alarm", "fall")]
    assert told(line, 4.0, 0.55) == [("return", "fall")]


def test_a_rate_on_its_limit_is_inside_though_scaling_rounds() -> None:
    line = Line(window(source=TEMPERATURE, low=-99, high=99, further=(rate(LimitKind.RISE, 0.1),)))
    for at in range(200):
        assert line.batch(at, temperature=at - 100) == []
    assert line.told.take() == []
    line.batch(200, temperature=101)
    assert line.told.take() == [("alarm", "rise")]


def test_a_float32_rate_on_its_limit_is_inside() -> None:
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", ValueType.FLOAT32)])
    line = Line(window(low=-9, high=9, further=(rate(LimitKind.RISE, 0.1),)), fast=schema)
    line.values["fast"] = [0.0]
    for at, value in enumerate([0.6000000238418579, 0.699999988079071, 0.800000011920929]):
        line.batch(at, pressure=value)
    assert line.told.take() == []


def test_a_rate_has_a_deadband_and_delays() -> None:
    limit = rate(LimitKind.RISE, 1.0, deadband=0.4, on_delay_s=2, off_delay_s=1)
    line = Line(window(low=-99, high=99, further=(limit,)))
    trace = {0: 0.0, 1: 2.0, 2: 4.0, 3: 6.0, 4: 6.8, 5: 7.4, 6: 7.5}
    heard = {at: told(line, at, value) for at, value in trace.items()}
    assert {at: changes for at, changes in heard.items() if changes} == {
        3: [("alarm", "rise")],
        6: [("return", "rise")],
    }


def test_a_rate_over_a_span_is_known_from_half_of_it_on() -> None:
    line = Line(window(low=-99, high=99, further=(rate(LimitKind.RISE, 1.0, over_s=4),)))
    assert told(line, 0, 0.0) == []
    assert told(line, 1, 9.0) == [], "a second is less than half of the span"
    assert told(line, 2, 9.0) == [("alarm", "rise")]
    assert told(line, 4, 9.0) == []
    assert told(line, 5, 9.0) == [("return", "rise")], "the oldest within 4 s is now that of second 1"


def test_one_spike_does_not_bend_a_rate_over_a_span() -> None:
    line = Line(window(low=-99, high=99, further=(rate(LimitKind.RISE, 1.0, over_s=10),)))
    for at in range(40):
        line.batch(at, pressure=5.0 if at == 20 else 0.0)
    assert line.told.take() == []


@pytest.mark.parametrize("over_s", [0.0, 4.0])
def test_what_cannot_be_believed_begins_a_rate_anew(over_s: float) -> None:
    line = Line(window(low=-99, high=99, further=(rate(LimitKind.RISE, 1.0, over_s=over_s),)))
    for at in range(5):
        line.batch(at, pressure=0.0)
    line.batch(5, quality=BAD_PRESSURE)
    assert told(line, 6, 50.0) == []
    assert told(line, 7, 50.0) == []
    assert told(line, 9, 60.0) == [("alarm", "rise")]


def test_a_rate_that_is_not_known_holds_its_limit() -> None:
    line = Line(window(low=-99, high=99, further=(rate(LimitKind.RISE, 1.0),)))
    told(line, 0, 0.0)
    assert told(line, 1, 9.0) == [("alarm", "rise")]
    line.batch(2, quality=BAD_PRESSURE)
    assert told(line, 3, 9.0) == [], "the first reading has no rate: it stays active"
    assert line.state(3) == ("out", True)
    assert told(line, 4, 9.0) == [("return", "rise")]


def test_two_statements_of_one_moment_have_no_rate() -> None:
    line = Line(window(low=-99, high=99, further=(rate(LimitKind.RISE, 1.0),)))
    told(line, 0, 0.0)
    assert told(line, 0, 50.0) == []
    assert told(line, 1, 50.5) == []


# Discrete


@pytest.mark.parametrize(
    ("source", "allowed", "good", "wrong"), [(MODE, (1, 3), [1, 3], 2), (RECIPE, ("A", "B"), ["B", "A"], "C")]
)
def test_a_discrete_window(source: TagRef, allowed: tuple[Any, ...], good: list[Any], wrong: Any) -> None:
    line = Line(Window("w", source, allowed=allowed, on_delay_s=1, max_age_s=9), fast=PLC)
    line.values["fast"] = [1, "A"]
    for at in range(20):
        line.batch(at, **{source.tag: good[at % 2]})
    assert line.state(19) == ("in", False) and line.row(19)["value"] == good[1]
    line.batch(20, **{source.tag: wrong})
    line.batch(21)
    assert line.told.take() == [("alarm", "state")]
    (begin,) = line.events
    assert (begin.detail["value"], begin.detail["reason"], begin.detail["limits"]) == (
        wrong,
        "state",
        ["state"],
    )
    line.batch(22, **{source.tag: good[0]})
    assert line.told.take() == [("return", "state")]
    assert line.row(22)["limits"] == [{"kind": "state", "value": None, "active": False}]


def test_a_discrete_window_without_its_value_is_unknown() -> None:
    line = Line(Window("w", RECIPE, allowed=("A",)), fast=PLC)
    line.values["fast"] = [1, "A"]
    line.batch(0)
    line.batch(1, quality=bytes([GOOD, Quality.BAD_COMM]))
    assert line.row(1)["reason"] == "bad_comm"


def test_a_discrete_window_hears_of_a_read_that_was_cut_off() -> None:
    line = Line(Window("w", RECIPE, allowed=("A",)), Window("m", MODE, allowed=(1,)), fast=PLC)
    line.values["fast"] = [1, "A"]
    only = {"mode": bytes([GOOD, Quality.NOT_REPORTED]), "recipe": bytes([Quality.NOT_REPORTED, GOOD])}
    for at in range(6):
        line.batch(at)
    for at in (6, 7):
        assert line.batch(at, quality=only["mode"]) == line.batch(at + 0.5, quality=only["recipe"]) == []
    assert [e.source for e in line.batch(8, quality=only["recipe"], recipe="B")] == ["w"]
    assert [e.source for e in line.batch(8.5, quality=only["mode"], mode=2)] == ["m"]


def test_raw_values_are_compared_not_those_in_units() -> None:
    line = Line(Window("w", TEMPERATURE, allowed=(2000, 2010)))
    line.batch(0)
    assert line.state(0) == ("in", False)
    assert line.row(0)["value"] == 200.0
    line.batch(1, temperature=200)
    assert line.state(1)[0] == "out"


# The input itself


def bad_input(**delays: float) -> Limit:
    return Limit(LimitKind.BAD_INPUT, **delays)


def test_bad_input_is_an_alarm_but_no_excursion() -> None:
    line = Line(window(high=0.5, max_age_s=3, further=(bad_input(on_delay_s=5, off_delay_s=2),)))
    line.batch(0)
    for at in (4, 8.75):
        line.tick(at)
        assert line.told.take() == []
    line.tick(9)
    assert line.told.take() == [("alarm", "bad_input")]
    assert line.row(9)["limits"][-1] == {"kind": "bad_input", "value": None, "active": True}
    assert line.state(9) == ("unknown", False)
    line.batch(10)
    line.tick(11.75)
    assert line.told.take() == []
    line.tick(12)
    assert line.told.take() == [("return", "bad_input")]
    assert line.kinds == ["window_unknown", "window_known"]


def test_bad_input_goes_on_while_the_device_is_dead() -> None:
    """A window whose source is bad for good is left alone, but not before its alarm has come."""
    line = Line(window(high=0.5, further=(bad_input(on_delay_s=2),)))
    line.batch(0)
    for at in range(1, 9):
        line.batch(at, quality=BAD_PRESSURE)
        line.tick(at + 0.5)
    assert [(t.at.mono_ns - line.told.heard[0].at.mono_ns, t.kind) for t in line.told.heard] == [
        (0, "bad_input")
    ]
    (said,) = line.told.heard
    assert (said.reason, said.quality, said.value) == ("bad_comm", "bad_comm", None)
    line.told.take()
    line.batch(9)
    assert line.told.take() == [("return", "bad_input")]


def test_an_input_that_was_never_read_is_bad_from_the_first_tick_on() -> None:
    line = Line(window(high=0.5, further=(bad_input(on_delay_s=3),)))
    line.tick(1)
    line.tick(3.75)
    assert line.told.take() == []
    line.tick(4)
    assert line.told.take() == [("alarm", "bad_input")]


def test_an_interruption_starts_the_delay_of_bad_input_anew() -> None:
    line = Line(window(high=0.5, further=(bad_input(on_delay_s=3),)))
    line.batch(0, quality=BAD_PRESSURE)
    line.batch(2)
    line.batch(2.5, quality=BAD_PRESSURE)
    line.tick(5.25)
    assert line.told.take() == []
    line.tick(5.5)
    assert line.told.take() == [("alarm", "bad_input")]


def test_a_suppressed_window_has_no_bad_input() -> None:
    line = Line(window(high=0.5, when=TagRef("press-1", "running"), further=(bad_input(on_delay_s=1),)))
    line.batch(0, running=False)
    for at in (1, 2, 3):
        line.batch(at, quality=BAD_PRESSURE)
    assert line.state(3) == ("suppressed", False)
    assert line.told.take() == [("suppress", "")]


def test_transitions_tell_value_limit_and_quality() -> None:
    further = (rate(LimitKind.FALL, 0.25, deadband=0.05),)
    line = Line(window(source=PRESSURE, high=0.5, deadband=0.02, unit="bar", further=further))
    line.batch(0, pressure=0.6)
    line.batch(1, pressure=0.3)
    high, gone, fall = line.told.heard
    assert (high.window, high.kind, high.value, high.limit, high.deadband) == ("w", "high", 0.6, 0.5, 0.02)
    assert (high.unit, high.quality, gone.change) == ("bar", "good", "return")
    assert (fall.kind, fall.value, fall.limit, fall.deadband) == ("fall", 0.3, 0.25, 0.05)
    assert (high.at.mono_ns, fall.at.mono_ns) == (START_NS, START_NS + 1_000_000_000)

"""Change reports: what UNCHANGED vouches for, what NOT_REPORTED does not; and implausible source times."""

from __future__ import annotations

import pytest

from edge_agent.model import Quality
from tests.unit.control.line import GOOD, PRESSURE, RUNNING, SETPOINT, Line, window

KEEP_ALIVE = bytes([Quality.UNCHANGED] * 3)
NOTHING = bytes([Quality.NOT_REPORTED] * 3)
ONLY_TEMPERATURE = bytes([Quality.UNCHANGED, GOOD, Quality.UNCHANGED])


def test_a_keep_alive_renews_the_age_of_every_value() -> None:
    line = Line(window(low=0.3, high=0.5, max_age_s=3))
    line.batch(0)
    for at in (2, 4, 6, 8):
        line.batch(at, quality=KEEP_ALIVE)
        line.tick(at + 1)
    assert line.state(9) == ("in", False)
    assert line.events == []
    line.tick(11.5)
    assert line.kinds == ["window_unknown"], "and no longer than that"


def test_a_report_of_one_tag_renews_the_others() -> None:
    line = Line(window(low=0.3, high=0.5, max_age_s=3))
    line.batch(0)
    for at in (2, 4, 6):
        line.batch(at, quality=ONLY_TEMPERATURE, temperature=2000 + at)
    line.tick(8)
    assert line.events == []


def test_what_was_not_reported_grows_old() -> None:
    line = Line(window(low=0.3, high=0.5, max_age_s=3))
    line.batch(0)
    line.batch(2, quality=NOTHING)
    line.tick(4)
    assert line.kinds == ["window_unknown"]


def test_a_keep_alive_before_any_value_says_nothing() -> None:
    line = Line(window(low=0.3, high=0.5))
    line.batch(0, quality=KEEP_ALIVE)
    assert line.row(0)["state"] == "unknown" and line.row(0)["reason"] == "waiting"
    line.batch(1)
    assert line.state(1) == ("in", False)


def test_a_value_that_stays_outside_unchanged_is_an_excursion_after_the_delay() -> None:
    """A device that reports changes says nothing more once the value rests outside its limits."""
    line = Line(window(low=0.3, high=0.5, on_delay_s=5, max_age_s=3))
    line.batch(0)
    line.batch(1, quality=bytes([GOOD, Quality.UNCHANGED, Quality.UNCHANGED]), pressure=0.7)
    for at in (3, 5):
        line.batch(at, quality=KEEP_ALIVE)
        assert line.events == []
    line.batch(7, quality=KEEP_ALIVE)
    assert line.kinds == ["excursion_begin"]


def test_a_bad_value_that_is_unchanged_stays_bad() -> None:
    line = Line(window(low=0.3, high=0.5))
    line.batch(0)
    line.batch(1, quality=bytes([Quality.BAD_DEVICE, GOOD, GOOD]))
    line.batch(2, quality=KEEP_ALIVE)
    assert line.row(2)["state"] == "unknown" and line.row(2)["reason"] == "bad_device"
    line.batch(3, quality=bytes([GOOD, Quality.UNCHANGED, Quality.UNCHANGED]))
    assert line.state(3) == ("in", False)


def test_unchanged_after_a_report_that_left_the_tag_out() -> None:
    """The value before the gap is the one vouched for."""
    line = Line(window(low=0.3, high=0.5, max_age_s=3), window("t", SETPOINT, low=0, high=300))
    line.batch(0)
    line.batch(2, quality=bytes([Quality.NOT_REPORTED, GOOD, GOOD]))
    line.batch(2.9, quality=KEEP_ALIVE)
    line.tick(5.5)
    assert line.state(5.5) == ("in", False)


def test_condition_and_target_may_be_unchanged_too() -> None:
    line = Line(window(source=PRESSURE, target=SETPOINT, tolerance=300, when=RUNNING, max_age_s=3))
    line.batch(0)
    line.batch(0, "slow")
    for at in (2, 4, 6):
        line.batch(at, quality=KEEP_ALIVE)
        line.batch(at, "slow", quality=bytes([Quality.UNCHANGED]))
        line.tick(at + 1)
    assert line.state(7) == ("in", False)
    line.batch(8, quality=bytes([Quality.UNCHANGED, Quality.UNCHANGED, GOOD]), running=False)
    line.batch(8, "slow", quality=bytes([Quality.UNCHANGED]))
    assert line.state(8)[0] == "suppressed"


def test_a_source_with_a_wrong_clock_is_judged_by_the_time_of_arrival() -> None:
    line = Line(window(low=0.3, high=0.5, max_age_s=3))
    odd = bytes([Quality.UNCERTAIN_SOURCE_TIME, GOOD, GOOD])
    line.batch(0, quality=odd)
    assert line.state(0) == ("in", False)
    line.batch(1, quality=odd, pressure=0.7)
    line.batch(2, quality=odd, pressure=0.4)
    assert line.kinds == ["excursion_begin", "excursion_end"]
    assert line.events[0].detail["quality"] == "uncertain_source_time"
    line.tick(6)
    assert line.state(6)[0] == "unknown", "it grows old as any other"
    line.batch(7, quality=odd)
    assert line.state(7) == ("in", False)


@pytest.mark.parametrize("quality", [Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED])
def test_other_uncertain_values_stay_unknown(quality: Quality) -> None:
    line = Line(window(low=0.3, high=0.5))
    line.batch(0, quality=bytes([quality, GOOD, GOOD]))
    assert line.state(0)[0] == "unknown"

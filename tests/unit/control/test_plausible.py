"""Inputs that cannot be believed: out of range, too fast, frozen."""

from __future__ import annotations

import pytest

from edge_agent.config.model import Limit, LimitKind, Plausible, Window
from edge_agent.model import Quality
from tests.unit.control.line import GOOD, RUNNING, TEMPERATURE, Line, window

BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])
KEEP_ALIVE = bytes([Quality.UNCHANGED] * 3)


def reason(line: Line, at: float) -> str:
    row = line.row(at)
    assert (row["state"] == "unknown") is bool(row["reason"])
    return str(row["reason"])


def test_out_of_range_is_unknown_and_no_excursion() -> None:
    line = Line(window(high=0.5, plausible=Plausible(low=0.0, high=2.0)))
    for at in range(9):
        line.batch(at)
    assert [e.kind for e in line.batch(9, pressure=2.1)] == ["window_unknown"]
    assert reason(line, 9) == "implausible_range"
    assert line.row(9)["value"] == 2.1, "what the device said is shown all the same"
    assert [e.kind for e in line.batch(10, pressure=2.0)] == ["excursion_begin"], "inclusive"
    line.batch(11, pressure=-0.1)
    assert line.state(11) == ("unknown", True)
    assert line.told.take() == [("alarm", "high")]


def test_the_range_is_in_engineering_units_and_rounding_does_not_count() -> None:
    line = Line(window(source=TEMPERATURE, high=0.2, plausible=Plausible(high=0.3)))
    line.batch(0, temperature=3)
    assert line.state(0)[0] == "out"
    line.batch(1, temperature=4)
    assert reason(line, 1) == "implausible_range"


def test_a_leap_is_unknown_until_the_value_is_steady_again() -> None:
    line = Line(window(high=9, plausible=Plausible(slope=0.5)))
    for at, value in enumerate([0.4, 0.9, 0.4, 0.4, 0.4]):
        line.batch(at, pressure=value)
    assert line.events == [], "inclusive"
    line.batch(5, pressure=5.0)
    assert reason(line, 5) == "implausible_slope"
    line.batch(6, pressure=5.1)
    assert line.state(6) == ("in", False), "measured from the reading before, plausible or not"


def test_a_slope_is_measured_across_a_gap() -> None:
    line = Line(window(high=9, plausible=Plausible(slope=0.5)))
    line.batch(0, pressure=0.0)
    line.batch(1, quality=BAD_PRESSURE)
    line.batch(10, pressure=5.0)
    assert line.state(10) == ("in", False)
    line.batch(10, pressure=8.0)
    assert line.state(10) == ("in", False), "two statements of one moment have none"


def test_a_slow_drift_is_no_leap_however_long_it_lasts() -> None:
    line = Line(window(low=-99, high=99, plausible=Plausible(slope=0.5)))
    for at in range(200):
        assert line.batch(at, pressure=at * 0.45) == []
    (event,) = line.batch(200, pressure=0.0)
    assert event.detail["reason"] == "implausible_slope"


@pytest.mark.parametrize("keep_alive", [False, True])
def test_a_frozen_value(keep_alive: bool) -> None:
    line = Line(window(high=0.5, plausible=Plausible(frozen_s=5)))
    line.batch(0, pressure=0.41)
    line.batch(1, pressure=0.4)
    for at in (2, 3, 4, 5):
        line.batch(at, quality=KEEP_ALIVE if keep_alive else None)
    assert line.events == []
    line.batch(6, quality=KEEP_ALIVE if keep_alive else None)
    assert reason(line, 6) == "frozen"
    line.batch(7)
    assert reason(line, 7) == "frozen"
    line.batch(8, pressure=0.41)
    assert line.state(8) == ("in", False)


def test_a_bad_reading_restarts_the_time_of_a_frozen_value() -> None:
    line = Line(window(high=0.5, plausible=Plausible(frozen_s=5)))
    line.batch(0)
    for at in range(1, 9):
        line.batch(at, quality=BAD_PRESSURE)
    line.batch(12.75)
    assert line.state(12.75) == ("in", False), "the last bad reading was that of second 8"
    line.batch(13)
    assert reason(line, 13) == "frozen"


def test_a_suppressed_window_s_source_need_not_move() -> None:
    line = Line(window(high=0.5, when=RUNNING, plausible=Plausible(frozen_s=3)))
    for at in range(20):
        line.batch(at, running=False)
    line.batch(20, running=True)
    assert line.state(20) == ("in", False)
    line.batch(21.5)
    assert line.state(21.5) == ("in", False)
    line.batch(22)
    assert reason(line, 22) == "frozen"


def test_a_frozen_discrete_value() -> None:
    line = Line(Window("w", RUNNING, allowed=(True,), plausible=Plausible(frozen_s=3)))
    for at in range(3):
        line.batch(at)
        assert line.state(at) == ("in", False)
    line.batch(3)
    assert reason(line, 3) == "frozen"


def test_what_cannot_be_believed_is_no_part_of_a_rate() -> None:
    rise = Limit(LimitKind.RISE, 1.0)
    line = Line(window(low=-99, high=99, further=(rise,), plausible=Plausible(high=10)))
    for at, value in enumerate([0.0, 0.0, 11.0, 9.0, 9.0]):
        line.batch(at, pressure=value)
    assert line.told.take() == []
    line.batch(5, pressure=10.0)
    line.batch(6, pressure=10.0)
    assert line.told.take() == []


def test_two_windows_of_one_tag_may_believe_different_things() -> None:
    line = Line(
        window("strict", low=-9, high=9, plausible=Plausible(slope=0.5)),
        window("plain", low=-9, high=9),
        window("range", low=-9, high=9, plausible=Plausible(high=2)),
    )
    for at, value in enumerate([0.0, 0.1, 0.2, 3.0]):
        line.batch(at, pressure=value)
    states = {row["name"]: row["reason"] for row in line.control.rows(0)}
    assert states == {"strict": "implausible_slope", "plain": "", "range": "implausible_range"}


def test_a_bad_quality_says_more_than_an_implausible_value() -> None:
    line = Line(window(high=0.5, max_age_s=3, plausible=Plausible(high=2)))
    line.batch(0, pressure=5.0)
    line.tick(4)
    assert reason(line, 4) == "stale"
    line.batch(5)
    line.batch(6, quality=BAD_PRESSURE)
    assert reason(line, 6) == "bad_comm"

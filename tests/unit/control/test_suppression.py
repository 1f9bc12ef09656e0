"""Windows that do not apply: their limits are judged all the same, and the alarms are told."""

from __future__ import annotations

from edge_agent.config.model import Limit, LimitKind
from edge_agent.model import Quality
from tests.unit.control.line import GOOD, RUNNING, SETPOINT, TEMPERATURE, Line, window

BAD_RUNNING = bytes([GOOD, GOOD, Quality.BAD_COMM])
BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])


def test_limits_are_judged_while_suppressed() -> None:
    line = Line(window(high=0.5, on_delay_s=2, when=RUNNING))
    line.batch(0, running=False, pressure=0.6)
    assert line.told.take() == [("suppress", "")]
    line.batch(2)
    assert line.told.take() == [("alarm", "high")]
    assert line.state(2) == ("suppressed", False), "but no excursion begins"
    (event,) = line.batch(3, running=True)
    assert (event.kind, event.detail["old"]) == ("excursion_begin", "suppressed")
    assert event.detail["outside_ns"] == event.time_ns, "an excursion begins when the window applies"
    assert line.told.take() == [("unsuppress", "")]


def test_what_is_over_when_the_window_applies_again_is_told_before_that() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, running=False, pressure=0.6)
    line.batch(1, running=True, pressure=0.4)
    assert line.told.take() == [
        ("suppress", ""), ("alarm", "high"), ("return", "high"), ("unsuppress", "")
    ]  # fmt: skip
    assert line.kinds == ["window_suppressed", "window_unsuppressed"]


def test_what_comes_with_the_suppression_is_told_after_it() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0)
    line.batch(1, running=False, pressure=0.6)
    assert line.told.take() == [("suppress", ""), ("alarm", "high")]


def test_a_delay_runs_through_the_end_of_a_suppression() -> None:
    line = Line(window(high=0.5, on_delay_s=3, when=RUNNING))
    line.batch(0, running=False, pressure=0.6)
    line.batch(1, running=True)
    assert line.state(1) == ("in", False)
    assert [e.kind for e in line.batch(3)] == ["excursion_begin"]


def test_limits_are_held_while_the_source_is_bad_under_suppression() -> None:
    line = Line(window(high=0.5, on_delay_s=3, when=RUNNING))
    line.batch(0, running=False, pressure=0.6)
    line.batch(2, quality=BAD_PRESSURE)
    line.batch(4)
    assert line.told.take() == [("suppress", "")]
    line.batch(7)
    assert line.told.take() == [("alarm", "high")]
    line.batch(8, quality=BAD_PRESSURE)
    assert line.row(8)["limits"][0]["active"], "what is active stays so"


def test_suppression_stands_while_the_condition_is_unknown() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, running=False)
    line.told.take()
    line.batch(1, quality=BAD_RUNNING)
    assert line.row(1)["state"] == "unknown" and line.row(1)["suppressed"]
    line.batch(2, quality=BAD_PRESSURE)
    assert line.told.take() == [], "it never ended"
    line.batch(3, quality=BAD_RUNNING)
    line.batch(4, running=True)
    assert line.told.take() == [("unsuppress", "")]
    assert not line.row(4)["suppressed"]


def test_a_grace_after_the_start_of_the_machine() -> None:
    line = Line(window(high=0.5, when=RUNNING, grace_s=5))
    line.batch(0, running=False, pressure=0.6)
    line.batch(1, running=True)
    assert (line.row(1)["state"], line.row(1)["reason"]) == (
        "suppressed",
        "press-1.running is on for less than 5 s",
    )
    line.batch(3, quality=BAD_RUNNING)
    line.batch(5.75)
    assert line.state(5.75)[0] == "suppressed", "an unreadable condition begins no other grace"
    assert [e.kind for e in line.batch(6)] == ["excursion_begin"]
    assert line.told.take() == [("suppress", ""), ("alarm", "high"), ("unsuppress", "")]


def test_at_the_start_of_the_agent_a_grace_begins() -> None:
    line = Line(window(high=0.5, when=RUNNING, grace_s=5))
    line.batch(2, pressure=0.6)
    assert line.state(2)[0] == "suppressed"
    line.tick(6.75)
    line.batch(6.75)
    assert line.state(6.75)[0] == "suppressed"
    line.batch(7)
    assert line.state(7) == ("out", True)


def test_a_grace_is_measured_from_when_the_condition_became_true_not_from_its_last_reading() -> None:
    line = Line(window(high=0.5, when=RUNNING, grace_s=5), window("other", high=0.5))
    line.batch(0, running=False)
    for at in range(1, 6):
        line.batch(at, running=True)
    assert line.state(5)[0] == "suppressed"
    line.batch(6)
    assert line.state(6) == ("in", False)


def test_when_the_grace_is_over_a_stale_source_is_unknown() -> None:
    line = Line(
        window(source=TEMPERATURE, target=SETPOINT, tolerance=5, when=RUNNING, grace_s=4, max_age_s=3)
    )
    line.batch(0, running=True)
    line.tick(2)
    assert line.state(2)[0] == "suppressed", "its target was never read, but it does not matter yet"
    line.batch(2)
    (event,) = line.tick(4)
    assert (event.kind, event.detail["reason"]) == ("window_unknown", "target waiting")


def test_the_reason_of_a_suppression_goes_with_it() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, pressure=0.6)
    line.batch(1, running=False)
    assert line.told.heard[-1].reason == "press-1.running is off"
    assert line.row(1)["reason"] == "press-1.running is off"
    assert line.events[-1].detail["reason"] == "suppressed", "of the excursion that ended by it"


def test_an_alarm_that_is_active_keeps_its_limit_under_suppression_until_it_is_clear() -> None:
    limit = Limit(LimitKind.HIHI, 0.7, off_delay_s=2)
    line = Line(window(high=9, further=(limit,), when=RUNNING))
    line.batch(0, pressure=0.8)
    line.batch(1, running=False, pressure=0.4)
    line.batch(2)
    assert line.told.take() == [("alarm", "hihi"), ("suppress", "")]
    line.batch(3)
    assert line.told.take() == [("return", "hihi")]

"""Early warning through its public seams: a trend, a chart, and the two conditions of a window."""

from __future__ import annotations

import random

import pytest

from edge_agent.config.model import Early, LimitKind
from edge_agent.control.early import Chart, EarlyWatch, Trend

S = 1_000_000_000


def fed(trend: Trend, values: list[float], step_s: float = 1.0) -> Trend:
    for number, value in enumerate(values):
        trend.put(round(number * step_s * S), value)
    return trend


def test_a_ramp_is_told_with_the_minutes_that_are_left() -> None:
    trend = fed(Trend(240), [0.3 + 0.0005 * t for t in range(240)])  # 0.03 MPa a minute
    assert trend.outlook is not None
    assert trend.outlook.slope == pytest.approx(0.0005, rel=1e-6)
    left_s = trend.outlook.seconds_to(0.2, 0.5, 239 * S)
    assert left_s == pytest.approx((0.5 - 0.3 - 0.0005 * 239) / 0.0005, abs=1)
    assert trend.outlook.seconds_to(0.2, None, 239 * S) is None  # nothing above it to reach


def test_a_falling_ramp_heads_for_the_low_limit() -> None:
    trend = fed(Trend(240), [0.45 - 0.0005 * t for t in range(240)])
    assert trend.outlook is not None
    assert trend.outlook.seconds_to(0.3, 0.5, 239 * S) == pytest.approx(
        (0.45 - 0.0005 * 239 - 0.3) / 0.0005, abs=1
    )


def test_every_tenth_reading_being_nonsense_bends_nothing() -> None:
    values = [0.3 + 0.0005 * t + (7.0 if t % 10 == 3 else 0.0) for t in range(240)]
    trend = fed(Trend(240), values)
    assert trend.outlook is not None
    assert trend.outlook.slope == pytest.approx(0.0005, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_trend(seed: int) -> None:
    rng = random.Random(seed)
    trend, told = Trend(240), 0
    for t in range(4000):
        if trend.put(t * S, rng.gauss(0.4, 0.01)):
            told += trend.outlook is not None
    assert told <= 20, f"seed {seed}: {told} of 400 fits"  # overlapping spans; 1 in 100 by chance each


def test_a_constant_has_no_trend_and_too_few_bins_say_nothing() -> None:
    assert fed(Trend(240), [5.0] * 240).outlook is None
    assert fed(Trend(240), [float(t) for t in range(70)]).outlook is None


def test_a_gap_begins_anew() -> None:
    trend = fed(Trend(240), [float(t) for t in range(240)])
    trend.clear()
    assert trend.outlook is None
    trend.put(400 * S, 1.0)
    assert trend.outlook is None


def charted(rules: tuple[int, ...]) -> Chart:
    """A past around 10 with sigma near 1, ending where no rule holds."""
    chart = Chart(rules)
    for number in range(60):
        assert chart.put(10 + (0.564 if number % 2 else -0.564)) == ()
    return chart


@pytest.mark.parametrize(
    ("rule", "points"),
    [
        (1, [13.2]),
        (2, [10.2] * 8),  # with the last point of the past, which is above as well
        (3, [9.0, 9.2, 9.4, 9.6, 9.8, 10.0]),
        (5, [12.2, 10.0, 12.3]),
        (6, [11.2, 11.3, 9.9, 11.2, 11.4]),
    ],
)
def test_each_rule_of_nelson_at_its_last_point_and_not_before(rule: int, points: list[float]) -> None:
    chart = charted((rule,))
    assert [chart.put(point) for point in points] == [()] * (len(points) - 1) + [(rule,)]


@pytest.mark.parametrize(
    ("rule", "points"),
    [
        (1, [6.8]),
        (3, [11.0, 10.8, 10.6, 10.4, 10.2, 10.0]),
        (5, [7.8, 10.0, 7.7]),
        (6, [8.8, 8.7, 10.1, 8.8, 8.6]),
    ],
)
def test_the_rules_hold_downwards_as_well(rule: int, points: list[float]) -> None:
    chart = charted((rule,))
    assert [chart.put(point) for point in points][-1] == (rule,)


def test_a_rule_that_is_not_in_use_is_silent_and_a_gap_breaks_a_run() -> None:
    assert charted((2,)).put(99.0) == ()
    chart = charted((2,))
    for _ in range(7):
        assert chart.put(10.2) == ()
    chart.interrupt()
    assert [chart.put(10.2) for _ in range(8)] == [()] * 8
    assert chart.put(10.2) == (2,)


def test_nothing_is_judged_before_25_points() -> None:
    chart = Chart((1,))
    values = [10.0, 10.5] * 16
    assert all(chart.put(value) == () for value in values)
    assert Chart((1,)).capability(0, 20) is None


def test_capability_of_a_known_spread() -> None:
    chart = charted(())
    capability = chart.capability(7.0, 13.0)
    assert capability is not None and capability.cp is not None
    assert capability.cp == pytest.approx(1.0, rel=0.01)  # 6 wide, sigma 1.128 / 1.128
    assert capability.cpk == pytest.approx(1.0, rel=0.02)
    one_sided = chart.capability(None, 11.0)
    assert one_sided is not None
    assert one_sided.cp is None and one_sided.cpk == pytest.approx(1 / 3, rel=0.05)


def test_a_window_warns_before_its_limit_and_takes_it_back() -> None:
    watch = EarlyWatch(Early(over_s=240, ahead_s=300))
    told = []
    for t in range(300):
        told += [(t, w) for w in watch.put(t * S, 0.3 + 0.0005 * t, 0.2, 0.5)]
    assert len(told) == 1
    at_s, warning = told[0]
    assert warning.kind is LimitKind.EARLY and warning.active
    left_s = (0.5 - 0.3 - 0.0005 * at_s) / 0.0005
    assert warning.value == pytest.approx(left_s / 60, abs=0.05)
    assert left_s <= 300
    for t in range(300, 700):
        told += [(t, w) for w in watch.put(t * S, 0.45, 0.2, 0.5)]
    assert [w.active for _, w in told] == [True, False]


def test_a_new_set_point_is_no_pattern() -> None:
    rng = random.Random(4)
    watch = EarlyWatch(Early(rules=(1, 2), every_s=1))
    told = []
    for t in range(200):
        centre = 850.0 if t < 100 else 900.0
        told += watch.put(t * S, centre + rng.uniform(-1, 1), None, None, centre)
    assert [w for w in told if w.value == 1] == []


def test_readings_between_two_points_of_the_chart_are_not_taken() -> None:
    watch = EarlyWatch(Early(rules=(1,), every_s=10))
    told = []
    for t in range(1000):
        spike = 50.0 if t % 10 == 5 else 0.0
        told += watch.put(t * S, 10.0 + (t // 10 % 2) + spike, None, None)
    assert told == []
    assert watch.capability(5, 15) is not None


def test_after_a_restart_a_warning_still_holds_until_it_is_known_better() -> None:
    watch = EarlyWatch(Early(over_s=240, ahead_s=300))
    watch.resume({LimitKind.EARLY, LimitKind.HIGH})
    told = []
    for t in range(80):
        told += watch.put(t * S, 0.3, 0.2, 0.5)
    assert told == []  # too early to say
    for t in range(80, 300):
        told += watch.put(t * S, 0.3, 0.2, 0.5)
    assert [(w.kind, w.active) for w in told] == [(LimitKind.EARLY, False)]

"""What the keys of a window mean: its limits, each with the settings it has of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import ConfigurationError, load, places_of
from edge_agent.config.process import (
    Alarming,
    Early,
    Limit,
    LimitKind,
    Plausible,
    Priority,
    TagRef,
    Window,
)
from tests.unit.config.good import AGENT, FakePlugins, write

DEVICE = """device: press-1
driver: fake
link: bus://a
poll: {fast: 200ms, slow: 5s}
tags: press-1.csv
windows:
"""
TABLE = """name,address,type,unit,group,scale,labels,lolo,low,high,hihi,deadband
running,r0,bool,,fast,,0=停;1=运行,,,,,
pressure,r1,float32,MPa,fast,,,,,,,
setpoint,r2,int16,°C,slow,0.1,,,,,,
zone1,r3,int16,°C,slow,0.1,,,,,,
mode,r4,uint16,,fast,,0=stopped;1=running;2=fault,,,,,
batch,r5,string[8],,slow,,,,,,,
oil,r6,float32,°C,slow,,,10,20,60,70,1
"""


def windows(directory: Path, text: str) -> dict[str, Window]:
    files = {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE + text, "tags.d/press-1.csv": TABLE}
    configuration = load(write(directory, files), plugins=FakePlugins(), environ={})
    return {window.name.partition(".")[2]: window for window in configuration.windows}


def limits(window: Window) -> dict[str, Limit]:
    assert len({limit.kind for limit in window.limits}) == len(window.limits)
    return {str(limit.kind): limit for limit in window.limits}


def test_a_plain_window_stays_plain(tmp_path: Path) -> None:
    window = windows(tmp_path, "  - {tag: pressure, low: 0.3, high: 0.5, deadband: 0.01, on_delay: 1s}\n")[
        "pressure"
    ]
    assert (window.low, window.high, window.further, window.alarming) == (0.3, 0.5, (), Alarming())
    assert (window.deadband, window.on_delay_s, window.standards) == (0.01, 1.0, ())


def test_a_block_has_what_it_says_and_the_rest_from_the_window(tmp_path: Path) -> None:
    text = """  - tag: pressure
    lolo: {at: 0.1, priority: critical, latch: true, ack: false, first_out: g1, realarm: 5min}
    low: 0.3
    high: {at: 0.5, deadband: 0.02, on_delay: 3s, off_delay: 4s, max_shelve: 10min}
    hihi: 0.6
    deadband: 0.01
    on_delay: 1s
    off_delay: 2s
    priority: high
    max_shelve: 1h
"""
    window = windows(tmp_path, text)["pressure"]
    high = Alarming(Priority.HIGH, max_shelve_s=3600.0)
    assert window.alarming == high
    assert limits(window) == {
        "low": Limit(LimitKind.LOW, 0.3, None, 0.01, 1.0, 2.0, alarming=high),
        "lolo": Limit(
            LimitKind.LOLO, 0.1, None, 0.01, 1.0, 2.0,
            alarming=Alarming(Priority.CRITICAL, True, False, 300.0, "g1", 3600.0),
        ),
        "high": Limit(
            LimitKind.HIGH, 0.5, None, 0.02, 3.0, 4.0, alarming=Alarming(Priority.HIGH, max_shelve_s=600.0)
        ),
        "hihi": Limit(LimitKind.HIHI, 0.6, None, 0.01, 1.0, 2.0, alarming=high),
    }  # fmt: skip
    assert (window.low, window.high) == (0.3, None)


def test_target_with_distances_of_their_own(tmp_path: Path) -> None:
    text = """  - tag: zone1
    target: setpoint
    tolerance: 5
    high: {tolerance: 4, priority: low}
    lolo: {tolerance: 20}
    hihi: 180
"""
    window = windows(tmp_path, text)["zone1"]
    assert window.target == TagRef("press-1", "setpoint")
    found = {kind: (limit.value, limit.tolerance) for kind, limit in limits(window).items()}
    assert found == {"low": (None, 5.0), "high": (None, 4.0), "lolo": (None, 20.0), "hihi": (180.0, None)}


def test_a_target_without_a_tolerance_of_the_window(tmp_path: Path) -> None:
    window = windows(tmp_path, "  - {tag: zone1, target: 60, high: {tolerance: 4}}\n")["zone1"]
    assert window.tolerance is None
    assert {kind: limit.tolerance for kind, limit in limits(window).items()} == {"high": 4.0}


def test_rates_are_per_second(tmp_path: Path) -> None:
    text = """  - tag: zone1
    on_delay: 7s
    rise: {at: 3, per: 1min, over: 30s, deadband: 0.6}
    fall: {at: 0.3, per: 100ms, on_delay: 0s, priority: high}
"""
    found = limits(windows(tmp_path, text)["zone1"])
    assert found["rise"] == Limit(LimitKind.RISE, 0.05, None, 0.01, 7.0, 0.0, 30.0)
    assert found["fall"].value == 3.0
    assert (found["fall"].on_delay_s, found["fall"].alarming.priority) == (0.0, Priority.HIGH)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("mode, allowed: [running, 0, 1]", (1, 0)),
        ("running, allowed: [true]", (True,)),
        ("running, allowed: [运行]", (True,)),
        ("running, allowed: [0]", (False,)),
        ("batch, allowed: [A1, 7]", ("A1", "7")),
    ],
)
def test_allowed_values_are_raw(tmp_path: Path, text: str, allowed: tuple[object, ...]) -> None:
    window = next(iter(windows(tmp_path, f"  - {{tag: {text}, on_delay: 2s, priority: low}}\n").values()))
    assert window.allowed == allowed
    assert [type(value) for value in window.allowed] == [type(value) for value in allowed]
    assert limits(window)["state"].on_delay_s == 2.0
    assert limits(window)["state"].alarming.priority is Priority.LOW


def test_what_is_believed_and_what_is_advised(tmp_path: Path) -> None:
    text = """  - tag: pressure
    high: 0.5
    on_delay: 9s
    latch: true
    max_shelve: 1h
    plausible: {low: -1, high: 2, slope: {at: 6, per: 1min}, frozen: 10min}
    bad_input: {on_delay: 30s, off_delay: 1s, priority: low}
    early: {over: 20min, ahead: 5min, rules: [5, 1, 1], every: 30s}
    when: running
    grace: 10s
"""
    window = windows(tmp_path, text)["pressure"]
    found = limits(window)
    assert window.plausible == Plausible(-1.0, 2.0, 0.1, 600.0)
    assert window.early == Early(1200.0, 300.0, (1, 5), 30.0)
    assert (window.when, window.grace_s) == (TagRef("press-1", "running"), 10.0)
    assert found["bad_input"] == Limit(
        LimitKind.BAD_INPUT, None, None, 0.0, 30.0, 1.0,
        alarming=Alarming(Priority.LOW, True, max_shelve_s=3600.0),
    )  # fmt: skip
    advice = Alarming(Priority.LOW, max_shelve_s=3600.0)
    assert found["early"] == Limit(LimitKind.EARLY, alarming=advice)
    assert found["pattern"] == Limit(LimitKind.PATTERN, alarming=advice)


def test_only_what_is_asked_for_becomes_an_alarm(tmp_path: Path) -> None:
    text = """  - {tag: pressure, high: 0.5, early: {ahead: 5min}}
  - {tag: zone1, high: 9, early: {rules: [1]}}
"""
    found = windows(tmp_path, text)
    assert set(limits(found["pressure"])) == {"high", "early"}
    assert set(limits(found["zone1"])) == {"high", "pattern"}


def test_the_table_has_all_four_limits(tmp_path: Path) -> None:
    window = windows(tmp_path, "  - {tag: pressure, high: 0.5}\n")["oil"]
    assert (window.low, window.high) == (20.0, 60.0)
    assert {k: (x.value, x.deadband) for k, x in limits(window).items()} == {
        "low": (20.0, 1.0), "high": (60.0, 1.0), "lolo": (10.0, 1.0), "hihi": (70.0, 1.0)
    }  # fmt: skip


def test_equal_settings_are_one_object(tmp_path: Path) -> None:
    """5,000 windows must not have 5,000 copies."""
    found = windows(
        tmp_path, "  - {tag: pressure, hihi: 9, latch: true}\n  - {tag: zone1, high: 9, latch: true}\n"
    )
    assert found["pressure"].alarming is found["zone1"].alarming
    assert found["pressure"].limits[0].alarming is found["zone1"].alarming
    assert found["pressure"].origin is found["zone1"].origin is found["oil"].origin


def test_a_condition_that_is_an_expression(tmp_path: Path) -> None:
    files = {
        "edge-agent.yaml": AGENT,
        "devices.d/press-1.yaml": DEVICE + "  - {tag: pressure, high: 0.5, when: running and mode == 1}\n",
        "tags.d/press-1.csv": TABLE,
    }
    configuration = load(write(tmp_path, files), plugins=FakePlugins(), environ={})
    when = configuration.windows[0].when
    assert configuration.derivation is not None and when is not None
    hidden = {tag.name: tag.formula.text for tag in configuration.derivation.derived if tag.hidden}
    assert hidden[when.tag] == "running and mode == 1"


def test_a_deadband_may_reach_just_to_the_other_limit(tmp_path: Path) -> None:
    """0.1 + 0.1 is 0.2 for a person: 0.3 to 0.5 has no room for 0.1 on both sides, and some for 0.0999."""
    windows(tmp_path, "  - {tag: pressure, low: 0.3, high: 0.5, deadband: 0.0999}\n")
    with pytest.raises(ConfigurationError) as caught:
        windows(tmp_path, "  - {tag: pressure, low: 0.3, high: 0.5, deadband: 0.1}\n")
    assert [problem.code for problem in places_of(caught.value)] == ["E-CFG-080"]

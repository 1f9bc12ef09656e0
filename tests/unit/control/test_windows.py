"""What a window does, told case by case. Times are seconds after the start."""

from __future__ import annotations

import json
import math

import pytest

from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, Value, ValueType
from tests.unit.control.line import (
    FAST,
    GOOD,
    RUNNING,
    SETPOINT,
    SLOW,
    START_NS,
    TEMPERATURE,
    WALL_NS,
    Line,
    ns,
    window,
)

BAD_PRESSURE = bytes([Quality.BAD_COMM, GOOD, GOOD])


def test_limits_are_inclusive() -> None:
    line = Line(window(low=0.3, high=0.5))
    for at, value in enumerate([0.3, 0.5, math.nextafter(0.3, 1), math.nextafter(0.5, 0)]):
        assert line.batch(at, pressure=value) == []
    begin, end = line.batch(5, pressure=math.nextafter(0.5, 1)) + line.batch(6, pressure=0.5)
    assert (begin.kind, end.kind) == ("excursion_begin", "excursion_end")
    assert [e.kind for e in line.batch(7, pressure=math.nextafter(0.3, 0))] == ["excursion_begin"]


def test_a_value_on_the_limit_is_inside_though_scaling_rounds() -> None:
    """3 * 0.1 is 0.30000000000000004; the technician wrote 0.3 and reads 0.3 on the panel."""
    line = Line(window(source=TEMPERATURE, low=-0.7, high=0.3))
    for at, raw in enumerate([3, -7]):
        assert line.batch(at, temperature=raw) == []
    assert [e.kind for e in line.batch(3, temperature=4)] == ["excursion_begin"]


def test_a_float32_on_the_limit_is_inside() -> None:
    """The float32 nearest to 0.7 is 0.699999988: what the PLC means by 0.7."""
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", ValueType.FLOAT32)])
    line = Line(window(low=0.7, high=0.9), fast=schema)
    line.values["fast"] = [0.8]
    assert line.batch(0) == []
    assert line.batch(1, pressure=0.699999988079071) == []
    assert [e.kind for e in line.batch(2, pressure=0.6999999284744263)] == [
        "excursion_begin"
    ]  # one step below


def test_high_trace_with_deadband_and_delays() -> None:
    """HI 205, deadband 1, on-delay 3 s, off-delay 2 s, one sample a second: begins at 9 s, ends at 13 s."""
    line = Line(window(high=205, deadband=1, on_delay_s=3, off_delay_s=2))
    trace = [200, 205, 205.1, 206, 206, 204.6, 206, 206, 206, 206, 204.5, 203.9, 203.9, 203.9, 203.9]
    told = [(at, e.kind) for at, value in enumerate(trace) for e in line.batch(at, pressure=float(value))]
    assert told == [(9, "excursion_begin"), (13, "excursion_end")]


def test_low_mirrors_high() -> None:
    line = Line(window(low=-205, deadband=1, on_delay_s=3, off_delay_s=2))
    trace = [200, 205, 205.1, 206, 206, 204.6, 206, 206, 206, 206, 204.5, 203.9, 203.9, 203.9, 203.9]
    told = [(at, e.kind) for at, value in enumerate(trace) for e in line.batch(at, pressure=-float(value))]
    assert told == [(9, "excursion_begin"), (13, "excursion_end")]


def test_the_end_of_an_excursion_says_it_all() -> None:
    line = Line(window(low=0.3, high=0.5, on_delay_s=1, unit="bar", standards=("S-1@2",)))
    for at, value in enumerate([0.6, 0.7, 0.65, 0.4]):
        line.batch(at, pressure=value)
    begin, end = line.events
    assert begin.detail["limits"] == ["high"]
    assert begin.source == end.source == "w"
    assert begin.time_ns - 1_000_000_000 == begin.detail["outside_ns"]
    detail = dict(end.detail)
    json.dumps(detail, allow_nan=False)
    assert detail.pop("duration_s") == 2.0
    assert detail.pop("begin_ns") == begin.time_ns
    assert detail == {
        "old": "out", "new": "in", "reason": "", "device": "press-1", "tag": "pressure", "value": 0.4,
        "unit": "bar", "low": 0.3, "high": 0.5, "deadband": 0.0, "quality": "good", "active": False,
        "outside_ns": begin.detail["outside_ns"], "extreme": 0.7, "limits": [], "standards": ["S-1@2"],
    }  # fmt: skip


def test_no_delay_expires_while_samples_stop() -> None:
    line = Line(window(high=0.5, on_delay_s=2, max_age_s=10))
    line.batch(0, pressure=0.4)
    line.batch(1, pressure=0.6)
    for quarter in range(4, 40):
        assert line.tick(quarter / 4) == []
    assert line.state(9.9) == ("in", False)
    assert [e.kind for e in line.batch(10, pressure=0.6)] == ["excursion_begin"]


def test_a_foreign_batch_expires_no_delay() -> None:
    """The set-point is polled on; only the source's own samples count."""
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, on_delay_s=2, max_age_s=30))
    line.batch(0, "slow", setpoint=2000)
    line.batch(0.1, temperature=2100)
    for at in range(1, 20):
        assert line.batch(at, "slow") == []
    assert [e.kind for e in line.batch(20)] == ["excursion_begin"]


def test_bad_quality_is_unknown_at_once_and_resets_the_delay() -> None:
    line = Line(window(high=0.5, on_delay_s=2))
    line.batch(0, pressure=0.6)
    line.batch(1.5)
    (event,) = line.batch(1.8, quality=BAD_PRESSURE)
    assert (event.kind, event.detail["reason"], event.detail["value"]) == ("window_unknown", "bad_comm", None)
    line.batch(2.1)
    assert line.state(2.1) == ("in", False)  # outside, but not long enough since it is known again
    line.batch(4)
    assert not line.row(4)["active"]
    line.batch(4.1)
    assert line.row(4.1)["active"]


@pytest.mark.parametrize("quality", [Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED, 0x70, 0xA3])
def test_what_is_not_good_is_unknown_and_the_reason_says_so(quality: int) -> None:
    line = Line(window(high=0.5))
    line.batch(0)
    line.batch(1, quality=bytes([quality, GOOD, GOOD]))
    row = line.row(1)
    assert row["state"] == "unknown"
    assert row["reason"] in ("uncertain", "uncertain_stopped", "uncertain_0x70", "bad_0xa3")


def test_stale_by_tick() -> None:
    line = Line(window(high=0.5, max_age_s=3))
    line.batch(0)
    assert line.tick(3.0) == []
    (event,) = line.tick(3.25)
    assert (event.kind, event.detail["reason"]) == ("window_unknown", "stale")
    assert line.row(3.25)["value"] is None  # an old number is not shown as live
    assert [e.kind for e in line.batch(4)] == ["window_known"]


def test_a_gap_that_no_tick_saw_is_told_all_the_same() -> None:
    line = Line(window(high=0.5, on_delay_s=5, max_age_s=3))
    line.batch(0)
    line.batch(1, pressure=0.6)
    assert [e.kind for e in line.batch(8)] == ["window_unknown", "window_known"]
    assert line.row(8)["seconds"] == {"in": 4.0, "out": 0.0, "unknown": 4.0, "suppressed": 0.0}
    assert line.batch(10) == []  # not outside for 9 s, but for the 2 s since


def test_unknown_keeps_an_excursion_active_and_begins_none() -> None:
    line = Line(window(high=0.5, deadband=0.1, off_delay_s=1))
    line.batch(0, pressure=0.6)
    line.batch(1, quality=BAD_PRESSURE)
    assert line.state(1) == ("unknown", True)
    assert [(e.kind, e.detail["new"]) for e in line.batch(2, pressure=0.45)] == [("window_known", "out")]
    assert line.batch(3, pressure=0.3) == []
    assert [e.kind for e in line.batch(4)] == ["excursion_end"]
    assert line.row(4)["excursions"] == 1


def test_off_delay_starts_again_after_unknown() -> None:
    line = Line(window(high=0.5, off_delay_s=2))
    line.batch(0, pressure=0.6)
    line.batch(1, pressure=0.4)
    line.batch(2, quality=BAD_PRESSURE)
    line.batch(3)
    assert line.batch(4) == []
    assert [e.kind for e in line.batch(5)] == ["excursion_end"]


def test_off_delay_starts_again_when_the_value_is_not_clear() -> None:
    line = Line(window(high=0.5, deadband=0.1, off_delay_s=2))
    for at, value in enumerate([0.6, 0.4, 0.45, 0.4, 0.4]):
        line.batch(at, pressure=value)
    assert line.kinds == ["excursion_begin"]
    assert [e.kind for e in line.batch(5)] == ["excursion_end"]


def test_limits_follow_the_target_and_its_change_restarts_the_on_delay() -> None:
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, on_delay_s=2, max_age_s=9))
    line.batch(0, "slow", setpoint=2000)
    line.batch(0.1, temperature=2050)
    row = line.row(0.1)
    assert (row["state"], row["low"], row["high"]) == ("in", 195.0, 205.0)
    line.batch(1, temperature=2051)
    line.batch(2, "slow", setpoint=1990)
    assert line.batch(3) == []
    assert [e.detail["high"] for e in line.batch(4)] == [204.0]


def test_a_target_move_is_judged_at_that_very_batch_without_delay() -> None:
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, max_age_s=9))
    line.batch(0, "slow", setpoint=2000)
    line.batch(0.1, temperature=2040)
    assert line.batch(1, "slow", setpoint=2010) == []
    assert [e.kind for e in line.batch(2, "slow", setpoint=1980)] == ["excursion_begin"]


def test_without_its_target_a_window_is_unknown() -> None:
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5))
    line.batch(0)
    row = line.row(0)
    assert (row["state"], row["reason"], row["low"], row["value"]) == (
        "unknown",
        "target waiting",
        None,
        200.0,
    )
    line.batch(1, "slow")
    assert line.state(1) == ("in", False)
    line.batch(2, "slow", quality=bytes([Quality.BAD_COMM]))
    assert line.row(2)["reason"] == "target bad_comm"


def test_a_fixed_target_number() -> None:
    line = Line(window(source=TEMPERATURE, target=200, tolerance=5))
    assert line.batch(0, temperature=2050) == []
    assert [e.kind for e in line.batch(1, temperature=2051)] == ["excursion_begin"]


def test_condition_off_suppresses_and_ends_the_excursion_with_one_event() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, pressure=0.6)
    (event,) = line.batch(1, running=False)
    assert (event.kind, event.detail["reason"], event.detail["new"]) == (
        "excursion_end",
        "suppressed",
        "suppressed",
    )
    assert line.batch(2, pressure=0.9) == []
    assert [e.kind for e in line.batch(3, pressure=0.4, running=True)] == ["window_unsuppressed"]
    (event,) = line.batch(4, running=False)
    assert (event.kind, event.detail["old"]) == ("window_suppressed", "in")
    assert [e.kind for e in line.batch(5, pressure=0.6, running=True)] == ["excursion_begin"]


def test_condition_unknown_is_unknown() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0)
    (event,) = line.batch(1, quality=bytes([GOOD, GOOD, Quality.BAD_DEVICE]))
    assert (event.kind, event.detail["reason"]) == ("window_unknown", "when bad_device")


def test_while_suppressed_a_bad_source_changes_nothing() -> None:
    line = Line(window(high=0.5, when=RUNNING))
    line.batch(0, running=False)
    assert line.batch(1, quality=BAD_PRESSURE) == []
    assert line.state(1) == ("suppressed", False)


def test_not_reported_keeps_the_value_but_not_its_age() -> None:
    line = Line(window(high=0.5, on_delay_s=2, max_age_s=3))
    line.batch(0, pressure=0.6)
    silent = bytes([Quality.NOT_REPORTED, GOOD, GOOD])
    for at in (1, 2, 3):
        assert line.batch(at, quality=silent) == []  # no statement: neither a value nor a sample of the delay
    assert (line.row(3)["value"], line.row(3)["state"]) == (0.6, "in")
    assert [e.detail["reason"] for e in line.batch(3.5, quality=silent)] == ["stale"]


def test_a_condition_that_no_part_of_another_group_speaks_of_grows_old() -> None:
    """Also when the window has become quiet since, and nothing but reads that are cut off came meanwhile."""
    line = Line(
        window(source=SETPOINT, high=300, when=RUNNING, max_age_s=3), window("p", high=0.5, max_age_s=3)
    )
    line.batch(0)
    silent = bytes([GOOD, Quality.NOT_REPORTED, Quality.NOT_REPORTED])
    for at in (0.5, 0.7, 0.9):
        line.batch(at, quality=silent)
    for at in (1, 2, 2.9):
        assert line.batch(at, "slow") == []
    assert [(e.source, e.detail["reason"]) for e in line.batch(3.5, "slow")] == [("w", "when stale")]


def test_what_stands_in_place_of_a_value_not_reported_means_nothing() -> None:
    """Not even when the next value that is reported happens to be the same."""
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, max_age_s=9))
    for at in (0, 1, 2):
        line.batch(at, "slow")
        line.batch(at + 0.1)
    silent = Batch(SLOW, WALL_NS + ns(3), START_NS + ns(3), (1900,), bytes([Quality.NOT_REPORTED]))
    assert line.control.on_batch(silent) == []
    assert line.row(3)["high"] == 205.0
    assert [e.kind for e in line.batch(4, "slow", setpoint=1900)] == ["excursion_begin"]


def test_a_tag_that_moves_to_another_poll_group_keeps_what_it_said_last() -> None:
    line = Line(window(high=0.5))
    for at, value in enumerate([0.4, 0.4, 0.45]):
        line.batch(at, pressure=value)
    line.schemas["other"] = Schema.of("press-1", "other", "v1", [Tag("pressure", "0", ValueType.FLOAT64)])
    line.values["other"] = [0.4]
    line.batch(2.5, "other", quality=bytes([Quality.NOT_REPORTED]))
    assert line.row(2.5)["value"] == 0.45


def test_start_is_quiet() -> None:
    line = Line(window("a", high=0.5), window("b", high=0.1), window("c", high=0.5, when=RUNNING))
    assert {row["state"] for row in line.control.rows(0)} == {"unknown"}
    assert line.tick(1) == []
    assert [(e.source, e.kind) for e in line.batch(2, running=True)] == [("b", "excursion_begin")]


@pytest.mark.parametrize("value", [None, "text", True, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [ValueType.FLOAT64, ValueType.INT32, ValueType.STRING, ValueType.BOOL])
def test_what_is_no_number_is_unknown(kind: ValueType, value: Value) -> None:
    if isinstance(value, bool) and kind.is_numeric:
        return  # a driver that gives a boolean for a number breaks the contract of ``Schema.types``
    schema = Schema.of("press-1", "fast", "v1", [Tag("pressure", "0", kind, scaling=Scaling(2.0, 1.0))])
    line = Line(window(low=-1e300), fast=schema)
    for at, shown in enumerate([0.4, 0.4, value]):
        line.values["fast"] = [shown]
        line.batch(at)
    assert (line.row(2)["state"], line.row(2)["reason"]) == ("unknown", "not_a_number")
    json.dumps(list(line.control.rows(0)), allow_nan=False)


def test_an_older_batch_of_the_same_group_is_ignored() -> None:
    line = Line(window(high=0.5))
    line.batch(2, pressure=0.4)
    assert line.batch(1, pressure=0.9) == []
    assert line.state(2) == ("in", False)
    assert line.control.ignored_batches == 1
    assert [e.kind for e in line.batch(2)] == ["excursion_begin"]  # the same moment is not older


def test_a_batch_of_tags_without_windows_is_nothing() -> None:
    line = Line(window(source=SETPOINT, high=1e6))
    assert line.batch(0) == []
    assert line.state(0) == ("unknown", False)


def test_values_are_followed_through_a_change_of_schema() -> None:
    """A reload may move a tag to another column and give it another scaling."""
    line = Line(window(source=TEMPERATURE, high=205))
    line.batch(0)
    tags = [Tag("temperature", "2", ValueType.INT16, scaling=Scaling(0.01, 0.0))]
    line.schemas["fast"] = Schema.of("press-1", "fast", "v2", tags)
    line.values["fast"] = [20000]
    assert line.batch(1) == []
    assert line.row(1)["value"] == 200.0
    assert [e.detail["value"] for e in line.batch(2, temperature=20600)] == [206.0]
    line.schemas["fast"] = FAST
    line.values["fast"] = [0.4, 2000, True]
    assert [e.kind for e in line.batch(3)] == ["excursion_end"]


def test_a_coarser_scaling_after_a_reload_is_not_judged_by_the_old_raw_bounds() -> None:
    """206 °C is raw 20600 before and 2060 after; 2060 would have been quite inside before."""
    fine = [Tag("temperature", "2", ValueType.INT16, scaling=Scaling(0.01, 0.0))]
    line = Line(window(source=TEMPERATURE, high=205), fast=Schema.of("press-1", "fast", "v1", fine))
    line.values["fast"] = [20000]
    for at in (0, 1, 2):
        assert line.batch(at) == []
    coarse = [Tag("temperature", "2", ValueType.INT16, scaling=Scaling(0.1, 0.0))]
    line.schemas["fast"] = Schema.of("press-1", "fast", "v2", coarse)
    line.values["fast"] = [2000]
    for at in (3, 4, 5):
        assert line.batch(at) == []
    assert [e.detail["value"] for e in line.batch(6, temperature=2060)] == [206.0]


def test_a_target_that_is_read_no_more_grows_stale() -> None:
    """After a change of schema its poll group has other tags; the source goes on as if nothing were."""
    line = Line(window(source=TEMPERATURE, target=SETPOINT, tolerance=5, max_age_s=3))
    for at in (0, 0.5, 1):
        line.batch(at, "slow")
        line.batch(at + 0.1)
    line.schemas["slow"] = Schema.of("plc-2", "slow", "v1", [Tag("other", "0", ValueType.INT16)])
    for at in (1.5, 2, 2.5, 3, 3.5):
        line.batch(at, "slow")
        line.batch(at + 0.1)
    assert line.state(3.6) == ("in", False)
    (event,) = line.batch(4.1)
    assert (event.kind, event.detail["reason"]) == ("window_unknown", "target stale")


def test_a_row_has_exactly_these_columns() -> None:
    line = Line(window(low=0.3, high=0.5))
    line.batch(0)
    assert line.row(1) == {
        "name": "w", "device": "press-1", "tag": "pressure", "state": "in", "reason": "", "active": False,
        "since_ns": line.row(1)["since_ns"], "value": 0.4, "unit": "MPa", "low": 0.3, "high": 0.5,
        "seconds": {"in": 1.0, "out": 0.0, "unknown": 0.0, "suppressed": 0.0}, "excursions": 0,
        "limits": [
            {"kind": "low", "value": 0.3, "active": False}, {"kind": "high", "value": 0.5, "active": False}
        ],
        "standards": [], "suppressed": False,
    }  # fmt: skip


def test_two_windows_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        Line(window(), window())

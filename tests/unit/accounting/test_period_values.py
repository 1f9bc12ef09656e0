"""Minute, hour and day values: the rules of HJ 212-2017, boundaries, late samples, clock steps, restarts."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from edge_agent.accounting.period_time import Told, floor
from edge_agent.config.period_values import Beside, Mean
from edge_agent.config.process import TagRef
from edge_agent.model import Level, Quality, Scaling, ValueType
from tests.unit.accounting import period_naive as naive
from tests.unit.accounting.period_plant import GAS, MIDNIGHT, WATER, Plant, S, chosen, schema_of

MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
COMM, FAULT, STOPPED = int(Quality.BAD_COMM), int(Quality.BAD_DEVICE), int(Quality.UNCERTAIN_STOPPED)


def fill(
    plant: Plant, start: int, end: int, every_s: float = 1.0, quality: int = 0, value: float = 1.0
) -> None:
    at = start
    while at < end:
        plant.say(at, value if quality < 0x80 else None, quality=quality)
        at += round(every_s * S)


# --- periods -------------------------------------------------------------------------------------------------


@given(st.integers(0, 4_000_000_000 * S))
def test_days_begin_at_midnight_in_beijing(time_ns: int) -> None:
    start = floor(time_ns, DAY)
    assert start <= time_ns < start + DAY and (start + 8 * HOUR) % DAY == 0
    assert floor(start, DAY) == start and floor(start - 1, DAY) == start - DAY
    assert floor(start, HOUR) == start == floor(start, 30 * MINUTE)


def test_a_minute_is_half_open() -> None:
    plant = Plant(chosen("x", mean=Mean.SAMPLES))
    for at, value in ((MIDNIGHT - 1, 1), (MIDNIGHT, 2), (MIDNIGHT + MINUTE - 1, 4), (MIDNIGHT + MINUTE, 8)):
        plant.say(at, float(value))
    plant.settle(MIDNIGHT + 3 * MINUTE)
    assert plant.figures(Level.MINUTE, MIDNIGHT - MINUTE)["sum"] == 1
    assert plant.figures(Level.MINUTE, MIDNIGHT)["sum"] == 6
    assert plant.figures(Level.MINUTE, MIDNIGHT)["last"] == 4
    assert plant.figures(Level.MINUTE, MIDNIGHT + MINUTE)["count"] == 1


def test_what_is_told_of_one_minute() -> None:
    plant = Plant(chosen("x", unit="mg/m3", sum_unit="mg/m3", **GAS))
    for second in range(60):
        plant.say(MIDNIGHT + second * S, float(second))
    assert plant.tick(MIDNIGHT + MINUTE + 5 * S - 1).batches == []
    (batch,) = plant.tick(MIDNIGHT + MINUTE + 5 * S).batches
    assert (batch.schema.device, batch.schema.group, batch.time_ns) == ("d", "minute", MIDNIGHT)
    assert batch.schema.names == tuple(
        f"x.{figure}" for figure in ("avg", "min", "max", "sum", "last", "count", "coverage", "flag")
    )
    assert batch.values == (29.5, 0.0, 59.0, 1770.0, 59.0, 60, 100.0, "N") and not any(batch.quality)
    assert batch.schema.units == ("mg/m3",) * 5 + ("", "%", "")
    assert batch.schema.types[5:] == (ValueType.INT64, ValueType.FLOAT64, ValueType.STRING)


# --- the rules of HJ 212-2017, 1.11 of the standard's tables -------------------------------------------------------


@pytest.mark.parametrize(("valid", "flag"), [(12, "N"), (11, "D"), (60, "N")])
def test_a_gas_minute_needs_twelve_samples(valid: int, flag: str) -> None:
    plant = Plant(chosen("x", **GAS))
    for number in range(valid):
        plant.say(MIDNIGHT + number * S, 2.0)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == flag
    assert plant.figures(Level.MINUTE, MIDNIGHT)["avg"] == 2.0
    rated = plant.quality["d", "minute", MIDNIGHT]
    assert rated["x.avg"] == (0 if flag == "N" else Quality.UNCERTAIN_ESTIMATED)
    assert rated["x.flag"] == rated["x.count"] == rated["x.coverage"] == 0


@pytest.mark.parametrize(
    ("valid", "wrong", "flag"), [(45, 15, "N"), (44, 16, "D"), (12, 4, "N"), (12, 5, "D")]
)
def test_three_quarters_of_the_samples_are_enough(valid: int, wrong: int, flag: str) -> None:
    plant = Plant(chosen("x", **GAS))
    for number in range(valid + wrong):
        bad = number >= valid
        plant.say(MIDNIGHT + number * S, None if bad else 2.0, quality=FAULT if bad else 0)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == flag


@pytest.mark.parametrize(("valid", "flag"), [(60, "N"), (45, "N"), (44, "D")])
def test_an_hour_needs_forty_five_minutes(valid: int, flag: str) -> None:
    plant = Plant(chosen("x", **GAS))
    for number in range(60):
        good = number < valid
        fill(
            plant,
            MIDNIGHT + number * MINUTE,
            MIDNIGHT + (number + 1) * MINUTE,
            2,
            0 if good else FAULT,
            number,
        )
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    found = plant.figures(Level.HOUR, MIDNIGHT)
    assert found["flag"] == flag
    assert found["avg"] == pytest.approx(sum(range(valid)) / valid), "the mean of the valid minutes"
    assert found["count"] == valid * 30
    assert (found["min"], found["max"], found["last"]) == (0, valid - 1, valid - 1)


@pytest.mark.parametrize(("valid", "flag"), [(24, "N"), (20, "N"), (19, "D"), (18, "D")])
def test_a_day_needs_twenty_hours(valid: int, flag: str) -> None:
    plant = Plant(chosen("x", **GAS | {"minute_s": 1800, "valid_minutes": 2}))
    for number in range(24):
        good = number < valid
        at = MIDNIGHT + number * HOUR
        fill(plant, at, at + HOUR, 60, 0 if good else COMM, number)
    plant.settle(MIDNIGHT + DAY + HOUR)
    assert plant.flag(Level.DAY, MIDNIGHT) == ("N" if flag == "N" else "B")
    assert plant.figures(Level.DAY, MIDNIGHT)["avg"] == pytest.approx(sum(range(valid)) / valid)


def test_eighteen_hours_are_three_quarters_but_fewer_than_twenty() -> None:
    plant = Plant(chosen("x", **GAS | {"minute_s": 1800, "valid_minutes": 2, "valid_hours": 18}))
    fill(plant, MIDNIGHT, MIDNIGHT + 18 * HOUR, 60)
    plant.settle(MIDNIGHT + DAY + HOUR)
    assert plant.flag(Level.DAY, MIDNIGHT) == "N"


@pytest.mark.parametrize(("bad", "flag"), [(0, "N"), (1, "D")])
def test_one_abnormal_ten_minutes_of_waste_water_make_the_hour_abnormal(bad: int, flag: str) -> None:
    plant = Plant(chosen("x", **WATER))
    fill(plant, MIDNIGHT, MIDNIGHT + HOUR - 10 * MINUTE * bad, 5)
    fill(plant, MIDNIGHT + HOUR - 10 * MINUTE * bad, MIDNIGHT + HOUR, 5, FAULT)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    assert plant.flag(Level.HOUR, MIDNIGHT) == flag
    assert plant.flag(Level.MINUTE, MIDNIGHT) == "N", "at 5 s ten minutes have exactly 120 slices"
    assert plant.figures(Level.HOUR, MIDNIGHT)["avg"] == 1.0
    assert [k for k in plant.told if k[1] == "minute"][:6] == [
        ("d", "minute", MIDNIGHT + n * 10 * MINUTE) for n in range(6)
    ]


def test_one_bad_slice_makes_ten_minutes_of_waste_water_abnormal() -> None:
    plant = Plant(chosen("x", **WATER))
    fill(plant, MIDNIGHT, MIDNIGHT + 10 * MINUTE, 2)
    plant.say(MIDNIGHT + 10 * MINUTE - 1, None, quality=FAULT)
    plant.settle(MIDNIGHT + 20 * MINUTE)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == "D"


def test_waste_water_is_weighted_by_its_flow() -> None:
    flow = Beside(TagRef("d", "q"), scaling=Scaling(0.1))
    plant = Plant(chosen("x", **WATER | {"mean": Mean.FLOW, "weight_by": flow}), names=["q", "x"])
    for minute in range(20):
        for second in range(0, 60, 5):
            q = 100 if minute < 10 else 300
            plant.say(MIDNIGHT + minute * MINUTE + second * S, q, 2.0 if second % 10 else float(minute))
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    first = plant.figures(Level.MINUTE, MIDNIGHT)["avg"]
    second_ = plant.figures(Level.MINUTE, MIDNIGHT + 10 * MINUTE)["avg"]
    assert first == pytest.approx((2.0 + 4.5) / 2) and second_ == pytest.approx((2.0 + 14.5) / 2)
    weighted = (10 * first + 30 * second_) / 40
    assert plant.figures(Level.HOUR, MIDNIGHT)["avg"] == pytest.approx(weighted)


def test_without_flow_there_is_no_weighted_mean() -> None:
    flow = Beside(TagRef("d", "q"))
    rule: dict[str, Any] = WATER | {"mean": Mean.FLOW, "weight_by": flow, "minute_s": 60, "min_samples": 12}
    plant = Plant(chosen("x", **rule), names=["q", "x"])
    for second in range(60):
        plant.say(MIDNIGHT + second * S, 0.0, 5.0)
        plant.say(MIDNIGHT + MINUTE + second * S, None, 5.0, quality=(COMM, 0))
    plant.settle(MIDNIGHT + 3 * MINUTE)
    still = plant.figures(Level.MINUTE, MIDNIGHT)
    assert (still["avg"], still["flag"], still["count"], still["max"]) == (None, "D", 60, 5.0)
    unknown = plant.figures(Level.MINUTE, MIDNIGHT + MINUTE)
    assert (unknown["avg"], unknown["flag"], unknown["count"]) == (None, "D", 0)
    assert plant.quality["d", "minute", MIDNIGHT]["x.avg"] == Quality.BAD


@pytest.mark.parametrize(("seconds", "flag"), [(45, "N"), (44, "D")])
def test_a_plain_value_must_be_known_for_three_quarters_of_the_time(seconds: int, flag: str) -> None:
    plant = Plant(chosen("x", max_age_s=1.0))
    fill(plant, MIDNIGHT, MIDNIGHT + seconds * S)
    plant.say(MIDNIGHT + seconds * S, None, quality=FAULT)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    found = plant.figures(Level.MINUTE, MIDNIGHT)
    assert found["flag"] == flag and found["coverage"] == pytest.approx(seconds / 60 * 100, abs=0.001)


def test_a_plain_mean_is_weighted_by_time_and_holds_over_the_boundary() -> None:
    plant = Plant(chosen("x", max_age_s=90.0))
    plant.say(MIDNIGHT - 30 * S, 10.0)
    plant.say(MIDNIGHT + 45 * S, 50.0)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    found = plant.figures(Level.MINUTE, MIDNIGHT)
    assert found == {
        "avg": 20.0, "min": 10.0, "max": 50.0, "sum": 50.0, "last": 50.0, "count": 1, "coverage": 100.0, "flag": "N",
    }  # fmt: skip


@pytest.mark.parametrize(("per_s", "total"), [(3600.0, 2.0), (1.0, 7200.0)])
def test_a_sum_may_be_the_integral_over_valid_time(per_s: float, total: float) -> None:
    plant = Plant(chosen("x", integral_s=per_s, scaling=Scaling(10.0)), scaling=Scaling(10.0))
    fill(plant, MIDNIGHT, MIDNIGHT + HOUR - 30 * MINUTE, value=0.4)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    found = plant.figures(Level.HOUR, MIDNIGHT)
    assert found["sum"] == pytest.approx(total + 4.0 * 2 / per_s), "the last value held for 3 s"
    assert found["flag"] == "B" and found["avg"] == pytest.approx(4.0)


# --- flags -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quality", "flag"),
    [(COMM, "B"), (STOPPED, "F"), (FAULT, "D"), (int(Quality.STALE), "D"), (int(Quality.UNCERTAIN), "D")],
)
def test_the_flag_says_what_was_wrong(quality: int, flag: str) -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 20 * S)
    fill(plant, MIDNIGHT + 20 * S, MIDNIGHT + MINUTE, quality=quality)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == flag
    assert plant.figures(Level.MINUTE, MIDNIGHT)["count"] == 20


def test_uncertain_samples_count_where_the_rule_says_so() -> None:
    plant = Plant(chosen("x", **GAS | {"uncertain": True}), chosen("y", **GAS))
    for second in range(60):
        plant.say(MIDNIGHT + second * S, 1.0, 1.0, quality=Quality.UNCERTAIN)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert [plant.flag(Level.MINUTE, MIDNIGHT, tag) for tag in "xy"] == ["N", "D"]
    assert plant.figures(Level.MINUTE, MIDNIGHT, "y")["avg"] is None


@pytest.mark.parametrize(("key", "flag"), [("maintenance", "M"), ("calibration", "C")])
def test_a_state_of_the_instrument_is_flagged_and_kept_out_of_the_hour(key: str, flag: str) -> None:
    beside = Beside(TagRef("d", "state"), (3.0,))
    plant = Plant(chosen("x", **GAS | {key: beside}), names=["x", "state"])
    for minute in range(60):
        for second in range(0, 60, 2):
            on = minute < 10 and second == 30
            plant.say(MIDNIGHT + minute * MINUTE + second * S, 99.0 if minute < 10 else 1.0, 3 if on else 1)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    found = plant.figures(Level.MINUTE, MIDNIGHT)
    assert (found["flag"], found["avg"]) == (flag, 99.0), "what was measured is told, and flagged"
    assert plant.quality["d", "minute", MIDNIGHT]["x.avg"] == Quality.UNCERTAIN_ESTIMATED
    hour = plant.figures(Level.HOUR, MIDNIGHT)
    assert (hour["flag"], hour["avg"], hour["max"], hour["count"]) == ("N", 1.0, 1.0, 50 * 30)


def test_a_dead_device_still_yields_its_periods() -> None:
    plant = Plant(chosen("x", **GAS))
    plant.tick(MIDNIGHT)
    plant.settle(MIDNIGHT + DAY + MINUTE)
    levels = [key[1] for key in plant.told]
    assert (levels.count("minute"), levels.count("hour"), levels.count("day")) == (1440, 24, 1)
    for found in plant.told.values():
        assert (found["x.avg"], found["x.sum"], found["x.last"]) == (None, None, None), "nothing is filled in"
        assert (found["x.count"], found["x.coverage"], found["x.flag"]) == (0, 0.0, "B")
    assert {q["x.avg"] for q in plant.quality.values()} == {COMM}


def test_all_chosen_tags_of_a_device_are_one_batch() -> None:
    plant = Plant(chosen("x", **GAS), chosen("y", **GAS), names=["x"])
    other = schema_of(["y", "z"], group="slow")
    plant.say(MIDNIGHT, 1.0)
    plant.schema = other
    plant.say(MIDNIGHT + 1, 2.0, 3.0)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert [b.schema.names[0::8] for b in plant.batches][0] == ("x.avg", "y.avg")
    assert plant.figures(Level.MINUTE, MIDNIGHT, "y")["sum"] == 2.0


def test_sixty_four_bits_stay_exact() -> None:
    plant = Plant(chosen("x", type=ValueType.UINT64, mean=Mean.SAMPLES), type_=ValueType.UINT64)
    plant.say(MIDNIGHT, 2**63 + 1)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    found = plant.figures(Level.MINUTE, MIDNIGHT)
    assert found["last"] == found["min"] == 2**63 + 1 and isinstance(found["last"], int)
    assert plant.batches[0].schema.types[4] is ValueType.UINT64


def test_a_subscription_vouches_for_its_values() -> None:
    plant = Plant(chosen("x", mean=Mean.SAMPLES, max_age_s=10.0), chosen("y", max_age_s=10.0))
    plant.say(MIDNIGHT, 1.0, 2.0)
    for second in range(5, 60, 5):
        plant.say(MIDNIGHT + second * S, None, None, quality=Quality.UNCHANGED)
    plant.say(MIDNIGHT + MINUTE, None, 7.0, quality=(Quality.NOT_REPORTED, 0))
    plant.settle(MIDNIGHT + 3 * MINUTE)
    x, y = (plant.figures(Level.MINUTE, MIDNIGHT, tag) for tag in "xy")
    assert (x["count"], x["avg"], x["coverage"], y["avg"], y["coverage"]) == (12, 1.0, 100.0, 2.0, 100.0)
    x, y = (plant.figures(Level.MINUTE, MIDNIGHT + MINUTE, tag) for tag in "xy")
    assert (x["count"], x["avg"], y["count"], y["max"]) == (0, None, 1, 7.0), "not said anew: no sample"


# --- against a recomputation from every sample -----------------------------------------------------------------


@st.composite
def runs(draw: Any) -> tuple[naive.Rule, Scaling | None, list[naive.Sample], bool]:
    rule = naive.Rule(
        kind=draw(st.sampled_from(["samples", "time"])),
        minute_ns=draw(st.sampled_from([1, 5, 30])) * MINUTE,
        min_samples=draw(st.sampled_from([0, 3, 12])),
        share=draw(st.sampled_from([75.0, 100.0, 33.3])),
        valid_minutes=draw(st.sampled_from([0, 2])),
        uncertain=draw(st.booleans()),
        integral_s=draw(st.sampled_from([None, 3600.0])),
        max_age_ns=draw(st.sampled_from([3 * S, 100 * S])),
    )
    gaps = st.one_of(st.integers(1, 5 * S), st.integers(1, 500 * S))
    quality = st.sampled_from([0, 0, 0, 0, COMM, FAULT, STOPPED, int(Quality.UNCERTAIN)])
    at, samples = MIDNIGHT + draw(st.integers(0, HOUR)), []
    for _ in range(draw(st.integers(0, 200))):
        samples.append((at, draw(st.integers(-1000, 1000)), draw(quality)))
        at += draw(gaps)
    return rule, draw(st.sampled_from([None, Scaling(-0.5, 3.0)])), samples, draw(st.booleans())


@given(runs())
@settings(max_examples=150, deadline=None)
def test_every_figure_is_that_of_adding_up_every_sample(
    run: tuple[naive.Rule, Scaling | None, list[naive.Sample], bool],
) -> None:
    """Also with other tags in the batch, and with state written and read in the middle of it."""
    rule, scaling, samples, interrupted = run
    made = {
        "mean": Mean.TIME if rule.kind == "time" else Mean.SAMPLES,
        "minute_s": rule.minute_ns // S, "min_samples": rule.min_samples, "share": rule.share,
        "valid_minutes": rule.valid_minutes, "uncertain": rule.uncertain, "integral_s": rule.integral_s,
        "max_age_s": rule.max_age_ns / S, "scaling": scaling,
    }  # fmt: skip
    plant = Plant(chosen("x", **made), names=["a", "x"], scaling=scaling)
    for number, (at, raw, quality) in enumerate(samples):
        plant.tick(at - 1)
        if interrupted and number % 50 == 30:
            plant.producer.rows()  # what is written changes nothing
        plant.say(at, 1, raw, quality=(0, quality))
    if not samples:
        return
    plant.settle(samples[-1][0] + 3 * HOUR)
    values = [(at, float(engineer(raw, scaling)), quality) for at, raw, quality in samples]
    first = samples[0][0] - samples[0][0] % rule.minute_ns
    start = first
    while start < samples[-1][0]:
        same(plant.figures(Level.MINUTE, start), naive.minute(values, start, rule), rule.minute_ns)
        start += rule.minute_ns
    hour = first - first % HOUR
    while hour < samples[-1][0]:
        same(plant.figures(Level.HOUR, hour), naive.hour(values, hour, first, rule), HOUR)
        hour += HOUR


def engineer(raw: int, scaling: Scaling | None) -> float:
    return raw if scaling is None else raw * scaling.scale + scaling.offset


def same(told: dict[str, Any], found: naive.Found, length_ns: int) -> None:
    assert told["flag"] == found.flag
    assert told["count"] == found.count
    assert told["coverage"] == pytest.approx(found.known_ns / length_ns * 100, abs=0.001)
    for name, value in (("avg", found.avg), ("sum", found.total), ("min", found.low), ("max", found.high)):
        wanted = None if value is None else pytest.approx(float(value), rel=1e-9, abs=1e-6)
        assert told[name] == wanted, name
    assert told["last"] == found.last
    if told["avg"] is not None and told["min"] is not None:
        assert told["min"] - 1e-6 <= told["avg"] <= told["max"] + 1e-6


# --- late, and clocks that step ----------------------------------------------------------------------------------


def test_late_samples_count_within_the_grace_and_not_after() -> None:
    plant = Plant(chosen("x", mean=Mean.SAMPLES))
    plant.say(MIDNIGHT + 30 * S, 1.0)
    plant.tick(MIDNIGHT + MINUTE + 4 * S)
    plant.say(MIDNIGHT + 59 * S, 2.0)
    plant.tick(MIDNIGHT + MINUTE + 5 * S)
    plant.say(MIDNIGHT + 59 * S, 100.0)
    assert plant.figures(Level.MINUTE, MIDNIGHT)["sum"] == 3.0
    closed = plant.tick(MIDNIGHT + MINUTE + 6 * S)
    (event,) = closed.events
    assert (event.kind, event.source, event.detail) == (
        "period_late", "d", {"samples": 1, "oldest_ns": MIDNIGHT + 59 * S},
    )  # fmt: skip
    for second in range(7, 50):
        plant.say(MIDNIGHT + 59 * S, 100.0)
        assert plant.tick(MIDNIGHT + MINUTE + second * S).events == [], "once an hour"
    plant.settle(MIDNIGHT + HOUR + 2 * MINUTE)
    assert [e.detail["samples"] for e in plant.events] == [1, 43]
    assert plant.figures(Level.HOUR, MIDNIGHT)["sum"] == 3.0 and plant.producer.late_samples == 44


def test_a_clock_set_back_tells_no_period_twice() -> None:
    plant = Plant(chosen("x", **GAS))
    for second in range(0, 3 * 3600, 2):
        plant.say(MIDNIGHT + second * S, 1.0)
        plant.tick(MIDNIGHT + second * S)
    before = dict(plant.told)
    for second in range(2 * 3600, 5 * 3600, 2):  # an hour back, and on
        plant.say(MIDNIGHT + second * S, 5.0)
        plant.tick(MIDNIGHT + second * S)
    assert {key: plant.told[key] for key in before} == before, "what is told is frozen"
    assert sorted(k[2] for k in plant.told if k[1] == "minute") == [
        MIDNIGHT + n * MINUTE for n in range(5 * 60 - 1)
    ]
    assert sorted(k[2] for k in plant.told if k[1] == "hour") == [MIDNIGHT + n * HOUR for n in range(4)]
    assert plant.producer.late_samples > 1700


def test_a_clock_set_back_to_before_anything_was_told_goes_on_there() -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT + HOUR, MIDNIGHT + HOUR + 2 * MINUTE)
    plant.settle(MIDNIGHT + HOUR + 2 * MINUTE)
    for second in range(2 * 3600):
        plant.say(MIDNIGHT + 30 * MINUTE + second * S, 2.0)
        plant.tick(MIDNIGHT + 30 * MINUTE + second * S)
    starts = [k[2] for k in plant.told if k[1] == "minute"]
    assert sorted(starts) == [MIDNIGHT + n * MINUTE for n in range(30, 149)]


@pytest.mark.parametrize(("days", "gap"), [(1.9, False), (2.5, False), (30.0, True)])
def test_a_clock_set_forward_leaves_empty_periods_or_one_event(days: float, gap: bool) -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 30 * S)
    plant.tick(MIDNIGHT + 30 * S)
    now = MIDNIGHT + round(days * DAY)
    plant.settle(now)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == "N", "what was gathered is told"
    starts = sorted(k[2] for k in plant.told if k[1] == "minute")
    assert [e.kind for e in plant.events] == (["period_gap"] if gap else [])
    if not gap:
        assert starts == list(range(MIDNIGHT, now - MINUTE - 5 * S + 1, MINUTE))
    else:
        detail = plant.events[0].detail
        assert (
            detail["from_ns"] == MIDNIGHT + MINUTE
            and now - 2 * DAY - HOUR - 5 * S <= detail["to_ns"] <= now - 2 * DAY
        )
        assert starts == [MIDNIGHT, *range(detail["to_ns"], now - MINUTE - 5 * S + 1, MINUTE)]
        assert ("d", "hour", MIDNIGHT) in plant.told and ("d", "day", MIDNIGHT) in plant.told
    fill(plant, now, now + MINUTE)
    plant.settle(now + 2 * MINUTE)


def test_a_long_gap_does_not_come_all_at_once() -> None:
    plant = Plant(*(chosen(f"t{n}", **GAS) for n in range(50)))
    plant.tick(MIDNIGHT)
    first = plant.tick(MIDNIGHT + DAY)
    assert 20_000 <= sum(len(b.values) for b in first.batches) < 22_000
    plant.settle(MIDNIGHT + DAY)
    assert len([k for k in plant.told if k[1] == "minute"]) == 1439


@given(st.lists(st.tuples(st.integers(-200, 200), st.integers(1, 40)), min_size=1, max_size=40), st.randoms())
@settings(max_examples=80, deadline=None)
def test_whatever_the_clock_does_nothing_is_told_twice(steps: list[tuple[int, int]], random: Any) -> None:
    """``Plant.tick`` asserts it. Restarts with and without the newest state come in between."""
    plant = Plant(chosen("x", **GAS))
    now, rows = MIDNIGHT, None
    for step, seconds in steps:
        now += step * MINUTE
        for _ in range(seconds):
            now += 20 * S
            plant.say(now, 1.0)
            plant.tick(now)
        if random.random() < 0.2:
            rows = json.loads(json.dumps(plant.producer.rows()))
        if rows is not None and random.random() < 0.2:
            plant.restart(rows=rows)


# --- restarts ------------------------------------------------------------------------------------------------------


def test_open_periods_outlive_a_clean_restart() -> None:
    plant, through = Plant(chosen("x", **GAS)), Plant(chosen("x", **GAS))
    for second in range(0, 2 * 3600):
        for one in (plant, through):
            one.say(MIDNIGHT + second * S, float(second % 7))
            one.tick(MIDNIGHT + second * S)
        if second % 911 == 400:
            plant.restart(rows=json.loads(json.dumps(plant.producer.rows())))
    for one in (plant, through):
        one.settle(MIDNIGHT + 2 * HOUR + MINUTE)
    assert plant.told.keys() == through.told.keys()
    for key, found in plant.told.items():
        other = through.told[key]
        assert found == pytest.approx(other | {"x.coverage": found["x.coverage"]})
        assert found["x.coverage"] == pytest.approx(other["x.coverage"], abs=3.4), (
            "two seconds at each restart"
        )


def test_an_unclean_restart_is_made_good_from_the_stored_samples() -> None:
    """The state is old; the samples and the period values in the stores are not."""
    plant, through = Plant(chosen("x", **GAS)), Plant(chosen("x", **GAS))
    rows, log = None, []
    for second in range(0, 2 * 3600):
        at = MIDNIGHT + second * S
        for one in (plant, through):
            one.say(at, float(second % 11))
            one.tick(at)
        log.append((at, float(second % 11)))
        if second == 3000:
            rows = json.loads(json.dumps(plant.producer.rows()))
        if second == 4333:
            assert rows is not None
            stored = plant.batches[:-3]  # the newest had not been written yet
            for batch in plant.batches[-3:]:
                del plant.told[batch.schema.device, batch.schema.group, batch.time_ns]
            del plant.batches[-3:]
            plant.restart(rows=rows, stored=stored)
            since = plant.producer.replay_from_ns()
            assert since == MIDNIGHT + 49 * MINUTE
            for time_ns, value in log:
                if time_ns >= since:
                    plant.producer.on_batch(
                        type(plant.batches[0])(plant.schema, time_ns, 0, (value,), b"\0"), replay=True
                    )
    for one in (plant, through):
        one.settle(MIDNIGHT + 2 * HOUR + MINUTE)
    assert plant.told.keys() == through.told.keys()
    for key, found in plant.told.items():
        other = through.told[key]
        assert found == pytest.approx(other | {"x.coverage": found["x.coverage"]})


def test_the_time_of_a_stop_is_uncovered() -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 10 * MINUTE)
    plant.settle(MIDNIGHT + 10 * MINUTE)
    plant.restart()
    fill(plant, MIDNIGHT + 30 * MINUTE, MIDNIGHT + HOUR)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    assert [plant.flag(Level.MINUTE, MIDNIGHT + n * MINUTE) for n in (9, 10, 29, 30)] == ["N", "B", "B", "N"]
    found = plant.figures(Level.HOUR, MIDNIGHT)
    assert found["flag"] == "B" and found["count"] == 40 * 60
    assert found["coverage"] == pytest.approx(40 / 60 * 100, abs=0.1)


def test_without_any_state_the_store_tells_what_has_been_told() -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 90 * MINUTE)
    plant.settle(MIDNIGHT + 90 * MINUTE)
    plant.restart(rows={})
    fill(plant, MIDNIGHT + 100 * MINUTE, MIDNIGHT + 2 * HOUR)
    plant.settle(MIDNIGHT + 2 * HOUR + MINUTE)
    starts = sorted(k[2] for k in plant.told if k[1] == "minute")
    assert starts == [MIDNIGHT + n * MINUTE for n in range(120)]


def test_another_rule_begins_anew_and_tells_nothing_twice() -> None:
    plant = Plant(chosen("x", **GAS), chosen("y", **GAS))
    for second in range(1200):
        plant.say(MIDNIGHT + second * S, 1.0, 1.0)
    plant.settle(MIDNIGHT + 20 * MINUTE)
    plant.plan = Plant(chosen("x", **GAS), chosen("y", **GAS | {"min_samples": 15})).plan
    plant.restart()
    for second in range(1200, 3600):
        plant.say(MIDNIGHT + second * S, 1.0, 1.0)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    assert [plant.figures(Level.HOUR, MIDNIGHT, tag)["count"] for tag in "xy"] == [3600, 2400 + 60 * 0]


def test_longer_minutes_begin_where_the_shorter_ones_end() -> None:
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 13 * MINUTE)
    plant.settle(MIDNIGHT + 13 * MINUTE)
    plant.plan = Plant(chosen("x", **GAS | {"minute_s": 600})).plan
    plant.restart()
    fill(plant, MIDNIGHT + 13 * MINUTE, MIDNIGHT + 30 * MINUTE)
    plant.settle(MIDNIGHT + 31 * MINUTE)
    assert [k[2] for k in plant.told if k[1] == "minute"][-1] == MIDNIGHT + 20 * MINUTE


def test_a_row_that_cannot_be_read_begins_anew() -> None:
    plant = Plant(chosen("x", **GAS))
    assert plant.producer.restore_rows({"periods:d": {"told": 3}, "other": 1}) == ["periods:d"]
    fill(plant, MIDNIGHT, MIDNIGHT + MINUTE)
    plant.settle(MIDNIGHT + 2 * MINUTE)
    assert plant.flag(Level.MINUTE, MIDNIGHT) == "N"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=20))
def test_spans_that_were_told(spans: list[tuple[int, int]]) -> None:
    told, every = Told(), set()
    for start, length in spans:
        told.add(start, start + length)
        every |= set(range(start, start + length))
    assert {n for n in range(60) if n in told} == every
    assert all(told.until(n) == next(m for m in range(n, 99) if m not in every) for n in range(50))
    assert told.spans == sorted(told.spans)


def test_shares_are_exact() -> None:
    assert Fraction(45, 60) == Fraction(75, 100)


_ = seed

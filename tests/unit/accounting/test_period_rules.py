"""Minute, hour and day values: boundaries, and the validity rules of HJ 212-2017."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.accounting.period_time import floor
from edge_agent.config.period_values import Beside, Mean
from edge_agent.config.process import TagRef
from edge_agent.model import Level, Quality, Scaling, ValueType
from tests.unit.accounting.period_plant import (
    COMM,
    DAY,
    FAULT,
    GAS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    WATER,
    Plant,
    S,
    chosen,
    fill,
)  # fmt: skip


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
        "avg": 20.0, "min": 10.0, "max": 50.0, "sum": 50.0, "last": 50.0, "count": 1, "coverage": 100.0,
        "flag": "N",
    }  # fmt: skip


@pytest.mark.parametrize(("per_s", "total"), [(3600.0, 2.0), (1.0, 7200.0)])
def test_a_sum_may_be_the_integral_over_valid_time(per_s: float, total: float) -> None:
    plant = Plant(chosen("x", integral_s=per_s, scaling=Scaling(10.0)), scaling=Scaling(10.0))
    fill(plant, MIDNIGHT, MIDNIGHT + HOUR - 30 * MINUTE, value=0.4)
    plant.settle(MIDNIGHT + HOUR + MINUTE)
    found = plant.figures(Level.HOUR, MIDNIGHT)
    assert found["sum"] == pytest.approx(total + 4.0 * 2 / per_s), "the last value held for 3 s"
    assert found["flag"] == "B" and found["avg"] == pytest.approx(4.0)

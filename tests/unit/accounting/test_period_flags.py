"""Flags and figures of periods: what was wrong, who was at work, what a device did not say."""

from __future__ import annotations

import pytest

from edge_agent.config.period_values import Beside, Mean
from edge_agent.config.process import TagRef
from edge_agent.model import Level, Quality, ValueType
from tests.unit.accounting.period_plant import (
    COMM,
    DAY,
    FAULT,
    GAS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    STOPPED,
    Plant,
    S,
    chosen,
    fill,
    schema_of,
)  # fmt: skip


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
    assert plant.batches[0].schema.names[0::8] == ("x.avg", "y.avg")
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

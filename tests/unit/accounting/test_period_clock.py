"""Late samples and clocks that step: nothing is told twice, nothing mixed in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.period_values import Mean
from edge_agent.model import Level
from tests.unit.accounting.period_plant import (
    DAY,
    GAS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    Plant,
    S,
    chosen,
    fill,
)  # fmt: skip


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


def test_a_clock_that_comes_back_from_far_ahead_tells_no_hour_twice() -> None:
    """The minutes that had not come yet are told; their hour was told when the clock left."""
    plant = Plant(chosen("x", **GAS))
    fill(plant, MIDNIGHT, MIDNIGHT + 10 * MINUTE)
    plant.settle(MIDNIGHT + 10 * MINUTE)
    plant.settle(MIDNIGHT + 40 * DAY)
    told = plant.figures(Level.HOUR, MIDNIGHT), plant.figures(Level.DAY, MIDNIGHT)
    fill(plant, MIDNIGHT + 12 * MINUTE, MIDNIGHT + 3 * HOUR)
    plant.settle(MIDNIGHT + 2 * DAY)
    assert (plant.figures(Level.HOUR, MIDNIGHT), plant.figures(Level.DAY, MIDNIGHT)) == told
    assert plant.flag(Level.MINUTE, MIDNIGHT + 12 * MINUTE) == "N" == plant.flag(Level.HOUR, MIDNIGHT + HOUR)


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

"""Restarts and reloads: no period twice, none left out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.accounting.period_time import Told
from edge_agent.model import Level
from tests.unit.accounting.period_plant import (
    GAS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    Plant,
    S,
    chosen,
    fill,
)  # fmt: skip


def test_open_periods_outlive_a_clean_restart() -> None:
    plant, through = Plant(chosen("x", **GAS)), Plant(chosen("x", **GAS))
    for second in range(2 * 3600):
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
    for second in range(2 * 3600):
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

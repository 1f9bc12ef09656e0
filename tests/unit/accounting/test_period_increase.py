"""Counters: the increase of each period from a total that only grows."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.accounting.period_values import PeriodProducer
from edge_agent.config.period_values import Mean, PeriodTag
from edge_agent.config.process import TagRef
from edge_agent.model import Level, ValueType
from tests.unit.accounting.period_plant import COMM, HOUR, MIDNIGHT, MINUTE, Plant, S


class Meter(Plant):
    """A register that is read, and what it has counted."""

    def __init__(self, max_gap_s: float = 60.0) -> None:
        register = TagRef("m", "kwh")
        tag = PeriodTag(TagRef("d", "x"), register, ValueType.FLOAT64, mean=Mean.COUNTER, max_age_s=max_gap_s)
        super().__init__(tag, names=["kwh"])
        self.total: Decimal | None = Decimal(1000)
        self.schema = self.schema.from_dict(self.schema.as_dict() | {"device": "m"})
        self.producer = self.made()

    def made(self) -> PeriodProducer:
        return PeriodProducer(self.plan, "v", lambda key: self.total if key == "m.kwh" else None)

    def read(self, time_ns: int, increase: str = "0") -> None:
        assert self.total is not None
        self.total += Decimal(increase)
        self.tick(time_ns)
        self.say(time_ns, float(self.total))

    def restart(self, **given: object) -> PeriodProducer:
        rows = json.loads(json.dumps(self.producer.rows()))
        self.producer = self.made()
        assert self.producer.restore_rows(rows) == []
        return self.producer


def test_what_was_counted_between_two_readings_belongs_to_the_time_between() -> None:
    meter = Meter()
    meter.read(MIDNIGHT - 2 * S)
    meter.read(MIDNIGHT + 4 * S, "3")
    meter.read(MIDNIGHT + 50 * S, "1.5")
    meter.settle(MIDNIGHT + 2 * MINUTE)
    first, second = (meter.figures(Level.MINUTE, MIDNIGHT + n * MINUTE) for n in (-1, 0))
    assert (first["sum"], first["coverage"], first["flag"]) == (1.0, pytest.approx(3.333), "D")
    assert (second["sum"], second["coverage"], second["flag"]) == (3.5, pytest.approx(83.333), "N")
    assert (second["last"], second["count"]) == (1004.5, 2)
    assert (second["avg"], second["min"], second["max"]) == (None, None, None), "a total has no mean"


def test_the_share_of_a_minute_that_has_been_told_goes_to_the_next() -> None:
    meter = Meter()
    meter.read(MIDNIGHT - 10 * S)
    meter.read(MIDNIGHT + 30 * S, "4")
    meter.settle(MIDNIGHT + 2 * MINUTE)
    first, second = (meter.figures(Level.MINUTE, MIDNIGHT + n * MINUTE) for n in (-1, 0))
    assert (first["sum"], second["sum"]) == (None, 4.0)


def test_a_long_silence_is_given_to_no_minute() -> None:
    meter = Meter()
    meter.read(MIDNIGHT)
    meter.read(MIDNIGHT + 30 * MINUTE, "7")
    meter.read(MIDNIGHT + 30 * MINUTE + 30 * S, "1")
    meter.settle(MIDNIGHT + 2 * HOUR + MINUTE)
    assert meter.figures(Level.MINUTE, MIDNIGHT + 30 * MINUTE)["sum"] == 1.0
    for minute in (1, 20, 29):
        assert meter.figures(Level.MINUTE, MIDNIGHT + minute * MINUTE)["sum"] is None
    hour = meter.figures(Level.HOUR, MIDNIGHT)
    assert (hour["sum"], hour["flag"], hour["count"]) == (8.0, "B", 3)
    assert meter.figures(Level.HOUR, MIDNIGHT + HOUR)["sum"] is None, "nothing is not zero"


def test_what_is_held_back_or_bad_is_not_counted() -> None:
    meter = Meter()
    meter.read(MIDNIGHT)
    meter.total = None
    meter.say(MIDNIGHT + 10 * S, 5.0)
    meter.total = Decimal(1002)
    meter.say(MIDNIGHT + 20 * S, None, quality=COMM)
    meter.say(MIDNIGHT + 40 * S, 1002.0)
    meter.settle(MIDNIGHT + 2 * MINUTE)
    found = meter.figures(Level.MINUTE, MIDNIGHT)
    assert (found["sum"], found["count"]) == (2.0, 2)


def test_a_restart_goes_on_from_the_last_total() -> None:
    meter = Meter()
    meter.read(MIDNIGHT, "0")
    meter.read(MIDNIGHT + 20 * S, "3")
    meter.restart()
    meter.read(MIDNIGHT + 50 * S, "2")
    meter.settle(MIDNIGHT + 2 * MINUTE)
    assert meter.figures(Level.MINUTE, MIDNIGHT)["sum"] == 5.0


def test_what_was_told_before_an_unclean_restart_stands() -> None:
    """The state is two minutes old; the store has the minutes since."""
    meter = Meter()
    for second in range(0, 600, 10):
        meter.read(MIDNIGHT + second * S, "0.5" if second else "0")
        if second == 300:
            rows = json.loads(json.dumps(meter.producer.rows()))
    meter.producer = meter.made()
    meter.producer.restore_rows(rows)
    for batch in meter.batches:
        meter.producer.know(batch)
    meter.producer.went_on()
    for second in range(600, 4200, 10):
        meter.read(MIDNIGHT + second * S, "0.5")
    minutes = [meter.figures(Level.MINUTE, MIDNIGHT + n * MINUTE)["sum"] for n in range(60)]
    assert minutes[1:8] == [pytest.approx(3.0)] * 7
    assert sum(minutes) == pytest.approx(180) == meter.figures(Level.HOUR, MIDNIGHT)["sum"]


@given(st.lists(st.tuples(st.integers(1, 55), st.integers(0, 1000)), min_size=2, max_size=150))
@settings(max_examples=60, deadline=None)
def test_the_minutes_add_up_to_what_the_counter_counted(readings: list[tuple[int, int]]) -> None:
    meter = Meter()
    at, counted = MIDNIGHT, 0
    meter.read(at)
    for seconds, amount in readings:
        at += seconds * S
        counted += amount
        meter.read(at, str(amount))
    meter.settle(at + HOUR + 10 * MINUTE)
    minutes = [v["x.sum"] or 0.0 for (_, level, _), v in meter.told.items() if level == "minute"]
    hours = [v["x.sum"] or 0.0 for (_, level, _), v in meter.told.items() if level == "hour"]
    assert sum(minutes) == pytest.approx(counted) == sum(hours)

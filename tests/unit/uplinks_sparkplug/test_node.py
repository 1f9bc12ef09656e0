"""Births before data, numbers without gaps, aliases, deaths; what is missed is historical."""

from __future__ import annotations

import random

import pytest

from edge_agent.model import Batch, Quality, Scaling, ValueType
from edge_agent.uplink import Lane
from edge_agent.uplinks.sparkplug.payloads import MAX_METRICS
from tests.unit.uplinks_sparkplug.made import T_MS, Session, minutes, reading, schema

FAST = schema()
SLOW = schema(group="slow", tags=[("oil", ValueType.FLOAT32, "°C", None)])
OTHER = schema("oven-2", tags=[("zone1", ValueType.INT16, "°C", None)])


@pytest.fixture
def session() -> Session:
    return Session()


def test_births_carry_what_is_current(session: Session) -> None:
    kinds = session.born(reading(FAST, 0, [0.42, 7]), reading(SLOW, 0, [45.5]), reading(OTHER, 0, [-5]))
    assert kinds == ["NBIRTH", "DBIRTH press-1", "DBIRTH oven-2"]
    _, pressure = session.ledger.metric("press-1", "pressure")
    assert (pressure.value, pressure.time_ms, pressure.properties) == (
        0.42, T_MS, {"Quality": 192, "engUnit": "MPa"},
    )  # fmt: skip
    assert session.ledger.metric("oven-2", "zone1")[1].value == -5
    assert session.ledger.broken == []


def test_a_scaled_tag_says_in_its_birth_how_it_is_scaled(session: Session) -> None:
    of = schema(tags=[("oil", ValueType.UINT16, "°C", Scaling(0.1, -40.0))])
    session.born(reading(of, 0, [1000]))
    _, born = session.ledger.metric("press-1", "oil")
    assert (born.datatype, born.value) == (10, 60.0)
    assert born.properties == {
        "Quality": 192, "engUnit": "°C", "rawType": "uint16", "scale": 0.1, "offset": -40.0
    }  # fmt: skip


def test_a_device_is_born_before_its_first_datum(session: Session) -> None:
    session.born()
    assert session.data(reading(FAST, 1, [0.4, 1])) == ["DBIRTH press-1", "DDATA press-1"]
    assert session.data(reading(FAST, 2, [0.5, 2])) == ["DDATA press-1"]
    assert session.data(reading(SLOW, 2, [45.5])) == ["DBIRTH press-1", "DDATA press-1"]
    assert session.data(reading(FAST, 3, [0.6, 3])) == ["DDATA press-1"]
    assert session.ledger.values("press-1", "pressure") == [0.4, 0.5, 0.6]
    assert session.ledger.broken == []


def test_numbers_run_round_without_a_gap(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]))
    for second in range(1, 600):
        session.data(reading(FAST, second, [0.4, second]))
    assert (session.ledger.gaps, session.ledger.duplicates, session.ledger.broken) == (0, 0, [])
    assert len(session.ledger.values("press-1", "count")) == 599


def test_a_rebirth_starts_at_0_with_the_same_bd_seq_and_what_was_told_last() -> None:
    session = Session(bd_seq=255)
    session.born(reading(FAST, 0, [0.4, 0]))
    session.data(reading(FAST, 1, [0.7, 9]))
    session.data(reading(OTHER, 1, [20]))
    assert session.born() == ["NBIRTH", "DBIRTH press-1", "DBIRTH oven-2"]
    assert session.ledger.metric("press-1", "count")[1].value == 9
    assert session.data(reading(FAST, 2, [0.8, 10])) == ["DDATA press-1"]
    assert session.ledger.nodes["park/hall-3"].bd_seq == 255
    assert session.ledger.nodes["park/hall-3"].births == 2
    assert (session.ledger.gaps, session.ledger.broken) == (0, [])


def test_aliases_are_one_for_each_metric_of_the_node_and_stay(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]), reading(OTHER, 0, [1]))
    before = {n: session.ledger.metric(d, n)[0] for d, n in [("press-1", "pressure"), ("oven-2", "zone1")]}
    session.data(reading(SLOW, 1, [45.5]))
    session.born()
    after = {n: session.ledger.metric(d, n)[0] for d, n in [("press-1", "pressure"), ("oven-2", "zone1")]}
    assert before == after
    every = [alias for known in session.ledger.nodes["park/hall-3"].devices.values() for alias in known]
    assert len(every) == len(set(every)) == 4


# What is historical


def test_backlog_is_historical_and_stands_apart(session: Session) -> None:
    session.born(reading(FAST, 100, [0.4, 100]))
    session.data(reading(FAST, 1, [0.1, 1]), reading(FAST, 2, [0.2, 2]), lane=Lane.BACKLOG)
    session.data(reading(FAST, 101, [0.5, 101]))
    flags = {s.time_ms: s.historical for s in session.ledger.samples.values()}
    assert flags == {T_MS + 1000: True, T_MS + 2000: True, T_MS + 101_000: False}
    assert session.ledger.broken == []


def test_what_is_older_than_the_birth_said_is_historical_though_it_is_live(session: Session) -> None:
    """The birth carries the newest reading; the rows of the commit before it come afterwards."""
    session.born(reading(FAST, 3, [0.3, 3]))
    assert session.data(*(reading(FAST, s, [s / 10, s]) for s in (1, 2, 3, 4, 5))) == ["DDATA press-1"] * 2
    flags = {s.time_ms - T_MS: s.historical for s in session.ledger.samples.values()}
    assert flags == {1000: True, 2000: True, 3000: True, 4000: False, 5000: False}
    assert session.ledger.broken == []


def test_a_clock_that_was_set_back_makes_nothing_historical(session: Session) -> None:
    session.born(reading(FAST, 3600, [0.3, 3]))
    late = reading(FAST, 3601, [0.4, 4])
    back = Batch(FAST, T_MS * 1_000_000, late.mono_ns, late.values, late.quality)
    session.data(back)
    (sample, _) = session.ledger.samples.values()
    assert not sample.historical


# What a configuration changes


def test_a_tag_of_another_type_takes_the_name_and_old_data_keeps_its_meaning(session: Session) -> None:
    was = schema(tags=[("level", ValueType.UINT16, "mm", None)])
    now = schema(tags=[("level", ValueType.FLOAT32, "m", None)])
    session.born(reading(now, 10, [1.5]))
    session.data(reading(was, 1, [1400]), lane=Lane.BACKLOG)
    session.data(reading(now, 11, [1.25]))
    assert session.ledger.values("press-1", "level") == [1.25]
    assert session.ledger.values("press-1", "level/former/uint16/mm") == [1400]
    assert session.ledger.metric("press-1", "level/former/uint16/mm")[1].properties["engUnit"] == "mm"
    assert session.ledger.broken == []


def test_a_tag_that_changes_while_the_session_lasts(session: Session) -> None:
    was = schema(tags=[("level", ValueType.UINT16, "mm", None)])
    now = schema(tags=[("level", ValueType.UINT16, "cm", None)])
    session.born(reading(was, 0, [1400]))
    session.data(reading(was, 1, [1401]))
    assert session.data(reading(now, 2, [140])) == ["DBIRTH press-1", "DDATA press-1"]
    session.data(reading(was, 1.5, [1402]), lane=Lane.BACKLOG)
    session.data(reading(was, 3, [1403]))  # taken back
    assert session.ledger.values("press-1", "level/former/uint16/mm") == [1402]
    assert session.ledger.values("press-1", "level/former/uint16/cm") == []
    assert session.ledger.values("press-1", "level") == [1401, 140, 1403]
    assert session.ledger.metric("press-1", "level")[1].properties["engUnit"] == "mm"
    assert session.ledger.broken == []


# Deaths


def test_a_device_dies_with_its_last_poll_group_and_is_born_again(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]), reading(SLOW, 0, [45.5]))
    assert session.data(reading(FAST, 1)) == ["DDATA press-1"]
    assert session.data(reading(SLOW, 2)) == ["DDATA press-1", "DDEATH press-1"]
    assert session.data(reading(FAST, 2), reading(FAST, 3)) == []
    assert session.data(reading(FAST, 4), reading(FAST, 5, [0.5, 5])) == ["DBIRTH press-1", "DDATA press-1"]
    assert session.ledger.values("press-1", "pressure") == [None, 0.5]
    assert session.ledger.broken == []


def test_dying_and_coming_back_within_one_commit(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]))
    kinds = session.data(
        reading(FAST, 1, [0.5, 1]), reading(FAST, 2), reading(FAST, 3), reading(FAST, 4, [0.6, 4])
    )
    assert kinds == [
        "DDATA press-1", "DDEATH press-1", "DBIRTH press-1", "DDATA press-1"
    ]  # fmt: skip
    assert session.ledger.values("press-1", "pressure") == [0.5, None, 0.6]
    assert session.ledger.broken == []


def test_a_device_that_does_not_answer_is_not_born(session: Session) -> None:
    assert session.born(reading(FAST, 0), reading(OTHER, 0, [1])) == ["NBIRTH", "DBIRTH oven-2"]
    assert session.data(reading(FAST, 1)) == []
    assert session.data(reading(FAST, 2, [0.4, 2])) == ["DBIRTH press-1", "DDATA press-1"]
    assert session.ledger.broken == []


def test_one_bad_tag_kills_nobody(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]))
    bad = bytes([Quality.BAD_COMM, Quality.BAD_DECODE])
    assert session.data(reading(FAST, 1, [None, None], bad)) == ["DDATA press-1"]


def test_what_was_missed_of_a_dead_device_still_arrives(session: Session) -> None:
    session.born(reading(FAST, 100))
    kinds = session.data(reading(FAST, 1, [0.1, 1]), reading(FAST, 2), lane=Lane.BACKLOG)
    assert kinds == ["DBIRTH press-1", "DDATA press-1"]
    assert session.data(reading(FAST, 101)) == ["DDATA press-1", "DDEATH press-1"]
    assert session.ledger.values("press-1", "pressure") == [0.1, None, None]
    assert session.ledger.broken == []


def test_a_rebirth_leaves_the_dead_alone(session: Session) -> None:
    session.born(reading(FAST, 0, [0.4, 0]), reading(OTHER, 0, [1]))
    session.data(reading(FAST, 1))
    assert session.born() == ["NBIRTH", "DBIRTH oven-2"]


# Period values


def test_period_values_have_a_device_of_their_own_that_outlives_the_controller(session: Session) -> None:
    of = minutes()
    session.born(reading(FAST, 0))
    values = [0.41, 0.4, 0.42, None, 0.41, 60, 100.0, "N"]
    quality = bytes([0, 0, 0, Quality.UNDEFINED, 0, 0, 0, 0])
    kinds = session.data(reading(of, 60, values, quality), stream="periods")
    assert kinds == ["DBIRTH press-1.periods", "DDATA press-1.periods"]
    ledger = session.ledger
    assert ledger.values("press-1.periods", "pressure/minute/avg") == [0.41]
    assert ledger.values("press-1.periods", "pressure/minute/sum") == [None]
    assert ledger.values("press-1.periods", "pressure/minute/count") == [60]
    assert ledger.values("press-1.periods", "pressure/minute/flag") == ["N"]
    unknown = [None] * 5 + [0, 0.0, "D"]
    marks = bytes([Quality.UNDEFINED] * 5 + [0] * 3)
    kinds = session.data(reading(of, 120, unknown, marks), stream="periods")
    assert kinds == ["DDATA press-1.periods"]
    assert ledger.broken == []


# Sizes


def test_a_long_unit_goes_in_several_messages(session: Session) -> None:
    wide = schema(tags=[(f"t{i}", ValueType.FLOAT64, "", None) for i in range(700)])
    session.born(reading(wide, 0, [0.0] * 700))
    kinds = session.data(*(reading(wide, s, [float(s)] * 700) for s in range(1, 21)))
    assert kinds == ["DDATA press-1"] * 3
    assert max(len(m.payload) for m in session.sent) < 128_000
    assert len(session.ledger.samples) == 14_000
    assert MAX_METRICS == 5_000


def test_long_texts_count_as_more(session: Session) -> None:
    of = schema(tags=[(f"t{i}", ValueType.STRING, "", None) for i in range(50)])
    session.born(reading(of, 0, [""] * 50))
    session.data(*(reading(of, s, ["x" * 200] * 50) for s in range(1, 31)))
    assert max(len(m.payload) for m in session.sent) < 128_000


# All of it together


@pytest.mark.parametrize("seed", range(20))
def test_nothing_a_line_does_breaks_a_rule(seed: int) -> None:
    """Groups that fail and come back, backlog between, rebirths, a new unit: the ledger finds no rule broken,
    and has every reading but those of a device that was dead already."""
    dice = random.Random(seed)
    session = Session()
    schemas = [FAST, SLOW, OTHER, schema("oven-2", tags=[("zone1", ValueType.INT16, "K", None)])]
    session.born(*(reading(s, 0, [1] * len(s.names)) for s in schemas[:3] if dice.random() < 0.5))
    wanted: set[tuple[str, int]] = set()
    for step in range(1, 300):
        of = dice.choice(schemas)
        if dice.random() < 0.03:
            session.born()
        rows = []
        for row in range(dice.randint(1, 4)):
            second = step * 10 + row if (live := dice.random() < 0.8) else -step * 10 - row
            answers = dice.random() < 0.6
            values = [dice.randint(0, 100) for _ in of.names] if answers else None
            rows.append((live, reading(of, second, values)))
        for live in (True, False):
            batches = [b for is_live, b in rows if is_live is live]
            batches.sort(key=lambda b: b.time_ns)
            if batches:
                session.data(*batches, lane=Lane.LIVE if live else Lane.BACKLOG)
                wanted |= {
                    (of.device, b.time_ns // 1_000_000)
                    for b in batches
                    if b.values[0] is not None or not live
                }
    assert (session.ledger.broken, session.ledger.gaps) == ([], 0), f"seed {seed}"
    assert session.ledger.changed == 0
    got = {(s.device, s.time_ms) for s in session.ledger.samples.values()}
    assert not wanted - got, f"seed {seed}"

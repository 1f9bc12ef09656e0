"""Minimum, maximum, mean and coverage against adding up millisecond by millisecond."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from edge_agent.accounting import Period
from edge_agent.accounting.calendar import HOUR, MINUTE, SECOND, Calendar
from edge_agent.accounting.tally import Tally
from edge_agent.expression.rating import BAD, GOOD, UNCERTAIN
from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, ValueType

START = 1_767_225_600 * SECOND  # a full hour
TAGS = [
    Tag("x", "", ValueType.INT16, unit="°C", scaling=Scaling(-0.1, 5.0)),
    Tag("name", "", ValueType.STRING),
    Tag("on", "", ValueType.BOOL),
]
SCHEMA = Schema.of("d", "fast", "v", TAGS)


def batch(at_s: float, x: Any, on: Any = True, quality: tuple[int, int] = (0, 0)) -> Batch:
    time_ns = START + round(at_s * SECOND)
    return Batch(SCHEMA, time_ns, time_ns, (x, "text", on), bytes((quality[0], 0, quality[1])))


def row(issued: Batch) -> dict[str, tuple[Any, int]]:
    return dict(zip(issued.schema.names, zip(issued.values, issued.quality, strict=True), strict=True))


def test_a_minute() -> None:
    tally = Tally(SCHEMA, Calendar(), 3 * SECOND)
    for second in range(60):
        assert tally.put(batch(second, second, second < 15)) == []
    ((period, issued),) = tally.put(batch(60, 0))
    assert period is Period.MINUTE and issued.time_ns == START
    assert issued.schema.group == "fast.minute" and issued.schema.units[:4] == ("°C", "°C", "°C", "%")
    found = row(issued)
    assert found["x.min"] == (pytest.approx(-0.9), GOOD) and found["x.max"] == (pytest.approx(5.0), GOOD)
    assert found["x.avg"] == (pytest.approx(5 - 2.95), GOOD) and found["x.coverage"] == (100.0, GOOD)
    assert found["x.count"] == (60, GOOD) and found["on.avg"] == (0.25, GOOD)
    assert "name.avg" not in found


def test_bad_values_are_left_out_and_lower_the_coverage() -> None:
    tally = Tally(SCHEMA, Calendar(), 3 * SECOND)
    for second in range(60):
        tally.put(
            batch(second, 10 if second < 40 else None, quality=(0 if second < 40 else Quality.BAD_COMM, 0))
        )
    ((_, issued),) = tally.tick(START + 66 * SECOND, 0)
    found = row(issued)
    assert found["x.avg"] == (4.0, UNCERTAIN) and found["x.coverage"] == (pytest.approx(200 / 3), GOOD)
    assert found["x.count"] == (40, GOOD) and found["on.avg"][1] == GOOD


def test_nothing_usable_and_nothing_at_all() -> None:
    tally = Tally(SCHEMA, Calendar(), 3 * SECOND)
    tally.put(batch(0, None, None, (Quality.BAD_COMM, Quality.BAD_COMM)))
    issued = tally.put(batch(600, 1))
    assert [period for period, _ in issued] == [Period.MINUTE]  # nine minutes without a word are a gap
    assert row(issued[0][1])["x.avg"] == (None, BAD)


def test_a_late_batch_is_counted_not_mixed_in() -> None:
    tally = Tally(SCHEMA, Calendar(), 3 * SECOND)
    tally.put(batch(59, 1))
    tally.put(batch(61, 1))
    late = batch(30, 9999)
    tally.put(Batch(SCHEMA, late.time_ns, START + 62 * SECOND, late.values, late.quality))
    assert tally.late == 1
    ((_, issued),) = tally.put(batch(121, 1))
    assert row(issued)["x.min"][0] == row(issued)["x.max"][0]


@pytest.mark.parametrize("seed", range(6))
def test_against_adding_up_every_millisecond(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    max_age_ms, tally, at_ms, said = 3000, Tally(SCHEMA, Calendar(), 3 * SECOND), 0, []
    issued: list[tuple[Period, Batch]] = []
    value = 5
    while at_ms < 3_700_000:
        quality = rng.choice([0, 0, 0, 0, Quality.BAD_COMM, Quality.NOT_REPORTED, Quality.UNCHANGED, 0x41])
        if at_ms % 600_000 < 300_000:
            quality = 0
        value = rng.randint(-100, 100) if quality < 0x40 else value
        shown = value if quality < 0x80 else None
        issued += tally.put(batch(at_ms / 1000, shown, quality=(quality, 0)))
        if quality < 0xC0:
            said.append((at_ms, shown, at_ms))
        elif said and quality == Quality.UNCHANGED:
            said.append((at_ms, said[-1][1], at_ms))
        elif said:
            said.append((at_ms, said[-1][1] if at_ms - said[-1][2] <= max_age_ms else None, said[-1][2]))
        if rng.random() < 0.01:
            saved = json.loads(json.dumps(tally.snapshot()))
            tally = Tally(SCHEMA, Calendar(), 3 * SECOND)
            tally.restore(saved)
        at_ms += rng.choice([1000, 1000, 700, 1300, 2500, 4000, 1000])
    lengths = {Period.MINUTE: MINUTE, Period.HOUR: HOUR}
    assert sum(period is Period.HOUR for period, _ in issued) == 1
    for period, made in issued:
        start = (made.time_ns - START) // 10**6
        end = start + lengths[period] // 10**6
        weight, area, values = 0, 0.0, []
        for (begin, shown, _), after in zip(said, [s[0] for s in said[1:]], strict=False):
            until = min(after, begin + max_age_ms)
            held = min(until, end) - max(begin, start)
            if shown is not None and (held > 0 or start <= begin < end):
                weight, area = weight + max(0, held), area + max(0, held) * (5 - 0.1 * shown)
                values.append(5 - 0.1 * shown)
        found = row(made)
        assert found["x.coverage"][0] == pytest.approx(100 * weight / (end - start))
        assert found["x.avg"][0] == pytest.approx(area / weight)
        assert found["x.min"][0] == pytest.approx(min(values)) and found["x.max"][0] == pytest.approx(
            max(values)
        )
        assert (found["x.avg"][1] == GOOD) or weight < 0.75 * (end - start) or found["x.avg"][1] == 0x41

"""Totals of hours, days and months: boundaries, gaps, clock steps, corrections, figures, restarts."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge_agent.accounting import Accounting, CounterSpec, Figure, Period, Plan, Replacement, Result
from edge_agent.accounting.calendar import BEIJING, HOUR, MINUTE, SECOND, Calendar, zone
from edge_agent.accounting.counter import Point
from edge_agent.accounting.totals import Totals
from edge_agent.expression import Formula, Operand, compile_formula
from edge_agent.expression.rating import BAD, ESTIMATED, GOOD, UNCERTAIN, UNDEFINED
from edge_agent.model import Batch, Quality, Schema, Tag, ValueType

D = Decimal
MIDNIGHT = int(datetime(2026, 3, 31, tzinfo=BEIJING).timestamp()) * SECOND
DAY = 24 * HOUR


def at(hours: float) -> int:
    return MIDNIGHT + round(hours * HOUR)


class Clocked:
    """Totals of one counter; wall and monotonic time run alike unless a step is asked for."""

    def __init__(self) -> None:
        self.totals = Totals(Calendar())
        self.ahead_ns = 0

    def point(
        self, hours: float, total: float, mark: str = "", gap: bool = False, step_h: float = 0.0
    ) -> list[int]:
        self.ahead_ns += round(step_h * HOUR)
        time_ns = at(hours)
        point = Point(time_ns, time_ns - self.ahead_ns, D(str(total)), mark)
        last = self.totals._last
        return self.totals.point(point._replace(gap_ns=time_ns - last.time_ns if gap and last else 0))

    def amount(self, start: float, end: float) -> tuple[Decimal | None, int]:
        amount = self.totals.amount(at(start), at(end))
        return amount.value, amount.quality


S = 1 / 3600


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1 - 10 * S, 1 + 20 * S, (D(40), GOOD)),  # the nearer one
        (1 - 20 * S, 1 + 10 * S, (D(50), GOOD)),
        (1 - 20 * S, 1 + 20 * S, (D(40), GOOD)),  # of two equally near the earlier
        (1 - 60 * S, 1 + 900 * S, (D(40), GOOD)),  # a minute is near enough
        (1 - 900 * S, 1 + 60 * S, (D(50), GOOD)),
        (1 - 300 * S, 1 + 100 * S, (D("47.5"), ESTIMATED)),
        (1 - 1800 * S, 1 + 1800 * S, (D(45), ESTIMATED)),
    ],
)
def test_boundaries(before: float, after: float, expected: tuple[Decimal, int]) -> None:
    line = Clocked()
    line.point(0, 0)
    line.point(before, 40)
    line.point(after, 50)
    assert line.amount(0, 1) == expected


def test_a_gap_longer_than_the_period_tells_nothing_of_it() -> None:
    line = Clocked()
    line.point(0, 0)
    line.point(0.5, 10)
    assert line.point(5.5, 60, gap=True) == [at(h) for h in (1, 2, 3, 4, 5)]
    line.point(24, 200)
    assert [line.amount(h, h + 1) for h in range(3)] == [(None, BAD)] * 3
    assert line.amount(0, 24) == (D(200), GOOD)  # the energy itself is known
    assert line.totals.amount(at(0), at(24)).coverage == pytest.approx(100 * 19 / 24)


def test_what_began_within_the_period_is_not_its_total() -> None:
    line = Clocked()
    line.point(0.5, 0)
    line.point(1, 10)
    line.point(2, 30)
    assert line.amount(0, 1) == (None, BAD) and line.amount(1, 2) == (D(20), GOOD)
    assert line.amount(2, 3) == (None, BAD)


@pytest.mark.parametrize("mark", ["reset", "jump", "multiplier", "uncertain"])
def test_what_is_not_the_whole_truth_is_uncertain(mark: str) -> None:
    line = Clocked()
    line.point(0, 0)
    line.point(0.5, 10, mark)
    line.point(1, 20)
    line.point(2, 30, "rollover")
    assert line.amount(0, 1) == (D(20), UNCERTAIN) and line.amount(1, 2) == (D(10), GOOD)


def test_a_clock_set_forward_leaves_missing_hours_and_loses_nothing() -> None:
    line = Clocked()
    for hours, total, step in ((0, 0, 0), (0.5, 5, 0), (3.5, 6, 3 - S), (4, 11, 0)):
        line.point(hours, total, step_h=step)
    assert line.amount(0, 1) == (D(5), ESTIMATED)
    assert line.amount(1, 2) == line.amount(2, 3) == (None, BAD)
    assert line.amount(3, 4) == (D(6), ESTIMATED)


def test_a_clock_set_back_edits_nothing_and_loses_nothing() -> None:
    line = Clocked()
    line.point(0, 0)
    line.point(1, 10)
    first = line.amount(0, 1)
    line.point(0.5, 11, step_h=-0.5 - S)
    line.point(1, 20)
    line.point(2, 30)
    assert line.amount(0, 1) == first == (D(10), GOOD)
    assert line.amount(1, 2) == (D(20), UNCERTAIN)


def test_a_clock_that_had_been_wrong_by_years_begins_anew() -> None:
    line = Clocked()
    line.point(0, 0)
    line.point(100 * 24, 1)
    line.point(1, 2)
    line.point(2, 12)
    assert line.amount(1, 2) == (D(10), GOOD) or line.amount(1, 2) == (None, BAD)
    line.point(3, 20)
    assert line.amount(2, 3) == (D(8), GOOD)


@pytest.mark.parametrize("seed", range(15))
def test_hours_add_up_to_the_day_and_days_to_the_month(seed: int) -> None:
    """Exactly, whatever the gaps; and each boundary is what looking at all points at once gives."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    line, points, hours, total = Clocked(), [], 0.0, 0.0
    while hours < 80:
        points.append((at(hours), D(str(total))))
        line.point(hours, total)
        if rng.random() < 0.1:
            saved = json.loads(json.dumps(line.totals.snapshot()))
            line.totals = Totals(Calendar())
            line.totals.restore(saved)
        hours += rng.choice([rng.uniform(0, 0.1), 10 * S, rng.uniform(0, 0.9)])
        total = round(total + rng.uniform(0, 5), 3)
    for day in range(3):
        parts = [line.amount(24 * day + h, 24 * day + h + 1) for h in range(24)]
        values = [value for value, _ in parts if value is not None]
        assert len(values) == 24 and sum(values) == line.amount(24 * day, 24 * day + 24)[0]
    assert sum(line.amount(24 * d, 24 * d + 24)[0] or 0 for d in range(3)) == line.amount(0, 72)[0]
    for hour in range(79):
        first, last = naive_boundary(points, at(hour)), naive_boundary(points, at(hour + 1))
        value, quality = line.amount(hour, hour + 1)
        assert value is not None and abs(value - (last[0] - first[0])) < D("1e-8")
        assert (quality == ESTIMATED) == (first[1] or last[1])


def naive_boundary(points: list[tuple[int, Decimal]], moment: int) -> tuple[Decimal, bool]:
    nearest = min(points, key=lambda p: (abs(p[0] - moment), p[0]))
    if abs(nearest[0] - moment) <= 60 * SECOND:
        return nearest[1], False
    before = [p for p in points if p[0] <= moment][-1]
    after = next(p for p in points if p[0] > moment)
    return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0]), True


def test_civil_days() -> None:
    calendar = Calendar(BEIJING)
    assert calendar.bounds(Period.DAY, MIDNIGHT) == (MIDNIGHT, MIDNIGHT + DAY)
    assert calendar.bounds(Period.DAY, MIDNIGHT - 1) == (MIDNIGHT - DAY, MIDNIGHT)
    assert calendar.bounds(Period.HOUR, MIDNIGHT + 1) == (MIDNIGHT, MIDNIGHT + HOUR)
    assert calendar.bounds(Period.MINUTE, MIDNIGHT - 1) == (MIDNIGHT - MINUTE, MIDNIGHT)
    first = int(datetime(2026, 3, 1, tzinfo=BEIJING).timestamp()) * SECOND
    assert calendar.bounds(Period.MONTH, MIDNIGHT) == (first, MIDNIGHT + DAY)
    berlin = Calendar(ZoneInfo("Europe/Berlin"))
    long_day = int(datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp()) * SECOND
    start, end = berlin.bounds(Period.DAY, long_day)
    assert end - start == 25 * HOUR
    assert berlin.bounds(Period.HOUR, end - 1) == (end - HOUR, end)


def test_zones() -> None:
    assert zone("Beijing") is zone("Asia/Shanghai") is BEIJING
    assert zone("UTC+5:30").utcoffset(None) == zone("Asia/Kolkata").utcoffset(datetime(2026, 1, 1))
    assert zone("UTC") is UTC and str(zone("Europe/Berlin")) == "Europe/Berlin"
    for wrong in ("Mars/Base", "UTC+x", "../etc"):
        with pytest.raises(ValueError):
            zone(wrong)


# --- all of it together -----------------------------------------------------------------------------------

TAGS = [Tag("energy", "", ValueType.UINT32, unit="kWh"), Tag("mass", "", ValueType.FLOAT64, unit="kg")]
SCHEMA = Schema.of("m", "default", "v", TAGS)
OPERANDS = {t.name: Operand(f"m.{t.name}", ValueType.FLOAT64, t.unit, True) for t in TAGS}


def formula(text: str, unit: str | None = None) -> Formula:
    made = compile_formula(text, OPERANDS, unit, spans=False)
    assert isinstance(made, Formula)
    return made


def plan() -> Plan:
    return Plan(
        counters=[
            CounterSpec("m.energy", "kWh", D("0.5"), modulus=D(2**32)),
            CounterSpec("m.mass", "kg", D("0.5"), step=D(0)),
        ],
        figures=[Figure("specific", formula("energy / mass", "kWh/t"), formula("mass > 10 kg"))],
        names={"m.energy": "energy", "m.mass": "mass"},
    )


def columns(batch: Batch) -> dict[str, tuple[Any, int]]:
    return dict(zip(batch.schema.names, zip(batch.values, batch.quality, strict=True), strict=True))


class Line:
    def __init__(self) -> None:
        self.accounting = Accounting(plan(), "v")
        self.results: list[Result] = []

    def read(self, hours: float, energy: Any, mass: Any, quality: int = 0) -> Result:
        batch = Batch(SCHEMA, at(hours), at(hours), (energy, mass), bytes((quality, quality)))
        self.results.append(self.accounting.on_batch(batch))
        return self.results[-1]

    def tick(self, hours: float) -> Result:
        self.results.append(self.accounting.tick(at(hours), at(hours)))
        return self.results[-1]

    @property
    def issued(self) -> list[tuple[Period, float, Mapping[str, Any]]]:
        issued = [pair for result in self.results for pair in result.periods]
        return [(period, (batch.time_ns - MIDNIGHT) / HOUR, columns(batch)) for period, batch in issued]


def test_an_hour_is_issued_once_with_its_figures() -> None:
    line = Line()
    for minute in range(121):
        line.read(minute / 60, 100 + minute, 2.0 * minute)
        line.tick(minute / 60)
    assert [(p, start) for p, start, _ in line.issued] == [(Period.HOUR, 0.0)]
    line.tick(2 + 89 * S)
    line.tick(2 + 91 * S)
    line.tick(3)
    (_, _, first), (period, start, second) = line.issued
    assert (period, start) == (Period.HOUR, 1.0)
    assert second == first == {
        "energy.hour": (60.0, GOOD), "energy.hour.coverage": (100.0, GOOD), "mass.hour": (120.0, GOOD),
        "mass.hour.coverage": (100.0, GOOD), "specific.hour": (500.0, GOOD),
    }  # fmt: skip


def test_where_nothing_was_produced_the_figure_is_undefined() -> None:
    line = Line()
    for minute in range(62):
        line.read(minute / 60, minute, minute / 10)  # 6 kg
    line.tick(1 + 91 * S)
    assert line.issued[0][2]["specific.hour"] == (None, UNDEFINED)
    assert line.issued[0][2]["energy.hour"] == (60.0, GOOD)


def test_late_data_corrects_by_a_record_of_its_own() -> None:
    line = Line()
    for minute in range(50):
        line.read(minute / 60, minute, minute)
    line.tick(1 + 91 * S)
    line.tick(24 + 91 * S)
    assert line.issued[0][2]["energy.hour"] == (None, BAD)
    result = line.read(1 + 20 / 60, 80, 80)
    assert [e.kind for e in result.events] == ["period_corrected"] * 2 and not result.periods
    detail = result.events[0].detail
    assert detail["period"] == "hour" and detail["value"] == 60 and detail["quality"] == "uncertain_estimated"
    assert detail["revision"] == 1 and detail["start_ns"] == at(0)


def test_bad_and_silent_values_are_no_readings() -> None:
    line = Line()
    line.read(0, 5, 5.0)
    line.read(S, None, None, Quality.BAD_COMM)
    line.read(2 * S, None, None, Quality.NOT_REPORTED)
    line.read(3 * S, float("nan"), float("inf"))
    line.read(4 * S, 6, 6.0)
    assert line.accounting.counters["m.energy"].total == 1 and not any(r.events for r in line.results)
    line.read(4 * S, None, None, Quality.UNCHANGED)
    assert line.accounting.counters["m.energy"].total == 1
    line.read(2 * S, 0, 0.0)
    assert line.accounting.ignored_batches == 1


def test_unchanged_is_a_reading_and_uncertain_ones_are_told() -> None:
    line = Line()
    for minute in range(121):
        quality = Quality.UNCHANGED if 30 < minute < 60 else Quality.UNCERTAIN if minute == 70 else GOOD
        line.read(minute / 60, minute, 0.0, quality)
    line.tick(2 + 91 * S)
    line.accounting.tick(at(2.1), at(2.1))
    assert [row["energy.hour"][1] for _, _, row in line.issued] == [GOOD, UNCERTAIN]
    assert line.issued[0][2]["energy.hour.coverage"] == (100.0, GOOD)


def test_a_period_is_never_issued_twice() -> None:
    line = Line()
    for hour in range(5):
        line.read(hour, hour, 0.0)
        line.tick(hour + 91 * S)
    assert len(line.issued) == 4
    line.tick(-40)  # the clock is set back by more than a day, and forward again
    for hour in range(-39, 5):
        line.tick(hour + 92 * S)
    starts = [start for period, start, _ in line.issued if period is Period.HOUR]
    assert len(starts) == len(set(starts)) and set(starts) >= {-40.0, 0.0, 3.0}


def test_a_late_declaration_is_an_event_with_the_amount() -> None:
    line = Line()
    for second, raw in enumerate((5000, 5000, 1_000_000, 1_000_000, 1_000_000)):
        line.read(second * S, raw, 0.0)
    result = line.accounting.declare(
        "m.energy", Replacement(at(S), D(5010), D(999_999)), at(5 * S), at(5 * S)
    )
    assert [e.kind for e in result.events] == ["counter_replaced", "amount_corrected"]
    assert result.events[1].detail["amount"] == "11"


def random_day(seed: int, restarting: bool) -> list[Any]:
    rng, other = random.Random(seed), random.Random(seed)
    line, energy, mass, hours = Line(), 2**32 - 50, 0.0, 22.0
    saved: dict[str, Any] = {}
    while hours < 27:
        hours += rng.choice([0.01, 0.02, 0.3, 1.2] if rng.random() < 0.05 else [0.01, 0.02])
        energy = (energy + rng.randint(0, 4)) % 2**32
        mass = round(mass + rng.uniform(0, 3), 2)
        if rng.random() < 0.01:
            energy = 0
        shown = energy if rng.random() < 0.98 else 77_777
        quality = 0 if rng.random() < 0.95 else Quality.BAD_COMM
        line.read(hours, shown, mass, quality)
        line.tick(hours)
        if restarting and other.random() < 0.2:
            saved |= json.loads(json.dumps(line.accounting.changed(at(hours), at(hours))))
            line.accounting = Accounting(plan(), "v")
            assert line.accounting.restore_rows(saved, at(hours), at(hours)) == ()
    line.tick(29)
    return [(r.periods, r.events) for r in line.results]


@pytest.mark.parametrize("seed", range(8))
def test_a_restart_in_any_state_changes_nothing(seed: int) -> None:
    print(f"seed {seed}")
    plain = random_day(seed, restarting=False)
    assert random_day(seed, restarting=True) == plain
    assert {p for periods, _ in plain for p, _ in periods} == {Period.HOUR, Period.DAY, Period.MONTH}

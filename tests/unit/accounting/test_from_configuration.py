"""Files -> ``Accounting``: what the configuration says is what is calculated, stored and taken up again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.accounting import Accounting, Period, Result
from edge_agent.accounting.plan_of import accounting_of
from edge_agent.config import Configuration, load
from edge_agent.config.virtual import groups_of
from edge_agent.model import Batch, Quality, Schema, engineering
from hardware_mocks.process import Process
from tests.unit.config.test_derived import read

DEMO = Path(__file__).parents[3] / "config" / "demo"
S = 10**9
MIDNIGHT = 1_767_196_800 * S  # of Beijing


class Line:
    """The demo's meters, once a second, by the physical model."""

    def __init__(self, begin_s: int = 0) -> None:
        self.configuration = load(DEMO, environ={})
        self.process = Process(seed=3)
        self.now_s = begin_s
        self.accounting = self.made()
        self.results: list[Result] = []
        self.schemas = {
            (device.name, group): Schema.of(
                device.name, group, self.configuration.version, [t for t in device.tags if t.group == group]
            )
            for device in self.configuration.devices
            for group in device.periods_s
        }

    def made(self) -> Accounting:
        assert self.configuration.derivation is not None
        return accounting_of(self.configuration.derivation, self.configuration.version)

    @property
    def now(self) -> tuple[int, int]:
        return self.now_s * S, MIDNIGHT + self.now_s * S

    def values(self) -> dict[str, Any]:
        process = self.process
        return {
            "electricity_counts": process.electricity.counts, "gas": process.gas.value,
            "water": process.water.value, "product_mass": process.mass_kg, "power": process.power_kw,
        }  # fmt: skip

    def poll(self, device: str, group: str) -> Result:
        schema, values = self.schemas[device, group], self.values()
        told = tuple(values.get(name) for name in schema.names)
        quality = bytes(0 if name in values else int(Quality.NOT_REPORTED) for name in schema.names)
        mono_ns, time_ns = self.now
        return self.accounting.on_batch(Batch(schema, time_ns, mono_ns, told, quality))

    def run(self, seconds: int, step_s: int = 1) -> None:
        for _ in range(0, seconds, step_s):
            self.results += [self.poll("meters-1", "slow"), self.poll("meters-1", "fast")]
            self.results.append(self.accounting.tick(*self.now))
            self.now_s += step_s
            for _ in range(step_s):
                self.process.step(1.0)

    @property
    def events(self) -> list[Any]:
        return [event for result in self.results for event in result.events]


def told(batch: Batch) -> Mapping[str, tuple[Any, int]]:
    return dict(zip(batch.schema.names, zip(batch.values, batch.quality, strict=True), strict=True))


def test_an_hour_of_the_demo() -> None:
    line = Line()
    line.run(3700, 2)
    ((period, batch),) = [pair for result in line.results for pair in result.periods]
    found = told(batch)
    assert period is Period.HOUR and batch.schema.group == "total.hour" and batch.time_ns == MIDNIGHT
    assert found["electricity.hour"] == (pytest.approx(120, rel=0.01), 0)
    assert found["mass.hour"] == (pytest.approx(1800, rel=0.01), 0)
    assert found["gas.hour"] == (pytest.approx(42, rel=0.01), 0)
    assert found["kwh_per_kg.hour"] == (pytest.approx(120 / 1800, rel=0.02), 0)
    assert found["water_per_t.hour"] == (pytest.approx(3 / 1.8, rel=0.02), 0)
    (event,) = line.events
    assert (event.kind, event.source, event.time_ns) == ("period_total", "derived", MIDNIGHT)
    detail = json.loads(json.dumps(event.detail))
    assert (detail["period"], detail["revision"], detail["standards"]) == ("hour", 0, [])
    assert (detail["start_ns"], detail["end_ns"]) == (MIDNIGHT, MIDNIGHT + 3600 * S)
    assert detail["columns"]["kwh_per_kg"] == {
        "value": found["kwh_per_kg.hour"][0], "unit": "kWh/kg", "quality": "good", "coverage": 100.0,
    }  # fmt: skip
    assert set(detail["columns"]) == {"electricity", "gas", "water", "mass", "kwh_per_kg", "water_per_t"}


def test_an_hour_without_production_has_no_figure() -> None:
    line = Line()
    line.process.running = False
    line.run(3720, 20)
    (event,) = line.events
    columns = event.detail["columns"]
    assert 0 <= columns["mass"]["value"] < 10 and columns["electricity"]["value"] > 0
    assert columns["kwh_per_kg"] == {
        "value": None, "unit": "kWh/kg", "quality": "undefined", "coverage": 100.0,
    }  # fmt: skip


def test_the_batches_are_those_the_configuration_announces() -> None:
    line = Line()
    line.run(3720, 20)
    assert line.configuration.derivation is not None
    groups = groups_of(line.configuration.derivation)
    made = {b.schema.group: b.schema for r in line.results for b in [*r.batches, *(b for _, b in r.periods)]}
    assert set(made) == {"meters-1.slow", "meters-1.fast", "total.hour"}
    for name, schema in made.items():
        tags = {tag.name: tag for tag in groups[name].tags}
        assert schema.device == "derived" and set(schema.names) == set(tags)
        for column, of, unit in zip(schema.names, schema.types, schema.units, strict=True):
            assert (tags[column].type, tags[column].unit) == (of, unit)


def test_rows_survive_a_restart_and_only_changes_are_given_out() -> None:
    line = Line()
    line.run(3500, 20)
    stored: dict[str, Any] = json.loads(json.dumps(line.accounting.changed(*line.now)))
    assert {"accounting:counters", "accounting:periods", "accounting:spans"} < set(stored)
    assert line.accounting.changed(*line.now) == {}
    line.run(20, 20)
    changed = line.accounting.changed(*line.now)
    assert "accounting:counters" in changed
    assert not [name for name in changed if name.startswith("accounting:total:")]
    line.run(220, 20)
    changed = line.accounting.changed(*line.now)
    assert "accounting:total:meters-1.gas" in changed and len(json.dumps(changed)) < 30_000
    stored |= json.loads(json.dumps(changed))
    total = line.accounting.counters["meters-1.gas"].total
    line.accounting = line.made()
    line.now_s += 20
    assert line.accounting.restore_rows(stored | {"press-1.pressure": {"x": 1}}, *line.now) == ()
    assert line.accounting.counters["meters-1.gas"].total == total > 0
    assert line.accounting.changed(*line.now).keys() <= {"accounting:spans", "accounting:periods"}
    (last,) = line.accounting.latest()
    assert last.schema.group == "total.hour" and told(last)["kwh_per_kg.hour"][1] == 0
    assert last.mono_ns < line.now[0]
    line.run(3600, 20)
    assert [e.kind for e in line.events] == ["period_total"] * 2


def test_rows_of_what_is_configured_no_more_are_taken_away(tmp_path: Path) -> None:
    line = Line()
    line.run(100, 20)
    stored = line.accounting.changed(*line.now)
    other = read(tmp_path).derivation
    assert other is not None
    accounting = accounting_of(other, "v")
    assert accounting.restore_rows(stored, *line.now) == ()
    gone = [name for name, row in accounting.changed(*line.now).items() if row is None]
    assert set(gone) == {name for name in stored if ":total:" in name}


@pytest.mark.parametrize("malformed", [None, 7, "x", [], {}, {"x": 1}, [[1]], {"total": "1"}, {"open": 3}])
def test_malformed_rows_begin_anew_and_harm_no_others(malformed: Any) -> None:
    line = Line()
    line.run(200, 20)
    stored = line.accounting.rows(*line.now)
    for name in stored:
        accounting = line.made()
        bad = accounting.restore_rows(stored | {name: malformed}, *line.now)
        assert all(part.startswith(name) or name.startswith("accounting:total:") for part in bad)
        if name != "accounting:counters" and "total" not in name:
            assert accounting.counters["meters-1.gas"].total > 0
        elif name == "accounting:counters":
            assert accounting.counters["meters-1.gas"].total == 0
        line.accounting = accounting
        line.run(40, 20)
        json.dumps(line.accounting.rows(*line.now))


def test_a_reload_keeps_totals_and_what_was_last_read() -> None:
    line = Line()
    line.run(3720, 20)
    former = line.accounting
    line.accounting = line.made()
    line.accounting.adopt(former, *line.now)
    assert line.accounting.counters["meters-1.gas"].total == former.counters["meters-1.gas"].total
    assert len(line.accounting.latest()) == 1
    (batch,) = line.poll("meters-1", "fast").batches
    assert told(batch)["demand"][0] == pytest.approx(120, rel=0.02)
    assert set(line.accounting.changed(*line.now)) == set(line.accounting.rows(*line.now))


MIXED = """tags:
  - {name: mixed, formula: meters-1.power / meters-1.mass}
counters:
  - {tag: meters-1.electricity, nameplate: 500 kW, rollover: 65536}
"""


def test_a_reload_waits_for_no_slow_group_and_the_register_may_roll_over(tmp_path: Path) -> None:
    found = read(tmp_path, line=MIXED)
    assert found.derivation is not None
    accounting = accounting_of(found.derivation, "v")

    def said(accounting: Accounting, group: str, second: int, **values: Any) -> Result:
        schema = Schema.of("meters-1", group, "v", [t for t in found.devices[0].tags if t.group == group])
        told = tuple(values.get(name) for name in schema.names)
        quality = bytes(0 if name in values else 0xC0 for name in schema.names)
        return accounting.on_batch(Batch(schema, MIDNIGHT + second * S, second * S, told, quality))

    said(accounting, "slow", 0, electricity=65_530, mass=2.0)
    result = said(accounting, "slow", 1, electricity=10, mass=2.0)
    assert [event.kind for event in result.events] == ["counter_rollover"]
    assert str(accounting.counters["meters-1.electricity"].total) == "0.16"
    (before,) = said(accounting, "fast", 2, power=8.0).batches
    following = accounting_of(found.derivation, "v")
    following.adopt(accounting, 3 * S, MIDNIGHT + 3 * S)
    (after,) = said(following, "fast", 3, power=8.0).batches
    assert after.values == before.values == (4.0,) and after.quality == b"\0"


def test_scaling_multipliers_and_days_of_another_zone(tmp_path: Path) -> None:
    configuration: Configuration = read(
        tmp_path,
        line="zone: UTC\ncounters:\n  - {tag: meters-1.electricity, nameplate: 500 kW, multiplier: 40}\n",
    )
    assert configuration.derivation is not None
    accounting = accounting_of(configuration.derivation, "v")
    tags = [tag for tag in configuration.devices[0].tags if tag.group == "slow"]
    schema = Schema.of("meters-1", "slow", "v", tags)
    for second in range(0, 17 * 3600, 60):
        counts = second // 6  # 0.01 kWh each, times 40: 240 kW
        now = second * S, MIDNIGHT + 9 * 3600 * S + second * S
        values = tuple({"electricity": counts}.get(name) for name in schema.names)
        quality = bytes(0 if name == "electricity" else 0xC0 for name in schema.names)
        accounting.on_batch(Batch(schema, now[1], now[0], values, quality))
        for period, batch in accounting.tick(*now).periods:
            if period is Period.HOUR:
                assert batch.values[0] == pytest.approx(240)
            else:
                assert (batch.time_ns - MIDNIGHT) / S / 3600 % 24 == 8  # midnight of UTC
    assert engineering(100, tags[0].scaling) == pytest.approx(1.0)

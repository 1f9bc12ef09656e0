"""Batches in, batches of a virtual device out: which poll group drives a formula, what is stale, what is
silent."""

from __future__ import annotations

from typing import Any

from edge_agent.accounting import Accounting, CounterSpec, Derived, Plan, Source
from edge_agent.accounting.decimals import decimal
from edge_agent.expression import Definition, Operand, compile_together
from edge_agent.model import Batch, ClockState, Quality, Scaling, Schema, Tag, ValueType

SECOND = 10**9
WALL = 1_767_225_600 * SECOND
FAST = [
    Tag("p", "", ValueType.INT16, "fast", "MPa", scaling=Scaling(0.01)),
    Tag("n", "", ValueType.INT64, "fast"),
]
SLOW = [Tag("energy", "", ValueType.UINT32, "slow", "kWh"), Tag("mass", "", ValueType.FLOAT64, "slow", "kg")]
GROUPS = {"fast": (FAST, 1.0), "slow": (SLOW, 10.0)}
COUNTERS = {"energy", "mass"}


class Line:
    def __init__(self, **texts: str) -> None:
        operands: dict[str, Operand] = {}
        sources = {}
        for group, (tags, period_s) in GROUPS.items():
            for tag in tags:
                type_ = ValueType.FLOAT64 if tag.scaling else tag.type
                operand = Operand(f"m.{tag.name}", type_, tag.unit, tag.name in COUNTERS, period_s)
                operands |= {tag.name: operand, operand.key: operand}
                sources[operand.key] = Source("m", group, period_s, 3 * period_s)
        compiled = compile_together([Definition(n, t) for n, t in texts.items()], operands, "derived")
        assert not compiled.mistakes
        derived = [Derived(f"derived.{n}", n, f) for n, f in compiled.formulas.items()]
        counters = [
            CounterSpec("m.energy", "kWh", decimal(10), modulus=decimal(2**32)),
            CounterSpec("m.mass", "kg", decimal(10)),
        ]
        plan = Plan("derived", derived, counters, sources=sources)
        self.accounting = Accounting(plan, "v7")
        self.schemas = {g: Schema.of("m", g, "v7", tags) for g, (tags, _) in GROUPS.items()}

    def say(self, group: str, at_s: float, *values: Any, quality: tuple[int, int] = (0, 0)) -> Batch | None:
        now_ns = round(at_s * SECOND)
        batch = Batch(
            self.schemas[group], WALL + now_ns, now_ns, values, bytes(quality), clock=ClockState.SYNCHRONISED
        )
        made = self.accounting.on_batch(batch).batches
        return made[0] if made else None


def told(batch: Batch | None) -> dict[str, tuple[Any, int]]:
    assert batch is not None
    return dict(zip(batch.schema.names, zip(batch.values, batch.quality, strict=True), strict=True))


def test_the_fastest_group_drives_and_the_batch_is_one_of_the_virtual_device() -> None:
    line = Line(both="n + mass / 1 kg", slow_only="energy / mass", next="both * 2")
    assert told(line.say("slow", 0, 100, 10.0)) == {"slow_only": (10.0, 0)}
    made = line.say("fast", 1, 40, 7)
    assert made is not None
    assert told(made) == {"both": (17.0, 0), "next": (34.0, 0)}
    assert (made.schema.device, made.schema.group, made.schema.config_version) == ("derived", "m.fast", "v7")
    assert made.schema.types == (ValueType.FLOAT64,) * 2
    assert (made.time_ns, made.mono_ns, made.clock) == (WALL + SECOND, SECOND, ClockState.SYNCHRONISED)


def test_scaling_is_applied_and_integers_stay_exact() -> None:
    line = Line(high="p > 0.5 MPa", exact="n - 1")
    made = line.say("fast", 0, 51, 2**63 - 1)
    assert told(made) == {"high": (True, 0), "exact": (2**63 - 2, 0)}
    assert made is not None and made.schema.types == (ValueType.BOOL, ValueType.INT64)


def test_what_was_not_read_waits_and_what_is_old_is_stale() -> None:
    line = Line(sum="n + mass / 1 kg")
    assert told(line.say("fast", 0, 1, 1)) == {"sum": (None, Quality.WAITING)}
    line.say("slow", 1, 1, 1.0)
    assert told(line.say("fast", 31, 1, 1)) == {"sum": (2.0, 0)}
    assert told(line.say("fast", 31.1, 1, 1)) == {"sum": (None, Quality.STALE)}
    line.say("slow", 32, None, None, quality=(Quality.UNCHANGED, Quality.UNCHANGED))
    assert told(line.say("fast", 33, 1, 1)) == {"sum": (2.0, 0)}


def test_silence_keeps_and_trouble_carries_through() -> None:
    line = Line(twice="n * 2")
    line.say("fast", 0, 1, 4)
    assert told(line.say("fast", 1, 1, None, quality=(0, Quality.NOT_REPORTED))) == {"twice": (8, 0)}
    assert told(line.say("fast", 2, 1, None, quality=(0, Quality.BAD_COMM))) == {
        "twice": (None, Quality.BAD_COMM)
    }
    assert told(line.say("fast", 3, 1, 5, quality=(0, Quality.UNCERTAIN))) == {
        "twice": (10, Quality.UNCERTAIN)
    }


def test_no_number_is_bad_decode() -> None:
    line = Line(ratio="mass / energy")
    assert told(line.say("slow", 0, 1, float("nan"))) == {"ratio": (None, Quality.BAD_DECODE)}
    assert told(line.say("slow", 10, 1, float("inf"))) == {"ratio": (None, Quality.BAD_DECODE)}


def test_specific_energy_over_the_last_minute_follows_the_counters() -> None:
    line = Line(specific="delta(energy, 1min) / delta(mass, 1min)", power="rate(energy, 1min)")
    made = None
    for step in range(10):
        made = line.say("slow", 10 * step, (2**32 - 30 + step * 5) % 2**32, 100.0 + 2 * step)
    assert told(made)["specific"] == (2.5, 0)
    assert told(made)["power"] == (0.5, 0)  # kWh/s, derived without a unit
    for step in range(10, 20):
        made = line.say("slow", 10 * step, 500, 118.0)
    assert told(made)["specific"][0] is None  # nothing was produced


def test_batches_of_other_devices_cost_nothing_and_give_nothing() -> None:
    line = Line(twice="n * 2")
    other = Schema.of("other", "fast", "v7", FAST)
    assert line.accounting.on_batch(Batch(other, WALL, 0, (1, 2), b"\0\0")).batches == []

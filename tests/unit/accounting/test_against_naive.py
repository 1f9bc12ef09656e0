"""Random formulas over random tags with random faults: two implementations must agree, value and quality."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from typing import Any

import pytest

from edge_agent.accounting.counter import Heard, Point
from edge_agent.accounting.decimals import decimal
from edge_agent.accounting.derived import Derived, DerivedValues, Source
from edge_agent.expression import Formula, Operand, compile_formula
from edge_agent.expression.mistakes import Mistakes
from edge_agent.expression.parser import parse
from edge_agent.model import Batch, Quality, Schema, ValueType
from edge_agent.model import Tag as ModelTag
from tests.unit.accounting.naive import Naive, Said, Tag

FLOAT, INT, BOOL = ValueType.FLOAT64, ValueType.INT64, ValueType.BOOL
TAGS = {
    "fast": {
        "e1": (FLOAT, "kWh"), "e2": (FLOAT, "MJ"), "m1": (FLOAT, "kg"), "x": (FLOAT, ""), "n": (INT, "次"),
        "t1": (FLOAT, "°C"), "t2": (FLOAT, "°F"), "run": (BOOL, ""), "z": (INT, ""), "meter": (INT, "kWh"),
    },
    "slow": {"m2": (INT, "t"), "t3": (INT, "°C"), "k": (FLOAT, "K"), "p-1": (FLOAT, "%")},
}  # fmt: skip
PERIOD_S = {"fast": 1.0, "slow": 5.0}
UNITS = {
    "E": ["kWh", "GJ", "度"],
    "M": ["kg", "t"],
    "1": ["", "%"],
    "C": ["°C", "°F"],
    "K": ["K"],
    "I": ["次"],
    "B": [""],
}
FAULTS = [Quality.BAD_COMM, Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED, 0x95, Quality.NOT_REPORTED]


class Writer:
    """Writes formulas that fit, of each kind of quantity."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def number(self) -> str:
        return self.rng.choice(["2", "0.5", "3", "1.25", "7e-1", "10", "0"])

    def write(self, kind: str, depth: int) -> str:
        leaf = depth <= 0 or self.rng.random() < 0.2
        return self.rng.choice(self.leaves(kind) if leaf else self.inner(kind, depth - 1))

    def span(self) -> str:
        return self.rng.choice(["5s", "20 s", "0.5min", "1min"])

    def over(self, names: list[str], functions: list[str]) -> str:
        return f"{self.rng.choice(functions)}({self.rng.choice(names)}, {self.span()})"

    def leaves(self, kind: str) -> list[str]:
        means = ["avg", "min", "max", "hold"]
        match kind:
            case "E":
                return ["e1", "e2", f"{self.number()} kWh", self.over(["e1", "e2"], [*means, "sum"]),
                        f"delta(meter, {self.span()})", f"rate(e1, {self.span()}) * 3 s"]  # fmt: skip
            case "M":
                return ["m1", "m2", f"{self.number()} [t]", self.over(["m1", "m2"], means)]
            case "C":
                return ["t1", "t2", "t3", "20 °C", self.over(["t1", "t2", "t3"], means)]
            case "K":
                return ["k", "5 K", f"rate(t1, {self.span()}) * 10 s"]
            case "B":
                return ["run", "true", "not run"]
            case "I":
                return ["n", f"max(n, {self.span()})", f"sum(n, {self.span()})", "3 次"]
        return ["x", "z", "p-1", self.number(), f"avg(run, {self.span()})", "(z-1)"]

    def inner(self, kind: str, d: int) -> list[str]:
        w = self.write
        shared = [f"if({w('B', d)}, {w(kind, d)}, {w(kind, d)})"]
        if kind == "B":
            some = self.rng.choice("EMC1KI")
            sign = self.rng.choice(["<", "<=", ">", ">=", "==", "!="])
            compare = f"({w(some, d)} {sign} {w(some, d)})"
            return [*shared, compare, compare, f"({w('B', d)} {self.rng.choice(['and', 'or'])} {w('B', d)})",
                    f"(not {w('B', d)})"]  # fmt: skip
        shared += [f"{f}({w(kind, d)}, {w(kind, d)})" for f in ("min", "max")]
        shared.append(f"clamp({w(kind, d)}, {w(kind, d)}, {w(kind, d)})")
        if kind == "C":
            return [*shared, f"({w('C', d)} + {w('K', d)})", f"({w('K', d)} + {w('C', d)})",
                    f"({w('C', d)} - {w('K', d)})", f"avg({w('C', d)}, {w('C', d)})"]  # fmt: skip
        shared += [f"({w(kind, d)} {sign} {w(kind, d)})" for sign in "+-"]
        shared += [f"abs({w(kind, d)})", f"-{w(kind, 0)}", f"sum({w(kind, d)}, {w(kind, d)}, {w(kind, d)})"]
        if kind == "I":
            return [*shared, f"({w('I', d)} * 2)"]
        shared += [f"({w(kind, d)} * {w('1', d)})", f"({w(kind, d)} / {w('1', d)})"]
        if kind == "K":
            shared.append(f"({w('C', d)} - {w('C', d)})")
        if kind == "1":
            shared += [f"({w(k, d)} / {w(k, d)})" for k in "EMIK"]
            shared += [f"{w('1', 0)} ** {self.rng.choice(['2', '-1', '3'])}"]
            shared += [f"({w('E', d)} / {w('M', d)} * 2 [kg/kWh])"]
        return shared


class World:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.mono_ns, self.ahead_ns = 10**12, 1_767_225_600_000_000_000
        self.naive = Naive({
            name: Tag(unit, round(3e9 * PERIOD_S[group]), counter=name == "meter")
            for group, tags in TAGS.items() for name, (_, unit) in tags.items()
        })  # fmt: skip
        self.operands = {
            name: Operand(f"d.{name}", type_, unit, name == "meter", PERIOD_S[group])
            for group, tags in TAGS.items() for name, (type_, unit) in tags.items()
        }  # fmt: skip
        self.schemas = {
            group: Schema.of("d", group, "v", [ModelTag(n, "", t, group, u) for n, (t, u) in tags.items()])
            for group, tags in TAGS.items()
        }
        writer = Writer(rng)
        self.formulas: list[tuple[str, Formula, Any]] = []
        while len(self.formulas) < 25:
            kind = rng.choice("EM1CKBI")
            text = f"{writer.write(kind, rng.randint(1, 4))}"
            wanted = rng.choice([*UNITS[kind], None])
            made = compile_formula(text, self.operands, wanted)
            if isinstance(made, Formula):
                self.formulas.append((text, made, parse(text, self.operands, Mistakes())))
            else:
                assert {m.code for m in made} == {"E-FORMULA-CONSTANT"}, (text, made)
        self.engine = self.build()
        self.total = 0

    def build(self) -> DerivedValues:
        sources = {
            f"d.{name}": Source("d", group, PERIOD_S[group], 3 * PERIOD_S[group])
            for group, tags in TAGS.items() for name in tags
        }  # fmt: skip
        derived = [Derived(f"v.f{i}", f"f{i}", f) for i, (_, f, _) in enumerate(self.formulas)]
        return DerivedValues("v", derived, sources, ["d.meter"], "v")

    def restart(self) -> None:
        saved = json.loads(json.dumps(self.engine.snapshot(self.ahead_ns)))
        for tag in self.naive.tags.values():
            tag.since = len(tag.history)
        shift = self.rng.choice([0, 10**11])  # another boot: monotonic time begins elsewhere
        self.mono_ns -= shift
        self.ahead_ns += shift
        for tag in self.naive.tags.values():
            for said in [*tag.history, *tag.totals]:
                said.mono_ns -= shift
        self.engine = self.build()
        self.engine.restore(saved, self.ahead_ns)

    def value(self, type_: ValueType, name: str) -> Any:
        rng = self.rng
        if name == "meter":
            self.total += rng.choice([0, 1, 5])
            return self.total
        if type_ is BOOL:
            return rng.random() < 0.6
        if name == "z":
            return rng.choice([0, 0, 1, 2, -3])
        if type_ is INT:
            return (
                rng.choice([rng.randint(-50, 200), 0, rng.randint(2**53, 2**60)])
                if name == "n"
                else rng.randint(1, 90)
            )
        return rng.choice([rng.uniform(-20, 500), rng.uniform(-20, 500), 0.0])

    def poll(self, group: str) -> Batch:
        values, quality, heard = [], bytearray(), {}
        for name, (type_, _) in TAGS[group].items():
            rated = self.rng.choice(FAULTS) if self.rng.random() < self.faulty else 0
            value = self.value(type_, name) if rated < 0x80 else None
            tag = self.naive.tags[name]
            if rated < 0xC0:
                tag.history.append(Said(self.mono_ns, value, rated))
            if name == "meter" and rated < 0x80:
                mark = "uncertain" if rated else ""
                tag.totals.append(Said(self.mono_ns, value, 0x40 if rated else 0))
                point = Point(self.mono_ns + self.ahead_ns, self.mono_ns, decimal(value), mark)
                heard["d.meter"] = Heard(points=[point])
            values.append(value)
            quality.append(rated)
        batch = Batch(
            self.schemas[group], self.mono_ns + self.ahead_ns, self.mono_ns, tuple(values), bytes(quality)
        )
        self.heard = heard
        return batch

    def step(self) -> list[Batch]:
        rng = self.rng
        self.faulty = rng.choice([0.0, 0.0, 0.03, 0.3])
        self.mono_ns += rng.choice([10**9, 10**9, 1_000_123_457, 250_000_000, 10**9, 4 * 10**9])
        if rng.random() < 0.01:
            self.mono_ns += rng.choice([10 * 10**9, 70 * 10**9])
        self.naive.now_ns = self.mono_ns
        self.naive.forget(150 * 10**9)
        out = []
        for group in ("slow", "fast"):
            if group == "fast" or rng.random() < 0.2:
                made = self.engine.on_batch(self.poll(group), self.heard)
                if made is not None:
                    out.append(made)
        return out


@pytest.mark.parametrize("seed", range(5))
def test_formulas_agree_with_the_naive_ones(seed: int) -> None:
    rng = random.Random(seed)
    world = World(rng)
    print(f"seed {seed}")
    compared = 0
    for step in range(120):
        if rng.random() < 0.02:
            world.restart()
        for batch in world.step():
            for column, name in enumerate(batch.schema.names):
                text, formula, tree = world.formulas[int(name[1:])]
                if batch.schema.group == "d.slow":
                    assert all(s.name.split(".")[1] in TAGS["slow"] for s in formula.slots), text
                    continue  # the naive side has moved on within this step
                expected, rated = world.naive.result(tree, formula.unit, formula.type is INT)
                where = f"step {step}: {text} [{formula.unit}]"
                assert batch.quality[column] == rated, (where, batch.values[column], expected)
                assert same(batch.values[column], expected, formula.type), (
                    where,
                    batch.values[column],
                    expected,
                )
                compared += 1
    assert compared > 1500


def same(found: Any, expected: Any, type_: ValueType) -> bool:
    if expected is None or isinstance(expected, bool):
        return found is expected
    if type_ is ValueType.INT64:
        return isinstance(found, int) and found == expected  # exact, whatever the size
    return isinstance(found, float) and math.isclose(
        found, float(Fraction(expected)), rel_tol=1e-6, abs_tol=1e-3
    )

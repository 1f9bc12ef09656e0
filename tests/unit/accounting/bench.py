"""``python -m tests.unit.accounting.bench``: what formulas, counters, period values cost. Asserts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from edge_agent.accounting.counter import Counter, CounterSpec
from edge_agent.accounting.derived import Derived, DerivedValues, Source
from edge_agent.accounting.period_values import PeriodProducer
from edge_agent.config.period_values import Mean, PeriodTag, PeriodValues
from edge_agent.config.process import TagRef
from edge_agent.expression import Formula, Operand, compile_formula
from edge_agent.model import Batch, Schema, Tag, ValueType

FORMULAS = {
    "plain": "t0 / t1 + t2 * 2",
    "span": "avg(t0, 10min) - min(t1, 10min)",
    "branch": "if(t0 > 5, t1, t2)",
}


def main() -> None:
    tags = [Tag(f"t{i}", "", ValueType.FLOAT64) for i in range(500)]
    schema = Schema.of("d", "g", "v", tags)
    operands = {t.name: Operand(f"d.{t.name}", t.type, "", True, 1.0) for t in tags}
    sources = {f"d.{t.name}": Source("d", "g", 1.0, 3.0) for t in tags}
    values = tuple(float(i + 1) for i in range(500))
    batches = [Batch(schema, 10**18 + n * 10**9, n * 10**9, values, bytes(500)) for n in range(400)]
    for name, text in FORMULAS.items():
        made = compile_formula(text, operands)
        assert isinstance(made, Formula)
        derived = [Derived(f"v.{i}", str(i), made) for i in range(100)]
        engine = DerivedValues("v", derived, sources, (), "v")
        say(f"formula, {name}", len(batches) * 100, lambda e=engine: [e.on_batch(b, {}) for b in batches])
    counter = Counter(CounterSpec("c", "kWh", Decimal(1), scale=Decimal("0.01"), modulus=Decimal(2**32)))
    say("counter reading", 5000, lambda: [counter.read(n * 10**9, n * 10**9, n) for n in range(5000)])
    for mean in (Mean.SAMPLES, Mean.TIME):
        refs = [TagRef("d", tag.name) for tag in tags]
        plan = PeriodValues(tuple(PeriodTag(ref, ref, ValueType.FLOAT64, mean=mean) for ref in refs))
        made = PeriodProducer(plan, "v")
        say(f"sample, {mean}", len(batches) * 500, lambda p=made: [p.on_batch(b) for b in batches])
        closing = batches[-1].time_ns + 60 * 10**9
        say(f"minute, {mean}", 500 * 7, lambda p=made, at=closing: p.tick(0, at))


def say(what: str, count: int, work: Callable[[], object]) -> None:
    began = time.process_time()
    work()
    print(f"{what:20} {(time.process_time() - began) / count * 1e6:8.3f} us")


if __name__ == "__main__":
    main()

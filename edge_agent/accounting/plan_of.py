"""The configuration's ``Derivation`` -> an ``Accounting``."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal

from edge_agent.accounting.accounting import Accounting, Plan
from edge_agent.accounting.counter import CounterSpec, Multiplier
from edge_agent.accounting.derived import Derived, Source
from edge_agent.accounting.periods import Figure
from edge_agent.config.derivation import Counter, Derivation


def accounting_of(derivation: Derivation, version: str) -> Accounting:
    """Fresh, without any state: see ``Accounting.restore_rows`` and ``adopt``."""
    return Accounting(plan_of(derivation), version)


def plan_of(derivation: Derivation) -> Plan:
    return Plan(
        device=derivation.device,
        derived=[
            Derived(f"{derivation.device}.{tag.name}", tag.name, tag.formula, tag.description, tag.metric)
            for tag in derivation.derived
        ],
        counters=[_spec(counter) for counter in derivation.counters],
        figures=[Figure(figure.name, figure.formula, figure.condition) for figure in derivation.figures],
        sources={key: Source(*feed) for key, feed in derivation.sources.items()},
        names={str(counter.tag): counter.name for counter in derivation.counters},
        zone=timezone(timedelta(seconds=derivation.zone_s)),
    )


def _spec(counter: Counter) -> CounterSpec:
    return CounterSpec(
        name=str(counter.tag),
        unit=counter.unit,
        max_rate=Decimal(counter.max_rate),
        scale=Decimal(counter.scale),
        modulus=None if counter.modulus is None else Decimal(counter.modulus),
        step=Decimal(counter.step),
        noise=Decimal(counter.noise),
        multipliers=tuple(Multiplier(from_ns, Decimal(factor)) for from_ns, factor in counter.multipliers),
        lag_s=Decimal(str(counter.lag_s)),
        max_gap_s=Decimal(str(counter.max_gap_s)),
        confirm=counter.confirm,
    )

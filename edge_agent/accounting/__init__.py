"""Derived values, counters, period totals. Pure: batches and clock readings in, values and events out.

    batch ──┬─> Counter (one per meter) ──points──> Totals ──> Periods: hour, day, month, kWh/kg
            │        └──────────────────────────┐
            ├─> DerivedValues: formulas over tags, spans of time and counters ──> batch of a virtual device
            └─> PeriodProducer: mean, extremes, sum, flag of chosen tags per minute, hour, day

``expression/`` is the language of the formulas. Laws: a total never falls, what is implausible is told and
not counted; what is undefined is neither 0 nor infinite; a closed period is never edited, a correction is a
record of its own.
"""

from edge_agent.accounting.accounting import Accounting, Plan, Result
from edge_agent.accounting.calendar import Period
from edge_agent.accounting.counter import CounterSpec, Multiplier
from edge_agent.accounting.derived import Derived, Source
from edge_agent.accounting.periods import Figure
from edge_agent.accounting.replacement import Replacement

__all__ = [
    "Accounting",
    "CounterSpec",
    "Derived",
    "Figure",
    "Multiplier",
    "Period",
    "Plan",
    "Replacement",
    "Result",
    "Source",
]

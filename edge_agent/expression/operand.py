"""What a formula may read, and what is known of it while the configuration is checked."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge_agent.model import ValueType


@dataclass(frozen=True, slots=True)
class Operand:
    """``key``: the one name by which the run time knows it (``DEVICE.TAG``), however it was written.

    ``type`` is that of the engineering value: an integer register with a scale is a FLOAT64. ``counter``: it
    has a declared counter behind it, so that ``delta`` and ``rate`` follow that. ``period_s``: how often it
    is read, 0 where not known. ``type`` None: known by name only, because what defines it has a mistake of
    its own.
    """

    key: str
    type: ValueType | None
    unit: str = ""
    counter: bool = False
    period_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Function:
    """``least``/``most`` arguments without a time span; ``over``: may be taken over one."""

    usage: str
    least: int = 0
    most: int = 0
    over: bool = False


FUNCTIONS: Final = MappingProxyType(
    {
        "if": Function("if(condition, a, b)", 3, 3),
        "min": Function("min(a, b) or min(tag, 10min)", 1, 100, over=True),
        "max": Function("max(a, b) or max(tag, 10min)", 1, 100, over=True),
        "avg": Function("avg(a, b) or avg(tag, 10min)", 1, 100, over=True),
        "sum": Function("sum(a, b) or sum(tag, 10min)", 1, 100, over=True),
        "abs": Function("abs(a)", 1, 1),
        "clamp": Function("clamp(value, low, high)", 3, 3),
        "delta": Function("delta(counter, 10min)", over=True),
        "rate": Function("rate(tag, 10min)", over=True),
        "hold": Function("hold(tag, 5min)", over=True),
    }
)
"""Over a time span, ``min max avg sum delta rate hold`` take exactly (TAG, SPAN)."""

LONGEST_S: Final = 86_400.0
MOST_READINGS: Final = 20_000
"""A time span may hold so many readings at most, so that memory is bounded."""

"""Two reasons that only formulas give, and the rule by which qualities combine."""

from __future__ import annotations

from typing import Final

from edge_agent.model import Quality

UNDEFINED: Final = int(Quality.UNDEFINED)
"""The formula has no value here: divided by nothing, or the result is no finite 64-bit number."""

ESTIMATED: Final = int(Quality.UNCERTAIN_ESTIMATED)
"""Uncertain: interpolated, or partly so."""

GOOD: Final = int(Quality.GOOD)
UNCERTAIN: Final = int(Quality.UNCERTAIN)
BAD: Final = int(Quality.BAD)
NO_STATEMENT: Final = int(Quality.NOT_REPORTED)

ENOUGH: Final = 0.75
"""The share of a time span that must be known for its values to be good (the 75 % rule of HJ 212-2017)."""

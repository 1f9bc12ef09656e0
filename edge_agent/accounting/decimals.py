"""Exact amounts. 60 digits hold any 64-bit count times any scale and multiplier without rounding."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

EXACT: Final = Context(prec=60)
ZERO: Final = Decimal(0)


def decimal(number: int | float) -> Decimal:
    """The number as a person would write it: 0.1 is one tenth."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))

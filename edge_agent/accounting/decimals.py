"""Exact amounts. 60 digits hold any 64-bit count times any scale and multiplier without rounding."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

EXACT: Final = Context(prec=60)
ZERO: Final = Decimal(0)


_FLOAT: Final = Context(prec=15)  # what a float of 64 bits holds of any decimal


def shown(amount: Decimal) -> str:
    """For people: every digit, none after the last that says something."""
    return f"{EXACT.normalize(amount):f}" if amount else "0"


def as_displayed(raw: Decimal) -> Decimal:
    """A register's reading without what the float behind it adds: 432.34, not 432.34000000000003."""
    return raw if raw == raw.to_integral_value(context=EXACT) else _FLOAT.plus(raw)


def decimal(number: int | float) -> Decimal:
    """The number as a person would write it: 0.1 is one tenth."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))

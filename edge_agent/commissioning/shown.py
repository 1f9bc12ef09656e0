"""A number as a display shows it: its last digit says how exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(r"[-+]?(\d{1,15}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)


class NotANumber(ValueError):
    """What was typed is no number of a display."""


@dataclass(frozen=True, slots=True)
class Shown:
    """``half``: half a unit of the last digit. ``tolerance``: how far from ``value`` a reading may be; a
    display may cut digits off instead of rounding, and a machine moves on while one types."""

    text: str
    value: float
    decimals: int
    tolerance: float

    @property
    def half(self) -> float:
        return 0.5 / 10.0**self.decimals


def shown(text: str, tolerance: float | None = None) -> Shown:
    """Without a tolerance one unit of the last digit. Raises NotANumber."""
    plain = text.strip().replace("．", ".").replace("，", ",").replace("－", "-").replace("−", "-")
    if not _NUMBER.fullmatch(plain):
        raise NotANumber(text)
    decimals = len(plain.partition(".")[2])
    unit = 1.0 / 10**decimals
    return Shown(plain, float(Decimal(plain)), decimals, unit if tolerance is None else tolerance)

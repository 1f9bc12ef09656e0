"""Numbers on the wire: ``N5.2`` is up to five digits before the point and exactly two behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

_FORMAT = re.compile(r"N([1-9]\d?)(?:\.(\d))?", re.ASCII)
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)  # the largest double has 309 digits before the point


class DoesNotFit(ValueError):
    """Above what the format can write: Flag T, never a cut number."""


@dataclass(frozen=True, slots=True)
class Format:
    digits: int
    decimals: int = 0

    @classmethod
    def parse(cls, text: str) -> Format:
        match = _FORMAT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a number format such as N5.2")
        return cls(int(match[1]), int(match[2] or 0))

    def __str__(self) -> str:
        return f"N{self.digits}.{self.decimals}" if self.decimals else f"N{self.digits}"

    def write(self, value: int | float | Decimal) -> str:
        """Rounded half to even, once, from the shortest decimal that means this float (what a person reads on
        the page). DoesNotFit; ValueError for what is no number."""
        if isinstance(value, bool):
            value = int(value)
        number = value if isinstance(value, Decimal) else Decimal(repr(value))
        if not number.is_finite():
            raise ValueError("not a number")
        if number.adjusted() > self.digits:  # by far; spares the long arithmetic
            raise DoesNotFit(f"{value} does not fit {self}")
        rounded = number.quantize(Decimal(1).scaleb(-self.decimals), context=_EXACT)
        if abs(rounded) >= Decimal(10) ** self.digits:
            raise DoesNotFit(f"{value} does not fit {self}")
        return f"{abs(rounded) if rounded.is_zero() else rounded:f}"

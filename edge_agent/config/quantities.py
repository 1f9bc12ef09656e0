"""Numbers with units in the configuration: exact decimals, converted without rounding on the way."""

from __future__ import annotations

import unicodedata
from fractions import Fraction
from functools import lru_cache

from edge_agent.expression.units import Unit
from edge_agent.expression.units import unit as unit_of


@lru_cache(maxsize=4096)
def exact(value: float) -> Fraction:
    """The decimal a person wrote: 0.3 is three tenths, not the binary number next to it."""
    return Fraction(repr(float(value)))


def number(value: float | Fraction) -> str:
    """As a person reads it."""
    return f"{float(value):.7g}"


def convert(value: Fraction, unit: str, into: str, *, rate: bool = False) -> Fraction | None:
    """The same quantity in another unit; ``rate``: a change of it, which knows no zero. None where that
    cannot be, also where only one of the two has a unit."""
    here, there = _plain(unit), _plain(into)
    if here == there:
        return value
    if not here or not there:
        return None
    one, other = _unit(here), _unit(there)
    if not one.fits(other):
        return None
    return value * one.to(other) + (0 if rate else one.shift(other))


def _plain(unit: str) -> str:
    return unicodedata.normalize("NFKC", unit).strip()


@lru_cache(maxsize=256)
def _unit(text: str) -> Unit:
    return unit_of(text)

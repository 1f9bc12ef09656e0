"""Units as products of powers: ``kWh/kg``, ``m³/h``, ``kJ/(kg·K)``; with SI prefixes, 万, and °C as a scale.

A symbol that is not in the table (``次``, ``pcs``) is a dimension of its own: it can be divided by and
cancels, but is never converted. Normal cubic metres, var and VA are such dimensions on purpose, so that they
are not added to cubic metres or watts by mistake; so are kgce and kgCO2, which come of coefficients, not of
physics.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

Dims = tuple[tuple[str, int], ...]

_PREFIXES: Final = MappingProxyType(
    {
        "G": Fraction(10**9), "M": Fraction(10**6), "k": Fraction(1000), "h": Fraction(100),
        "d": Fraction(1, 10), "c": Fraction(1, 100), "m": Fraction(1, 1000), "u": Fraction(1, 10**6),
        "μ": Fraction(1, 10**6), "n": Fraction(1, 10**9), "T": Fraction(10**12),
    }
)  # fmt: skip

_ENERGY: Final[Dims] = (("kg", 1), ("m", 2), ("s", -2))
_POWER: Final[Dims] = (("kg", 1), ("m", 2), ("s", -3))
_PRESSURE: Final[Dims] = (("kg", 1), ("m", -1), ("s", -2))
_K: Final[Dims] = (("K", 1),)

_PREFIXED: Final = MappingProxyType(
    {
        "g": ((("kg", 1),), Fraction(1, 1000)),
        "t": ((("kg", 1),), Fraction(1000)),
        "m": ((("m", 1),), Fraction(1)),
        "s": ((("s", 1),), Fraction(1)),
        "A": ((("A", 1),), Fraction(1)),
        "K": (_K, Fraction(1)),
        "mol": ((("mol", 1),), Fraction(1)),
        "Hz": ((("s", -1),), Fraction(1)),
        "N": ((("kg", 1), ("m", 1), ("s", -2)), Fraction(1)),
        "Nm": (_ENERGY, Fraction(1)),
        "Pa": (_PRESSURE, Fraction(1)),
        "bar": (_PRESSURE, Fraction(100_000)),
        "J": (_ENERGY, Fraction(1)),
        "W": (_POWER, Fraction(1)),
        "Wh": (_ENERGY, Fraction(3600)),
        "V": ((("A", -1), ("kg", 1), ("m", 2), ("s", -3)), Fraction(1)),
        "Ω": ((("A", -2), ("kg", 1), ("m", 2), ("s", -3)), Fraction(1)),
        "Ah": ((("A", 1), ("s", 1)), Fraction(3600)),
        "L": ((("m", 3),), Fraction(1, 1000)),
        "l": ((("m", 3),), Fraction(1, 1000)),
        "var": ((("var", 1),), Fraction(1)),
        "varh": ((("s", 1), ("var", 1)), Fraction(3600)),
        "VA": ((("VA", 1),), Fraction(1)),
        "VAh": ((("VA", 1), ("s", 1)), Fraction(3600)),
        "gce": ((("kgce", 1),), Fraction(1, 1000)),
        "gCO2": ((("kgCO2", 1),), Fraction(1, 1000)),
    }
)

_PLAIN: Final = MappingProxyType(
    {
        "1": ((), Fraction(1)),
        "%": ((), Fraction(1, 100)),
        "‰": ((), Fraction(1, 1000)),
        "ppm": ((), Fraction(1, 10**6)),
        "ppb": ((), Fraction(1, 10**9)),
        "min": ((("s", 1),), Fraction(60)),
        "h": ((("s", 1),), Fraction(3600)),
        "d": ((("s", 1),), Fraction(86400)),
        "rpm": ((("r", 1), ("s", -1)), Fraction(1, 60)),
        "°C": (_K, Fraction(1)),
        "°F": (_K, Fraction(5, 9)),
        "mmHg": (_PRESSURE, Fraction(133_322_387_415, 10**9)),
        "tce": ((("kgce", 1),), Fraction(1000)),
        "tCO2": ((("kgCO2", 1),), Fraction(1000)),
        "Nm3": ((("Nm3", 1),), Fraction(1)),
        "Sm3": ((("Sm3", 1),), Fraction(1)),
        "度": (_ENERGY, Fraction(3_600_000)),
        "吨": ((("kg", 1),), Fraction(1000)),
        "千克": ((("kg", 1),), Fraction(1)),
        "公斤": ((("kg", 1),), Fraction(1)),
        "立方米": ((("m", 3),), Fraction(1)),
        "秒": ((("s", 1),), Fraction(1)),
        "分钟": ((("s", 1),), Fraction(60)),
        "小时": ((("s", 1),), Fraction(3600)),
        "天": ((("s", 1),), Fraction(86400)),
        "摄氏度": (_K, Fraction(1)),
    }
)

ZEROS_K: Final = MappingProxyType(
    {"°C": Fraction(27315, 100), "摄氏度": Fraction(27315, 100), "°F": Fraction(45967, 180)}
)
"""Scales with a zero of their own, and where that lies in kelvin."""

_STATES: Final = frozenset({
    _POWER, _PRESSURE, _K, (("var", 1),), (("VA", 1),), (("A", 1),),
    (("A", -1), ("kg", 1), ("m", 2), ("s", -3)), (("A", -2), ("kg", 1), ("m", 2), ("s", -3)),
})  # fmt: skip
_SHARES: Final = frozenset({"%", "‰", "ppm", "ppb"})

_FACTOR = re.compile(r"([^\s/·⋅*^()\d.-]+|1)(?:\^?(-?\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Unit:
    """``parts``: the symbols as a person writes them. ``dims`` and ``factor``: the same in base units, by
    which units are compared and converted. ``zero_k`` is not None for a reading on a scale such as °C."""

    parts: Dims = ()
    dims: Dims = ()
    factor: Fraction = Fraction(1)
    zero_k: Fraction | None = None

    def __str__(self) -> str:
        above = "·".join(_power(s, n) for s, n in self.parts if n > 0)
        below = [_power(s, -n) for s, n in self.parts if n < 0]
        if not below:
            return above
        return f"{above or 1}/{below[0]}" if len(below) == 1 else f"{above or 1}/({'·'.join(below)})"

    @property
    def is_scale(self) -> bool:
        return self.zero_k is not None

    @property
    def difference(self) -> Unit:
        """The unit of the difference of two readings."""
        return KELVIN if self.is_scale and self.factor == 1 else Unit(self.parts, self.dims, self.factor)

    def fits(self, other: Unit) -> bool:
        """Whether one can be converted into the other by a factor, or, of two scales, a shift as well."""
        return self.dims == other.dims and self.is_scale == other.is_scale

    def to(self, other: Unit) -> Fraction:
        """What a number in this unit is multiplied by to be in the other."""
        return self.factor / other.factor

    def shift(self, other: Unit) -> Fraction:
        """What is then added; 0 but for two different scales."""
        if self.zero_k is None or other.zero_k is None:
            return Fraction(0)
        return (self.zero_k - other.zero_k) / other.factor

    def times(self, other: Unit, power: int = 1) -> Unit:
        """The product with a power of another; neither may be a scale."""
        return Unit(
            _merged(self.parts, other.parts, power),
            tuple(sorted(_merged(self.dims, other.dims, power))),
            self.factor * other.factor**power,
        )

    @property
    def counts_up(self) -> bool:
        """Whether a meter's register may show it. Power, flows, pressures and the like are what is there now,
        not what has gone through."""
        if self.is_scale or dict(self.dims).get("s") == -1:
            return False
        return self.dims not in _STATES and not any(symbol in _SHARES for symbol, _ in self.parts)


ONE: Final = Unit()
KELVIN: Final = Unit((("K", 1),), _K)
SECOND: Final = Unit((("s", 1),), (("s", 1),))


def unit(text: str) -> Unit:
    """Never fails: what cannot be taken apart is a unit of its own."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        return ONE
    if plain in ZEROS_K:
        dims, factor = _PLAIN[plain]
        return Unit(((plain, 1),), dims, factor, ZEROS_K[plain])
    whole = _product(plain)
    return whole if whole is not None else Unit(((plain, 1),), ((plain, 1),))


def _product(text: str) -> Unit | None:
    found, position, sign, group = ONE, 0, 1, 0
    while position < len(text):
        if text[position] == "(" and not group:
            group, position = sign, position + 1
            continue
        match = _FACTOR.match(text, position)
        if match is None:
            return None
        found = found.times(_symbol(match[0], match[1], match[2]), sign)
        position = match.end()
        if position < len(text) and text[position] == ")" and group:
            group, position = 0, position + 1
        if position == len(text):
            return found if not group else None
        if text[position] not in "/·⋅*":
            return None
        sign = -1 if text[position] == "/" else 1
        if group:
            sign *= group
        position += 1
    return None


def _symbol(whole: str, name: str, power: str | None) -> Unit:
    known = _known(whole)
    if known is not None:
        return known
    if name.startswith("万") and len(name) > 1:
        inner = _symbol(whole[1:], name[1:], power)
        return Unit(((whole, 1),), inner.dims, inner.factor * 10**4)
    base = _known(name) or Unit(((name, 1),), ((name, 1),))
    return ONE.times(base, int(power)) if power else base


def _known(name: str) -> Unit | None:
    if name == "1":
        return ONE
    entry = _PLAIN.get(name) or _PREFIXED.get(name)
    if entry is None and len(name) > 1 and name[0] in _PREFIXES:
        inner = _PREFIXED.get(name[1:])
        if inner is not None:
            entry = (inner[0], inner[1] * _PREFIXES[name[0]])
    return None if entry is None else Unit(((name, 1),), tuple(sorted(entry[0])), entry[1])


def _merged(left: Dims, right: Dims, power: int) -> Dims:
    powers = dict(left)
    for name, exponent in right:
        powers[name] = powers.get(name, 0) + exponent * power
    return tuple((name, exponent) for name, exponent in powers.items() if exponent)


def _power(symbol: str, power: int) -> str:
    return symbol if power == 1 else f"{symbol}{power}"


def known_symbols() -> Iterable[str]:
    """For completion and documentation."""
    return (*_PLAIN, *_PREFIXED)

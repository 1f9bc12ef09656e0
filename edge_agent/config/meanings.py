"""Cells that say what single numbers mean: ``no_value`` and ``labels``; and the range of a transmitter."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from fractions import Fraction

from edge_agent.config.columns import read_number
from edge_agent.model import Scaling, ValueType
from edge_agent.settings import Text

_INTEGER = re.compile(r"[-+]?\d{1,20}", re.ASCII)
_HEX = re.compile(r"0[xX]([0-9a-fA-F]{1,16})")
_LABEL = re.compile(r"\s*([-+]?\d{1,20}|0[xX][0-9a-fA-F]{1,16})\s*=\s*(.*\S)\s*", re.ASCII)
_RUN_ON = re.compile(r"([,;|/\s，；、])\s*\d+\s*[=＝]")


def span(kind: ValueType) -> tuple[int, int]:
    """The smallest and the greatest integer of an integer type."""
    bits = int(kind.lstrip("uint"))
    return (0, (1 << bits) - 1) if kind.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)


def read_no_value(text: str, kind: ValueType) -> int | float | None:
    """One number of column ``no_value``, None where it is none that the type can hold. Hexadecimal digits are
    the bits on the wire, as data sheets give them: ``0x8000`` of an int16 is -32768. For float32 it is the
    nearest number that type has, because only that one can arrive."""
    if kind.is_float:
        number = read_number(text)
        return number if number is None or kind is ValueType.FLOAT64 else _as_float32(number)
    low, high = span(kind)
    if bits := _HEX.fullmatch(text):
        value = int(bits[1], 16)
        width = high - low
        if value > width:
            return None
        return value if value <= high else value - width - 1
    if not _INTEGER.fullmatch(text):
        return None
    return int(text) if low <= int(text) <= high else None


def bits_meant(text: str, kind: ValueType) -> str | None:
    """For a signed type, the bits that a number too great for it was probably meant as: 65535 -> 0xFFFF."""
    if kind.is_float or not kind.startswith("i") or not _INTEGER.fullmatch(text):
        return None
    low, high = span(kind)
    return f"0x{int(text):X}" if high < int(text) <= high - low else None


def holds(kind: ValueType) -> Text:
    """The numbers of a type, for people."""
    if kind.is_float:
        most = "1.8e308" if kind is ValueType.FLOAT64 else "3.4e38"
        return Text(f"decimal numbers up to {most}", f"不超过 {most} 的十进制数")
    low, high = span(kind)
    return Text(f"{low} to {high}, or 0x and the bits on the wire", f"{low} 到 {high}，或用 0x 写线路上的位")


def _as_float32(number: float) -> float | None:
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return None


def read_label(text: str) -> tuple[int, str] | None:
    """``1=running`` -> (1, "running"); None when it is no such pair."""
    found = _LABEL.fullmatch(text)
    if found is None or _RUN_ON.search(found[2]):
        return None
    return int(found[1], 16 if found[1][:2] in ("0x", "0X") else 10), found[2]


def range_scaling(raw_low: float, raw_high: float, eng_low: float, eng_high: float) -> Scaling:
    """The straight line through two points. Of the factors and offsets within four units in the last place
    of the exact ones, the pair with which ``raw * scale + offset``, in floating point, meets ``eng_low`` for
    ``raw_low`` best, exactly wherever any of them does, and then ``eng_high`` for ``raw_high``."""

    def misses(scaling: Scaling) -> tuple[float, float, float]:
        low = raw_low * scaling.scale + scaling.offset
        high = raw_high * scaling.scale + scaling.offset
        return abs(low - eng_low), abs(high - eng_high), abs(scaling.scale - exact)

    exact = float((Fraction(eng_high) - Fraction(eng_low)) / (Fraction(raw_high) - Fraction(raw_low)))
    return min(
        (Scaling(scale, offset) for scale in _around(exact) for offset in _around(eng_low - raw_low * scale)),
        key=misses,
    )


def _around(number: float) -> Iterator[float]:
    """The number, and its neighbours on both sides."""
    yield number
    for end in (math.inf, -math.inf):
        near = number
        for _ in range(4):
            near = math.nextafter(near, end)
            yield near

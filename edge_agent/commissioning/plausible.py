"""How much a number looks like a process value, by itself. Ranges of machines: thousandths to a million; what
is far beside them is mostly the right bytes in the wrong order, or an integer taken for a float."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from edge_agent.commissioning.memory import Reading
from edge_agent.settings import Text


class Mark(NamedTuple):
    """``score``: 0 impossible to 1 looks right. ``text``: what it was judged by."""

    score: float
    text: Text


_NONE = Mark(0.0, Text("not a number of this type", "不是该类型的数值"))
_NAN = Mark(0.0, Text("NaN or infinite", "NaN 或无穷大"))
_ZERO = Mark(0.4, Text("zero: says nothing", "为零：无法判断"))
_DENORMAL = Mark(0.05, Text("denormal: an integer or the wrong order", "非规格化数：可能是整数或字节序不对"))
_TINY = Mark(0.1, Text("tiny", "数值极小"))
_HUGE = Mark(0.05, Text("huge: wrong order or type", "数值极大：字节序或类型不对"))
_LARGE = Mark(0.35, Text("large", "数值偏大"))
_SMALL = Mark(0.5, Text("small", "数值偏小"))
_TYPICAL = Mark(0.9, Text("typical", "常见范围"))
_ROUND = Mark(1.0, Text("typical, few digits", "常见范围，位数少"))
_SWAPPED = Mark(0.15, Text("its low half is zero: the other word order?", "低字为零：可能是另一种字序"))
_NARROW = Mark(0.5, Text("fits 16 bits", "16 位即可容纳"))
_NEGATIVE = Mark(0.3, Text("may be a small negative number, signed", "可能是有符号的小负数"))


def plausible(reading: Reading) -> Mark:
    value = reading.value
    if value is None:
        return _NONE
    if isinstance(value, float):
        return _of_float(value, reading.size)
    return _of_integer(value, reading)


def _of_float(value: float, size: int) -> Mark:
    if not math.isfinite(value):
        return _NAN
    if value == 0:
        return _ZERO
    far = abs(value)
    if far < (2.0**-126 if size == 4 else 2.0**-1022):
        return _DENORMAL
    if far < 1e-6:
        return _TINY
    if far < 1e-3:
        return _SMALL
    if far >= 1e9:
        return _HUGE
    if far >= 1e6:
        return _LARGE
    return _ROUND if few_digits(value, size) else _TYPICAL


def few_digits(value: float, size: int) -> bool:
    """Whether it is the nearest number of its type to a decimal of five digits: what people type as
    set-points and what sensors with few digits give; hardly ever what bytes give by accident."""
    near = float(f"{value:.5g}")
    if size == 4:
        near = struct.unpack(">f", struct.pack(">f", near))[0]
    return near == value


def _of_integer(value: int, reading: Reading) -> Mark:
    if value == 0:
        return _ZERO
    far, bits = abs(value), 8 * reading.size
    if bits <= 16:
        unsigned = reading.type in ("uint16", "word", "uint")
        return (
            _NEGATIVE if unsigned and value >= 0xF000 else Mark(0.7 if far <= 10_000 else 0.6, _TYPICAL.text)
        )
    if not value & ((1 << bits // 2) - 1):
        return _SWAPPED
    if far <= 0xFFFF:
        return _NARROW
    if far < 10**8:
        return Mark(0.8, _TYPICAL.text)
    return _HUGE if far >= 4 * 10**9 else Mark(0.25, _LARGE.text)

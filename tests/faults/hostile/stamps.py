"""64-bit values that tell where they stood and when they were asked for.

bits 63-44  place: link (4), station (4), slot (12)
bits 43-14  stamp: monotonic time at which the request arrived, in units of 100 us, modulo 2^30 (29 h)
bits 13-0   check sum over the rest: a value put together from two others has a wrong one
"""

from __future__ import annotations

import time
import zlib

_TICK_NS = 100_000
_ERA = 1 << 30


def now() -> int:
    """Ticks; the same clock in every process of a machine."""
    return time.monotonic_ns() // _TICK_NS


def ticks(mono_ns: int) -> int:
    return mono_ns // _TICK_NS


def place(link: int, station: int, slot: int) -> int:
    return (link & 15) << 16 | (station & 15) << 12 | slot & 0xFFF


def word(where: int, stamp: int) -> int:
    upper = where << 30 | stamp % _ERA
    return upper << 14 | _check(upper)


def fault_of(value: object, where: int, not_before: int) -> str | None:
    """Why a value that was delivered as good is wrong, or None. ``not_before``: ticks at which the request it
    came from was sent."""
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        return f"no such value: {value!r}"
    upper = value >> 14
    if value & 0x3FFF != _check(upper):
        return f"torn: {value:016x}"
    found = upper >> 30
    if found != where:
        return f"shifted: of {_words(found)} instead of {_words(where)}"
    age = (not_before - (upper & _ERA - 1)) % _ERA
    if 1 < age < _ERA // 2:  # one tick of rounding
        return f"stale: asked for {age / 10:g} ms before the request it is said to answer"
    return None


def _words(where: int) -> str:
    return f"link {where >> 16} station {where >> 12 & 15} slot {where & 0xFFF}"


def _check(upper: int) -> int:
    return zlib.crc32(upper.to_bytes(8)) & 0x3FFF

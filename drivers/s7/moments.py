"""Times and dates of S7: what the program stores <-> what the agent hands on. Pure; every function raises
ValueError for what is no value of its type.

Durations and times of day are numbers (milliseconds, or nanoseconds for the long types). Dates are ISO text
without a zone: a controller stores its own local time and no protocol of it says which zone that is.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta

_S5_BASES_MS = (10, 100, 1_000, 10_000)
_DAY_MS = 86_400_000
_DAY_NS = _DAY_MS * 1_000_000
_DATE_EPOCH = date(1990, 1, 1)
_DATE_MAX = 65_378  # D#2168-12-31
_LDT_EPOCH = datetime(1970, 1, 1)
_DTL = struct.Struct(">HBBBBBBI")


def s5time_ms(word: int) -> int:
    """Three BCD digits and a time base in bits 12-13; the bits above mean nothing."""
    return _bcd3(word) * _S5_BASES_MS[word >> 12 & 3]


def s5time_word(milliseconds: int) -> int:
    """The finest time base that holds the duration exactly."""
    for code, base in enumerate(_S5_BASES_MS):
        count, rest = divmod(milliseconds, base)
        if rest == 0 and 0 <= count <= 999:
            return code << 12 | _to_bcd3(count)
    raise ValueError("not an S5TIME: at most 9990 s, in steps that three digits can hold")


def bcd_number(word: int) -> int:
    """A WORD as BCD_TO_INT reads it: three digits; the highest bit means negative."""
    return -_bcd3(word) if word & 0x8000 else _bcd3(word)


def bcd_word(number: int) -> int:
    if not -999 <= number <= 999:
        raise ValueError("a BCD word holds -999 to 999")
    return (0xF000 if number < 0 else 0) | _to_bcd3(abs(number))


def counter_value(word: int) -> int:
    return _bcd3(word)


def counter_word(value: int) -> int:
    if not 0 <= value <= 999:
        raise ValueError("a counter holds 0 to 999")
    return _to_bcd3(value)


def day_ms(milliseconds: int) -> int:
    """TIME_OF_DAY, checked both ways."""
    if not 0 <= milliseconds < _DAY_MS:
        raise ValueError("a time of day is less than 24 h")
    return milliseconds


def day_ns(nanoseconds: int) -> int:
    """LTIME_OF_DAY, checked both ways."""
    if not 0 <= nanoseconds < _DAY_NS:
        raise ValueError("a time of day is less than 24 h")
    return nanoseconds


def date_text(days: int) -> str:
    """DATE: days since 1990-01-01 -> ``2026-11-22``."""
    if not 0 <= days <= _DATE_MAX:
        raise ValueError("a DATE ends with the year 2168")
    return (_DATE_EPOCH + timedelta(days=days)).isoformat()


def date_days(text: str) -> int:
    days = (date.fromisoformat(text) - _DATE_EPOCH).days
    if not 0 <= days <= _DATE_MAX:
        raise ValueError("a DATE lies in the years 1990 to 2168")
    return days


def dt_text(data: bytes) -> str:
    """DATE_AND_TIME: eight BCD bytes -> ``2026-11-22T10:11:12.345``. The weekday is not looked at."""
    year, month, day, hour, minute, second, hundredths = (_bcd(byte) for byte in data[:7])
    thousandth = data[7] >> 4
    if thousandth > 9:
        raise ValueError("not BCD")
    moment = datetime(year + (1900 if year >= 90 else 2000), month, day, hour, minute, second)
    return f"{moment.isoformat()}.{hundredths:02d}{thousandth}"


def dt_bytes(text: str) -> bytes:
    moment, nanoseconds = _parse(text)
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    if not 1990 <= moment.year <= 2089 or rest:
        raise ValueError("a DATE_AND_TIME lies in the years 1990 to 2089 and counts milliseconds")
    fields = (moment.year % 100, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    packed = bytes(_to_bcd(field) for field in (*fields, milliseconds // 10))
    return packed + bytes((milliseconds % 10 << 4 | moment.isoweekday() % 7 + 1,))


def dtl_text(data: bytes) -> str:
    """DTL: twelve bytes -> ``2026-11-22T10:11:12.345678901``. The weekday is not looked at."""
    year, month, day, _, hour, minute, second, nanoseconds = _DTL.unpack(data)
    if not 1970 <= year <= 2554 or nanoseconds >= 1_000_000_000:
        raise ValueError("not a DTL")
    return f"{datetime(year, month, day, hour, minute, second).isoformat()}.{nanoseconds:09d}"


def dtl_bytes(text: str) -> bytes:
    moment, nanoseconds = _parse(text)
    if not 1970 <= moment.year <= 2554:
        raise ValueError("a DTL lies in the years 1970 to 2554")
    weekday = moment.isoweekday() % 7 + 1  # Sunday is 1
    clock = (moment.hour, moment.minute, moment.second)
    return _DTL.pack(moment.year, moment.month, moment.day, weekday, *clock, nanoseconds)


def ldt_text(nanoseconds: int) -> str:
    """LDT: nanoseconds since 1970-01-01 -> ``2026-11-22T10:11:12.345678901``."""
    if nanoseconds < 0:
        raise ValueError("an LDT begins with the year 1970")
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{(_LDT_EPOCH + timedelta(seconds=seconds)).isoformat()}.{rest:09d}"


def ldt_nanoseconds(text: str) -> int:
    moment, nanoseconds = _parse(text)
    seconds = round((moment - _LDT_EPOCH).total_seconds())
    if seconds < 0:
        raise ValueError("an LDT begins with the year 1970")
    return seconds * 1_000_000_000 + nanoseconds


def _parse(text: str) -> tuple[datetime, int]:
    """``2026-11-22T10:11:12[.1 to 9 digits]`` -> whole seconds, nanoseconds."""
    whole, _, fraction = text.partition(".")
    if len(whole) != 19 or len(fraction) > 9 or not (fraction or "0").isdecimal():
        raise ValueError("write a moment as 2026-11-22T10:11:12, without a zone")
    return datetime.fromisoformat(whole), int(fraction.ljust(9, "0"))


def _bcd(byte: int) -> int:
    high, low = byte >> 4, byte & 15
    if high > 9 or low > 9:
        raise ValueError("not BCD")
    return 10 * high + low


def _bcd3(word: int) -> int:
    return 100 * _bcd(word >> 8 & 15) + _bcd(word & 255)


def _to_bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


def _to_bcd3(number: int) -> int:
    return number // 100 << 8 | _to_bcd(number % 100)

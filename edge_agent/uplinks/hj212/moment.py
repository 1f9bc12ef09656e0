"""Times on the wire: Beijing time as a fixed offset. A time zone database would bring the summer times of
1986 to 1991, and the standard knows no summer time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

_BEIJING = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, 8, tzinfo=_BEIJING)
SECOND_NS = 1_000_000_000
_MS = timedelta(milliseconds=1)
_LAST_MS = (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=_BEIJING) - _EPOCH) // _MS


def stamp(time_ns: int) -> str:
    """``YYYYMMDDhhmmss``, cut to the second."""
    return qn_text(time_ns // 1_000_000)[:14]


def read_stamp(text: str) -> int:
    """The inverse, in ns since 1970. ValueError when it is not 14 digits of a real moment."""
    return read_qn(text + "000") * 1_000_000


def qn_text(ms: int) -> str:
    """``YYYYMMDDhhmmsszzz``. ValueError outside of 1970 .. 9999."""
    if not 0 <= ms <= _LAST_MS:
        raise ValueError("outside of the years that HJ 212 can write")
    at = _EPOCH + ms * _MS
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"


def read_qn(text: str) -> int:
    if len(text) != 17 or not (text.isascii() and text.isdigit()):
        raise ValueError("not a time of HJ 212")
    at = datetime(
        int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), int(text[10:12]), int(text[12:14]),
        int(text[14:]) * 1000, _BEIJING,
    )  # fmt: skip
    return (at - _EPOCH) // _MS


class QuestionNumbers:
    """QNs, strictly increasing whatever the wall clock does. ``last_ms``: what an earlier run may have used;
    the first one is later than that."""

    def __init__(self, time_ns: Callable[[], int], last_ms: int = 0) -> None:
        self._time_ns = time_ns
        self.last_ms = last_ms

    def next(self) -> str:
        self.last_ms = max(self._time_ns() // 1_000_000, self.last_ms + 1)
        return qn_text(self.last_ms)

"""Civil periods: minutes, hours, days and months of the plant, half open [start, end), as UTC nanoseconds.

A fixed offset (Beijing is UTC+8 without summer time) is the usual zone. In a zone with summer time a day has
23 or 25 hours; hours are counted from the day's beginning.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 3600 * SECOND


class Period(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


BEIJING: Final = timezone(timedelta(hours=8))


def zone(name: str) -> tzinfo:
    """``UTC+8``, ``Beijing``, or a name of the time zone database. Raises ValueError for any other."""
    if name in ("Beijing", "Asia/Shanghai", "UTC+8"):
        return BEIJING  # the law counts in this one, also for years in which clocks were set otherwise
    if name == "UTC":
        return UTC
    if name.startswith(("UTC+", "UTC-")):
        hours, _, minutes = name[4:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(offset if name[3] == "+" else -offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"no time zone {name!r}") from error


class Calendar:
    """Of one zone. Remembers the last day it was asked for, so that asking is cheap."""

    def __init__(self, of: tzinfo = BEIJING) -> None:
        self.zone = of
        self._day = (1, 0)  # [start, end); none yet

    def bounds(self, period: Period, time_ns: int) -> tuple[int, int]:
        """Start and end of the period that holds this moment."""
        if period is Period.MONTH:
            return self._month(time_ns)
        start, end = self._bounds_of_day(time_ns)
        if period is Period.DAY:
            return start, end
        length = MINUTE if period is Period.MINUTE else HOUR
        begin = start + (time_ns - start) // length * length
        return begin, min(begin + length, end)

    def _bounds_of_day(self, time_ns: int) -> tuple[int, int]:
        start, end = self._day
        if not start <= time_ns < end:
            day = self._local(time_ns).date()
            self._day = start, end = self._midnight(day), self._midnight(day + timedelta(days=1))
        return start, end

    def _month(self, time_ns: int) -> tuple[int, int]:
        first = self._local(time_ns).date().replace(day=1)
        return self._midnight(first), self._midnight((first + timedelta(days=32)).replace(day=1))

    def _local(self, time_ns: int) -> datetime:
        return datetime.fromtimestamp(time_ns // SECOND, self.zone)

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * SECOND

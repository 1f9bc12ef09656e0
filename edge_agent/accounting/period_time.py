"""Where periods begin, and which of them have been told of. Beijing has no summer time: whole numbers do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from edge_agent.accounting.calendar import HOUR, MINUTE
from edge_agent.model import Level

DAY: Final = 24 * HOUR
_BEIJING: Final = 8 * HOUR
_RANGES: Final = 32  # so many are remembered of a clock that jumps about


def floor(time_ns: int, length_ns: int) -> int:
    """Start of the period of this length that holds the moment; of a day, midnight in Beijing."""
    if length_ns == DAY:
        return (time_ns + _BEIJING) // DAY * DAY - _BEIJING
    return time_ns - time_ns % length_ns


def lengths(minute_s: int) -> dict[Level, int]:
    return {Level.MINUTE: minute_s * MINUTE // 60, Level.HOUR: HOUR, Level.DAY: DAY}


class Told:
    """Spans of time whose periods have been told of and are never told of again; half open, in order."""

    def __init__(self, spans: Iterable[Iterable[int]] = ()) -> None:
        self.spans: list[list[int]] = [list(span) for span in spans]

    def until(self, start_ns: int) -> int:
        """The end of the span that holds this moment; the moment itself where none does."""
        index = bisect_right(self.spans, [start_ns, 2**63]) - 1
        return max(start_ns, self.spans[index][1]) if index >= 0 else start_ns

    def __contains__(self, start_ns: int) -> bool:
        return self.until(start_ns) > start_ns

    def add(self, start_ns: int, end_ns: int) -> None:
        joined = [start_ns, end_ns]
        rest = []
        for span in self.spans:
            if span[1] < joined[0] or span[0] > joined[1]:
                rest.append(span)
            else:
                joined = [min(joined[0], span[0]), max(joined[1], span[1])]
        self.spans = sorted([*rest, joined])[-_RANGES:]

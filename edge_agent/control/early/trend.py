"""A trend that a spike cannot bend: medians of time bins, the median of all slopes between them (Theil and
Sen), and the sign test of Mann and Kendall for whether there is a trend at all."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import NamedTuple

BINS = 24
FEWEST = 8
SIGNIFICANT_Z = 2.576  # 1 in 100, two-sided


class Outlook(NamedTuple):
    """``slope``: units per second. ``level``: the fitted value at ``mono_ns``, the newest bin's middle."""

    slope: float
    level: float
    mono_ns: int

    def seconds_to(self, low: float | None, high: float | None, now_ns: int) -> float | None:
        """How long from now until the fitted line leaves low..high; None when it is not heading there, 0 when
        it is outside already."""
        bound = high if self.slope > 0 else low
        if bound is None or self.slope == 0:
            return None
        return max(0.0, (bound - self.level) / self.slope - (now_ns - self.mono_ns) / 1e9)


class Trend:
    """Of one value over ``over_s``. ``put`` costs an append; the fit is made once per bin, that is 24 times
    per span, over at most 276 pairs."""

    __slots__ = ("_bin", "_bin_ns", "_points", "_values", "outlook")

    def __init__(self, over_s: float) -> None:
        self._bin_ns = max(1, round(over_s * 1e9 / BINS))
        self.clear()

    def clear(self) -> None:
        """After a gap: what was before it says nothing about what comes."""
        self._bin: int | None = None
        self._values: list[float] = []
        self._points: deque[tuple[int, float]] = deque(maxlen=BINS)
        self.outlook: Outlook | None = None

    @property
    def known(self) -> bool:
        """Whether there are enough readings to say that there is no trend."""
        return len(self._points) >= FEWEST

    def put(self, mono_ns: int, value: float) -> bool:
        """True when a bin was completed and ``outlook`` is new."""
        number = mono_ns // self._bin_ns
        if self._bin is None:
            self._bin = number
        complete = number > self._bin
        if complete:
            self._close(number)
        self._values.append(value)
        return complete

    def _close(self, number: int) -> None:
        assert self._bin is not None
        self._points.append((self._bin, median(self._values)))
        self._values.clear()
        self._bin = number
        while self._points and number - self._points[0][0] > BINS:
            self._points.popleft()
        self.outlook = self._fit()

    def _fit(self) -> Outlook | None:
        points = list(self._points)
        if not self.known:
            return None
        pairs = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :]]
        rising = sum((slope > 0) - (slope < 0) for slope in pairs)
        if abs(_z(rising, [y for _, y in points])) < SIGNIFICANT_Z:
            return None
        slope = median(pairs)
        newest = points[-1][0]
        level = median(y + slope * (newest - x) for x, y in points)
        middle_ns = newest * self._bin_ns + self._bin_ns // 2
        return Outlook(slope / self._bin_ns * 1e9, level, middle_ns)


def _z(rising: int, values: list[float]) -> float:
    """The statistic of Mann and Kendall, corrected for ties and for continuity."""
    n = len(values)
    ties = [values.count(value) for value in set(values)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0 or rising == 0:
        return 0.0
    return (rising - math.copysign(1, rising)) / math.sqrt(variance)

"""An individuals chart (ISO 7870-2, GB/T 17989.2): centre and sigma from the past, Nelson's rules on the
present, and how capable the process is of staying within its limits."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

FEWEST = 25
KEPT = 100
LOOKED_AT = 9  # the longest run a rule needs; the past begins before it
RANGE_TO_SIGMA = 1.128  # d2 for the range of two


class Capability(NamedTuple):
    """``cp`` is None for a window with one limit only."""

    cp: float | None
    cpk: float


class Chart:
    """``rules``: of 1, 2, 3, 5 and 6, which are looked at."""

    __slots__ = ("_past", "_recent", "_rules")

    def __init__(self, rules: tuple[int, ...] = ()) -> None:
        self._rules = frozenset(rules)
        self._past: deque[float] = deque(maxlen=KEPT)
        self._recent: deque[float] = deque(maxlen=LOOKED_AT)

    def interrupt(self) -> None:
        """After a gap: no run of points reaches across it; what the process was like stays known."""
        self._past.extend(self._recent)
        self._recent.clear()

    def clear(self) -> None:
        self._past.clear()
        self._recent.clear()

    @property
    def ready(self) -> bool:
        return len(self._past) >= FEWEST

    def put(self, value: float) -> tuple[int, ...]:
        """Takes the next point; the numbers of the rules it breaks, none before 25 points of the past."""
        if len(self._recent) == LOOKED_AT:
            self._past.append(self._recent[0])
        self._recent.append(value)
        spread = self._spread()
        if spread is None:
            return ()
        centre, sigma = spread
        away = [(point - centre) / sigma for point in self._recent]
        return tuple(sorted(rule for rule in self._rules if _RULES[rule](away)))

    def _spread(self) -> tuple[float, float] | None:
        if not self.ready:
            return None
        past = list(self._past)
        sigma = fmean([abs(b - a) for a, b in pairwise(past)]) / RANGE_TO_SIGMA
        return (fmean(past), sigma) if sigma > 0 else None

    def capability(self, low: float | None, high: float | None) -> Capability | None:
        """Of all points kept, against limits in the unit of the points; None before there are 25, without
        any spread, or without limits."""
        points = [*self._past, *self._recent]
        if len(points) < FEWEST or (low is None and high is None):
            return None
        sigma = fmean([abs(b - a) for a, b in pairwise(points)]) / RANGE_TO_SIGMA
        if sigma <= 0:
            return None
        mean = fmean(points)
        sides = [] if high is None else [high - mean]
        sides += [] if low is None else [mean - low]
        cp = None if low is None or high is None else (high - low) / (6 * sigma)
        return Capability(cp, min(sides) / (3 * sigma))


def _beyond(away: list[float]) -> bool:
    """1: the newest point is more than three sigma away."""
    return abs(away[-1]) > 3


def _one_sided(away: list[float]) -> bool:
    """2: nine in a row on one side."""
    return len(away) >= 9 and (min(away[-9:]) > 0 or max(away[-9:]) < 0)


def _trending(away: list[float]) -> bool:
    """3: six in a row, each above, or each below, the one before."""
    steps = [b - a for a, b in pairwise(away[-6:])]
    return len(steps) == 5 and (min(steps) > 0 or max(steps) < 0)


def _two_of_three(away: list[float]) -> bool:
    """5: two of three more than two sigma away, on one side; the newest is one of them."""
    return _several(away, 3, 2, 2.0)


def _four_of_five(away: list[float]) -> bool:
    """6: four of five more than one sigma away, on one side; the newest is one of them."""
    return _several(away, 5, 4, 1.0)


def _several(away: list[float], run: int, needed: int, sigmas: float) -> bool:
    last = away[-run:]
    if len(last) < run:
        return False
    side = 1 if away[-1] > 0 else -1
    return side * away[-1] > sigmas and sum(side * point > sigmas for point in last) >= needed


_RULES = {1: _beyond, 2: _one_sided, 3: _trending, 5: _two_of_three, 6: _four_of_five}
RULES = tuple(_RULES)

"""The early warnings of one window, from its readings to two conditions that come and go."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.config.model import Early, LimitKind
from edge_agent.control.early.pattern import Capability, Chart
from edge_agent.control.early.trend import Trend

_EASED = 1.5  # a warning ends when the limit is this much further away than it warns of


class Advice(NamedTuple):
    """``active`` is what the condition is from now on. ``value``: minutes to the limit, or the number of the
    broken rule; None when it ends."""

    kind: LimitKind
    active: bool
    value: float | None
    reason: str


class EarlyWatch:
    """Takes readings in engineering units while the window is in or out; ``interrupt`` for anything else.
    ``centre`` is the target in force (0 without one): the chart follows deviations from it, so that a new
    set-point is no change of behaviour."""

    __slots__ = ("_active", "_ahead_s", "_chart", "_every_ns", "_next_ns", "_trend")

    def __init__(self, early: Early) -> None:
        self._ahead_s = early.ahead_s
        self._trend = Trend(early.over_s) if early.ahead_s is not None else None
        self._chart = Chart(early.rules)
        self._every_ns = round(early.every_s * 1e9)
        self._next_ns: int | None = None
        self._active: set[LimitKind] = set()

    def interrupt(self) -> None:
        """The window is unknown or suppressed: what holds is kept, what was seen does not reach across."""
        if self._trend is not None:
            self._trend.clear()
        self._chart.interrupt()
        self._next_ns = None

    def put(
        self, mono_ns: int, value: float, low: float | None, high: float | None, centre: float = 0.0
    ) -> list[Advice]:
        """What changes with this reading. ``low``, ``high``: the nearest limits in force."""
        told: list[Advice] = []
        if self._trend is not None and self._trend.put(mono_ns, value):
            told += self._look_ahead(mono_ns, low, high)
        if self._next_ns is None or mono_ns >= self._next_ns:
            self._next_ns = (self._next_ns or mono_ns) + self._every_ns
            if self._next_ns <= mono_ns:
                self._next_ns = mono_ns + self._every_ns
            told += self._look_back(self._chart.put(value - centre))
        return told

    def _look_ahead(self, mono_ns: int, low: float | None, high: float | None) -> list[Advice]:
        assert self._trend is not None and self._ahead_s is not None
        outlook = self._trend.outlook
        left_s = None if outlook is None else outlook.seconds_to(low, high, mono_ns)
        was = LimitKind.EARLY in self._active
        soon = left_s is not None and left_s <= self._ahead_s * (_EASED if was else 1.0)
        if soon == was or not self._trend.known:
            return []
        if not soon:
            return [self._tell(LimitKind.EARLY, None, "no limit is near")]
        assert left_s is not None and outlook is not None
        side = "high" if outlook.slope > 0 else "low"
        return [self._tell(LimitKind.EARLY, round(left_s / 60, 2), f"{side} limit in {left_s / 60:.1f} min")]

    def _look_back(self, broken: tuple[int, ...]) -> list[Advice]:
        was = LimitKind.PATTERN in self._active
        if bool(broken) == was or (not self._chart.ready and was):
            return []
        if not broken:
            return [self._tell(LimitKind.PATTERN, None, "the pattern has ended")]
        return [self._tell(LimitKind.PATTERN, broken[0], "Nelson " + ", ".join(map(str, broken)))]

    def _tell(self, kind: LimitKind, value: float | None, reason: str) -> Advice:
        active = value is not None
        (self._active.add if active else self._active.discard)(kind)
        return Advice(kind, active, value, reason)

    def resume(self, active: set[LimitKind]) -> None:
        """After a restart: the warnings that held."""
        self._active = active & {LimitKind.EARLY, LimitKind.PATTERN}

    def minutes_left(self, low: float | None, high: float | None, now_ns: int) -> float | None:
        """For people: when the nearest limit will be reached as things are going; None without a trend."""
        outlook = self._trend.outlook if self._trend is not None else None
        left_s = None if outlook is None else outlook.seconds_to(low, high, now_ns)
        return None if left_s is None else left_s / 60

    def capability(self, low: float | None, high: float | None, centre: float = 0.0) -> Capability | None:
        return self._chart.capability(
            None if low is None else low - centre, None if high is None else high - centre
        )

"""Rates of change, as RISE, FALL and ``plausible.slope`` need them.

    over 0   between a statement and the one before it
    over 60  between a statement and the oldest one that is not more than 60 s older; not known before half
             of that time has been seen

Rates are compared as changes with ``limit * time``, inclusive: what rounding of the values can add to their
difference does not count (see ``limits.py``).
"""

from __future__ import annotations

import math
from array import array

from edge_agent.config.model import LimitKind
from edge_agent.control.inputs import Meaning
from edge_agent.control.terms import Measure, Number, Rule
from edge_agent.model import ValueType

_ROUNDINGS = 8  # each of two values may be off by four units in the last place
_HALF_FLOAT32_STEP = 2.0**28  # a float32 has 29 bits less than a float64
_MANY = 64  # old readings that may lie about before they are thrown away


class Rate:
    """``change`` in ``elapsed_ns`` up to the last statement, ``value``; 0 ns: not known."""

    __slots__ = ("change", "elapsed_ns", "measure", "value")

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.value: Number = 0
        self.change: Number = 0
        self.elapsed_ns = 0

    def add(self, mono_ns: int, value: Number) -> bool:
        """The next statement. True where its rate may be beyond a limit."""
        raise NotImplementedError

    def forget(self) -> None:
        """The next statement is the first one again."""
        self.elapsed_ns = 0

    def side(self, rule: Rule, meaning: Meaning) -> tuple[bool, bool] | None:
        """Whether it is outside the limit, and whether clear of it; None while it is not known."""
        elapsed_ns = self.elapsed_ns
        if not elapsed_ns or rule.value is None:
            return None
        change = self.change if rule.kind is LimitKind.RISE else -self.change
        outside = exceeds(change, rule.value, elapsed_ns, self.value, meaning)
        return outside, not exceeds(change, rule.value - rule.deadband, elapsed_ns, self.value, meaning)


class StepRate(Rate):
    """Between two statements."""

    __slots__ = ("_mono_ns",)

    def __init__(self, measure: Measure) -> None:
        super().__init__(measure)
        self._mono_ns: int | None = None

    def add(self, mono_ns: int, value: Number) -> bool:
        before_ns, self._mono_ns = self._mono_ns, mono_ns
        if before_ns is None or mono_ns <= before_ns:
            self.value, self.elapsed_ns = value, 0
            return False
        self.elapsed_ns = elapsed_ns = mono_ns - before_ns
        self.change = change = value - self.value
        self.value = value
        _, rise, fall = self.measure
        return not -fall * elapsed_ns <= change <= rise * elapsed_ns

    def forget(self) -> None:
        self._mono_ns, self.elapsed_ns = None, 0


class SpanRate(Rate):
    """Over a span of time. Holds sixteen bytes per statement of that span."""

    __slots__ = ("_first", "_newest_ns", "_times", "_values")

    def __init__(self, measure: Measure) -> None:
        super().__init__(measure)
        self._times = array("q")
        self._values = array("d")
        self._first = self._newest_ns = 0

    def add(self, mono_ns: int, value: Number) -> bool:
        times = self._times
        if mono_ns < self._newest_ns:  # the tag has moved to a poll group that is behind
            self.forget()
        self._newest_ns = mono_ns
        times.append(mono_ns)
        self._values.append(value)
        first, (over_ns, rise, fall) = self._first, self.measure
        oldest_ns = mono_ns - over_ns
        while times[first] < oldest_ns:
            first += 1
        if first > _MANY and first > len(times) >> 1:
            del times[:first], self._values[:first]
            first = 0
        self._first = first
        elapsed_ns = mono_ns - times[first]
        self.value = value
        if elapsed_ns * 2 < over_ns:
            self.elapsed_ns = 0
            return False
        self.elapsed_ns = elapsed_ns
        self.change = change = value - self._values[first]
        return not -fall * elapsed_ns <= change <= rise * elapsed_ns

    def forget(self) -> None:
        del self._times[:], self._values[:]
        self._first = self._newest_ns = self.elapsed_ns = 0


def rate_of(measure: Measure) -> Rate:
    return SpanRate(measure) if measure.over_ns else StepRate(measure)


def exceeds(change: Number, per_s: float, elapsed_ns: int, value: Number, meaning: Meaning) -> bool:
    """Whether the change that ended at ``value`` is more than ``per_s`` allows in that time."""
    allowed = per_s * elapsed_ns / 1e9
    return change > allowed and change > allowed + _blur(allowed, change, value, meaning)


def _blur(allowed: float, change: Number, value: Number, meaning: Meaning) -> float:
    """By how much the difference of two values may miss that of the numbers a person would write."""
    type_, scaling = meaning
    scale, offset = (1.0, 0.0) if scaling is None else (scaling.scale, scaling.offset)
    largest = max(abs(value), abs(value) + abs(change))
    blur = _ROUNDINGS * math.ulp(float(max(largest, abs(offset), abs(allowed))))
    if type_ is ValueType.FLOAT32 and scale != 0:
        blur += 2 * math.ulp((largest + abs(offset)) / abs(scale)) * _HALF_FLOAT32_STEP * abs(scale)
    return blur

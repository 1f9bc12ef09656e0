"""What is looked at beside a tag: the flow that weighs it, the states that say it is being looked after."""

from __future__ import annotations

from edge_agent.accounting.calendar import HOUR
from edge_agent.config.period_values import Beside
from edge_agent.expression.rating import BAD, NO_STATEMENT
from edge_agent.model import Quality, Value, engineering

_KEPT_NS = 2 * HOUR
_UNCHANGED = int(Quality.UNCHANGED)


class Watched:
    """The last word about another tag, in engineering units, and when it was on."""

    __slots__ = ("_max_age_ns", "_of", "_on", "_said_ns", "_value")

    def __init__(self, of: Beside) -> None:
        self._of = of
        self._max_age_ns = round(of.max_age_s * 1e9)
        self._value: float | None = None
        self._said_ns = 0
        self._on: list[list[int]] = []  # spans, half open

    def say(self, time_ns: int, value: Value, quality: int) -> None:
        if quality == _UNCHANGED:
            value, quality = self._value, 0
        elif quality < NO_STATEMENT:
            value = engineering(value, self._of.scaling)
        else:
            return
        usable = quality < BAD and isinstance(value, (bool, int, float))
        self._value = float(value) if usable and not isinstance(value, (str, type(None))) else None
        self._said_ns = time_ns
        self._note(time_ns)

    def at(self, time_ns: int) -> float | None:
        """The weight of a sample of that moment; None where it is unknown or no weight."""
        if self._value is None or not 0 <= time_ns - self._said_ns <= self._max_age_ns or self._value < 0:
            return None
        return self._value

    def was_on(self, start_ns: int, end_ns: int) -> bool:
        """At any moment of the period."""
        return any(begin < end_ns and end > start_ns for begin, end in self._on)

    def _note(self, time_ns: int) -> None:
        on = self._value is not None and (
            self._value in self._of.values if self._of.values else self._value != 0
        )
        if self._on and self._on[-1][1] > time_ns >= self._on[-1][0]:
            self._on[-1][1] = time_ns  # as far as was known before
            if self._on[-1][0] == time_ns:
                self._on.pop()
        if on:
            until_ns = time_ns + max(self._max_age_ns, 1)
            if self._on and self._on[-1][1] == time_ns:
                self._on[-1][1] = until_ns
            else:
                self._on.append([time_ns, until_ns])
        while self._on and self._on[0][1] < time_ns - _KEPT_NS:
            del self._on[0]

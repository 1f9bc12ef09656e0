"""When a station stops answering: how often it is still asked.

Closed: asked normally. After ``THRESHOLD`` silences in a row: open, asked by single probes only. A probe that
is answered half-opens it: the next silence opens it again at once, until a whole read was answered. All dead
stations of one link share one probe budget, so that together they use at most 5 % of the link's time.
"""

from __future__ import annotations

THRESHOLD = 3
BUDGET = 0.05
PROBE_MIN_S = 1.0
PROBE_MAX_S = 5.0  # what it costs the link is bounded by the budget: waiting longer only delays recovery
PROBE_SLACK_NS = 1_000_000_000  # a probe's deadline after it fell due: a busy link must not starve it


class Breaker:
    """One station's. Times are monotonic nanoseconds."""

    __slots__ = ("probe_at_ns", "silences", "tries")

    def __init__(self) -> None:
        self.silences = 0
        self.tries = 0
        self.probe_at_ns = 0

    @property
    def open(self) -> bool:
        return self.silences >= THRESHOLD

    def answered(self) -> None:
        """One exchange of a read was. Since a probe closed the breaker that is not enough: a station that
        answers short requests and none of the long ones would cost the link a time-out in every poll."""
        if not self.tries:
            self.silences = 0

    def settled(self) -> None:
        """A whole read was answered."""
        self.silences = self.tries = 0

    def silent(self, now_ns: int) -> bool:
        """One more silence; True when this one opened the breaker."""
        was_open = self.open
        self.silences += 1
        if self.open:
            delay_s = min(PROBE_MAX_S, PROBE_MIN_S * 2 ** min(self.tries, 6))
            self.probe_at_ns = now_ns + round(delay_s * 1e9)
            self.tries += 1
        return self.open and not was_open

    def half_open(self) -> None:
        """After a probe that was answered."""
        self.silences = min(self.silences, THRESHOLD - 1)

    def anew(self) -> None:
        """After a new connection: one normal try, whose silence opens it again at once."""
        self.half_open()
        self.tries = 0


class ProbeBudget:
    """One link's: after a probe that cost ``d`` seconds the link is left alone by probes for 19 x d."""

    __slots__ = ("_free_at_ns",)

    def __init__(self) -> None:
        self._free_at_ns = 0

    def free_at_ns(self, probe_at_ns: int) -> int:
        return max(self._free_at_ns, probe_at_ns)

    def spent(self, now_ns: int, cost_ns: int) -> None:
        self._free_at_ns = max(now_ns, self._free_at_ns) + round(cost_ns * (1 / BUDGET - 1))

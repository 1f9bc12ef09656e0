"""How long to wait before the next try."""

from __future__ import annotations

from random import Random

MAX_DOUBLINGS = 16


class Backoff:
    """Full jitter: between 0 and a bound that doubles with every failure, up to ``cap_s``. Agents that lost
    their park at the same moment therefore do not come back at the same moment."""

    def __init__(self, random: Random, base_s: float, cap_s: float) -> None:
        self._random = random
        self._base_s = base_s
        self._cap_s = cap_s
        self.failures = 0

    def next_s(self) -> float:
        """Counts a failure and gives the wait after it."""
        delay_s = self.delay_s(self.failures)
        self.failures += 1
        return delay_s

    def delay_s(self, failures: int) -> float:
        bound_s = min(self._cap_s, self._base_s * 2.0 ** min(failures, MAX_DOUBLINGS))
        return self._random.uniform(0.0, bound_s)

    def reset(self) -> None:
        self.failures = 0

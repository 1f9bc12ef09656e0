"""Pacing of connection attempts: full-jitter back-off per link, and a common gate for all links."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from edge_agent.clock import Clock

CONNECTS_PER_S = 10


class ConnectGate:
    """At most ten connection attempts per second over all links together: when a switch reboots, fifty
    controllers are not all called at once. Callers pass in the order in which they came."""

    def __init__(self, clock: Clock, per_s: float = CONNECTS_PER_S) -> None:
        self._clock = clock
        self._gap_ns = round(1e9 / per_s)
        self._next_ns = 0

    async def wait(self) -> None:
        now = self._clock.mono_ns()
        turn = max(now, self._next_ns)
        self._next_ns = turn + self._gap_ns
        if turn > now:
            await self._clock.sleep_until(turn)


class Backoff:
    """Full jitter: a uniformly random share of a bound that doubles up to ``cap_s``."""

    def __init__(self, random: Random, *, base_s: float = 0.2, cap_s: float = 2.0) -> None:
        self._random = random
        self._base_s = base_s
        self._cap_s = cap_s
        self._tries = 0

    def reset(self) -> None:
        self._tries = 0

    def next_s(self) -> float:
        bound = min(self._cap_s, self._base_s * 2 ** min(self._tries, 16))
        self._tries += 1
        return self._random.uniform(0, bound)

"""What was sent, and what of it the connection has outlived. Pure.

Sparkplug data is sent once and never confirmed. What can be known is less, and is known like this: data goes
out at t; the broker answers a request that was sent at t + ``outlive_s`` or later, on the same connection.
Then the broker has all that went before on that connection, and had the host application lost its own
connection at t, the broker would have told us by then. Nothing younger counts as delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from edge_agent.uplink import Key


class Outlived:
    def __init__(self, outlive_s: float) -> None:
        self._outlive_ns = round(outlive_s * 1e9)
        self._waiting: deque[tuple[int, tuple[Key, ...]]] = deque()

    def sent(self, keys: Sequence[Key], mono_ns: int) -> None:
        """``mono_ns``: when the last of it was handed to the connection."""
        if keys:
            self._waiting.append((mono_ns, tuple(keys)))

    def proved(self, asked_ns: int) -> list[Key]:
        """What is confirmed by an answer of the broker to what it was asked at ``asked_ns`` (monotonic)."""
        confirmed: list[Key] = []
        while self._waiting and self._waiting[0][0] <= asked_ns - self._outlive_ns:
            confirmed += self._waiting.popleft()[1]
        return confirmed

    def due_ns(self) -> int | None:
        """When a proof would confirm something; None while nothing waits."""
        return self._waiting[0][0] + self._outlive_ns if self._waiting else None

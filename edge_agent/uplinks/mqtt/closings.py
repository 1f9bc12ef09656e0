"""Connections that a broker closes soon after it took them, without a word. Pure.

MQTT 3.1.1 cannot say "another client has your id": it closes the older connection, the older client connects
again, and both throw each other out for ever. So what was closed too often in a row is tried slowly. That may
hit a broker that is restarted three times within seconds, too: nothing is lost, it goes on within a minute.
"""

from __future__ import annotations

SHORT_LIFE_S = 30.0
"""A connection that lived longer was not thrown out by a rival that reconnects at once."""

MANY = 3
WITHIN_NS = 600_000_000_000
PAUSE_NS = 50_000_000_000
"""After so many closings: not sooner than this. Forwarding's own slow pace is a little longer."""


class Closings:
    """Moments by the monotonic clock. ``text`` is what is kept between connections, and over a restart."""

    def __init__(self, text: str = "") -> None:
        words = text.split()
        self._at_ns = [int(word) for word in words if word.isascii() and word.isdigit()][-MANY:]

    @property
    def text(self) -> str:
        return " ".join(str(at_ns) for at_ns in self._at_ns)

    def add(self, now_ns: int) -> None:
        self._at_ns = [*self._recent(now_ns), now_ns][-MANY:]

    def too_many(self, now_ns: int) -> bool:
        """Now is too soon for another try."""
        recent = self._recent(now_ns)
        return len(recent) >= MANY and now_ns - recent[-1] < PAUSE_NS

    def _recent(self, now_ns: int) -> list[int]:
        """A moment that is yet to come is one of before the machine was started."""
        return [at_ns for at_ns in self._at_ns if 0 <= now_ns - at_ns < WITHIN_NS]

"""Units that must not be sent just now, although the store would hand them out.

Pending ones wait for a confirmation, deferred ones for their next try. The store does not know of either: it
returns everything unsettled, oldest first, so forwarding asks for that many more and leaves these out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_agent.uplink import Envelope, Key

FORGET_AFTER_NS = 600_000_000_000


@dataclass(frozen=True, slots=True)
class Hold:
    """``until_ns``: monotonic. ``tries``: RETRY answers so far. ``session``: in which it went out."""

    item: Envelope
    until_ns: int
    tries: int = 0
    pending: bool = False
    session: int = 0


class Held:
    """A hold outlives its time, so that a late confirmation still finds its unit."""

    def __init__(self, mono_ns: Callable[[], int]) -> None:
        self._mono_ns = mono_ns
        self._holds: dict[Key, Hold] = {}
        self._session = 0

    def begin_session(self) -> None:
        self._session += 1

    def defer(self, item: Envelope, until_ns: int) -> None:
        self._put(Hold(item, until_ns, self.tries(item.key) + 1))

    def await_confirmation(self, item: Envelope, until_ns: int) -> None:
        self._put(Hold(item, until_ns, self.tries(item.key), pending=True, session=self._session))

    def release(self, key: Key) -> Envelope | None:
        """Takes it off the list; None when it was not on it."""
        hold = self._holds.pop(key, None)
        return hold.item if hold else None

    def tries(self, key: Key) -> int:
        hold = self._holds.get(key)
        return hold.tries if hold else 0

    def overdue(self, key: Key) -> bool:
        """Whether its confirmation was waited for in vain."""
        hold = self._holds.get(key)
        return hold is not None and hold.pending and hold.until_ns <= self._mono_ns()

    def active(self) -> list[Envelope]:
        """Those whose time has not come."""
        now = self._mono_ns()
        return [hold.item for hold in self._holds.values() if hold.until_ns > now]

    @property
    def awaits_confirmation(self) -> bool:
        """Whether something that went out in this session may still be confirmed in time."""
        now, session = self._mono_ns(), self._session
        return any(h.pending and h.session == session and h.until_ns > now for h in self._holds.values())

    def next_ns(self) -> int | None:
        """When the next one may go again."""
        now = self._mono_ns()
        return min((h.until_ns for h in self._holds.values() if h.until_ns > now), default=None)

    def lift_pending(self) -> None:
        """Nobody will confirm them any more: they may go again. A confirmation that still comes counts."""
        now = self._mono_ns()
        self._holds = {
            key: replace(hold, until_ns=min(hold.until_ns, now), pending=False) if hold.pending else hold
            for key, hold in self._holds.items()
        }

    def lift_deferrals(self) -> None:
        self._holds = {key: hold for key, hold in self._holds.items() if hold.pending}

    def _put(self, hold: Hold) -> None:
        limit = self._mono_ns() - FORGET_AFTER_NS  # the store may have given up a unit: it never comes back
        for key in [k for k, old in self._holds.items() if old.until_ns < limit]:
            del self._holds[key]
        self._holds[hold.item.key] = hold

"""What forwarding needs of a store. ``buffer.Buffer`` (samples) and ``buffer.EventStore`` (events) are one.

Keys move one way: committed -> acknowledged, or quarantined, or lost (quota, removed uplink) with a row in
the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edge_agent.uplink import Envelope, Key, Lane


class Store(Protocol):
    """One stream of committed units with a position per uplink. All calls come from the event loop."""

    @property
    def stream(self) -> str: ...

    def watch(self, callback: Callable[[], None]) -> None:
        """``callback`` runs in the event loop after every commit that added something."""
        ...

    def unwatch(self, callback: Callable[[], None]) -> None:
        """Ends that; a callback that is not known is ignored."""
        ...

    async def take(self, uplink: str, lane: Lane, *, max_items: int, max_samples: int) -> Sequence[Envelope]:
        """Units this uplink has not settled, oldest first within the lane. LIVE: those of the newest commit
        only. BACKLOG: all older ones. Taking changes nothing: what is not settled is returned again."""
        ...

    def acknowledge(self, uplink: str, keys: Sequence[Key]) -> None:
        """Settled in memory at once; durable with the next commit (a crash in between merely sends again)."""
        ...

    def quarantine(self, uplink: str, key: Key, reason: str) -> None:
        """Set aside for this uplink: no longer pending, kept on disk, counted, never sent by itself."""
        ...

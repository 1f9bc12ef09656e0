"""How much room a store may take, and how room is made.

    70 %   of the quota: a warning
    85 %   held by what is not delivered: new readings are thinned, until it is below 80 %; never events and
           period values
    95 %   the oldest goes: delivered data first, then, into the ledger, what is not delivered

The quota in force is the configured one, or less where the disk has less: below the floor of free space the
file does not grow any more, and its freed pages are used again. It grows again as soon as there is room.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from edge_agent.buffer.ballast import Ballast, Disk
from edge_agent.buffer.database import PAGE
from edge_agent.buffer.retention import Retention
from edge_agent.buffer.vault import Vault

WARN, RELAX, THIN, FULL = 0.70, 0.80, 0.85, 0.95
_DELETIONS = 500  # per flush
_SLACK = 8 * PAGE
_LEAST = 1_000_000  # what a store may take of any disk
_FLOOR_SHARE, _FLOOR_MOST = 20, 200_000_000
_MINUTE_NS = 60_000_000_000
_MINUTES = 60


class Room:
    """``free_bytes``: the floor; None: a twentieth of the disk, at most 200 MB. ``thins``: what it holds can
    be thinned."""

    def __init__(
        self,
        directory: Path,
        vault: Vault,
        retention: Retention,
        quota_bytes: int,
        free_bytes: int | None,
        *,
        thins: bool = False,
    ) -> None:
        self.ballast = Ballast(directory)
        self.disk: Disk | None = None
        self.held = False  # the ballast is in its place
        self.thinning = False
        self._thins = thins
        self._directory = directory
        self._vault = vault
        self._retention = retention
        self._configured = quota_bytes
        self._free_bytes = free_bytes
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MINUTES + 1)  # monotonic time, head

    @property
    def floor_bytes(self) -> int:
        if self._free_bytes is not None or self.disk is None:
            return self._free_bytes or 0
        return min(self.disk.total // _FLOOR_SHARE, _FLOOR_MOST)

    @property
    def quota_bytes(self) -> int:
        """In force now."""
        if self.disk is None:
            return self._configured
        spare = max(self.disk.free - self.floor_bytes, 0)
        return min(self._configured, max(self._vault.usage.file_bytes + spare, _LEAST))

    @property
    def unsettled_bytes(self) -> int:
        """About what is held by data that somebody has not settled."""
        accounts, used = self._vault.accounts, self._vault.usage.used_bytes
        stored = accounts.store.pending_segments
        free = sum(last - first + 1 for first, last in accounts.history(accounts.head))
        return used * max(stored - free, 0) // max(stored, 1)

    def survey(self) -> None:
        """In the writer thread, before a commit. A disk that does not answer keeps its last figures."""
        try:
            self.disk = Disk.of(self._directory)
            self.held = self.ballast.make(self.disk, self.floor_bytes)
        except OSError:
            return

    async def make(self, incoming_bytes: int, last: int, mono_ns: int, *, beyond: int = 0) -> None:
        """Chooses what the next commit deletes, up to the number ``last``; ``beyond``: at least so many units
        in any case. Raises StorageError."""
        vault = self._vault
        quota, used = self.quota_bytes, vault.usage.used_bytes
        stored = vault.accounts.store.pending_segments
        excess = used + incoming_bytes + _SLACK - int(quota * FULL)
        over = max(-(-excess * stored // max(used, 1)), beyond, 0)
        wanted = over
        if vault.full:  # the disk, not the quota: history makes room, what was not delivered does not
            wanted = max(wanted, 16 + stored // 100)
        vault.tight = self.disk is not None and self.disk.free < self.floor_bytes
        await self._retention.choose(min(wanted, _DELETIONS), last, unsettled=over > 0)
        share = self.unsettled_bytes / quota
        self.thinning = self._thins and share >= (RELAX if self.thinning else THIN)
        self._mark(mono_ns)

    def _mark(self, mono_ns: int) -> None:
        if not self._marks or mono_ns - self._marks[-1][0] >= _MINUTE_NS:
            self._marks.append((mono_ns, self._vault.accounts.head))

    def forget(self) -> None:
        """Another file: numbers may begin anew."""
        self._marks.clear()

    def outlook(self, mono_ns: int) -> dict[str, Any]:
        """``outage_hours_left``: until the oldest undelivered data goes, at the rate of the last hour, if
        nothing is delivered from now on; None until a minute has been measured, or while nothing comes."""
        quota, used = self.quota_bytes, self._vault.usage.used_bytes
        unsettled = self.unsettled_bytes
        return {
            "quota_bytes": quota,
            "quota_configured_bytes": self._configured,
            "quota_used_ratio": round(used / quota, 4),
            "unsent_bytes": unsettled,
            "unsent_ratio": round(unsettled / quota, 4),
            "quota_warning": unsettled >= quota * WARN,
            "thinning": self.thinning,
            "outage_hours_left": self._hours_left(quota, unsettled, mono_ns),
            "disk_free_bytes": None if self.disk is None else self.disk.free,
            "disk_floor_bytes": self.floor_bytes,
            "ballast": self.held,
        }

    def _hours_left(self, quota: int, unsettled: int, mono_ns: int) -> float | None:
        accounts, used = self._vault.accounts, self._vault.usage.used_bytes
        stored = accounts.store.pending_segments
        if not self._marks or mono_ns - self._marks[0][0] < _MINUTE_NS or not stored:
            return None
        since_ns, head = self._marks[0]
        hours = (mono_ns - since_ns) / 3.6e12
        rate = (accounts.head - head) / hours * used / stored
        return round(max(quota * FULL - unsettled, 0) / rate, 1) if rate > 0 else None

"""Everything the guard remembers beyond a restart: counts, last values, reverts, lock-outs, the kill switch.

Rows: ``write:*`` for the agent as a whole, ``write:DEVICE`` for a device, ``write:DEVICE.TAG`` for a tag.
Never a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Writable, Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.ledger import Days, DeviceLedger, TagLedger
from edge_agent.control.guard.refusal import Reason
from edge_agent.control.guard.request import ANNUNCIATION, HEARTBEAT

PREFIX = "write:"
WHOLE = "write:*"


class Books:
    """``killed_by``: who set the kill switch, empty while it is off."""

    def __init__(self) -> None:
        self.tags: dict[TagRef, TagLedger] = {}
        self.devices: dict[str, DeviceLedger] = {}
        self.whole = Days()
        self.killed_by = ""
        self._touched: set[str] = set()

    def tag(self, ref: TagRef) -> TagLedger:
        """For changing it: its row counts as changed."""
        self._touched.add(f"{PREFIX}{ref}")
        return self.tags.setdefault(ref, TagLedger())

    def device(self, name: str) -> DeviceLedger:
        """For changing it."""
        self._touched.add(f"{PREFIX}{name}")
        return self.devices.setdefault(name, DeviceLedger())

    def lock_of(self, device: str) -> DeviceLedger | None:
        found = self.devices.get(device)
        return found if found is not None and found.locked else None

    def kill(self, user: str) -> None:
        self.killed_by = user
        self._touched.add(WHOLE)

    # --- budgets -------------------------------------------------------------------------------------------

    def charge(self, ref: TagRef, who: str, time_ns: int, by: int = 1) -> None:
        """Heartbeats cost nothing; what annunciates costs its tag alone, so that alarms never use up what
        people may write."""
        if who == HEARTBEAT:
            return
        self.tag(ref).days.add(time_ns, by)
        if who != ANNUNCIATION:
            self.whole.add(time_ns, by)
            self._touched.add(WHOLE)

    def full(
        self, writable: Writable, writing: Writing, who: str, time_ns: int, need: int
    ) -> tuple[Reason, int] | None:
        """Whether ``need`` further writes do not fit into a budget, and which. What other tags will need for
        their reverts counts as written already; that of the tag itself does not: the request is a part of it
        or takes its place."""
        if who == HEARTBEAT:
            return None
        ledger = self.tags.get(writable.tag)
        used = ledger.days.count(time_ns) if ledger else 0
        own = ledger.reserved if ledger else 0
        if used + need > writable.per_day:
            return Reason.BUDGET_TAG, writable.per_day
        others = sum(other.reserved for other in self.tags.values()) - own
        if who != ANNUNCIATION and self.whole.count(time_ns) + others + need > writing.per_day:
            return Reason.BUDGET_ALL, writing.per_day
        return None

    # --- rows ----------------------------------------------------------------------------------------------

    def changed(self, at: Moment) -> dict[str, Any]:
        """The rows changed since the last call."""
        touched, self._touched = self._touched, set()
        return {key: self._row(key, at) for key in sorted(touched)}

    def snapshot(self, at: Moment) -> dict[str, Any]:
        """Every row that is not at rest."""
        keys = [
            WHOLE,
            *(f"{PREFIX}{name}" for name in self.devices),
            *(f"{PREFIX}{ref}" for ref in self.tags),
        ]
        rows = {key: self._row(key, at) for key in keys}
        return {key: row for key, row in rows.items() if row is not None}

    def restore(self, states: Mapping[str, Any], at: Moment) -> None:
        """Takes its own rows out of all that were stored. A row that cannot be read counts as a lock-out of
        its device, never as permission."""
        for key, row in states.items():
            if not key.startswith(PREFIX) or row is None:
                continue
            device, dot, tag = key.removeprefix(PREFIX).partition(".")
            try:
                self._take(key, device, tag if dot else "", row, at)
            except (KeyError, TypeError, ValueError, AttributeError):
                if key == WHOLE:
                    self.killed_by = "unreadable state"
                else:
                    self.devices[device] = DeviceLedger(0, "its stored state cannot be read", at.time_ns)

    def _take(self, key: str, device: str, tag: str, row: Mapping[str, Any], at: Moment) -> None:
        if key == WHOLE:
            self.whole, self.killed_by = Days(row["days"]), str(row["killed_by"])
        elif tag:
            self.tags[TagRef(device, tag)] = TagLedger.of(row, at)
        elif device not in self.devices:
            self.devices[device] = DeviceLedger(
                int(row["failures"]), str(row["locked"]), int(row["since_ns"])
            )

    def _row(self, key: str, at: Moment) -> dict[str, Any] | None:
        if key == WHOLE:
            return {"days": self.whole.row(), "killed_by": self.killed_by}
        device, dot, tag = key.removeprefix(PREFIX).partition(".")
        if not dot:
            return self.devices[device].row() if device in self.devices else None
        ledger = self.tags.get(TagRef(device, tag))
        return ledger.row(at) if ledger else None

"""Whether a destination takes data, for the page, the log and the event record. Each change is said once."""

from __future__ import annotations

from collections import Counter

from edge_agent.clock import Clock
from edge_agent.forwarding.host import Hooks, Speaker
from edge_agent.status import UplinkRow

UNREACHABLE = "unreachable"
DENIED = "denied"
TOO_LARGE = "too_large"
UNACCEPTABLE = "unacceptable"
REJECTED = "rejected"
RETRY = "retry"
UNCONFIRMED = "unconfirmed"
STORAGE = "storage"
BUG = "bug"
LABELS = (UNREACHABLE, DENIED, TOO_LARGE, UNACCEPTABLE, REJECTED, RETRY, UNCONFIRMED, STORAGE, BUG)
"""Why a message failed: the labels of ``edgeagent_uplink_send_failures_total``."""


class Standing:
    def __init__(self, row: UplinkRow, clock: Clock, log: Speaker, hooks: Hooks) -> None:
        self._row = row
        self._clock = clock
        self._log = log
        self._hooks = hooks
        self._said: set[str] = set()

    def opened(self) -> None:
        """Before anything was delivered nothing is known."""
        if not self._row.since_ns:
            self._row.turn(False, "connected, nothing delivered yet", self._clock.time_ns())

    def failed(self, label: str) -> None:
        """Counts a message that failed, without a statement about the destination."""
        failures: Counter[str] = self._row.failures
        failures[label] += 1

    def down(self, label: str, reason: str) -> None:
        """A refusal of credentials becomes an event, once until the next success."""
        self._row.turn(False, reason, self._clock.time_ns())
        about = {"uplink": self._row.name, "endpoint": self._row.endpoint}
        if not self._said:
            self._log.broke(self._key, f"{self._row.name} takes no data: {reason}", cause=label, **about)
        if label == DENIED and DENIED not in self._said:
            self._hooks.event("uplink_denied", self._row.name, {"reason": reason, **about})
        self._said.add(label)

    def works(self, *, confirmed: bool) -> None:
        """A unit has just been settled by the destination's word, a confirmation or a rejection."""
        now = self._clock.time_ns()
        if confirmed:
            self._row.last_success_ns = now
        self._row.turn(True, "", now)
        if self._said:
            self._said.clear()
            self._log.healed(self._key, f"{self._row.name} takes data again", uplink=self._row.name)

    @property
    def _key(self) -> str:
        return f"uplink/{self._row.name}"

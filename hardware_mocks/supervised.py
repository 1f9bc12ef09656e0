"""What the controller's own logic makes of a supervisor that writes to it: local or remote, and a heartbeat.

A set-point from outside is taken in remote and while the supervisor is alive; else the write is acknowledged
and the value stays, as in many PLC programs. The heartbeat is watched from its first change on: unless it
changes at least every ``period_s``, three beats long, the set-points go back to the controller's own and stay
there until the heartbeat changes again and a new value is written. Horn and lamp go off as well.
"""

from __future__ import annotations

MISSED = 3
BEAT_S = 1.0


class Heartbeat:
    """``period_s``: within which it should change. ``lost``: it has not, ``MISSED`` times; ``losses`` counts
    how often that happened."""

    def __init__(self, period_s: float = BEAT_S) -> None:
        self.period_s = period_s
        self.value = 0
        self.watched = False
        self.lost = False
        self.losses = 0
        self.beats = 0
        self._changed_s = 0.0

    def beat(self, value: int, now_s: float) -> None:
        if value == self.value:
            return
        self.value = value
        self.beats += 1
        self.watched, self.lost, self._changed_s = True, False, now_s

    def look(self, now_s: float) -> bool:
        """True at the moment at which it is lost."""
        if not self.watched or self.lost or now_s - self._changed_s < MISSED * self.period_s:
            return False
        self.lost = True
        self.losses += 1
        return True

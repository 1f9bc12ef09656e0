"""What horns and lamps should be."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.config.model import Output, Priority, TagRef
from edge_agent.control.alarms.alarm import Alarm


class Horns:
    """Alarms that are shelved, suppressed or out of service ask for nothing. A silence holds until the next
    annunciation."""

    __slots__ = ("_highest", "silent")

    def __init__(self) -> None:
        self.silent = False
        self._highest: tuple[Priority | None, Priority | None] | None = None  # unacknowledged; active

    def changed(self) -> None:
        """Some alarm is not what it was."""
        self._highest = None

    def demand(self, outputs: Iterable[Output], alarms: Iterable[Alarm]) -> dict[TagRef, bool]:
        if self._highest is None:
            self._highest = _highest(alarms)
        unacked, active = self._highest
        return {
            output.tag: _reaches(active if output.active else unacked, output.priority)
            and not (output.silence and self.silent)
            for output in outputs
        }


def _highest(alarms: Iterable[Alarm]) -> tuple[Priority | None, Priority | None]:
    uncovered = [alarm for alarm in alarms if not alarm.bits.overlay]
    unacked = (alarm.rule.priority for alarm in uncovered if not alarm.bits.acked)
    active = (alarm.rule.priority for alarm in uncovered if alarm.bits.active)
    return max(unacked, default=None), max(active, default=None)


def _reaches(priority: Priority | None, at_least: Priority) -> bool:
    return priority is not None and priority >= at_least

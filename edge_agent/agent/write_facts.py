"""What the guard asks of the running agent: newest readings, devices up, critical alarms, heartbeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.config.model import Priority, TagRef
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Beats
from edge_agent.model import Quality

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.model import Value
    from edge_agent.status import Board, DeviceRow, GroupRow

_CRITICAL = Priority.CRITICAL.name.lower()


class AlarmRows(Protocol):
    """Of ``control.alarms.AlarmBook``: those that are not at rest."""

    def rows(self) -> Iterable[Mapping[str, Any]]: ...


def moment(clock: Clock) -> Moment:
    now = clock.mono_ns()
    return Moment(now, clock.time_ns(), now)


class WriteFacts:
    """Meets ``control.guard.Facts``. Where a tag stands on the board is looked for once and kept as long as
    its device's row is the same.

    A read that was under way when a tag was written may bring what the tag held before, in a batch that is
    stamped later than the write. Until a read has ended that began after it, the tag's reading counts as
    older than the write (``wrote``).
    """

    def __init__(self, board: Board, alarms: AlarmRows, clock: Clock) -> None:
        self.beats = Beats((), {})
        self._board = board
        self._alarms = alarms
        self._clock = clock
        self._places: dict[TagRef, tuple[DeviceRow, GroupRow, int]] = {}
        self._written: dict[TagRef, tuple[GroupRow, int, int]] = {}  # reads ended by then, when it was sent

    def wrote(self, tag: TagRef, sent_ns: int) -> None:
        """It was written, or may have been; to be told when the device has answered or failed to."""
        place = self._place(tag)
        if place is not None and not place[1].liveness_s:
            self._written[tag] = place[1], place[1].polls, sent_ns

    def reading(self, tag: TagRef) -> tuple[Value, int, float] | None:
        """As the newest batch that spoke of it says it, however old: the age is for the guard to judge."""
        place = self._place(tag)
        if place is None or place[1].latest is None:
            return None
        _, group, index = place
        latest = group.latest
        assert latest is not None
        at_ns = latest.mono_ns if group.spoke_ns is None else group.spoke_ns[index]
        if at_ns is None:
            return None
        if tag in self._written:
            at_ns = self._at_most(tag, group, at_ns)
        age_s = max(0, self._clock.mono_ns() - at_ns) / 1e9
        return latest.values[index], _named(latest.quality[index]), age_s

    def held(self, tag: TagRef, sent_ns: int) -> Value:
        """The newest good value of a tag, raw, by a statement that began after ``sent_ns``, when it was
        written; None as long as there is none."""
        found = self.reading(tag)
        if found is None or found[1] != Quality.GOOD:
            return None
        return found[0] if self._clock.mono_ns() - round(found[2] * 1e9) > sent_ns else None

    def period_s(self, tag: TagRef) -> float:
        """How often it is read; 0 for one that is not."""
        place = self._place(tag)
        return 0.0 if place is None else place[1].period_s

    def device_up(self, device: str) -> bool:
        row = self._board.devices.get(device)
        return row is not None and row.up

    def critical_active(self, device: str) -> bool:
        """Also one that is shelved or out of service: that silences it for people, it changes no process."""
        return any(
            row["device"] == device and row["active"] and row["priority"] == _CRITICAL
            for row in self._alarms.rows()
        )

    def heartbeat_ok(self, device: str) -> bool:
        return self.beats.heartbeat_ok(device, moment(self._clock))

    def _at_most(self, tag: TagRef, group: GroupRow, at_ns: int) -> int:
        written, polls, sent_ns = self._written[tag]
        if written is not group or group.polls >= polls + 2:
            del self._written[tag]
            return at_ns
        return min(at_ns, sent_ns)

    def _place(self, tag: TagRef) -> tuple[DeviceRow, GroupRow, int] | None:
        row = self._board.devices.get(tag.device)
        known = self._places.get(tag)
        if known is not None and known[0] is row:
            return known
        self._places.pop(tag, None)
        for group in row.groups.values() if row is not None else ():
            if tag.tag in group.schema.names:
                assert row is not None
                found = self._places[tag] = row, group, group.schema.names.index(tag.tag)
                return found
        return None


def _named(byte: int) -> Quality:
    """A plug-in's own reason, which has no name here, counts as what its high bits say."""
    try:
        return Quality(byte)
    except ValueError:
        return (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.NOT_REPORTED)[byte >> 6]

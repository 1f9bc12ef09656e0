"""Which alarm of a group came first: usually the cause, while the others are its consequences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.control.alarms.alarm import Alarm
from edge_agent.control.alarms.life import AT_REST


class FirstOut:
    """The mark goes to the alarm that is annunciated while no other of its group stands, and stays until none
    of the group stands. An alarm stands while it is neither normal nor covered: one that is shelved,
    suppressed or out of service takes no part."""

    __slots__ = ("_first", "_standing")

    def __init__(self) -> None:
        self._first: dict[str, str] = {}  # group -> name of the alarm with the mark
        self._standing: dict[str, set[str]] = {}

    def is_first(self, alarm: Alarm) -> bool:
        group = alarm.rule.first_out
        return bool(group) and self._first.get(group) == alarm.name

    def mark_of(self, alarm: Alarm) -> str:
        """The name of the alarm that came first in this one's group; none: nothing."""
        return self._first.get(alarm.rule.first_out, "")

    def annunciated(self, alarm: Alarm) -> None:
        """To be told before ``changed`` is told of the same."""
        group = alarm.rule.first_out
        if group and group not in self._first and not self._standing.get(group, set()) - {alarm.name}:
            self._first[group] = alarm.name

    def changed(self, alarm: Alarm) -> None:
        """To be told after each change of an alarm."""
        group = alarm.rule.first_out
        if not group:
            return
        standing = self._standing.setdefault(group, set())
        if stands(alarm):
            standing.add(alarm.name)
            return
        standing.discard(alarm.name)
        if not standing:
            del self._standing[group]
            self._first.pop(group, None)

    def forget(self, alarm: Alarm) -> None:
        """The alarm is not configured any more: a mark goes with it."""
        if self.is_first(alarm):
            del self._first[alarm.rule.first_out]

    def begin_anew(self, alarms: Iterable[Alarm], marks: Mapping[str, str]) -> None:
        """The groups that alarms now name. ``marks``: group -> name; those of groups in which none stands
        any more are dropped."""
        self._standing = {}
        for alarm in alarms:
            if alarm.rule.first_out and stands(alarm):
                self._standing.setdefault(alarm.rule.first_out, set()).add(alarm.name)
        self._first = {group: name for group, name in marks.items() if group in self._standing and name}

    @property
    def marks(self) -> Mapping[str, str]:
        return self._first


def stands(alarm: Alarm) -> bool:
    return alarm.bits != AT_REST and not alarm.bits.overlay

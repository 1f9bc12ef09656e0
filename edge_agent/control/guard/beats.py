"""The heartbeats: when each is due, its next value, and whether a controller can still rely on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Heartbeat
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.raw import highest_raw
from edge_agent.control.guard.request import HEARTBEAT, WriteRequest
from edge_agent.model import Tag, ValueType

_HIGHEST = 65_535


class Beats:
    """``due`` gives the requests, ``done`` takes what became of each. A beat that is not done when the next
    is due counts as missed, so a writer that hangs is noticed as well."""

    def __init__(self, heartbeats: Iterable[Heartbeat], tags: Mapping[TagRef, Tag]) -> None:
        self._beats = {beat.tag: _Beat(beat, tags[beat.tag].type) for beat in heartbeats if beat.tag in tags}

    def due(self, at: Moment) -> list[WriteRequest]:
        """The beats to be written now; each is handed out once a period."""
        return [WriteRequest(tag, b.next(), HEARTBEAT) for tag, b in self._beats.items() if b.is_due(at)]

    def done(self, tag: TagRef, at: Moment, *, written: bool) -> None:
        """The beat last handed out for that tag was written, or could not be."""
        if tag in self._beats:
            self._beats[tag].done(at, written=written)

    def heartbeat_ok(self, device: str, at: Moment) -> bool:
        """Every heartbeat of the device was written lately. True for a device without one: whether it needs
        one is for the guard to say."""
        return all(beat.ok(at) for tag, beat in self._beats.items() if tag.device == device)

    def rows(self, at: Moment) -> list[dict[str, object]]:
        return [
            {"tag": str(tag), "ok": beat.ok(at), "missed": beat.missed, "value": beat.value}
            for tag, beat in self._beats.items()
        ]


class _Beat:
    __slots__ = ("_due_ns", "_highest", "_limit", "_open", "_period_ns", "_written_ns", "missed", "value")

    def __init__(self, beat: Heartbeat, kind: ValueType) -> None:
        self._period_ns = int(beat.period_s * 1e9)
        self._limit = beat.missed
        self._highest = 0 if kind is ValueType.BOOL else _HIGHEST
        if kind.is_numeric and not kind.is_float:
            self._highest = min(_HIGHEST, highest_raw(kind))
        self._due_ns: int | None = None
        self._open = False
        self._written_ns: int | None = None
        self.missed = 0
        self.value: int | bool = 0 if self._highest else False

    def is_due(self, at: Moment) -> bool:
        if self._due_ns is not None and at.mono_ns < self._due_ns:
            return False
        late_ns = 0 if self._due_ns is None else at.mono_ns - self._due_ns
        self._due_ns = at.mono_ns - late_ns % self._period_ns + self._period_ns
        self.missed += late_ns // self._period_ns
        if self._open:
            self.missed += 1
            return False  # the one before is still on its way; a second would only queue behind it
        self._open = True
        return True

    def next(self) -> int | bool:
        if not self._highest:
            return not self.value
        return 0 if self.value >= self._highest else int(self.value) + 1

    def done(self, at: Moment, *, written: bool) -> None:
        self._open = False
        if written:
            self.value, self.missed, self._written_ns = self.next(), 0, at.mono_ns
        else:
            self.missed += 1

    def ok(self, at: Moment) -> bool:
        if self._written_ns is None or self.missed >= self._limit:
            return False
        return at.mono_ns - self._written_ns <= (self._limit + 1) * self._period_ns

"""One alarm that is not at rest: its bits and what is remembered of how it got there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from edge_agent.config.model import Limit, Window
from edge_agent.control.alarms.life import AT_REST, Bits, Overlay
from edge_agent.control.excursion import Moment
from edge_agent.control.transition import Transition


class Cover(NamedTuple):
    """A person's overlay: who, why, since when, and of a shelf until when (monotonic)."""

    user: str
    comment: str
    since_ns: int  # wall
    until_mono_ns: int | None = None


class Alarm:
    """Held by ``AlarmBook`` under its name while it is not at rest. ``value`` to ``quality`` are those of the
    last time the condition came or went. ``*_mono_ns`` are monotonic, ``*_ns`` wall times."""

    __slots__ = (
        "acked_by", "acked_mono_ns", "active_mono_ns", "active_ns", "annunciated_ns", "bits", "cover",
        "deadband", "kind", "limit", "quality", "reason", "rule", "since_ns", "unit", "value",
        "window",
    )  # fmt: skip

    def __init__(self, window: Window, limit: Limit, since_ns: int) -> None:
        self.window = window
        self.kind = limit.kind
        self.rule = limit.alarming
        self.bits = AT_REST
        self.since_ns = since_ns  # of the present letter
        self.value: float | int | bool | str | None = None
        self.limit = limit.value
        self.deadband = limit.deadband
        self.unit = window.unit
        self.quality = ""
        self.reason = ""
        self.active_mono_ns = 0
        self.active_ns: int | None = None  # since when it is active, or was for the last time
        self.annunciated_ns: int | None = None
        self.acked_by = ""
        self.acked_mono_ns: int | None = None
        self.cover: Cover | None = None

    @property
    def name(self) -> str:
        return f"{self.window.name}.{self.kind}"

    @property
    def letter(self) -> str:
        return self.bits.letter

    @property
    def due_mono_ns(self) -> int | None:
        """When time alone changes something: a shelf ends, an acknowledgement has lasted long enough."""
        if self.bits.overlay is Overlay.SHELVED:
            return self.cover.until_mono_ns if self.cover is not None else 0
        if self.letter == "C" and self.rule.ack and self.rule.realarm_s and self.acked_mono_ns is not None:
            return self.acked_mono_ns + round(self.rule.realarm_s * 1e9)
        return None

    def take(self, said: Transition) -> None:
        """What the window says beside a change of the condition."""
        self.value, self.limit, self.deadband = said.value, said.limit, said.deadband
        self.unit = said.unit or self.window.unit
        self.quality, self.reason = said.quality, said.reason

    def follow(self, window: Window, limit: Limit) -> None:
        """The definition has changed; what has happened stays."""
        self.window, self.rule = window, limit.alarming

    def detail(self) -> dict[str, Any]:
        """What every event of this alarm tells."""
        return {
            "window": self.window.name,
            "kind": str(self.kind),
            "priority": self.rule.priority.name.lower(),
            "active": self.bits.active,
            "value": self.value,
            "limit": self.limit,
            "deadband": self.deadband,
            "unit": self.unit,
            "quality": self.quality,
            "standards": list(self.window.standards),
        }

    def row(self, at: Moment) -> dict[str, Any]:
        """Plain data for people."""
        source, cover = self.window.source, self.cover
        until = None if cover is None else cover.until_mono_ns
        return {
            "name": self.name,
            "letter": self.letter,
            "state": STATES[self.letter],
            **self.detail(),
            "acked": self.bits.acked,
            "latched": self.bits.latched,
            "device": source.device,
            "tag": source.tag,
            "description": self.window.description,
            "since_ns": self.since_ns,
            "active_ns": self.active_ns,
            "annunciated_ns": self.annunciated_ns,
            "acked_by": self.acked_by,
            "user": "" if cover is None else cover.user,
            "comment": "" if cover is None else cover.comment,
            "until_ns": None if until is None else wall_ns(at, until),
        }

    def as_dict(self, at: Moment) -> dict[str, Any]:
        """JSON-able, the inverse of ``restored``. ``left_ns``: of the shelf, at that moment."""
        cover = self.cover
        until = None if cover is None else cover.until_mono_ns
        return {
            "active": self.bits.active,
            "acked": self.bits.acked,
            "latched": self.bits.latched,
            "overlay": str(self.bits.overlay),
            "since_ns": self.since_ns,
            "value": self.value,
            "limit": self.limit,
            "deadband": self.deadband,
            "unit": self.unit,
            "quality": self.quality,
            "active_ns": self.active_ns,
            "annunciated_ns": self.annunciated_ns,
            "acked_by": self.acked_by,
            "acked_ns": None if self.acked_mono_ns is None else wall_ns(at, self.acked_mono_ns),
            "cover": None if cover is None else [cover.user, cover.comment, cover.since_ns],
            "left_ns": None if until is None else max(0, until - at.now_ns),
            "until_ns": None if until is None else wall_ns(at, until),
        }


def restored(saved: Mapping[str, Any], window: Window, limit: Limit, at: Moment) -> Alarm:
    """Raises what malformed data raises (KeyError, TypeError, ValueError, OverflowError)."""
    alarm = Alarm(window, limit, int(saved["since_ns"]))
    flags = [saved[name] for name in ("active", "acked", "latched")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise TypeError("not a boolean")
    alarm.bits = Bits(flags[0], flags[1], flags[2], Overlay(saved["overlay"]))
    alarm.value, alarm.limit = saved["value"], saved["limit"]
    alarm.deadband, alarm.unit = saved["deadband"], str(saved["unit"])
    alarm.quality = str(saved["quality"])
    alarm.active_ns = _time(saved["active_ns"])
    alarm.active_mono_ns = _ago(alarm.active_ns, at) or 0
    alarm.annunciated_ns = _time(saved["annunciated_ns"])
    alarm.acked_by = str(saved["acked_by"])
    alarm.acked_mono_ns = _ago(_time(saved["acked_ns"]), at)
    alarm.cover = _cover(saved, alarm.bits.overlay, at)
    return alarm


def _cover(saved: Mapping[str, Any], overlay: Overlay, at: Moment) -> Cover | None:
    """A shelf ends by the wall clock, but no later than by what was left of it when it was last stored."""
    if overlay not in (Overlay.SHELVED, Overlay.OUT_OF_SERVICE):
        return None
    user, comment, since_ns = saved["cover"]
    until = None
    if overlay is Overlay.SHELVED:
        left_ns = min(int(saved["left_ns"]), int(saved["until_ns"]) - wall_ns(at, at.now_ns))
        until = at.now_ns + max(0, left_ns)
    return Cover(str(user), str(comment), int(since_ns), until)


def _time(value: Any) -> int | None:
    return None if value is None else int(value)


def _ago(time_ns: int | None, at: Moment) -> int | None:
    """The monotonic time of a past wall time; of a future one (the clock was set back): now."""
    return None if time_ns is None else at.now_ns - max(0, wall_ns(at, at.now_ns) - time_ns)


def wall_ns(at: Moment, mono_ns: int) -> int:
    """The wall time of a monotonic one, by the clock of ``at``."""
    return at.time_ns - at.mono_ns + mono_ns


STATES = {
    "A": "normal",
    "B": "unacknowledged",
    "C": "acknowledged",
    "D": "returned_unacknowledged",
    "E": "latched_unacknowledged",
    "F": "latched_acknowledged",
    "G": "shelved",
    "H": "suppressed",
    "I": "out_of_service",
}
"""What a letter is called where programs read it."""

"""A book of alarms, a clock that is set by hand, and short ways to say what happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edge_agent.config.model import Alarming, Limit, LimitKind, TagRef, Window
from edge_agent.control.alarms import AlarmBook, AlarmCommand
from edge_agent.control.excursion import Moment
from edge_agent.control.transition import Change, Transition
from edge_agent.model import Event

S = 1_000_000_000
START_NS = 1_767_225_600 * S
HIGH = "press-1.pressure.high"


def window(name: str = "press-1.pressure", kinds: str = "high", **alarming: Any) -> Window:
    rule = Alarming(**alarming)
    limits = tuple(Limit(LimitKind(kind), 5.0, deadband=0.5, alarming=rule) for kind in kinds.split())
    device, _, tag = name.rpartition(".")
    return Window(name, TagRef(device, tag), further=limits, unit="bar", standards=("GB-1@2",))


class Desk:
    """``wall_ns`` may be stepped; ``seconds`` passes both clocks on."""

    def __init__(self, *windows: Window, states: dict[str, Any] | None = None, **more: Any) -> None:
        self.mono_ns = more.pop("mono_ns", 100 * S)
        self.wall_ns = more.pop("wall_ns", START_NS)
        self.book = AlarmBook("v1")
        self.book.configure(windows or (window(),), "v1", self.at)
        self.rows: dict[str, Any] = {}
        if states is not None:
            self.book.restore(states, self.at, **more)
            self.rows = dict(states)

    @property
    def at(self) -> Moment:
        return Moment(self.mono_ns, self.wall_ns, self.mono_ns)

    def seconds(self, seconds: float) -> list[Event]:
        self.mono_ns += round(seconds * S)
        self.wall_ns += round(seconds * S)
        return self.note(self.book.tick(self.at))

    def says(
        self, change: Change, window: str = "press-1.pressure", kind: str | None = "high", **more: Any
    ) -> list[Event]:
        concerned = None if kind is None else LimitKind(kind)
        return self.note(self.book.hear([Transition(change, window, concerned, self.at, **more)]))

    def comes(self, window: str = "press-1.pressure", kind: str = "high", **more: Any) -> list[Event]:
        return self.says(Change.ALARM, window, kind, **{"value": 5.2, "limit": 5.0, "deadband": 0.5} | more)

    def goes(self, window: str = "press-1.pressure", kind: str = "high") -> list[Event]:
        return self.says(Change.RETURN, window, kind, value=4.0, limit=5.0, deadband=0.5)

    def suppress(self, window: str = "press-1.pressure") -> list[Event]:
        return self.says(Change.SUPPRESS, window, None, reason="press-1.running is off")

    def unsuppress(self, window: str = "press-1.pressure") -> list[Event]:
        return self.says(Change.UNSUPPRESS, window, None)

    def does(self, verb: str, name: str = HIGH, **more: Any) -> list[Event]:
        given = {"user": "ming", "comment": "because", "duration_s": 600.0 if verb == "shelve" else None}
        return self.note(self.book.command(AlarmCommand(verb, name, **given | more), self.at))

    def note(self, events: list[Event]) -> list[Event]:
        """Keeps the rows as the disk would; they must be plain JSON."""
        for key, row in self.book.changed().items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = json.loads(json.dumps(row, allow_nan=False))
        return events

    def restarted(self, *windows: Window, down_s: float = 0.0, **more: Any) -> Desk:
        """Another run of the agent over what the disk holds; its monotonic clock has nothing to do with the
        former one."""
        given = {"mono_ns": 7 * S, "wall_ns": self.wall_ns + round(down_s * S)}
        return Desk(*windows, states=self.rows, **given | more)


def steps(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    return [(event.kind, event.detail["before"], event.detail["after"]) for event in events]

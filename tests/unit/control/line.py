"""A press with a pressure and a temperature, for tests: short names for batches, and a control to feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from edge_agent.config.model import TagRef, Window
from edge_agent.control import Control
from edge_agent.control.alarms import AlarmBook
from edge_agent.control.excursion import Moment
from edge_agent.control.transition import Transition
from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Tag, Value, ValueType

GOOD = Quality.GOOD
START_NS = 1_000_000_000_000
WALL_NS = 1_767_225_600_000_000_000

FAST = Schema.of(
    "press-1",
    "fast",
    "v1",
    [
        Tag("pressure", "0", ValueType.FLOAT64, unit="MPa"),
        Tag("temperature", "2", ValueType.INT16, unit="°C", scaling=Scaling(0.1, 0.0)),
        Tag("running", "4", ValueType.BOOL),
    ],
)
SLOW = Schema.of("plc-2", "slow", "v1", [Tag("setpoint", "0", ValueType.INT16, scaling=Scaling(0.1, 0.0))])

PRESSURE = TagRef("press-1", "pressure")
TEMPERATURE = TagRef("press-1", "temperature")
RUNNING = TagRef("press-1", "running")
SETPOINT = TagRef("plc-2", "setpoint")


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def window(name: str = "w", source: TagRef = PRESSURE, **more: Any) -> Window:
    return Window(name, source, **more)


class Recorder:
    """In place of the alarms: writes down what the windows tell them, and makes no events of it."""

    def __init__(self) -> None:
        self.heard: list[Transition] = []
        self.suppressed: list[str] = []

    def configure(self, windows: Sequence[Window], version: str, at: Moment) -> list[Event]:
        return []

    def hear(self, transitions: Iterable[Transition]) -> list[Event]:
        self.heard += transitions
        return []

    def tick(self, at: Moment) -> list[Event]:
        return []

    def changed(self) -> dict[str, Any]:
        return {}

    snapshot = changed

    def restore(self, states: Mapping[str, Any], at: Moment, suppressed: Iterable[str] = ()) -> None:
        self.suppressed = list(suppressed)

    def take(self) -> list[tuple[str, str]]:
        """Change and kind of what was heard since the last time."""
        taken = [(str(said.change), str(said.kind or "")) for said in self.heard]
        self.heard.clear()
        return taken


def record(control: Control) -> Recorder:
    """Puts a recorder in the place of the alarms."""
    recorder = Recorder()
    control.alarms = cast(AlarmBook, recorder)
    return recorder


class Line:
    """Feeds one ``Control`` without alarms. Times are seconds after the start; ``events`` gathers everything,
    ``told`` what the alarms would have heard."""

    def __init__(self, *windows: Window, fast: Schema = FAST, slow: Schema = SLOW) -> None:
        self.control = Control(windows, "v1", mono_ns=START_NS, time_ns=WALL_NS)
        self.told = record(self.control)
        self.schemas = {"fast": fast, "slow": slow}
        self.values: dict[str, list[Value]] = {"fast": [0.4, 2000, True], "slow": [2000]}
        self.events: list[Event] = []

    def batch(
        self, at: float, group: str = "fast", *, quality: bytes | None = None, **changed: Value
    ) -> list[Event]:
        """A batch of the group's latest values, after the changes; ``quality`` good if not given."""
        schema, values = self.schemas[group], self.values[group]
        for name, value in changed.items():
            values[schema.names.index(name)] = value
        stated = bytes(len(values)) if quality is None else quality
        shown = tuple(None if q >= 0x80 else v for q, v in zip(stated, values, strict=True))
        return self.keep(
            self.control.on_batch(Batch(schema, WALL_NS + ns(at), START_NS + ns(at), shown, stated))
        )

    def tick(self, at: float) -> list[Event]:
        return self.keep(self.control.tick(START_NS + ns(at), WALL_NS + ns(at)))

    def row(self, at: float, name: str = "w") -> dict[str, Any]:
        return next(row for row in self.control.rows(START_NS + ns(at)) if row["name"] == name)

    def state(self, at: float, name: str = "w") -> tuple[str, bool]:
        row = self.row(at, name)
        return row["state"], row["active"]

    def keep(self, events: list[Event]) -> list[Event]:
        self.events += events
        return events

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

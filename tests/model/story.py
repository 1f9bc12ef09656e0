"""What a generated story is made of: a configuration and steps. Plain data, each step complete in itself,
so that any of them can be left out."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum

from edge_agent.config.model import Output, TagRef, Window
from edge_agent.model import Tag, Value

GroupKey = tuple[str, str]  # device, poll group
START_NS = 1_000_000_000_000
WALL_NS = 1_767_225_600_000_000_000 - START_NS  # wall minus monotonic time at the start


@dataclass(frozen=True, slots=True)
class Line:
    """A configuration. ``groups``: the tags of each poll group, in the order of its columns."""

    groups: tuple[tuple[GroupKey, tuple[Tag, ...]], ...]
    windows: tuple[Window, ...]
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """``after_ns``: how much monotonic time has passed since the step before."""

    after_ns: int


@dataclass(frozen=True, slots=True)
class Poll(Step):
    """A batch of a poll group, handed over ``late_ns`` after it was read."""

    group: GroupKey
    late_ns: int
    values: tuple[Value, ...]
    quality: bytes


@dataclass(frozen=True, slots=True)
class Tick(Step):
    pass


@dataclass(frozen=True, slots=True)
class Clock(Step):
    """Somebody sets the wall clock."""

    by_ns: int


@dataclass(frozen=True, slots=True)
class Order(Step):
    """A command of a person; perhaps one that is refused."""

    verb: str
    name: str
    user: str = "li"
    comment: str = ""
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Restart(Step):
    """``down_ns``: how much later the wall clock is when the new process starts; may be negative.
    ``mono_ns``: its monotonic clock then. ``crash``: alarms come back from the rows that events touched."""

    down_ns: int
    mono_ns: int
    crash: bool = False


@dataclass(frozen=True, slots=True)
class Reload(Step):
    line: Line


def shown(thing: object) -> str:
    """For people: what is as it is by default is left out."""
    if isinstance(thing, TagRef):
        return str(thing)
    if isinstance(thing, Enum):
        return thing.name
    if isinstance(thing, tuple):
        return f"({', '.join(map(shown, thing))})"
    if not is_dataclass(thing):
        return repr(thing)
    said = []
    for each in fields(thing):
        value = getattr(thing, each.name)
        if each.name != "outputs" and (each.default is MISSING or value != each.default):
            said.append(f"{each.name}={shown(value)}")
    return f"{type(thing).__name__}({', '.join(said)})"

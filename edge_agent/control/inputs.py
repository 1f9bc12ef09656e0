"""What the windows read: one ``Input`` per tag that a window names, one ``Group`` per poll group of a device.

A batch is not taken apart when it arrives. The group keeps the newest batch, and an input takes its own
statement out of it only when a window is looked at (``pull``). So a batch in which nothing happens is cheap.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_agent.config.model import TagRef
from edge_agent.model import Batch, Quality, Scaling, Schema, Value, ValueType, engineering

if TYPE_CHECKING:
    from edge_agent.control.window import Watcher

_NO_STATEMENT = 0xC0
NOT_A_NUMBER = "not_a_number"
NOT_A_STATE = "not_a_boolean"


class Input:
    """The last statement about one tag. ``mono_ns`` is None until there was one."""

    __slots__ = ("_seen", "group", "index", "mono_ns", "quality", "ref", "scaling", "type", "unit", "value")

    def __init__(self, ref: TagRef) -> None:
        self.ref = ref
        self.group: Group | None = None
        self.index = 0
        self.type = ValueType.FLOAT64
        self.scaling: Scaling | None = None
        self.unit = ""
        self.value: Value = None  # engineering units
        self.quality: int = Quality.WAITING
        self.mono_ns: int | None = None
        self._seen: Batch | None = None

    def pull(self) -> None:
        """Takes the statement of the group's newest batch, if that makes one."""
        batch = self.group.batch if self.group is not None else None
        if batch is None or batch is self._seen:
            return
        self._seen = batch
        quality = batch.quality[self.index]
        if quality >= _NO_STATEMENT:
            return
        self.quality = quality
        self.value = engineering(batch.values[self.index], self.scaling) if quality < 0x80 else None
        self.mono_ns = batch.mono_ns

    def trouble(self, now_ns: int, max_age_ns: int) -> str:
        """Why this input says nothing usable at that moment; "" when it does."""
        if self.mono_ns is None:
            return "waiting"
        if self.quality >= 0x40:
            return quality_name(self.quality)
        if now_ns - self.mono_ns > max_age_ns:
            return "stale"
        return ""

    def number(self) -> float | int | None:
        """The value as a finite number, else None."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if isinstance(value, int) or math.isfinite(value) else None

    def state(self) -> bool | None:
        """The value as on/off (a number is on unless it is 0), else None."""
        if isinstance(self.value, bool):
            return self.value
        number = self.number()
        return None if number is None else number != 0


def quality_name(quality: int) -> str:
    try:
        return Quality(quality).name.lower()
    except ValueError:  # a plug-in's own reason; its severity is in the high bits
        return f"{'bad' if quality >= 0x80 else 'uncertain'}_0x{quality:02x}"


class Group:
    """One poll group: its newest batch, and the compiled check of the windows that read from it.

    ``checks``: (index, low, high, window) in raw units, for the windows that are quiet. ``watched``: (index,
    raw value) of set-points and conditions that quiet windows rely on. ``loud``: windows that are looked at
    with every batch. ``allowed_age_ns``, ``others``: how old this group and others may be before quiet
    windows must be looked at as well.
    """

    __slots__ = (
        "allowed_age_ns", "batch", "checks", "clean", "dirty", "fresh_ns", "good", "inputs", "key", "loud",
        "mono_ns", "others", "schema", "watched", "windows",
    )  # fmt: skip

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        self.schema: Schema | None = None
        self.inputs: list[Input] = []
        self.windows: tuple[Watcher, ...] = ()
        self.batch: Batch | None = None
        self.mono_ns: int | None = None
        self.fresh_ns = 0  # no input of this group spoke last before this moment
        self.good = b""
        self.clean = False  # the newest batch was good throughout
        self.dirty = True  # the compiled check is out of date
        self.checks: list[tuple[int, float, float, Watcher]] = []
        self.watched: list[tuple[int, Value]] = []
        self.loud: list[Watcher] = []
        self.allowed_age_ns = 0
        self.others: list[tuple[Group, int]] = []

    def bind(self, schema: Schema, inputs: dict[TagRef, Input]) -> None:
        """Takes over the inputs whose tags stand in the schema, with what they last said."""
        for held in self.inputs:
            held.pull()
            held.group = None
        self.schema, self.batch, self.clean, self.dirty = schema, None, False, True
        self.good = bytes(len(schema.names))
        self.inputs = []
        for index, name in enumerate(schema.names):
            found = inputs.get(TagRef(schema.device, name))
            if found is not None:
                self._adopt(found, index, schema)

    def _adopt(self, found: Input, index: int, schema: Schema) -> None:
        if found.group is not None:  # the tag has moved to another poll group
            found.pull()
            found.group.inputs.remove(found)
            found.group.dirty = True
        found.group, found.index = self, index
        found.type, found.scaling, found.unit = (
            schema.types[index],
            schema.scaling[index],
            schema.units[index],
        )
        self.inputs.append(found)

    def overdue(self, now_ns: int) -> bool:
        """Whether an input of a quiet window may be too old by now (never False when one is)."""
        if now_ns - self.fresh_ns > self.allowed_age_ns:
            return True
        return any(now_ns - other.fresh_ns > age_ns for other, age_ns in self.others)

    def settled(self, now_ns: int) -> bool:
        """Whether time alone can change nothing yet for the quiet windows that read their source here."""
        if self.dirty:
            self.compile()
        return not self.overdue(now_ns)

    def apply(self, batch: Batch, clean: bool) -> None:
        """Makes the batch the newest. Before one that may not speak of every tag (not ``clean``) each window
        must have pulled its inputs, so that what was said before is kept; ``Watcher.lapse`` has done so."""
        self.batch, self.mono_ns, self.clean = batch, batch.mono_ns, clean
        if clean:
            self.fresh_ns = batch.mono_ns
            return
        for held in self.inputs:
            held.pull()
        self.fresh_ns = min((i.mono_ns for i in self.inputs if i.mono_ns is not None), default=0)

    def compile(self) -> None:
        """Sorts the windows into quiet and loud. Called after any of them changed, before the next batch."""
        self.dirty = False
        self.checks, self.watched, self.loud, self.others = [], [], [], []
        ages: dict[Group, int] = {}
        watched: set[Input] = set()
        for window in self.windows:
            if window.bounds is None:
                self.loud.append(window)
                continue
            if window.source.group is self:
                self.checks.append((window.source.index, *window.bounds, window))
            watched.update(i for i in window.references if i.group is self)
            for group in {i.group for i in window.inputs if i.group is not None}:
                ages[group] = min(ages.get(group, window.max_age_ns), window.max_age_ns)
        if self.batch is not None:
            self.watched = [(i.index, self.batch.values[i.index]) for i in watched]
        self.allowed_age_ns = ages.pop(self, 1 << 62)
        self.others = list(ages.items())

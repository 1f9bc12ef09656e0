"""Derived values: every batch of a poll group that a formula follows gives one batch of a virtual device.

A formula is calculated with each batch of the fastest poll group it reads; what it reads of other groups is
the last statement, stale after ``max_age_s``. Formulas may read one another. The batches that a poll group
causes have a schema of their own, group ``DEVICE.GROUP`` of the virtual device, that always speaks of every
tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from edge_agent.accounting.counter import Heard
from edge_agent.accounting.span import Span, span
from edge_agent.expression import Formula, Slot
from edge_agent.expression.rating import BAD, NO_STATEMENT, UNCERTAIN
from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, Value, engineering

GroupKey = tuple[str, str]
"""Device and poll group."""

_STALE = int(Quality.STALE)
_UNCHANGED = int(Quality.UNCHANGED)
_DECODE = int(Quality.BAD_DECODE)
_DOUBTFUL = frozenset({"reset", "jump", "multiplier", "uncertain"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tag comes from. ``max_age_s``: after that a statement is stale."""

    device: str
    group: str
    period_s: float
    max_age_s: float


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived tag. ``key``: ``DEVICE.NAME`` of the virtual device, by which others read it."""

    key: str
    name: str
    formula: Formula
    description: str = ""
    metric: bool = False


class Input:
    """The last statement about a tag, in engineering units."""

    __slots__ = ("max_age_ns", "mono_ns", "quality", "spans", "value")

    def __init__(self, max_age_ns: int) -> None:
        self.max_age_ns = max_age_ns
        self.value: Value = None
        self.quality = int(Quality.WAITING)
        self.mono_ns = 0
        self.spans: list[Span] = []

    def say(self, value: Value, quality: int, mono_ns: int) -> None:
        self.value, self.quality, self.mono_ns = value, quality, mono_ns
        for kept in self.spans:
            kept.put(mono_ns, value, quality)  # type: ignore[arg-type]  # text was refused by the check

    def get(self, now_ns: int) -> tuple[Any, int]:
        if self.quality < BAD and now_ns - self.mono_ns > self.max_age_ns:
            return None, _STALE
        return self.value, self.quality


class _Column(NamedTuple):
    place: int
    input: Input
    scaling: Scaling | None


class _Work(NamedTuple):
    formula: Formula
    readers: tuple[Callable[[int], tuple[Any, int]], ...]
    result: Input | None


class DerivedValues:
    """All formulas of one configuration. ``sources``: of every tag that is read, by its key. ``inputs``: what
    was last said of each."""

    def __init__(
        self,
        device: str,
        derived: Sequence[Derived],
        sources: Mapping[str, Source],
        counters: Iterable[str],
        config_version: str,
    ) -> None:
        self._sources = dict(sources)
        self._counters = frozenset(counters)
        self.inputs: dict[str, Input] = {}
        self._spans: dict[Slot, Span] = {}
        self._columns: dict[str, tuple[_Column, ...]] = {}
        self._by_group: dict[GroupKey, list[tuple[str, Input]]] = {}
        self._work: dict[GroupKey, tuple[Schema, tuple[_Work, ...]]] = {}
        self._arrange(device, ordered(derived), config_version)

    def on_batch(self, batch: Batch, heard: Mapping[str, Heard]) -> Batch | None:
        """The derived batch, if any. ``heard``: what this batch meant to each counter it holds."""
        columns = self._columns.get(batch.schema.digest)
        if columns is None:
            columns = self._bind(batch.schema)
        key = (batch.schema.device, batch.schema.group)
        work = self._work.get(key)
        if not columns and work is None:
            return None
        mono_ns = batch.mono_ns
        for index, found, scaling in columns:
            quality = batch.quality[index]
            if quality < NO_STATEMENT:
                value = engineering(batch.values[index], scaling) if quality < BAD else None
                if isinstance(value, float) and value - value != 0:
                    value, quality = None, _DECODE
                found.say(value, quality, mono_ns)
            elif quality == _UNCHANGED:
                found.say(found.value, found.quality, mono_ns)
        for name, what in heard.items():
            self._count(name, what)
        return None if work is None else self._calculate(batch, *work)

    def _calculate(self, batch: Batch, schema: Schema, work: tuple[_Work, ...]) -> Batch:
        mono_ns = batch.mono_ns
        values: list[Value] = []
        quality = bytearray()
        for formula, readers, result in work:
            read = [reader(mono_ns) for reader in readers]
            value, rated = formula.evaluate([v for v, _ in read], [q for _, q in read])
            values.append(value)
            quality.append(rated)
            if result is not None:
                result.say(value, rated, mono_ns)
        return Batch(schema, batch.time_ns, mono_ns, tuple(values), bytes(quality), clock=batch.clock)

    def _count(self, name: str, heard: Heard) -> None:
        for slot, kept in self._spans.items():
            if slot.name == name and slot.function in ("delta", "rate"):
                for point in heard.points:
                    kept.put(point.mono_ns, point.total, UNCERTAIN if point.mark in _DOUBTFUL else 0)

    # --- arranging ---------------------------------------------------------------------------------------

    def _arrange(self, device: str, derived: Sequence[Derived], config_version: str) -> None:
        groups: dict[GroupKey, list[Derived]] = {}
        for item in derived:
            fastest = min((self._sources[s.name] for s in item.formula.slots), key=lambda s: s.period_s)
            self._sources[item.key] = fastest
            groups.setdefault((fastest.device, fastest.group), []).append(item)
        read = {slot.name for item in derived for slot in item.formula.slots}
        for key in read:
            source = self._sources[key]
            found = self.inputs[key] = Input(round(source.max_age_s * 1e9))
            if key not in {item.key for item in derived}:
                self._by_group.setdefault((source.device, source.group), []).append((key, found))
        for group, items in groups.items():
            tags = [
                Tag(i.name, i.formula.text, i.formula.type, ".".join(group), i.formula.unit, i.description)
                for i in items
            ]
            schema = Schema.of(device, ".".join(group), config_version, tags)
            self._work[group] = schema, tuple(self._worker(item) for item in items)

    def _worker(self, item: Derived) -> _Work:
        readers = tuple(self._reader(slot) for slot in item.formula.slots)
        return _Work(item.formula, readers, self.inputs.get(item.key))

    def _reader(self, slot: Slot) -> Callable[[int], tuple[Any, int]]:
        found = self.inputs[slot.name]
        if not slot.function:
            return found.get
        kept = self._spans.get(slot)
        if kept is None:
            kept = self._spans[slot] = span(slot.function, slot.window_ns, found.max_age_ns)
            if slot.function not in ("delta", "rate") or slot.name not in self._counters:
                found.spans.append(kept)
        return lambda now_ns: kept.get(slot.function, now_ns)

    def _bind(self, schema: Schema) -> tuple[_Column, ...]:
        key = (schema.device, schema.group)
        found = []
        for name, what in self._by_group.get(key, ()):
            tag = name.removeprefix(f"{schema.device}.")
            if tag in schema.names:
                index = schema.names.index(tag)
                found.append(_Column(index, what, schema.scaling[index]))
        self._columns[schema.digest] = tuple(found)
        return self._columns[schema.digest]

    # --- restart -----------------------------------------------------------------------------------------

    def snapshot(self, to_wall_ns: int) -> dict[str, Any]:
        return {_name(slot): kept.snapshot(to_wall_ns) for slot, kept in self._spans.items()}

    def restore(self, saved: Mapping[str, Any], to_wall_ns: int) -> None:
        for slot, kept in self._spans.items():
            if _name(slot) in saved:
                kept.restore(saved[_name(slot)], to_wall_ns)

    def adopt(self, other: DerivedValues) -> None:
        """What was last said of each tag. Both run in one process, so monotonic times stay what they are."""
        for key, found in self.inputs.items():
            former = other.inputs.get(key)
            if former is not None:
                found.value, found.quality, found.mono_ns = former.value, former.quality, former.mono_ns


def ordered(derived: Sequence[Derived]) -> list[Derived]:
    """Each after those it reads. Raises graphlib.CycleError where that cannot be; ``find_cycle`` tells
    people."""
    by_key = {item.key: item for item in derived}
    graph = {key: [s.name for s in item.formula.slots if s.name in by_key] for key, item in by_key.items()}
    return [by_key[key] for key in TopologicalSorter(graph).static_order()]


def _name(slot: Slot) -> str:
    return f"{slot.function}({slot.name},{slot.window_ns})"

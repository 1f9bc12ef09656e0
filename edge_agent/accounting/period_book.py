"""The minute, hour and day values of one device: what is open, what is closed, what has been told.

    batches ──> Intake (one per poll group) ──> Cell per tag and minute ──close──> Part ──> batch: minute
    readings of registers ──> Increase ────────────┘                                 └─> Whole ──> hour, day

Minutes close in order, ``grace`` after their end; an hour closes with its last minute, a day with its last
hour. What has been told is remembered by its time and never told again, whatever the clock does. ``known``
are batches that were told before a restart by more than our own state remembers: they close again, so that
their hour is whole, and are not told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent.accounting.calendar import HOUR
from edge_agent.accounting.period_beside import Watched
from edge_agent.accounting.period_cells import CALIBRATION, MAINTENANCE, Cell, Part, Whole, figures
from edge_agent.accounting.period_increase import Increase
from edge_agent.accounting.period_intake import Column, Intake
from edge_agent.accounting.period_time import DAY, Told, floor, lengths
from edge_agent.config.period_values import Beside, Mean, PeriodTag
from edge_agent.model import PERIOD_FIGURES, Batch, Level, Schema, Value, ValueType

MOST_NS = 2 * DAY
"""A longer gap is told as an event, not period by period."""

_EXACT = (ValueType.INT64, ValueType.UINT64)


class PeriodBook:
    """``late_samples``: those that came for a minute already told. ``watched`` gives the shared view of a
    tag beside."""

    def __init__(
        self, device: str, tags: Sequence[PeriodTag], config_version: str, watched: Mapping[Beside, Watched]
    ) -> None:
        self.device = device
        self.tags = tuple(tags)
        self.late_samples = 0
        self.late_ns = 0  # the oldest of them
        self.mark_ns: int | None = None  # the next minute to close
        self.told = {level: Told() for level in Level}
        self._lengths = lengths(tags[0].minute_s)
        self.minute_ns = self._lengths[Level.MINUTE]
        self._watched = watched
        self._schemas = {level: self._schema(level, config_version) for level in Level}
        self._minutes: dict[int, list[Cell]] = {}
        self._wholes: dict[Level, dict[int, list[Whole]]] = {Level.HOUR: {}, Level.DAY: {}}
        self._known: dict[Level, dict[int, Batch]] = {level: {} for level in Level}
        self._intakes: dict[str, Intake] = {}  # by poll group
        self._newest: dict[str, int] = {}  # what was booked before a restart
        self.increases = {
            str(tag.key): Increase(place, tag, self)
            for place, tag in enumerate(self.tags)
            if tag.mean is Mean.COUNTER
        }

    def _schema(self, level: Level, version: str) -> Schema:
        names, types, units = [], [], []
        for tag in self.tags:
            kind = tag.type if tag.type in _EXACT and tag.scaling is None else ValueType.FLOAT64
            number = ValueType.FLOAT64
            names += [f"{tag.tag.tag}.{figure}" for figure in PERIOD_FIGURES]
            types += [number, kind, kind, number, kind, ValueType.INT64, number, ValueType.STRING]
            units += [tag.unit, tag.unit, tag.unit, tag.sum_unit, tag.unit, "", "%", ""]
        nothing = (None,) * len(names)
        return Schema(self.device, level, version, tuple(names), tuple(types), tuple(units), nothing)

    # --- samples in ----------------------------------------------------------------------------------------

    def intake(self, schema: Schema) -> Intake | None:
        """For the samples of one poll group; None where none of its tags is chosen."""
        wanted = {tag.tag.tag: (place, tag) for place, tag in enumerate(self.tags) if tag.key == tag.tag}
        columns = []
        max_age_ns = 0
        for index, name in enumerate(schema.names):
            place, tag = wanted.get(name, (-1, None))
            if tag is not None and tag.mean is not Mean.COUNTER:
                timed = tag.mean is Mean.TIME or tag.integral_s is not None
                flow = self._watched[tag.weight_by] if tag.weight_by is not None else None
                columns.append(Column(index, place, timed, tag.uncertain, flow))
                max_age_ns = round(tag.max_age_s * 1e9)
        if not columns:
            return None
        before = self._intakes.get(schema.group)
        if before is not None:  # the group has other columns now
            before.settle(2**62)
        made = Intake(schema, columns, max_age_ns, self)
        self._intakes[schema.group] = made
        return made

    def booked_ns(self, group: str) -> int:
        """The newest batch of this group that is in the state of before the restart."""
        return self._newest.get(group, 0)

    def cells_of_sample(self, start_ns: int) -> list[Cell] | None:
        """The minute that begins there, for a sample of it; None where it has been told of."""
        if self.mark_ns is None or start_ns < self.mark_ns:
            if start_ns in self.told[Level.MINUTE]:
                return None
            self.mark_ns = start_ns  # the first of all, or the clock was set back
        return self.cells(start_ns)

    def cells(self, start_ns: int) -> list[Cell] | None:
        """The minute that begins there, for what reaches into it; None unless it is open."""
        found = self._minutes.get(start_ns)
        if found is None and self.mark_ns is not None and start_ns >= self.mark_ns:
            found = self._minutes[start_ns] = [Cell() for _ in self.tags]
        return found

    def wholes(self, level: Level, start_ns: int) -> list[Whole]:
        return self._wholes[level].setdefault(start_ns, [Whole() for _ in self.tags])

    def late(self, samples: int, time_ns: int) -> None:
        """Samples that came for a minute already told."""
        self.late_ns = min(time_ns, self.late_ns) if self.late_samples else time_ns
        self.late_samples += samples

    # --- periods out ---------------------------------------------------------------------------------------

    def begin(self, time_ns: int) -> None:
        """The first period is the present one, also of a device that says nothing."""
        if self.mark_ns is None:
            self.mark_ns = self.told[Level.MINUTE].until(floor(time_ns, self.minute_ns))

    def due(self, closing_ns: int) -> bool:
        """Whether a minute ended at or before this moment and is not closed."""
        assert self.mark_ns is not None
        self.mark_ns = self.told[Level.MINUTE].until(self.mark_ns)
        return self.mark_ns + self.minute_ns <= closing_ns

    def close_next(self, mono_ns: int) -> list[Batch]:
        """Closes the oldest open minute, and what ends with it."""
        assert self.mark_ns is not None
        told = [*self._close_minute(self.mark_ns, mono_ns)]
        end_ns = self.mark_ns = self.mark_ns + self.minute_ns
        if end_ns % HOUR == 0:
            told += self._close_whole(Level.HOUR, end_ns - HOUR, mono_ns)
        if floor(end_ns, DAY) == end_ns:
            told += self._close_whole(Level.DAY, end_ns - DAY, mono_ns)
        return told

    def leap(self, closing_ns: int, mono_ns: int) -> tuple[int, int, list[Batch]] | None:
        """After a gap too long to be told period by period: closes what has anything in it, and goes on two
        days ago. From when to when nothing is told; None without such a gap."""
        assert self.mark_ns is not None
        to_ns = floor(closing_ns - MOST_NS, HOUR)
        if to_ns <= self.mark_ns + MOST_NS:
            return None
        told: list[Batch] = []
        first_ns = self.mark_ns
        while (start_ns := min(self._minutes, default=to_ns)) < to_ns:
            told += self._close_minute(start_ns, mono_ns)
            first_ns = max(first_ns, start_ns + self.minute_ns)
        for level, length_ns in ((Level.HOUR, HOUR), (Level.DAY, DAY)):
            for start_ns in sorted(start for start in self._wholes[level] if start + length_ns <= to_ns):
                told += self._close_whole(level, start_ns, mono_ns)
        self.mark_ns = to_ns
        return first_ns, to_ns, told

    def _close_minute(self, start_ns: int, mono_ns: int) -> Iterator[Batch]:
        end_ns = start_ns + self.minute_ns
        for intake in self._intakes.values():
            intake.settle(end_ns)
        known = self._known[Level.MINUTE].get(start_ns)
        if known is not None:
            for increase in self.increases.values():
                increase.recall(known, start_ns, end_ns)
        cells = self._minutes.pop(start_ns, None) or [Cell() for _ in self.tags]
        parts = [
            cell.close(tag, self.minute_ns, self._attended(tag, start_ns, end_ns))
            for cell, tag in zip(cells, self.tags, strict=True)
        ]
        self._add(Level.HOUR, start_ns, parts)
        yield from self._tell(Level.MINUTE, start_ns, parts, mono_ns)

    def _attended(self, tag: PeriodTag, start_ns: int, end_ns: int) -> str:
        for flag, beside in ((CALIBRATION, tag.calibration), (MAINTENANCE, tag.maintenance)):
            if beside is not None and self._watched[beside].was_on(start_ns, end_ns):
                return flag
        return ""

    def _close_whole(self, level: Level, start_ns: int, mono_ns: int) -> Iterator[Batch]:
        """``told`` has every hour and day at most once, also where the clock was set back in between."""
        wholes = self._wholes[level].pop(start_ns, None) or [Whole() for _ in self.tags]
        if start_ns in self.told[level]:
            return
        length_ns = self._lengths[level]
        hours = level is Level.HOUR
        count = HOUR // self.minute_ns if hours else 24
        parts = [
            whole.close(tag, length_ns, count, tag.valid_minutes if hours else tag.valid_hours)
            for whole, tag in zip(wholes, self.tags, strict=True)
        ]
        if hours:
            self._add(Level.DAY, start_ns, parts)
        yield from self._tell(level, start_ns, parts, mono_ns)

    def _add(self, level: Level, start_ns: int, parts: Sequence[Part]) -> None:
        for whole, part in zip(self.wholes(level, floor(start_ns, self._lengths[level])), parts, strict=True):
            whole.add(part)

    def _tell(self, level: Level, start_ns: int, parts: Sequence[Part], mono_ns: int) -> Iterator[Batch]:
        length_ns = self._lengths[level]
        self.told[level].add(start_ns, start_ns + length_ns)
        if self._known[level].pop(start_ns, None) is not None:
            return
        values: list[Value] = []
        quality = bytearray()
        for part, tag in zip(parts, self.tags, strict=True):
            found, rated = figures(part, tag, length_ns)
            values += found
            quality += rated
        yield Batch(self._schemas[level], start_ns, mono_ns, tuple(values), bytes(quality))

    # --- restart and reload --------------------------------------------------------------------------------

    def know(self, batch: Batch) -> None:
        """A batch that stands in the store already."""
        level = Level(batch.schema.group)
        end_ns = batch.time_ns + self._lengths[level]
        if self.mark_ns is None:
            self.told[level].add(batch.time_ns, end_ns)
        elif batch.time_ns not in self.told[level]:
            self._known[level][batch.time_ns] = batch

    def go_on(self) -> None:
        """After ``know`` without any state of our own: from where the store ends."""
        if self.mark_ns is None and self.told[Level.MINUTE].spans:
            self.mark_ns = self.told[Level.MINUTE].spans[-1][1]

    def snapshot(self) -> dict[str, Any]:
        """JSON-able. What is still held is booked as far as the newest batch."""
        named = [tag.tag.tag for tag in self.tags]
        for intake in self._intakes.values():
            intake.pause()
        newest = {**self._newest, **{group: intake.newest_ns for group, intake in self._intakes.items()}}
        return {
            "mark": self.mark_ns,
            "told": {str(level): told.spans for level, told in self.told.items()},
            "rules": {tag.tag.tag: _digest(tag) for tag in self.tags},
            "minutes": {str(k): _by_name(named, cells) for k, cells in self._minutes.items()},
            "wholes": {
                str(level): {str(k): _by_name(named, found) for k, found in wholes.items()}
                for level, wholes in self._wholes.items()
            },
            "newest": newest,
            "increases": {key: one.snapshot() for key, one in self.increases.items()},
            "late": [self.late_samples, self.late_ns],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Of tags whose rule is another now only what has been told is taken up."""
        places = {
            tag.tag.tag: place
            for place, tag in enumerate(self.tags)
            if saved["rules"].get(tag.tag.tag) == _digest(tag)
        }
        self.told = {level: Told(saved["told"][str(level)]) for level in Level}
        self.late_samples, self.late_ns = saved["late"]
        if saved["mark"] is not None:
            mark_ns = int(saved["mark"])
            self.mark_ns = mark_ns + -mark_ns % self.minute_ns
            if self.mark_ns > mark_ns:  # the minutes have become longer: this one began with the old length
                self.told[Level.MINUTE].add(mark_ns - mark_ns % self.minute_ns, self.mark_ns)
        for start, cells in saved["minutes"].items():
            if int(start) % self.minute_ns == 0 and int(start) >= (self.mark_ns or 0):
                mine = self._minutes.setdefault(int(start), [Cell() for _ in self.tags])
                for name, cell in cells.items():
                    if name in places:
                        mine[places[name]] = Cell.of(cell)
        for level, wholes in saved["wholes"].items():
            for start, found in wholes.items():
                whole = self.wholes(Level(level), int(start))
                for name, item in found.items():
                    if name in places:
                        whole[places[name]] = Whole.of(item)
        for key, one in self.increases.items():
            if key in saved["increases"]:
                one.restore(saved["increases"][key])
        self._newest = {group: int(ns) for group, ns in saved["newest"].items()}


def _digest(tag: PeriodTag) -> str:
    return hashlib.blake2b(repr(tag).encode(), digest_size=6).hexdigest()


def _by_name(names: Sequence[str], found: Sequence[Cell | Whole]) -> dict[str, list[Any]]:
    """Without those of which nothing is known."""
    empty = type(found[0])().as_list() if found else []
    return {name: row for name, one in zip(names, found, strict=True) if (row := one.as_list()) != empty}

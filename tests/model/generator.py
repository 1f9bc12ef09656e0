"""Draws lines and what happens on them, from a seed. Values are biased to lie on and around limits, times to
fall on the ends of delays."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from edge_agent.config.model import Alarming, Limit, LimitKind, Output, Plausible, Priority, TagRef, Window
from edge_agent.model import Quality, Scaling, Tag, Value, ValueType
from tests.model.naive import Naive
from tests.model.status import written
from tests.model.story import Clock, GroupKey, Line, Order, Poll, Reload, Restart, Step, Tick

SECOND_NS = 1_000_000_000
NUMBERS: list[tuple[ValueType, Scaling | None, str]] = [  # type, scaling, grid of engineering values
    (ValueType.INT16, None, "1"),
    (ValueType.INT16, Scaling(0.1, 0.0), "0.1"),
    (ValueType.INT16, Scaling(0.1, -40.0), "0.1"),
    (ValueType.INT16, Scaling(-0.5, 10.0), "0.5"),
    (ValueType.INT32, Scaling(0.01, 3.7), "0.01"),
    (ValueType.UINT16, Scaling(0.3, -1.2), "0.3"),
    (ValueType.INT64, Scaling(0.001, 0.0), "0.001"),
    (ValueType.FLOAT64, None, "0.25"),
    (ValueType.FLOAT64, None, "0.1"),
    (ValueType.FLOAT32, None, "0.1"),
]
NONSENSE: dict[ValueType, list[Value]] = {
    type_: [None, "text", *([math.nan, math.inf, -math.inf] if type_.is_float else [])] for type_ in ValueType
}
WORDS = ("idle", "run", "fault")
FAULTS = [
    Quality.BAD_COMM, Quality.BAD_DEVICE, Quality.BAD, Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED,
    Quality.UNCERTAIN_ESTIMATED, Quality.UNDEFINED,
    Quality.UNCERTAIN_SOURCE_TIME, Quality.UNCERTAIN_SOURCE_TIME,
    Quality.NOT_REPORTED, Quality.NOT_REPORTED, Quality.NOT_REPORTED, Quality.UNCHANGED, Quality.UNCHANGED,
]  # fmt: skip
PAUSES_S = [0.0, 0.25, 0.25, 0.5, 0.5, 0.5, 1.0]
DELAYS_S = [0.0, 0.0, 0.0, 0.5, 1.0, 2.0]
OUTPUTS = (
    Output(TagRef("a", "horn"), Priority.HIGH, silence=True),
    Output(TagRef("a", "lamp"), Priority.LOW),
    Output(TagRef("b", "beacon"), Priority.CRITICAL, active=True),
    Output(TagRef("b", "bell"), Priority.MEDIUM, active=True, silence=True),
)


class World:
    """One line and its mishaps. ``steps`` may look at the model to aim what people do."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.grids: dict[TagRef, Decimal] = {}
        self.line = self.draw_line()
        self.places: dict[TagRef, int] = {}
        self.words: dict[TagRef, Value] = {}
        self.trouble = 0.0
        self.restless = rng.choice([0.05, 0.2, 0.45])  # how often a value moves
        self.stuck: dict[TagRef, int] = {}
        self.hidden: set[GroupKey] = set()  # poll groups that are not read at present

    # ---- the line -----------------------------------------------------------------------------------------

    def draw_line(self) -> Line:
        rng = self.rng
        keys: list[GroupKey] = rng.sample([("a", "fast"), ("a", "slow"), ("b", "fast")], rng.randint(1, 3))
        groups = tuple((key, self.draw_tags(*key)) for key in keys)
        line = Line(groups, (), OUTPUTS)
        windows = tuple(self.draw_window(line, f"w{i}") for i in range(rng.choice([1, 1, 2, 2, 3, 4, 6])))
        return replace(line, windows=windows)

    def draw_tags(self, device: str, group: str) -> tuple[Tag, ...]:
        rng = self.rng
        tags = [Tag(f"{group}_on", "", ValueType.BOOL, group)]
        tags += [self.draw_number(device, f"{group}_{i}", group) for i in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            tags.append(Tag(f"{group}_mode", "", ValueType.STRING, group))
        if rng.random() < 0.3:
            tags.append(Tag(f"{group}_open", "", ValueType.BOOL, group))
        rng.shuffle(tags)
        return tuple(tags)

    def draw_number(self, device: str, name: str, group: str) -> Tag:
        type_, scaling, grid = self.rng.choice(NUMBERS)
        self.grids[TagRef(device, name)] = Decimal(grid)
        return Tag(name, "", type_, group, scaling=scaling)

    def draw_window(self, line: Line, name: str) -> Window:
        rng = self.rng
        tags = [(TagRef(key[0], tag.name), tag) for key, tags in line.groups for tag in tags]
        numbers = [(ref, tag) for ref, tag in tags if tag.type.is_numeric]
        conditions = [ref for ref, tag in tags if tag.type is ValueType.BOOL]
        more: dict[str, Any] = {
            "on_delay_s": rng.choice(DELAYS_S),
            "off_delay_s": rng.choice(DELAYS_S),
            "max_age_s": rng.choice([1.5, 3.0, 3.0, 5.0]),
            "alarming": self.draw_alarming(),
        }
        if rng.random() < 0.4:
            more |= {"when": rng.choice(conditions), "grace_s": rng.choice([0.0, 0.0, 1.0, 2.0])}
        if rng.random() < 0.15:
            ref, tag = rng.choice([pair for pair in tags if not pair[1].type.is_numeric])
            allowed: tuple[Any, ...] = (rng.random() < 0.5,) if tag.type is ValueType.BOOL else WORDS[:2]
            if rng.random() < 0.3:
                more["plausible"] = Plausible(frozen_s=rng.choice([2.0, 4.0]))
            return Window(name, ref, allowed=allowed, further=self.draw_bad_input(), **more)
        ref, tag = rng.choice(numbers)
        return self.draw_numeric(name, ref, tag, numbers, more)

    def draw_numeric(
        self, name: str, ref: TagRef, tag: Tag, numbers: Sequence[tuple[TagRef, Tag]], more: dict[str, Any]
    ) -> Window:
        rng, grid = self.rng, self.grids[ref]
        middle = meaning(tag, grid, rng.randint(-3, 3))
        further: list[Limit] = []
        deadband = float(grid * rng.choice([0, 0, 1, 2]))
        if rng.random() < 0.3:
            tolerance = grid * rng.randint(2, 4)
            targets = [r for r, t in numbers if r != ref]
            use_tag = targets and rng.random() < 0.7
            more |= {
                "target": rng.choice(targets) if use_tag else float(middle),
                "tolerance": float(tolerance),
            }
            if rng.random() < 0.3:
                further.append(self.draw_limit(LimitKind.HIHI, None, grid, float(tolerance + 2 * grid)))
        else:
            if rng.random() < 0.6:
                more["low"] = float(middle - grid * rng.randint(2, 4))
            if rng.random() < 0.7 or "low" not in more:
                more["high"] = float(middle + grid * rng.randint(2, 4))
            if rng.random() < 0.3:
                further.append(self.draw_limit(LimitKind.HIHI, float(middle + 6 * grid), grid))
            if rng.random() < 0.3:
                further.append(self.draw_limit(LimitKind.LOLO, float(middle - 6 * grid), grid))
        if tag.type in (ValueType.INT16, ValueType.INT32) and rng.random() < 0.15:
            more["allowed"] = tuple(range(-4, 5))
        rates = [kind for kind in (LimitKind.RISE, LimitKind.FALL) if rng.random() < 0.25]
        further += [self.draw_rate(kind, pace(tag, grid)) for kind in rates]
        if rng.random() < 0.35:
            more["plausible"] = self.draw_plausible(middle, grid, pace(tag, grid))
        return Window(name, ref, deadband=deadband, further=(*further, *self.draw_bad_input()), **more)

    def draw_limit(
        self, kind: LimitKind, value: float | None, grid: Decimal, tolerance: float | None = None
    ) -> Limit:
        rng = self.rng
        return Limit(
            kind, value, tolerance, float(grid * rng.choice([0, 1])), rng.choice(DELAYS_S),
            rng.choice(DELAYS_S), alarming=self.draw_alarming(),
        )  # fmt: skip

    def draw_rate(self, kind: LimitKind, pace: Decimal) -> Limit:
        rng = self.rng
        value = pace * rng.choice([1, 2, 4])
        deadband = rng.choice([Decimal(0), pace / 2])
        return Limit(
            kind, float(value), None, float(deadband), rng.choice(DELAYS_S), rng.choice(DELAYS_S),
            rng.choice([0.0, 0.0, 1.0, 2.0, 4.0]), self.draw_alarming(),
        )  # fmt: skip

    def draw_plausible(self, middle: Decimal, grid: Decimal, pace: Decimal) -> Plausible:
        rng = self.rng
        return Plausible(
            rng.choice([None, float(middle - 9 * grid)]),
            rng.choice([None, float(middle + 9 * grid)]),
            rng.choice([None, None, float(pace * rng.choice([8, 16, 32]))]),
            rng.choice([None, None, 2.0, 4.0]),
        )

    def draw_bad_input(self) -> tuple[Limit, ...]:
        rng = self.rng
        if rng.random() >= 0.25:
            return ()
        delays = (rng.choice([0.0, 1.0, 2.0]), rng.choice([0.0, 1.0]))
        return (
            Limit(
                LimitKind.BAD_INPUT,
                on_delay_s=delays[0],
                off_delay_s=delays[1],
                alarming=self.draw_alarming(),
            ),
        )

    def draw_alarming(self) -> Alarming:
        rng = self.rng
        return Alarming(
            rng.choice(list(Priority)),
            latch=rng.random() < 0.3,
            ack=rng.random() < 0.8,
            realarm_s=rng.choice([None, None, 2.0, 5.0]),
            first_out=rng.choice(["", "", "trip", "trip", "other"]),
            max_shelve_s=rng.choice([3.0, 8.0, 28_800.0]),
        )

    # ---- what happens -------------------------------------------------------------------------------------

    def steps(self, count: int, model: Naive) -> Iterator[Step]:
        for _ in range(count):
            yield self.draw_step(model)

    def draw_step(self, model: Naive) -> Step:
        rng, dice = self.rng, self.rng.random()
        after_ns = round(rng.choice(PAUSES_S) * SECOND_NS)
        if rng.random() < 0.05:
            after_ns += rng.choice([-1, 1, 1, rng.randint(0, SECOND_NS), rng.randint(0, 6 * SECOND_NS)])
        after_ns = max(0, after_ns)
        if dice < 0.72:
            return self.poll(after_ns)
        if dice < 0.83:
            return Tick(after_ns)
        if dice < 0.975:
            return self.order(after_ns // 4, model)
        if dice < 0.982:
            return Clock(after_ns, rng.choice([-1, 1]) * rng.choice([1, 60, 86_400]) * SECOND_NS)
        if dice < 0.991:
            return self.restart(after_ns)
        return self.reload(after_ns)

    def poll(self, after_ns: int) -> Poll:
        rng = self.rng
        if rng.random() < 0.02:
            self.trouble = rng.choice([0.0, 0.0, 0.0, 0.05, 0.3])
        if rng.random() < 0.01:
            self.hidden = {key for key, _ in self.line.groups if rng.random() < 0.2}
        awake = [pair for pair in self.line.groups if pair[0] not in self.hidden] or list(self.line.groups)
        key, tags = rng.choice(awake)
        if rng.random() < 0.03:
            chosen = rng.choice(tags)
            self.stuck = {TagRef(key[0], chosen.name): rng.choice(FAULTS)} if rng.random() < 0.4 else {}
        report = rng.random() < 0.15  # of changes: most tags are as before
        calm = rng.random() < 0.4
        values: list[Value] = []
        quality = bytearray()
        for tag in tags:
            ref = TagRef(key[0], tag.name)
            value = self.draw_value(ref, tag, calm)
            fault = self.stuck.get(ref, Quality.GOOD)
            if rng.random() < self.trouble:
                fault = rng.choice(FAULTS)
            elif report and rng.random() < 0.7:
                fault = Quality.UNCHANGED
            if rng.random() < 0.002:
                value = rng.choice(NONSENSE[tag.type] if tag.type.is_numeric else [None])
            values.append(None if 0x80 <= fault < 0xC0 else value)
            quality.append(fault)
        late_ns = 0 if rng.random() < 0.9 else rng.choice([1, SECOND_NS // 4, SECOND_NS])
        return Poll(after_ns, key, late_ns, tuple(values), bytes(quality))

    def draw_value(self, ref: TagRef, tag: Tag, calm: bool) -> Value:
        rng = self.rng
        if tag.type is ValueType.BOOL:
            if ref not in self.words or rng.random() < (0.03 if calm else 0.12):
                self.words[ref] = rng.random() < 0.7
            return self.words[ref]
        if tag.type is ValueType.STRING:
            if ref not in self.words or rng.random() < (0.03 if calm else 0.2):
                self.words[ref] = rng.choice(WORDS)
            return self.words[ref]
        if ref not in self.places or rng.random() < (0.05 if calm else self.restless):
            if rng.random() < 0.25 and ref in self.places:
                self.places[ref] += rng.choice([-2, -1, 1, 2])
            else:
                self.places[ref] = rng.choice(self.interesting(ref, tag))
        return raw_at(tag, self.grids[ref], self.places[ref])

    def interesting(self, ref: TagRef, tag: Tag) -> list[int]:
        """Places on the tag's grid at and around the limits of a window that reads it."""
        rng, grid = self.rng, self.grids[ref]
        windows = [w for w in self.line.windows if w.source == ref]
        if not windows:
            return [-2, -1, 0, 0, 1, 2]
        window = rng.choice(windows)
        target = self.target(window)
        edges = [target] if target is not None else []
        for limit in window.limits:
            edge = None if limit.value is None else written(limit.value)
            sign = -1 if limit.kind in (LimitKind.LOW, LimitKind.LOLO) else 1
            if limit.kind in (LimitKind.RISE, LimitKind.FALL):
                continue
            if limit.tolerance is not None and target is not None:
                edge = target + sign * written(limit.tolerance)
            if edge is not None:
                edges += [edge, edge, edge - sign * written(limit.deadband)]
        plausible = window.plausible
        if plausible is not None and rng.random() < 0.3:
            edges = [written(edge) for edge in (plausible.low, plausible.high) if edge is not None] or edges
        if not edges:
            return [0, 1, 2, 3]
        place = place_of(tag, grid, rng.choice(edges))
        return [place - 1, place, place, place + 1, place + rng.randint(-4, 4)]

    def target(self, window: Window) -> Decimal | None:
        target = window.target
        if not isinstance(target, TagRef):
            return None if target is None else written(target)
        tag = next(t for key, tags in self.line.groups for t in tags if TagRef(key[0], t.name) == target)
        return meaning(tag, self.grids[target], self.places.get(target, 0))

    def order(self, after_ns: int, model: Naive) -> Order:
        rng = self.rng
        alarms = list(model.alarms.all.values())
        restless = [a for a in alarms if a.letter != "A"]
        alarm = rng.choice(restless if restless and rng.random() < 0.7 else alarms)
        name = alarm.name if rng.random() < 0.97 else "w0.nothing"
        fitting = {"B": "ack", "D": "ack", "E": "ack", "F": "reset", "G": "unshelve", "I": "unsuppress"}
        verb = fitting.get(alarm.letter, "shelve")
        if rng.random() < 0.5:
            verb = rng.choice(
                ["ack", "ack", "ack", "reset", "shelve", "unshelve", "suppress", "unsuppress", "silence"]
            )
        user = "" if rng.random() < 0.02 else "li"
        comment = "" if rng.random() < 0.1 else "repair"
        duration_s = rng.choice([0.5, 1.0, 2.0, 3.0, 8.0, 8.5, None, 0.0, -1.0]) if verb == "shelve" else None
        return Order(after_ns, verb, name, user, comment, duration_s)

    def restart(self, after_ns: int) -> Restart:
        rng = self.rng
        down_ns = rng.choice([0, SECOND_NS, rng.randint(0, 3 * SECOND_NS), -60 * SECOND_NS])
        return Restart(after_ns, down_ns, rng.randint(2, 50) * SECOND_NS, crash=rng.random() < 0.5)

    def reload(self, after_ns: int) -> Reload:
        rng, line = self.rng, self.line
        if rng.random() < 0.15:
            line = replace(line, groups=tuple((key, self.rescale(key, tags)) for key, tags in line.groups))
        windows = [
            w if rng.random() < 0.5 else self.vary(line, w) for w in line.windows if rng.random() < 0.85
        ]
        names = {w.name for w in windows}
        fresh = [f"w{i}" for i in range(6) if f"w{i}" not in names]
        if not windows or (rng.random() < 0.3 and fresh):
            windows.insert(rng.randint(0, len(windows)), self.draw_window(line, rng.choice(fresh)))
        self.line = replace(line, windows=tuple(windows))
        return Reload(after_ns, self.line)

    def rescale(self, key: GroupKey, tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
        changed = []
        for tag in tags:
            ref = TagRef(key[0], tag.name)
            if tag.type is ValueType.INT16 and self.rng.random() < 0.5:
                _, scaling, grid = self.rng.choice([n for n in NUMBERS if n[0] is tag.type])
                self.grids[ref] = Decimal(grid)
                tag = replace(tag, scaling=scaling)
            changed.append(tag)
        return tuple(changed)

    def vary(self, line: Line, window: Window) -> Window:
        """The same window with another setting, or another window under its name."""
        rng = self.rng
        dice = rng.random()
        if dice < 0.4:
            return self.draw_window(line, window.name)
        if dice < 0.6:
            return replace(window, alarming=self.draw_alarming())
        if dice < 0.8:
            return replace(window, on_delay_s=rng.choice(DELAYS_S), off_delay_s=rng.choice(DELAYS_S))
        if window.further and dice < 0.9:
            return replace(window, further=window.further[1:]) if window.limits[1:] else window
        return replace(window, when=None, grace_s=0.0)


def pace(tag: Tag, grid: Decimal) -> Decimal:
    """Unit of rates. They may lie on their limits, but not those of float32: a nanosecond more or less is
    finer there than the values are."""
    return grid * Decimal("0.9737") if tag.type is ValueType.FLOAT32 else grid


def scaling_of(tag: Tag) -> tuple[Decimal, Decimal]:
    scaling = tag.scaling or Scaling()
    return written(scaling.scale), written(scaling.offset)


def meaning(tag: Tag, grid: Decimal, place: int) -> Decimal:
    """The engineering value at a place of the tag's grid; of integers the place is the raw value."""
    if tag.type.is_float:
        return grid * place
    scale, offset = scaling_of(tag)
    return scale * place + offset


def place_of(tag: Tag, grid: Decimal, value: Decimal) -> int:
    if tag.type.is_float:
        return round(value / grid)
    scale, offset = scaling_of(tag)
    place = round((value - offset) / scale)
    return max(0, place) if tag.type is ValueType.UINT16 else place


def raw_at(tag: Tag, grid: Decimal, place: int) -> Value:
    if tag.type is ValueType.FLOAT64:
        return float(grid * place)
    if tag.type is ValueType.FLOAT32:
        return float(struct.unpack("<f", struct.pack("<f", float(grid * place)))[0])
    return max(0, place) if tag.type is ValueType.UINT16 else place

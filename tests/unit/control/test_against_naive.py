"""Random lines, random faults: control and the naive second implementation must tell the same story."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest

from edge_agent.config.model import Limit, LimitKind, Plausible, TagRef, Window
from edge_agent.control import Control
from edge_agent.control import group as groups
from edge_agent.control.lanes import Lanes
from edge_agent.control.limits import REGARDLESS
from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Tag, Value, ValueType
from tests.unit.control.line import record
from tests.unit.control.naive import LEVELS, Naive, Told

STEPS = 2_500
SCALINGS = {
    ValueType.INT16: [None, Scaling(0.1, 0.0), Scaling(0.1, -40.0), Scaling(-0.5, 10.0), Scaling(0.01, 3.7)],
    ValueType.INT64: [None, Scaling(0.001, 0.0)],
    ValueType.FLOAT64: [None],
    ValueType.FLOAT32: [None],
    ValueType.BOOL: [None],
    ValueType.STRING: [None],
}
FAULTS = [
    Quality.BAD_COMM, Quality.BAD, Quality.UNCERTAIN, Quality.UNCERTAIN_STOPPED, Quality.NOT_REPORTED,
    Quality.NOT_REPORTED, Quality.NOT_REPORTED, Quality.UNCHANGED, Quality.UNCERTAIN_SOURCE_TIME,
]  # fmt: skip
STUCK = [Quality.BAD_COMM, Quality.UNCERTAIN, Quality.UNCERTAIN_SOURCE_TIME]


class World:
    """Draws configurations, values and mishaps. ``mono_ns`` is the present, wall time ``wall_ns`` ahead."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.version = 0
        self.mono_ns = 50_000_000_000
        self.wall_ns = 1_767_225_600_000_000_000
        self.tags: dict[tuple[str, str], list[Tag]] = {}
        for device in ("a", "b"):
            for group in ("fast", "slow"):
                types = [rng.choice(list(SCALINGS)) for _ in range(rng.randint(2, 5))]
                self.tags[device, group] = [
                    Tag(f"{group}{i}", "", t, group, scaling=rng.choice(SCALINGS[t]))
                    for i, t in enumerate([ValueType.BOOL, *types])
                ]
        self.values: dict[TagRef, Value] = {}
        self.windows = [self.draw_window(f"w{i}") for i in range(rng.randint(4, 10))]
        self.schemas = self.draw_schemas()
        self.trouble = 0.0
        self.stuck: dict[TagRef, Quality] = {}  # bad for long, as a dead sensor is

    def refs(self, numeric: bool) -> list[TagRef]:
        return [
            TagRef(device, tag.name)
            for (device, _), tags in self.tags.items()
            for tag in tags
            if tag.type.is_numeric == numeric
        ]

    def draw_window(self, name: str) -> Window:
        rng = self.rng
        limits: dict[str, Any] = {"low": rng.choice([None, 0.3, -1.5]), "high": rng.choice([1.1, 2.7])}
        if rng.random() < 0.4:
            target = rng.choice([0.6, *self.refs(numeric=True)])
            limits = {"target": target, "tolerance": rng.choice([0.5, 1.3])}
        further = self.draw_limits("target" in limits)
        numeric = rng.random() < 0.97
        if rng.random() < 0.2:  # a discrete one
            limits, numeric = {"allowed": rng.choice([(1, 3), (True,), ("A", "B")])}, rng.random() < 0.3
            further = tuple(limit for limit in further if limit.kind is LimitKind.BAD_INPUT)
        return Window(
            name,
            rng.choice(self.refs(numeric=numeric)),
            deadband=rng.choice([0.0, 0.0, 0.1, 0.2]),
            on_delay_s=rng.choice([0.0, 0.0, 0.5, 1.5]),
            off_delay_s=rng.choice([0.0, 0.0, 0.5, 1.0]),
            max_age_s=rng.choice([1.0, 2.5]),
            when=rng.choice([None, None, None, *self.refs(numeric=False)[:2]]),
            grace_s=rng.choice([0.0, 0.0, 1.0, 3.0]),
            plausible=rng.choice([None, None, self.draw_plausible()]),
            further=further,
            **limits,
        )

    def draw_limits(self, has_target: bool) -> tuple[Limit, ...]:
        """Of any kinds, each with settings of its own."""
        rng, further = self.rng, []
        values: dict[LimitKind, float | None] = {
            LimitKind.LOLO: -0.7, LimitKind.LOW: 0.4, LimitKind.HIGH: 1.0, LimitKind.HIHI: 1.9,
            LimitKind.RISE: 0.8, LimitKind.FALL: 0.3, LimitKind.BAD_INPUT: None,
        }  # fmt: skip
        for kind, value in values.items():
            if rng.random() < 0.8:
                continue
            tolerance = None
            if value is not None and has_target and kind in LEVELS and rng.random() < 0.7:
                value, tolerance = None, rng.choice([0.1, 0.9])
            over_s = rng.choice([0.0, 1.0, 2.0]) if kind in (LimitKind.RISE, LimitKind.FALL) else 0.0
            delays = rng.choice([0.0, 0.0, 0.7]), rng.choice([0.0, 0.0, 0.4])
            deadband = 0.0 if value is None and tolerance is None else rng.choice([0.0, 0.1])
            further.append(Limit(kind, value, tolerance, deadband, *delays, over_s))
        return tuple(further)

    def draw_plausible(self) -> Plausible:
        rng = self.rng
        return Plausible(
            rng.choice([None, -0.7]),
            rng.choice([None, 1.9]),
            rng.choice([None, None, 4.0, 20.0]),
            rng.choice([None, None, 0.8, 3.0]),
        )

    def draw_schemas(self) -> dict[tuple[str, str], Schema]:
        self.version += 1
        return {(d, g): Schema.of(d, g, f"v{self.version}", tags) for (d, g), tags in self.tags.items()}

    def draw_value(self, tag: Tag) -> Value:
        """A raw value whose engineering value lies on a grid of tenths around the limits."""
        rng = self.rng
        if tag.type is ValueType.BOOL:
            return rng.random() < 0.85
        if tag.type is ValueType.STRING:
            return rng.choice("AAABBC")
        wanted = rng.choice(
            [0.3, 0.4, 0.6, 0.7, 0.9, 1.0, 1.1, 0.8, 0.5, 0.2, 1.2, 2.7, 2.8, -0.7, -0.8, 1.9, 3.0]
        )
        if tag.type is ValueType.FLOAT32:
            return float(struct.unpack("<f", struct.pack("<f", wanted))[0])
        if tag.type is ValueType.FLOAT64:
            return wanted
        scale, offset = (tag.scaling.scale, tag.scaling.offset) if tag.scaling else (1.0, 0.0)
        return round((wanted - offset) / scale)

    def batch(self) -> Batch:
        rng = self.rng
        key = rng.choice(list(self.schemas))
        schema, quality, values = self.schemas[key], bytearray(), []
        if rng.random() < 0.02:
            self.trouble = rng.choice([0.0, 0.0, 0.05, 0.4])
        if rng.random() < 0.01:
            refs = rng.sample(self.refs(numeric=True), 2)
            self.stuck = {ref: rng.choice(STUCK) for ref in refs}
        calm = rng.random() < 0.3
        report = rng.random() < 0.25  # of changes: most tags are as before
        for tag in self.tags[key]:
            ref = TagRef(key[0], tag.name)
            if ref not in self.values or rng.random() < (0.02 if calm else 0.15):
                self.values[ref] = self.draw_value(tag)
            fault = self.stuck.get(ref, Quality.GOOD)
            if rng.random() < self.trouble:
                fault = rng.choice(FAULTS)
            if report and rng.random() < 0.8:
                fault = Quality.UNCHANGED
            value = self.values[ref]
            if rng.random() < 0.003:
                value = rng.choice([None, "text", math.nan, math.inf, -math.inf])
            quality.append(fault)
            if fault >= Quality.NOT_REPORTED:
                value = rng.choice([None, self.draw_value(tag)])  # what stands there means nothing
            values.append(None if 0x80 <= fault < 0xC0 else value)
        late_ns = rng.choice([0, 0, 0, 0, rng.randint(0, 700_000_000)])
        mono_ns = self.mono_ns - late_ns
        return Batch(schema, mono_ns + self.wall_ns, mono_ns, tuple(values), bytes(quality))


class OneOf:
    """Equal to a list in which it occurs: of several values equally far outside any may be the extreme."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"one of them is {self.value}"

    def __eq__(self, other: object) -> bool:
        if self.value is None:  # no level was exceeded
            return other == []
        return isinstance(other, list) and any(abs(self.value - v) < 1e-5 for v in other)

    __hash__ = None  # type: ignore[assignment]


def told(events: list[Event]) -> list[Told]:
    """As the naive implementation tells it, window by window."""
    keys = ("begin_ns", "outside_ns", "duration_s", "extreme")
    plain: list[Told] = []
    for e in events:
        more = {k: e.detail[k] for k in keys if k in e.detail}
        if "extreme" in more:
            more["extreme"] = OneOf(more["extreme"])
        plain.append((e.kind, e.source, e.mono_ns, e.detail["old"], e.detail["new"], more))
    return sorted(plain, key=lambda t: t[1])


class Duel:
    """One control and one naive implementation on the same world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.control = Control(world.windows, "v1", mono_ns=world.mono_ns, time_ns=self.time_ns)
        self.told = record(self.control)
        self.naive = Naive(world.windows, world.mono_ns)
        self.counts: dict[str, int] = {}

    @property
    def time_ns(self) -> int:
        return self.world.mono_ns + self.world.wall_ns

    def step(self) -> None:
        world, rng = self.world, self.world.rng
        world.mono_ns += rng.choice([0, 1, rng.randint(0, 200_000_000), rng.randint(0, 200_000_000)])
        if rng.random() < 0.01:
            world.mono_ns += rng.randint(0, 5_000_000_000)
        dice = rng.random()
        if dice < 0.85:
            batch = world.batch()
            self.same(self.control.on_batch(batch), self.naive.on_batch(batch))
        elif dice < 0.98:
            mono_ns = world.mono_ns
            self.same(self.control.tick(mono_ns, self.time_ns), self.naive.tick(mono_ns, self.time_ns))
            self.same_times()
        elif dice < 0.992:
            self.rows()
        elif dice < 0.996:
            self.reconfigure()
        else:
            self.restart()
        self.same_states()

    def rows(self) -> None:
        rows = list(self.control.rows(self.world.mono_ns))
        json.dumps(rows, allow_nan=False)
        for status in self.naive.all.values():
            self.naive.account(status, self.world.mono_ns)
        self.same_times()

    def reconfigure(self) -> None:
        world, rng = self.world, self.world.rng
        kept = [
            w if rng.random() < 0.7 else world.draw_window(w.name)
            for w in world.windows
            if rng.random() < 0.9
        ]
        names = {w.name for w in kept}
        world.windows = kept + [world.draw_window(f"w{i}") for i in range(3) if f"w{i}" not in names]
        world.schemas = world.draw_schemas()
        mono_ns = world.mono_ns
        told_by = self.control.reconfigure(
            world.windows, f"v{world.version}", mono_ns=mono_ns, time_ns=self.time_ns
        )
        self.same(told_by, self.naive.reconfigure(world.windows, mono_ns, self.time_ns))

    def restart(self) -> None:
        world, rng = self.world, self.world.rng
        mono_ns = world.mono_ns
        self.same(self.control.tick(mono_ns, self.time_ns), self.naive.tick(mono_ns, self.time_ns))
        saved = json.loads(json.dumps(self.control.snapshot()))
        accounted_ns = self.naive.now_ns
        down_ns = rng.randint(0, 3_000_000_000)
        wall_ns = self.time_ns + down_ns + (accounted_ns - mono_ns)
        world.mono_ns = rng.randint(2_000_000_000, 10_000_000_000)
        world.wall_ns = wall_ns - world.mono_ns
        self.control = Control(world.windows, "v", mono_ns=world.mono_ns, time_ns=self.time_ns)
        self.told = record(self.control)
        self.control.restore(saved, mono_ns=world.mono_ns, time_ns=self.time_ns)
        for status in self.naive.all.values():
            self.naive.account(status, accounted_ns)
        self.naive.changes = []
        self.naive.restart(world.mono_ns, down_ns, accounted_ns)

    def same(self, events: list[Event], expected: list[Told]) -> None:
        for event in events:
            json.dumps(dict(event.detail), allow_nan=False)
            self.counts[event.kind] = self.counts.get(event.kind, 0) + 1
        assert told(events) == sorted(expected, key=lambda t: t[1])
        heard = [(str(t.change), t.window, str(t.kind or ""), t.at.mono_ns) for t in self.told.heard]
        self.told.heard.clear()
        for change, _, kind, _ in heard:
            self.counts[f"{change} {kind}"] = self.counts.get(f"{change} {kind}", 0) + 1
        assert sorted(heard, key=lambda t: t[1]) == sorted(self.naive.changes, key=lambda t: t[1])

    def same_states(self) -> None:
        for name, status in self.naive.all.items():
            watcher = self.control._watchers[name]
            reason = "*" if watcher.state == "out" else watcher.reason
            found = (str(watcher.state), reason, watcher.active, watcher.excursions, watcher.suppressed)
            expected = (status.state, status.reason, status.active, status.excursions, status.suppressed)
            assert found == expected, name
            active = [machine.limit.kind for machine in status.machines if machine.active]
            assert watcher.active_kinds == active, name

    def same_times(self) -> None:
        states = self.control.snapshot()
        for name, status in self.naive.all.items():
            assert states[name]["spent_ns"] == status.spent, name
            assert states[name]["unknown_ns"] == status.unknown_by, name


@pytest.fixture(params=["eager", "patient"])
def eager(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """These worlds are small and restless: lanes would hardly ever be built for them."""
    if request.param == "eager":
        monkeypatch.setattr(groups, "PATIENCE", 0)
        monkeypatch.setattr(groups, "FEWEST", 1)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6, None])
def test_same_story_as_the_naive_implementation(seed: int | None) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}")
    duel = Duel(World(random.Random(seed)))
    for number in range(STEPS):
        try:
            duel.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {number}: {error}") from error
    print(duel.counts)


def test_the_duel_sees_every_kind_of_event_and_the_fast_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would compare silence with silence."""
    monkeypatch.setattr(groups, "PATIENCE", 0)
    monkeypatch.setattr(groups, "FEWEST", 1)
    seen = {"held": 0, "not held": 0, "regardless": 0}
    hold = Lanes.hold

    def noting(self: Lanes, values: tuple[Value, ...]) -> bool:
        held = hold(self, values)
        seen["held" if held else "not held"] += 1
        return held

    monkeypatch.setattr(Lanes, "hold", noting)
    counts: dict[str, int] = {}
    for seed in range(6):
        duel = Duel(World(random.Random(seed)))
        for _ in range(900):
            duel.step()
            seen["regardless"] += sum(w.bounds is REGARDLESS for w in duel.control._watchers.values())
        for kind, count in duel.counts.items():
            counts[kind] = counts.get(kind, 0) + count
    changes = {
        f"{change} {kind}"
        for kind in ("lolo", "low", "high", "hihi", "rise", "fall", "state", "bad_input")
        for change in ("alarm", "return")
    }
    assert min(counts.values()) > 5
    assert set(counts) == changes | {
        "excursion_begin", "excursion_end", "window_unknown", "window_known", "window_suppressed",
        "window_unsuppressed", "suppress ", "unsuppress ",
    }  # fmt: skip
    assert min(seen.values()) > 20, seen

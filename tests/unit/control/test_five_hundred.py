"""Five hundred windows of mixed kinds on one poll group, against the simple computation window by window."""

from __future__ import annotations

import random

import pytest

from edge_agent.config.model import Limit, LimitKind, Plausible, TagRef, Window
from edge_agent.control import Control
from edge_agent.model import Batch, Quality, Scaling, Schema, Tag, Value, ValueType
from tests.unit.control.line import START_NS, WALL_NS, record
from tests.unit.control.naive import Naive
from tests.unit.control.test_against_naive import told

COUNT = 500
STEP_NS = 250_000_000


def kinds(rng: random.Random) -> dict[str, object]:
    """Settings of one window: mostly quiet for a value that wanders between 90 and 110."""
    level = {"low": rng.choice([80.0, 85.5]), "high": rng.choice([115.0, 120.5])}
    rise = Limit(LimitKind.RISE, 30.0, over_s=rng.choice([0.0, 5.0]), on_delay_s=rng.choice([0.0, 0.5]))
    fall = Limit(LimitKind.FALL, 25.0, deadband=5.0, over_s=rng.choice([0.0, 2.0]))
    further = (Limit(LimitKind.HIHI, 130.0, deadband=1.0), Limit(LimitKind.BAD_INPUT, on_delay_s=1.0))
    return rng.choice(
        [
            level,
            level | {"further": further, "deadband": 2.0, "off_delay_s": 1.0},
            level | {"further": (rise, fall)},
            level | {"further": (rise, *further)},
            level | {"plausible": Plausible(50.0, 150.0, slope=rng.choice([None, 60.0]))},
            level | {"plausible": Plausible(frozen_s=20.0)},
            level | {"plausible": Plausible(50.0, 150.0, 60.0, 20.0), "further": (fall, *further)},
            level | {"when": TagRef("d", "on"), "grace_s": rng.choice([0.0, 2.0]), "further": (rise,)},
            {"target": TagRef("d", "sp"), "tolerance": 15.0, "further": (rise,)},
        ]
    )


class Plant:
    def __init__(self, rng: random.Random) -> None:
        self.rng, self.cuts = rng, random.Random(rng.random())
        types = [rng.choice([ValueType.UINT16, ValueType.INT32, ValueType.FLOAT64]) for _ in range(COUNT)]
        tags = [
            Tag(f"t{i}", "", t, scaling=None if t.is_float else Scaling(rng.choice([0.1, 0.5]), 0.0))
            for i, t in enumerate(types)
        ]
        tags += [
            Tag("sp", "", ValueType.FLOAT64),
            Tag("on", "", ValueType.BOOL),
            Tag("mode", "", ValueType.INT16),
        ]
        self.tags = tags
        self.schema = Schema.of("d", "fast", "v", tags)
        windows = [Window(f"w{i}", TagRef("d", f"t{i}"), **kinds(rng)) for i in range(COUNT)]  # type: ignore[arg-type]
        windows += [
            Window(f"m{i}", TagRef("d", "mode"), allowed=(1, 2), on_delay_s=i * 0.5) for i in range(4)
        ]
        self.control = Control(windows, "v", mono_ns=START_NS, time_ns=WALL_NS)
        self.recorder = record(self.control)
        self.naive = Naive(windows, START_NS)
        self.wanted = [100.0] * COUNT
        self.rest = {"sp": 100.0, "on": True, "mode": 1}
        self.looks = 0

    def values(self) -> tuple[Value, ...]:
        rng = self.rng
        for index in range(COUNT):
            step = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0])
            self.wanted[index] = min(110.0, max(90.0, self.wanted[index] + step))
        for _ in range(rng.choice([0, 0, 0, 8])):
            self.wanted[rng.randrange(COUNT)] = rng.choice([60.0, 84.0, 117.0, 135.0, 160.0])
        if rng.random() < 0.05:
            self.rest = {
                "sp": rng.choice([95.0, 100.0]),
                "on": rng.random() < 0.7,
                "mode": rng.choice([1, 2, 3]),
            }
        shown: list[Value] = []
        for value, tag in zip(self.wanted, self.tags, strict=False):
            shown.append(value if tag.scaling is None else round(value / tag.scaling.scale))
        return (*shown, *self.rest.values())

    def batch(self, number: int) -> Batch:
        quality = bytearray(COUNT + 3)
        if self.rng.random() < 0.1:
            quality[self.rng.randrange(COUNT)] = self.rng.choice([Quality.BAD_COMM, Quality.NOT_REPORTED])
        if self.rng.random() < 0.05:
            quality = bytearray([Quality.UNCHANGED]) * len(quality)
        if self.cuts.random() < 0.3:  # a read that was not done in time
            begin, end = sorted(self.cuts.randrange(len(quality) + 1) for _ in range(2))
            quality[begin:end] = bytes([Quality.NOT_REPORTED]) * (end - begin)
        at = number * STEP_NS
        shown = tuple(None if q >= 0x80 else v for q, v in zip(quality, self.values(), strict=True))
        return Batch(self.schema, WALL_NS + at, START_NS + at, shown, bytes(quality))


@pytest.mark.parametrize("seed", [1, None])
def test_five_hundred_windows_of_mixed_kinds(seed: int | None) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}")
    plant = Plant(random.Random(seed))
    seen: set[str] = set()
    for number in range(1, 61):
        batch = plant.batch(number)
        events = plant.control.on_batch(batch)
        expected = plant.naive.on_batch(batch)
        assert told(events) == sorted(expected, key=lambda t: t[1]), (seed, number)
        heard = [(str(t.change), t.window, str(t.kind or ""), t.at.mono_ns) for t in plant.recorder.heard]
        plant.recorder.heard.clear()
        assert sorted(heard) == sorted(plant.naive.changes), (seed, number)
        seen |= {kind for _, _, kind, _ in heard}
        if number % 15 == 0:
            moment = batch.mono_ns + 100
            after = plant.control.tick(moment, WALL_NS), plant.naive.tick(moment, WALL_NS)
            assert told(after[0]) == sorted(after[1], key=lambda t: t[1])
            plant.recorder.heard.clear()
            states = plant.control.snapshot()
            for name, status in plant.naive.all.items():
                assert states[name]["spent_ns"] == status.spent, (seed, number, name)
                assert states[name]["unknown_ns"] == status.unknown_by, (seed, number, name)
    assert seed != 1 or seen >= {"low", "high", "hihi", "rise", "fall", "state", ""}

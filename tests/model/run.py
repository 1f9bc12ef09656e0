"""Many short stories, each from a seed of its own, and what they reached."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from edge_agent.control import group as groups
from tests.model.duel import Difference, Duel
from tests.model.generator import World
from tests.model.story import Line, Step

SHORTEST, LONGEST = 200, 1200


@dataclass(frozen=True, slots=True)
class Failure:
    """Where engine and model parted."""

    seed: str
    line: Line
    steps: list[Step]
    rarely: bool
    eager: bool
    text: str


@dataclass
class Figures:
    steps: int = 0
    configurations: int = 0
    transitions: int = 0
    seen: Counter[str] = field(default_factory=Counter)


def run(seed: int, steps: int, limit_s: float | None = None) -> Iterator[tuple[Figures, Failure | None]]:
    """After every story: the figures so far, and the difference that ended it if there was one."""
    figures = Figures()
    end_s = None if limit_s is None else time.monotonic() + limit_s
    while figures.steps < steps and (end_s is None or time.monotonic() < end_s):
        name = f"{seed}:{figures.configurations}"
        rng = random.Random(name)
        length = min(rng.randint(SHORTEST, LONGEST), max(SHORTEST, steps - figures.steps))
        yield figures, tell(name, rng, length, figures)


def tell(name: str, rng: random.Random, length: int, figures: Figures) -> Failure | None:
    """One story. What fails in another way than by a difference is a failure too."""
    world = World(rng)
    line, rarely, eager = world.line, rng.random() < 0.25, rng.random() < 0.5
    duel = Duel(line, rarely=rarely)
    told: list[Step] = []
    text = ""
    try:
        with eagerness(eager):
            for step in world.steps(length, duel.model):
                told.append(step)
                duel.take(step)
            duel.finish()
    except Difference as difference:
        text = str(difference)
    except Exception as error:  # noqa: BLE001 - an engine that raises is a finding like any other
        text = f"{type(error).__name__}: {error}"
    figures.steps += len(told)
    figures.configurations += 1
    figures.transitions += duel.transitions
    figures.seen += duel.seen
    return Failure(name, line, told, rarely, eager, text) if text else None


@contextmanager
def eagerness(eager: bool) -> Iterator[None]:
    """These lines are small and restless: without it the engine would hardly ever compile its fast checks."""
    before = groups.PATIENCE, groups.FEWEST
    if eager:
        groups.PATIENCE, groups.FEWEST = 0, 1
    try:
        yield
    finally:
        groups.PATIENCE, groups.FEWEST = before

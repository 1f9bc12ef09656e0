"""Any sequence of answers: in the end every unit is settled exactly once; nothing is sent before its commit.

The store of ``fakes`` sees to it that no key is settled twice and that each was committed; the uplink that
there is one send at a time. A failing example is printed with its seed by Hypothesis.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Envelope, Key, Verdict

from .fakes import Bench, take_all


class Whim:
    """A destination whose every answer is drawn. Keys it confirmed must be the ones that are acknowledged."""

    def __init__(self, bench: Bench, source: random.Random, poison: float) -> None:
        self.bench = bench
        self.source = source
        self.poison = poison
        self.confirmed: set[Key] = set()
        self.rejected: set[Key] = set()
        self.waiting: list[Key] = []

    def answer(self, items: Sequence[Envelope]) -> Sequence[Verdict] | Exception:
        committed = {key for store in self.bench.stores for key in store.units}
        laws = self.bench.destination.laws
        laws.require({item.key for item in items} <= committed, "sent before it was committed")
        if any(item.key.seq * 7919 % 1000 < self.poison * 1000 for item in items):
            return Unacceptable("HTTP 422")
        if self.source.random() < 0.25:
            return self.source.choice(
                [Unreachable("x"), Denied("x"), TooLarge("x"), ValueError("x"), Unreachable("y")]
            )
        return [self._one(item) for item in items]

    def _one(self, item: Envelope) -> Verdict:
        draw = self.source.random()
        if draw < 0.5:
            self.confirmed.add(item.key)
            return ACKNOWLEDGED
        if draw < 0.6:
            self.rejected.add(item.key)
            return Verdict(Answer.REJECTED, "no")
        if draw < 0.8:
            self.waiting.append(item.key)
            return PENDING
        return Verdict(Answer.RETRY, "later", self.source.choice([0.0, 0.0, 7.0]))

    def confirm_some(self) -> None:
        self.source.shuffle(self.waiting)
        keys = [self.waiting.pop() for _ in range(self.source.randint(0, len(self.waiting)))]
        self.confirmed.update(keys)
        assert self.bench.destination.host is not None
        self.bench.destination.host.acknowledged(keys)


async def life(seed: int, poison: float, max_segments: int) -> None:
    bench = Bench(max_segments=max_segments, seed=seed)
    source = random.Random(seed)
    whim = Whim(bench, source, poison)
    bench.destination.answer = whim.answer
    async with bench:
        for _ in range(25):
            store = source.choice(bench.stores)
            store.commit(source.randint(0, 9), samples=source.choice([1, 100, 15_000, 50_000]))
            await bench.pass_time(source.choice([0.0, 0.5, 5.0, 61.0]))
            whim.confirm_some()
        bench.destination.answer = take_all
        for _ in range(40):
            if bench.all_settled():
                break
            await bench.pass_time(31)
    for store in bench.stores:
        assert store.open == [], f"seed {seed}: never settled"
        assert sorted([*store.acknowledged, *store.quarantined]) == sorted(store.units), f"seed {seed}"
    assert bench.row.acknowledged_segments == len(bench.samples.acknowledged)
    assert bench.row.acknowledged_samples == sum(
        bench.samples.units[key].samples for key in bench.samples.acknowledged
    )


@pytest.mark.parametrize("seed", range(15))
async def test_a_life_of_any_answers(seed: int) -> None:
    await life(seed, poison=0.02 * (seed % 3), max_segments=(2, 8, 64)[seed % 3])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), poison=st.sampled_from([0.0, 0.01, 0.2]), size=st.sampled_from([1, 3, 64]))
async def test_a_life_of_drawn_answers(seed: int, poison: float, size: int) -> None:
    await life(seed, poison, size)

"""The rules, and what must hold after each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.uplink import Lane
from tests.storage_model.life import SELECTIONS, Life

T = TypeVar("T")
_FAST = Path("/dev/shm")

streams = st.sampled_from(("samples", "samples", "event"))
lanes = st.sampled_from((Lane.LIVE, Lane.BACKLOG))
seeds = st.integers(0, 2**16).map(Random)


class StorageMachine(RuleBasedStateMachine):
    quotas: ClassVar[tuple[int, ...]] = (4_000_000_000,)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lineside-model-", dir=_FAST if _FAST.is_dir() else None))
        self.runner = asyncio.Runner()
        self.life = Life(self.folder)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(which=st.integers(0, 5))
    def begin(self, which: int) -> None:
        self.life.quota = self.quotas[which % len(self.quotas)]
        self.do(self.life.start())

    @rule(count=st.sampled_from((1, 3, 8, 30)), schemas=st.sampled_from(((0,), (1,), (0, 1, 2))))
    def append(self, count: int, schemas: tuple[int, ...]) -> None:
        self.life.append(count, schemas)

    @rule(count=st.sampled_from((1, 4, 8)))
    def fill(self, count: int) -> None:
        for _ in range(count):
            self.life.append(8, (0, 1, 2, 2))
            self.do(self.life.flush())

    @rule()
    def flush(self) -> None:
        self.do(self.life.flush())

    @rule(count=st.integers(0, 3))
    def commit(self, count: int) -> None:
        self.do(self.life.commit(count))

    @rule(
        stream=streams, lane=lanes, which=st.integers(0, 2), most=st.sampled_from((1, 4, 100)),
        samples=st.sampled_from((1, 60, 10**6)), random=seeds, poison=st.booleans(),
    )  # fmt: skip
    def deliver(
        self, stream: str, lane: Lane, which: int, most: int, samples: int, random: Random, poison: bool
    ) -> None:
        names = sorted(self.life.wants)
        name = names[which % len(names)]
        items = self.do(self.life.take(stream, name, lane, most, samples))
        items = [item for item in items if random.random() < 0.8]
        if poison and items:
            self.life.quarantine(stream, name, items.pop())
        self.life.acknowledge(stream, name, items)

    @rule(stream=streams, which=st.integers(0, 2), again=st.booleans())
    def settle_aside(self, stream: str, which: int, again: bool) -> None:
        names = sorted(self.life.wants)
        self.do(self.life.settle_aside(stream, names[which % len(names)], again=again))

    @rule(name=st.sampled_from(("energy", "mirror")), tags=st.sampled_from((*SELECTIONS, None, None)))
    def change(self, name: str, tags: tuple[str, ...] | None) -> None:
        self.do(self.life.change(name, tags))

    @rule(seconds=st.sampled_from((-7200, 3600, 315_360_000, -1_700_000_000)))
    def jump(self, seconds: int) -> None:
        self.life.clock.step(seconds)

    @rule(seconds=st.sampled_from((1, 11, 700)))
    def wait(self, seconds: int) -> None:
        self.life.pass_time(seconds)

    @rule()
    def reopen(self) -> None:
        self.do(self.life.reopen())

    @rule(random=seeds, flushing=st.booleans())
    def crash(self, random: Random, flushing: bool) -> None:
        self.do(self.life.crash(random, flushing=flushing))

    @precondition(lambda self: self.life.copies < 6)
    @rule(random=seeds, running=st.booleans(), really=st.sampled_from((False, False, True)))
    def corrupt(self, random: Random, running: bool, really: bool) -> None:
        if really:
            self.do(self.life.corrupt(random, running=running))

    @rule(room=st.sampled_from((0, 3000, 20_000)), flushes=st.integers(1, 3))
    def full(self, room: int, flushes: int) -> None:
        self.do(self.life.full(room, flushes))

    @rule()
    def audit(self) -> None:
        self.do(self.life.audit())

    @invariant()
    def laws(self) -> None:
        if self.life.stores:
            self.life.laws()

    def teardown(self) -> None:
        try:
            if self.life.stores:
                self.do(self.life.audit())
                self.do(self.life.stop())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)

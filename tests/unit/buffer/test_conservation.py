"""Random life of a buffer against a plain list: every sample is somewhere, once, at every moment."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer
from edge_agent.model import Batch
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Key, Lane
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, crash_copy, open_buffer, seeds

_STEPS = 300
_QUOTA = 90_000


@dataclass
class Verdicts:
    """What one uplink has said, and which numbers it could have been asked about."""

    since: int
    acknowledged: dict[Key, int] = field(default_factory=dict)
    quarantined: dict[Key, int] = field(default_factory=dict)


@dataclass
class Model:
    """What is committed, by key, in order; what is only in memory; verdicts per uplink."""

    committed: dict[Key, tuple[Batch, ...]] = field(default_factory=dict)
    bodies: dict[Key, tuple[Batch, ...]] = field(
        default_factory=dict
    )  # every key ever seen, through all crashes
    uplinks: dict[str, Verdicts] = field(default_factory=dict)
    memory: int = 0


class Life:
    def __init__(self, seed: int, directory: Path) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock()
        self.root = directory
        self.directory = directory / "0"
        self.runs = 0
        self.number = 0
        self.model = Model()
        self.names = ["park"]
        self.epochs: list[int] = []
        self.buffer: Buffer

    async def start(self) -> None:
        self.buffer = await open_buffer(
            self.directory, self.clock, self.names, quota_bytes=_QUOTA, memory_bytes=8_000
        )
        assert self.buffer.info()["state"] == "ok", self.buffer.info()["reason"]
        self.epochs.append(self.buffer.epoch)
        assert self.epochs == sorted(set(self.epochs)), "the epoch must rise strictly"
        self.model.memory = 0
        for name in self.names:
            self.model.uplinks.setdefault(name, Verdicts(self.buffer.info()["head"]))

    async def step(self) -> None:
        actions = {
            self.append: 40,
            self.flush: 20,
            self.acknowledge: 15,
            self.quarantine: 4,
            self.reopen: 2,
            self.crash: 2,
            self.change_uplinks: 2,
        }
        action = self.random.choices(list(actions), list(actions.values()))[0]
        await action()
        self.check()
        if self.random.random() < 0.2:
            await self.check_pending()

    async def append(self) -> None:
        for _ in range(self.random.choice([1, 3, 12, 40])):
            await self.clock.advance(0.2)
            schema = self.random.choice([PRESS, OVEN])
            self.buffer.append(batch_of(schema, self.number, self.clock))
            self.number += 1

    async def flush(self) -> None:
        head = self.buffer.info()["head"]
        await self.buffer.flush()
        self.learn(head)

    def learn(self, head: int) -> None:
        """The newest flush, as the live lane shows it, is the truth about what a commit added."""
        for envelope in self.buffer._delivery.live:
            if envelope.key.seq > head:
                assert envelope.key not in self.model.bodies, "a key was given out twice"
                self.model.bodies[envelope.key] = envelope.batches
                self.model.committed[envelope.key] = envelope.batches

    async def some(self, uplink: str) -> list[Envelope]:
        lane = self.random.choice([Lane.LIVE, Lane.BACKLOG])
        taken = await self.buffer.take(
            uplink,
            lane,
            max_items=self.random.choice([1, 4, 50]),
            max_samples=self.random.choice([1, 60, 10_000]),
        )
        for envelope in taken:
            assert envelope.batches == self.model.bodies[envelope.key], "two bodies for one key"
            assert envelope.samples == sum(b.samples for b in envelope.batches)
        return list(taken)

    async def acknowledge(self) -> None:
        name = self.random.choice(self.names)
        taken = await self.some(name)
        chosen = [e for e in taken if self.random.random() < 0.8]
        self.buffer.acknowledge(name, [e.key for e in chosen] * 2 + [Key("samples", 99_999, 1)])
        for envelope in chosen:
            self.model.uplinks[name].acknowledged[envelope.key] = envelope.samples

    async def quarantine(self) -> None:
        name = self.random.choice(self.names)
        for envelope in (await self.some(name))[:2]:
            self.buffer.quarantine(name, envelope.key, "poison")
            self.model.uplinks[name].quarantined[envelope.key] = envelope.samples

    async def reopen(self) -> None:
        head = self.buffer.info()["head"]
        await self.buffer.close()
        self.learn(head)
        await self.start()
        assert not [
            x
            for x in self.buffer.unreported_losses()
            if x.reason == "unclean_stop" and x.epoch == self.epochs[-2]
        ]

    async def crash(self) -> None:
        """Goes on from a copy of the files; verdicts since the last commit are forgotten by the store."""
        self.runs += 1
        target = crash_copy(self.directory, self.root / str(self.runs))
        await self.buffer.close()
        shutil.rmtree(self.directory)
        self.directory = target
        await self.start()
        rows = [x for x in self.buffer.unreported_losses() if x.reason == "unclean_stop"]
        assert rows and rows[-1].epoch == self.epochs[-2] and rows[-1].n_samples is None
        self.forget_unsaved()

    def forget_unsaved(self) -> None:
        """Verdicts the crash took back: the model believes the store only where they were given at all."""
        for name in self.names:
            position = self.buffer._vault.accounts.uplinks[name]
            verdicts = self.model.uplinks[name]
            for said in (verdicts.acknowledged, verdicts.quarantined):
                for key in [k for k in said if k.seq not in position.settled]:
                    del said[key]

    async def change_uplinks(self) -> None:
        if "mirror" in self.names:
            self.names.remove("mirror")
            del self.model.uplinks["mirror"]
        else:
            self.names.append("mirror")
            self.model.uplinks["mirror"] = Verdicts(self.buffer.info()["head"])
        head = self.buffer.info()["head"]
        await self.buffer.register(self.names)
        self.learn(head)

    def check(self) -> None:
        info = self.buffer.info()
        assert self.buffer.appended_samples == (
            self.buffer.committed_samples + self.buffer.in_memory_samples + self.buffer.lost_samples
        )
        for name in self.names:
            row, said = info["uplinks"][name], self.model.uplinks[name]
            for unit in ("segments", "samples"):
                assert row[f"committed_{unit}"] == (
                    row[f"acknowledged_{unit}"]
                    + row[f"pending_{unit}"]
                    + row[f"quarantined_{unit}"]
                    + row[f"lost_{unit}"]
                ), (name, row)
                assert row[f"pending_{unit}"] >= 0
            mine = [b for k, b in self.model.committed.items() if k.seq > said.since]
            assert row["committed_segments"] == len(mine), name
            assert row["committed_samples"] == sum(x.samples for batches in mine for x in batches)
            assert row["acknowledged_samples"] == sum(said.acknowledged.values())
            assert row["quarantined_samples"] <= sum(said.quarantined.values())

    async def check_pending(self) -> None:
        """What can still be taken is exactly what is pending, in order, and the file agrees."""
        info = self.buffer.info()
        for name in self.names:
            keys = []
            for lane in (Lane.BACKLOG, Lane.LIVE):
                taken = await self.buffer.take(name, lane, max_items=10**6, max_samples=10**9)
                keys += [e.key for e in taken]
            row, said = info["uplinks"][name], self.model.uplinks[name]
            assert len(keys) == row["pending_segments"] and [k.seq for k in keys] == sorted(
                k.seq for k in keys
            )
            assert all(k in self.model.committed and k.seq > said.since for k in keys)
            assert not set(keys) & (set(said.acknowledged) | set(said.quarantined))
        with closing(sqlite3.connect(f"file:{self.directory}/buffer.db?mode=ro", uri=True)) as connection:
            count, samples = connection.execute("SELECT count(*), sum(n_samples) FROM segment").fetchone()
        assert (count, samples or 0) == (info["segments"] + self.unsaved_deletions(), samples or 0)

    def unsaved_deletions(self) -> int:
        return len(self.buffer._retention.doomed)


@pytest.mark.parametrize("seed", seeds(6))
async def test_every_sample_is_somewhere_once(tmp_path: Path, seed: int) -> None:
    life = Life(seed, tmp_path)
    await life.start()
    for _ in range(_STEPS):
        await life.step()
    await life.check_pending()
    await life.buffer.close()


async def test_the_ledger_and_the_counters_agree(tmp_path: Path) -> None:
    """Quota losses: per uplink, ledger rows add up to the position's lost samples."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"], quota_bytes=100_000)
    for number in range(400):
        await clock.advance(1)
        buffer.append(batch_of(OVEN, number, clock))
        await buffer.flush()
        if number % 3 == 0:
            taken = await buffer.take("mirror", Lane.LIVE, max_items=9, max_samples=10**6)
            buffer.acknowledge("mirror", [e.key for e in taken])
        if number % 100 == 7:
            buffer.mark_reported(buffer.unreported_losses())
    await buffer.flush()
    info = buffer.info()
    assert info["bytes"] <= 100_000
    assert info["uplinks"]["park"]["lost_samples"] > 0
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        ledger = dict(
            connection.execute(
                "SELECT uplink, sum(n_samples) FROM loss WHERE reason = 'quota' GROUP BY uplink"
            )
        )
    assert ledger == {name: info["uplinks"][name]["lost_samples"] for name in ("park", "mirror")}
    await buffer.close()

"""A disk that refuses, is full, or is slow; and a process that is killed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import Buffer, EventStore, Tuning, database
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Key, Lane
from tests.unit.buffer.plant import (
    PRESS,
    batch_of,
    event_of,
    fill,
    no_file_beyond,
    open_buffer,
    schema_of,
    seeds,
    take_all,
)

WIDE = schema_of("press-2", (ValueType.FLOAT64,) * 300)


def balanced(buffer: Buffer) -> bool:
    rows = buffer.info()["uplinks"].values()
    return buffer.appended_samples == (
        buffer.committed_samples + buffer.in_memory_samples + buffer.lost_samples
    ) and all(
        row["committed_samples"]
        == row["acknowledged_samples"]
        + row["pending_samples"]
        + row["quarantined_samples"]
        + row["lost_samples"]
        for row in rows
    )


async def test_a_disk_that_refuses_degrades_and_heals_by_itself(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, memory_bytes=200_000)
    number = await fill(buffer, clock, 3, schema=WIDE)
    before = {e.key: e.batches for e in await take_all(buffer, "park")}
    with no_file_beyond(16_000):
        number = await fill(buffer, clock, 6, schema=WIDE, start=number)
        info = buffer.info()
        assert info["state"] == "degraded" and "buffer.db" in info["reason"]
        assert info["memory_bytes"] <= 200_000 and buffer.lost_samples > 0
        assert {e.key: e.batches for e in await take_all(buffer, "park")} == before, "what is committed stays"
        assert balanced(buffer)
    await buffer.flush()
    assert buffer.info()["state"] == "ok" and buffer.in_memory_samples == 0 and balanced(buffer)
    taken = await take_all(buffer, "park")
    keys = [e.key for e in taken]
    assert [k.seq for k in keys] == list(range(1, len(keys) + 1)), "no number was burnt"
    assert taken[-1].batches[-1].values == batch_of(WIDE, number - 1, clock).values
    assert [x.reason for x in buffer.unreported_losses()] == ["memory"]
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock)
    assert [e.batches for e in await take_all(buffer, "park")] == [e.batches for e in taken]
    await buffer.close()


async def test_random_refusals_never_double_or_lose_a_sample(tmp_path: Path) -> None:
    """The limit moves at random, so that writes fail at every point of a commit and of a checkpoint."""
    for seed in seeds(3):
        source, clock = random.Random(seed), ManualClock()
        directory = tmp_path / str(seed)
        buffer = await open_buffer(directory, clock, tuning=Tuning(checkpoint_pages=20))
        number = 0
        for _ in range(60):
            files = [p.stat().st_size for p in directory.glob("buffer.db*")]
            limit = source.choice([1 << 40, max(files) + source.randrange(20_000), source.choice(files)])
            with no_file_beyond(limit):
                number = await fill(buffer, clock, 1, batches=2, schema=WIDE, start=number)
                if source.random() < 0.5:
                    live = await buffer.take("park", Lane.LIVE, max_items=1, max_samples=9)
                    buffer.acknowledge("park", [e.key for e in live])
            assert balanced(buffer), f"seed {seed}"
        await buffer.close()
        buffer = await open_buffer(directory, clock, ["park", "late"])
        with closing(sqlite3.connect(directory / "buffer.db")) as connection:
            stored = connection.execute("SELECT seq, n_samples, t0_ns FROM segment ORDER BY seq").fetchall()
        assert sum(row[1] for row in stored) == number * 300, f"seed {seed}"
        assert len({row[2] for row in stored}) == len(stored), f"seed {seed}: something is stored twice"
        row = buffer.info()["uplinks"]["park"]
        assert (
            row["committed_samples"] == number * 300 == row["pending_samples"] + row["acknowledged_samples"]
        )
        await buffer.close()


class Treacherous(sqlite3.Connection):
    """Says that a COMMIT failed, sometimes after it held: what an fsync error looks like from above."""

    source = random.Random()

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        fate = self.source.random() if sql == "COMMIT" else 1.0
        if fate > 0.15:
            cursor = super().execute(sql, *parameters)
        if fate > 0.3:
            return cursor
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error


@pytest.mark.parametrize("seed", seeds(4))
async def test_a_commit_in_doubt_is_decided_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(Treacherous, "source", random.Random(seed))
    monkeypatch.setattr(database, "connect", partial(database.connect, factory=Treacherous))
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    events = await EventStore.open(tmp_path, clock, ["park"], 1)
    seen: dict[Key, object] = {}
    number = 0
    for _ in range(60):
        number = await fill(buffer, clock, 1, batches=2, start=number)
        await events.commit([event_of(number, clock)], {"w": number})
        live = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=999)
        for envelope in live:
            assert seen.setdefault(envelope.key, envelope.batches) == envelope.batches
        buffer.acknowledge("park", [e.key for e in live if e.key.seq % 3])
        assert balanced(buffer)
    monkeypatch.setattr(Treacherous, "source", random.Random(1))
    monkeypatch.setattr(Treacherous.source, "random", lambda: 1.0)
    await buffer.flush()
    await events.retry()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        stored = connection.execute("SELECT seq, n_rows, t0_ns FROM segment ORDER BY seq").fetchall()
    assert sum(row[1] for row in stored) == number and len({row[2] for row in stored}) == len(stored)
    assert [row[0] for row in stored] == list(range(1, len(stored) + 1))
    assert buffer.committed_samples == number * 3 and buffer.in_memory_samples == 0 and balanced(buffer)
    lanes = [
        await events.take("park", lane, max_items=999, max_samples=999) for lane in (Lane.BACKLOG, Lane.LIVE)
    ]
    told = [e.event.detail["n"] for e in (*lanes[0], *lanes[1]) if e.event is not None]
    assert told == list(range(2, number + 1, 2))
    await events.close()
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock)
    row = buffer.info()["uplinks"]["park"]
    assert row["committed_samples"] == number * 3
    assert row["pending_segments"] == len(await take_all(buffer, "park"))
    await buffer.close()


async def test_a_start_on_a_disk_that_refuses(tmp_path: Path) -> None:
    clock = ManualClock()
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory should be")
    buffer = await open_buffer(blocked, clock)
    events = await EventStore.open(blocked, clock, ["park"], 1)
    assert (buffer.info()["state"], buffer.agent, buffer.epoch) == ("degraded", "", 0)
    await fill(buffer, clock, 2)
    assert await events.commit([event_of(1, clock)], {"w": 1}) == ()
    assert buffer.in_memory_samples == 30 and await take_all(buffer, "park") == []
    blocked.unlink()
    await buffer.flush()
    await events.retry()
    assert (buffer.info()["state"], buffer.epoch, len(buffer.agent)) == ("ok", 1, 32)
    assert [b.values[0] for e in await take_all(buffer, "park") for b in e.batches] == list(range(10))
    assert events.info()["state"] == "ok" and events.in_memory_samples == 0
    await buffer.close()
    await events.close()


async def test_a_full_disk_makes_room_from_history(tmp_path: Path) -> None:
    """Delivered data gives its pages to new data while the file cannot grow."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(checkpoint_pages=1))
    number = await fill(buffer, clock, 40, schema=WIDE)
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    number = await fill(buffer, clock, 1, schema=WIDE, start=number)
    before = buffer.info()["segments"]
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    buffer._vault._worker.submit(
        lambda: buffer._vault._writer._database.connection.execute(f"PRAGMA max_page_count = {pages}")
    )
    number = await fill(buffer, clock, 3, schema=WIDE, start=number)
    info = buffer.info()
    assert info["state"] == "ok" and info["in_memory_samples"] == 0
    assert info["segments"] < before
    assert info["uplinks"]["park"]["lost_samples"] == 0
    assert info["uplinks"]["park"]["pending_segments"] == 4
    await buffer.close()


async def test_a_slow_disk_blocks_nobody(tmp_path: Path) -> None:
    """Another process holds the write lock: the commit hangs in its thread for as long as it lasts."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(busy_s=20))
    await fill(buffer, clock, 2)
    with closing(sqlite3.connect(tmp_path / "buffer.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        buffer.append(batch_of(PRESS, 100, clock))
        async with asyncio.TaskGroup() as group:
            hanging = group.create_task(buffer.flush())
            await asyncio.sleep(0.05)
            began = time.monotonic()
            for number in range(101, 301):
                buffer.append(batch_of(PRESS, number, clock))
                await asyncio.sleep(0)
            live = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=999)
            backlog = await buffer.take("park", Lane.BACKLOG, max_items=9, max_samples=999)
            buffer.acknowledge("park", [e.key for e in (*live, *backlog)])
            buffer.info()
            assert time.monotonic() - began < 1.0
            assert len(live) == len(backlog) == 1 and not hanging.done()
            other.execute("ROLLBACK")
    await buffer.flush()
    assert [e.samples for e in await take_all(buffer, "park")] == [3, 600]
    await buffer.close()


async def test_a_locked_file_counts_as_a_refusing_disk(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(busy_s=0.05))
    with closing(sqlite3.connect(tmp_path / "buffer.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await fill(buffer, clock, 2)
        assert "locked" in buffer.info()["reason"]
    await buffer.flush()
    assert buffer.info()["state"] == "ok" and buffer.committed_samples == 30
    await buffer.close()


async def test_a_cancelled_flush_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Cancelled at every turn of the loop in which it can be."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    number = 0
    for turns in range(12):
        number = _append(buffer, clock, number)
        task = asyncio.create_task(buffer.flush())
        for _ in range(turns):
            await asyncio.sleep(0 if turns % 2 else 0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert balanced(buffer)
    await buffer.flush()
    taken = await take_all(buffer, "park")
    assert [b.values[0] for e in taken for b in e.batches] == list(range(number))
    await buffer.close()


def _append(buffer: Buffer, clock: ManualClock, number: int) -> int:
    for _ in range(3):
        buffer.append(batch_of(PRESS, number, clock))
        number += 1
    return number


async def test_checkpoints_keep_the_log_short(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(checkpoint_pages=60))
    await fill(buffer, clock, 100, schema=WIDE)
    info = buffer.info()
    assert info["checkpoints"] > 5 and info["wal_bytes"] < 100 * 4120
    quiet = info["checkpoints"]
    await clock.advance(700)
    await fill(buffer, clock, 1)
    assert buffer.info()["checkpoints"] == quiet + 1, "and one after ten minutes"
    await buffer.close()
    assert not (tmp_path / "buffer.db-wal").exists()


_CHILD = """
import asyncio, json, sys
from pathlib import Path
from edge_agent.buffer import Buffer, EventStore
from edge_agent.clock import SystemClock
from edge_agent.config.model import BufferConfig
from edge_agent.model import Batch, Event, Schema, ValueType
from edge_agent.uplink import Lane

async def main(directory):
    clock = SystemClock()
    schema = Schema("d", "g", "v", ("n", "m"), (ValueType.UINT32, ValueType.FLOAT64), ("", ""), (None, None))
    buffer = await Buffer.open(directory, BufferConfig(), clock, ["park"])
    events = await EventStore.open(directory, clock, ["park"], buffer.epoch)
    number = 0
    while True:
        for _ in range(20):
            buffer.append(Batch(schema, clock.time_ns(), clock.mono_ns(), (number, number / 7), bytes(2)))
            number += 1
        await buffer.flush()
        live = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=10**6)
        keys = await events.commit([Event("e", "s", clock.time_ns(), 0, "v", {"n": number})], {"w": number})
        said = {str(e.key): [b.values for b in e.batches] for e in live}
        print(json.dumps([said, [str(k) for k in keys], number]), flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_kill_minus_nine(tmp_path: Path) -> None:
    """A real process, killed while it appends and flushes; everything it said to have committed is there."""
    source, epochs, reported = random.Random(9), [], []
    bodies: dict[str, list[tuple[float, ...]]] = {}
    for _ in range(5):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
        )
        assert process.stdout is not None
        for _ in range(source.randrange(3, 25)):
            line = await process.stdout.readline()
        await asyncio.sleep(source.random() / 50)
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
        for text in (line, *rest.split(b"\n")[:-1]):
            said, keys, state = json.loads(text)
            assert not said.keys() & bodies.keys(), "a key was given out twice"
            bodies.update({key: [tuple(row) for row in rows] for key, rows in said.items()})
        clock = ManualClock(time_ns=time.time_ns())
        buffer = await open_buffer(tmp_path, clock)
        events = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)
        stored = {str(e.key): [b.values for b in e.batches] for e in await take_all(buffer, "park")}
        assert {k: v for k, v in stored.items() if k in said} == said_of(said)
        assert {k: stored[k] for k in bodies if k in stored} == {k: bodies[k] for k in bodies if k in stored}
        assert all(key in stored for key in bodies), "something committed is gone"
        new = [x for x in buffer.unreported_losses() if x.reason == "unclean_stop"]
        assert new[-1].n_samples is None
        reported.append(new[-1].epoch)
        assert events.window_states()["w"] >= state
        assert set(keys) <= {str(key) for key, _ in events.recent(200)}
        epochs.append(buffer.epoch)
        await events.close()
        await buffer.close()
    assert epochs == sorted(set(epochs))
    assert reported == [epoch - 1 for epoch in epochs]


def said_of(said: dict[str, list[list[float]]]) -> dict[str, list[tuple[float, ...]]]:
    return {key: [tuple(row) for row in rows] for key, rows in said.items()}


@pytest.mark.parametrize("store", ["buffer", "events"])
async def test_closing_twice_and_using_a_closed_store(tmp_path: Path, store: str) -> None:
    clock = ManualClock()
    if store == "buffer":
        buffer = await open_buffer(tmp_path, clock)
        await buffer.close()
        await buffer.close()
        await buffer.flush()
        assert await buffer.take("park", Lane.BACKLOG, max_items=1, max_samples=1) == ()
    else:
        events = await EventStore.open(tmp_path, clock, ["park"], 1)
        await events.close()
        await events.close()
        assert await events.commit([event_of(1, clock)], {}) == ()
        assert await events.take("park", Lane.BACKLOG, max_items=1, max_samples=1) == ()

"""Somebody reads the store in a transaction that never ends: the log stays bounded, nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.buffer import Tuning
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Key
from tests.unit.buffer.plant import OVEN, fill, open_buffer, take_all

LIMIT = 400_000


def set_aside(directory: Path) -> bool:
    return any(directory.glob("*.broken-*"))


async def test_the_log_stays_below_its_limit_and_everything_is_delivered(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(journal_limit_bytes=LIMIT))
    await fill(buffer, clock, 5, schema=OVEN)
    path, log = tmp_path / "buffer.db", tmp_path / "buffer.db-wal"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        (seen,) = reader.execute("SELECT count(*) FROM segment").fetchone()
        largest, moved = 0, False
        for _ in range(60):
            await fill(buffer, clock, 1, schema=OVEN)
            largest = max(largest, log.stat().st_size)
            moved = moved or set_aside(tmp_path)
        assert reader.execute("SELECT count(*) FROM segment").fetchone() == (seen,), (
            "the reader is left alone"
        )
    assert moved and largest <= LIMIT, largest
    assert "reads buffer.db without ending its transaction" not in buffer.info()["reason"], "it has moved on"
    for _ in range(200):
        if len(await take_all(buffer, "park")) == 65:
            break
        await clock.advance(5)
        await buffer.flush()
    keys = [item.key for item in await take_all(buffer, "park")]
    assert sorted({key.seq for key in keys}) == list(range(1, 66)), "each once, under its own number"
    assert len({key.epoch for key in keys}) == 2 and Key("samples", 1, 1) in keys
    row = buffer.info()["uplinks"]["park"]
    rest = sum(row[f"{k}_samples"] for k in ("acknowledged", "pending", "quarantined", "lost"))
    assert row["committed_samples"] == rest and row["lost_samples"] == 0
    await buffer.close()


async def test_a_reader_that_ends_in_time_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(journal_limit_bytes=LIMIT))
    for _ in range(8):
        path = tmp_path / "buffer.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM segment").fetchone()
            await fill(buffer, clock, 10, schema=OVEN)
        await fill(buffer, clock, 2, schema=OVEN)
    assert not set_aside(tmp_path) and buffer.epoch == 1
    await buffer.close()

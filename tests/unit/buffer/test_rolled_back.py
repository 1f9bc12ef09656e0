"""A card that lied: pages from different moments in one file, each of them sound to SQLite. The crash
enumerator (``tests/crash``) draws such files; here are the ones it found something with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.buffer import EventStore
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane
from tests.unit.buffer.plant import event_of, fill, open_buffer, remove, take_all


async def closed(directory: Path, clock: ManualClock, flushes: int = 6) -> None:
    buffer = await open_buffer(directory, clock)
    events = await EventStore.open(directory, clock, ["park"], buffer.epoch)
    await fill(buffer, clock, flushes)
    await events.commit([event_of(number, clock) for number in range(4)], {})
    await events.close()
    await buffer.close()


def rewrite(path: Path, statements: Iterable[str]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


_ODD = {
    "segment": "UPDATE segment SET epoch = NULL, n_samples = NULL, t0_ns = NULL, t1_ns = NULL WHERE seq > 3",
    "run": "UPDATE run SET started_ns = NULL, clean = NULL",
    "run as text": "UPDATE run SET clean = 'x', started_ns = 'y'",
    "loss": "INSERT INTO loss (id, reported) VALUES (7, 0)",
    "position": "UPDATE position SET revision = NULL",
    "ranges": "UPDATE position SET ranges = CAST(x'ff5b' AS TEXT)",
    "quarantine": "INSERT INTO quarantine (uplink, seq) VALUES ('park', NULL)",
}


_HARMLESS = {"segment", "run", "run as text", "loss"}


@pytest.mark.parametrize("what", _ODD)
async def test_it_starts_with_rows_that_nobody_wrote(tmp_path: Path, what: str) -> None:
    """And does not set the whole file aside for a row that it can do without."""
    clock = ManualClock()
    await closed(tmp_path, clock)
    rewrite(tmp_path / "buffer.db", [_ODD[what]])
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.info()["state"] == "ok"
    if what in _HARMLESS:
        assert buffer.info()["databases_set_aside"] == 0
        assert [e.key.seq for e in await take_all(buffer, "park")][:3] == [1, 2, 3]
    await fill(buffer, clock, 1)
    assert (await take_all(buffer, "park"))[-1].key.epoch == buffer.epoch
    for taken in await take_all(buffer, "park"):
        buffer.acknowledge("park", [taken.key])
    await buffer.flush()
    assert not await take_all(buffer, "park")
    row = buffer.info()["uplinks"]["park"]
    assert min(value for value in row.values() if value is not None) >= 0, row
    assert row["pending_segments"] == row["pending_samples"] == 0
    await buffer.close()


async def test_units_that_the_counters_know_and_the_file_does_not(tmp_path: Path) -> None:
    """The last ones, where no higher number tells that they are missing."""
    clock = ManualClock()
    await closed(tmp_path, clock)
    rewrite(tmp_path / "buffer.db", ["DELETE FROM segment WHERE seq > 4"])
    rewrite(tmp_path / "events.db", ["DELETE FROM event WHERE seq = 2 OR seq = 4"])
    buffer = await open_buffer(tmp_path, clock)
    events = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)
    assert [e.key.seq for e in await take_all(buffer, "park")] == [1, 2, 3, 4]
    for _ in range(2):
        found = await events.take("park", Lane.BACKLOG, max_items=9, max_samples=999)
        assert [e.key.seq for e in found] in ([1, 3], [])
        events.acknowledge("park", [e.key for e in found])
    await buffer.flush()
    await events.retry()
    (gone,) = (x for x in buffer.unreported_losses() if x.reason == "corrupt")
    assert (gone.from_seq, gone.to_seq, gone.uplink) == (5, 6, "park")
    (gone,) = (x for x in events.unreported_losses() if x.reason == "corrupt")
    assert (gone.from_seq, gone.to_seq, gone.uplink, gone.n_samples) == (2, 4, "park", 2)
    assert events.info()["uplinks"]["park"]["pending_segments"] == 0
    await fill(buffer, clock, 1)
    assert (await take_all(buffer, "park"))[-1].key.seq == 7, "no number is used again"
    await events.close()
    await buffer.close()


async def test_a_unit_that_no_counter_knows(tmp_path: Path) -> None:
    clock = ManualClock()
    await closed(tmp_path, clock)
    rewrite(tmp_path / "buffer.db", ["UPDATE position SET committed_segments = 4, committed_samples = 60"])
    buffer = await open_buffer(tmp_path, clock)
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    row = buffer.info()["uplinks"]["park"]
    assert (row["committed_segments"], row["acknowledged_segments"], row["pending_segments"]) == (6, 6, 0)
    assert (row["committed_samples"], row["acknowledged_samples"], row["pending_samples"]) == (90, 90, 0)
    await buffer.close()


async def test_a_clean_mark_of_another_commit_is_none(tmp_path: Path) -> None:
    """The page with the mark was written, those of the commits before it were not."""
    clock = ManualClock()
    await closed(tmp_path, clock)
    rewrite(tmp_path / "buffer.db", ["UPDATE position SET revision = revision - 2"])
    buffer = await open_buffer(tmp_path, clock)
    assert [(x.reason, x.epoch) for x in buffer.unreported_losses()] == [("unclean_stop", 1)]
    await buffer.close()


@pytest.mark.parametrize("name", ["events.db", "buffer.db"])
async def test_a_file_that_knows_nothing_of_the_last_run(tmp_path: Path, name: str) -> None:
    clock = ManualClock()
    await closed(tmp_path, clock)
    before = (tmp_path / name).read_bytes()
    await closed(tmp_path, clock)
    (tmp_path / name).write_bytes(before)
    buffer = await open_buffer(tmp_path, clock)
    events = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)
    store = {"events.db": events, "buffer.db": buffer}[name]
    assert [(x.reason, x.epoch) for x in store.unreported_losses()] == [("unclean_stop", 2)]
    await events.close()
    await buffer.close()


async def test_a_first_start_that_did_not_come_to_the_events_lost_none(tmp_path: Path) -> None:
    clock = ManualClock()
    await closed(tmp_path, clock)
    remove(tmp_path, "events.db*", "events.made")
    buffer = await open_buffer(tmp_path, clock)
    events = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)
    assert events.unreported_losses() == [] and events.info()["databases_set_aside"] == 0
    await events.close()
    await buffer.close()
    remove(tmp_path, "events.db*")
    buffer = await open_buffer(tmp_path, clock)
    events = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)
    assert [x.reason for x in events.unreported_losses()] == ["missing_database"]
    await events.close()
    await buffer.close()


async def test_a_position_that_waits_for_what_is_gone_ends_in_the_ledger(tmp_path: Path) -> None:
    """Else its backlog would be searched for ever, and nothing behind would be sent."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park"])
    await fill(buffer, clock, 5)
    await buffer.close()
    rewrite(
        tmp_path / "buffer.db",
        ["DELETE FROM segment WHERE seq = 3", "UPDATE position SET ranges = '[[3,3]]' WHERE uplink = ''"],
    )
    buffer = await open_buffer(tmp_path, clock, ["park"])
    async with asyncio.timeout(20):
        for wanted in ([1, 2, 4, 5], []):
            items = await take_all(buffer, "park")
            assert [e.key.seq for e in items] == wanted
            buffer.acknowledge("park", [e.key for e in items])
    assert buffer.info()["uplinks"]["park"]["pending_segments"] == 0
    await fill(buffer, clock, 1)
    (loss,) = [x for x in buffer.unreported_losses() if x.uplink == "park"]
    assert (loss.reason, loss.from_seq, loss.to_seq, loss.n_samples) == ("corrupt", 3, 3, None)
    await buffer.close()

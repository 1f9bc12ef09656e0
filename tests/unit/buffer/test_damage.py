"""Whatever stands on the disk: the buffer opens, says what it found, and goes on under a new epoch."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.buffer import EventStore, inspect, read_identity
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane
from tests.unit.buffer.plant import (
    OVEN,
    PRESS,
    batch_of,
    contents,
    crash_copy,
    event_of,
    fill,
    junk,
    open_buffer,
    remove,
    schema_of,
    scribble,
    take_all,
)


def zero(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def truncate(path: Path) -> None:
    os.truncate(path, 3 * 4096)


def cut_inside_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE holiday (photo)")


def no_positions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE position SET ranges = '[[1,'")
        connection.commit()


_DAMAGES = [zero, zeros, truncate, cut_inside_a_page, junk, scribble, directory, newer, foreign, no_positions]


@pytest.mark.parametrize("damage", _DAMAGES)
async def test_a_broken_file_is_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    clock = ManualClock()
    live = tmp_path / "live"
    buffer = await open_buffer(live, clock)
    agent = buffer.agent
    await fill(buffer, clock, 30)
    await buffer.close()
    buffer = await open_buffer(live, clock)
    state = crash_copy(live, tmp_path / "state", without_log=True)
    await buffer.close()
    damage(state / "buffer.db")
    buffer = await open_buffer(state, clock)
    info = buffer.info()
    assert (info["state"], info["epoch"], info["databases_set_aside"]) == ("ok", 3, 1)
    assert buffer.agent == agent
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.n_samples, loss.uplink) == ("quarantined_database", None, None)
    await fill(buffer, clock, 1)
    (only,) = await take_all(buffer, "park")
    assert only.key.epoch == 3
    assert len(inspect(state)["set_aside"]) == 1
    await buffer.close()


async def test_at_most_two_are_kept(tmp_path: Path) -> None:
    clock = ManualClock()
    for _ in range(5):
        buffer = await open_buffer(tmp_path, clock)
        await fill(buffer, clock, 1)
        await buffer.close()
        junk(tmp_path / "buffer.db")
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.epoch == 6
    assert inspect(tmp_path)["set_aside"] == ["buffer.db.broken-4", "buffer.db.broken-5"]
    await buffer.close()


async def test_a_missing_file_is_a_loss_but_not_at_the_first_start(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.unreported_losses() == []
    await fill(buffer, clock, 1)
    await buffer.close()
    (tmp_path / "buffer.db").unlink()
    buffer = await open_buffer(tmp_path, clock)
    assert [x.reason for x in buffer.unreported_losses()] == ["missing_database"]
    assert buffer.epoch == 2
    await buffer.close()


@pytest.mark.parametrize("column", ["body", "epoch", "n_samples", "crc32"])
async def test_one_damaged_segment_is_skipped(tmp_path: Path, column: str) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    await fill(buffer, clock, 5)
    buffer.acknowledge("mirror", [e.key for e in await take_all(buffer, "mirror")][:2])
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        (value,) = connection.execute(f"SELECT {column} FROM segment WHERE seq = 2").fetchone()
        new = value[:40] + bytes([value[40] ^ 4]) + value[41:] if isinstance(value, bytes) else value + 1
        connection.execute(f"UPDATE segment SET {column} = ? WHERE seq = 2", (new,))
        connection.commit()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    assert [e.key.seq for e in await take_all(buffer, "park")] == [1, 3, 4, 5]
    assert [e.key.seq for e in await take_all(buffer, "mirror")] == [3, 4, 5]
    await buffer.flush()
    assert [(x.reason, x.uplink, x.from_seq, x.to_seq) for x in buffer.unreported_losses()] == [
        ("corrupt", "park", 2, 2)
    ]
    rows = buffer.info()["uplinks"]
    assert (rows["park"]["lost_segments"], rows["mirror"]["lost_segments"]) == (1, 0)
    for name in ("park", "mirror"):
        buffer.acknowledge(name, [e.key for e in await take_all(buffer, name)])
    assert [row["pending_samples"] for row in buffer.info()["uplinks"].values()] == [0, 0]
    await buffer.close()


async def test_a_sound_body_under_a_wrong_key_does_not_pass(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 3)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        body, crc = connection.execute("SELECT body, crc32 FROM segment WHERE seq = 1").fetchone()
        assert zlib.crc32(body) != crc
        connection.execute("UPDATE segment SET body = ?, crc32 = ? WHERE seq = 2", (body, crc))
        connection.commit()
    buffer = await open_buffer(tmp_path, clock)
    assert [e.key.seq for e in await take_all(buffer, "park")] == [1, 3]
    await buffer.close()


async def test_a_damaged_schema_costs_its_segments_only(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 2)
    await fill(buffer, clock, 2, schema=OVEN)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        connection.execute(
            "UPDATE schema SET body = replace(body, 't1', 'tl') WHERE digest = ?", (PRESS.digest,)
        )
        connection.commit()
    buffer = await open_buffer(tmp_path, clock)
    assert [e.key.seq for e in await take_all(buffer, "park")] == [3, 4]
    await buffer.close()


async def test_a_file_that_breaks_while_running_is_replaced(tmp_path: Path) -> None:
    """Pages overwritten under the running process: the next reads or commits notice."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    number = await fill(buffer, clock, 40)
    buffer.acknowledge("mirror", [e.key for e in await take_all(buffer, "mirror")])
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    keys = {e.key for e in await take_all(buffer, "mirror")}
    scribble(tmp_path / "buffer.db")
    assert await take_all(buffer, "park") == []
    buffer.append(batch_of(PRESS, number, clock))
    async with asyncio.TaskGroup() as group:
        flushing = group.create_task(buffer.flush())
        while not flushing.done():  # a reader keeps asking while the file is exchanged
            assert await buffer.take("park", Lane.BACKLOG, max_items=9, max_samples=999) == ()
            await asyncio.sleep(0)
    await fill(buffer, clock, 1, batches=0)
    info = buffer.info()
    assert (info["state"], info["epoch"], info["databases_set_aside"]) == ("ok", 3, 1)
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.uplink, loss.n_samples) == ("quarantined_database", "park", 600), (
        "known to the sample"
    )
    (fresh,) = await take_all(buffer, "mirror")
    assert fresh.key.epoch == 3 and fresh.key not in keys
    row = info["uplinks"]["park"]
    assert row["committed_samples"] == row["pending_samples"] + row["lost_samples"] == 603
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    assert len(await take_all(buffer, "park")) == 1 and buffer.epoch == 4
    await buffer.close()


@pytest.mark.parametrize("clean", [True, False])
async def test_a_damaged_page_is_found_at_the_start_only_after_an_unclean_stop(
    tmp_path: Path, clean: bool
) -> None:
    """A whole check of a large file takes too long for every start; what it would find, reading finds."""
    clock = ManualClock()
    wide = schema_of("press-2", (ValueType.FLOAT64,) * 100)
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 120, schema=wide)
    await buffer.close()
    buffer = await open_buffer(tmp_path / "a", clock)
    if clean:
        await buffer.close()
    state = crash_copy(tmp_path / "a", tmp_path / "b", without_log=True)
    await buffer.close()
    scribble(state / "buffer.db", page=60)
    buffer = await open_buffer(state, clock)
    assert buffer.info()["databases_set_aside"] == (0 if clean else 1)
    await take_all(buffer, "park")
    await buffer.flush()
    assert (buffer.info()["state"], buffer.info()["databases_set_aside"]) == ("ok", 1)
    await buffer.close()


async def test_a_file_removed_while_running_is_noticed(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 2)
    (tmp_path / "buffer.db").unlink()
    await fill(buffer, clock, 1, start=50)
    (kept,) = await take_all(buffer, "park")
    assert kept.key.epoch == 2 and kept.batches[0].values[0] == 50
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock)
    assert [e.batches[0].values[0] for e in await take_all(buffer, "park")] == [50]
    await buffer.close()


async def test_a_crash_writes_unclean_stop_and_a_clean_start_does_not(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 3)
    last_ns = clock.time_ns()
    await clock.advance(100)
    crash_copy(tmp_path / "a", tmp_path / "b")
    await buffer.close()
    again = await open_buffer(tmp_path / "a", clock)
    assert again.unreported_losses() == []
    await again.close()
    killed = await open_buffer(tmp_path / "b", clock)
    (loss,) = killed.unreported_losses()
    assert (loss.reason, loss.epoch, loss.uplink, loss.n_samples) == ("unclean_stop", 1, None, None)
    assert (loss.t0_ns, loss.t1_ns) == (last_ns, clock.time_ns())
    assert len(await take_all(killed, "park")) == 3, "what was committed is there"
    await killed.close()


async def test_a_log_that_vanished_with_its_run_is_noticed(tmp_path: Path) -> None:
    """The file alone looks cleanly closed; the epoch tells that a run is missing from it."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 2)
    await buffer.close()
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 2)
    crash_copy(tmp_path / "a", tmp_path / "b", without_log=True)
    await buffer.close()
    buffer = await open_buffer(tmp_path / "b", clock)
    assert [(x.reason, x.epoch) for x in buffer.unreported_losses()] == [("unclean_stop", 2)]
    assert buffer.epoch == 3 and len(await take_all(buffer, "park")) == 2
    await buffer.close()


@pytest.mark.parametrize("loss", ["epoch", "epoch.2", "both", "junk", "restored"])
async def test_the_epoch_survives_its_files(tmp_path: Path, loss: str) -> None:
    clock = ManualClock()
    epochs, old = [], b""
    for _ in range(3):
        buffer = await open_buffer(tmp_path, clock)
        epochs.append(buffer.epoch)
        await fill(buffer, clock, 1)
        await buffer.close()
        old = old or (tmp_path / "epoch").read_bytes()
    for name in ("epoch", "epoch.2") if loss not in ("epoch", "epoch.2") else (loss,):
        if loss == "junk":
            (tmp_path / name).write_text("999 00000000\n")
        elif loss == "restored":  # from an old backup
            (tmp_path / name).write_bytes(old)
        else:
            (tmp_path / name).unlink()
    buffer = await open_buffer(tmp_path, clock)
    epochs.append(buffer.epoch)
    assert epochs[:3] == [1, 2, 3] and epochs[3] >= 4
    await buffer.close()


async def test_with_everything_lost_the_epoch_still_rises(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    agent = buffer.agent
    await buffer.close()
    remove(tmp_path, "epoch*", "buffer.db*", "agent-id")
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.agent == agent and buffer.epoch == clock.time_ns() // 10**9
    assert read_identity(tmp_path) == (agent, buffer.epoch)
    await buffer.close()


async def test_inspect_reads_beside_the_daemon_after_it_and_after_a_crash(tmp_path: Path) -> None:
    clock = ManualClock()
    state = tmp_path / "state"
    buffer = await open_buffer(state, clock)
    events = await EventStore.open(state, clock, ["park"], buffer.epoch)
    await fill(buffer, clock, 4)
    await events.commit([event_of(1, clock)], {})
    taken = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=999)
    buffer.quarantine("park", taken[0].key, "poison")
    buffer.append(batch_of(PRESS, 9, clock))
    await buffer.flush()
    copy = crash_copy(state, tmp_path / "copy")
    running = inspect(state)
    await events.close()
    await buffer.close()
    for seen in (running, inspect(state), inspect(copy)):
        assert seen["agent"] == buffer.agent and seen["epoch"] == 1
        samples = seen["samples"]
        assert (samples["units"], samples["first_seq"], samples["last_seq"]) == (5, 1, 5)
        assert samples["run"]["boot_id"] == clock.boot_id, "tells one monotonic era from the next"
        assert samples["uplinks"]["park"]["pending_samples"] == 48
        assert [q["reason"] for q in samples["quarantined"]] == ["poison"]
        assert seen["events"]["units"] == 1
    before = contents(state)
    inspect(state)
    assert contents(state) == before, "it only reads"
    junk(state / "buffer.db")
    assert "not a database" in inspect(state)["samples"]["error"]
    shutil.rmtree(state)
    assert "does not exist" in inspect(state)["samples"]["error"]


async def test_what_lies_beside_the_segments_is_broken(tmp_path: Path) -> None:
    """Found right after the opening: another file is there at once, not with the next flush."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 3)
    await buffer.close()
    path = tmp_path / "buffer.db"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'offset'").fetchone()
    body = bytearray(path.read_bytes())
    body[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(body)
    buffer = await open_buffer(tmp_path, clock)
    info = buffer.info()
    assert (info["state"], info["reason"], info["databases_set_aside"]) == ("ok", "", 1)
    await buffer.close()

"""What is left of the room and how long it lasts, events that run full, files of the version before, checks
beside the work, and what the card bears."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer, EventStore, Tuning, database, inspect, open_history, tables, vault
from edge_agent.buffer.ballast import SIZE, Ballast, Disk
from edge_agent.buffer.wear import Wear, device_bytes, disks_below, process_bytes
from edge_agent.config.model import BufferConfig
from edge_agent.model import Event, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane, Stream
from tests.unit.buffer.plant import (
    PRESS,
    crash_copy,
    event_of,
    fill,
    open_buffer,
    schema_of,
    scribble,
    take_all,
)

WIDE = schema_of("press-2", (ValueType.FLOAT64,) * 300)
HISTORIC = Path(__file__).with_name("version-1.db.sql")


# -- how long it lasts


async def test_hours_left_at_the_rate_of_the_last_hour(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, quota_bytes=100_000_000)
    number = await fill(buffer, clock, 5, schema=WIDE)
    assert buffer.info()["outage_hours_left"] is None, "not measured yet"
    number = await fill(buffer, clock, 100, schema=WIDE, start=number)
    info = buffer.info()
    an_hour = 720 * info["bytes"] / info["segments"]
    assert info["outage_hours_left"] == pytest.approx((95_000_000 - info["bytes"]) / an_hour, rel=0.1)
    assert info["quota_used_ratio"] == pytest.approx(info["bytes"] / 100_000_000, abs=0.001)
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    assert buffer.info()["unsent_bytes"] == 0
    assert buffer.info()["outage_hours_left"] == pytest.approx(95_000_000 / an_hour, rel=0.1)
    await clock.advance(3 * 3600)
    await fill(buffer, clock, 1, schema=WIDE, start=number)
    assert buffer.info()["outage_hours_left"] > 3 * 95_000_000 / an_hour, "the rate follows"
    await buffer.close()


# -- events


async def test_events_go_oldest_history_first_undelivered_last_and_are_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await EventStore.open(tmp_path, clock, ["park"], 1, quota_bytes=300_000)

    async def told(count: int) -> None:
        for n in range(count):
            await clock.advance(1)
            event = event_of(n, clock)
            await store.commit(
                [Event(event.kind, event.source, event.time_ns, event.mono_ns, "v", {"text": "x" * 900})], {}
            )

    await told(50)
    first = await store.take("park", Lane.BACKLOG, max_items=5, max_samples=99)
    assert [e.key.seq for e in first] == [1, 2, 3, 4, 5]
    rest = await store.take("park", Lane.BACKLOG, max_items=999, max_samples=9999)
    store.acknowledge("park", [e.key for e in rest[5:]])
    await told(100)
    assert store.info()["events_dropped"] == 0 and store.unreported_losses() == []
    await told(300)
    info = store.info()
    assert info["bytes"] <= 300_000
    assert info["events_dropped"] == info["uplinks"]["park"]["lost_segments"] > 5
    (loss,) = store.unreported_losses()
    assert (loss.reason, loss.from_seq, loss.n_samples) == ("quota", 1, info["events_dropped"])
    await store.close()


# -- two stores, one identity


async def test_a_second_store_shares_agent_and_epoch(tmp_path: Path) -> None:
    clock = ManualClock()

    async def both() -> tuple[Buffer, Buffer]:
        one = await open_buffer(tmp_path, clock)
        other = await Buffer.open(
            tmp_path, BufferConfig(), clock, ["park"], name="periods.db", stream=Stream.PERIODS, beside=one
        )
        return one, other

    samples, periods = await both()
    assert periods.agent == samples.agent and periods.epoch == samples.epoch == 1
    await fill(samples, clock, 2)
    await fill(periods, clock, 3)
    (key, *_) = [e.key for e in await take_all(periods, "park")]
    assert str(key) == "periods/1/1" and len(await take_all(samples, "park")) == 2
    periods.acknowledge("park", [e.key for e in await take_all(samples, "park")])
    assert len(await take_all(periods, "park")) == 3, "keys of another stream are not ours"
    periods._vault.suspect("broken")
    await fill(periods, clock, 1)
    assert periods.epoch == 1 and (await take_all(periods, "park"))[-1].key.seq == 4, "no key comes twice"
    for store in (periods, samples):
        await store.close()
    samples, periods = await both()
    assert periods.epoch == samples.epoch == 2
    await fill(periods, clock, 1)
    for store in (periods, samples):
        await store.close()
    with open_history(tmp_path) as history:
        assert len(list(history.batches(0, 2**62, stream=Stream.PERIODS))) == 10
        assert len(list(history.batches(0, 2**62))) == 10
    assert inspect(tmp_path)["periods"]["samples"] == 30
    (tmp_path / "periods.db").unlink()
    samples, periods = await both()
    assert [x.reason for x in periods.unreported_losses()] == ["missing_database"]
    for store in (periods, samples):
        await store.close()


async def test_without_an_epoch_nothing_is_stored(tmp_path: Path) -> None:
    clock = ManualClock()
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory should be")
    samples = await open_buffer(blocked, clock)
    blocked.unlink()
    blocked.mkdir()
    periods = await Buffer.open(
        blocked, BufferConfig(), clock, ["park"], name="periods.db", stream=Stream.PERIODS, beside=samples
    )
    await fill(periods, clock, 1)
    assert periods.info()["state"] == "degraded" and periods.in_memory_samples == 15
    await samples.flush()
    await periods.flush()
    assert periods.epoch == 1 and len(await take_all(periods, "park")) == 1
    for store in (periods, samples):
        await store.close()


# -- the version before


async def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    """Made by the program of that version: three flushes, the first acknowledged, then a clean stop."""
    with closing(sqlite3.connect(tmp_path / "buffer.db", isolation_level=None)) as connection:
        connection.executescript(HISTORIC.read_text(encoding="utf-8"))
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA journal_mode = WAL")
    with open_history(tmp_path) as history:
        assert len(list(history.batches(0, 2**62))) == 15, "looked at before it is migrated"
    clock = ManualClock()
    await clock.advance(100)
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.info()["state"] == "ok" and buffer.info()["databases_set_aside"] == 0
    taken = await take_all(buffer, "park")
    assert [b.values[0] for e in taken for b in e.batches] == list(range(5, 15))
    await fill(buffer, clock, 1)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (tables.SAMPLES.version,)
        tables.verify(connection, tables.SAMPLES)


async def test_a_file_that_only_says_it_is_of_version_1_is_set_aside(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("DROP TABLE loss")
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.info()["databases_set_aside"] == 1 and buffer.info()["state"] == "ok"
    await buffer.close()


# -- a check that takes too long


async def test_a_large_file_is_checked_beside_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, live = ManualClock(), tmp_path / "live"
    buffer = await open_buffer(live, clock)
    await fill(buffer, clock, 150, schema=WIDE)
    with closing(sqlite3.connect(live / "buffer.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        leaves = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'segment' AND pagetype = 'leaf' ORDER BY path"
        ).fetchall()
    state = crash_copy(live, tmp_path / "state")
    await buffer.close()
    scribble(state / "buffer.db", leaves[30][0] - 1)
    go_on, plain = threading.Event(), database.check_beside

    def slowly(path: Path, enough: Callable[[], bool]) -> str:
        go_on.wait(20)
        return plain(path, enough)

    monkeypatch.setattr(vault, "check_beside", slowly)
    monkeypatch.setattr(database.Database, "check", lambda self: False)  # cut off
    buffer = await open_buffer(state, clock)
    assert buffer.info()["state"] == "ok" and buffer.info()["databases_set_aside"] == 0, "it starts at once"
    go_on.set()
    for _ in range(500):
        if buffer._vault.broken:
            break
        await asyncio.sleep(0.01)
    await fill(buffer, clock, 1)
    assert buffer.info()["databases_set_aside"] == 1 and buffer.info()["state"] == "ok"
    await buffer.close()


# -- checkpoints


async def test_checkpoints_are_rare_when_quiet_and_passive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[str] = []
    plain = database.Database.checkpoint

    def noted(self: database.Database, mode: str = "PASSIVE") -> int:
        modes.append(mode)
        return plain(self, mode)

    monkeypatch.setattr(database.Database, "checkpoint", noted)
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 119, schema=PRESS)  # ten minutes of flushes
    assert modes == []
    await fill(buffer, clock, 240, schema=PRESS, start=600)
    assert modes == ["PASSIVE"] * 2, "one per ten minutes"
    await buffer.close()
    assert modes[-1] == "TRUNCATE" and len(modes) == 3


# -- ballast


def test_ballast_is_made_only_where_there_is_room(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path)
    assert not ballast.make(Disk(10**9, SIZE), 0) and not ballast.there
    assert not ballast.make(Disk(10**9, 20_000_000), 15_000_000), "it would stand on the floor"
    assert ballast.make(Disk(10**9, 10**9), 0) and ballast.there
    assert ballast.path.stat().st_size == SIZE
    assert ballast.release() and not ballast.there and not ballast.release()
    ballast.path.write_bytes(b"")
    assert not ballast.there, "what a power cut left of it"
    assert ballast.make(Disk(10**9, 10**9), 0) and ballast.there


# -- wear


def sys_tree(root: Path) -> Path:
    """mmcblk0 with a partition; dm-0 over the partition and over sda; loop0."""
    stat = "  10 0 100 1 20 0 {} 1 0 1 1 0 0 0 0 0 0\n"
    for name, sectors in (("mmcblk0", 1000), ("sda", 300), ("dm-0", 50), ("loop0", 7)):
        (root / "devices" / name).mkdir(parents=True)
        (root / "devices" / name / "stat").write_text(stat.format(sectors))
    part = root / "devices/mmcblk0/mmcblk0p2"
    part.mkdir()
    (part / "partition").write_text("2\n")
    (part / "stat").write_text(stat.format(400))
    for name in ("mmcblk0p2", "sda"):
        (root / "devices/dm-0/slaves" / name).mkdir(parents=True)
    places = {"mmcblk0": "", "mmcblk0p2": "mmcblk0/", "sda": "", "dm-0": "", "loop0": ""}
    (root / "class/block").mkdir(parents=True)
    (root / "dev/block").mkdir(parents=True)
    for name, parent in places.items():
        (root / "class/block" / name).symlink_to(root / "devices" / f"{parent}{name}")
    return root


@pytest.mark.parametrize(
    ("device", "disks", "sectors"),
    [
        ("mmcblk0p2", ["mmcblk0"], 1000),
        ("mmcblk0", ["mmcblk0"], 1000),
        ("dm-0", ["mmcblk0", "sda"], 1300),
        ("loop0", ["loop0"], 7),
    ],
)
def test_the_disk_below_a_directory(tmp_path: Path, device: str, disks: list[str], sectors: int) -> None:
    sys = sys_tree(tmp_path / "sys")
    number = tmp_path.stat().st_dev
    node = sys / f"dev/block/{os.major(number)}:{os.minor(number)}"
    node.symlink_to(sys / "class/block" / device)
    assert disks_below(tmp_path, sys) == disks
    assert device_bytes(disks, sys) == sectors * 512


def test_a_disk_named_by_the_mount_table_only(tmp_path: Path) -> None:
    sys, proc = sys_tree(tmp_path / "sys"), tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text(
        "20 1 0:19 / / rw - tmpfs tmpfs rw\n"
        f"21 20 0:31 /sub {tmp_path} rw shared:1 - btrfs /dev/mmcblk0p2 rw\n"
        f"22 20 0:32 / {tmp_path}/sys/devices rw - tmpfs tmpfs rw\n"
    )
    assert disks_below(tmp_path / "proc", sys, proc) == ["mmcblk0"]
    assert disks_below(tmp_path / "sys/devices/sda", sys, proc) == [], "memory is no card"
    assert device_bytes([], sys) is None and device_bytes(["gone"], sys) is None


def test_this_machine_tells_what_it_can(tmp_path: Path) -> None:
    before = process_bytes()
    with (tmp_path / "much").open("wb") as file:
        file.write(bytes(3_000_000))
        file.flush()
        os.fsync(file.fileno())
    after = process_bytes()
    assert (before is None) == (after is None)
    disks = disks_below(tmp_path)
    assert (device_bytes(disks) is not None) == bool(disks)


async def test_the_budget_of_a_day_is_told_once_a_day(tmp_path: Path) -> None:
    clock, written = ManualClock(), 0
    wear = Wear(tmp_path, 1_000_000, clock.mono_ns, lambda: written, tmp_path, tmp_path)
    assert not wear.look()
    assert wear.info() == {
        "disks": [],
        "device_bytes": None,
        "own_bytes": 0,
        "own_source": "estimate",
        "own_day_bytes": 0,
        "daily_budget_bytes": 1_000_000,
    }
    told = []
    for hour in range(1, 101):
        await clock.advance(3600)
        written += 100_000 if hour < 60 else 10_000
        told += [hour] if wear.look() else []
        assert wear.day_bytes <= 24 * 100_000
    assert told == [11, 35, 59]
    assert wear.day_bytes == 24 * 10_000


async def test_the_estimate_is_near_what_is_written(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(checkpoint_pages=10_000))
    await fill(buffer, clock, 50, schema=WIDE)
    log = (tmp_path / "buffer.db-wal").stat().st_size
    assert 0.7 * log <= buffer.written_bytes <= 1.5 * log
    await buffer.close()

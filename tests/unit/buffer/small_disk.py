"""Scenarios on a file system of their own, or under an injected fault: each in a child process.

    python -m tests.unit.buffer.small_disk SCENARIO DIRECTORY

The last line of the output is JSON with what was seen; an assertion that fails ends it with its traceback.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge_agent.buffer import Buffer, EventStore, Tuning
from edge_agent.buffer.ballast import SIZE
from edge_agent.config.model import BufferConfig
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane
from tests.unit.buffer.plant import batch_of, event_of, fill, schema_of, take_all

WIDE = schema_of("press-2", (ValueType.FLOAT64,) * 300)
MB = 1_000_000


def mount(directory: Path, size: int) -> None:
    directory.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", directory], check=True)


def remount(directory: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", directory], check=True)


def fill_up(directory: Path, leave: int = 0) -> Path:
    """Somebody else takes all but ``leave`` bytes."""
    other = directory / "other"
    with other.open("ab", buffering=0) as file:
        for block in (65_536, 4096):
            try:
                while free(directory) > leave:
                    file.write(bytes(block))
            except OSError:
                continue
    return other


def free(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def unaccounted(buffer: Buffer) -> int:
    wrong = buffer.appended_samples - (
        buffer.committed_samples + buffer.in_memory_samples + buffer.lost_samples
    )
    for row in buffer.info()["uplinks"].values():
        wrong += abs(
            row["committed_samples"]
            - row["acknowledged_samples"]
            - row["pending_samples"]
            - row["quarantined_samples"]
            - row["lost_samples"]
        )
    return wrong


async def full_by_others(directory: Path) -> dict[str, Any]:
    """Nothing is left; first only ballast can give room, then others give it back."""
    mount(directory, 40 * MB)
    clock = ManualClock()
    config = BufferConfig(memory_bytes=2 * MB)
    buffer = await Buffer.open(directory, config, clock, ["park"], tuning=Tuning(checkpoint_pages=200))
    events = await EventStore.open(directory, clock, ["park"], buffer.epoch)
    number = await fill(buffer, clock, 40, schema=WIDE)
    assert (directory / "ballast").stat().st_size == SIZE and buffer.info()["ballast"]
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    number = await fill(buffer, clock, 2, schema=WIDE, start=number)
    other = fill_up(directory)
    seen: dict[str, Any] = {"free": free(directory), "states": [], "wrong": 0}
    for _ in range(120):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
        await events.commit([event_of(number, clock)], {"w": number})
        seen["states"].append(buffer.info()["state"])
        seen["wrong"] += unaccounted(buffer)
    seen["released"] = not (directory / "ballast").exists()
    seen["events"] = events.info()["state"]
    fill_up(directory)  # what the ballast gave is taken as well
    for _ in range(60):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
        seen["wrong"] += unaccounted(buffer)
    before = buffer.committed_samples
    other.unlink()
    number = await fill(buffer, clock, 3, schema=WIDE, start=number)
    seen["healed"] = buffer.info()["state"] == "ok" and buffer.committed_samples > before
    seen["again"] = (directory / "ballast").exists() and buffer.info()["ballast"]
    seen["in_memory"] = buffer.in_memory_samples
    seen["wrong"] += unaccounted(buffer)
    seen["losses"] = buffer.info()["losses"]["samples"]
    taken = await take_all(buffer, "park")
    seen["newest"] = taken[-1].batches[-1].time_ns == clock.time_ns()
    seen["pending"] = buffer.info()["uplinks"]["park"]["pending_samples"] == sum(e.samples for e in taken)
    await buffer.close()
    await events.close()
    return seen


async def shrinking(directory: Path) -> dict[str, Any]:
    """Below the floor the file does not grow; above it it does again."""
    mount(directory, 60 * MB)
    clock = ManualClock()
    config = BufferConfig(free_bytes=20 * MB, quota_bytes=30 * MB)
    buffer = await Buffer.open(directory, config, clock, ["park"], tuning=Tuning(checkpoint_pages=100))
    number = await fill(buffer, clock, 200, schema=WIDE)
    roomy = buffer.info()["quota_bytes"]
    other = fill_up(directory, 10 * MB)
    number = await fill(buffer, clock, 1, schema=WIDE, start=number)
    file_bytes, quota = buffer.info()["file_bytes"], buffer.info()["quota_bytes"]
    for _ in range(150):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
    after = buffer.info()
    seen = {
        "roomy": roomy,
        "shrunk": quota,
        "file_bytes": file_bytes,
        "grown_to": after["file_bytes"],
        "state": after["state"],
        "quota_lost": after["losses"]["samples"].get("quota", 0),
        "free": free(directory),
        "wal": after["wal_bytes"],
        "wrong": unaccounted(buffer),
    }
    other.unlink()
    number = await fill(buffer, clock, 2, schema=WIDE, start=number)
    seen["roomy_again"] = buffer.info()["quota_bytes"]
    await buffer.close()
    return seen


async def read_only(directory: Path) -> dict[str, Any]:
    """Remounted read-only and back: memory meanwhile, and back by itself with the next flush. A kernel that
    gives up a file system does so under open files; on request it only does without them."""
    mount(directory, 60 * MB)
    clock = ManualClock()
    buffer = await Buffer.open(directory, BufferConfig(), clock, ["park"])
    events = await EventStore.open(directory, clock, ["park"], buffer.epoch)
    number = await fill(buffer, clock, 5, schema=WIDE)
    await take_all(buffer, "park")  # the reader is the last to let go: the log stays
    for store in (buffer, events):
        await store._vault.run(store._vault._writer._database.close)
    await buffer._reader.release()
    remount(directory, "ro")
    number = await fill(buffer, clock, 5, schema=WIDE, start=number)
    await events.commit([event_of(1, clock)], {"w": 1})
    seen: dict[str, Any] = {"state": buffer.info()["state"], "reason": buffer.info()["reason"]}
    seen["live"] = len(await buffer.take("park", Lane.LIVE, max_items=99, max_samples=10**6))
    seen["backlog"] = len(await buffer.take("park", Lane.BACKLOG, max_items=99, max_samples=10**6))
    remount(directory, "rw")
    began = clock.mono_ns()
    number = await fill(buffer, clock, 1, schema=WIDE, start=number)
    await events.retry()
    seen["back_after_s"] = (clock.mono_ns() - began) / 1e9
    seen["healed"] = buffer.info()["state"] == events.info()["state"] == "ok"
    taken = await take_all(buffer, "park")
    seen["numbers"] = [e.key.seq for e in taken] == list(range(1, len(taken) + 1))
    seen["all"] = sum(e.samples for e in taken) == number * 300
    seen["wrong"] = unaccounted(buffer)
    await buffer.close()
    await events.close()
    return seen


async def faulty(directory: Path) -> dict[str, Any]:
    """Under strace, which lets calls of the disk fail or take long. Every sample is stored once."""
    clock = ManualClock()
    tuning = Tuning(checkpoint_pages=30)
    buffer = await Buffer.open(directory, BufferConfig(), clock, ["park"], tuning=tuning)
    number, states, wrong = 0, [], 0
    for _ in range(40):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
        states.append(buffer.info()["state"])
        wrong += unaccounted(buffer)
        live = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=10**6)
        buffer.acknowledge("park", [e.key for e in live if e.key.seq % 3])
    for _ in range(200):
        if not buffer.in_memory_samples and buffer.info()["state"] == "ok":
            break
        await clock.advance(1)
        await buffer.flush()
    info = buffer.info()
    row = info["uplinks"]["park"]
    taken = await take_all(buffer, "park")
    stored = row["acknowledged_samples"] + sum(e.samples for e in taken)
    return {
        "degraded": states.count("degraded"),
        "state": info["state"],
        "set_aside": info["databases_set_aside"],
        "lost": buffer.lost_samples,
        "stored": stored - number * 300,
        "wrong": wrong + unaccounted(buffer),
    }


async def slow(directory: Path) -> dict[str, Any]:
    """Every fdatasync takes long: the loop does not feel it, memory stays bounded, and it says so."""
    clock = ManualClock()
    limit = 600_000
    buffer = await Buffer.open(directory, BufferConfig(memory_bytes=limit), clock, ["park"])
    number, lag, most, reasons = 0, 0.0, 0, set()
    flushing: asyncio.Task[None] | None = None
    end = time.monotonic() + 14
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        lag = max(lag, time.monotonic() - before - 0.005)
        await clock.advance(1)
        buffer.append(batch_of(WIDE, number, clock))
        number += 1
        most = max(most, buffer.info()["memory_bytes"])
        reasons.add(buffer.info()["reason"][:29])
        if flushing is None or flushing.done():
            flushing = asyncio.create_task(buffer.flush())
    if flushing is not None:
        await flushing
    losses = buffer.info()["losses"]["samples"]
    return {
        "lag_s": round(lag, 3),
        "memory_bytes": most,
        "limit": limit,
        "losses": losses,
        "reasons": sorted(reasons),
        "wrong": unaccounted(buffer),
        "batches": number,
    }


SCENARIOS = {f.__name__: f for f in (full_by_others, shrinking, read_only, faulty, slow)}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(SCENARIOS[sys.argv[1]](Path(sys.argv[2])))))

"""Schemas, batches and directories for the storage tests."""

from __future__ import annotations

import random
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_agent.buffer import Buffer, Tuning
from edge_agent.config.model import BufferConfig
from edge_agent.model import Batch, ClockState, Event, Schema, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Lane
from tests.plant.seeds import fresh_seed


def schema_of(device: str, types: Sequence[ValueType], group: str = "fast") -> Schema:
    count = len(types)
    names = tuple(f"t{i}" for i in range(count))
    return Schema(device, group, "c0ffee", names, tuple(types), ("",) * count, (None,) * count)


PRESS = schema_of("press-1", (ValueType.UINT16, ValueType.FLOAT32, ValueType.INT64))
OVEN = schema_of("oven-1", (ValueType.UINT16,) * 5)


def batch_of(schema: Schema, number: int, clock: ManualClock) -> Batch:
    """Every value tells which batch it is from; float64 is noise that no codec makes small."""
    noise = random.Random(number)
    values = tuple(
        noise.random()
        if t is ValueType.FLOAT64
        else float(number)
        if t is ValueType.FLOAT32
        else number % 60_000
        for t in schema.types
    )
    return Batch(
        schema,
        clock.time_ns(),
        clock.mono_ns(),
        values,
        bytes(len(values)),
        clock=ClockState.SYNCHRONISED,
    )


def event_of(number: int, clock: ManualClock) -> Event:
    return Event(
        "excursion_begin", "press-1.pressure", clock.time_ns(), clock.mono_ns(), "c0ffee", {"n": number}
    )


async def open_buffer(
    directory: Path,
    clock: ManualClock,
    uplinks: Sequence[str] = ("park",),
    *,
    quota_bytes: int = 4_000_000_000,
    memory_bytes: int = 16_000_000,
    tuning: Tuning | None = None,
) -> Buffer:
    config = BufferConfig(quota_bytes=quota_bytes, memory_bytes=memory_bytes)
    return await Buffer.open(directory, config, clock, uplinks, tuning=tuning)


async def fill(
    buffer: Buffer, clock: ManualClock, flushes: int, batches: int = 5, schema: Schema = PRESS, start: int = 0
) -> int:
    """So many flushes of so many batches; returns the number after the last batch."""
    for _ in range(flushes):
        for _ in range(batches):
            await clock.advance(1)
            buffer.append(batch_of(schema, start, clock))
            start += 1
        await buffer.flush()
    return start


async def take_all(buffer: Buffer, uplink: str) -> list[Envelope]:
    """What is pending, backlog first; acknowledges nothing."""
    out: list[Envelope] = []
    for lane in (Lane.BACKLOG, Lane.LIVE):
        out += await buffer.take(uplink, lane, max_items=100_000, max_samples=10**9)
    return out


def crash_copy(directory: Path, target: Path, *, without_log: bool = False) -> Path:
    """The files as a killed process leaves them."""
    left_out = ("*-shm", "*-wal") if without_log else ("*-shm",)
    shutil.copytree(directory, target, ignore=shutil.ignore_patterns(*left_out))
    return target


def remove(directory: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in directory.glob(pattern):
            path.unlink()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def seeds(count: int) -> list[int]:
    """Fixed and a fresh one; a failing test's name shows which."""
    return [*range(count), fresh_seed() % 10**9]


def junk(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 1000)


def scribble(path: Path, page: int | None = None) -> None:
    """Overwrites the head of every page but the first, or of one."""
    data = bytearray(path.read_bytes())
    starts = range(4096, len(data), 4096) if page is None else [page * 4096]
    for start in starts:
        data[start : start + 40] = b"\xa5" * 40
    path.write_bytes(data)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The kernel refuses every write beyond this size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

"""One reading in five: what is kept, what is dropped, and that every dropped one is in the ledger."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer
from edge_agent.buffer.segment import Codec
from edge_agent.buffer.thinning import WINDOW, thin
from edge_agent.config.model import BufferConfig
from edge_agent.model import Batch, Quality, Value, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Stream
from tests.unit.buffer.plant import (
    OVEN,
    PRESS,
    batch_of,
    crash_copy,
    fill,
    open_buffer,
    schema_of,
    seeds,
    take_all,
)

_KINDS = (ValueType.UINT16, ValueType.FLOAT64, ValueType.BOOL, ValueType.STRING, ValueType.INT64)
MIXED = schema_of("mixed-1", _KINDS * 3)
WIDE = schema_of("press-2", (ValueType.FLOAT64,) * 300)


def readings(seed: int) -> list[Batch]:
    source = random.Random(seed)
    flags = [Quality.GOOD] * 8 + [
        Quality.UNCERTAIN,
        Quality.BAD_COMM,
        Quality.NOT_REPORTED,
        Quality.UNCHANGED,
    ]
    draw = {
        ValueType.UINT16: lambda: source.randrange(4),
        ValueType.FLOAT64: source.random,
        ValueType.BOOL: lambda: source.random() < 0.5,
        ValueType.STRING: lambda: source.choice(("A", "B", "批次 7")),
        ValueType.INT64: lambda: source.randrange(-(2**60), 2**60),
    }
    plain = seed % 3 == 0
    out = []
    for row in range(source.randrange(1, WINDOW + 1)):
        quality = [Quality.GOOD if plain else source.choice(flags) for _ in MIXED.types]
        values: list[Value] = [
            None if flag >= Quality.BAD else draw[kind]()
            for kind, flag in zip(MIXED.types, quality, strict=True)
        ]
        out.append(Batch(MIXED, 10**9 * row, 10**9 * row, tuple(values), bytes(quality)))
    return out


def told(batches: list[Batch], column: int) -> list[tuple[int, Value, int]]:
    return [
        (b.time_ns, b.values[column], b.quality[column])
        for b in batches
        if b.quality[column] < Quality.NOT_REPORTED
    ]


@pytest.mark.parametrize("seed", seeds(30))
def test_what_is_kept(seed: int) -> None:
    batches = readings(seed)
    kept, gone = thin(batches)
    for column in range(len(MIXED.types)):
        before, after = told(batches, column), told(kept, column)
        assert set(after) <= set(before), "nothing is invented, and nothing moves in time"
        if not before:
            assert after == []
            continue
        assert before[0] in after and before[-1] in after
        sound = [value for _, value, flag in before if flag < Quality.BAD]
        assert {min(sound), max(sound)} <= {v for _, v, _ in after} if sound else True
        changes = [now for was, now in pairwise(before) if was[2] != now[2]]
        assert set(changes) <= set(after)
        assert len(after) <= 4 + len(changes)
    assert (gone.samples if gone else 0) == sum(b.samples for b in batches) - sum(b.samples for b in kept)
    if gone is not None:
        assert batches[0].time_ns <= gone.t0_ns <= gone.t1_ns <= batches[-1].time_ns
    assert all(b.samples for b in kept)
    if kept:
        assert Codec().decode(MIXED, Codec().encode(kept)) == tuple(kept), "stored and read back as it is"


def test_at_most_a_fifth_is_left_and_it_is_small_on_disk() -> None:
    source, schema = random.Random(5), schema_of("d", (ValueType.UINT16,) * 500)
    values = [source.randrange(65536) for _ in schema.names]
    batches = []
    for row in range(WINDOW):
        values[200:350] = [(v + 1) & 0xFFFF for v in values[200:350]]
        values[350:] = [source.randrange(65536) for _ in values[350:]]
        batches.append(Batch(schema, row * 10**9, row * 10**9, tuple(values), bytes(500)))
    kept, gone = thin(batches)
    assert gone is not None and sum(b.samples for b in kept) <= 10_000 / 5
    flushes = sum(len(Codec().encode(batches[i : i + 5])) for i in range(0, WINDOW, 5))
    assert len(Codec().encode(kept)) < flushes / 2


def samples_of(envelopes: list[Envelope]) -> int:
    return sum(batch.samples for e in envelopes for batch in e.batches)


async def test_an_outage_is_thinned_before_it_is_cut_off(tmp_path: Path) -> None:
    """The equation holds to the sample at every flush; the ledger says what is missing, and since when."""
    clock = ManualClock()
    quota = 3_000_000
    buffer = await open_buffer(tmp_path, clock, quota_bytes=quota)
    number, thinned_at = 0, None
    for _ in range(400):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
        info = buffer.info()
        assert buffer.appended_samples == (
            buffer.committed_samples + buffer.in_memory_samples + buffer.lost_samples
        )
        if info["thinning"] and thinned_at is None:
            thinned_at = clock.time_ns()
            assert 0.85 <= info["unsent_ratio"] < 0.9 and info["quota_warning"]
            assert info["uplinks"]["park"]["lost_samples"] == 0, "thinned before anything is deleted"
        assert info["bytes"] <= quota
    assert thinned_at is not None
    losses = {(x.reason, x.uplink): x for x in buffer.unreported_losses()}
    thinned, cut = losses["thinned", None], losses["quota", "park"]
    assert thinned.n_samples == buffer.info()["losses"]["samples"]["thinned"] == buffer.lost_samples
    assert thinned_at <= thinned.t0_ns <= thinned.t1_ns <= clock.time_ns()
    row = buffer.info()["uplinks"]["park"]
    assert row["lost_samples"] == cut.n_samples
    assert buffer.committed_samples == row["pending_samples"] + row["lost_samples"]
    left = await take_all(buffer, "park")
    assert samples_of(left) == row["pending_samples"]
    for envelope in left:  # delivered: there is room again
        buffer.acknowledge("park", [envelope.key])
    number = await fill(buffer, clock, 3, schema=WIDE, start=number)
    assert not buffer.info()["thinning"]
    before = buffer.lost_samples
    number = await fill(buffer, clock, 20, schema=WIDE, start=number)
    assert buffer.lost_samples == before and buffer.in_memory_samples == 0
    await buffer.close()


async def test_period_values_are_never_thinned_and_nobody_says_so(tmp_path: Path) -> None:
    clock = ManualClock()
    samples = await open_buffer(tmp_path, clock)
    config = BufferConfig(quota_bytes=1_500_000)
    periods = await Buffer.open(
        tmp_path, config, clock, ["park"], name="periods.db", stream=Stream.PERIODS, beside=samples
    )
    number = 0
    for _ in range(300):
        number = await fill(periods, clock, 1, schema=WIDE, start=number)
        info = periods.info()
        assert not info["thinning"]
    assert info["quota_warning"] and info["unsent_ratio"] > 0.85
    assert {x.reason for x in periods.unreported_losses()} == {"quota"}
    await periods.close()
    await samples.close()


async def test_history_is_deleted_before_anything_is_thinned(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, quota_bytes=1_500_000)
    number = 0
    for _ in range(300):
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
        buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    info = buffer.info()
    assert 0.8 < info["quota_used_ratio"] <= 0.95 and info["unsent_ratio"] < 0.1
    assert not info["thinning"] and buffer.lost_samples == 0 and buffer.unreported_losses() == []
    await buffer.close()


async def test_a_clean_stop_keeps_the_last_window_and_a_power_cut_is_told_from_its_beginning(
    tmp_path: Path,
) -> None:
    clock, live = ManualClock(), tmp_path / "live"
    buffer = await open_buffer(live, clock, quota_bytes=3_000_000)
    number = 0
    while not buffer.info()["thinning"]:
        number = await fill(buffer, clock, 1, schema=WIDE, start=number)
    number = await fill(buffer, clock, 2, schema=WIDE, start=number)
    assert buffer.in_memory_samples == 10 * 300, "a window waits for its readings"
    last_ns = clock.time_ns()
    await fill(buffer, clock, 1, schema=OVEN, start=0)
    newest = (await take_all(buffer, "park"))[-1].batches[-1].time_ns
    state = crash_copy(live, tmp_path / "killed")
    await buffer.close()
    assert buffer.in_memory_samples == 0
    buffer = await open_buffer(live, clock)
    batches = [b for e in await take_all(buffer, "park") for b in e.batches if b.schema == WIDE]
    assert last_ns in [b.time_ns for b in batches], "the last reading is kept"
    await buffer.close()
    buffer = await open_buffer(state, clock)
    (loss,) = [x for x in buffer.unreported_losses() if x.reason == "unclean_stop"]
    assert loss.t0_ns <= newest - 10 * 10**9, "readings that waited for their window are in its extent"
    await buffer.close()


async def test_memory_is_thinned_before_it_drops(tmp_path: Path) -> None:
    """The disk refuses: the second half of memory lasts five times as long."""
    clock = ManualClock()
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory should be")
    buffer = await open_buffer(blocked, clock, memory_bytes=400_000)
    await buffer.flush()
    number = 0
    while not buffer.lost_samples or set(buffer.info()["losses"]["samples"]) == {"thinned"}:
        await clock.advance(1)
        buffer.append(batch_of(PRESS, number, clock))
        number += 1
    held = 400_000 // (300 + 37 * 3)
    assert number > 1.6 * held
    losses = buffer.info()["losses"]["samples"]
    assert losses["thinned"] + losses["memory"] == buffer.lost_samples
    assert buffer.appended_samples == buffer.in_memory_samples + buffer.lost_samples
    blocked.unlink()
    await buffer.flush()
    assert buffer.in_memory_samples == 0
    left = await take_all(buffer, "park")
    assert samples_of(left) == buffer.committed_samples == buffer.appended_samples - buffer.lost_samples
    times = [b.time_ns for e in left for b in e.batches]
    assert times == sorted(times) and times[-1] == clock.time_ns()
    await buffer.close()

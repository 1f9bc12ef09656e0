"""Looking back: disk and memory, runs, schemas, damage, a concurrent writer; where a span is looked for."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer, EventStore
from edge_agent.buffer.decoding import Decoder
from edge_agent.buffer.history import open_history
from edge_agent.buffer.memory import SEGMENT_NS, groups
from edge_agent.buffer.seek import seek
from edge_agent.buffer.walk import PAGE_SAMPLES, Walk
from edge_agent.config.model import TagRef
from edge_agent.errors import StorageError
from edge_agent.model import Batch, Event, ValueType
from edge_agent.testing.clock import ManualClock, settle
from edge_agent.uplink import Lane
from tests.unit.buffer.plant import (
    OVEN,
    PRESS,
    batch_of,
    contents,
    crash_copy,
    event_of,
    fill,
    no_file_beyond,
    open_buffer,
    schema_of,
)

S = 1_000_000_000
WHOLE = (0, 2**62)


def stored(batch: Batch) -> Batch:
    """Without the axis of history."""
    return replace(batch, mono_ns=0)


def numbers(batches: Iterable[Batch]) -> list[tuple[str, int]]:
    return [(batch.schema.device, int(batch.values[0] or 0)) for batch in batches]


async def recall(
    buffer: Buffer,
    start_ns: int,
    end_ns: int,
    device: str | None = None,
    group: str | None = None,
    tags: Collection[TagRef] | None = None,
) -> list[Batch]:
    return [b async for b in buffer.history(device, group, start_ns, end_ns, tags=tags)]


def assert_never_back(batches: list[Batch]) -> None:
    assert [b.mono_ns for b in batches] == sorted(b.mono_ns for b in batches)


async def two_devices(buffer: Buffer, clock: ManualClock, seconds: int, start: int = 0) -> list[Batch]:
    """A batch of each device a second, a flush every five."""
    out = []
    for number in range(start, start + seconds):
        await clock.advance(1)
        for schema in (PRESS, OVEN):
            out.append(batch_of(schema, number, clock))
            buffer.append(out[-1])
        if number % 5 == 4:
            await buffer.flush()
    return out


async def test_what_was_written_comes_back_from_disk_and_memory_in_order(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    written = await two_devices(buffer, clock, 63)
    assert buffer.in_memory_samples == 24, "the last three seconds are not stored yet"
    found = await recall(buffer, *WHOLE)
    assert [stored(b) for b in found] == [stored(b) for b in written]
    steps = [b.mono_ns - a.mono_ns for a, b in pairwise(written)]
    assert [b.mono_ns - a.mono_ns for a, b in pairwise(found)] == steps
    assert found[0].mono_ns == found[0].time_ns
    begin, end = written[20].time_ns, written[100].time_ns
    expected = [b for b in written if begin <= b.time_ns < end]
    assert [stored(b) for b in await recall(buffer, begin, end)] == [stored(b) for b in expected]
    only = await recall(buffer, begin, end, device="oven-1")
    assert numbers(only) == [n for n in numbers(expected) if n[0] == "oven-1"]
    assert await recall(buffer, begin, end, device="oven-1", group="slow") == []
    tagged = await recall(buffer, begin, end, tags={TagRef("press-1", "t2"), TagRef("oven-1", "t9")})
    assert numbers(tagged) == [n for n in numbers(expected) if n[0] == "press-1"]
    assert await recall(buffer, 5, 6) == []
    await buffer.close()
    with open_history(tmp_path) as history:
        assert [stored(b) for b in history.batches(*WHOLE)] == [stored(b) for b in written]
        assert numbers(history.batches(begin, end, ["oven-1"])) == numbers(only)
        assert history.extent() == (written[0].time_ns, written[-1].time_ns)


async def test_batches_on_their_way_to_the_disk_come_once(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    written = await two_devices(buffer, clock, 3)
    flushing = asyncio.create_task(buffer.flush())
    await settle(3)
    assert not buffer._memory.waiting and not buffer._memory.empty, "taken off, not landed"
    found = buffer.history(None, None, *WHOLE)
    written_later = await two_devices(buffer, clock, 1, start=3)
    await flushing
    await buffer.flush()
    assert [stored(b) async for b in found] == [stored(b) for b in written], "as of the call"
    assert len(await recall(buffer, *WHOLE)) == len(written) + len(written_later)
    await buffer.close()


async def test_what_was_handed_over_late_comes_in_its_place(tmp_path: Path) -> None:
    """A batch is stamped when its reply arrives, and may be appended just after a flush."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    written = [batch_of(PRESS, 999, clock)]
    buffer.append(written[0])
    await buffer.flush()  # one segment more: where a page of outlines ends, one comes late
    for number in range(300):
        await clock.advance(1)
        late = batch_of(OVEN, number, clock)
        await clock.advance(0.01)
        written += [late, batch_of(PRESS, number, clock)]
        buffer.append(written[-1])
        await buffer.flush()
        buffer.append(late)
    found = await recall(buffer, *WHOLE)
    assert [stored(b) for b in found] == [stored(b) for b in written]
    await buffer.close()


async def test_a_span_that_begins_within_a_long_segment(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 100, batches=110)
    whole = await recall(buffer, *WHOLE)
    assert len(whole) == 11_000
    for at in (5055, 10_945):
        begin, end = whole[at].time_ns, whole[at].time_ns + 30 * S
        expected = [b.time_ns for b in whole if begin <= b.time_ns < end]
        assert [b.time_ns for b in await recall(buffer, begin, end)] == expected
    await buffer.close()


async def test_runs_follow_one_another_even_if_the_clock_was_set_back_between(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    first = await two_devices(buffer, clock, 20)
    await buffer.close()
    second_clock = ManualClock(clock.time_ns() - 10 * S, mono_ns=5 * S)  # another boot
    buffer = await open_buffer(tmp_path, second_clock)
    second = await two_devices(buffer, second_clock, 20)
    found = await recall(buffer, *WHOLE)
    assert [stored(b) for b in found] == [stored(b) for b in first + second]
    assert_never_back(found)
    for run in (found[: len(first)], found[len(first) :]):
        assert run[-1].mono_ns - run[0].mono_ns == 19 * S, "time within a run is the monotonic one"
    overlap = [b for b in first + second if second[0].time_ns <= b.time_ns < first[-1].time_ns]
    begin, end = second[0].time_ns, first[-1].time_ns
    assert [stored(b) for b in await recall(buffer, begin, end)] == [stored(b) for b in overlap]
    await buffer.close()
    with open_history(tmp_path) as history:
        assert [stored(b) for b in history.batches(begin, end)] == [stored(b) for b in overlap]


async def test_a_clock_that_is_set_hides_nothing_and_turns_nothing_round(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    written = await two_devices(buffer, clock, 400)
    clock.step(-7200)
    written += await two_devices(buffer, clock, 400)
    clock.step(+7200 + 3600)
    written += await two_devices(buffer, clock, 400)
    found = await recall(buffer, *WHOLE)
    assert [stored(b) for b in found] == [stored(b) for b in written]
    assert_never_back(found)
    for at in (100, 900, 1000, 1500, 1700, 2200):
        begin, end = written[at].time_ns, written[at].time_ns + 30 * S
        expected = [stored(b) for b in written if begin <= b.time_ns < end]
        assert [stored(b) for b in await recall(buffer, begin, end)] == expected, at
    await buffer.close()


async def test_a_schema_change_midway(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 3)
    other = schema_of("press-1", (ValueType.STRING, ValueType.BOOL))
    await clock.advance(1)
    buffer.append(Batch(other, clock.time_ns(), clock.mono_ns(), ("合格", True), bytes(2)))
    await buffer.flush()
    await fill(buffer, clock, 1, start=15)
    found = await recall(buffer, *WHOLE, device="press-1")
    assert [b.schema for b in found] == [PRESS] * 15 + [other] + [PRESS] * 5
    assert found[15].values == ("合格", True)
    await buffer.close()


async def test_a_corrupt_segment_is_skipped_and_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 6)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        connection.execute("UPDATE segment SET body = zeroblob(length(body)) WHERE seq = 3")
        connection.commit()
    expected = [n for n in range(30) if n not in range(10, 15)]
    with open_history(tmp_path) as history:
        assert [n for _, n in numbers(history.batches(*WHOLE))] == expected
        assert history.corrupt == 1
    buffer = await open_buffer(tmp_path, clock)
    found = buffer.history(None, None, *WHOLE)
    assert [n for _, n in numbers([b async for b in found])] == expected
    assert found.skipped == 1 and not found.unreadable
    await buffer.close()


async def test_a_command_reads_beside_a_running_agent_and_leaves_no_trace(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 200, batches=2)
    with open_history(tmp_path) as history:
        batches = history.batches(*WHOLE)
        first = [next(batches) for _ in range(10)]
        await fill(buffer, clock, 5, batches=2, start=400)  # the writer goes on
        rest = list(batches)
        assert [n for _, n in numbers([*first, *rest])][:400] == list(range(400))
        assert len(list(history.batches(*WHOLE))) == 410
        await buffer.close()  # the writer goes away under the reader
        assert len(list(history.batches(*WHOLE))) == 410
    buffer = await open_buffer(tmp_path, clock)
    await buffer.close()
    before = contents(tmp_path)
    assert not [name for name in before if name.endswith(("-wal", "-shm"))]
    with open_history(tmp_path) as history:
        assert len(list(history.batches(*WHOLE))) == 410
    assert contents(tmp_path) == before


async def test_an_agent_that_reads_while_it_writes(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 100, batches=3)
    first = buffer.history(None, None, *WHOLE)
    taken = [await anext(first) for _ in range(5)]
    filling = asyncio.create_task(fill(buffer, clock, 30, start=300))
    taken += [b async for b in first]
    await filling
    assert [n for _, n in numbers(taken)] == list(range(300))
    await buffer.close()


async def test_the_oldest_goes_while_somebody_looks_back(tmp_path: Path) -> None:
    clock = ManualClock()
    wide = schema_of("press-1", (ValueType.FLOAT64,) * 300)
    buffer = await open_buffer(tmp_path, clock, (), quota_bytes=600_000)
    await fill(buffer, clock, 60, schema=wide)
    looking = buffer.history(None, None, *WHOLE)
    await anext(looking)
    await fill(buffer, clock, 60, schema=wide, start=300)
    rest = [b async for b in looking]
    assert looking._walk.gone and not looking.skipped
    assert_never_back(rest)
    await buffer.close()


async def test_memory_is_read_while_the_disk_refuses(tmp_path: Path) -> None:
    clock = ManualClock()
    with no_file_beyond(0):
        buffer = await open_buffer(tmp_path, clock)
        written = await two_devices(buffer, clock, 12)
        found = buffer.history(None, None, *WHOLE)
        assert [stored(b) async for b in found] == [stored(b) for b in written]
        assert found.unreadable
    await buffer.close()
    assert [b async for b in buffer.history(None, None, *WHOLE)] == [], "closed: nothing is in memory"


async def test_one_page_at_a_time_in_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    wide = schema_of("press-1", (ValueType.UINT16,) * 500)
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 40, schema=wide)
    pages: list[tuple[int, int]] = []
    page = Walk.page

    def seen(self: Walk, connection: sqlite3.Connection, decoder: Decoder) -> list[Batch]:
        out = page(self, connection, decoder)
        pages.append((threading.get_ident(), sum(len(b.values) for b in out)))
        assert sum(len(batches) for _, batches in self._open) <= 5, "one segment of each poll group"
        return out

    monkeypatch.setattr(Walk, "page", seen)
    assert len(await recall(buffer, *WHOLE)) == 200
    assert len(pages) >= 5 and max(size for _, size in pages) <= PAGE_SAMPLES
    assert {thread for thread, _ in pages}.isdisjoint({threading.get_ident()})
    await buffer.close()


def test_no_segment_lasts_longer_than_who_looks_back_expects() -> None:
    clock = ManualClock()
    batches = []
    for number in range(1000):
        clock._move_to(clock.mono_ns() + S)
        batches += [batch_of(PRESS, number, clock)] + (
            [batch_of(OVEN, number, clock)] if number > 500 else []
        )
    parts = groups(batches)
    assert all(part[-1].mono_ns - part[0].mono_ns < SEGMENT_NS for part in parts)
    assert [part[0].mono_ns for part in parts] == sorted(part[0].mono_ns for part in parts)
    assert sorted(b.mono_ns for part in parts for b in part) == [b.mono_ns for b in batches]


async def test_a_span_is_found_by_few_looks(tmp_path: Path) -> None:
    """No index: halving. Counted by what SQLite is asked."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 600, batches=1)
    await fill(buffer, clock, 1, batches=1, start=600)
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        rows = connection.execute("SELECT seq, t0_ns FROM segment").fetchall()
        connection.execute(
            "UPDATE segment SET t0_ns = t0_ns + seq * 600000000000,"
            " t1_ns = t1_ns + seq * 600000000000, mono0_ns = mono0_ns + seq * 600000000000"
        )
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        for seq, t0_ns in rows[::100]:
            asked.clear()
            at_ns = t0_ns + seq * 600 * S
            ranges = seek(connection, at_ns, at_ns + 1)
            assert any(a <= seq <= b for a, b in ranges)
            assert sum(b - a + 1 for a, b in ranges) < 100
            assert len(asked) < 60
    assert len(rows) == 601


async def test_nothing_stored_yet(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing has been stored"):
        open_history(tmp_path)
    buffer = await open_buffer(tmp_path, ManualClock())
    assert await recall(buffer, *WHOLE) == []
    with open_history(tmp_path) as history:
        assert list(history.batches(*WHOLE)) == [] and history.extent() is None
        with pytest.raises(StorageError, match="events"):
            history.events(*WHOLE)
    await buffer.close()


async def test_a_killed_agents_files_are_read(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 4)
    copy = crash_copy(tmp_path / "a", tmp_path / "b")
    with open_history(copy) as history:
        assert [n for _, n in numbers(history.batches(*WHOLE))] == list(range(20))
    await buffer.close()


# Events


async def test_events_by_time_and_kind(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    store = await EventStore.open(tmp_path, clock, (), 1)
    times: list[int] = []
    some: list[Event] = []
    for number in range(2500):
        await clock.advance(1)
        event = event_of(number, clock)
        times.append(event.time_ns)
        if number % 10 == 0:
            event = replace(event, kind="alarm_raised")
        some.append(event)
        if len(some) == 100:
            await store.commit(some, {})
            some = []
    every = await store.history(*WHOLE, limit=10_000)
    assert [e.detail["n"] for e in every] == list(range(2500))
    assert [e.detail["n"] for e in await store.history(*WHOLE, limit=7)] == list(range(2493, 2500))
    raised = await store.history(times[995], times[1021], {"alarm_raised"})
    assert [e.detail["n"] for e in raised] == [1000, 1010, 1020]
    assert await store.history(*WHOLE, kinds=set()) == []
    with open_history(tmp_path) as history:
        assert history.events(times[995], times[1021], {"alarm_raised"}) == raised
        assert history.events(*WHOLE, limit=10_000) == every
        assert [e.detail["n"] for e in history.events(times[0], times[3])] == [0, 1, 2]
    await store.close()
    await buffer.close()


async def test_events_the_disk_has_not_taken_are_part_of_history(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await EventStore.open(tmp_path, clock, (), 1)
    await store.commit([event_of(n, clock) for n in range(3)], {})
    with no_file_beyond((tmp_path / "events.db").stat().st_size):
        await store.commit([event_of(3, clock)], {})
        found = await store.history(*WHOLE)
    assert found[-1].detail["n"] == 3
    await store.close()


async def test_a_state_at_rest_leaves_no_row(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await EventStore.open(tmp_path, clock, (), 1)
    await store.commit([], {"a": {"x": 1}, "b": {"x": 2}})
    await store.commit([], {"a": None, "c": None})
    assert store.window_states() == {"b": {"x": 2}}
    await store.close()
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        assert connection.execute("SELECT name FROM window_state").fetchall() == [("b",)]


async def test_records_with_thousands_of_readings_neither_fill_memory_nor_a_message(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await EventStore.open(tmp_path, clock, ("park",), 1, quota_bytes=2_000_000)
    series = {"press-1.pressure": {"t_ns": 1, "dt_ms": list(range(4000)), "v": [0.1234567] * 4000, "q": ""}}
    for number in range(12):
        event = event_of(number, clock)
        await store.commit([replace(event, detail={"n": number, "series": series})], {})
    assert all("series" not in event.detail for _, event in store.recent(100))
    one_message = {"max_items": 64, "max_samples": 20_000}
    assert len(await store.take("park", Lane.BACKLOG, **one_message)) == 4
    live = await store.take("park", Lane.LIVE, **one_message)
    assert live[0].event is not None and live[0].event.detail["series"] == series
    assert len(await store.take("park", Lane.BACKLOG, max_items=64, max_samples=1)) == 1
    for number in range(200):
        await store.commit([replace(event_of(number, clock), detail={"n": number, "series": series})], {})
    info = store.info()
    assert info["bytes"] < 3_000_000 and info["losses"]["samples"]["quota"] > 100
    await store.close()

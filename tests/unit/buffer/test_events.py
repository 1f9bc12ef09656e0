"""Events and window states: one transaction, at once; the disk may refuse, annunciation goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edge_agent.buffer import EventStore, Loss, Tuning, loss_event
from edge_agent.model import Event
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Key, Lane
from tests.unit.buffer.plant import (
    OVEN,
    batch_of,
    crash_copy,
    event_of,
    junk,
    no_file_beyond,
    open_buffer,
    scribble,
)

_ALL = {"max_items": 1000, "max_samples": 10**9}


async def open_events(
    directory: Path,
    clock: ManualClock,
    uplinks: Sequence[str] = ("park",),
    epoch: int = 1,
    *,
    quota_rows: int = 100_000,
) -> EventStore:
    return await EventStore.open(
        directory, clock, uplinks, epoch, quota_rows=quota_rows, tuning=Tuning(busy_s=0.05)
    )


async def numbers(store: EventStore, uplink: str, lane: Lane) -> list[int]:
    return [e.event.detail["n"] for e in await store.take(uplink, lane, **_ALL) if e.event is not None]


async def test_events_and_states_are_one_transaction(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path / "a", clock)
    first = event_of(1, clock)
    keys = await store.commit([first, event_of(2, clock)], {"press-1.pressure": {"state": "out", "since": 5}})
    assert keys == [Key("event", 1, 1), Key("event", 1, 2)]
    assert await store.commit([], {"oven-1.zone": {"state": "in"}}) == []
    assert await numbers(store, "park", Lane.LIVE) == [1, 2], "a commit of states alone is no new data"
    await store.commit([event_of(3, clock)], {"press-1.pressure": {"state": "in", "since": 9}})
    assert await numbers(store, "park", Lane.LIVE) == [3]
    envelopes = await store.take("park", Lane.BACKLOG, **_ALL)
    assert envelopes[0].event == first
    assert [(e.samples, e.batches, e.schema) for e in envelopes] == [(1, (), None)] * 2
    killed = crash_copy(tmp_path / "a", tmp_path / "b")
    await store.close()
    store = await open_events(killed, clock, epoch=2)
    assert store.window_states() == {
        "press-1.pressure": {"state": "in", "since": 9},
        "oven-1.zone": {"state": "in"},
    }
    assert [event.detail["n"] for _, event in store.recent(2)] == [3, 2]
    assert await numbers(store, "park", Lane.BACKLOG) == [1, 2, 3]
    assert await store.commit([event_of(4, clock)], {}) == [Key("event", 2, 4)]
    assert [x.reason for x in store.unreported_losses()] == ["unclean_stop"]
    await store.close()


async def test_acknowledged_and_quarantined_events_stay_away(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock, ["park", "mirror"])
    keys = [key for n in range(5) for key in await store.commit([event_of(n, clock)], {})]
    store.acknowledge("park", [keys[0], keys[4], Key("samples", 1, 2)])
    store.quarantine("park", keys[1], "422")
    await store.close()
    store = await open_events(tmp_path, clock, ["park", "mirror"], 2)
    assert await numbers(store, "park", Lane.BACKLOG) == [2, 3]
    assert await numbers(store, "mirror", Lane.BACKLOG) == [0, 1, 2, 3, 4]
    row = store.info()["uplinks"]["park"]
    assert (row["acknowledged_samples"], row["quarantined_samples"], row["pending_samples"]) == (2, 1, 2)
    await store.register(["park"])
    assert [(x.reason, x.uplink, x.n_samples) for x in store.unreported_losses()] == [
        ("uplink_removed", "mirror", 5)
    ]
    await store.close()


async def test_who_ends_watching_is_not_called_again(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock)
    heard: list[int] = []
    store.watch(listen := lambda: heard.append(1))
    await store.commit([event_of(0, clock)], {})
    store.unwatch(listen)
    store.unwatch(listen)  # not known any more: ignored
    await store.commit([event_of(1, clock)], {})
    assert heard == [1]
    await store.close()


async def test_a_disk_that_refuses_loses_no_event(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock)
    await store.commit([event_of(0, clock)], {"w": 0})
    heard: list[int] = []
    store.watch(lambda: heard.append(1))
    with no_file_beyond(4096):
        for n in range(1, 4):
            assert await store.commit([event_of(n, clock)], {"w": n, f"only-{n}": n}) == ()
        assert store.info()["state"] == "degraded" and store.in_memory_samples == 3
        assert store.window_states()["w"] == 3
        assert await numbers(store, "park", Lane.LIVE) == [0], "nothing is sent before its commit"
    await store.retry()
    assert store.info()["state"] == "ok" and heard == [1]
    assert await numbers(store, "park", Lane.LIVE) == [1, 2, 3]
    await store.close()
    store = await open_events(tmp_path, clock, epoch=2)
    assert store.window_states() == {"w": 3, "only-1": 1, "only-2": 2, "only-3": 3}
    assert store.unreported_losses() == []
    await store.close()


async def test_the_oldest_acknowledged_go_first_at_the_quota(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock, quota_rows=20)
    for n in range(100):
        keys = await store.commit([event_of(n, clock)], {})
        if n not in (3, 50):
            store.acknowledge("park", keys)
    assert store.info()["events"] <= 20
    assert await numbers(store, "park", Lane.BACKLOG) == [3, 50]
    for n in range(100, 140):
        await store.commit([event_of(n, clock)], {})
    await store.retry()
    pending = await numbers(store, "park", Lane.BACKLOG) + await numbers(store, "park", Lane.LIVE)
    assert pending == list(range(120, 140))
    assert [(x.reason, x.n_samples) for x in store.unreported_losses()] == [("quota", 22)]
    await store.close()


async def test_a_broken_file_at_the_start_and_while_running(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock)
    await store.commit([event_of(n, clock) for n in range(300)], {"w": 1, "x": 2})
    await store.close()
    junk(tmp_path / "events.db")
    store = await open_events(tmp_path, clock, epoch=2)
    assert store.window_states() == {} and store.info()["state"] == "ok"
    assert [x.reason for x in store.unreported_losses()] == ["quarantined_database"]
    await store.commit([event_of(n, clock) for n in range(300)], {"w": 5, "x": 6})
    await store.close()
    store = await open_events(tmp_path, clock, epoch=3)
    scribble(tmp_path / "events.db")
    assert await numbers(store, "park", Lane.BACKLOG) == []
    keys = await store.commit([event_of(7, clock)], {"w": 9})
    assert keys == [Key("event", 3, 301)], "numbers go on: no key twice"
    assert store.window_states() == {"w": 9, "x": 6}
    await store.close()
    store = await open_events(tmp_path, clock, epoch=4)
    assert store.window_states() == {"w": 9, "x": 6}, "the new file has all states"
    await store.close()


async def test_a_damaged_row_is_skipped(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_events(tmp_path, clock)
    await store.commit([event_of(n, clock) for n in range(4)], {"w": 1, "v": 2})
    await store.close()
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        connection.execute("UPDATE event SET body = replace(body, '1', '7') WHERE seq = 2")
        connection.execute("UPDATE window_state SET body = '{' WHERE name = 'v'")
        connection.commit()
    store = await open_events(tmp_path, clock, epoch=2)
    assert await numbers(store, "park", Lane.BACKLOG) == [0, 2, 3]
    assert store.window_states() == {"w": 1}, "that window starts as unknown"
    await store.retry()
    assert [(x.reason, x.from_seq) for x in store.unreported_losses()] == [("corrupt", 2)]
    await store.close()


async def test_a_loss_of_samples_becomes_an_event(tmp_path: Path) -> None:
    """As the agent does it: event first, then the mark; a crash in between reports twice, not never."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, memory_bytes=3_000)
    store = await open_events(tmp_path, clock)
    for n in range(50):
        buffer.append(batch_of(OVEN, n, clock))
    assert buffer.unreported_losses() == [], "not before it is durable itself"
    await buffer.flush()
    losses = buffer.unreported_losses()
    await store.commit([as_event(loss, clock) for loss in losses], {})
    buffer.append(batch_of(OVEN, 1, clock))
    for n in range(50):
        buffer.append(batch_of(OVEN, n, clock))
    assert buffer.unreported_losses() == losses, "a row once handed out never changes"
    buffer.mark_reported(losses)
    await buffer.flush()
    assert buffer.unreported_losses() == [], "not at every flush of a long outage"
    await clock.advance(600)
    (second,) = buffer.unreported_losses()
    assert losses[0].n_samples is not None and second.n_samples is not None
    assert losses[0].n_samples + second.n_samples == buffer.lost_samples
    (envelope,) = await store.take("park", Lane.LIVE, **_ALL)
    assert envelope.event is not None and envelope.event.kind == "data_lost"
    assert envelope.event.detail["samples"] == losses[0].n_samples
    await store.close()
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock)
    assert [x.id for x in buffer.unreported_losses()] == [second.id], "unreported ones come again"
    await buffer.close()


def as_event(loss: Loss, clock: ManualClock) -> Event:
    return loss_event(loss, "samples", "c0ffee", clock.time_ns(), clock.mono_ns())

"""Live and backlog, acknowledgement, quarantine, reload: what forwarding relies on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_agent.buffer import loss_event
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Key, Lane
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, fill, open_buffer, schema_of, take_all

_ALL = {"max_items": 1000, "max_samples": 10**9}


async def test_live_is_the_newest_commit_and_backlog_the_rest(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 3)
    for schema in (OVEN, PRESS, OVEN):
        buffer.append(batch_of(schema, 99, clock))
    assert await buffer.take("park", Lane.LIVE, **_ALL), (
        "not committed yet: the old flush is still the newest"
    )
    await buffer.flush()
    live = await buffer.take("park", Lane.LIVE, **_ALL)
    assert [(e.schema, len(e.batches), e.samples) for e in live] == [(OVEN, 2, 10), (PRESS, 1, 3)]
    assert [e.key for e in live] == [Key("samples", 1, 4), Key("samples", 1, 5)]
    assert all(e.lane is Lane.LIVE for e in live)
    backlog = await buffer.take("park", Lane.BACKLOG, **_ALL)
    assert [e.key.seq for e in backlog] == [1, 2, 3]
    assert all(e.lane is Lane.BACKLOG and e.samples == 15 for e in backlog)
    assert [b.values[0] for e in backlog for b in e.batches] == list(range(15))
    await buffer.close()


async def test_nothing_is_taken_before_its_commit(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    buffer.append(batch_of(PRESS, 1, clock))
    assert await take_all(buffer, "park") == []
    await buffer.flush()
    assert len(await take_all(buffer, "park")) == 1
    await buffer.close()


async def test_taking_changes_nothing_and_limits_hold(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 6)  # 15 samples each; five in the backlog
    for items, samples, expected in (
        (1, 10**6, 1),
        (100, 40, 2),
        (100, 1, 1),
        (3, 10**6, 3),
        (100, 10**6, 5),
    ):
        for _ in range(2):
            taken = await buffer.take("park", Lane.BACKLOG, max_items=items, max_samples=samples)
            assert [e.key.seq for e in taken] == list(range(1, expected + 1)), (items, samples)
    assert await buffer.take("park", Lane.BACKLOG, max_items=0, max_samples=9) == ()
    assert await buffer.take("nobody", Lane.LIVE, **_ALL) == ()
    await buffer.close()


async def test_acknowledgements_leave_holes_and_survive_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    await fill(buffer, clock, 10)
    taken = {e.key.seq: e.key for e in await take_all(buffer, "park")}
    buffer.acknowledge("park", [taken[n] for n in (2, 3, 7, 10)])
    buffer.acknowledge("park", [taken[3], Key("samples", 9, 4), Key("event", 1, 5), Key("samples", 1, 500)])
    buffer.acknowledge("gone", [taken[4]])
    left = [1, 4, 5, 6, 8, 9]
    assert [e.key.seq for e in await take_all(buffer, "park")] == left
    assert buffer.info()["uplinks"]["park"]["acknowledged_segments"] == 4
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    again = await take_all(buffer, "park")
    assert [e.key for e in again] == [taken[n] for n in left], "same keys, of the first run's epoch"
    assert {e.lane for e in again} == {Lane.BACKLOG}, "after a start nothing is live"
    assert len(await take_all(buffer, "mirror")) == 10
    row = buffer.info()["uplinks"]["park"]
    assert (row["acknowledged_segments"], row["acknowledged_segments_since_start"]) == (4, 0)
    await buffer.close()


async def test_an_acknowledgement_alone_is_written_after_ten_seconds(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 1)
    flushes = buffer.info()["flushes"]
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    await buffer.flush()
    assert buffer.info()["flushes"] == flushes, "no commit for it alone"
    await clock.advance(10)
    await buffer.flush()
    assert buffer.info()["flushes"] == flushes + 1
    await clock.advance(60)
    await buffer.flush()
    assert buffer.info()["flushes"] == flushes + 1, "nothing to write, nothing written"
    await buffer.close()


async def test_quarantine_is_per_uplink_and_outlives_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    await fill(buffer, clock, 2)
    poison = (await take_all(buffer, "park"))[0].key
    buffer.quarantine("park", poison, "400: unknown device")
    buffer.quarantine("park", poison, "twice")
    buffer.acknowledge("park", [poison])
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"])
    row = buffer.info()["uplinks"]["park"]
    assert (row["quarantined_segments"], row["quarantined_samples"], row["pending_segments"]) == (1, 15, 1)
    assert poison not in [e.key for e in await take_all(buffer, "park")]
    assert poison in [e.key for e in await take_all(buffer, "mirror")]
    await buffer.close()


async def test_a_removed_uplink_is_written_off_and_a_new_one_starts_here(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park"])
    await fill(buffer, clock, 4)
    buffer.acknowledge("park", [e.key for e in (await take_all(buffer, "park"))[:1]])
    buffer.append(batch_of(PRESS, 77, clock))  # in memory: the new one gets it
    await buffer.register(["mirror"])
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.uplink, loss.from_seq, loss.to_seq, loss.n_samples) == (
        "uplink_removed",
        "park",
        2,
        4,
        45,
    )
    assert buffer.info()["uplinks"].keys() == {"mirror"}
    (only,) = await take_all(buffer, "mirror")
    assert only.batches[0].values[0] == 77
    await buffer.register(["mirror", "park"])
    assert await take_all(buffer, "park") == [], "coming back does not bring back what was written off"
    buffer.mark_reported([loss])
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["mirror", "park"])
    assert buffer.unreported_losses() == []
    await buffer.close()


async def test_history_goes_first_and_undelivered_data_last(tmp_path: Path) -> None:
    clock = ManualClock()
    wide = schema_of("press-2", (ValueType.FLOAT64,) * 300)
    buffer = await open_buffer(tmp_path, clock, ["park"], quota_bytes=250_000)
    await fill(buffer, clock, 1, schema=wide)
    first = (await take_all(buffer, "park"))[0].key
    for n in range(120):
        await fill(buffer, clock, 1, schema=wide, start=5 * n)
        newest = await buffer.take("park", Lane.LIVE, **_ALL)
        buffer.acknowledge("park", [e.key for e in newest])
    info = buffer.info()
    assert info["bytes"] <= 250_000 and 5 < info["segments"] < 100
    assert [e.key for e in await take_all(buffer, "park")] == [first], "the oldest, but not yet delivered"
    assert info["uplinks"]["park"]["lost_segments"] == 0 and not buffer.unreported_losses()
    await buffer.close()


async def test_a_long_outage_costs_the_oldest_and_says_so(tmp_path: Path) -> None:
    clock = ManualClock()
    wide = schema_of("press-2", (ValueType.FLOAT64,) * 300)
    buffer = await open_buffer(tmp_path, clock, ["park"], quota_bytes=250_000)
    await fill(buffer, clock, 200, schema=wide)
    info = buffer.info()
    row = info["uplinks"]["park"]
    assert info["bytes"] <= 250_000
    left = await take_all(buffer, "park")
    assert [e.key.seq for e in left] == list(range(row["lost_segments"] + 1, 201)), "the newest are kept"
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.uplink, loss.from_seq, loss.to_seq) == (
        "quota",
        "park",
        1,
        row["lost_segments"],
    )
    assert loss.n_samples == row["lost_samples"] == row["lost_segments"] * 1500
    await buffer.close()


async def test_what_was_deleted_while_its_confirmation_was_under_way_has_arrived(tmp_path: Path) -> None:
    """The rows of the ledger and the counters say so; once."""
    clock = ManualClock()
    wide = schema_of("press-2", (ValueType.FLOAT64,) * 300)
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"], quota_bytes=250_000)
    number = await fill(buffer, clock, 10, schema=wide)
    sent = await take_all(buffer, "park")
    number = await fill(buffer, clock, 200, schema=wide, start=number)
    deleted = buffer.info()["uplinks"]["park"]["lost_segments"]
    assert deleted > len(sent) == 10
    for _ in range(2):
        buffer.acknowledge("park", [e.key for e in sent])
        buffer.acknowledge("park", [replace(e.key, epoch=7) for e in sent])
        row = buffer.info()["uplinks"]["park"]
        assert (row["acknowledged_segments"], row["acknowledged_samples"]) == (10, 15_000)
        assert (row["lost_segments"], row["lost_samples"]) == (deleted - 10, (deleted - 10) * 1500)
    assert buffer.info()["uplinks"]["mirror"]["lost_segments"] == deleted
    await fill(buffer, clock, 1, schema=wide, start=number)
    losses = [loss for loss in buffer.unreported_losses() if loss.uplink == "park"]
    lost = buffer.info()["uplinks"]["park"]["lost_samples"]
    assert sum(loss.n_samples or 0 for loss in losses) == lost
    (arrived,) = [loss for loss in losses if loss.reason == "arrived"]
    assert (arrived.from_seq, arrived.to_seq, arrived.n_samples) == (1, 10, -15_000)
    event = loss_event(arrived, "samples", "v", 0, 0)
    assert (event.kind, event.source, event.detail["samples"]) == ("data_salvaged", "park", 15_000)
    await buffer.close()


async def test_a_late_confirmation_is_nothing_to_a_newcomer_of_that_name(tmp_path: Path) -> None:
    """Removed and added again it starts at the head, and what it is told of its forerunner's data is not its
    own. Nor does an agent that was started anew know of what it had under way."""
    clock = ManualClock()
    wide = schema_of("press-2", (ValueType.FLOAT64,) * 300)
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"], quota_bytes=250_000)
    number = await fill(buffer, clock, 10, schema=wide)
    sent = {name: await take_all(buffer, name) for name in ("park", "mirror")}
    number = await fill(buffer, clock, 200, schema=wide, start=number)
    await buffer.register(["mirror"])
    await buffer.register(["mirror", "park"])
    buffer.acknowledge("park", [e.key for e in sent["park"]])
    row = buffer.info()["uplinks"]["park"]
    assert (row["acknowledged_samples"], row["lost_samples"]) == (0, 0)
    await fill(buffer, clock, 1, schema=wide, start=number)
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "mirror"], quota_bytes=250_000)
    before = buffer.info()["uplinks"]["mirror"]
    buffer.acknowledge("mirror", [e.key for e in sent["mirror"]])
    assert buffer.info()["uplinks"]["mirror"] == before
    assert before["lost_samples"] and not before["acknowledged_samples"]
    assert not [loss for loss in buffer.unreported_losses() if loss.reason == "arrived"]
    await buffer.close()


async def test_the_newest_flush_is_never_deleted(tmp_path: Path) -> None:
    """Whatever the quota: the live lane is served, and the highest number stays known."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park"], quota_bytes=1)
    for n in range(8):
        await fill(buffer, clock, 1, start=5 * n)
        (live,) = await buffer.take("park", Lane.LIVE, **_ALL)
        assert live.key.seq == n + 1
        if n % 2:
            buffer.acknowledge("park", [live.key])
            await clock.advance(20)
            await buffer.flush()  # a commit without data
        assert 1 <= buffer.info()["segments"] <= 2
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park"], quota_bytes=1)
    await fill(buffer, clock, 1)
    assert buffer.info()["head"] == 9
    await buffer.close()


async def test_memory_is_bounded_and_drops_the_oldest(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park"], memory_bytes=50_000)
    for number in range(1000):
        buffer.append(batch_of(PRESS, number, clock))
    assert buffer.info()["memory_bytes"] <= 50_000
    assert buffer.appended_samples == 3000 == buffer.in_memory_samples + buffer.lost_samples
    await buffer.flush()
    (live,) = await buffer.take("park", Lane.LIVE, **_ALL)
    assert live.batches[-1].values[0] == 999, "the newest stayed"
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.uplink, loss.n_samples) == ("memory", None, buffer.lost_samples)
    assert buffer.committed_samples + buffer.lost_samples == 3000
    await buffer.close()


async def test_watchers_hear_of_commits_that_added_something(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    heard: list[int] = []
    buffer.watch(lambda: heard.append(buffer.info()["head"]))
    await buffer.flush()
    assert heard == []
    await fill(buffer, clock, 2)
    assert heard == [1, 2]
    await buffer.close()


async def test_who_ends_watching_is_not_called_again_not_even_for_the_same_commit(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    heard: list[str] = []

    def leaves() -> None:
        heard.append("leaves")
        buffer.unwatch(leaves)

    buffer.watch(leaves)
    buffer.watch(stays := lambda: heard.append("stays"))
    buffer.unwatch(lambda: None)  # never watched: ignored
    await fill(buffer, clock, 2)
    assert heard == ["leaves", "stays", "stays"], "one that leaves must not hide the next from a commit"
    buffer.unwatch(stays)
    await fill(buffer, clock, 1)
    assert len(heard) == 3
    await buffer.close()


async def test_an_unencodable_batch_is_written_off_and_blocks_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    good, bad = batch_of(PRESS, 1, clock), batch_of(OVEN, 2, clock)
    object.__setattr__(bad, "values", (1, 2))
    buffer.append(good)
    buffer.append(bad)
    await buffer.flush()
    await buffer.flush()
    assert [e.batches for e in await take_all(buffer, "park")] == [(good,)]
    assert [x.reason for x in buffer.unreported_losses()] == ["unencodable"]
    assert buffer.in_memory_samples == 0
    await buffer.close()


async def test_oldest_pending_time_follows_the_backlog(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    start_ns = clock.time_ns()
    await fill(buffer, clock, 3, batches=1)
    assert buffer.info()["uplinks"]["park"]["oldest_pending_ns"] == start_ns + 10**9
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.info()["uplinks"]["park"]["oldest_pending_ns"] == start_ns + 10**9
    taken = await take_all(buffer, "park")
    buffer.acknowledge("park", [e.key for e in taken[:2]])
    assert buffer.info()["uplinks"]["park"]["oldest_pending_ns"] == start_ns + 3 * 10**9
    buffer.acknowledge("park", [taken[2].key])
    assert buffer.info()["uplinks"]["park"]["oldest_pending_ns"] is None
    await buffer.close()

"""What can be saved of a database that was set aside goes to the park under the keys it always had."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer, Tuning, inspect, salvage
from edge_agent.config.model import Selection
from edge_agent.model import ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Key, Lane
from tests.unit.buffer.plant import (
    PRESS,
    crash_copy,
    fill,
    junk,
    open_buffer,
    schema_of,
    scribble,
    seeds,
    take_all,
)

NOISE = schema_of("noise-1", (ValueType.FLOAT64,) * 100)
_PAGE = 4096


def bodies(envelopes: list[Envelope]) -> dict[Key, object]:
    return {e.key: e.batches for e in envelopes}


def checkpointed(directory: Path) -> Path:
    """So that damage to the file is not hidden by its log."""
    path = directory / "buffer.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


async def settled(buffer: Buffer, clock: ManualClock) -> None:
    """Until nothing is left to look at."""
    deadline = time.monotonic() + 20
    while buffer.info()["salvaging"]:
        assert time.monotonic() < deadline
        await clock.advance(1)
        await buffer.flush()
        await asyncio.sleep(0.002)
    await clock.advance(11)
    await buffer.flush()


def balanced(buffer: Buffer) -> None:
    """The law of every uplink, and that the ledger's sum is what its counter says."""
    with closing(sqlite3.connect(buffer._vault._path)) as connection:
        sums = dict(connection.execute("SELECT uplink, sum(n_samples) FROM loss GROUP BY uplink").fetchall())
        (stored,) = connection.execute("SELECT count(*) FROM segment").fetchone()
    info = buffer.info()
    assert info["segments"] == stored
    for name, row in info["uplinks"].items():
        assert row["committed_samples"] == (
            row["acknowledged_samples"]
            + row["pending_samples"]
            + row["quarantined_samples"]
            + row["lost_samples"]
        )
        assert sums.get(name, 0) == row["lost_samples"], name


@pytest.mark.parametrize("seed", seeds(6))
async def test_found_broken_while_running(tmp_path: Path, seed: int) -> None:
    source, clock = random.Random(seed), ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "cloud"])
    number = await fill(buffer, clock, 60, schema=NOISE)
    taken = await take_all(buffer, "park")
    buffer.acknowledge("park", [e.key for e in taken if source.random() < 0.5])
    buffer.acknowledge("cloud", [e.key for e in taken[:20]])
    await clock.advance(11)
    await buffer.flush()
    before = {name: bodies(await take_all(buffer, name)) for name in ("park", "cloud")}
    path = checkpointed(tmp_path)
    for _ in range(source.randrange(1, 6)):
        scribble(path, source.randrange(20, path.stat().st_size // _PAGE))
    buffer._vault.suspect("a page is damaged")
    began = time.monotonic()
    number = await fill(buffer, clock, 1, schema=NOISE, start=number)
    assert time.monotonic() - began < 5.0, "it goes on at once"
    assert (buffer.info()["state"], buffer.epoch) == ("ok", 2)
    await settled(buffer, clock)
    new = None
    for name, had in before.items():
        after = bodies(await take_all(buffer, name))
        back = {key: after[key] for key in after if key.epoch == 1}
        assert back.items() <= had.items(), "under its old key, with its old body, and only what was open"
        assert len(back) >= len(had) - 5 * 2, "a damaged page costs what lies on it"
        (new,) = (key for key in after if key.epoch == 2)
        assert new.seq == 61, "numbers go on"
        row = buffer.info()["uplinks"][name]
        assert row["lost_segments"] == len(had) - len(back)
        buffer.acknowledge(name, list(after))
    balanced(buffer)
    assert buffer.info()["salvaged_samples"] > 0
    await clock.advance(11)
    await buffer.flush()
    assert [await take_all(buffer, name) for name in before] == [[], []], "and never again"
    kinds = {x.reason for x in buffer.unreported_losses()}
    assert kinds == {"quarantined_database", "salvaged"}
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, ["park", "cloud"])
    assert [await take_all(buffer, name) for name in before] == [[], []]
    assert buffer.info()["salvaging"] == []
    balanced(buffer)
    await buffer.close()


async def test_found_broken_at_the_start(tmp_path: Path) -> None:
    """What the file itself says of its positions is believed as far as it can be read."""
    clock, live = ManualClock(), tmp_path / "live"
    buffer = await open_buffer(live, clock)
    await fill(buffer, clock, 60, schema=NOISE)
    taken = await take_all(buffer, "park")
    buffer.acknowledge("park", [e.key for e in taken[:30]])
    await clock.advance(11)
    await buffer.flush()
    state = crash_copy(live, tmp_path / "state")
    await buffer.close()
    path = checkpointed(state)
    with closing(sqlite3.connect(path)) as connection:
        pages = {
            row[0]
            for row in connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'segment' AND pagetype = 'leaf' ORDER BY pageno"
            )
        }
    scribble(path, sorted(pages)[40] - 1)
    buffer = await open_buffer(state, clock)
    assert buffer.info()["databases_set_aside"] == 1 and buffer.epoch == 2
    await fill(buffer, clock, 1, schema=NOISE)
    await settled(buffer, clock)
    after = bodies(await take_all(buffer, "park"))
    assert {k.seq for k in after if k.epoch == 2} == {61}, "above every number of the old file"
    back = {k: v for k, v in after.items() if k.epoch == 1}
    assert back.items() <= bodies(taken[30:]).items() and 25 <= len(back) < 30
    row = buffer.info()["uplinks"]["park"]
    assert (
        row["committed_samples"]
        == row["pending_samples"]
        == sum(e.samples for e in await take_all(buffer, "park"))
    )
    losses = {x.reason: x for x in buffer.unreported_losses()}
    assert losses["quarantined_database"].n_samples is None
    assert losses["salvaged"].n_samples == -len(back) * 500 and losses["salvaged"].uplink is None
    await buffer.close()


async def test_positions_that_cannot_be_read(tmp_path: Path) -> None:
    """Then everything is sent again, under its key: better twice than not at all."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 10)
    before = bodies(await take_all(buffer, "park"))
    buffer.acknowledge("park", list(before)[:5])
    await buffer.close()
    with closing(sqlite3.connect(tmp_path / "buffer.db")) as connection:
        connection.execute("UPDATE position SET ranges = '[[1,'")
        connection.commit()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 1)
    await settled(buffer, clock)
    after = bodies(await take_all(buffer, "park"))
    assert {k: v for k, v in after.items() if k.epoch == 1} == before
    await buffer.close()


async def test_nothing_can_be_saved_of_junk(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 10)
    await buffer.close()
    junk(tmp_path / "buffer.db")
    buffer = await open_buffer(tmp_path, clock)
    assert buffer.info()["salvaging"] == []
    await fill(buffer, clock, 3)
    assert len(await take_all(buffer, "park")) == 3
    await buffer.close()


async def test_only_a_row_under_its_own_key_is_accepted(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    await fill(buffer, clock, 10)
    before = bodies(await take_all(buffer, "park"))
    path = checkpointed(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE segment SET seq = 1000 WHERE seq = 3")
        connection.execute("UPDATE segment SET seq = 3 WHERE seq = 4")
        connection.execute("UPDATE segment SET body = body || x'00' WHERE seq = 5")
        connection.execute("UPDATE segment SET n_samples = 16 WHERE seq = 6")
        connection.execute("UPDATE segment SET epoch = 9 WHERE seq = 7")
        connection.commit()
    buffer._vault.suspect("somebody was here")
    await buffer.flush()
    await fill(buffer, clock, 1)
    await settled(buffer, clock)
    after = {k: v for k, v in bodies(await take_all(buffer, "park")).items() if k.epoch == 1}
    assert sorted(k.seq for k in after) == [1, 2, 8, 9, 10] and after.items() <= before.items()
    assert buffer.info()["salvage_rejected"] == 4
    balanced(buffer)
    await buffer.close()


async def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after every commit of the salvage in turn; whoever comes next goes on with it."""
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock, live = ManualClock(), tmp_path / "live"
    buffer = await open_buffer(live, clock)
    await fill(buffer, clock, 30, schema=NOISE)
    before = bodies(await take_all(buffer, "park"))
    buffer._vault.suspect("a page is damaged")
    await buffer.flush()
    copies: list[Path] = []
    while buffer.info()["salvaging"]:
        copies.append(crash_copy(live, tmp_path / str(len(copies))))
        commits = buffer.info()["flushes"]
        while buffer.info()["flushes"] == commits and buffer.info()["salvaging"]:
            await clock.advance(11)
            await buffer.flush()
            await asyncio.sleep(0.002)
    await buffer.close()
    assert len(copies) > 8
    for copy in copies[::3]:
        buffer = await open_buffer(copy, clock)
        await fill(buffer, clock, 1)
        await settled(buffer, clock)
        after = bodies(await take_all(buffer, "park"))
        assert {k: v for k, v in after.items() if k.epoch == 1} == before, copy.name
        balanced(buffer)
        assert buffer.info()["uplinks"]["park"]["lost_samples"] == 0
        await buffer.close()
        shutil.rmtree(copy)


async def test_broken_again_while_it_is_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    number = await fill(buffer, clock, 20, schema=NOISE)
    before = bodies(await take_all(buffer, "park"))
    buffer._vault.suspect("once")
    number = await fill(buffer, clock, 4, schema=NOISE, start=number)
    assert buffer.info()["salvaging"] == ["buffer.db.broken-1"]
    before |= bodies(await take_all(buffer, "park"))
    buffer._vault.suspect("twice")
    await fill(buffer, clock, 1, schema=NOISE, start=number)
    assert len(buffer.info()["salvaging"]) == 2
    await settled(buffer, clock)
    after = bodies(await take_all(buffer, "park"))
    assert {k: v for k, v in after.items() if k.epoch < 3} == before
    balanced(buffer)
    await buffer.close()


async def test_what_was_set_aside_is_capped_when_it_is_of_no_more_use(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, tuning=Tuning(aside_bytes=20_000))
    await fill(buffer, clock, 30, schema=NOISE)
    before = bodies(await take_all(buffer, "park"))
    buffer._vault.suspect("a page is damaged")
    await buffer.flush()
    assert len(inspect(tmp_path)["set_aside"]) == 1, "kept while it is being looked at"
    await settled(buffer, clock)
    assert bodies(await take_all(buffer, "park")) == before
    assert inspect(tmp_path)["set_aside"] == []
    await buffer.close()


async def test_live_data_flows_while_it_is_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock)
    number = await fill(buffer, clock, 30, schema=NOISE)
    buffer._vault.suspect("a page is damaged")
    for _ in range(5):
        number = await fill(buffer, clock, 1, schema=PRESS, start=number)
        (live,) = await buffer.take("park", Lane.LIVE, max_items=9, max_samples=9999)
        assert live.batches[-1].values[0] == number - 1 and live.key.epoch == 2
    await buffer.close()


async def test_an_uplink_that_went_and_came_back_gets_nothing_of_what_was_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "cloud"])
    number = await fill(buffer, clock, 20, schema=NOISE)
    buffer._vault.suspect("a page is damaged")
    await fill(buffer, clock, 1, schema=NOISE, start=number)
    assert buffer.info()["salvaging"], "not at its end yet"
    await buffer.register(["park"])
    await buffer.register(["park", "cloud"])
    await settled(buffer, clock)
    assert [e.key.epoch for e in await take_all(buffer, "cloud")] == []
    assert len(await take_all(buffer, "park")) == 21
    rows = buffer.info()["uplinks"]
    assert [rows[name]["lost_segments"] for name in ("park", "cloud")] == [0, 0]
    await buffer.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_not_selected_when_it_was_set_aside_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock, wide = ManualClock(), {"park": Selection(), "cloud": Selection()}
    buffer = await open_buffer(
        tmp_path, clock, {"park": Selection(), "cloud": Selection(tags=("press-1.*",))}
    )
    number = await fill(buffer, clock, 20, schema=NOISE)
    number = await fill(buffer, clock, 2, schema=PRESS, start=number)
    buffer._vault.suspect("a page is damaged")
    await fill(buffer, clock, 1, schema=PRESS, start=number)
    assert buffer.info()["salvaging"], "not at its end yet"
    if restarted:
        await buffer.close()
        buffer = await open_buffer(tmp_path, clock, wide)
    else:
        await buffer.register(wide)
    await settled(buffer, clock)
    assert {e.schema for e in await take_all(buffer, "cloud")} == {PRESS}
    assert len(await take_all(buffer, "cloud")) == 3
    assert len(await take_all(buffer, "park")) == 23
    balanced(buffer)
    await buffer.close()


async def test_what_is_not_selected_any_more_stays_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salvage, "_PAGE_BYTES", 8_000)
    clock, narrow = ManualClock(), {"park": Selection(), "cloud": Selection(tags=("press-1.*",))}
    buffer = await open_buffer(tmp_path, clock, ["park", "cloud"])
    number = await fill(buffer, clock, 20, schema=NOISE)
    number = await fill(buffer, clock, 2, schema=PRESS, start=number)
    buffer._vault.suspect("a page is damaged")
    await fill(buffer, clock, 1, schema=PRESS, start=number)
    await buffer.close()
    buffer = await open_buffer(tmp_path, clock, narrow)
    await settled(buffer, clock)
    assert len(await take_all(buffer, "cloud")) == 3
    row = buffer.info()["uplinks"]["cloud"]
    assert (row["pending_segments"], row["lost_segments"]) == (3, 20)
    balanced(buffer)
    await buffer.close()

"""Uplinks that select tags are counted for what they select: in every order of events, over restarts too."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from edge_agent.buffer import Buffer
from edge_agent.config.model import BufferConfig, Selection
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Envelope, Lane
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, seeds, take_all

PRESS_ONLY = Selection(tags=("press-1.*",))
OVEN_ONLY = Selection(tags=("oven-1.t0",))
ALL = Selection()


async def opened(directory: Path, clock: ManualClock, quota: int = 10**9, **uplinks: Selection) -> Buffer:
    return await Buffer.open(directory, BufferConfig(quota_bytes=quota), clock, uplinks)


async def both(buffer: Buffer, clock: ManualClock, flushes: int) -> None:
    for _ in range(flushes):
        await clock.advance(5)
        buffer.append(batch_of(PRESS, 1, clock))
        buffer.append(batch_of(OVEN, 1, clock))
        await buffer.flush()


def counted(buffer: Buffer, name: str) -> dict[str, Any]:
    row = buffer.info()["uplinks"][name]
    kinds = ("committed", "acknowledged", "pending", "quarantined", "lost")
    for unit in ("segments", "samples"):
        rest = sum(row[f"{kind}_{unit}"] for kind in kinds[1:])
        assert row[f"committed_{unit}"] == rest, f"{name}: {row}"
    return {kind: row[f"{kind}_segments"] for kind in kinds}


def ranges_of(buffer: Buffer, name: str) -> int:
    return len(buffer._vault.accounts.uplinks[name].settled)


async def test_only_what_is_selected_is_taken_and_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, park=ALL, energy=PRESS_ONLY)
    await both(buffer, clock, 4)
    taken = await take_all(buffer, "energy")
    assert [e.schema for e in taken] == [PRESS] * 4
    assert counted(buffer, "energy")["committed"] == 4 and counted(buffer, "park")["committed"] == 8
    buffer.acknowledge("energy", [e.key for e in taken])
    assert counted(buffer, "energy") == {
        "committed": 4, "acknowledged": 4, "pending": 0, "quarantined": 0, "lost": 0,
    }  # fmt: skip
    await both(buffer, clock, 1)
    assert [e.schema for e in await take_all(buffer, "energy")] == [PRESS], "the newest flush too"
    assert ranges_of(buffer, "energy") <= 2, "what it does not select leaves no holes behind"
    await buffer.close()


async def test_a_position_stays_short_while_the_destination_is_down(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, energy=OVEN_ONLY)
    await both(buffer, clock, 200)
    assert ranges_of(buffer, "energy") <= 1
    taken = await take_all(buffer, "energy")
    assert [e.key.seq for e in taken] == list(range(min(taken[0].key.seq, 2), 401, 2))
    buffer.acknowledge("energy", [e.key for e in taken])
    assert ranges_of(buffer, "energy") == 1 and counted(buffer, "energy")["pending"] == 0
    await buffer.close()


async def test_few_selected_among_many_are_found_one_call_at_a_time(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, energy=OVEN_ONLY)
    for number in range(700):
        await clock.advance(5)
        buffer.append(batch_of(OVEN if number == 650 else PRESS, number, clock))
        await buffer.flush()
    (found,) = await buffer.take("energy", Lane.BACKLOG, max_items=4, max_samples=10**6)
    assert found.schema == OVEN
    buffer.acknowledge("energy", [found.key])
    assert await buffer.take("energy", Lane.BACKLOG, max_items=4, max_samples=10**6) == ()
    await buffer.close()


@pytest.mark.parametrize("restart", [False, True])
async def test_another_selection_is_counted_anew(tmp_path: Path, restart: bool) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, energy=ALL)
    await both(buffer, clock, 3)
    buffer.acknowledge("energy", [e.key for e in (await take_all(buffer, "energy"))[:2]])

    async def change(selection: Selection) -> Buffer:
        if not restart:
            await buffer.register({"energy": selection})
            return buffer
        await buffer.close()
        return await opened(tmp_path, clock, energy=selection)

    buffer = await change(PRESS_ONLY)
    await buffer.flush()
    assert counted(buffer, "energy") == {
        "committed": 6, "acknowledged": 2, "pending": 2, "quarantined": 0, "lost": 2,
    }  # fmt: skip
    (row,) = [loss for loss in buffer.unreported_losses() if loss.reason == "selection_changed"]
    assert (row.uplink, row.n_samples) == ("energy", 10)
    buffer = await change(OVEN_ONLY)
    assert counted(buffer, "energy") == {
        "committed": 8, "acknowledged": 2, "pending": 2, "quarantined": 0, "lost": 4,
    }  # fmt: skip
    assert [e.schema for e in await take_all(buffer, "energy")] == [OVEN] * 2
    await buffer.close()
    buffer = await opened(tmp_path, clock, energy=OVEN_ONLY)
    assert counted(buffer, "energy")["committed"] == 8, "the same selection changes nothing"
    await buffer.close()


async def test_a_verdict_for_what_is_no_longer_selected_counts_for_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, energy=ALL)
    await both(buffer, clock, 2)
    sent = await take_all(buffer, "energy")
    await buffer.register({"energy": PRESS_ONLY})
    buffer.acknowledge("energy", [e.key for e in sent])
    assert counted(buffer, "energy") == {
        "committed": 4, "acknowledged": 2, "pending": 0, "quarantined": 0, "lost": 2,
    }  # fmt: skip
    await buffer.close()


async def test_what_nobody_waits_for_goes_before_what_is_waited_for(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await opened(tmp_path, clock, 120_000, park=ALL, energy=OVEN_ONLY)
    number = 0
    while buffer.info()["uplinks"]["energy"]["committed_segments"] < 60 or number < 400:
        await clock.advance(5)
        for _ in range(40):
            buffer.append(batch_of(PRESS, number, clock))
        if number % 10 == 0:
            buffer.append(batch_of(OVEN, number, clock))
        await buffer.flush()
        buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
        number += 1
    assert buffer.info()["samples"] < 400 * 120, "the quota was reached"
    assert counted(buffer, "energy")["lost"] == 0, "only what nobody waits for was deleted"
    assert len(await take_all(buffer, "energy")) == counted(buffer, "energy")["committed"]
    await buffer.close()


@pytest.mark.parametrize("seed", seeds(12))
async def test_random_lives_against_a_list(tmp_path: Path, seed: int) -> None:
    """Everything selected at some time is acknowledged, pending, set aside or in the ledger; nothing else is
    ever handed out."""
    noise, clock = random.Random(seed), ManualClock()
    choices = {"park": ALL, "energy": PRESS_ONLY}
    buffer = await opened(tmp_path, clock, 60_000, **choices)
    for _ in range(120):
        action = noise.choice(["append"] * 4 + ["flush"] * 3 + ["settle"] * 3 + ["change", "restart"])
        if action == "append":
            await clock.advance(1)
            buffer.append(batch_of(noise.choice([PRESS, OVEN]), noise.randrange(60_000), clock))
        elif action == "flush":
            await buffer.flush()
        elif action == "settle":
            await _settle(buffer, noise, choices)
        elif action == "change":
            choices["energy"] = noise.choice([ALL, PRESS_ONLY, OVEN_ONLY])
            await buffer.register(choices)
        else:
            await buffer.close()
            buffer = await opened(tmp_path, clock, 60_000, **choices)
        for name in choices:
            if name in buffer.info()["uplinks"]:
                assert min(counted(buffer, name).values()) >= 0, seed
    await buffer.flush()
    for name, selection in choices.items():
        left = await take_all(buffer, name)
        assert all(e.schema is not None and selection.wants(e.schema) for e in left)
        assert len(left) == counted(buffer, name)["pending"], seed
    await buffer.close()


async def _settle(buffer: Buffer, noise: random.Random, choices: dict[str, Selection]) -> None:
    name = noise.choice(list(choices))
    taken: list[Envelope] = list(await buffer.take(name, Lane.LIVE, max_items=9, max_samples=10**6))
    taken += await buffer.take(name, Lane.BACKLOG, max_items=9, max_samples=10**6)
    for item in taken:
        assert item.schema is not None and choices[name].wants(item.schema)
        if noise.random() < 0.1:
            buffer.quarantine(name, item.key, "refused")
        elif noise.random() < 0.7:
            buffer.acknowledge(name, [item.key])

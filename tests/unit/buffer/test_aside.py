"""What a destination refused: seen, sent again, given up; over restarts and crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.buffer import EventStore
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Key, Lane
from tests.unit.buffer.plant import crash_copy, event_of, fill, open_buffer, take_all


def counts(info: dict[str, object], uplink: str = "park") -> tuple[int, ...]:
    row = info["uplinks"][uplink]  # type: ignore[index]
    kinds = ("committed", "acknowledged", "pending", "quarantined", "lost")
    found = tuple(row[f"{kind}_segments"] for kind in kinds)
    assert found[0] == sum(found[1:]), row
    samples = [row[f"{kind}_samples"] for kind in kinds]
    assert samples[0] == sum(samples[1:]), row
    return found


@pytest.mark.parametrize("verb", ["retry", "drop"])
async def test_taken_back_durably(tmp_path: Path, verb: str) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path / "a", clock, ["park", "mirror"])
    await fill(buffer, clock, 5)
    for item in (await take_all(buffer, "park"))[:3]:
        buffer.quarantine("park", item.key, "400: poison")
    rows = await buffer.aside.units("park")
    assert [(r.uplink, r.key.seq, r.reason, r.samples) for r in rows] == [
        ("park", n, "400: poison", 15) for n in (1, 2, 3)
    ]
    assert await buffer.aside.units("mirror") == []
    done = await getattr(buffer.aside, verb)("park", [2, 77])
    assert [row.key for row in done] == [Key("samples", 1, 2)]
    left = (5, 0, 3, 2, 0) if verb == "retry" else (5, 0, 2, 2, 1)
    assert counts(buffer.info()) == left
    again = await open_buffer(crash_copy(tmp_path / "a", tmp_path / "b"), clock, ["park", "mirror"])
    assert counts(again.info()) == left, "it was on disk before the word came back"
    assert [r.key.seq for r in await again.aside.units()] == [1, 3]
    pending = [e.key.seq for e in await take_all(again, "park")]
    assert pending == ([2, 4, 5] if verb == "retry" else [4, 5])
    losses = [(x.reason, x.uplink, x.n_samples) for x in again.unreported_losses() if x.reason == "dropped"]
    assert losses == ([] if verb == "retry" else [("dropped", "park", 15)])
    assert await getattr(again.aside, verb)("park") and await again.aside.units() == []
    assert await getattr(again.aside, verb)("park") == []
    assert counts(again.info(), "mirror") == (5, 0, 5, 0, 0)
    for store in (buffer, again):
        await store.close()


async def test_refused_once_more_after_a_retry(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await open_buffer(tmp_path / "a", clock)
    await fill(buffer, clock, 3)
    buffer.quarantine("park", Key("samples", 1, 1), "first")
    assert await buffer.aside.retry("park")
    (item, *_) = await buffer.take("park", Lane.BACKLOG, max_items=9, max_samples=10**6)
    buffer.quarantine("park", item.key, "second")
    assert [r.reason for r in await buffer.aside.units()] == ["second"]
    assert counts(buffer.info()) == (3, 0, 2, 1, 0)
    await buffer.close()


async def test_events_too(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await EventStore.open(tmp_path, clock, ["park"], 1)
    await store.commit([event_of(n, clock) for n in range(3)], {})
    store.quarantine("park", Key("event", 1, 2), "refused")
    assert [str(r.key) for r in await store.aside.units()] == ["event/1/2"]
    assert len(await store.aside.retry("park", [2])) == 1
    assert counts(store.info()) == (3, 0, 3, 0, 0)
    store.quarantine("park", Key("event", 1, 1), "refused")
    assert len(await store.aside.drop("park")) == 1
    assert counts(store.info()) == (3, 0, 2, 0, 1)
    await store.close()


async def test_a_unit_of_the_newest_flush_is_given_out_again_at_once(tmp_path: Path) -> None:
    """Nothing else may come for a while: a device that is dead, a buffer that is full."""
    clock = ManualClock()
    buffer = await open_buffer(tmp_path, clock, ["park", "cloud"])
    await fill(buffer, clock, 1)
    (item,) = await take_all(buffer, "park")
    buffer.acknowledge("cloud", [item.key])
    buffer.quarantine("park", item.key, "poison")
    buffer.acknowledge("cloud", [item.key])
    woken: list[int] = []
    buffer.watch(lambda: woken.append(1))
    assert len(await buffer.aside.retry("park")) == 1
    assert [e.key for e in await take_all(buffer, "park")] == [item.key]
    assert woken, "forwarding is told"
    await buffer.close()

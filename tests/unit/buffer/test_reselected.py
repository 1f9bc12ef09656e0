"""An uplink selects otherwise than when its units were kept, or goes and comes again: found by the random
lives of ``tests/storage_model``, told here in the fewest steps."""

from __future__ import annotations

from pathlib import Path

from edge_agent.buffer import Buffer
from edge_agent.config.model import BufferConfig, Selection
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane
from tests.unit.buffer.plant import OVEN, PRESS, batch_of, take_all

ALL, PRESS_ONLY = Selection(), Selection(tags=("press-1.*",))


async def test_what_nobody_wanted_of_the_newest_flush_can_be_had_at_once(tmp_path: Path) -> None:
    """Not only after the next flush."""
    clock = ManualClock()
    buffer = await Buffer.open(tmp_path, BufferConfig(), clock, {"park": ALL, "energy": PRESS_ONLY})
    buffer.append(batch_of(OVEN, 1, clock))
    await buffer.flush()
    buffer.acknowledge("park", [e.key for e in await take_all(buffer, "park")])
    await buffer.register({"park": ALL, "energy": ALL})
    assert [e.schema for e in await take_all(buffer, "energy")] == [OVEN]
    assert buffer.info()["uplinks"]["energy"]["pending_segments"] == 1
    await buffer.close()


async def test_trying_again_what_is_not_selected_any_more_writes_it_off(tmp_path: Path) -> None:
    clock = ManualClock()
    buffer = await Buffer.open(tmp_path, BufferConfig(), clock, {"energy": ALL})
    for schema in (OVEN, PRESS):
        buffer.append(batch_of(schema, 1, clock))
    await buffer.flush()
    for item in await buffer.take("energy", Lane.LIVE, max_items=9, max_samples=99):
        buffer.quarantine("energy", item.key, "unknown device")
    await buffer.register({"energy": PRESS_ONLY})
    assert [unit.schema for unit in await buffer.aside.retry("energy")] == [PRESS.digest]
    assert [e.schema for e in await take_all(buffer, "energy")] == [PRESS]
    row = buffer.info()["uplinks"]["energy"]
    figures = [row[f"{kind}_segments"] for kind in ("committed", "pending", "quarantined", "lost")]
    assert figures == [2, 1, 0, 1]
    (loss,) = buffer.unreported_losses()
    assert (loss.reason, loss.uplink, loss.n_samples) == ("selection_changed", "energy", len(OVEN.names))
    await buffer.close()


async def test_a_refusal_does_not_outlive_its_uplink(tmp_path: Path) -> None:
    """Although it was not on disk yet when the uplink went."""
    clock = ManualClock()
    buffer = await Buffer.open(tmp_path, BufferConfig(), clock, {"park": ALL, "mirror": ALL})
    buffer.append(batch_of(PRESS, 1, clock))
    await buffer.flush()
    for item in await buffer.take("mirror", Lane.LIVE, max_items=9, max_samples=99):
        buffer.quarantine("mirror", item.key, "poison")
    await buffer.register({"park": ALL})
    await buffer.register({"park": ALL, "mirror": ALL})
    await buffer.close()
    buffer = await Buffer.open(tmp_path, BufferConfig(), clock, {"park": ALL, "mirror": ALL})
    assert await buffer.aside.units() == []
    assert buffer.info()["uplinks"]["mirror"]["quarantined_segments"] == 0
    await buffer.close()

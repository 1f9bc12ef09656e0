"""What people are told of the stores: once when one breaks, once when it heals; the card's budget."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.agent.storage_desk import StorageDesk, declared_degraded
from edge_agent.buffer import Buffer, EventStore
from edge_agent.config.model import BufferConfig
from edge_agent.model import Batch, Schema, ValueType
from edge_agent.testing.clock import ManualClock

WIDE = Schema("d", "g", "v", ("a", "b"), (ValueType.FLOAT64, ValueType.STRING), ("", ""), (None, None))


class Speaker:
    def __init__(self) -> None:
        self.broken: dict[str, str] = {}

    def broke(self, key: str, message: str, /, **_: object) -> None:
        self.broken[key] = message

    def healed(self, key: str, message: str, /, **_: object) -> None:
        self.broken.pop(key, None)


async def test_what_is_said_and_shown(tmp_path: Path) -> None:
    clock, speaker, source = ManualClock(), Speaker(), random.Random(7)
    events: list[tuple[str, str, dict[str, Any]]] = []
    buffer = await Buffer.open(tmp_path, BufferConfig(quota_bytes=1_500_000), clock, ["park"])
    journal = await EventStore.open(tmp_path, clock, ["park"], buffer.epoch)

    def on_record(kind: str, source: str, detail: Mapping[str, Any]) -> None:
        events.append((kind, source, dict(detail)))

    desk = StorageDesk(
        tmp_path,
        1,
        lambda: {"samples": buffer, "events": journal},
        clock,
        speaker,
        on_record,  # type: ignore[arg-type]
    )
    desk.refresh()
    assert speaker.broken == {} and not declared_degraded((buffer, journal))
    said = []
    number = 0
    while "thinning:samples" not in speaker.broken:
        for _ in range(5):
            number += 1
            await clock.advance(1)
            text = source.randbytes(1500).hex()
            buffer.append(Batch(WIDE, clock.time_ns(), clock.mono_ns(), (number / 7, text), bytes(2)))
        await buffer.flush()
        desk.refresh()
        said += [key for key in speaker.broken if key not in said]
        assert number < 20_000
    assert said == ["quota:samples", "thinning:samples"]
    row = desk.info()["stores"]["samples"]
    assert row["thinning"] and row["unsent_ratio"] >= 0.85 and row["oldest_unsent_ns"] < clock.time_ns()
    assert desk.info()["stores"]["events"]["events_dropped"] == 0
    wear = [detail for kind, _, detail in events if kind == "storage_wear"]
    assert len(wear) == (desk.info()["written"]["own_day_bytes"] > 1)
    buffer._vault.reason = "buffer.db: disk I/O error"
    desk.refresh()
    assert "store:samples" in speaker.broken and declared_degraded((buffer, journal))
    await buffer.flush()
    await buffer.close()
    await journal.close()

"""The way of a batch: what reaches control, board and store."""

from __future__ import annotations

from typing import Any, cast

import pytest

from edge_agent.agent.flow import Flow
from edge_agent.buffer import Buffer, EventStore
from edge_agent.config.model import TagRef, Window
from edge_agent.control import Control
from edge_agent.model import Batch, Quality, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow
from edge_agent.testing.clock import ManualClock

SCHEMA = Schema.of("d", "g", "v", [Tag(n, "0", ValueType.INT16) for n in "ab"])


class Store:
    def __init__(self) -> None:
        self.taken: list[Batch] = []

    def append(self, batch: Batch) -> None:
        self.taken.append(batch)


@pytest.mark.parametrize("quality", [Quality.UNCHANGED, Quality.NOT_REPORTED])
async def test_a_batch_that_says_nothing_is_a_sign_of_life_and_not_stored(quality: Quality) -> None:
    clock, board, store = ManualClock(), Board(), Store()
    row = board.devices["d"] = DeviceRow("d", "fake", "")
    row.turn("up", "", 1)
    group = row.groups["g"] = GroupRow(SCHEMA, 1.0)
    window = Window("w", TagRef("d", "a"), low=0, high=9, max_age_s=3)
    control = Control([window], "v", mono_ns=clock.mono_ns(), time_ns=clock.time_ns())
    unused: Any = None
    flow = Flow(board, control, cast(Buffer, store), cast(EventStore, unused), clock, lambda: "v")

    def take(values: tuple[Any, ...], *said: Quality) -> None:
        flow.take("fake", Batch(SCHEMA, clock.time_ns(), clock.mono_ns(), values, bytes(said)))

    take((5, 6), Quality.GOOD, Quality.GOOD)
    for _ in range(4):
        await clock.advance(2)
        take((None, None), quality, quality)
        flow.tick()
    assert len(store.taken) == 1
    kept_alive = quality == Quality.UNCHANGED
    assert control.rows(clock.mono_ns())[0]["state"] == ("in" if kept_alive else "unknown")
    assert group.latest is not None and group.latest.values == (5, 6)
    take((7, None), Quality.GOOD, quality)
    assert [b.samples for b in store.taken] == [2, 1]

"""Columns become a batch: times from the agent's clock, and the source's own as offsets to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_agent.driver import Columns
from edge_agent.model import Batch, Quality, Schema

if TYPE_CHECKING:
    from edge_agent.clock import Clock

AHEAD_NS = 60_000_000_000
EARLIEST_NS = 1_420_070_400_000_000_000  # 2015-01-01: before that a controller's clock was never set


def stamped(schema: Schema, columns: Columns, clock: Clock) -> Batch:
    """The stamp is the arrival of the last reply, to within the time this call takes. A value whose source
    time is not plausible (more than a minute ahead of us, or before 2015) is kept, but no longer GOOD."""
    time_ns = clock.time_ns()
    offsets = None
    if columns.source_ns is not None:
        offsets = tuple([None if s is None else s - time_ns for s in columns.source_ns])
        columns = _doubted(columns, offsets, EARLIEST_NS - time_ns)
    return Batch(schema, time_ns, clock.mono_ns(), columns.values, columns.quality, offsets, clock.state())


def _doubted(columns: Columns, offsets: tuple[int | None, ...], earliest_ns: int) -> Columns:
    odd = [
        i for i, offset in enumerate(offsets) if offset is not None and not earliest_ns <= offset <= AHEAD_NS
    ]
    if not odd:
        return columns
    quality = bytearray(columns.quality)
    for index in odd:
        if quality[index] == Quality.GOOD:
            quality[index] = Quality.UNCERTAIN_SOURCE_TIME
    return replace(columns, quality=bytes(quality))

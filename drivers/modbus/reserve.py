"""Counts that no plan of a station uses, so that a reply to one of them can belong to a probe only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.modbus.request import Read
from drivers.modbus.request import resized as resized
from edge_agent.driver import Plan, Reserved

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings


def reserve(settings: ModbusSettings, plans: Sequence[Plan]) -> Reserved:
    """``request``: the ``Read`` of some request of the plans. ``counts``: what may be asked from its offset
    on so that no request of any plan is answered alike, best first; empty where every count is in use."""
    reads: list[Read] = [request.body for plan in plans for request in plan.requests]
    if not reads:
        return Reserved()
    used = {(read.function, read.size) for read in reads}
    counts, read = max(
        ((_free(read, used), read) for read in reads),
        key=lambda pair: (pair[1].function > 2, len(pair[0]), pair[1].count),
    )
    return Reserved(counts, read)


def _free(read: Read, used: set[tuple[int, int]]) -> tuple[int, ...]:
    """A reply of bits shows bytes, not bits: of the counts that look alike only the largest is offered.
    Counts that split no value come first, as some devices refuse half a value; among those the short ones
    come last, since a read by hand asks for one or two."""
    if read.function <= 2:
        sizes = {(count + 7) // 8: count for count in range(1, read.count + 1)}
        counts = [count for size, count in sizes.items() if (read.function, size) not in used]
    else:
        counts = [count for count in range(1, read.count + 1) if (read.function, 2 * count) not in used]
    whole = set(read.whole)
    return tuple(sorted(counts, key=lambda count: (count <= 2, count not in whole, count)))

"""Numbers that join several parts: the buffer's on the board, and the account at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.agent.virtual import DERIVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.buffer import Buffer
    from edge_agent.status import Board

_PENDING = (
    "pending_segments",
    "pending_samples",
    "acknowledged_segments",
    "acknowledged_samples",
    "quarantined_segments",
    "quarantined_samples",
)
_OLDEST = "oldest_pending_ns"


def refresh_rows(board: Board, buffers: Sequence[Buffer]) -> None:
    """Copies each destination's position to its row: samples and period values added up."""
    positions = [buffer.info().get("uplinks", {}) for buffer in buffers]
    for name, row in board.uplinks.items():
        mine = [one[name] for one in positions if name in one]
        if not mine:
            continue
        for field in _PENDING:
            setattr(row, field, sum(position[field] for position in mine))
        oldest = [position[_OLDEST] for position in mine if position[_OLDEST] is not None]
        row.oldest_pending_ns = min(oldest, default=None)


class Figures:
    """The account of one run, filled in when the agent has closed: for ``demo`` and tests. ``samples_read``
    is all that was taken in, ``samples_derived`` how much of it was calculated here; ``devices_up`` counts
    devices that are read."""

    def __init__(self) -> None:
        self.account: dict[str, Any] = {}

    def closed(self, buffer: Buffer, board: Board) -> None:
        info = buffer.info()
        row = next((info["uplinks"][name] for name in board.uplinks if name in info["uplinks"]), None)
        self.account = {
            "devices_up": sum(d.up for d in board.devices.values() if d.driver != DERIVED),
            "samples_read": board.samples_read + board.samples_derived,
            "samples_derived": board.samples_derived,
            "samples_delivered": row["acknowledged_samples"] if row else 0,
            "samples_buffered": (row["pending_samples"] if row else info["committed_samples"])
            + info["in_memory_samples"],
            "samples_quarantined": row["quarantined_samples"] if row else 0,
            "samples_lost": info["lost_samples"],
            "excursions": board.events_total["excursion_begin"],
            "requests": sum(d.requests for d in board.devices.values()),
            "by_protocol": {name: board.samples_good[name] for name in ("modbus", "s7", "opcua")},
        }

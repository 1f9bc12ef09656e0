"""The rows of ``buffer.db``: what one flush writes, and how a stored segment is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.buffer.positions import Unit
from edge_agent.buffer.salvage import Page, write_saved
from edge_agent.buffer.segment import CODEC, checksum
from edge_agent.buffer.stamps import Offset, save_offsets
from edge_agent.model import Batch, Schema


@dataclass(frozen=True, slots=True)
class Encoded:
    """One segment, not yet numbered. ``body`` None: no codec could take it (a bug upstream)."""

    schema: Schema
    batches: tuple[Batch, ...]
    samples: int
    body: bytes | None


@dataclass(slots=True)
class Flush:
    """The job of one commit; see ``vault.Job``."""

    epoch: int
    units: list[Unit]
    segments: list[Encoded]
    unfit: list[Encoded]
    deleted: list[Unit]
    schemas: list[tuple[str, str]]
    offsets: tuple[Offset, ...]
    saved: Page | None
    when_done: Callable[[Flush], None]
    when_undone: Callable[[Flush], None]

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR IGNORE INTO schema (digest, body) VALUES (?, ?)", self.schemas)
        gone = [(unit.seq,) for unit in self.deleted]
        connection.executemany("DELETE FROM segment WHERE seq = ?", gone)
        connection.executemany("DELETE FROM quarantine WHERE seq = ?", gone)
        connection.executemany(_INSERT, map(self._row, self.units, self.segments))
        save_offsets(connection, self.offsets)
        if self.saved is not None:
            write_saved(connection, self.saved.rows)

    def _row(self, unit: Unit, segment: Encoded) -> tuple[object, ...]:
        first, body, digest = segment.batches[0], segment.body or b"", segment.schema.digest
        crc = checksum(body, self.epoch, unit.seq, digest, unit.samples)
        return (
            unit.seq, self.epoch, digest, unit.t0_ns, unit.t1_ns, first.mono_ns, int(first.clock),
            len(segment.batches), unit.samples, CODEC, crc, body,
        )  # fmt: skip

    def done(self) -> None:
        self.when_done(self)

    def undone(self) -> None:
        self.when_undone(self)


OUTLINE = "SELECT seq, epoch, n_samples, t0_ns, t1_ns, schema FROM segment"
_INSERT = (
    "INSERT INTO segment"
    " (seq, epoch, schema, t0_ns, t1_ns, mono0_ns, clock, n_rows, n_samples, codec, crc32, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def newest_units(connection: sqlite3.Connection) -> list[Unit]:
    rows = connection.execute(f"{OUTLINE} ORDER BY seq DESC LIMIT 64").fetchall()
    return [Unit.of_row(row) for row in reversed(rows)]


def unit_of(connection: sqlite3.Connection, seq: int) -> Unit | None:
    row = connection.execute(f"{OUTLINE} WHERE seq = ?", (seq,)).fetchone()
    return Unit.of_row(row) if row else None

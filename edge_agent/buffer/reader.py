"""Reads stored segments, for the backlog and for history, in a thread and over a read-only connection of its
own.

Every read is one short statement per range, so that no reader ever pins the write-ahead log. Decoding
happens here as well: the event loop receives finished batches.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edge_agent.buffer.database import connect_readonly, storage_errors
from edge_agent.buffer.decoding import Decoder, Stored
from edge_agent.buffer.positions import Unit
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.segment import SegmentCorrupt
from edge_agent.buffer.worker import Worker

T = TypeVar("T")

_MISSING = 10_000  # looked at per read
_PASSED = 256  # numbers more per read, where an uplink leaves some out
_SELECT = (  # a body that is not wanted is not read from the disk
    "SELECT seq, epoch, n_samples, t0_ns, t1_ns, schema, crc32,"
    " CASE WHEN schema IN (SELECT value FROM json_each(?)) THEN NULL ELSE body END"
    " FROM segment WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
)


@dataclass(slots=True)
class Found:
    """``corrupt``: rows that are there but not sound. ``missing``: numbers without a row. ``passed``: rows of
    schemas that were not wanted."""

    sound: list[Stored] = field(default_factory=list)
    corrupt: list[Unit] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    samples: int = 0


class Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker = Worker(f"{path.name} reader")
        self._connection: sqlite3.Connection | None = None
        self._generation = 0
        self._decoder = Decoder()

    async def read(
        self,
        ranges: Sequence[Range],
        generation: int,
        *,
        max_items: int,
        max_samples: int,
        unwanted: frozenset[str] = frozenset(),
    ) -> Found:
        """The oldest units within ``ranges``, up to both limits but at least one; of ``unwanted`` schemas
        the numbers only. Raises StorageError."""
        return await self._worker.run(
            lambda: self._read(ranges, generation, max_items, max_samples, unwanted)
        )

    async def ask(self, generation: int, question: Callable[[sqlite3.Connection, Decoder], T]) -> T:
        """Anything else that reads, in the same thread; short, for the backlog waits behind it. Raises
        StorageError."""
        return await self._worker.run(lambda: self._answer(generation, question))

    async def release(self) -> None:
        """Closes the connection, so that the writer's is the last one."""
        await self._worker.run(self._close)

    def stop(self) -> None:
        self._worker.submit(self._close)
        self._worker.stop()

    def _answer(self, generation: int, question: Callable[[sqlite3.Connection, Decoder], T]) -> T:
        with storage_errors(self._path):
            return question(self._connect(generation), self._decoder)

    def _read(
        self,
        ranges: Sequence[Range],
        generation: int,
        max_items: int,
        max_samples: int,
        unwanted: frozenset[str],
    ) -> Found:
        found = Found()
        with storage_errors(self._path):
            connection = self._connect(generation)
            for first, last in ranges:
                if not self._read_range(connection, found, first, last, max_items, max_samples, unwanted):
                    break
        return found

    def _read_range(
        self,
        connection: sqlite3.Connection,
        found: Found,
        first: int,
        last: int,
        max_items: int,
        max_samples: int,
        unwanted: frozenset[str],
    ) -> bool:
        """True if the range was read to its end and there is room for more."""
        room = max_items - len(found.sound)
        limit = room + (_PASSED if unwanted else 0)
        rows = connection.execute(_SELECT, (json.dumps(sorted(unwanted)), first, last, limit)).fetchall()
        expected = first
        for row in rows:
            unit = _unit(row[:5], expected, row[5])
            found.missing.extend(range(expected, unit.seq))
            expected = unit.seq + 1
            if row[5] in unwanted:
                found.passed.append(unit.seq)
                continue
            if len(found.sound) >= max_items:
                return False
            try:
                stored = self._decoder.decode(connection, unit, *row[5:])
            except SegmentCorrupt:
                found.corrupt.append(unit)
                continue
            if found.sound and found.samples + unit.samples > max_samples:
                return False
            found.sound.append(stored)
            found.samples += unit.samples
        if len(rows) == limit:
            return False
        found.missing.extend(range(expected, min(last, expected + _MISSING) + 1))
        return True

    def _connect(self, generation: int) -> sqlite3.Connection:
        if self._connection is None or generation != self._generation:
            self._close()
            self._connection = connect_readonly(self._path)
            self._generation = generation
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _unit(columns: Sequence[object], expected: int, schema: object) -> Unit:
    """Also of a damaged row: then with counts that are at least numbers."""
    seq, *numbers = (column if isinstance(column, int) else 0 for column in columns)
    epoch, samples, t0_ns, t1_ns = numbers
    digest = schema if isinstance(schema, str) else ""
    return Unit(max(seq, expected), epoch, max(samples, 0), t0_ns, t1_ns, digest)

"""Batches of a span of time in the order in which they were read, page by page.

Segments of different poll groups lie beside one another in time. They are opened when their time comes and
merged, so that memory holds one segment per poll group, however long the span is.

``mono_ns`` of what history gives is on an axis of its own: within one run of the agent (epoch) it is the
stored monotonic time plus a constant, so that differences are exact whatever happened to the wall clock; the
constant puts the first batch of each run at its wall time, but never before the last batch of the run before.
It never turns back. ``time_ns`` is what was stored.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count

from edge_agent.buffer.decoding import Decoder
from edge_agent.buffer.positions import Unit
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.seek import COLUMNS, Outline, seek
from edge_agent.buffer.segment import SegmentCorrupt
from edge_agent.model import Batch, Schema

PAGE_SAMPLES = 20_000
_OUTLINES = 128  # per statement
_STATEMENTS = 16  # per page: nobody waits long, even where nothing is found
_AHEAD_NS = 2_000_000_000  # by how much segments may stand out of order

DAY_NS = 86_400_000_000_000
"""A day value is stored when the day is over, beside minutes, under the time at which the day began."""

Select = Callable[[Schema], bool]
_When = tuple[int, int, int]  # epoch, monotonic time, tie-break


class Walk:
    """``select`` says which schemas are wanted. ``last``: no segment above this number. ``memory``: batches
    of ``epoch`` that are not stored yet. ``behind_ns``: as for ``seek``."""

    def __init__(
        self,
        start_ns: int,
        end_ns: int,
        select: Select | None = None,
        *,
        last: int | None = None,
        memory: Iterable[Batch] = (),
        epoch: int = 0,
        behind_ns: int = 0,
    ) -> None:
        self.corrupt = 0  # segments that were skipped
        self.gone = 0  # segments that were deleted while we walked
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._select = select
        self._last = last
        self._behind_ns = behind_ns
        self._ranges: deque[Range] | None = None  # None: not looked for yet
        self._outlines: list[tuple[_When, Outline]] = []
        self._reached: tuple[int, int] = (-1, 0)  # epoch and monotonic time of the last outline
        self._open: list[tuple[_When, list[Batch]]] = []  # each list newest first
        self._wanted: dict[str, bool] = {}
        self._ties = count()
        self._shift_ns: dict[int, int] = {}
        self._mono_ns = 0
        self._statements = 0
        self._put(epoch, (b for b in memory if select is None or select(b.schema)))

    @property
    def done(self) -> bool:
        return self._ranges is not None and not (self._ranges or self._outlines or self._open)

    def give_up(self) -> None:
        """The file cannot be read any more: what memory holds still comes."""
        self._ranges = deque()
        self._outlines.clear()

    def page(self, connection: sqlite3.Connection, decoder: Decoder) -> list[Batch]:
        """The next ones; may be empty before the end. Raises sqlite3.Error."""
        if self._ranges is None:
            self._ranges = deque(seek(connection, self._start_ns, self._end_ns, self._last, self._behind_ns))
        self._statements = 0
        out: list[Batch] = []
        samples = 0
        while samples < PAGE_SAMPLES and self._prepare(connection, decoder):
            batch = self._pop()
            out.append(batch)
            samples += len(batch.values)
        return out

    def rest(self) -> list[Batch]:
        """A page after ``give_up``: without a file."""
        out: list[Batch] = []
        while self._open and len(out) < 1000:
            out.append(self._pop())
        return out

    def _prepare(self, connection: sqlite3.Connection, decoder: Decoder) -> bool:
        """Until the oldest batch is at hand; False at the end, or when this page has worked enough."""
        while True:
            if not self._look_ahead(connection, decoder):
                return False
            if not (self._outlines and (not self._open or self._outlines[0][0] <= self._open[0][0])):
                return bool(self._open)
            self._unpack(connection, decoder, heapq.heappop(self._outlines)[1])

    def _look_ahead(self, connection: sqlite3.Connection, decoder: Decoder) -> bool:
        """Outlines until none that is still to come can be older than the oldest at hand."""
        while self._ranges:
            heads = [found[0][0] for found in (self._outlines, self._open) if found]
            if heads and self._reached > (min(heads)[0], min(heads)[1] + _AHEAD_NS):
                return True
            if self._statements >= _STATEMENTS:
                return False
            self._statements += 1
            self._read_outlines(connection, decoder, self._ranges)
        return True

    def _read_outlines(self, connection: sqlite3.Connection, decoder: Decoder, ranges: deque[Range]) -> None:
        first, last = ranges.popleft()
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM segment WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (first, last, _OUTLINES),
        ).fetchall()
        if len(rows) == _OUTLINES and rows[-1][0] < last:
            ranges.appendleft((rows[-1][0] + 1, last))
        for row in rows:
            outline = Outline(*row)
            self._reached = max(self._reached, (outline.epoch, outline.mono0_ns))
            near = outline.t1_ns >= self._start_ns and outline.t0_ns < self._end_ns
            if near and self._is_wanted(connection, decoder, outline.digest):
                when = (outline.epoch, outline.mono0_ns, next(self._ties))
                heapq.heappush(self._outlines, (when, outline))

    def _is_wanted(self, connection: sqlite3.Connection, decoder: Decoder, digest: str) -> bool:
        if self._select is None:
            return True
        wanted = self._wanted.get(digest)
        if wanted is None:
            try:
                wanted = self._select(decoder.schema(connection, digest))
            except SegmentCorrupt:
                wanted = True  # so that its segments are counted
            self._wanted[digest] = wanted
        return wanted

    def _unpack(self, connection: sqlite3.Connection, decoder: Decoder, outline: Outline) -> None:
        row = connection.execute(
            "SELECT n_samples, schema, crc32, body FROM segment WHERE seq = ?", (outline.seq,)
        ).fetchone()
        if row is None:
            self.gone += 1
            return
        samples, digest, crc, body = row
        try:
            if not isinstance(samples, int):
                raise SegmentCorrupt("row is damaged")
            unit = Unit(outline.seq, outline.epoch, samples, outline.t0_ns, outline.t1_ns)
            batches = decoder.decode(connection, unit, digest, crc, body).batches
        except SegmentCorrupt:
            self.corrupt += 1
            return
        self._put(outline.epoch, batches)

    def _put(self, epoch: int, batches: Iterable[Batch]) -> None:
        mine = [batch for batch in batches if self._start_ns <= batch.time_ns < self._end_ns]
        if mine:
            mine.sort(key=lambda batch: batch.mono_ns)
            mine.reverse()
            heapq.heappush(self._open, ((epoch, mine[-1].mono_ns, next(self._ties)), mine))

    def _pop(self) -> Batch:
        (epoch, _, tie), batches = heapq.heappop(self._open)
        batch = batches.pop()
        if batches:
            heapq.heappush(self._open, ((epoch, batches[-1].mono_ns, tie), batches))
        return self._aligned(epoch, batch)

    def _aligned(self, epoch: int, batch: Batch) -> Batch:
        shift_ns = self._shift_ns.get(epoch)
        if shift_ns is None:
            shift_ns = self._shift_ns[epoch] = max(batch.time_ns, self._mono_ns) - batch.mono_ns
        self._mono_ns = max(self._mono_ns, batch.mono_ns + shift_ns)
        return Batch(
            batch.schema,
            batch.time_ns,
            self._mono_ns,
            batch.values,
            batch.quality,
            batch.offsets_ns,
            batch.clock,
        )

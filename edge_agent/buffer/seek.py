"""Which stored segments belong to a span of wall time, without an index.

An index on time would write a further page at every flush, for ever. It is not needed: numbers rise with
time, so halving finds the ends of a span in some forty look-ups. The exceptions are known. The wall clock may
be set, and it may have been wrong at a start; so the order is believed only between two segments of one run
whose wall and monotonic times agree, or across runs that began in the order of their times. Elsewhere both
halves are looked into, down to the place where the clock was set.

A segment lasts at most ``SEGMENT_NS``, so that nothing that reaches into a span began earlier than that.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from edge_agent.buffer.memory import SEGMENT_NS
from edge_agent.buffer.ranges import Range

_SLACK_NS = 10_000_000_000  # segments of one flush may stand in any order
_SLEW = 500  # parts per million by which a daemon may slew the wall clock
_STEP_NS = 1_000_000_000
_FEW = 32  # so few are rather read than halved


class Outline(NamedTuple):
    """A segment's row without its body."""

    seq: int
    epoch: int
    t0_ns: int
    t1_ns: int
    mono0_ns: int
    digest: str


COLUMNS = "seq, epoch, t0_ns, t1_ns, mono0_ns, schema"


def seek(
    connection: sqlite3.Connection, start_ns: int, end_ns: int, last: int | None = None, behind_ns: int = 0
) -> list[Range]:
    """Ranges of numbers up to ``last`` that hold every segment reaching into [start, end), and some more.
    ``behind_ns``: by how much the times of a segment may lie before those of its neighbours."""
    first = _one(connection, f"SELECT {COLUMNS} FROM segment ORDER BY seq LIMIT 1", ())
    top = 2**62 if last is None else last
    final = _before(connection, top + 1)
    if first is None or final is None or first.seq > final.seq:
        return []
    rows = connection.execute("SELECT epoch, started_ns FROM run ORDER BY epoch").fetchall()
    slack_ns = _SLACK_NS + behind_ns
    search = _Search(connection, rows, start_ns - SEGMENT_NS - slack_ns, end_ns + slack_ns)
    out: list[Range] = []
    for low, high in search.between(first, final):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return out


class _Search:
    def __init__(
        self, connection: sqlite3.Connection, runs: Sequence[tuple[int, int]], begin_ns: int, end_ns: int
    ) -> None:
        self._connection = connection
        self._epochs = [epoch for epoch, _ in runs]
        self._started = [started for _, started in runs]
        self._begin_ns = begin_ns
        self._end_ns = end_ns

    def between(self, low: Outline, high: Outline) -> Iterator[Range]:
        """Both inclusive."""
        if self._in_order(low, high):
            if high.t0_ns < self._begin_ns or low.t0_ns > self._end_ns:
                return
            if low.t0_ns >= self._begin_ns and high.t0_ns <= self._end_ns:
                yield low.seq, high.seq
                return
        if high.seq - low.seq < _FEW:
            yield low.seq, high.seq
            return
        middle = (low.seq + high.seq + 1) // 2
        left, right = _before(self._connection, middle), _from(self._connection, middle)
        if left is None or right is None:  # deleted meanwhile
            yield low.seq, high.seq
            return
        yield from self.between(low, left)
        yield from self.between(right, high)

    def _in_order(self, low: Outline, high: Outline) -> bool:
        if low.epoch == high.epoch:
            passed_ns = high.mono0_ns - low.mono0_ns
            drift_ns = high.t0_ns - low.t0_ns - passed_ns
            return abs(drift_ns) <= _STEP_NS + abs(passed_ns) * _SLEW // 1_000_000
        first, end = bisect_right(self._epochs, low.epoch), bisect_right(self._epochs, high.epoch)
        times = [low.t0_ns, *self._started[first:end], high.t0_ns]
        return all(a <= b for a, b in pairwise(times))


def _before(connection: sqlite3.Connection, seq: int) -> Outline | None:
    return _one(connection, f"SELECT {COLUMNS} FROM segment WHERE seq < ? ORDER BY seq DESC LIMIT 1", (seq,))


def _from(connection: sqlite3.Connection, seq: int) -> Outline | None:
    return _one(connection, f"SELECT {COLUMNS} FROM segment WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,))


def _one(connection: sqlite3.Connection, sql: str, parameters: tuple[int, ...]) -> Outline | None:
    row = connection.execute(sql, parameters).fetchone()
    return None if row is None else Outline(*row)

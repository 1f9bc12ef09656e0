"""Positions: how far each uplink has come in one store, and how that is kept in the file.

Live data is sent before the backlog, so acknowledgements are not contiguous: a position is a *set* of settled
numbers, kept as a few ranges. The counters are booked independently of the set, so that the law

    committed = acknowledged + pending + quarantined + lost           (segments and samples, per uplink)

is a check and not a definition. The store itself has a position too, under the name ``""``: what it has
*deleted* is settled there, so its pending count is what is stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from edge_agent.buffer.ranges import Ranges
from edge_agent.errors import StorageBroken

STORE = ""
_SELECTED = "select/"  # in ``meta``, before the name of an uplink


@dataclass(slots=True)
class Tally:
    segments: int = 0
    samples: int = 0

    def add(self, segments: int, samples: int) -> None:
        self.segments += segments
        self.samples += samples


@dataclass(frozen=True, slots=True)
class Unit:
    """What must be known of a stored unit to book it: one segment, or one event (then samples = 1, and no
    ``schema``)."""

    seq: int
    epoch: int
    samples: int
    t0_ns: int
    t1_ns: int
    schema: str = ""

    @classmethod
    def of_row(cls, row: Sequence[object]) -> Unit:
        """Also of a damaged row, which SQLite's own check lets pass: then with zeros that are numbers."""
        seq, epoch, samples, t0_ns, t1_ns = (n if isinstance(n, int) else 0 for n in row[:5])
        return cls(seq, epoch, max(samples, 0), t0_ns, t1_ns, *(str(digest) for digest in row[5:]))


@dataclass(frozen=True, slots=True)
class Outline:
    """All units of one schema that an uplink has not settled."""

    segments: int
    samples: int
    epoch: int
    first: int
    last: int
    t0_ns: int
    t1_ns: int

    def joined(self, other: Outline) -> Outline:
        return Outline(
            self.segments + other.segments,
            self.samples + other.samples,
            max(self.epoch, other.epoch),
            min(self.first, other.first),
            max(self.last, other.last),
            min(self.t0_ns, other.t0_ns),
            max(self.t1_ns, other.t1_ns),
        )


@dataclass(slots=True)
class Position:
    """One uplink's. ``pending`` follows from the counters; ``settled`` from the verdicts."""

    name: str
    settled: Ranges = field(default_factory=Ranges)
    quarantined_seqs: Ranges = field(default_factory=Ranges)
    committed: Tally = field(default_factory=Tally)
    acknowledged: Tally = field(default_factory=Tally)
    quarantined: Tally = field(default_factory=Tally)
    lost: Tally = field(default_factory=Tally)
    start_acknowledged: Tally = field(default_factory=Tally)
    start_lost: Tally = field(default_factory=Tally)
    oldest_ns: int | None = None

    @property
    def pending_segments(self) -> int:
        return (
            self.committed.segments
            - self.acknowledged.segments
            - self.quarantined.segments
            - self.lost.segments
        )

    @property
    def pending_samples(self) -> int:
        return (
            self.committed.samples - self.acknowledged.samples - self.quarantined.samples - self.lost.samples
        )

    def settle(self, unit: Unit, tally: Tally) -> None:
        self.settled.add(unit.seq)
        tally.add(1, unit.samples)
        if self.pending_segments < 0:  # a card that lied kept the unit, but not the row that counts it
            self.committed.add(-self.pending_segments, max(-self.pending_samples, 0))
        if not self.pending_segments and self.pending_samples:  # only after a row's own count was damaged
            self.lost.add(0, self.pending_samples)

    def row(self, revision: int, units: Sequence[Unit], unwanted: Collection[str]) -> tuple[object, ...]:
        """As stored, with ``units`` already committed."""
        added = summed(units, unwanted)
        ranges = list(self.settled)
        settled_to = ranges.pop(0)[1] if ranges and ranges[0][0] <= 1 else 0
        return (
            self.name, revision, settled_to, json.dumps(ranges, separators=(",", ":")),
            self.committed.segments + added.segments, self.committed.samples + added.samples,
            self.acknowledged.segments, self.acknowledged.samples,
            self.quarantined.segments, self.quarantined.samples,
            self.lost.segments, self.lost.samples,
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: Sequence[object]) -> Position:
        name, _, settled_to, ranges, *counts = row
        try:
            settled = Ranges([(1, int(str(settled_to))), *json.loads(str(ranges))])
            numbers = [int(str(count)) for count in counts]
        except (ValueError, TypeError) as error:
            raise StorageBroken(f"position of {name or 'the store'} cannot be read: {error}") from error
        committed, acknowledged, quarantined, lost = map(Tally, numbers[::2], numbers[1::2])
        position = cls(str(name), settled, Ranges(), committed, acknowledged, quarantined, lost)
        position.start_acknowledged = Tally(position.acknowledged.segments, position.acknowledged.samples)
        position.start_lost = Tally(position.lost.segments, position.lost.samples)
        return position


@dataclass(frozen=True, slots=True)
class PositionRows:
    """What the next commit has to write."""

    rows: tuple[tuple[object, ...], ...]
    removed: tuple[str, ...]
    quarantined: tuple[tuple[str, int, str, int, int], ...]
    selected: tuple[tuple[str, str], ...] = ()
    released: tuple[tuple[str, int], ...] = ()

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM position WHERE uplink = ?", [(name,) for name in self.removed])
        connection.executemany("DELETE FROM quarantine WHERE uplink = ?", [(name,) for name in self.removed])
        gone = [(f"{_SELECTED}{name}",) for name in self.removed]
        connection.executemany("DELETE FROM meta WHERE name = ?", gone)
        connection.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", self.released)
        connection.executemany(_SAVE, self.rows)
        connection.executemany(
            "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
            [(f"{_SELECTED}{name}", text) for name, text in self.selected],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO quarantine (uplink, seq, reason, at_ns, n_samples)"
            " VALUES (?, ?, ?, ?, ?)",
            self.quarantined,
        )


_FIELDS = (
    "revision", "settled_to", "ranges", "committed_segments", "committed_samples", "acknowledged_segments",
    "acknowledged_samples", "quarantined_segments", "quarantined_samples", "lost_segments", "lost_samples",
)  # fmt: skip
_SAVE = (  # an update in place: it leaves the key's index alone
    f"INSERT INTO position (uplink, {', '.join(_FIELDS)}) VALUES (?{', ?' * len(_FIELDS)})"
    f" ON CONFLICT (uplink) DO UPDATE SET {', '.join(f'{f} = excluded.{f}' for f in _FIELDS)}"
)


def load_positions(connection: sqlite3.Connection) -> tuple[dict[str, Position], int]:
    """All positions by name, the store's among them, and the last revision."""
    rows = connection.execute(f"SELECT uplink, {', '.join(_FIELDS)} FROM position").fetchall()
    positions = {str(row[0]): Position.of_row(row) for row in rows}
    for uplink, seq in connection.execute("SELECT uplink, seq FROM quarantine"):
        if uplink in positions:
            positions[uplink].quarantined_seqs.add(seq)
    return positions, max((int(row[1]) for row in rows), default=0)


def load_selected(connection: sqlite3.Connection) -> dict[str, str]:
    """What each uplink selected when its counters were kept; no entry: everything."""
    rows = connection.execute("SELECT name, value FROM meta WHERE name LIKE ?", (f"{_SELECTED}%",))
    return {name.removeprefix(_SELECTED): text for name, text in rows}


def summed(units: Iterable[Unit], unwanted: Collection[str] = ()) -> Tally:
    wanted = [unit.samples for unit in units if unit.schema not in unwanted]
    return Tally(len(wanted), sum(wanted))

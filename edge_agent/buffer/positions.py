"""How far each uplink has come. Lives in the event loop; a snapshot of it goes into every commit.

Live data is sent before the backlog, so acknowledgements are not contiguous: a position is a *set* of settled
numbers, kept as a few ranges. The counters are booked independently of the set, so that the law

    committed = acknowledged + pending + quarantined + lost           (segments and samples, per uplink)

is a check and not a definition. The store itself has a position too, under the name ``""``: what it has
*deleted* is settled there, so its pending count is what is stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.buffer.ledger import Ledger, Loss
from edge_agent.buffer.ranges import Ranges
from edge_agent.errors import StorageBroken

STORE = ""
_KNOWN = 8192


@dataclass(slots=True)
class Tally:
    segments: int = 0
    samples: int = 0

    def add(self, segments: int, samples: int) -> None:
        self.segments += segments
        self.samples += samples


@dataclass(frozen=True, slots=True)
class Unit:
    """What must be known of a stored unit to book it: one segment, or one event (then samples = 1)."""

    seq: int
    epoch: int
    samples: int
    t0_ns: int
    t1_ns: int


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
        if not self.pending_segments and self.pending_samples:  # only after a row's own count was damaged
            self.lost.add(0, self.pending_samples)

    def row(self, revision: int, added: Tally) -> tuple[object, ...]:
        """As stored, with ``added`` already committed."""
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

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM position WHERE uplink = ?", [(name,) for name in self.removed])
        connection.executemany("DELETE FROM quarantine WHERE uplink = ?", [(name,) for name in self.removed])
        connection.executemany(_SAVE, self.rows)
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


class Accounts:
    """All positions of one store, and the only place where they are booked."""

    def __init__(self, ledger: Ledger) -> None:
        self.store = Position(STORE)
        self.uplinks: dict[str, Position] = {}
        self.head = 0
        self.dirty = False
        self._ledger = ledger
        self._known: OrderedDict[int, Unit] = OrderedDict()
        self._removed: set[str] = set()
        self._set_aside: dict[tuple[str, int], tuple[str, int, str, int, int]] = {}

    def load(self, positions: Mapping[str, Position], head: int) -> None:
        self.uplinks = {name: p for name, p in positions.items() if name != STORE}
        self.store = positions.get(STORE) or Position(STORE)
        self.head = head

    def register(self, names: Iterable[str], epoch: int, now_ns: int, first_ns: int) -> None:
        """New names start at the head; what removed ones had not taken is written off."""
        wanted = list(dict.fromkeys(names))
        for name in [n for n in self.uplinks if n not in wanted]:
            position = self.uplinks.pop(name)
            samples = position.pending_samples + position.quarantined.samples
            if position.pending_segments + position.quarantined.segments:
                seqs = [*(s for gap in position.settled.gaps(1, self.head) for s in gap), *_ends(position)]
                since = first_ns if position.oldest_ns is None else position.oldest_ns
                self._ledger.record(
                    Loss("uplink_removed", epoch, name, min(seqs), max(seqs), samples, since, now_ns)
                )
            self._removed.add(name)
            self.dirty = True
        for name in wanted:
            if name not in self.uplinks:
                self.uplinks[name] = Position(name, Ranges([(1, self.head)]))
                self.dirty = True

    def committed(self, units: Sequence[Unit]) -> None:
        """These are durable now: pending for every uplink."""
        samples = sum(unit.samples for unit in units)
        for position in (self.store, *self.uplinks.values()):
            position.committed.add(len(units), samples)
        if units:
            self.head = max(self.head, units[-1].seq)
        self.remember(units)

    def remember(self, units: Iterable[Unit]) -> None:
        """Only what was committed or taken lately can be acknowledged; anything older is simply sent
        again."""
        for unit in units:
            self._known[unit.seq] = unit
            self._known.move_to_end(unit.seq)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def open_unit(self, uplink: str, seq: int, epoch: int) -> Unit | None:
        """The unit behind a key, if this uplink has not settled it."""
        position, unit = self.uplinks.get(uplink), self._known.get(seq)
        if position is None or unit is None or unit.epoch != epoch or seq in position.settled:
            return None
        return unit

    def acknowledge(self, uplink: str, seq: int, epoch: int) -> None:
        unit = self.open_unit(uplink, seq, epoch)
        if unit is not None:
            position = self.uplinks[uplink]
            position.settle(unit, position.acknowledged)
            self.dirty = True

    def quarantine(self, uplink: str, seq: int, epoch: int, reason: str, at_ns: int) -> None:
        unit = self.open_unit(uplink, seq, epoch)
        if unit is not None:
            position = self.uplinks[uplink]
            position.settle(unit, position.quarantined)
            position.quarantined_seqs.add(seq)
            self._set_aside[uplink, seq] = (uplink, seq, reason, at_ns, unit.samples)
            self.dirty = True

    def lose(self, unit: Unit, reason: str) -> None:
        """Gone for every uplink that had not acknowledged it; a ledger row for each of them."""
        for name, position in self.uplinks.items():
            if unit.seq in position.quarantined_seqs:
                position.quarantined_seqs.remove(unit.seq)
                position.quarantined.add(-1, -unit.samples)
                position.lost.add(1, unit.samples)
                self._set_aside.pop((name, unit.seq), None)
            elif unit.seq not in position.settled:
                position.settle(unit, position.lost)
            else:
                continue
            self._ledger.record(
                Loss(reason, unit.epoch, name, unit.seq, unit.seq, unit.samples, unit.t0_ns, unit.t1_ns)
            )
        self.dirty = True

    def delete(self, unit: Unit) -> None:
        """The store removes it with the next commit."""
        self.store.settle(unit, self.store.acknowledged)
        self._known.pop(unit.seq, None)

    def lose_all(self, reason: str, epoch: int, t0_ns: int, t1_ns: int) -> None:
        """The file is gone. What was pending or set aside is known to the sample."""
        everything = Ranges([(1, self.head)])
        for name, position in self.uplinks.items():
            segments = position.pending_segments + position.quarantined.segments
            samples = position.pending_samples + position.quarantined.samples
            position.lost.add(segments, samples)
            position.quarantined = Tally()
            position.quarantined_seqs = Ranges()
            position.settled = everything.copy()
            position.oldest_ns = None
            if segments:
                self._ledger.record(Loss(reason, epoch, name, None, self.head, samples, t0_ns, t1_ns))
        stored = Tally(self.store.pending_segments, self.store.pending_samples)
        self.store.acknowledged.add(stored.segments, stored.samples)
        self.store.settled = everything
        self._known.clear()
        self._set_aside.clear()
        self._removed.clear()
        self.dirty = True

    def history(self, last: int) -> list[tuple[int, int]]:
        """Ranges up to ``last`` that every uplink has acknowledged and that are still stored, oldest
        first."""
        kept = self.store.settled.copy()
        for position in self.uplinks.values():
            for gap in position.settled.gaps(1, last):
                kept.add(*gap)
            for aside in position.quarantined_seqs:
                kept.add(*aside)
        return list(kept.gaps(1, last))

    def oldest_pending_ns(self, uplink: str) -> int | None:
        """Time of the oldest unit not settled; while it is not in memory, the last one known."""
        position = self.uplinks[uplink]
        if not position.pending_segments:
            position.oldest_ns = None
            return None
        first = next(position.settled.gaps(1, self.head), None)
        unit = self._known.get(first[0]) if first else None
        if unit is not None:
            position.oldest_ns = unit.t0_ns
        return position.oldest_ns

    def rows(self, revision: int, added: Tally) -> PositionRows:
        positions = (self.store, *self.uplinks.values())
        return PositionRows(
            tuple(p.row(revision, added) for p in positions),
            tuple(sorted(self._removed)),
            tuple(self._set_aside.values()),
        )

    def saved(self, rows: PositionRows) -> None:
        self._removed.difference_update(rows.removed)
        for row in rows.quarantined:
            self._set_aside.pop((row[0], row[1]), None)


def _ends(position: Position) -> list[int]:
    return [seq for both in position.quarantined_seqs for seq in both]

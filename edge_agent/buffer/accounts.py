"""All positions of one store, in the event loop, and the only place where they are booked. A snapshot of them
goes into every commit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

from edge_agent.buffer.choices import Choices
from edge_agent.buffer.ledger import ARRIVED, Ledger, Loss
from edge_agent.buffer.positions import STORE, Outline, Position, PositionRows, Tally, Unit, summed
from edge_agent.buffer.ranges import Ranges

_KNOWN = 8192


class Accounts:
    """All positions of one store, and the only place where they are booked.

    An uplink that selects tags is booked only for the units it selects (``choices``). The others are *passed
    over* when it comes to them: settled without a count. Not before: while it is down, every second number
    settled would make a position as long as the outage."""

    def __init__(self, ledger: Ledger) -> None:
        self.store = Position(STORE)
        self.uplinks: dict[str, Position] = {}
        self.head = 0
        self.dirty = False
        self.choices = Choices()
        self.booked: dict[str, str] = {}  # as what selection each uplink is booked; absent: as everything
        self._ledger = ledger
        self._known: OrderedDict[int, Unit] = OrderedDict()
        self._given_up: OrderedDict[tuple[str, int], Unit] = OrderedDict()  # may still be confirmed
        self._removed: set[str] = set()
        self._set_aside: dict[tuple[str, int], tuple[str, int, str, int, int]] = {}
        self._selected: dict[str, str] = {}
        self._released: set[tuple[str, int]] = set()  # no longer set aside, and the file does not know yet

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
            self._selected.pop(name, None)
            self.booked.pop(name, None)
            for key in [key for key in self._set_aside if key[0] == name]:
                del self._set_aside[key]  # not saved yet, and not to be found by a later one of that name
            for key in [key for key in self._given_up if key[0] == name]:
                del self._given_up[key]
            self.dirty = True
        for name in wanted:
            if name not in self.uplinks:
                self.uplinks[name] = Position(name, Ranges([(1, self.head)]))
                self.dirty = True

    def committed(self, units: Sequence[Unit]) -> None:
        """These are durable now: pending for every uplink that selects them."""
        for position in (self.store, *self.uplinks.values()):
            added = summed(units, self._unwanted(position.name))
            position.committed.add(added.segments, added.samples)
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
        return None if unit.schema in self._unwanted(uplink) else unit  # selected when it was sent, not now

    def pass_over(self, uplink: str, seqs: Iterable[int]) -> None:
        """Units it does not select: they are behind it now, and were never counted for it."""
        settled = self.uplinks[uplink].settled
        for seq in seqs:
            settled.add(seq)

    def reselect(
        self, uplink: str, sums: Mapping[str, Outline], before: Collection[str], now: Collection[str]
    ) -> None:
        """Another selection: ``sums`` holds, by schema, what this uplink has not settled. What it no longer
        selects is written off; what it selects from now on is counted as committed."""
        position = self.uplinks[uplink]
        for digest, found in sums.items():
            if digest in now and digest not in before:
                position.lost.add(found.segments, found.samples)
                self._ledger.record(
                    Loss(
                        "selection_changed", found.epoch, uplink, found.first, found.last, found.samples,
                        found.t0_ns, found.t1_ns,
                    )
                )  # fmt: skip
            elif digest in before and digest not in now:
                position.committed.add(found.segments, found.samples)
        self.note_selection(uplink)

    @property
    def noted_selections(self) -> dict[str, str]:
        """Those that the next commit saves."""
        return dict(self._selected)

    def note_selection(self, uplink: str) -> None:
        self.booked[uplink] = self._selected[uplink] = self.choices.text(uplink)
        self.dirty = True

    def _counted(self, position: Position, unit: Unit) -> bool:
        """Whether an unsettled unit was counted as committed. A row may be too damaged to tell its schema."""
        unwanted = self._unwanted(position.name)
        return unit.schema not in unwanted and bool(position.pending_segments or not unwanted)

    def _unwanted(self, name: str) -> Collection[str]:
        return self.choices.unwanted.get(name, ())

    def acknowledge(self, uplink: str, seq: int, epoch: int) -> None:
        unit = self.open_unit(uplink, seq, epoch)
        if unit is not None:
            position = self.uplinks[uplink]
            position.settle(unit, position.acknowledged)
            self.dirty = True
        elif (lost := self._given_up.get((uplink, seq))) is not None and lost.epoch == epoch:
            self._arrived_after_all(uplink, lost)

    def _arrived_after_all(self, uplink: str, unit: Unit) -> None:
        """It was deleted while its confirmation was under way."""
        del self._given_up[uplink, unit.seq]
        position = self.uplinks[uplink]
        position.lost.add(-1, -unit.samples)
        position.acknowledged.add(1, unit.samples)
        self._ledger.record(
            Loss(ARRIVED, unit.epoch, uplink, unit.seq, unit.seq, -unit.samples, unit.t0_ns, unit.t1_ns)
        )
        self.dirty = True

    def quarantine(self, uplink: str, seq: int, epoch: int, reason: str, at_ns: int) -> None:
        unit = self.open_unit(uplink, seq, epoch)
        if unit is not None:
            position = self.uplinks[uplink]
            position.settle(unit, position.quarantined)
            position.quarantined_seqs.add(seq)
            self._set_aside[uplink, seq] = (uplink, seq, reason, at_ns, unit.samples)
            self._released.discard((uplink, seq))
            self.dirty = True

    def retry(self, uplink: str, unit: Unit) -> bool:
        """Pending again; False for a unit that is not set aside, or that is not selected any more: it is
        written off."""
        position = self._taken_back(uplink, unit)
        if position is not None and unit.schema in self._unwanted(uplink):
            self._write_off(position, unit, "selection_changed")
            return False
        if position is not None:
            position.settled.remove(unit.seq)
        return position is not None

    def drop(self, uplink: str, unit: Unit) -> bool:
        """Given up by a person, with a ledger row; False for a unit that is not set aside."""
        position = self._taken_back(uplink, unit)
        if position is not None:
            self._write_off(position, unit, "dropped")
        return position is not None

    def _write_off(self, position: Position, unit: Unit, reason: str) -> None:
        position.lost.add(1, unit.samples)
        loss = Loss(
            reason, unit.epoch, position.name, unit.seq, unit.seq, unit.samples, unit.t0_ns, unit.t1_ns
        )
        self._ledger.record(loss)

    def _taken_back(self, uplink: str, unit: Unit) -> Position | None:
        position = self.uplinks.get(uplink)
        if position is None or unit.seq not in position.quarantined_seqs:
            return None
        position.quarantined_seqs.remove(unit.seq)
        position.quarantined.add(-1, -unit.samples)
        self._set_aside.pop((uplink, unit.seq), None)
        self._released.add((uplink, unit.seq))
        self.dirty = True
        return position

    def lose(self, unit: Unit, reason: str, *, counted: bool = True) -> bool:
        """Gone for every uplink that had not acknowledged it; a ledger row for each of them, of unknown
        extent unless ``counted``. Whether there was any."""
        anybody, samples = False, unit.samples if counted else None
        for name, position in self.uplinks.items():
            if unit.seq in position.quarantined_seqs:
                position.quarantined_seqs.remove(unit.seq)
                position.quarantined.add(-1, -unit.samples)
                position.lost.add(1, unit.samples)
                self._set_aside.pop((name, unit.seq), None)
            elif unit.seq in position.settled:
                continue
            elif self._counted(position, unit):
                position.settle(unit, position.lost)
                self._given_up[name, unit.seq] = unit
            else:
                position.settled.add(unit.seq)
                continue
            self._ledger.record(
                Loss(reason, unit.epoch, name, unit.seq, unit.seq, samples, unit.t0_ns, unit.t1_ns)
            )
            anybody = True
        while len(self._given_up) > _KNOWN * len(self.uplinks):
            self._given_up.popitem(last=False)
        self.dirty = True
        return anybody

    def delete(self, unit: Unit) -> None:
        """The store removes it with the next commit."""
        self.store.settle(unit, self.store.acknowledged)
        self._known.pop(unit.seq, None)

    def put_back(self, unit: Unit, uplinks: Iterable[str], *, exact: bool) -> None:
        """A unit of a file that was given up is stored again, under its number: pending for these. ``exact``:
        it had been counted as lost; else, in an unknown extent, as nothing."""
        stored = -1 if exact else 1
        if unit.seq in self.store.settled:
            self.store.settled.remove(unit.seq)
            (self.store.acknowledged if exact else self.store.committed).add(stored, stored * unit.samples)
        names = [n for n in uplinks if n in self.uplinks and unit.schema not in self._unwanted(n)]
        back = [n for n in names if unit.seq in self.uplinks[n].settled]
        for name in back:
            position = self.uplinks[name]
            position.settled.remove(unit.seq)
            self._given_up.pop((name, unit.seq), None)
            (position.lost if exact else position.committed).add(stored, stored * unit.samples)
        for known in back if exact else [None] if back else []:
            self._ledger.record(
                Loss("salvaged", unit.epoch, known, unit.seq, unit.seq, -unit.samples, unit.t0_ns, unit.t1_ns)
            )
        self.dirty = True

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
        self._given_up.clear()
        self._set_aside.clear()
        self._removed.clear()
        self._released.clear()
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

    def left_out(self, last: int) -> frozenset[str]:
        """Digests of schemas that every uplink leaves out which has not settled everything up to ``last``."""
        behind = [p.name for p in self.uplinks.values() if next(p.settled.gaps(1, last), None) is not None]
        if not behind:
            return frozenset()
        return frozenset.intersection(*(self.choices.unwanted.get(n, frozenset()) for n in behind))

    def is_aside(self, seq: int) -> bool:
        return any(seq in position.quarantined_seqs for position in self.uplinks.values())

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

    def rows(self, revision: int, units: Sequence[Unit]) -> PositionRows:
        positions = (self.store, *self.uplinks.values())
        return PositionRows(
            tuple(p.row(revision, units, self._unwanted(p.name)) for p in positions),
            tuple(sorted(self._removed)),
            tuple(self._set_aside.values()),
            tuple(self._selected.items()),
            tuple(self._released),
        )

    def saved(self, rows: PositionRows) -> None:
        self._removed.difference_update(rows.removed)
        for row in rows.quarantined:
            self._set_aside.pop((row[0], row[1]), None)
        self._released.difference_update(rows.released)
        for name, text in rows.selected:
            if self._selected.get(name) == text:
                del self._selected[name]


def _ends(position: Position) -> list[int]:
    return [seq for both in position.quarantined_seqs for seq in both]

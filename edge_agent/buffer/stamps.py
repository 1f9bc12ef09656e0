"""Stamps of a clock that nobody had set: held, corrected when sent, or sent as they are and said to be so.

A computer without a clock of its own starts in the past. Until its wall clock is synchronised for the first
time, what is read is stored with the stamp as it is, beside monotonic time, which is right. Each boot that
stored such data has a row (table ``offset``) and is

    pending     for a while after boot: nothing is given to an uplink
    corrected   the time came meanwhile: the row says wall minus monotonic time of this boot. What was stored
                before is sent with monotonic time plus that. It never changes afterwards
    released    the time did not come: from now on all is sent as it was stamped, marked by its clock state
    late        the time came after that: a record of its own, event ``clock_correction``

A verdict is durable before the first unit that follows it is sent, so that a key means one body for ever.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.clock import Clock
from edge_agent.model import Batch, ClockState, Event
from edge_agent.uplink import Envelope

_UNKNOWN_BOOT = "unknown"


@dataclass(frozen=True, slots=True)
class Offset:
    """One row. ``first_ns``: the first stamp that nobody vouches for. When the wall clock was set, monotonic
    time was ``mono_ns``, the wall clock ``utc_ns``, and before it showed ``was_ns`` (None: not seen).
    ``epochs``: the runs in this boot."""

    boot: str
    first_ns: int
    mono_ns: int | None = None
    utc_ns: int | None = None
    was_ns: int | None = None
    released: bool = False
    reported: bool = True
    epochs: tuple[int, ...] = ()

    @property
    def pending(self) -> bool:
        return self.utc_ns is None and not self.released

    def row(self) -> tuple[object, ...]:
        return (
            self.boot, self.first_ns, self.mono_ns, self.utc_ns, self.was_ns, int(self.released),
            int(self.reported), json.dumps(self.epochs),
        )  # fmt: skip


_COLUMNS = "boot_id, first_ns, mono_ns, utc_ns, was_ns, released, reported, epochs"


def load_offsets(connection: sqlite3.Connection) -> list[Offset]:
    out = []
    for boot, first, mono, utc, was, released, reported, epochs in connection.execute(
        f"SELECT {_COLUMNS} FROM offset"
    ):
        try:
            runs = tuple(map(int, json.loads(epochs)))
        except (ValueError, TypeError):
            continue  # damaged: sent as stamped
        out.append(Offset(boot, first, mono, utc, was, bool(released), bool(reported), runs))
    return out


def save_offsets(connection: sqlite3.Connection, offsets: Iterable[Offset]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO offset ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [offset.row() for offset in offsets],
    )


class Stamps:
    """The event loop's side. ``hold_s`` counts from the start of monotonic time, which is the boot."""

    def __init__(self, clock: Clock, hold_s: float) -> None:
        self._clock = clock
        self._hold_ns = round(hold_s * 1e9)
        self._boot = ""
        self._epoch = 0
        self._offsets: dict[str, Offset] = {}
        self._by_epoch: dict[int, Offset] = {}
        self._unsaved: set[str] = set()
        self._durable: set[str] = set()  # boots with a verdict that is on the disk
        self._drift_ns: int | None = None  # wall minus monotonic time while nobody vouched for it

    def load(self, offsets: Sequence[Offset], epoch: int) -> None:
        """After every opening. A new file takes what is known."""
        self._epoch = epoch
        self._boot = self._clock.boot_id if self._clock.boot_id != _UNKNOWN_BOOT else f"run {epoch}"
        self._offsets |= {o.boot: o for o in offsets if o.boot not in self._unsaved}
        self._durable.update(o.boot for o in offsets if not o.pending)
        self._unsaved.update(self._offsets.keys() - {o.boot for o in offsets})
        mine = self._offsets.get(self._boot)
        if mine is not None and epoch not in mine.epochs:
            self._put(replace(mine, epochs=(*mine.epochs, epoch)))
        self._index()

    def notice(self, batches: Iterable[Batch]) -> None:
        """What the next commit stores; comes to a verdict when it is time for one."""
        state, mine = self._clock.state(), self._offsets.get(self._boot)
        if mine is None:
            doubtful = [b.time_ns for b in batches if b.clock is ClockState.UNSYNCHRONISED]
            if not doubtful:
                return
            mine = Offset(self._boot, min(doubtful), epochs=(self._epoch,))
            self._put(mine)
        now_ns, wall_ns = self._clock.mono_ns(), self._clock.time_ns()
        if state is ClockState.UNSYNCHRONISED:
            self._drift_ns = wall_ns - now_ns
        if state is ClockState.SYNCHRONISED and mine.utc_ns is None:
            was_ns = None if self._drift_ns is None else now_ns + self._drift_ns
            self._put(replace(mine, mono_ns=now_ns, utc_ns=wall_ns, was_ns=was_ns, reported=False))
        elif mine.pending and now_ns >= self._hold_ns:
            self._put(replace(mine, released=True))

    def _put(self, offset: Offset) -> None:
        self._offsets[offset.boot] = offset
        self._unsaved.add(offset.boot)
        self._index()

    def _index(self) -> None:
        """Only what is corrected: usually nothing."""
        corrected = [o for o in self._offsets.values() if o.utc_ns is not None and not o.released]
        self._by_epoch = {epoch: o for o in corrected for epoch in o.epochs}

    @property
    def due(self) -> bool:
        """There is a verdict to save, or to come to: a commit is wanted although there may be no data."""
        mine = self._offsets.get(self._boot)
        ripe = mine is not None and mine.utc_ns is None and self._clock.state() is ClockState.SYNCHRONISED
        return (
            bool(self._unsaved)
            or ripe
            or (mine is not None and mine.pending and self._clock.mono_ns() >= self._hold_ns)
        )

    @property
    def unsaved(self) -> tuple[Offset, ...]:
        return tuple(self._offsets[boot] for boot in sorted(self._unsaved))

    def saved(self, offsets: Iterable[Offset]) -> None:
        for offset in offsets:
            if not offset.pending:
                self._durable.add(offset.boot)
            if self._offsets.get(offset.boot) == offset:
                self._unsaved.discard(offset.boot)

    @property
    def holding(self) -> bool:
        """Nothing may be sent: no verdict on this boot's stamps is durable."""
        return self._boot in self._offsets and self._boot not in self._durable

    def corrected(self, envelopes: Sequence[Envelope]) -> Sequence[Envelope]:
        """As they are to be sent."""
        if not self._by_epoch:
            return envelopes
        return [self._corrected(envelope) for envelope in envelopes]

    def _corrected(self, envelope: Envelope) -> Envelope:
        offset = self._by_epoch.get(envelope.key.epoch)
        if offset is None or offset.mono_ns is None or offset.utc_ns is None:
            return envelope
        until_ns, shift_ns = offset.mono_ns, offset.utc_ns - offset.mono_ns
        batches = tuple(
            replace(b, time_ns=b.mono_ns + shift_ns, clock=ClockState.SYNCHRONISED)
            if b.clock is ClockState.UNSYNCHRONISED and b.mono_ns <= until_ns
            else b
            for b in envelope.batches
        )
        return replace(envelope, batches=batches)

    def unreported(self) -> list[Offset]:
        """Durable corrections that nobody has been told of."""
        return [o for o in self._offsets.values() if not o.reported and o.boot not in self._unsaved]

    def mark(self, offsets: Iterable[Offset]) -> None:
        for offset in offsets:
            if self._offsets.get(offset.boot) == offset:
                self._put(replace(offset, reported=True))


def correction_event(offset: Offset, config_version: str, time_ns: int, mono_ns: int) -> Event:
    """``applied`` True: what is sent carries the corrected stamps; False: it was sent as stamped.
    ``seconds``: what must be added to those stamps; None where nobody saw the clock before it was set."""
    utc_ns, was_ns = offset.utc_ns or 0, offset.was_ns
    detail = {
        "boot": offset.boot,
        "seconds": None if was_ns is None else round((utc_ns - was_ns) / 1e9, 3),
        "from_us": offset.first_ns // 1000,
        "to_us": None if was_ns is None else was_ns // 1000,
        "applied": not offset.released,
    }
    return Event("clock_correction", "clock", time_ns, mono_ns, config_version, detail)

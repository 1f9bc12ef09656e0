"""The loss ledger: every sample that was read and will not be delivered stands in a row, with extent and
reason.

Reasons: ``memory`` (no room in memory, the disk refused or was too slow), ``quota`` (the oldest went),
``corrupt`` (a stored unit no longer passes its checksum, or has no row), ``uplink_removed``,
``selection_changed``, ``dropped`` (set aside, then given up by a person), ``unclean_stop`` (what memory
held when the process died), ``quarantined_database``, ``missing_database``, ``unencodable`` (a bug: a batch
that is none), ``thinned`` (one reading in five was kept). ``salvaged`` takes back, with a negative count,
what was saved of a database that was set aside; ``arrived``, what was deleted (``quota``, ``corrupt``) while
its confirmation was under way.

``uplink`` None: lost before it was committed, hence for every uplink. ``n_samples`` None: extent unknown.
Rows of one kind grow into one row until somebody takes them to report; a row once handed out never changes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.model import Event

SALVAGED, ARRIVED = "salvaged", "arrived"
TAKEN_BACK = frozenset((SALVAGED, ARRIVED))
PAUSE_NS = 600_000_000_000
_KEPT = 10_000  # reported rows beyond this are dropped at the next start; the totals stay in the positions


@dataclass(frozen=True, slots=True)
class Loss:
    """One row. ``from_seq`` and ``to_seq`` are None for what never had a number."""

    reason: str
    epoch: int
    uplink: str | None
    from_seq: int | None
    to_seq: int | None
    n_samples: int | None
    t0_ns: int
    t1_ns: int
    id: int = 0

    def joined(self, other: Loss) -> Loss:
        return replace(
            self,
            from_seq=_least(self.from_seq, other.from_seq),
            to_seq=other.to_seq if self.to_seq is None else max(self.to_seq, other.to_seq or 0),
            n_samples=None if self.n_samples is None else self.n_samples + (other.n_samples or 0),
            t0_ns=min(self.t0_ns, other.t0_ns),
            t1_ns=max(self.t1_ns, other.t1_ns),
        )


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def loss_event(loss: Loss, stream: str, config_version: str, time_ns: int, mono_ns: int) -> Event:
    """The event that tells a park of a loss; ``time_ns`` is now, the extent stands in ``detail``."""
    detail = {
        "stream": stream,
        "reason": loss.reason,
        "epoch": loss.epoch,
        "uplink": loss.uplink,
        "from_seq": loss.from_seq,
        "to_seq": loss.to_seq,
        "samples": loss.n_samples,
        "from_us": loss.t0_ns // 1000,
        "to_us": loss.t1_ns // 1000,
    }
    if loss.reason in TAKEN_BACK:
        detail["samples"] = -(loss.n_samples or 0)
        return Event("data_salvaged", loss.uplink or "buffer", time_ns, mono_ns, config_version, detail)
    return Event("data_lost", loss.uplink or "buffer", time_ns, mono_ns, config_version, detail)


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """What the next commit has to write."""

    losses: tuple[Loss, ...]
    reported: tuple[int, ...]

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO loss"
            " (id, epoch, from_seq, to_seq, uplink, n_samples, reason, t0_ns, t1_ns, reported)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            [
                (x.id, x.epoch, x.from_seq, x.to_seq, x.uplink, x.n_samples, x.reason, x.t0_ns, x.t1_ns)
                for x in self.losses
            ],
        )
        connection.executemany("UPDATE loss SET reported = 1 WHERE id = ?", [(i,) for i in self.reported])


class Ledger:
    """The event loop's side: what is new, what is not yet reported. Bounded: equal kinds share a row."""

    def __init__(self, mono_ns: Callable[[], int] = int) -> None:
        self._mono_ns = mono_ns
        self._told_ns: dict[tuple[str, str | None], int] = {}
        self._next_id = 1
        self._rows: dict[int, Loss] = {}  # unreported
        self._unsaved: set[int] = set()
        self._handed: set[int] = set()
        self._reported: set[int] = set()
        self.samples: Counter[str] = Counter()  # by reason, since start
        self.unknown: Counter[str] = Counter()  # rows of unknown extent by reason, since start
        self.salvaged = 0  # samples taken back, since start

    def load(self, rows: Sequence[Loss], next_id: int) -> None:
        """What the file holds; rows made before it could be opened get numbers after those."""
        early = [self._rows[i] for i in sorted(self._rows)]
        self._rows = {row.id: row for row in rows}
        self._unsaved.clear()
        self._handed.clear()
        self._next_id = next_id
        for row in early:
            self._put(replace(row, id=self._take_id()))

    def restart(self) -> None:
        """A new, empty file: everything not yet reported has to be written again."""
        self._unsaved.update(self._rows)
        self._reported.clear()

    def record(self, loss: Loss) -> None:
        if loss.reason == SALVAGED:
            self.salvaged -= loss.n_samples or 0
        elif loss.reason == ARRIVED:
            pass  # what counts losses by reason never goes back
        elif loss.n_samples is None:
            self.unknown[loss.reason] += 1
        else:
            self.samples[loss.reason] += loss.n_samples
        open_row = self._open_row(loss)
        self._put(open_row.joined(loss) if open_row else replace(loss, id=self._take_id()))

    def rows(self) -> LedgerRows:
        return LedgerRows(tuple(self._rows[i] for i in sorted(self._unsaved)), tuple(sorted(self._reported)))

    def saved(self, rows: LedgerRows) -> None:
        for row in rows.losses:
            if self._rows.get(row.id) == row:
                self._unsaved.discard(row.id)
        self._reported.difference_update(rows.reported)
        for number in rows.reported:
            self._rows.pop(number, None)
            self._handed.discard(number)

    def unreported(self) -> list[Loss]:
        """Durable rows nobody has reported yet, oldest first. Stays so until ``mark``. What goes on for hours
        (an outage beyond the quota) is told at once and then every ten minutes: its row grows meanwhile."""
        ready = [i for i in sorted(self._rows) if i not in self._unsaved and i not in self._reported]
        out = [i for i in ready if i in self._handed or self._is_time(self._rows[i])]
        self._handed.update(out)
        return [self._rows[i] for i in out]

    def _is_time(self, row: Loss) -> bool:
        if row.n_samples is None:
            return True
        kind, now_ns = (row.reason, row.uplink), self._mono_ns()
        told_ns = self._told_ns.get(kind)
        if told_ns is not None and now_ns - told_ns < PAUSE_NS:
            return False
        self._told_ns[kind] = now_ns
        return True

    def mark(self, losses: Iterable[Loss]) -> None:
        self._reported.update(loss.id for loss in losses if loss.id in self._rows)

    @property
    def dirty(self) -> bool:
        return bool(self._unsaved or self._reported)

    def _open_row(self, loss: Loss) -> Loss | None:
        """The row that goes on with this one. Of unknown extents only the numbers tell anything: what is not
        next to each other stays apart."""
        known = loss.n_samples is not None
        kind = (loss.reason, loss.epoch, loss.uplink, known)
        for number, row in self._rows.items():
            if (
                number in self._handed
                or (row.reason, row.epoch, row.uplink, row.n_samples is not None) != kind
            ):
                continue
            if known or (loss.from_seq is not None and row.to_seq == loss.from_seq - 1):
                return row
        return None

    def _put(self, loss: Loss) -> None:
        self._rows[loss.id] = loss
        self._unsaved.add(loss.id)

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1


def load_losses(connection: sqlite3.Connection) -> tuple[list[Loss], int]:
    """Unreported rows and the next free id; forgets reported rows beyond the newest ten thousand."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM loss").fetchone()
    connection.execute("DELETE FROM loss WHERE reported = 1 AND id <= ?", (last - _KEPT,))
    rows = connection.execute(
        "SELECT reason, epoch, uplink, from_seq, to_seq, n_samples, t0_ns, t1_ns, id"
        " FROM loss WHERE reported = 0 ORDER BY id"
    ).fetchall()
    return [_loss(row) for row in rows], last + 1


def _loss(row: Sequence[object]) -> Loss:
    """A damaged row is told as far as it can be read."""
    reason, epoch, uplink, *rest = row
    first, last, samples, t0_ns, t1_ns, number = (n if isinstance(n, int) else None for n in rest)
    return Loss(
        reason if isinstance(reason, str) else "corrupt",
        epoch if isinstance(epoch, int) else 0,
        uplink if isinstance(uplink, str) else None,
        first,
        last,
        samples,
        t0_ns or 0,
        t1_ns or 0,
        number or 0,
    )

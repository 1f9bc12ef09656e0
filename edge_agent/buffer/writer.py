"""The writer thread's side of a vault: everything here blocks, and runs in that thread only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from edge_agent.buffer.ballast import Ballast
from edge_agent.buffer.database import Database, Tuning, Usage, storage_errors
from edge_agent.buffer.ledger import LedgerRows, Loss, load_losses
from edge_agent.buffer.positions import STORE, Position, PositionRows, Unit, load_positions
from edge_agent.buffer.salvage import Claim, survey
from edge_agent.buffer.tables import SAMPLES, Shape
from edge_agent.errors import LinesideError, StorageBroken, StorageError, StorageFull

T = TypeVar("T")
CLEAN = 1
"""The clean mark of a run, up to version 0.1. Since then it is the number of the last commit: a card that
lost that commit's other pages, but not this one, does not pass for clean."""
THINNING = "thinning"  # the row of ``meta`` that says so


class Job(Protocol):
    """What one commit adds."""

    @property
    def units(self) -> Sequence[Unit]: ...

    def write(self, connection: sqlite3.Connection) -> None:
        """In the writer thread, inside the transaction; must not change anything in memory."""
        ...

    def done(self) -> None:
        """In the event loop: durable."""
        ...

    def undone(self) -> None:
        """In the event loop: not durable, and it never will be by itself."""
        ...


class Nothing:
    """A job without rows of its own: only positions and ledger are to be saved."""

    units: Sequence[Unit] = ()

    def write(self, connection: sqlite3.Connection) -> None: ...

    def done(self) -> None: ...

    def undone(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """What a kind of store knows about its own rows. ``newest``: the newest stored units, the last one
    last."""

    newest: Callable[[sqlite3.Connection], list[Unit]]
    unit: Callable[[sqlite3.Connection, int], Unit | None]


@dataclass(slots=True)
class Opened:
    """What the writer thread found when it opened the file for the first time."""

    epoch: int = 0
    fault: str = ""  # a ledger reason, if the file was not as it should be
    positions: dict[str, Position] = field(default_factory=dict)
    oldest_ns: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    losses: list[Loss] = field(default_factory=list)
    next_loss: int = 1
    newest: list[Unit] = field(default_factory=list)
    last_run: tuple[int, int, int] | None = None  # epoch, started_ns, clean (see ``CLEAN``)
    known_epoch: int = 0  # of the run before, as told from outside the file
    claim: Claim | None = None  # what may be saved of it
    unchecked: bool = False  # the check was cut off
    thinned: bool = False  # the run before had readings waiting to be thinned

    @property
    def unclean(self) -> bool:
        """The run before left no clean mark, or not even a trace: then its log is gone."""
        epoch, _, clean = self.last_run or (0, 0, CLEAN)
        return clean not in (CLEAN, self.revision) or self.known_epoch > epoch

    @property
    def odd(self) -> bool:
        """Among the newest rows there are some that nobody wrote, though the mark is clean: the card lied."""
        return any(unit.seq < 1 or unit.epoch < 1 for unit in self.newest)

    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit, as handed to the writer thread."""

    revision: int
    job: Job
    positions: PositionRows
    ledger: LedgerRows
    run: tuple[int, str, int] | None
    clean: bool
    checkpoint: bool
    notes: tuple[tuple[str, str], ...]
    pages: int  # about how many it writes


@dataclass(frozen=True, slots=True)
class Outcome:
    error: LinesideError | None = None
    usage: Usage | None = None
    wal_left: int | None = None  # None: no checkpoint was made
    checkpoint_error: LinesideError | None = None


class Writer:
    """``epoch_of(seen)`` returns the epoch of this run, durable and above ``seen``; ``expected()`` tells
    whether the agent has run here before, so that a file that is not there is a loss; ``last_epoch()`` that
    run's epoch, 0 if only the file knows."""

    def __init__(
        self,
        path: Path,
        shape: Shape,
        head: Head,
        tuning: Tuning,
        epoch_of: Callable[[int], int],
        expected: Callable[[], bool],
        last_epoch: Callable[[], int],
    ) -> None:
        self._database = Database(path, shape, tuning)
        self._ballast = Ballast(path.parent)
        self._shape = shape
        self._head = head
        self._epoch_of = epoch_of
        self._expected = expected
        self._last_epoch = last_epoch

    def first_open(self) -> Opened:
        return self._with_ballast(self._first_open)

    def _with_ballast(self, work: Callable[[], T]) -> T:
        """Once more when a full disk was in the way and there was something to give up."""
        try:
            return work()
        except StorageFull:
            if not self._ballast.release():
                raise
            return work()

    def _first_open(self) -> Opened:
        opened = Opened(known_epoch=self._last_epoch())
        expected = self._expected()
        fresh = not self._database.exists() or (not expected and self._database.empty())
        if fresh and not expected:
            opened.known_epoch = 0  # what others know of the run before is not about this file
        try:
            self._database.open(fresh=fresh)
            try:
                self._read_all(opened)
            except (TypeError, ValueError, OverflowError) as error:  # rows of the right shape, but not ours
                raise StorageBroken(f"{self._database.path.name}: {error}") from error
            if not fresh and (opened.unclean or opened.odd):
                opened.unchecked = not self._database.check()
        except StorageBroken:
            seen = opened.last_run[0] if opened.last_run else 0
            name = self._database.set_aside()
            opened = Opened(
                fault="quarantined_database",
                last_run=opened.last_run,
                known_epoch=opened.known_epoch,
            )
            if self._shape is SAMPLES:
                opened.claim = survey(self._database.path.with_name(name), self._shape)
            opened.epoch = self._epoch_of(seen)
            self._database.open(fresh=True)
        else:
            if fresh and expected:
                opened.fault = "missing_database"
            seen = max([u.epoch for u in opened.newest] + [opened.last_run[0] if opened.last_run else 0])
            opened.epoch = self._epoch_of(seen)
        opened.usage = self._database.usage()
        return opened

    def _read_all(self, opened: Opened) -> None:
        with storage_errors(self._database.path):
            connection = self._database.connection
            opened.positions, opened.revision = load_positions(connection)
            opened.losses, opened.next_loss = load_losses(connection)
            opened.newest = self._head.newest(connection)
            noted = connection.execute("SELECT value FROM meta WHERE name = ?", (THINNING,)).fetchone()
            opened.thinned = noted is not None and bool(noted[0])
            run = connection.execute(
                "SELECT epoch, started_ns, clean FROM run ORDER BY epoch DESC LIMIT 1"
            ).fetchone()
            if run is not None:
                epoch, started_ns, clean = (n if isinstance(n, int) else 0 for n in run)
                opened.last_run = epoch, started_ns, clean
            for name, position in opened.positions.items():
                gap = next(position.settled.gaps(1, head_of(opened)), None)
                unit = self._head.unit(connection, gap[0]) if gap and name != STORE else None
                if unit is not None:
                    opened.oldest_ns[name] = unit.t0_ns

    def start_over(self, epoch: int) -> tuple[int, str]:
        """The new epoch, and the name under which the old file was set aside."""
        name = self._database.set_aside()
        return self._with_ballast(lambda: self._begin(epoch)), name

    def trim_aside(self, busy: Collection[str]) -> None:
        self._database.trim_aside(busy)

    def _begin(self, epoch: int) -> int:
        raised = self._epoch_of(epoch)
        self._database.open(fresh=True)
        return raised

    def reopen(self) -> int:
        """A full checkpoint first: frames whose fsync failed must not stay below new ones."""
        return self._with_ballast(self._reopen)

    def _reopen(self) -> int:
        self._database.open(fresh=False)
        self._database.checkpoint("TRUNCATE")
        with storage_errors(self._database.path):
            (revision,) = self._database.connection.execute("SELECT max(revision) FROM position").fetchone()
        return int(revision or 0)

    def execute(self, snapshot: Snapshot) -> Outcome:
        try:
            with self._database.transaction() as connection:
                if snapshot.run is not None:
                    connection.execute(
                        "INSERT OR REPLACE INTO run (epoch, boot_id, started_ns, clean) VALUES (?, ?, ?, 0)",
                        snapshot.run,
                    )
                snapshot.job.write(connection)
                snapshot.positions.write(connection)
                snapshot.ledger.write(connection)
                connection.executemany(
                    "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", snapshot.notes
                )
                if snapshot.clean:
                    connection.execute(
                        "UPDATE run SET clean = ? WHERE epoch = (SELECT max(epoch) FROM run)",
                        (snapshot.revision,),
                    )
        except LinesideError as error:
            if isinstance(error, StorageFull):  # so that the next try can delete and empty the log
                self._ballast.release()
            return Outcome(error)
        try:
            left = self._database.checkpoint() if snapshot.checkpoint else None
            return Outcome(None, self._database.usage(), left)
        except LinesideError as error:
            return Outcome(None, None, None, error)

    def answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with storage_errors(self._database.path):
            return question(self._database.connection)

    def shut(self) -> None:
        try:
            self._database.checkpoint("TRUNCATE")
        except StorageError:  # not open, or the disk refuses: the log is read again at the next start
            pass
        finally:
            self._database.close()


def head_of(opened: Opened) -> int:
    """The highest number ever given out, as far as anything in the file tells."""
    settled = [position.settled.last for position in opened.positions.values()]
    settled.append(opened.claim.last if opened.claim is not None else 0)
    if STORE in opened.positions:  # so many were given out, though the card may have forgotten the last ones
        settled.append(opened.positions[STORE].committed.segments)
    return max(
        [unit.seq for unit in opened.newest] + settled + [loss.to_seq or 0 for loss in opened.losses] + [0]
    )

"""One database with everything that belongs to it: its thread, its positions, its ledger, its health.

``Buffer`` and ``EventStore`` each own one and bring a ``Job`` per commit. The vault's life, seen from the
loop:

    ready()      settles what an earlier commit left open, opens or reopens the file, sets a broken one aside.
                 False while the disk refuses: the caller keeps what it has in memory and comes again.
    commit(job)  one transaction: the job's rows, all positions, the ledger. Then exactly one of
                 job.done() and job.undone() is called in the loop, even if the waiter was cancelled.
    close()      the last commit with the clean mark, a full checkpoint, the end of the thread

When COMMIT itself fails, nobody knows whether it holds. The job is then kept *in doubt*: the connection is
closed, and when the file can be opened again, the revision written with every commit tells which of the two
it was.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

from edge_agent.buffer.accounts import Accounts
from edge_agent.buffer.database import Tuning, Usage, check_beside
from edge_agent.buffer.holding import held_log
from edge_agent.buffer.ledger import Ledger, Loss
from edge_agent.buffer.memory import WINDOW_NS
from edge_agent.buffer.positions import Tally
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.salvage import NOTE as SALVAGE
from edge_agent.buffer.salvage import Claim, to_note
from edge_agent.buffer.tables import Shape
from edge_agent.buffer.worker import Worker
from edge_agent.buffer.writer import Head, Job, Nothing, Opened, Outcome, Snapshot, Writer, head_of
from edge_agent.clock import Clock
from edge_agent.errors import LinesideError, StorageBroken, StorageError, StorageFull, StorageReadOnly

T = TypeVar("T")
_TIGHT_PAGES = 256
_STALLED_S = 10.0
_HELD = 0.8  # of the log's limit: there is one more commit before it is reached
_PAGE_WRITTEN = 4096 + 24  # a frame of the log
COMMIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Vault:
    """See the top of this file. ``epoch_of(seen)`` runs in the writer thread and returns the epoch of this
    run, durable and above ``seen``; ``expected()`` tells there whether the agent has run here before."""

    def __init__(
        self,
        path: Path,
        shape: Shape,
        head: Head,
        clock: Clock,
        *,
        epoch_of: Callable[[int], int],
        expected: Callable[[], bool],
        last_epoch: Callable[[], int] = int,
        tuning: Tuning,
    ) -> None:
        self.ledger = Ledger(clock.mono_ns)
        self.written_bytes = 0  # by our commits and checkpoints, estimated
        self.accounts = Accounts(self.ledger)
        self.epoch = 0
        self.generation = 0
        self.usage = Usage()
        self.reason = "not opened yet"
        self.set_aside = 0
        self.commits = 0
        self.checkpoints = 0
        self.last_commit_ns: int | None = None
        self.last_commit_s = 0.0
        self.commit_counts = [0] * (len(COMMIT_SECONDS) + 1)
        self.commit_seconds = 0.0
        self.full = False
        self.read_only = False
        self.tight = False  # little room on the disk: the log is kept short
        self._writer = Writer(path, shape, head, tuning, epoch_of, expected, last_epoch)
        self._path = path
        self._closing = False
        self._clock = clock
        self._tuning = tuning
        self._worker = Worker(f"{path.name} writer")
        self._names: tuple[str, ...] = ()
        self._loaded = False
        self._reopen = False
        self._broken = ""
        self.claims: list[Claim] = []  # on databases set aside in this run, not yet anybody's business
        self._notes: dict[str, str] = {}
        self._run: tuple[int, str, int] | None = None
        self._revision = 0
        self._pending: asyncio.Future[Outcome] | None = None
        self._doubt: Snapshot | None = None
        self._wal_pages = 0
        self._next_checkpoint_ns = clock.mono_ns() + int(tuning.checkpoint_s * 1e9)
        self._saved_ns = clock.mono_ns()

    @property
    def degraded(self) -> bool:
        return bool(self.trouble)

    @property
    def trouble(self) -> str:
        """Why the disk takes nothing at the moment; "" if it does."""
        if not self.reason and self._worker.waiting_s > _STALLED_S:
            return f"the disk has not answered for {self._worker.waiting_s:.0f} s"
        return self.reason

    @property
    def loaded(self) -> bool:
        return self._loaded

    @property
    def broken(self) -> bool:
        """Known to be broken and not yet exchanged: nothing that is read now may be believed."""
        return bool(self._broken)

    @property
    def unsaved_s(self) -> float:
        """How long a change of positions or ledger has been waiting at most."""
        return (self._clock.mono_ns() - self._saved_ns) / 1e9

    @property
    def dirty(self) -> bool:
        return self.accounts.dirty or self.ledger.dirty or self._run is not None or bool(self._notes)

    async def ready(self) -> bool:
        if self._pending is not None and not self._pending.done():
            await asyncio.wait([self._pending])
        try:
            for _ in range(2):  # a reopened file may turn out to be broken
                if self._broken:
                    await self._replace()
                elif not self._loaded:
                    await self._load()
                elif self._reopen:
                    await self._reconnect()
                else:
                    break
        except StorageError as error:
            self._fail(error)
            return False
        if not self._loaded or self._reopen or self._broken:
            return False
        if set(self._names) != set(self.accounts.uplinks):
            now_ns = self._clock.time_ns()
            self.accounts.register(self._names, self.epoch, now_ns, now_ns)
        return True

    async def commit(
        self, job: Job, *, clean: bool = False, checkpoint: bool = False, pages: int = 0
    ) -> bool:
        """``ready`` must have said yes, and only one caller at a time: the owner holds a lock. ``pages``:
        about how many the job's own rows take."""
        self._wal_pages += pages + 6
        usual = self._tuning.checkpoint_from_pages
        most = min(usual, _TIGHT_PAGES) if self.tight else usual
        due = self._wal_pages >= most or self._clock.mono_ns() >= self._next_checkpoint_ns
        snapshot = self._snapshot(job, clean, checkpoint or due, pages + 6)
        began_ns = self._clock.mono_ns()
        future = self._pending = self._worker.submit(lambda: self._writer.execute(snapshot))
        future.add_done_callback(lambda outcome: self._finish(snapshot, outcome, began_ns))
        return (await asyncio.shield(future)).error is None

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Reads on the writer's own connection, between commits. Raises StorageError."""
        try:
            return await self._worker.run(lambda: self._writer.answer(question))
        except StorageBroken as error:
            self.suspect(str(error))
            raise

    async def run(self, job: Callable[[], T]) -> T:
        """Work for the writer thread that is not about the database."""
        return await self._worker.run(job)

    def note(self, name: str, text: str) -> None:
        """A row of ``meta``, written with the next commit."""
        self._notes[name] = text

    async def trim_aside(self, busy: Collection[str]) -> None:
        """Deletes what was set aside and is too large to be kept. Raises StorageError."""
        await self._worker.run(lambda: self._writer.trim_aside(busy))

    def want(self, names: Iterable[str]) -> None:
        """Positions for exactly these uplinks, from the next ``ready`` on; written with the next commit."""
        self._names = tuple(dict.fromkeys(names))

    def uplink_info(self, name: str) -> dict[str, Any]:
        position = self.accounts.uplinks[name]
        out: dict[str, Any] = {
            "pending_segments": position.pending_segments,
            "pending_samples": position.pending_samples,
            "oldest_pending_ns": self.accounts.oldest_pending_ns(name),
        }
        for kind in ("committed", "acknowledged", "quarantined", "lost"):
            tally: Tally = getattr(position, kind)
            out |= {f"{kind}_segments": tally.segments, f"{kind}_samples": tally.samples}
        for kind in ("acknowledged", "lost"):
            start: Tally = getattr(position, f"start_{kind}")
            out[f"{kind}_segments_since_start"] = out[f"{kind}_segments"] - start.segments
            out[f"{kind}_samples_since_start"] = out[f"{kind}_samples"] - start.samples
        return out

    def suspect(self, reason: str) -> None:
        """A reader found the file broken: the next ``ready`` sets it aside."""
        self._broken = self._broken or reason

    async def close(self) -> None:
        """Ends the thread after a full checkpoint. The caller has committed with ``clean`` before."""
        self._closing = True
        try:
            async with asyncio.timeout(10):  # a card that hangs must not keep the agent from stopping
                await self._worker.run(self._writer.shut)
        except TimeoutError:
            pass
        finally:
            self._worker.stop()

    # -- in the event loop

    def _snapshot(self, job: Job, clean: bool, checkpoint: bool, pages: int) -> Snapshot:
        self._revision += 1
        snapshot = Snapshot(
            self._revision,
            job,
            self.accounts.rows(self._revision, job.units),
            self.ledger.rows(),
            self._run,
            clean,
            checkpoint,
            tuple(self._notes.items()),
            pages,
        )
        self.accounts.dirty = False
        self._saved_ns = self._clock.mono_ns()
        return snapshot

    def _finish(self, snapshot: Snapshot, future: asyncio.Future[Outcome], began_ns: int) -> None:
        if future.cancelled():
            return
        error = future.exception()
        outcome = Outcome(StorageError(f"{error!r}")) if error is not None else future.result()
        if outcome.error is not None:
            self.accounts.dirty = True
            if isinstance(outcome.error, StorageBroken):
                snapshot.job.undone()
                self.suspect(str(outcome.error))
            else:
                self._doubt = snapshot
            self._fail(outcome.error)
            return
        self.written_bytes += snapshot.pages * _PAGE_WRITTEN
        self._measure((self._clock.mono_ns() - began_ns) / 1e9)
        self._held(snapshot)
        if outcome.usage is not None:
            self.usage = outcome.usage
        if outcome.wal_left is not None:
            self.checkpoints += 1
            self.written_bytes += max(self._wal_pages - outcome.wal_left, 0) * 4096
            self._wal_pages = outcome.wal_left
            self._next_checkpoint_ns = self._clock.mono_ns() + int(self._tuning.checkpoint_s * 1e9)
            self._watch_log(outcome.wal_left)
        self.reason, self.full, self.read_only = "", False, False
        if outcome.checkpoint_error is not None:
            self._fail(outcome.checkpoint_error)

    def _watch_log(self, left: int) -> None:
        """A reader that never ends its transaction keeps the log from being used again, and nobody can cut it
        off. Before the log passes its limit the store moves: the reader keeps the old file, set aside, and
        what is not delivered comes back from it."""
        if left and self.usage.wal_bytes >= self._tuning.journal_limit_bytes * _HELD:
            self.suspect(held_log(self._path, self.usage.wal_bytes))

    def _held(self, snapshot: Snapshot) -> None:
        """The commit is durable: memory follows."""
        self.accounts.committed(snapshot.job.units)
        self.accounts.saved(snapshot.positions)
        self.ledger.saved(snapshot.ledger)
        if snapshot.run is not None:
            self._run = None
        for name, text in snapshot.notes:
            if self._notes.get(name) == text:
                del self._notes[name]
        self.last_commit_ns = self._clock.time_ns()
        self.commits += 1
        snapshot.job.done()

    def _fail(self, error: LinesideError) -> None:
        self.reason = str(error)
        self.full = isinstance(error, StorageFull)
        self.read_only = isinstance(error, StorageReadOnly)
        self._reopen = self._loaded

    def _measure(self, seconds: float) -> None:
        self.last_commit_s = seconds
        self.commit_seconds += seconds
        self.commit_counts[sum(seconds > bound for bound in COMMIT_SECONDS)] += 1

    async def _load(self) -> None:
        opened = await self._worker.run(self._writer.first_open)
        now_ns = self._clock.time_ns()
        self.epoch, self.usage, self._revision = opened.epoch, opened.usage, opened.revision
        self.ledger.load(opened.losses, opened.next_loss)
        self.accounts.load(opened.positions, head_of(opened))
        if opened.claim is not None:  # its numbers are taken: ours come after them
            self.accounts.store.settled.add(1, opened.claim.last)
            self._claim(opened.claim)
        self.accounts.remember(opened.newest)
        for name, oldest_ns in opened.oldest_ns.items():
            self.accounts.uplinks[name].oldest_ns = oldest_ns
        lost_epoch, since_ns = _last_sign(opened)
        if opened.fault:
            self.set_aside += opened.fault != "missing_database"
            self.ledger.record(Loss(opened.fault, lost_epoch, None, None, None, None, since_ns, now_ns))
        elif opened.unclean:
            self.ledger.record(Loss("unclean_stop", lost_epoch, None, None, None, None, since_ns, now_ns))
        self.accounts.register(self._names, self.epoch, now_ns, since_ns)
        self._run = (self.epoch, self._clock.boot_id, now_ns)
        self._loaded, self.reason = True, ""
        self.generation += 1
        if opened.unchecked:
            self._check_beside()
        await self.commit(Nothing())

    async def _reconnect(self) -> None:
        """After a failure. What was in doubt is decided before anything new is written."""
        try:
            revision = await self._worker.run(self._writer.reopen)
        except StorageBroken as error:
            self.suspect(str(error))
            return
        self._reopen = False
        snapshot, self._doubt = self._doubt, None
        if snapshot is not None and revision >= snapshot.revision:
            self._held(snapshot)
        elif snapshot is not None:
            snapshot.job.undone()
        self.reason = ""

    async def _replace(self) -> None:
        """Sets the file aside while running and goes on with an empty one under a new epoch."""
        if self._doubt is not None:
            self._doubt.job.undone()
            self._doubt = None
        if not self._loaded:
            self._broken = ""
            return
        detail, now_ns, lost_epoch = self._broken, self._clock.time_ns(), self.epoch
        self.epoch, name = await self._worker.run(lambda: self._writer.start_over(lost_epoch))
        self._broken, self._reopen = "", False
        self.generation += 1
        self.set_aside += 1
        self.ledger.restart()
        oldest = [
            ns for name in self.accounts.uplinks if (ns := self.accounts.oldest_pending_ns(name)) is not None
        ]
        self._claim(Claim(name, 1, self.accounts.head, True, self._open_ranges(), dict(self.accounts.booked)))
        self.accounts.lose_all("quarantined_database", lost_epoch, min(oldest, default=now_ns), now_ns)
        self._run = (self.epoch, self._clock.boot_id, now_ns)
        self._wal_pages = 0
        if not await self.commit(Nothing()):
            self.reason = self.reason or detail

    def _check_beside(self) -> None:
        """The check that was cut off, in a thread that ends with it."""
        worker, generation = Worker(f"{self._path.name} check"), self.generation
        checking = worker.submit(lambda: check_beside(self._path, lambda: self._closing))
        worker.stop()

        def told(future: asyncio.Future[str]) -> None:
            if not future.cancelled() and future.exception() is None and future.result():
                if generation == self.generation:
                    self.suspect(future.result())

        checking.add_done_callback(told)

    def _open_ranges(self) -> dict[str, tuple[Range, ...]]:
        uplinks = self.accounts.uplinks.items()
        return {name: tuple(position.settled.gaps(1, self.accounts.head)) for name, position in uplinks}

    def _claim(self, claim: Claim) -> None:
        self.claims.append(claim)
        self.note(SALVAGE, to_note(self.claims))


def _last_sign(opened: Opened) -> tuple[int, int]:
    """Epoch of the run before, and since when data may be missing: when it last committed anything; 0, since
    whenever, of a file that is gone or cannot be believed."""
    epoch, started_ns, _ = opened.last_run or (opened.epoch - 1, 0, 1)
    if opened.fault:
        return max(epoch, opened.known_epoch), 0
    mine = [unit.t1_ns for unit in opened.newest if unit.epoch == epoch]
    last_ns = max(mine) if mine else min([started_ns, *(unit.t1_ns for unit in opened.newest[-1:])])
    waiting_ns = WINDOW_NS if opened.thinned else 0
    return max(epoch, opened.known_epoch), last_ns - waiting_ns

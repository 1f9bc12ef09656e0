"""``Buffer``: the samples' store. What the agent and forwarding see of it; everything here runs in the
event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.buffer.aside import Aside
from edge_agent.buffer.database import PAGE, Tuning
from edge_agent.buffer.delivery import Delivery
from edge_agent.buffer.history import Recall, chosen
from edge_agent.buffer.ledger import Loss
from edge_agent.buffer.memory import Memory, groups
from edge_agent.buffer.naming import OwnNames, SharedNames
from edge_agent.buffer.opening import Opening
from edge_agent.buffer.positions import Unit
from edge_agent.buffer.reader import Reader
from edge_agent.buffer.retention import Retention
from edge_agent.buffer.room import Room
from edge_agent.buffer.rows import OUTLINE, Encoded, Flush, newest_units, unit_of
from edge_agent.buffer.salvage import Salvage
from edge_agent.buffer.segment import Codec
from edge_agent.buffer.stamps import Offset, Stamps
from edge_agent.buffer.tables import SAMPLES
from edge_agent.buffer.thinning import Gone
from edge_agent.buffer.vault import COMMIT_SECONDS, Vault
from edge_agent.buffer.walk import DAY_NS, Walk
from edge_agent.buffer.writer import THINNING, Head, Nothing
from edge_agent.clock import Clock
from edge_agent.config.model import BufferConfig, TagRef
from edge_agent.config.selection import Selection
from edge_agent.errors import StorageError
from edge_agent.model import Batch
from edge_agent.uplink import Envelope, Key, Lane, Stream

_SAVE_POSITIONS_S = 10.0


class Buffer:
    """Keeps every batch until all uplinks have settled it, and as history after that until the quota.

    ``append`` never blocks and never fails; ``flush`` is called by the agent every ``config.flush_s`` and
    never raises for the disk: while it refuses, ``info()["state"]`` is ``degraded`` and batches wait in
    memory, at most ``config.memory_bytes`` of them. Implements forwarding's ``Store``.

    Counters since start: ``appended_samples`` = ``committed_samples`` + ``in_memory_samples`` +
    ``lost_samples``. Per uplink, for ever: committed = acknowledged + pending + quarantined + lost
    (``info()["uplinks"]``).
    """

    def __init__(
        self,
        directory: Path,
        config: BufferConfig,
        clock: Clock,
        tuning: Tuning,
        name: str,
        stream: Stream,
        beside: Buffer | None,
    ) -> None:
        """Use ``open``."""
        self.appended_samples = 0
        self.committed_samples = 0
        self.lost_samples = 0
        self.config = config
        self._memory = Memory(config.memory_bytes)
        self._clock = clock
        self._stream = stream
        self._names: OwnNames | SharedNames = OwnNames(directory, clock)
        if beside is not None:
            mark = (directory / name).with_suffix(".made")
            self._names = SharedNames(lambda: beside.agent, lambda: beside.epoch, mark)
        self._stored_schemas: set[str] = set()
        self._codec = Codec()
        self._watchers: list[Callable[[], None]] = []
        self._lock = asyncio.Lock()
        self._closed = False
        self._stamps = Stamps(clock, config.hold_s)
        self._salvage = Salvage(directory, name)
        self._flushing_since_ns: int | None = None
        path = directory / name
        self._vault = Vault(
            path,
            SAMPLES,
            Head(newest_units, unit_of),
            clock,
            epoch_of=self._names.raise_epoch,
            expected=self._names.expected,
            last_epoch=self._names.last_epoch,
            tuning=tuning,
        )
        self._retention = Retention(self._vault, f"{OUTLINE} WHERE seq BETWEEN ? AND ?")
        self._room = Room(
            directory, self._vault, self._retention, config.quota_bytes, config.free_bytes,
            thins=self._stream is Stream.SAMPLES,
        )  # fmt: skip
        self._reader = Reader(path)
        self._delivery = Delivery(
            stream, self._vault, self._reader, self._retention, clock, lambda: self._closed
        )
        self._opening = Opening(
            self._vault,
            self._reader,
            self._stamps,
            self._salvage,
            another=self._forget,
            selected_anew=self._delivery.forget,
        )
        self.aside = Aside(self._vault, OUTLINE, stream, self._save, self._pending_again)

    @classmethod
    async def open(
        cls,
        directory: Path,
        config: BufferConfig,
        clock: Clock,
        uplinks: Mapping[str, Selection] | Iterable[str],
        *,
        tuning: Tuning | None = None,
        name: str = "buffer.db",
        stream: Stream = Stream.SAMPLES,
        beside: Buffer | None = None,
    ) -> Buffer:
        """Never raises for a damaged, missing or unwritable store: a broken file is set aside; a disk that
        refuses leaves the buffer degraded, and every flush tries again.

        ``beside``: the samples' buffer of the same directory, opened before; a second buffer has its agent id
        and its epoch, and takes nothing to disk before that epoch is known."""
        buffer = cls(directory, config, clock, tuning or Tuning(), name, stream, beside)
        buffer._opening.want(uplinks)
        await buffer._opening.ready()
        return buffer

    @property
    def stream(self) -> str:
        return self._stream

    @property
    def agent(self) -> str:
        """32 hex digits; "" while the state directory can neither be read nor written."""
        return self._names.agent

    @property
    def epoch(self) -> int:
        """0 until the store could be opened."""
        return self._vault.epoch

    @property
    def written_bytes(self) -> int:
        """By commits and checkpoints since start, estimated."""
        return self._vault.written_bytes

    @property
    def in_memory_samples(self) -> int:
        return self._memory.samples

    def append(self, batch: Batch) -> None:
        """Takes a batch into memory; beyond ``memory_bytes`` the oldest unflushed ones are dropped, with a
        ledger row."""
        self.appended_samples += batch.samples
        since_ns = self._flushing_since_ns
        if since_ns is not None and self._clock.mono_ns() - since_ns > self.config.flush_s * 1e9:
            self._memory.behind = self._stream is Stream.SAMPLES
        self._lose(self._memory.append(batch))

    async def flush(self) -> None:
        """One commit for everything in memory, all positions and deletions. Watchers hear of it
        afterwards."""
        if self._closed:
            return
        async with self._lock:
            await self._flush()

    def _pending_again(self) -> None:
        """A unit of the newest flush may not be in memory any more: all of it is backlog now."""
        self._delivery.forget()
        for callback in tuple(self._watchers):
            callback()

    async def _save(self) -> None:
        async with self._lock:
            await self._flush(force=True)

    async def take(self, uplink: str, lane: Lane, *, max_items: int, max_samples: int) -> Sequence[Envelope]:
        if uplink not in self._vault.accounts.uplinks or max_items < 1 or not self._opening.may_send:
            return ()
        found = await self._delivery.take(uplink, lane, max_items, max_samples)
        return self._stamps.corrected(found) if self._opening.may_send else ()

    def history(
        self,
        device: str | None,
        group: str | None,
        start_ns: int,
        end_ns: int,
        *,
        tags: Collection[TagRef] | None = None,
    ) -> Recall:
        """Batches with start <= ``time_ns`` < end, oldest first: those on disk and those still in memory, as
        of this call. None: of any device, any poll group; ``tags``: only of groups that hold one of them."""
        vault = self._vault
        wanted = chosen(device, group, tags)
        held = [batch for batch in self._memory.held() if start_ns <= batch.time_ns < end_ns]
        walk = Walk(
            start_ns,
            end_ns,
            wanted,
            last=vault.accounts.head,
            memory=held,
            epoch=vault.epoch,
            behind_ns=DAY_NS if self._stream is Stream.PERIODS else 0,
        )
        return Recall(walk, vault, self._reader, lambda: self._closed)

    def acknowledge(self, uplink: str, keys: Sequence[Key]) -> None:
        for key in keys:
            if key.stream == self.stream:
                self._vault.accounts.acknowledge(uplink, key.seq, key.epoch)
        self._delivery.settled()

    def quarantine(self, uplink: str, key: Key, reason: str) -> None:
        if key.stream == self.stream:
            self._vault.accounts.quarantine(uplink, key.seq, key.epoch, reason, self._clock.time_ns())

    def watch(self, callback: Callable[[], None]) -> None:
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(ValueError):
            self._watchers.remove(callback)

    async def register(self, uplinks: Mapping[str, Selection] | Iterable[str]) -> None:
        """After a reload: a removed uplink's data is written off in the ledger, a new one starts here: it
        gets what is committed from now on, the batches in memory included. Another selection counts for
        what is not settled as well: what it leaves out from now on is written off."""
        async with self._lock:
            self._opening.want(uplinks)
            await self._flush(force=True)

    def unreported_losses(self) -> list[Loss]:
        """Durable ledger rows nobody has been told of. Commit an event for each (``loss_event``), then call
        ``mark_reported``; after a crash in between they come again. Cheap: call it after every flush."""
        return self._vault.ledger.unreported()

    def mark_reported(self, losses: Iterable[Loss]) -> None:
        self._vault.ledger.mark(losses)

    def unreported_corrections(self) -> list[Offset]:
        """As ``unreported_losses``: of clocks set after data had been stored (``correction_event``)."""
        return self._stamps.unreported()

    def mark_corrections(self, offsets: Iterable[Offset]) -> None:
        self._stamps.mark(offsets)

    def info(self) -> dict[str, Any]:
        """From memory only, as plain data. ``commit_seconds``: bucket bounds and counts, not cumulative."""
        vault, accounts = self._vault, self._vault.accounts
        return {
            "state": "degraded" if vault.degraded else "ok",
            "reason": vault.trouble,
            "epoch": vault.epoch,
            "head": accounts.head,
            "segments": accounts.store.pending_segments,
            "samples": accounts.store.pending_samples,
            "bytes": vault.usage.used_bytes,
            "file_bytes": vault.usage.file_bytes,
            "wal_bytes": vault.usage.wal_bytes,
            **self._room.outlook(self._clock.mono_ns()),
            "waits_for_clock": self._stamps.holding,
            "memory_batches": self._memory.batches,
            "memory_bytes": self._memory.bytes,
            "appended_samples": self.appended_samples,
            "committed_samples": self.committed_samples,
            "in_memory_samples": self.in_memory_samples,
            "lost_samples": self.lost_samples,
            "corrupt_segments": self._delivery.corrupt,
            "flushes": vault.commits,
            "last_flush_ns": vault.last_commit_ns,
            "last_flush_s": vault.last_commit_s,
            "commit_seconds": {
                "bounds": COMMIT_SECONDS,
                "counts": tuple(vault.commit_counts),
                "sum": vault.commit_seconds,
            },
            "checkpoints": vault.checkpoints,
            "databases_set_aside": vault.set_aside,
            "salvaging": [claim.file for claim in self._salvage.claims],
            "salvaged_samples": vault.ledger.salvaged,
            "salvage_rejected": self._salvage.rejected,
            "losses": {"samples": dict(vault.ledger.samples), "unknown_extent": dict(vault.ledger.unknown)},
            "uplinks": {name: vault.uplink_info(name) for name in accounts.uplinks},
        }

    async def close(self) -> None:
        """Final flush and checkpoint, and the mark that tells the next start that nothing was lost.
        Idempotent; bounded even if the disk hangs."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(10), self._lock:
                await self._flush(force=True)
                if self._memory.empty and await self._opening.ready():
                    await self._vault.commit(Nothing(), clean=True)
                await self._reader.release()
        except TimeoutError:
            pass
        self._reader.stop()
        self._salvage.stop()
        await self._vault.close()

    # -- flushing

    def _forget(self) -> None:
        self._stored_schemas.clear()
        self._retention.forget()
        self._room.forget()
        self._delivery.forget()

    async def _flush(self, *, force: bool = False) -> None:
        memory = self._memory
        self._flushing_since_ns = self._clock.mono_ns()
        try:
            self._lose(memory.settle(self._flushing_since_ns, everything=self._closed))
            await self._flush_waiting(force)
            if memory.behind and not self._vault.degraded:  # the disk is back: what was held for thinning
                memory.behind = False
                self._lose(memory.settle(self._flushing_since_ns))
                await self._flush_waiting(force)
        finally:
            self._flushing_since_ns = None
            memory.behind = self._vault.degraded and self._stream is Stream.SAMPLES

    async def _flush_waiting(self, force: bool) -> None:
        for _ in range(2):  # a second time with a reopened, shrunk or new file
            if not await self._opening.ready():
                return
            vault = self._vault
            waited = vault.unsaved_s >= _SAVE_POSITIONS_S
            if (
                not self._memory.waiting
                and not vault.ledger.dirty
                and not self._stamps.due
                and not self._salvage.waiting
                and not (vault.dirty and (waited or force))
            ):
                return
            if await self._flush_once():
                return

    async def _flush_once(self) -> bool:
        flying = self._memory.take_off()
        vault = self._vault
        try:
            encoded = await vault.run(lambda: self._prepare(flying))
            last = min(self._delivery.newest, vault.accounts.head) - 1
            incoming = sum(len(e.body or b"") for e in encoded)
            await self._room.make(incoming, last, self._clock.mono_ns())
            self._set_thinning(self._room.thinning)
        except BaseException as error:
            self._lose(self._memory.back())
            if isinstance(error, StorageError):
                return False
            raise
        job = self._job(encoded)
        pages = sum(len(e.body or b"") // PAGE + 1 for e in job.segments)
        return await self._vault.commit(job, pages=pages)

    def _set_thinning(self, thinning: bool) -> None:
        if thinning is not self._memory.thinning:
            self._memory.thinning = thinning
            self._vault.note(THINNING, "1" if thinning else "")

    def _prepare(self, flying: Sequence[Batch]) -> list[Encoded]:
        """In the writer thread."""
        self._room.survey()
        out = []
        for batches in groups(flying):
            try:
                body = self._codec.encode(batches)
            except ValueError:
                body = None
            samples = sum(batch.samples for batch in batches)
            out.append(Encoded(batches[0].schema, batches, samples, body))
        return out

    def _job(self, encoded: Sequence[Encoded]) -> Flush:
        vault = self._vault
        segments = [e for e in encoded if e.body is not None]
        if self._stream is Stream.SAMPLES:  # a period's time is a place in the calendar
            self._stamps.notice(batch for e in segments for batch in e.batches)
        vault.accounts.choices.learn(e.schema for e in segments)
        units = [
            Unit(
                seq,
                vault.epoch,
                e.samples,
                min(b.time_ns for b in e.batches),
                max(b.time_ns for b in e.batches),
                e.schema.digest,
            )
            for seq, e in enumerate(segments, start=vault.accounts.head + 1)
        ]
        new = {e.schema.digest: e.schema for e in segments if e.schema.digest not in self._stored_schemas}
        schemas = [(digest, json.dumps(s.as_dict(), ensure_ascii=False)) for digest, s in new.items()]
        unfit = [e for e in encoded if e.body is None]
        return Flush(
            vault.epoch,
            units,
            segments,
            unfit,
            self._retention.doomed,
            schemas,
            self._stamps.unsaved,
            self._salvage.page(),
            self._flushed,
            self._returned,
        )

    def _flushed(self, job: Flush) -> None:
        """The commit holds."""
        self._memory.landed()
        self.committed_samples += sum(unit.samples for unit in job.units)
        for segment in job.unfit:
            self._lose([Gone.of("unencodable", segment.batches)])
        self._retention.deleted(job.deleted)
        self._stamps.saved(job.offsets)
        self._opening.put_back(job.saved)
        self._stored_schemas.update(digest for digest, _ in job.schemas)
        if job.units:
            self._delivery.newest = job.units[0].seq
            self._delivery.live = [
                Envelope(Key(self.stream, u.epoch, u.seq), Lane.LIVE, u.samples, s.schema, s.batches)
                for u, s in zip(job.units, job.segments, strict=True)
            ]
            for callback in tuple(self._watchers):
                callback()

    def _returned(self, job: Flush) -> None:
        """The commit does not hold; what it was to delete, the next one deletes."""
        self._lose(self._memory.back())

    # -- losing

    def _lose(self, gone: Iterable[Gone]) -> None:
        """Lost before it had a number."""
        for one in gone:
            self.lost_samples += one.samples
            self._vault.ledger.record(
                Loss(one.reason, self.epoch, None, None, None, one.samples, one.t0_ns, one.t1_ns)
            )

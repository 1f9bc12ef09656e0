"""``EventStore``: events and the windows' states in ``events.db``, each commit at once and in one
transaction.

Small and rare, hence simpler than the samples: no memory window, no reader thread, no compression.
Annunciation does not wait for it: an event the disk refuses is kept in memory, in order, and goes out with
the next commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from edge_agent.buffer.aside import Aside
from edge_agent.buffer.database import Tuning, storage_errors
from edge_agent.buffer.epoch import write_durably
from edge_agent.buffer.event_rows import (
    OUTLINE,
    RECENT,
    Commit,
    Entry,
    newest_units,
    read,
    search,
    state_and_recent,
    unit_of,
    weight,
    without_series,
)
from edge_agent.buffer.ledger import Loss
from edge_agent.buffer.positions import Unit
from edge_agent.buffer.ranges import Range
from edge_agent.buffer.retention import Retention, limited
from edge_agent.buffer.room import Room
from edge_agent.buffer.tables import EVENTS
from edge_agent.buffer.vault import COMMIT_SECONDS, Vault
from edge_agent.buffer.writer import Head, Nothing
from edge_agent.clock import Clock
from edge_agent.errors import StorageError
from edge_agent.model import Event
from edge_agent.uplink import Envelope, Key, Lane, Stream

_WAITING = 10_000
_SURVEY_EVERY_NS = 10_000_000_000
_SAVE_POSITIONS_S = 10.0
_MISSING = 10_000  # numbers without a row, written off per look


class EventStore:
    """Implements forwarding's ``Store`` for the stream ``event``; one event is one unit and counts as one
    sample.

    ``epoch`` is the samples' epoch of this run: open the ``Buffer`` first.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        epoch: int,
        quota_rows: int,
        quota_bytes: int,
        free_bytes: int | None,
        tuning: Tuning,
    ) -> None:
        """Use ``open``."""
        self.committed_samples = 0
        self.lost_samples = 0
        self._clock = clock
        self._quota_rows = quota_rows
        self._waiting: deque[Entry] = deque()
        self._flying: list[Entry] = []
        self._states: dict[str, Any] = {}
        self._changed: dict[str, Any] = {}
        self._recent: deque[tuple[Key, Event]] = deque(maxlen=RECENT)
        self._live: list[Envelope] = []
        self._newest = 0
        self._corrupt = 0
        self._generation = 0
        self._read_states = False
        self._closed = False
        self._watchers: list[Callable[[], None]] = []
        self._lock = asyncio.Lock()
        mark = directory / "events.made"
        self._vault = Vault(
            directory / "events.db",
            EVENTS,
            Head(newest_units, unit_of),
            clock,
            epoch_of=lambda seen: _begun(
                mark, max(epoch, seen)
            ),  # numbers go on within a file: no key repeats
            expected=mark.exists,
            last_epoch=lambda: max(epoch - 1, 0),
            tuning=tuning,
        )
        self._retention = Retention(self._vault, f"{OUTLINE} WHERE seq BETWEEN ? AND ?")
        self._room = Room(directory, self._vault, self._retention, quota_bytes, free_bytes)
        self._survey_ns = 0
        self.aside = Aside(self._vault, OUTLINE, Stream.EVENT, self._save)

    @classmethod
    async def open(
        cls,
        directory: Path,
        clock: Clock,
        uplinks: Iterable[str],
        epoch: int,
        *,
        quota_rows: int = 100_000,
        quota_bytes: int = 200_000_000,
        free_bytes: int | None = None,
        tuning: Tuning | None = None,
    ) -> EventStore:
        """Never raises for a damaged, missing or unwritable store (as ``Buffer.open``). Beyond either quota
        the oldest go, those that nobody waits for first."""
        store = cls(directory, clock, epoch, quota_rows, quota_bytes, free_bytes, tuning or Tuning())
        store._vault.want(uplinks)
        await store._ready()
        return store

    @property
    def stream(self) -> str:
        return Stream.EVENT

    @property
    def epoch(self) -> int:
        return self._vault.epoch

    @property
    def written_bytes(self) -> int:
        """As ``Buffer.written_bytes``."""
        return self._vault.written_bytes

    @property
    def in_memory_samples(self) -> int:
        """Events the disk has not taken yet."""
        return len(self._waiting) + len(self._flying)

    async def commit(self, events: Sequence[Event], window_states: Mapping[str, Any]) -> Sequence[Key]:
        """Events and the given windows' states (JSON-able; others stay as they are; None: that row goes) in
        one transaction. Returns the keys of ``events``, or () if the disk refused: they are kept and go with
        the next ``commit`` or ``retry``."""
        entries = [Entry(event) for event in events]
        self._waiting.extend(entries)
        self._changed.update(window_states)
        _follow(self._states, window_states)
        self._drop_beyond_limit()
        await self.retry()
        keys = [entry.key for entry in entries if entry.key is not None]
        return keys if len(keys) == len(entries) else ()

    async def retry(self) -> None:
        """Commits what waits: events, states, and positions older than ten seconds. Call it every few
        seconds."""
        if not self._closed:
            async with self._lock:
                await self._commit_waiting()

    async def _save(self) -> None:
        async with self._lock:
            await self._commit_waiting(force=True)

    def window_states(self) -> dict[str, Any]:
        """The newest state of every window, as of the last commit before the start and updated since."""
        return dict(self._states)

    def recent(self, count: int) -> Sequence[tuple[Key, Event]]:
        """The newest events, newest first, without series of samples; at most two hundred are at hand."""
        return list(islice(reversed(self._recent), count))

    async def history(
        self, start_ns: int, end_ns: int, kinds: Collection[str] | None = None, limit: int = 1000
    ) -> list[Event]:
        """start <= ``time_ns`` < end, oldest first; of more than ``limit`` the newest. Those the disk has not
        taken yet are among them; where it cannot be read, only those. Reads page by page between commits."""
        entries = (*self._flying, *self._waiting)
        out = [
            e.event
            for e in reversed(entries)
            if start_ns <= e.event.time_ns < end_ns and (kinds is None or e.event.kind in kinds)
        ][:limit]
        vault = self._vault
        generation, before = vault.generation, vault.accounts.head + 1
        while len(out) < limit and vault.loaded and generation == vault.generation and not self._closed:
            room, upto = limit - len(out), before
            try:
                found, following = await vault.ask(
                    lambda c: search(c, start_ns, end_ns, kinds, upto, room)  # noqa: B023 - awaited here
                )
            except StorageError:
                break
            out += [event for event in found if event is not None]
            if following is None:
                break
            before = following
        out.reverse()
        return out

    async def take(self, uplink: str, lane: Lane, *, max_items: int, max_samples: int) -> Sequence[Envelope]:
        """As ``Store.take``; samples in an event's series count towards ``max_samples``."""
        position = self._vault.accounts.uplinks.get(uplink)
        if position is None or max_items < 1:
            return ()
        if lane is Lane.LIVE:
            live = [e for e in self._live if e.key.seq not in position.settled]
            return live[: limited((weight(e.event) for e in live), max_items, max_samples)]
        return await self._take_backlog(uplink, min(max_items, max(max_samples, 1)), max_samples)

    def acknowledge(self, uplink: str, keys: Sequence[Key]) -> None:
        for key in keys:
            if key.stream == self.stream:
                self._vault.accounts.acknowledge(uplink, key.seq, key.epoch)

    def quarantine(self, uplink: str, key: Key, reason: str) -> None:
        if key.stream == self.stream:
            self._vault.accounts.quarantine(uplink, key.seq, key.epoch, reason, self._clock.time_ns())

    def watch(self, callback: Callable[[], None]) -> None:
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(ValueError):
            self._watchers.remove(callback)

    async def register(self, uplinks: Iterable[str]) -> None:
        """As ``Buffer.register``."""
        async with self._lock:
            self._vault.want(uplinks)
            await self._commit_waiting(force=True)

    def unreported_losses(self) -> list[Loss]:
        """As ``Buffer.unreported_losses``: events that were lost."""
        return self._vault.ledger.unreported()

    def mark_reported(self, losses: Iterable[Loss]) -> None:
        self._vault.ledger.mark(losses)

    def info(self) -> dict[str, Any]:
        vault, accounts = self._vault, self._vault.accounts
        return {
            "state": "degraded" if vault.degraded else "ok",
            "reason": vault.trouble,
            "epoch": vault.epoch,
            "head": accounts.head,
            "events": accounts.store.pending_segments,
            "quota_rows": self._quota_rows,
            **self._room.outlook(self._clock.mono_ns()),
            "events_dropped": self._retention.undelivered + self.lost_samples,
            "bytes": vault.usage.used_bytes,
            "waiting": self.in_memory_samples,
            "committed_samples": self.committed_samples,
            "lost_samples": self.lost_samples,
            "corrupt": self._corrupt,
            "commits": vault.commits,
            "last_commit_ns": vault.last_commit_ns,
            "last_commit_s": vault.last_commit_s,
            "commit_seconds": {
                "bounds": COMMIT_SECONDS,
                "counts": tuple(vault.commit_counts),
                "sum": vault.commit_seconds,
            },
            "databases_set_aside": vault.set_aside,
            "losses": {"samples": dict(vault.ledger.samples), "unknown_extent": dict(vault.ledger.unknown)},
            "uplinks": {name: vault.uplink_info(name) for name in accounts.uplinks},
        }

    async def close(self) -> None:
        """Idempotent; bounded even if the disk hangs."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(10), self._lock:
                await self._commit_waiting(force=True)
                if not self.in_memory_samples and await self._ready():
                    await self._vault.commit(Nothing(), clean=True)
        except TimeoutError:
            pass
        await self._vault.close()

    # -- committing

    async def _ready(self) -> bool:
        ready = await self._vault.ready()
        if self._vault.generation != self._generation:
            self._generation = self._vault.generation
            self._retention.forget()
            self._room.forget()
            self._live.clear()
            self._newest = self._vault.accounts.head + 1
            if self._read_states:
                self._changed = {**self._states, **self._changed}  # a new, empty file
            elif ready:
                await self._read_state_and_recent()
        return ready

    async def _read_state_and_recent(self) -> None:
        try:
            states, recent = await self._vault.ask(state_and_recent)
        except StorageError:
            return
        self._states = states
        _follow(states, self._changed)
        self._recent.extendleft((Key(self.stream, u.epoch, u.seq), event) for u, event in recent)
        self._read_states = True

    async def _commit_waiting(self, *, force: bool = False) -> None:
        for _ in range(2):  # a second time with a reopened or new file
            if not await self._ready():
                return
            vault = self._vault
            late = vault.dirty and (force or vault.unsaved_s >= _SAVE_POSITIONS_S)
            if not (self._waiting or self._changed or vault.ledger.dirty or late):
                return
            if await self._commit_once():
                return

    async def _commit_once(self) -> bool:
        vault, accounts = self._vault, self._vault.accounts
        rows = accounts.store.pending_segments + len(self._waiting) - self._quota_rows
        now_ns = self._clock.mono_ns()
        try:
            if now_ns >= self._survey_ns:
                self._survey_ns = now_ns + _SURVEY_EVERY_NS
                await vault.run(self._room.survey)
            last = min(self._newest, accounts.head) - 1
            await self._room.make(0, last, now_ns, beyond=rows)
        except StorageError:
            return False
        self._flying = list(self._waiting)
        self._waiting.clear()
        states, self._changed = self._changed, {}
        units = [
            Unit(seq, vault.epoch, 1, entry.event.time_ns, entry.event.time_ns)
            for seq, entry in enumerate(self._flying, start=accounts.head + 1)
        ]
        job = Commit(units, self._flying, states, self._retention.doomed, self._done, self._undone)
        return await vault.commit(job)

    def _done(self, job: Commit) -> None:
        self._flying = []
        self._retention.deleted(job.deleted)
        if not job.units:
            return
        self.committed_samples += len(job.units)
        self._newest = job.units[0].seq
        self._live = []
        for unit, entry in zip(job.units, job.entries, strict=True):
            entry.key = Key(self.stream, unit.epoch, unit.seq)
            self._live.append(Envelope(entry.key, Lane.LIVE, 1, event=entry.event))
            self._recent.append((entry.key, without_series(entry.event)))
        for callback in tuple(self._watchers):
            callback()

    def _undone(self, job: Commit) -> None:
        self._flying = []
        self._waiting.extendleft(reversed(job.entries))
        self._changed = {**job.states, **self._changed}
        self._drop_beyond_limit()

    def _drop_beyond_limit(self) -> None:
        while len(self._waiting) > _WAITING:
            event = self._waiting.popleft().event
            self.lost_samples += 1
            self._vault.ledger.record(
                Loss("memory", self.epoch, None, None, None, 1, event.time_ns, event.time_ns)
            )

    # -- taking

    async def _take_backlog(self, uplink: str, max_items: int, max_samples: int) -> Sequence[Envelope]:
        vault = self._vault
        while (position := vault.accounts.uplinks.get(uplink)) is not None and not self._closed:
            ranges = list(islice(position.settled.gaps(1, self._newest - 1), max_items))
            generation = vault.generation
            if not ranges:
                return ()
            try:
                rows = await vault.ask(
                    lambda c: read(c, ranges, max_items, max_samples)  # noqa: B023 - awaited here
                )
            except StorageError:
                return ()
            if generation != vault.generation or uplink not in vault.accounts.uplinks:
                return ()
            corrupt = [unit for unit, event in rows if event is None]
            corrupt += self._missing(ranges, {unit.seq for unit, _ in rows})
            self._corrupt += len(corrupt)
            self._retention.doom(corrupt, "corrupt")
            vault.accounts.remember(unit for unit, event in rows if event is not None)
            settled = vault.accounts.uplinks[uplink].settled
            out = [
                Envelope(Key(self.stream, unit.epoch, unit.seq), Lane.BACKLOG, 1, event=event)
                for unit, event in rows
                if event is not None and unit.seq not in settled
            ]
            if out or not (rows or corrupt):
                return out
        return ()

    def _missing(self, ranges: Sequence[Range], found: set[int]) -> list[Unit]:
        """Numbers without a row before the last one found; without any found, all."""
        last, now_ns = max(found) if found else ranges[-1][1], self._clock.time_ns()
        numbers = (seq for first, end in ranges for seq in range(first, min(end, last) + 1))
        gone = islice((seq for seq in numbers if seq not in found), _MISSING)
        return [Unit(seq, self.epoch, 1, now_ns, now_ns) for seq in gone]


def _begun(mark: Path, epoch: int) -> int:
    """The file is made: from now on one that is not there is a loss. The epoch alone cannot tell: the first
    start may have ended between the samples' store and this one."""
    if not mark.exists():
        with storage_errors(mark):
            write_durably(mark, b"")
    return epoch


def _follow(states: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """None: at rest again, no row."""
    for name, state in changes.items():
        if state is None:
            states.pop(name, None)
        else:
            states[name] = state

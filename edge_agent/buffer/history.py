"""Looking back: ``Recall`` beside the running agent, ``History`` for commands that read the files alone.

Both give batches in the order in which they were read, decoded with the schema they were stored with, and
never hold more than a page and one segment per poll group. ``walk.py`` tells what their ``mono_ns`` means.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge_agent.buffer import event_rows, rows, tables
from edge_agent.buffer.aside import Refused, read_refused
from edge_agent.buffer.database import connect_unchanged, storage_errors
from edge_agent.buffer.decoding import Decoder, Stored
from edge_agent.buffer.positions import Unit
from edge_agent.buffer.reader import Reader
from edge_agent.buffer.segment import SegmentCorrupt
from edge_agent.buffer.walk import DAY_NS, Select, Walk
from edge_agent.errors import StorageBroken, StorageError
from edge_agent.model import Batch, Event, Schema
from edge_agent.uplink import Key, Stream

if TYPE_CHECKING:
    from edge_agent.buffer.vault import Vault
    from edge_agent.config.model import TagRef

_BUSY_S = 2.0
_UNIT = "SELECT seq, epoch, n_samples, t0_ns, t1_ns, schema, crc32, body FROM segment WHERE seq = ?"


def chosen(device: str | None, group: str | None, tags: Collection[TagRef] | None) -> Select:
    """Schemas of this device and poll group (None: of any) that hold one of these tags (None: any)."""

    def wanted(schema: Schema) -> bool:
        if device not in (None, schema.device) or group not in (None, schema.group):
            return False
        return tags is None or any(t.device == schema.device and t.tag in schema.names for t in tags)

    return wanted


class Recall:
    """An iterator over batches, oldest first. Reads in the store's reader thread, a page at a time, so that
    neither polls nor commits wait for it. Never raises for the disk: where that cannot be read, what memory
    holds still comes, and ``unreadable`` says so. ``skipped``: segments that failed their checksum."""

    def __init__(self, walk: Walk, vault: Vault, reader: Reader, closed: Callable[[], bool]) -> None:
        self.unreadable = False
        self._walk = walk
        self._vault = vault
        self._reader = reader
        self._closed = closed
        self._generation = vault.generation
        self._page: deque[Batch] = deque()

    @property
    def skipped(self) -> int:
        return self._walk.corrupt

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        while not self._page:
            if self._walk.done:
                raise StopAsyncIteration
            self._page.extend(await self._more())
            await asyncio.sleep(0)
        return self._page.popleft()

    async def _more(self) -> list[Batch]:
        vault = self._vault
        if self.unreadable:
            return self._walk.rest()
        if self._closed() or vault.broken or not vault.loaded or self._generation != vault.generation:
            return self._lost()
        try:
            return await self._reader.ask(self._generation, self._walk.page)
        except StorageBroken as error:
            vault.suspect(str(error))
        except StorageError:  # the next flush will say why
            pass
        return self._lost()

    def _lost(self) -> list[Batch]:
        self.unreadable = True
        self._walk.give_up()
        return self._walk.rest()


def open_history(state_dir: Path) -> History:
    """Raises StorageError when nothing has been stored there."""
    return History(state_dir)


class History:
    """The files of a state directory, read beside a running agent or without one; never written, never set
    aside. Databases that the agent has set aside (``*.broken-N``) are not looked at. A segment that is not
    sound is skipped and counted. Blocking; belongs to one thread. Every method may raise StorageError."""

    def __init__(self, state_dir: Path) -> None:
        """Use ``open_history``."""
        self.corrupt = 0  # segments and events that were skipped
        self._samples = _File(state_dir / "buffer.db", tables.SAMPLES)
        self._periods = _File(state_dir / "periods.db", tables.SAMPLES)
        self._events = _File(state_dir / "events.db", tables.EVENTS)
        self._samples.connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._samples.close()
        self._periods.close()
        self._events.close()

    def extent(self) -> tuple[int, int] | None:
        """Wall time of the oldest and of the newest stored batch, by number; None while nothing is stored."""
        with storage_errors(self._samples.path):
            sql = (
                "SELECT (SELECT t0_ns FROM segment ORDER BY seq LIMIT 1),"
                " (SELECT t1_ns FROM segment ORDER BY seq DESC LIMIT 1)"
            )
            first_ns, last_ns = self._samples.connection().execute(sql).fetchone()
        return None if first_ns is None else (first_ns, last_ns)

    def batches(
        self,
        start_ns: int,
        end_ns: int,
        devices: Collection[str] | None = None,
        *,
        select: Select | None = None,
        stream: Stream = Stream.SAMPLES,
    ) -> Iterator[Batch]:
        """Of all poll groups, start <= ``time_ns`` < end. ``devices``, ``select``: only of these. ``stream``:
        SAMPLES or PERIODS."""
        file = self._periods if stream is Stream.PERIODS else self._samples

        def wanted(schema: Schema) -> bool:
            return (devices is None or schema.device in devices) and (select is None or select(schema))

        walk = Walk(start_ns, end_ns, wanted, behind_ns=DAY_NS if stream is Stream.PERIODS else 0)
        decoder = Decoder()
        before = self.corrupt
        while not walk.done:
            with storage_errors(file.path):
                page = walk.page(file.connection(), decoder)
            self.corrupt = before + walk.corrupt
            yield from page

    def refused(self, stream: Stream) -> list[Refused]:
        """Units set aside, oldest refusal first."""
        file, outline = {
            Stream.SAMPLES: (self._samples, rows.OUTLINE),
            Stream.PERIODS: (self._periods, rows.OUTLINE),
            Stream.EVENT: (self._events, event_rows.OUTLINE),
        }[stream]
        if not file.path.exists():
            return []
        with storage_errors(file.path):
            return read_refused(file.connection(), outline, stream)

    def unit(self, key: Key) -> Stored | Event | None:
        """One stored unit; None when it is no longer there, or damaged."""
        if key.stream == Stream.EVENT:
            with storage_errors(self._events.path):
                found = event_rows.read(self._events.connection(), [(key.seq, key.seq)], 1)
            return next((event for unit, event in found if unit.epoch == key.epoch), None)
        file = self._periods if key.stream == Stream.PERIODS else self._samples
        with storage_errors(file.path):
            connection = file.connection()
            row = connection.execute(_UNIT, (key.seq,)).fetchone()
            if row is None or row[1] != key.epoch:
                return None
            try:
                return Decoder().decode(connection, Unit(*row[:5]), *row[5:])
            except SegmentCorrupt:
                return None

    def events(
        self, start_ns: int, end_ns: int, kinds: Collection[str] | None = None, limit: int = 1000
    ) -> list[Event]:
        """start <= ``time_ns`` < end, oldest first; of more than ``limit`` the newest."""
        out: list[Event] = []
        before: int | None = event_rows.NEWEST
        while before is not None and len(out) < limit:
            with storage_errors(self._events.path):
                found, before = event_rows.search(
                    self._events.connection(), start_ns, end_ns, kinds, before, limit - len(out)
                )
            self.corrupt += sum(event is None for event in found)
            out += [event for event in found if event is not None]
        out.reverse()
        return out


class _File:
    """A connection that follows the file: an agent that starts or ends meanwhile changes how it must be
    read."""

    def __init__(self, path: Path, shape: tables.Shape) -> None:
        self.path = path
        self._shape = shape
        self._connection: sqlite3.Connection | None = None
        self._logged = False

    def connection(self) -> sqlite3.Connection:
        logged = self.path.with_name(self.path.name + "-wal").exists()
        if self._connection is None or logged != self._logged:
            self.close()
            if not self.path.exists():
                raise StorageError(f"{self.path} does not exist: nothing has been stored there yet")
            with storage_errors(self.path):
                self._connection, self._logged = connect_unchanged(self.path, _BUSY_S), logged
                tables.verify(self._connection, self._shape)
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

"""What can be saved of a database that was set aside, while the new one already runs.

Its segments are read by their numbers, a page of them between two flushes, in a thread of its own. Accepted
is a row whose checksum fits its bytes *and* its key, and that somebody had not settled. It is stored again
under the key it always had: a new file goes on counting above the highest number of the old one, so the key
is free, and a receiver that has the unit already knows it by its key. In the books the unit goes from lost to
pending, and the ledger takes it back in a row of its own (``salvaged``, with a negative count).

A *claim* is what is left to do of one file. It stands in the new file from its first commit on, so that a
restart goes on with it. Its progress is saved one commit after the units it covers, together with their
positions: a crash in between only makes it look at some rows again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_agent.buffer import tables
from edge_agent.buffer.database import connect_readonly
from edge_agent.buffer.decoding import Decoder
from edge_agent.buffer.positions import STORE, Unit, load_positions
from edge_agent.buffer.ranges import Range, Ranges
from edge_agent.buffer.segment import SegmentCorrupt
from edge_agent.buffer.worker import Worker
from edge_agent.errors import StorageBroken
from edge_agent.model import Schema

NOTE = "salvage"  # the row of ``meta`` in which the claims stand
_ROWS = 64  # per statement
_PAGE_BYTES = 4_000_000
_PAGE_S = 1.0
_SURVEY_S = 1.0
_IN_VAIN = 100_000  # look-ups one after the other that found nothing to read
_COLUMNS = "seq, epoch, schema, t0_ns, t1_ns, mono0_ns, clock, n_rows, n_samples, codec, crc32, body"


@dataclass(frozen=True, slots=True)
class Claim:
    """``open``: by uplink, what it had not settled; None: nobody knows, so everything is sent again.
    ``exact``: what was pending has been written off to the sample, not as an unknown extent; then
    ``selected`` tells what each uplink selected: the rest had never been counted for it."""

    file: str
    next: int
    last: int
    exact: bool
    open: Mapping[str, tuple[Range, ...]] | None
    selected: Mapping[str, str] = field(default_factory=dict)

    def narrowed(self, uplinks: Collection[str]) -> Claim:
        """Of these only: one that goes gives up its part, and one that comes later has none."""
        had = dict.fromkeys(uplinks, ((1, self.last),)) if self.open is None else self.open
        kept = {name: ranges for name, ranges in had.items() if name in uplinks}
        return self if kept == self.open else replace(self, open=kept)

    def ranges(self) -> list[Range]:
        """What is left to look at."""
        if self.open is None:
            return [(self.next, self.last)] if self.next <= self.last else []
        wanted = Ranges(r for ranges in self.open.values() for r in ranges)
        return list(wanted.within(self.next, self.last))

    def wants(self, uplink: str, seq: int) -> bool:
        return self.open is None or any(a <= seq <= b for a, b in self.open.get(uplink, ()))


def to_note(claims: Iterable[Claim]) -> str:
    rows = [[c.file, c.next, c.last, c.exact, c.open, c.selected] for c in claims]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def from_note(text: str) -> list[Claim]:
    try:
        rows = json.loads(text) if text else []
        return [
            Claim(
                file, int(first), int(last), bool(exact),
                None if open_ is None else {n: tuple((a, b) for a, b in r) for n, r in open_.items()},
                dict(*selected),
            )
            for file, first, last, exact, open_, *selected in rows
        ]  # fmt: skip
    except (ValueError, TypeError, AttributeError):
        return []


def load_claims(connection: sqlite3.Connection) -> list[Claim]:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (NOTE,)).fetchone()
    return from_note(row[0]) if row else []


def survey(path: Path, shape: tables.Shape) -> Claim | None:
    """Of a file that nobody could open: what can be learnt at a glance; None: nothing can be saved."""
    deadline = time.monotonic() + _SURVEY_S
    try:
        with closing(connect_readonly(path)) as connection:
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
            tables.verify(connection, shape)
            last = _highest(connection)
            try:
                positions, _ = load_positions(connection)
                last = max([last, *(position.settled.last for position in positions.values())])
                open_ = {
                    name: tuple(position.settled.gaps(1, last))
                    for name, position in positions.items()
                    if name != STORE
                }
            except (sqlite3.Error, StorageBroken, ValueError, TypeError):
                return Claim(path.name, 1, last, False, None) if last else None
    except (sqlite3.Error, StorageBroken, OSError):
        return None
    return Claim(path.name, 1, last, False, open_) if last else None


def _highest(connection: sqlite3.Connection) -> int:
    """The highest number that can be read: the right edge of the table may be what is damaged."""
    bound = 2**62
    while bound:
        try:
            (found,) = connection.execute("SELECT max(seq) FROM segment WHERE seq <= ?", (bound,)).fetchone()
        except sqlite3.DatabaseError:
            bound //= 2
            continue
        return found if isinstance(found, int) and found > 0 else 0
    return 0


@dataclass(frozen=True, slots=True)
class Saved:
    """A sound row, as it stood there, and its schema as text."""

    unit: Unit
    row: tuple[object, ...]
    schema: str


@dataclass(slots=True)
class Page:
    claim: Claim  # as it is when this page has been stored
    rows: list[Saved] = field(default_factory=list)
    rejected: int = 0

    @property
    def schemas(self) -> list[Schema]:
        return [Schema.from_dict(json.loads(text)) for text in {saved.schema for saved in self.rows}]


def write_saved(connection: sqlite3.Connection, rows: Iterable[Saved]) -> None:
    """Inside the transaction. A row that is there already is the same one, from before a crash."""
    for saved in rows:
        connection.execute(
            "INSERT OR IGNORE INTO schema (digest, body) VALUES (?, ?)", (saved.unit.schema, saved.schema)
        )
        marks = ", ".join("?" * len(saved.row))
        connection.execute(f"INSERT OR IGNORE INTO segment ({_COLUMNS}) VALUES ({marks})", saved.row)


class Salvage:
    """The event loop's side. ``page`` gives what the next commit may store, until ``stored`` ends it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.claims: list[Claim] = []
        self.rejected = 0  # rows that were there but not sound, since start
        self._directory = directory
        self._name = name
        self._worker: Worker | None = None
        self._reading: asyncio.Future[Page] | None = None
        self._page: Page | None = None

    @property
    def waiting(self) -> bool:
        return self._page is not None or (self._reading is not None and self._reading.done())

    def add(self, claims: Iterable[Claim]) -> None:
        self.claims += [claim for claim in claims if claim.file not in {c.file for c in self.claims}]

    def narrow(self, uplinks: Collection[str]) -> bool:
        """Whether that changed anything: the note is then to be written anew. What has been read is read
        again."""
        left = [claim.narrowed(uplinks) for claim in self.claims]
        if left == self.claims:
            return False
        self.forget_page()
        self.claims = [claim for claim in left if claim.ranges()]
        return True

    def read_on(self) -> None:
        """Reads the next page, beside whatever else happens."""
        if self.claims and self._page is None and self._reading is None:
            if self._worker is None:
                self._worker = Worker(f"{self._name} salvage")
            claim, directory = self.claims[0], self._directory
            self._reading = self._worker.submit(lambda: read_page(directory, claim))

    def page(self) -> Page | None:
        if self._page is None and self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            failed = reading.exception() is not None  # a file that nobody can read: there is nothing to save
            claim = self.claims[0]
            self._page = Page(replace(claim, next=claim.last + 1)) if failed else reading.result()
        return self._page

    def stored(self, page: Page) -> str | None:
        """The commit holds. Returns the text of the note, which belongs into the next one."""
        if page is not self._page:
            return None
        self._page = None
        self.rejected += page.rejected
        left = [page.claim] if page.claim.ranges() else []
        self.claims = left + self.claims[1:]
        if not self.claims:
            self.stop()
        return to_note(self.claims)

    def forget_page(self) -> None:
        """Another file: what has been read goes into that one, from the place where it stood."""
        self._page = self._reading = None

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def read_page(directory: Path, claim: Claim) -> Page:
    """In a thread. Bounded in bytes and time."""
    deadline = time.monotonic() + _PAGE_S
    path = directory / claim.file
    if not path.exists():
        return Page(replace(claim, next=claim.last + 1))
    rows: list[Saved] = []
    size = rejected = vain = 0
    reached = claim.last
    with closing(connect_readonly(path)) as connection:
        decoder = Decoder()
        for seq, row in _walk(connection, claim.ranges()):
            saved = None if row is None else _sound(connection, decoder, row)
            if saved is not None:
                rows.append(saved)
                size += len(saved.row[-1]) if isinstance(saved.row[-1], bytes) else 0
            rejected += row is not None and saved is None
            vain = 0 if row is not None else vain + 1
            if vain > _IN_VAIN:
                break
            if size >= _PAGE_BYTES or time.monotonic() > deadline:
                reached = seq
                break
    return Page(replace(claim, next=reached + 1), rows, rejected)


def _walk(
    connection: sqlite3.Connection, ranges: Sequence[Range]
) -> Iterator[tuple[int, tuple[object, ...] | None]]:
    """Every row that can be read, with its number; None for a number that can not."""
    for first, last in ranges:
        at = first
        while at <= last:
            rows, end = _read(connection, at, last)
            for row in rows:
                yield row[0], row  # type: ignore[misc]
            if end is None:
                end = min(at + _ROWS - 1, last)
                for seq in range(at, end + 1):
                    one, failed = _read(connection, seq, seq)
                    yield seq, (one[0] if one and failed is not None else None)
            at = end + 1


def _read(
    connection: sqlite3.Connection, first: int, last: int
) -> tuple[list[tuple[object, ...]], int | None]:
    """Rows from ``first`` on, and up to which number they are all there are; None: cannot be read so."""
    try:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM segment WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (first, last, _ROWS),
        ).fetchall()
    except sqlite3.Error:
        return [], None
    numbers = [row[0] for row in rows]
    if not all(isinstance(n, int) and first <= n <= last for n in numbers) or numbers != sorted(set(numbers)):
        return [], None
    return rows, (numbers[-1] if len(rows) == _ROWS else last)


def _sound(connection: sqlite3.Connection, decoder: Decoder, row: tuple[object, ...]) -> Saved | None:
    seq, epoch, digest, t0_ns, t1_ns, *_, samples, _, crc, body = row
    numbers = (seq, epoch, samples, t0_ns, t1_ns)
    if not all(isinstance(n, int) for n in numbers) or not isinstance(digest, str):
        return None
    unit = Unit(*numbers, digest)  # type: ignore[arg-type]
    try:
        stored = decoder.decode(connection, unit, digest, crc, body)
    except (SegmentCorrupt, sqlite3.Error):
        return None
    return Saved(unit, row, json.dumps(stored.schema.as_dict(), ensure_ascii=False))

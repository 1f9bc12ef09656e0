"""One SQLite file: how it is opened, checked, set aside and written. Blocking; belongs to one thread.

Exactly one connection writes (SQLite up to 3.51.2 can corrupt a WAL with two writers that checkpoint), and it
alone checkpoints: rarely, because a card that lies about its flushes does harm mostly during a checkpoint.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.buffer import tables
from edge_agent.buffer.epoch import sync_directory
from edge_agent.errors import StorageBroken, StorageError, StorageFull, StorageReadOnly

PAGE = 4096
CACHE_KB = 512  # rows are written and read once, in order: a large cache would only cost memory
_SIDES = ("", "-wal", "-shm")
_KEPT = 2
_REFUSALS = {errno.ENOSPC: StorageFull, errno.EDQUOT: StorageFull, errno.EROFS: StorageReadOnly}
_BROKEN = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
}  # numbers are ours: no clash


@dataclass(frozen=True, slots=True)
class Tuning:
    """What tests set otherwise. Times in seconds of the machine's own clock."""

    checkpoint_pages: int = 4000
    checkpoint_s: float = 600.0
    journal_limit_bytes: int = 33_554_432
    check_s: float = 4.0
    aside_bytes: int = 200_000_000
    busy_s: float = 5.0

    @property
    def checkpoint_from_pages(self) -> int:
        """At most half of what the log may take."""
        return min(self.checkpoint_pages, self.journal_limit_bytes // 2 // PAGE)


@dataclass(frozen=True, slots=True)
class Usage:
    """``used_bytes`` counts against the quota; the file itself keeps freed pages for reuse."""

    used_bytes: int = 0
    file_bytes: int = 0
    wal_bytes: int = 0


class Database:
    """The writing connection of one file."""

    def __init__(self, path: Path, shape: tables.Shape, tuning: Tuning) -> None:
        self.path = path
        self._shape = shape
        self._tuning = tuning
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"{self.path.name} is not open")
        return self._connection

    def exists(self) -> bool:
        """Also true if only its write-ahead log is left."""
        return any(os.path.lexists(self._side(side)) for side in _SIDES[:2])

    def empty(self) -> bool:
        """A file without a byte: what a power cut during the very first start leaves."""
        return self.path.is_file() and not self.path.stat().st_size and not self._side("-wal").exists()

    def open(self, *, fresh: bool) -> None:
        """``fresh``: there was no file, make one. Otherwise what is there must be whole: StorageBroken if
        not. StorageFull or StorageError where the disk refuses; the file is then left as it is."""
        self.close()
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not fresh and not (self.path.is_file() and self.path.stat().st_size):
                raise StorageBroken(f"{self.path.name} is empty or no file")
            self._connection = connect(self.path, self._tuning)
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            blank = not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if blank and not version:
                tables.create(self._connection, self._shape)
                sync_directory(self.path.parent)
            tables.migrate(self._connection, self._shape)
            tables.verify(self._connection, self._shape)
            self._inode = self.path.stat().st_ino

    def check(self) -> bool:
        """After an unclean stop. Cut off after a time (False): a large file must not keep the agent from
        starting; the rest is checked beside its work."""
        deadline = time.monotonic() + self._tuning.check_s
        with storage_errors(self.path):
            try:
                verdict = quick_check(self.connection, lambda: time.monotonic() > deadline)
            finally:
                self.connection.set_progress_handler(None, 0)
        if verdict:
            raise StorageBroken(f"{self.path.name}: {verdict}")
        return verdict is not None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits at the end; after any error nothing of it may be relied upon, and the connection is closed:
        an fsync that failed is never tried again on the same handle."""
        with storage_errors(self.path):
            connection = self.connection
            self._still_ours()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                self._abandon()
                raise

    def _still_ours(self) -> None:
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if inode != self._inode:
            raise StorageBroken(f"{self.path.name} was removed or replaced while in use")

    def checkpoint(self, mode: str = "PASSIVE") -> int:
        """Returns how many pages of the write-ahead log still wait for the next one."""
        with storage_errors(self.path):
            try:
                _, log, done = self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            except BaseException:
                self._abandon()
                raise
        return max(int(log) - int(done), 0)

    def usage(self) -> Usage:
        with storage_errors(self.path):
            (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
            (free,) = self.connection.execute("PRAGMA freelist_count").fetchone()
            wal = self._side("-wal")
            return Usage((pages - free) * PAGE, pages * PAGE, wal.stat().st_size if wal.exists() else 0)

    def _abandon(self) -> None:
        """Closes without another fsync. The last connection to a file makes a checkpoint when it closes, and
        would begin with the fsync that has just failed; so there is another one for that moment, which cannot
        write."""
        guard = None
        with suppress(sqlite3.Error):
            guard = connect_readonly(self.path, 0)
            guard.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self.close()
        if guard is not None:
            with suppress(sqlite3.Error):
                guard.close()

    def close(self) -> None:
        """Idempotent; never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def set_aside(self) -> str:
        """Renames the file and its log to ``NAME.broken-N`` for whoever wants to look; two are kept. Returns
        that name."""
        self.close()
        with storage_errors(self.path):
            old = self._old()
            name = f"{self.path.name}.broken-{max(old, default=0) + 1}"
            for side in _SIDES:
                if os.path.lexists(self._side(side)):
                    self._side(side).rename(self.path.with_name(name + side))
            for number in sorted(old)[: -(_KEPT - 1)]:
                for path in old[number]:
                    with suppress(OSError):
                        path.unlink()
            sync_directory(self.path.parent)
        return name

    def trim_aside(self, busy: Collection[str] = ()) -> None:
        """Of what was set aside the newest are kept, as long as all of them together are not too large; and
        those that are still being looked at."""
        with storage_errors(self.path):
            total = 0
            for number, paths in sorted(self._old().items(), reverse=True):
                total += sum(path.stat().st_size for path in paths)
                if total > self._tuning.aside_bytes and f"{self.path.name}.broken-{number}" not in busy:
                    for path in paths:
                        path.unlink(missing_ok=True)

    def _old(self) -> dict[int, list[Path]]:
        pattern = re.compile(re.escape(self.path.name) + r"\.broken-(\d+)(-wal|-shm)?")
        out: dict[int, list[Path]] = {}
        for path in self.path.parent.iterdir():
            if match := pattern.fullmatch(path.name):
                out.setdefault(int(match[1]), []).append(path)
        return out

    def _side(self, side: str) -> Path:
        return self.path.with_name(self.path.name + side)


def quick_check(connection: sqlite3.Connection, enough: Callable[[], bool]) -> str | None:
    """What is wrong, "" for nothing; None: interrupted when ``enough`` said so. Raises sqlite3.Error."""
    connection.set_progress_handler(lambda: int(enough()), 10_000)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    return "" if verdict == "ok" else str(verdict)


def check_beside(path: Path, enough: Callable[[], bool]) -> str:
    """The same for a file that is in use, over a connection of its own: "" also where nobody can tell."""
    try:
        with closing(connect_readonly(path)) as connection:
            return quick_check(connection, enough) or ""
    except sqlite3.Error as error:
        return str(error) if isinstance(storage_error(path, error), StorageBroken) else ""


def connect(
    path: Path, tuning: Tuning, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=tuning.busy_s, factory=factory)
    connection.text_factory = _text
    try:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {tuning.journal_limit_bytes}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_readonly(path: Path, timeout_s: float = 2.0) -> sqlite3.Connection:
    """Never writes, not even a recovery. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout_s, isolation_level=None
    )
    connection.text_factory = _text
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
    return connection


def connect_unchanged(path: Path, timeout_s: float = 2.0) -> sqlite3.Connection:
    """To look at a file that may be anybody's, without leaving a trace. One that was closed cleanly has no
    log, and without one only ``immutable`` reads it unchanged. Raises sqlite3.Error."""
    if path.with_name(path.name + "-wal").exists():
        return connect_readonly(path, timeout_s)
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, timeout=timeout_s, isolation_level=None
    )


def _text(data: bytes) -> str:
    """One flipped bit must not make a whole file unreadable: what is no text fails its row's checksum."""
    return data.decode("utf-8", "replace")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """What SQLite and the operating system say, named by what the caller must do."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(path, error) from error
    except OSError as error:
        raise _REFUSALS.get(error.errno or 0, StorageError)(
            f"{path.name}: {error.strerror or error}"
        ) from error


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    message = f"{path.name}: {error}"
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(message)
    if code == sqlite3.SQLITE_READONLY:
        return StorageReadOnly(message)
    if code in _BROKEN:
        return StorageBroken(message)
    return StorageError(message)

"""Every stored unit against its checksum, read beside a running agent or without one: ``buffer verify``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.buffer import event_rows
from edge_agent.buffer.database import connect_unchanged, storage_error
from edge_agent.buffer.decoding import Decoder
from edge_agent.buffer.positions import Unit, load_positions
from edge_agent.buffer.segment import SegmentCorrupt

_PAGE = 200
_BUSY_S = 2.0
_SELECT = "SELECT seq, epoch, n_samples, t0_ns, t1_ns, schema, crc32, body FROM segment"


@dataclass(slots=True)
class Verified:
    """Of one file. ``units`` were read and are sound; ``damaged``: their numbers; ``fault``: what is wrong
    with the file itself, "" when nothing is."""

    name: str
    units: int = 0
    samples: int = 0
    damaged: list[int] = field(default_factory=list)
    fault: str = ""

    @property
    def sound(self) -> bool:
        return not self.damaged and not self.fault


def verify(directory: Path, progress: Callable[[str, float], None]) -> list[Verified]:
    """All files of a state directory. ``progress(file, share)`` is called now and then, 0 to 1. Blocking;
    reads a page at a time, so that a running agent's log is never pinned. Writes nothing."""
    found = []
    for name, check in (("buffer.db", _segments), ("periods.db", _segments), ("events.db", _events)):
        path = directory / name
        if not path.exists():
            continue
        verified = Verified(name)
        found.append(verified)
        try:
            with closing(connect_unchanged(path, _BUSY_S)) as connection:
                (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                verified.fault = "" if said == "ok" else str(said)
                load_positions(connection)
                check(connection, verified, lambda share, name=name: progress(name, share))  # type: ignore[misc]
        except sqlite3.Error as error:
            verified.fault = str(storage_error(path, error))
        except (OSError, ValueError) as error:
            verified.fault = str(error)
    return found


def _segments(connection: sqlite3.Connection, verified: Verified, progress: Callable[[float], None]) -> None:
    decoder, last = Decoder(), 0
    first, newest = _extent(connection, "segment")
    while rows := connection.execute(
        f"{_SELECT} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (last, newest, _PAGE)
    ).fetchall():
        for seq, epoch, samples, t0_ns, t1_ns, digest, crc, body in rows:
            try:
                decoder.decode(connection, Unit(seq, epoch, samples, t0_ns, t1_ns), digest, crc, body)
            except (SegmentCorrupt, TypeError):
                verified.damaged.append(seq)
                continue
            verified.units += 1
            verified.samples += samples
        last = rows[-1][0]
        progress((last - first + 1) / (newest - first + 1))


def _events(connection: sqlite3.Connection, verified: Verified, progress: Callable[[float], None]) -> None:
    last = 0
    first, newest = _extent(connection, "event")
    while found := event_rows.read(connection, [(last + 1, newest)], _PAGE):
        for unit, event in found:
            if event is None:
                verified.damaged.append(unit.seq)
            else:
                verified.units += 1
                verified.samples += 1
        last = found[-1][0].seq
        progress((last - first + 1) / (newest - first + 1))


def _extent(connection: sqlite3.Connection, table: str) -> tuple[int, int]:
    first, newest = connection.execute(f"SELECT min(seq), max(seq) FROM {table}").fetchone()
    return first or 0, newest or 0

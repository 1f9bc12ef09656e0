"""What stands on the disk, read without the daemon and without disturbing it: ``edge-agent buffer info``."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.buffer.database import connect_unchanged
from edge_agent.buffer.epoch import read_identity
from edge_agent.buffer.positions import STORE, Position, load_positions
from edge_agent.buffer.writer import CLEAN

_LIMIT_S = 2.0
_HOUR_NS = 3_600_000_000_000


def inspect(directory: Path) -> dict[str, Any]:
    """Plain data about the files in ``directory``: ``samples``, ``events``, and ``periods`` where there are
    any; never writes, never waits longer than two seconds per file. A file that cannot be read has the key
    ``error`` and nothing else to say."""
    agent, epoch = read_identity(directory)
    periods = directory / "periods.db"
    return {
        "directory": str(directory),
        "agent": agent,
        "epoch": epoch,
        "samples": _inspect(directory / "buffer.db", "segment"),
        **({"periods": _inspect(periods, "segment")} if periods.exists() else {}),
        "events": _inspect(directory / "events.db", "event"),
        "set_aside": sorted(p.name for p in directory.glob("*.db.broken-*") if p.name[-1].isdigit()),
    }


def _inspect(path: Path, table: str) -> dict[str, Any]:
    if not path.exists():
        return {"error": f"{path} does not exist"}
    try:
        with closing(connect_unchanged(path, _LIMIT_S)) as connection:
            deadline = time.monotonic() + _LIMIT_S
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
            return _describe(connection, path, table)
    except (sqlite3.Error, OSError, ValueError) as error:
        return {"error": f"{path}: {error}"}


def _per_hour(connection: sqlite3.Connection) -> float | None:
    """Units stored per hour, over the last hour or what there is of it; None while less than a minute is."""
    newest = connection.execute("SELECT seq, t1_ns FROM segment ORDER BY seq DESC LIMIT 1").fetchone()
    if newest is None:
        return None
    low, high = connection.execute("SELECT min(seq), max(seq) FROM segment").fetchone()
    while low < high:  # numbers rise with time; where the clock was set this is a little off
        middle = (low + high) // 2
        (t0_ns,) = connection.execute(
            "SELECT t0_ns FROM segment WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        low, high = (middle + 1, high) if t0_ns < newest[1] - _HOUR_NS else (low, middle)
    units, t0_ns = connection.execute(
        "SELECT count(*), min(t0_ns) FROM segment WHERE seq >= ?", (low,)
    ).fetchone()
    span_ns = newest[1] - t0_ns
    return units * _HOUR_NS / span_ns if span_ns >= _HOUR_NS // 60 else None


def _run(row: dict[str, Any] | None, revision: int) -> dict[str, Any] | None:
    """``clean``: 1 when it ended so, whatever form the mark has."""
    return row and row | {"clean": int(row["clean"] in (CLEAN, revision))}


def _oldest_ns(connection: sqlite3.Connection, table: str, position: Position) -> int | None:
    column = "t0_ns" if table == "segment" else "time_ns"
    (last,) = connection.execute(f"SELECT max(seq) FROM {table}").fetchone()
    for first, end in position.settled.gaps(1, last or 0):
        row = connection.execute(
            f"SELECT {column} FROM {table} WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", (first, end)
        ).fetchone()
        if row is not None:
            return int(row[0])
    return None


def _describe(connection: sqlite3.Connection, path: Path, table: str) -> dict[str, Any]:
    from sqlite_utils import Database

    database = Database(connection, execute_plugins=False)
    positions, revision = load_positions(connection)
    store = positions.pop(STORE, None)
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    sql = f"SELECT (SELECT min(seq) FROM {table}) AS first_seq, (SELECT max(seq) FROM {table}) AS last_seq"
    return {
        "bytes": (pages - free) * size,
        "file_bytes": path.stat().st_size,
        "revision": revision,
        "units_per_h": _per_hour(connection) if table == "segment" else None,
        "units": store.pending_segments if store else 0,
        "samples": store.pending_samples if store else 0,
        **next(database.query(sql)),
        "run": _run(next(database.query("SELECT * FROM run ORDER BY epoch DESC LIMIT 1"), None), revision),
        "uplinks": {
            name: {
                "pending_segments": p.pending_segments,
                "pending_samples": p.pending_samples,
                "oldest_pending_ns": _oldest_ns(connection, table, p) if p.pending_segments else None,
                "acknowledged_samples": p.acknowledged.samples,
                "quarantined_samples": p.quarantined.samples,
                "lost_samples": p.lost.samples,
            }
            for name, p in positions.items()
        },
        "quarantined": list(database.query("SELECT * FROM quarantine ORDER BY at_ns DESC LIMIT 100")),
        "losses": list(database.query("SELECT * FROM loss ORDER BY id DESC LIMIT 100")),
    }

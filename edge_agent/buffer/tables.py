"""The tables of both databases, and how they come to be. Blocking; belongs to the writer thread.

The shapes below are the truth. sqlite-utils turns them into SQL (``statements``), and the result is kept
beside this file (``samples.sql``, ``events.sql``; a test keeps it in step), so that the daemon need not
import sqlite-utils: 4 MB that a Raspberry Pi has better uses for. ``PRAGMA user_version`` tells which shape
a file has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import StorageBroken

Columns = Mapping[str, type]


@dataclass(frozen=True, slots=True)
class Shape:
    """``tables``: name -> columns; the first columns (as many as ``keys`` says, usually one) are the key.
    ``name``: of the file that holds the SQL. ``since``: tables that earlier versions did not have."""

    name: str
    version: int
    tables: Mapping[str, Columns]
    keys: Mapping[str, int]
    since: Mapping[str, int] = field(default_factory=dict)

    def key(self, table: str) -> tuple[str, ...]:
        return tuple(self.tables[table])[: self.keys.get(table, 1)]


_COMMON: dict[str, Columns] = {
    "meta": {"name": str, "value": str},
    "run": {"epoch": int, "boot_id": str, "started_ns": int, "clean": int},
    "position": {
        "uplink": str,
        "revision": int,
        "settled_to": int,
        "ranges": str,
        "committed_segments": int,
        "committed_samples": int,
        "acknowledged_segments": int,
        "acknowledged_samples": int,
        "quarantined_segments": int,
        "quarantined_samples": int,
        "lost_segments": int,
        "lost_samples": int,
    },
    "quarantine": {"uplink": str, "seq": int, "reason": str, "at_ns": int, "n_samples": int},
    "loss": {
        "id": int,
        "epoch": int,
        "from_seq": int,
        "to_seq": int,
        "uplink": str,
        "n_samples": int,
        "reason": str,
        "t0_ns": int,
        "t1_ns": int,
        "reported": int,
    },
}

# No secondary index anywhere, and seq is given by the writer instead of AUTOINCREMENT: each of them would
# write a further page at every flush. The newest segment is never deleted, so the highest seq is always
# known.
SAMPLES = Shape(
    "samples",
    2,
    _COMMON
    | {
        "schema": {"digest": str, "body": str},
        "segment": {
            "seq": int,
            "epoch": int,
            "schema": str,
            "t0_ns": int,
            "t1_ns": int,
            "mono0_ns": int,
            "clock": int,
            "n_rows": int,
            "n_samples": int,
            "codec": int,
            "crc32": int,
            "body": bytes,
        },
        "offset": {
            "boot_id": str,
            "first_ns": int,
            "mono_ns": int,
            "utc_ns": int,
            "was_ns": int,
            "released": int,
            "reported": int,
            "epochs": str,
        },
    },
    {"quarantine": 2},
    {"offset": 2},
)
EVENTS = Shape(
    "events",
    1,
    _COMMON
    | {
        "event": {
            "seq": int,
            "epoch": int,
            "kind": str,
            "source": str,
            "time_ns": int,
            "crc32": int,
            "body": str,
        },
        "window_state": {"name": str, "body": str},
    },
    {"quarantine": 2},
)


def create(connection: sqlite3.Connection, shape: Shape) -> None:
    """All tables or none: a power cut during the first start leaves an empty file."""
    _build(connection, shape, list(_sql(shape).values()))


def migrate(connection: sqlite3.Connection, shape: Shape) -> None:
    """A file of an earlier version gets what it lacks, all of it or nothing; others are left as they are.
    Raises StorageBroken for a file that is not what its version says."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if 0 < version < shape.version:
        verify(connection, shape)
        sql = _sql(shape)
        _build(connection, shape, [sql[name] for name, since in shape.since.items() if since > version])


def _sql(shape: Shape) -> dict[str, str]:
    text = Path(__file__).with_name(f"{shape.name}.sql").read_text(encoding="utf-8")
    return dict(zip(shape.tables, filter(str.strip, text.split(";\n")), strict=True))


def _build(connection: sqlite3.Connection, shape: Shape, tables: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in tables:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {shape.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements(shape: Shape) -> str:
    """The SQL of a shape, as sqlite-utils writes it."""
    from sqlite_utils import Database

    connection = sqlite3.connect(":memory:")
    try:
        database = Database(connection, execute_plugins=False)
        for name, columns in shape.tables.items():
            key = shape.key(name)
            database.table(name).create(dict(columns), pk=key[0] if len(key) == 1 else key)
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
    finally:
        connection.close()
    return ";\n".join(sql for (sql,) in found) + ";\n"


def verify(connection: sqlite3.Connection, shape: Shape) -> None:
    """Raises StorageBroken unless the file has this shape, or had it in the version that it says."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > shape.version:
        raise StorageBroken(f"made by a newer program (format {version}, this one knows {shape.version})")
    if version < 1:
        raise StorageBroken("says no format, so it is not ours")
    for name, columns in shape.tables.items():
        if shape.since.get(name, 1) > version:
            continue
        found = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        if found != list(columns):
            raise StorageBroken(f"table {name} is not as expected")

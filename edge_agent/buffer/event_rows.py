"""The rows of ``events.db``: what one commit writes, and how they are read back."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.buffer.positions import Unit
from edge_agent.model import Event
from edge_agent.uplink import Key

RECENT = 200
SERIES = "series"  # the key of an event's detail under which samples stand
NEWEST = 2**62  # above every number
_HEADS = 1000  # looked at per page
_BODIES = 50  # read per page
OUTLINE = "SELECT seq, epoch, 1, time_ns, time_ns FROM event"


class Entry:
    """One event on its way; ``key`` once it is durable."""

    __slots__ = ("event", "key")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.key: Key | None = None


@dataclass(slots=True)
class Commit:
    """The job of one commit; see ``vault.Job``."""

    units: list[Unit]
    entries: list[Entry]
    states: dict[str, Any]
    deleted: list[Unit]
    when_done: Callable[[Commit], None]
    when_undone: Callable[[Commit], None]

    def write(self, connection: sqlite3.Connection) -> None:
        gone = [(unit.seq,) for unit in self.deleted]
        connection.executemany("DELETE FROM event WHERE seq = ?", gone)
        connection.executemany("DELETE FROM quarantine WHERE seq = ?", gone)
        connection.executemany(
            "INSERT INTO event (seq, epoch, kind, source, time_ns, crc32, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            map(_row, self.units, self.entries),
        )
        connection.executemany(
            "INSERT INTO window_state (name, body) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            [(name, json.dumps(s, default=str)) for name, s in self.states.items() if s is not None],
        )
        at_rest = [(name,) for name, state in self.states.items() if state is None]
        connection.executemany("DELETE FROM window_state WHERE name = ?", at_rest)

    def done(self) -> None:
        self.when_done(self)

    def undone(self) -> None:
        self.when_undone(self)


def _row(unit: Unit, entry: Entry) -> tuple[object, ...]:
    event = entry.event
    body = json.dumps(
        [event.mono_ns, event.config_version, event.detail],
        ensure_ascii=False,
        separators=(",", ":"),
        default=str,
    )
    crc = _crc(unit, event.kind, event.source, body)
    return unit.seq, unit.epoch, event.kind, event.source, event.time_ns, crc, body


def _crc(unit: Unit, kind: str, source: str, body: str) -> int:
    text = json.dumps([unit.seq, unit.epoch, unit.t0_ns, kind, source, body])
    return zlib.crc32(text.encode())


def _event_of(row: Sequence[Any]) -> tuple[Unit, Event | None]:
    """None if the row is not what was stored."""
    seq, epoch, kind, source, time_ns, crc, body = row
    unit = Unit.of_row((seq, epoch, 1, time_ns, time_ns))
    try:
        if _crc(unit, kind, source, body) != crc:
            return unit, None
        mono_ns, config_version, detail = json.loads(body)
    except (ValueError, TypeError):
        return unit, None
    return unit, Event(kind, source, time_ns, mono_ns, config_version, detail)


def read(
    connection: sqlite3.Connection, ranges: Iterable[Sequence[int]], limit: int, most: int = 2**31
) -> list[tuple[Unit, Event | None]]:
    """The first ones within ``ranges``: at most ``limit``, and no more than weigh ``most`` (but one)."""
    out: list[tuple[Unit, Event | None]] = []
    for first, last in ranges:
        rows = connection.execute(
            "SELECT seq, epoch, kind, source, time_ns, crc32, body FROM event"
            " WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (first, last, limit - len(out)),
        )
        for row in rows:
            out.append(_event_of(row))
            most -= weight(out[-1][1])
            if most < 0 and len(out) > 1:
                return out[:-1]
        if len(out) >= limit:
            break
    return out


def weight(event: Event | None) -> int:
    """In samples, for the size of a message: an evidence record holds thousands."""
    series = event.detail.get(SERIES) if event is not None else None
    if not isinstance(series, Mapping):
        return 1
    return 1 + sum(len(one.get("v", ())) for one in series.values() if isinstance(one, Mapping))


def without_series(event: Event) -> Event:
    """For memory: what people are shown of the newest events needs no samples."""
    if SERIES not in event.detail:
        return event
    detail = {key: value for key, value in event.detail.items() if key != SERIES}
    return replace(event, detail=detail)


def search(
    connection: sqlite3.Connection,
    start_ns: int,
    end_ns: int,
    kinds: Collection[str] | None,
    before: int,
    limit: int,
) -> tuple[list[Event | None], int | None]:
    """One page of start <= ``time_ns`` < end below the number ``before``, newest first, and where the next
    page begins; None: there is none. It ends where a thousand events in a row are older, so that a small step
    of the clock hides nothing. An event is None if its row is not what was stored."""
    heads = connection.execute(
        "SELECT seq, kind, time_ns FROM event WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, _HEADS)
    ).fetchall()
    if not heads or all(time_ns < start_ns for _, _, time_ns in heads):
        return [], None
    most = min(limit, _BODIES)
    wanted = [
        seq
        for seq, kind, time_ns in heads
        if start_ns <= time_ns < end_ns and (kinds is None or kind in kinds)
    ]
    rows = [
        row
        for seq in wanted[:most]
        for row in connection.execute(
            "SELECT seq, epoch, kind, source, time_ns, crc32, body FROM event WHERE seq = ?", (seq,)
        )
    ]
    following = wanted[most - 1] if len(wanted) > most else heads[-1][0]
    return [_event_of(row)[1] for row in rows], following


def state_and_recent(connection: sqlite3.Connection) -> tuple[dict[str, Any], list[tuple[Unit, Event]]]:
    states = {}
    for name, body in connection.execute("SELECT name, body FROM window_state"):
        try:
            states[name] = json.loads(body)
        except (ValueError, TypeError):
            continue  # that window starts as unknown
    rows = connection.execute(
        "SELECT seq, epoch, kind, source, time_ns, crc32, body FROM event ORDER BY seq DESC LIMIT ?",
        (RECENT,),
    )
    recent = [(unit, without_series(event)) for unit, event in map(_event_of, rows) if event is not None]
    return states, recent


def newest_units(connection: sqlite3.Connection) -> list[Unit]:
    rows = connection.execute(f"{OUTLINE} ORDER BY seq DESC LIMIT 64").fetchall()
    return [Unit.of_row(row) for row in reversed(rows)]


def unit_of(connection: sqlite3.Connection, seq: int) -> Unit | None:
    row = connection.execute(f"{OUTLINE} WHERE seq = ?", (seq,)).fetchone()
    return Unit.of_row(row) if row else None

"""The law, counted by the controller: what it served is received, or waits, or is set aside, or stands in the
ledger. One account per uplink, in samples.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_agent.buffer import inspect
from tests.faults.parks import Reading, Receiver
from tests.faults.plc import number_of, place_of

EDGE_NS = 50_000_000  # between the controller's clock for a poll and the agent's
S = 1_000_000_000
ANSWER_LATE_NS = 3_000_000_000  # an answer later than this, the agent has long reported a failure
Polls = Mapping[int, Sequence[tuple[int, int]]]
Walls = Callable[[int, int], Iterable[int]]  # of a poll's wall and monotonic time, ns: what the agent stamps


@dataclass(slots=True)
class Lives:
    """How many polls each unit had served when a run of the agent ended."""

    ends: list[Mapping[int, int]] = field(default_factory=list)

    def ended(self, polls: Mapping[int, int]) -> None:
        self.ends.append(polls)

    def last_of(self, unit: int) -> set[int]:
        """The polls an end may have cut off: each unit has one request under way at most."""
        return {end[unit] for end in self.ends}


@dataclass(frozen=True, slots=True)
class Account:
    """In samples. ``unknown``: inside a ledger row of unknown extent. ``in_flight``: the agent ended before
    it had the answer. ``failed``: the agent reported the poll as failed. ``overtold``: in the ledger and yet
    received, or told twice; without meaning where not ``exact``: one reading stands for those of its second,
    lost ones too, or nobody confirms what arrives."""

    uplink: str
    kind: str
    served: int
    received: int
    pending: int
    quarantined: int
    ledger: int
    unknown: int
    in_flight: int
    failed: int
    duplicates: int
    wrong_tag: int
    conflicts: int
    unordered: int
    repeated: int
    exact: bool = True

    @property
    def not_received(self) -> int:
        """What must be in a row of known extent, set aside or still there."""
        return self.served - self.received - self.unknown - self.in_flight - self.failed

    @property
    def unaccounted(self) -> int:
        return max(0, self.not_received - self.ledger - self.quarantined - self.pending)

    @property
    def overtold(self) -> int:
        """What still waits may have been received: its confirmation then did not come in time."""
        return max(0, self.ledger + self.quarantined - self.not_received) if self.exact else 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the ledger of samples."""

    reason: str
    samples: int | None
    from_ns: int
    to_ns: int


def failures(parks: Iterable[Receiver], units: Iterable[int]) -> dict[int, set[int]]:
    """Per unit the times in us of polls that the agent reported as failed, to whichever park can be told."""
    return {
        unit: {time_us for park in parks for time_us, _, good in park.readings(f"d{unit}", "t0") if not good}
        for unit in units
    }


def unsteered(wall_ns: int, _: int) -> tuple[int]:
    """The agent's wall clock is the machine's."""
    return (wall_ns,)


def account(
    park: Receiver,
    polls: Polls,
    lives: Lives,
    state: Path,
    tags: int,
    failed: Mapping[int, set[int]],
    walls: Walls = unsteered,
) -> Account:
    """``walls`` is asked of parks that have one reading of each second."""
    rows = ledger(state, park.name)
    position = inspect(state)["samples"].get("uplinks", {}).get(park.name, {})
    counts = dict.fromkeys(("served", "received", "unknown", "in_flight", "failed"), 0)
    counts |= dict.fromkeys(("duplicates", "wrong_tag", "unordered"), 0)
    seconds = park.seconds() if park.per_second else set()
    for unit, served in polls.items():
        stood_for = {n for n, at in enumerate(served, 1) if seconds and seconds & _seconds(walls(*at))}
        for tag in range(tags):
            readings = park.readings(f"d{unit}", f"t{tag}")
            found = _tally(readings, unit, tag, served, lives.last_of(unit), rows, failed[unit], stood_for)
            if not park.ordered:
                found["unordered"] = 0
            counts = {name: counts[name] + found[name] for name in counts}
    return Account(
        uplink=park.name,
        kind=park.kind,
        pending=position.get("pending_samples", 0),
        quarantined=position.get("quarantined_samples", 0),
        ledger=sum(row.samples or 0 for row in rows),
        conflicts=park.conflicts(),
        repeated=park.repeated(),
        exact=not (park.per_second or park.lag_s),
        **counts,
    )


def _tally(
    readings: Sequence[Reading],
    unit: int,
    tag: int,
    polls: Sequence[tuple[int, int]],
    cut_off: set[int],
    rows: Sequence[Row],
    bad_us: set[int],
    stood_for: set[int],
) -> dict[str, int]:
    """``stood_for``: polls of whose second the park has a reading."""
    values = [value for _, value, good in readings if good and value is not None]
    mine = [number_of(value) for value in values if place_of(value) == (unit, tag)]
    out = {
        "served": len(polls),
        "received": len(set(mine)),
        "unknown": 0,
        "in_flight": 0,
        "failed": 0,
        "duplicates": len(mine) - len(set(mine)),
        "wrong_tag": len(values) - len(mine) + sum(not 0 < n <= len(polls) for n in mine),
        "unordered": sum(b < a for a, b in pairwise(mine)),
    }
    reported = sorted(bad_us)
    for number in sorted(set(range(1, len(polls) + 1)) - set(mine)):
        wall_ns = polls[number - 1][0]
        if number in stood_for:
            out["received"] += 1
        elif any(
            row.samples is None and row.from_ns - EDGE_NS <= wall_ns <= row.to_ns + EDGE_NS for row in rows
        ):
            out["unknown"] += 1
        elif number in cut_off:
            out["in_flight"] += 1
        elif (report := _report_of(wall_ns, reported)) is not None:
            reported.remove(report)  # each explains one poll, and no loss beside it
            out["failed"] += 1
    return out


def _seconds(walls: Iterable[int]) -> set[int]:
    return {(wall_ns + edge_ns) // S for wall_ns in walls for edge_ns in (-EDGE_NS, EDGE_NS)}


def _report_of(wall_ns: int, reported: Sequence[int]) -> int | None:
    """The first report of a failure that may be of a poll answered at that time."""
    return next((us for us in reported if -EDGE_NS <= us * 1000 - wall_ns <= ANSWER_LATE_NS), None)


def ledger(state: Path, uplink: str) -> list[Row]:
    """Every row that concerns this uplink: of the file in use, of those set aside, and of those told as
    events; each once, though it may stand in several of these places."""
    told: dict[tuple[Any, ...], Row] = {}
    for path in sorted(state.glob("buffer.db*")):
        if path.suffix in (".db", "") or path.name.rpartition("-")[2].isdigit():
            for reason, epoch, name, first, last, samples, t0, t1 in _select(
                path, "SELECT reason, epoch, uplink, from_seq, to_seq, n_samples, t0_ns, t1_ns FROM loss"
            ):
                key = (reason, epoch, name, first, last, samples, t0 // 1000, t1 // 1000)
                told[key] = Row(reason, samples, t0, t1)
    for kind, body in _select(state / "events.db", "SELECT kind, body FROM event WHERE kind LIKE 'data%'"):
        detail = _detail(body)
        if detail.get("stream") == "samples":
            if kind == "data_salvaged":  # takes back what a row says
                detail["samples"] = -detail["samples"]
            names = ("reason", "epoch", "uplink", "from_seq", "to_seq", "samples", "from_us", "to_us")
            key = tuple(detail[name] for name in names)
            told.setdefault(key, Row(key[0], key[5], key[6] * 1000, key[7] * 1000 + 999))
    return [row for key, row in told.items() if key[2] in (None, uplink)]


def _detail(body: str) -> dict[str, Any]:
    """An event's body is [monotonic time, version, detail]."""
    detail: dict[str, Any] = json.loads(body)[-1]
    return detail


def _select(path: Path, question: str) -> list[tuple[Any, ...]]:
    """Nothing where the file is not there or no database."""
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(question).fetchall()
    except sqlite3.Error:
        return []


def table(accounts: Sequence[Account]) -> str:
    names = (
        "uplink", "kind", "served", "received", "pending", "quarantined", "ledger", "unknown", "in_flight",
        "failed", "unaccounted", "overtold", "duplicates", "wrong_tag", "conflicts", "unordered",
    )  # fmt: skip
    rows = [names, *(tuple(str(getattr(a, name)) for name in names) for a in accounts)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)

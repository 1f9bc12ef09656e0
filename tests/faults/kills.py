"""kill -9 at random while the park is down; then it returns. Counted by a counter inside the simulated PLC.

The PLC adds one to a register with every poll that reads it, so each poll has a number that only it has. In
the end the park must have every number, but for at most one flush interval before each kill, and each such
interval must lie in rows of the loss ledger, which arrive at the park as events.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site

POLL_S = 0.1
FLUSH_S = 1.0
LIFE_S = (0.2, 3.0)
DRAIN_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of missing numbers between two polls that arrived, and how many kills fell into it."""

    before_us: int
    after_us: int
    polls: int
    kills: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``gaps``: runs of missing poll numbers; ``longest_gap``: polls missing per kill, in the worst of them;
    ``drained_s``: from the park's return until nothing was waiting."""

    kills: int
    polls_served: int
    polls_received: int
    longest_gap: int
    gaps: int
    gaps_without_kill: int
    gaps_without_ledger: int
    ledger_rows: int
    duplicates_after_dedup: int
    conflicts: int
    unordered: int
    drained_s: float

    @property
    def allowed_gap(self) -> int:
        """Polls in one flush interval, the one in flight and the one being committed included."""
        return round(FLUSH_S / POLL_S) + 2


def run(folder: Path, kills: int, seed: int) -> Outcome:
    with closing(Line(folder, "modbus", *CALM)) as line, closing(Park(folder)) as park:
        with closing(Site(folder / "site", park.url, flush=f"{FLUSH_S:g}s")) as site:
            site.press(line.link(), poll=f"{POLL_S * 1000:g}ms")
            killed_us, drained_s = _die_and_come_back(site, park, kills, random.Random(seed))
        return _count(line, park, killed_us, drained_s)


def _die_and_come_back(site: Site, park: Park, kills: int, chance: random.Random) -> tuple[list[int], float]:
    """When it was killed (wall time), and how long the park then waited for the rest."""
    park.mood("vanish", seconds=0)
    killed_us = [_live_and_die(site, chance) for _ in range(kills)]
    park.mood("ok")
    begin = time.monotonic()
    site.start()
    eventually("the backlog is delivered", lambda: _drained(site), DRAIN_WITHIN_S)
    drained_s = time.monotonic() - begin
    site.stop()
    return killed_us, drained_s


def _live_and_die(site: Site, chance: random.Random) -> int:
    """One life of the agent; returns when it was ended (wall time). Four in five are long enough to read;
    the fifth may end while it is still starting."""
    site.start(wait=chance.random() < 0.8)
    time.sleep(chance.uniform(*LIFE_S))
    site.kill()
    return time.time_ns() // 1000


def _drained(site: Site) -> bool:
    uplink = site.uplink()
    return bool(uplink["up"]) and uplink["pending_segments"] <= 2


def _count(line: Line, park: Park, killed_us: list[int], drained_s: float) -> Outcome:
    rows = [(time_us, n) for time_us, n, _, quality in park.samples("press-1", "polls") if quality == 0]
    numbers = [number for _, number in rows]
    gaps = [
        Gap(before, after, b - a - 1, sum(before < kill < after for kill in killed_us))
        for (before, a), (after, b) in pairwise(rows)
        if b - a > 1
    ]
    losses = [event["detail"] for event in park.events("data_lost")]
    return Outcome(
        kills=len(killed_us),
        polls_served=line.state()["units"]["1"],
        polls_received=len(numbers),
        longest_gap=max((-(-gap.polls // max(gap.kills, 1)) for gap in gaps), default=0),
        gaps=len(gaps),
        gaps_without_kill=sum(not gap.kills for gap in gaps),
        gaps_without_ledger=sum(not _in_ledger(gap, losses) for gap in gaps),
        ledger_rows=len(losses),
        duplicates_after_dedup=len(numbers) - len(set(numbers)),
        conflicts=park.report()["conflicts"],
        unordered=sum(b <= a for a, b in pairwise(numbers)),
        drained_s=round(drained_s, 1),
    )


def _in_ledger(gap: Gap, losses: list[dict[str, Any]]) -> bool:
    """Whether rows of the ledger lie over the gap without a hole, from the last poll that was kept to the
    start after the last kill. A run that died before its first commit has a row of its own."""
    rows = sorted(
        (row["from_us"], row["to_us"])
        for row in losses
        if (row["stream"], row["reason"]) == ("samples", "unclean_stop")
        and gap.before_us < row["to_us"] <= gap.after_us
    )
    upto = gap.before_us + 1
    for start, end in rows:
        if start > upto:
            return False
        upto = max(upto, end + 1)
    return bool(rows)

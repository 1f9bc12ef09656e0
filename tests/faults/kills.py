"""kill -9 at random while the park is down; then it returns. Counted by a counter inside the simulated PLC.

The PLC adds one to a register with every poll that reads it, so each poll has a number that only it has. In
the end the park must have every number, but for at most one flush interval before each kill, and each such
interval must lie in a row of the loss ledger, which arrives at the park as an event.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.plant.processes import Child, eventually, get, post
from tests.plant.site import Site

POLL_S = 0.1
FLUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``gaps``: runs of missing poll numbers; ``longest_gap``: of one such run, in polls."""

    kills: int
    polls_served: int
    polls_received: int
    longest_gap: int
    gaps: int
    gaps_without_ledger: int
    ledger_rows: int
    duplicates_after_dedup: int
    conflicts: int
    unordered: int

    @property
    def allowed_gap(self) -> int:
        """Polls in one flush interval, the one in flight and the one being committed included."""
        return round(FLUSH_S / POLL_S) + 2


def run(folder: Path, kills: int, seed: int) -> Outcome:
    chance = random.Random(seed)
    line = Child(
        ["hardware_mocks", "modbus", "--port", "0", "--control-port", "0", "--with-parent"],
        folder / "line.log",
    )
    park = Child(
        ["hardware_mocks", "park", "--park-port", "0", "--park-control-port", "0", "--with-parent"],
        folder / "park.log",
    )
    control = f"http://127.0.0.1:{park.ports['park_control']}"
    site = Site(folder / "site", f"http://127.0.0.1:{park.ports['park']}/ingest", flush=f"{FLUSH_S:g}s")
    site.device(
        "press-1",
        [("polls", "hr:0", "uint32"), ("pressure", "hr:2", "uint16"), ("fan", "hr:3", "uint16")],
        driver="modbus",
        link=f"tcp://127.0.0.1:{line.ports['modbus']}",
        poll=f"{POLL_S * 1000:g}ms",
    )
    try:
        post(f"{control}/control", {"mode": "vanish"})
        for _ in range(kills):
            site.start(wait=False)
            time.sleep(chance.uniform(0.3, 4.0))
            assert site.agent is not None
            site.agent.kill()
        post(f"{control}/control", {"mode": "ok"})
        site.start()
        time.sleep(2 * FLUSH_S)
        eventually("the backlog is delivered", lambda: _drained(site), 120)
        assert site.agent is not None
        assert site.agent.stop() == 0
        return _count(control, line, kills)
    finally:
        if site.agent is not None and site.agent.running:
            site.agent.kill()
        for child in (line, park):
            child.stop()


def _drained(site: Site) -> bool:
    uplink = site.status()["uplinks"][0]
    return bool(uplink["up"]) and uplink["pending_segments"] <= 2


def _count(control: str, line: Child, kills: int) -> Outcome:
    rows = get(f"{control}/samples?device=press-1&tag=polls")
    rows = [(time_us, number) for time_us, number, _key in rows if number is not None]
    numbers = [number for _, number in rows]
    gaps = [(a, b, nb - na - 1) for (a, na), (b, nb) in pairwise(rows) if nb - na > 1]
    ledger = [e["detail"] for e in get(f"{control}/events") if e["kind"] == "data_lost"]
    report = get(f"{control}/report")
    served = get(f"http://127.0.0.1:{line.ports['control']}/state")["servers"]["modbus"]["units"]["1"]
    return Outcome(
        kills=kills,
        polls_served=served,
        polls_received=len(numbers),
        longest_gap=max((missing for _, _, missing in gaps), default=0),
        gaps=len(gaps),
        gaps_without_ledger=sum(not _in_ledger(gap, ledger) for gap in gaps),
        ledger_rows=len(ledger),
        duplicates_after_dedup=len(numbers) - len(set(numbers)),
        conflicts=report["conflicts"] if isinstance(report["conflicts"], int) else len(report["conflicts"]),
        unordered=sum(b <= a for a, b in pairwise(numbers)),
    )


def _in_ledger(gap: tuple[int, int, int], ledger: list[dict[str, Any]]) -> bool:
    """A gap between two received polls is accounted for when a ledger row spans all of it that is missing."""
    before_us, after_us, _ = gap
    return any(
        row["reason"] == "unclean_stop"
        and row["from_us"] <= before_us + 1
        and before_us < row["to_us"] <= after_us
        for row in ledger
    )  # fmt: skip

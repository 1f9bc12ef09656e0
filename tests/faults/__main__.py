"""`make test-faults`: the fault suite at length. The last line of standard output is one JSON object."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults import blackhole, bus, kills, late
from tests.faults.hostile import beside
from tests.faults.hostile.figures import problems as hostile_problems

HEAL_WITHIN_S = 5.0  # a link that answers again is found within this time
PROBED_WITHIN_S = 6.5  # a station behind others: its longest probe pause (5 s), a poll, and the watching


@dataclass(frozen=True, slots=True)
class Length:
    """How much of everything. ``reads`` and ``least``: of the hostile run; ``*_s``: how long parts last."""

    reads: int
    least: int
    limit_s: float
    warm_s: float
    hole_s: float
    bus_s: float
    late_s: Sequence[float]
    kills: int


FULL = Length(100_000, 200, 330.0, 20.0, 25.0, 60.0, late.LATE_S, 50)
QUICK = Length(10_000, 15, 60.0, 8.0, 8.0, 15.0, late.LATE_S[:1], 8)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="a tenth of everything")
    options.add_argument("--hostile", action="store_true", help="the hostile devices only")
    options.add_argument("--kills", type=int)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    chosen = options.parse_args()
    length = QUICK if chosen.quick else FULL
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lineside-faults-") as name:
        folder = Path(name)
        figures, problems = meet_the_hostile(folder, chosen.seed, length)
        if not chosen.hostile:
            for part in (meet_the_dead, meet_the_late):
                more, worse = part(folder, length)
                figures |= more
                problems += worse
            more, worse = meet_the_killer(folder, chosen.kills or length.kills, chosen.seed)
            figures |= more
            problems += worse
    for problem in problems:
        print(f"FAILED: {problem}", flush=True)
    print(json.dumps({**figures, "failed": len(problems), "seed": chosen.seed}))
    return 1 if problems else 0


Findings = tuple[dict[str, Any], list[str]]
"""Figures, and sentences about those that are too bad."""


def meet_the_hostile(folder: Path, seed: int, length: Length) -> Findings:
    found, calm = beside.run(
        folder, seed, reads=length.reads, least=length.least, limit_s=length.limit_s, warm_s=length.warm_s
    )
    print(found.table(), flush=True)
    print(f"calm run beside it: {calm.reads} reads, loop lag {calm.lag_ms} ms", flush=True)
    told = hostile_problems(found, reads=length.reads, least=length.least, calm_lag_ms=calm.lag_ms)
    if calm.faulted or calm.wrong_values:
        told.append(f"the calm run was none: {calm}")
    return {
        "reads": found.reads,
        "faulted_percent": round(100 * found.share, 1),
        "least_per_behaviour": found.least,
        "good_values": sum(found.good.values()),
        "wrong_values": found.wrong_values,
        "hangs": found.hangs,
        "unexpected_errors": found.unexpected,
        "rss_growth_mb": found.rss_growth_mb,
        "loop_lag_ms": round(max(0.0, found.lag_ms - calm.lag_ms), 1),
        "loop_lag_hostile_ms": found.lag_ms,
        "loop_lag_calm_ms": calm.lag_ms,
        "back_after_hostility_s": found.back_s,
        "hostile_s": found.seconds,
    }, told


def meet_the_dead(folder: Path, length: Length) -> Findings:
    holes = [blackhole.run(folder, shared=shared, seconds=length.hole_s) for shared in (False, True)]
    line = bus.run(folder, length.bus_s)
    for found in (*holes, line):
        print(found, flush=True)
    return {
        "missed_polls_neighbours": max(h.missed_faulty_run - h.missed_healthy_run for h in holes),
        "recovery_s": max(h.healed_s for h in holes),
        "bus_stretch_percent": line.stretch_percent,
        "bus_longest_gap_s": line.longest_gap_s,
        "bus_recovery_s": line.healed_s,
    }, [p for hole in holes for p in check_hole(hole)] + bus.check(line)


def meet_the_late(folder: Path, length: Length) -> Findings:
    found = late.run_all(length.late_s)
    for outcome in found:
        print(outcome, flush=True)
    steps = [o.in_step_s for o in found if o.in_step_s is not None and o.allowed_s == late.IN_STEP_WITHIN_S]
    return {
        "late_wrong_values": sum(outcome.wrong_values for outcome in found),
        "late_in_step_s": max(steps, default=None),
    }, [problem for outcome in found for problem in late.check(outcome)]


def meet_the_killer(folder: Path, times: int, seed: int) -> Findings:
    killed = kills.run(folder, times, seed)
    print(killed, flush=True)
    return asdict(killed), check_kills(killed)


def check_kills(outcome: kills.Outcome) -> list[str]:
    problems = []
    if outcome.polls_served < 2 * outcome.kills:
        problems.append(f"only {outcome.polls_served} polls in {outcome.kills} lives: that proves nothing")
    if outcome.longest_gap > outcome.allowed_gap:
        problems.append(
            f"{outcome.longest_gap} polls are missing for one kill, {outcome.allowed_gap} allowed"
        )
    if outcome.gaps_without_kill:
        problems.append(f"{outcome.gaps_without_kill} gaps although nobody killed the agent then")
    if outcome.gaps_without_ledger:
        problems.append(f"{outcome.gaps_without_ledger} gaps have no ledger row")
    if outcome.duplicates_after_dedup or outcome.conflicts or outcome.unordered:
        problems.append(f"duplicates, conflicts or disorder: {outcome}")
    if outcome.polls_received < outcome.polls_served - outcome.kills * outcome.allowed_gap - 2:
        problems.append(f"{outcome.polls_served} polls served, {outcome.polls_received} received")
    return problems


def check_hole(outcome: blackhole.Outcome) -> list[str]:
    problems = []
    if outcome.missed_faulty_run > outcome.missed_healthy_run:
        problems.append(f"neighbours of a dead device missed polls: {outcome}")
    if outcome.healed_s > (PROBED_WITHIN_S if outcome.shared else HEAL_WITHIN_S):
        problems.append(f"the dead device was found alive only after {outcome.healed_s} s: {outcome}")
    if outcome.dead_state == "up":
        problems.append(f"the dead device is shown as up: {outcome}")
    return problems


if __name__ == "__main__":
    sys.exit(main())

"""`make test-faults`: the fault suite at length. The last line of standard output is one JSON object."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.faults import blackhole, kills

HEAL_WITHIN_S = 5.0  # a link that answers again is found within this time


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seconds", type=float, default=30.0, help="of each black-hole run")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    chosen = options.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lineside-faults-") as name:
        folder = Path(name)
        holes = [blackhole.run(folder, shared=shared, seconds=chosen.seconds) for shared in (False, True)]
        for hole in holes:
            print(hole, flush=True)
        killed = kills.run(folder, chosen.kills, chosen.seed)
        print(killed, flush=True)
    problems = check_kills(killed) + [p for hole in holes for p in check_hole(hole)]
    for problem in problems:
        print(f"FAILED: {problem}", flush=True)
    print(json.dumps({
        **asdict(killed),
        "missed_polls_neighbours": max(h.missed_faulty_run - h.missed_healthy_run for h in holes),
        "healed_s": max(h.healed_s for h in holes),
        "failed": len(problems),
        "seed": chosen.seed,
    }))  # fmt: skip
    return 1 if problems else 0


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
    if outcome.healed_s > HEAL_WITHIN_S:
        problems.append(f"the dead device was found alive only after {outcome.healed_s} s: {outcome}")
    if outcome.dead_state == "up":
        problems.append(f"the dead device is shown as up: {outcome}")
    return problems


if __name__ == "__main__":
    sys.exit(main())

"""`make test-faults`: the fault suite at length. The last line of standard output is one JSON object.

First the hostile and the dead devices, then the scenarios of `programme`, each in a process of its own: three
side by side where they mostly wait, one after the other where delays are measured.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults import crash
from tests.faults.devices import FULL, QUICK, meet_the_dead, meet_the_hostile, meet_the_late
from tests.faults.programme import ALL
from tests.faults.stage import Scenario
from tests.faults.verdicts import Result, problems, table
from tests.plant.processes import ROOT

TOGETHER = 4


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="a short form of everything")
    options.add_argument("--hostile", action="store_true", help="the hostile devices only")
    options.add_argument("--scenarios", action="store_true", help="the numbered scenarios only")
    options.add_argument("--only", default="", help="some of them: F29,F30")
    options.add_argument("--kills", type=int, help="of F4")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    chosen = options.parse_args()
    chosen.only = [name for name in chosen.only.upper().split(",") if name]
    print(f"seed {chosen.seed}", flush=True)
    figures: dict[str, Any] = {}
    worse: list[str] = []
    if not chosen.only and not chosen.scenarios:
        figures, worse = _devices(chosen.seed, hostile=chosen.hostile, quick=chosen.quick)
    results = [] if chosen.hostile else _scenarios(chosen)
    if results:
        print(table(results), flush=True)
    worse += [problem for result in results for problem in problems(result)]
    for problem in worse:
        print(f"FAILED: {problem}", flush=True)
    accounts = [account for result in results for account in result["accounts"]]
    summary = {
        **figures,
        "scenarios": len(results),
        "scenarios_failed": sum(bool(problems(result)) for result in results),
        "not_played": sum(bool(result.get("not_played")) for result in results),
        "uplinks": len({account["kind"] for account in accounts}),
        "samples_served": sum(account["served"] for account in accounts),
        "unaccounted": sum(account["unaccounted"] for account in accounts),
        "duplicates": sum(account["duplicates"] for account in accounts),
        "wrong_tag": sum(account["wrong_tag"] for account in accounts),
    }
    print(json.dumps({**summary, "failed": len(worse), "seed": chosen.seed}))
    return 1 if worse else 0


def _devices(seed: int, *, hostile: bool, quick: bool) -> tuple[dict[str, Any], list[str]]:
    length = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="lineside-faults-") as name:
        figures, worse = meet_the_hostile(Path(name), seed, length)
        for part in () if hostile else (meet_the_dead, meet_the_late):
            more, found = part(Path(name), length)
            figures |= more
            worse += found
    return figures, worse


def _scenarios(chosen: argparse.Namespace) -> list[Result]:
    wanted = [s for s in ALL if not chosen.only or s.id in chosen.only]
    unknown = set(chosen.only) - {s.id for s in ALL} - set(crash.TITLES)
    if unknown:
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor(TOGETHER) as pool:
        waiting = sorted((s for s in wanted if not s.alone), key=lambda s: -s.lasts_s)
        done = list(pool.map(lambda s: _play(s, chosen), waiting))
    done += [_play(s, chosen) for s in wanted if s.alone]
    if not chosen.only or set(chosen.only) & set(crash.TITLES):
        done += [r for r in _crash(chosen) if not chosen.only or r["id"] in chosen.only]
    return sorted(done, key=lambda result: int(result["id"][1:]))


def _crash(chosen: argparse.Namespace) -> list[Result]:
    return crash.results(crash.enumerate_states(chosen.seed, quick=chosen.quick), quick=chosen.quick)


def _play(scenario: Scenario, chosen: argparse.Namespace) -> Result:
    empty = {"id": scenario.id, "title": scenario.title, "done": "", "figures": [], "accounts": []}
    if why := scenario.missing():
        print(f"{scenario.id} not played: {why}", flush=True)
        return {**empty, "error": "", "not_played": why}
    words: Sequence[str] = [
        sys.executable,
        "-m",
        "tests.faults.alone",
        scenario.id,
        "--seed",
        str(chosen.seed),
    ]
    more = (["--quick"] if chosen.quick else []) + (["--runs", str(chosen.kills)] if chosen.kills else [])
    try:
        done = subprocess.run(
            [*words, *more], cwd=ROOT, capture_output=True, text=True, timeout=scenario.limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {**empty, "error": f"not over within {scenario.limit_s:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {**empty, "error": done.stderr[-2000:] or f"exit code {done.returncode}"}
    result: Result = json.loads(lines[-1])
    if result["error"]:
        print(done.stderr, flush=True)
    verdict = "FAILED" if problems(result) else "good"
    print(f"{scenario.id} {verdict} after {result['seconds']:g} s: {result['title']}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())

"""``make test-crash``: power cuts by the thousand. The last line of standard output is JSON.

``--only STORY:CUT:DRAW:LIES`` (as a finding is printed) with the same ``--seed`` tries one state again and
leaves its files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.crash.enumerator import LIES, Cut, Tally, enumerate_states, spread, walk
from tests.crash.record import Recording, record
from tests.crash.site import record_agent
from tests.crash.stories import STORIES

DEFAULT_STATES = 6000
WITH_AGENT = 2000  # from so many states on the agent itself is recorded too
EVERY_S = 15.0
_KINDS = ("lost", "corrupt", "not_starting")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.crash")
    options.add_argument("--states", type=int, default=DEFAULT_STATES)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options.add_argument("--story", action="append", choices=[*STORIES, "agent"], help="only this one")
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options.add_argument("--only", type=Cut.parse, metavar="STORY:CUT:DRAW:LIES")
    chosen = options.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    stories = chosen.story or ([*STORIES, "agent"] if chosen.states >= WITH_AGENT else list(STORIES))
    with tempfile.TemporaryDirectory(prefix="lineside-crash-") as name:
        if chosen.only is not None:
            return try_one(chosen.only, Path(name), str(chosen.seed))
        recordings = record_all(stories, Path(name), str(chosen.seed))
        return run(recordings, chosen.states, str(chosen.seed), chosen.processes)


def record_all(stories: Sequence[str], folder: Path, seed: str) -> dict[str, Recording]:
    def one(story: str) -> Recording:
        make = record_agent if story == "agent" else lambda place, seed: record(story, place, seed)
        return make(folder / story, seed)

    with ThreadPoolExecutor(2) as pool:
        recordings = dict(zip(stories, pool.map(one, stories), strict=True))
    for story, recording in recordings.items():
        print(f"recorded {story:8} {len(recording.operations):6} operations", flush=True)
    return recordings


def run(recordings: Mapping[str, Recording], states: int, seed: str, processes: int) -> int:
    everything = list(recordings.values())
    cuts = spread(everything, states, 0, seed)
    for lies in LIES:
        cuts += spread([r for r in everything if r.story != "config"], max(states // 8, 20), lies, seed)
    stories: dict[str, Tally] = {story: Tally() for story in recordings}
    lied: dict[int, Tally] = {lies: Tally() for lies in LIES}
    told_s = time.monotonic()
    for done, (cut, verdict) in enumerate(enumerate_states(recordings, cuts, seed, processes), start=1):
        (lied[cut.lies] if cut.lies else stories[cut.story]).add(cut, verdict)
        for finding in verdict.findings[:2]:
            print(f"{cut} {finding.kind}: {finding.text}", flush=True)
        if time.monotonic() - told_s > EVERY_S:
            told_s = time.monotonic()
            print(f"{done} of {len(cuts)} states", file=sys.stderr, flush=True)
    print(table(stories, lied))
    print(json.dumps(summary(stories, lied, int(seed))))
    return 1 if any(tally.findings for tally in (*stories.values(), *lied.values())) else 0


def table(stories: Mapping[str, Tally], lied: Mapping[int, Tally]) -> str:
    head = ("", "states", "findings", "with loss", "most lost", "set aside", "keys again", "no trace")
    rows = [head, *(_row(story, tally) for story, tally in stories.items())]
    rows += [_row(f"{lies} flushes lied", tally) for lies, tally in lied.items()]
    return "\n".join(f"{row[0]:18}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows)


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    figures = (tally.states, sum(tally.findings.values()), tally.with_loss, tally.most_lost, tally.set_aside)
    return (name, *map(str, (*figures, tally.reused, tally.vanished)))


def summary(stories: Mapping[str, Tally], lied: Mapping[int, Tally], seed: int) -> dict[str, Any]:
    """``lost`` and so on: states, on an honest disk. ``lied``: ``silent``: states in which something is gone
    and no ledger row tells; ``with_loss``: in which something is gone."""
    honest = list(stories.values())
    findings = {kind: sum(tally.findings[kind] for tally in honest) for kind in _KINDS}
    others = sum(sum(tally.findings.values()) for tally in honest) - sum(findings.values())
    return {
        "states": sum(tally.states for tally in honest),
        **findings,
        "others": others,
        "seed": seed,
        "lied": {
            lies: {
                "states": tally.states,
                "not_starting": tally.findings["not_starting"],
                "silent": tally.findings["lost"],
                "others": sum(tally.findings[k] for k in tally.findings if k not in ("not_starting", "lost")),
                "with_loss": tally.with_loss,
                "most_lost": tally.most_lost,
                "set_aside": tally.set_aside,
                "keys_again": tally.reused,
                "no_trace": tally.vanished,
            }
            for lies, tally in lied.items()
        },
    }  # fmt: skip


def try_one(cut: Cut, folder: Path, seed: str) -> int:
    recording = record_all([cut.story], folder, seed)[cut.story]
    place = Path(tempfile.mkdtemp(prefix="lineside-crash-state-"))
    ((_, verdict),) = asyncio.run(walk(recording, [cut], seed, place))
    for finding in verdict.findings:
        print(f"{finding.kind}: {finding.text}")
    print(f"{len(verdict.findings)} findings; before: {place}-before, after: {place}")
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())

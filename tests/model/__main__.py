"""``make test-model``: engine against model, a million steps. The last line of standard output is JSON.

``--bugs`` seeds each fault of ``bugs/`` in a copy and tells which story finds it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time

from tests.model.coverage import missing, table
from tests.model.run import Failure, Figures, run
from tests.model.seeded import try_bugs
from tests.model.shrink import shrink
from tests.model.story import shown

DEFAULT_STEPS = 1_000_000
FOR_A_BUG = 50_000
EVERY_S = 30.0


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.model")
    options.add_argument("--steps", type=int, help=f"{DEFAULT_STEPS}; of each fault at most {FOR_A_BUG}")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options.add_argument("--quick", action="store_true", help="do not shrink a difference")
    options.add_argument("--bugs", nargs="*", metavar="NAME", help="seed these faults, or all, in a copy")
    chosen = options.parse_args()
    if chosen.bugs is not None:
        return try_bugs(chosen.bugs, chosen.seed, chosen.steps or FOR_A_BUG)
    print(f"seed {chosen.seed}", flush=True)
    figures, failure = play(chosen.seed, chosen.steps or DEFAULT_STEPS)
    unreached: list[str] = []
    if failure is not None:
        report(failure if chosen.quick else shrink(failure))
    else:
        print(table(figures.seen))
        unreached = missing(figures.seen)
        print(f"never reached: {', '.join(unreached)}" if unreached else "every category was reached")
    print(json.dumps(summary(figures, chosen.seed, failure, unreached)))
    return 1 if failure is not None or unreached else 0


def play(seed: int, steps: int) -> tuple[Figures, Failure | None]:
    told_s, figures, failure = time.monotonic(), Figures(), None
    for figures, failure in run(seed, steps):
        if failure is not None:
            break
        if time.monotonic() - told_s > EVERY_S:
            told_s = time.monotonic()
            print(f"{figures.steps} steps", file=sys.stderr, flush=True)
    return figures, failure


def report(failure: Failure) -> None:
    print(f"\nDIFFERENCE in story {failure.seed}, shortest form:")
    for group, tags in failure.line.groups:
        print(group, *map(shown, tags))
    for window in failure.line.windows:
        print(shown(window))
    for number, step in enumerate(failure.steps, start=1):
        print(f"{number:4} {shown(step)}")
    print(failure.text)


def summary(
    figures: Figures, seed: int, failure: Failure | None, unreached: list[str]
) -> dict[str, int | str | list[str]]:
    result: dict[str, int | str | list[str]] = {
        "steps": figures.steps,
        "configurations": figures.configurations,
        "seed": seed,
        "transitions": figures.transitions,
        "alarms_raised": figures.seen["alarm_raised"],
        "restarts": figures.seen["restarts"],
        "reloads": figures.seen["reloads"],
        "differences": 0 if failure is None else 1,
    }
    if failure is not None:
        result["story"] = failure.seed
    if unreached:
        result["never_reached"] = unreached
    return result


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.storage_model --bugs [NAME ...]``: which suite finds which fault. The last line of
standard output is JSON."""

from __future__ import annotations

import argparse
import random
import sys

from tests.storage_model.seeded import names, try_bugs


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.storage_model")
    options.add_argument("--bugs", nargs="*", metavar="NAME", required=True, help="these faults, or all")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    chosen = options.parse_args()
    print(f"seed {chosen.seed}, {len(names())} faults", flush=True)
    return try_bugs(chosen.bugs, chosen.seed)


if __name__ == "__main__":
    sys.exit(main())

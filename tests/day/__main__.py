"""``python -m tests.day [--seed N]``: the day over HJ 212; the last line is one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.day.hj212 import run_day


def main(arguments: list[str]) -> int:
    seed = int(arguments[arguments.index("--seed") + 1]) if "--seed" in arguments else 1
    with tempfile.TemporaryDirectory(prefix="day-") as folder:
        result = asyncio.run(run_day(Path(folder), seed))
    for line in result.wrong[:20]:
        print(line)
    said = asdict(result) | {"wrong": len(result.wrong)}
    print(json.dumps(said, default=str))
    whole = (result.minutes, result.hours, result.days) == (1440, 24, 1)
    clean = not (result.missing or result.unexpected or result.wrong or result.duplicates_after_dedup)
    return 0 if whole and clean and not result.violations else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

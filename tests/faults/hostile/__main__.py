"""One run in a process of its own, so that its memory and its loop are its own. Prints one JSON object.

It also ends at the end of stdin: that is how a run beside another is told that this one is over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.faults.hostile import campaign


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seed", default="1")
    options.add_argument("--transports", default=",".join(campaign.ALL))
    options.add_argument("--share", type=float, default=0.25)
    options.add_argument("--reads", type=int, default=0)
    options.add_argument("--least", type=int, default=0)
    options.add_argument("--limit-s", type=float, default=15.0)
    options.add_argument("--warm-s", type=float, default=5.0)
    options.add_argument("--links", type=int)
    options.add_argument("--pace", type=float, default=1.0)
    chosen = vars(options.parse_args())
    chosen["transports"] = chosen["transports"].split(",")
    with tempfile.TemporaryDirectory(prefix="lineside-hostile-") as folder:
        outcome = asyncio.run(campaign.run(campaign.Order(**chosen), Path(folder), over=_told_to_end))
    print(json.dumps(asdict(outcome)))


def _told_to_end() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable) and not os.read(sys.stdin.fileno(), 4096)


if __name__ == "__main__":
    main()

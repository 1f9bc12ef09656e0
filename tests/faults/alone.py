"""One scenario in a process of its own: ``python -m tests.faults.alone F4 --quick``. Last line: JSON."""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.faults.programme import scenario
from tests.faults.stage import Stage

_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE | MS_REC: what is mounted here is seen nowhere else
_FLAGS = {"mount": 0x0002_0000, "net": 0x4000_0000}


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("id")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--runs", type=int)
    chosen = options.parse_args()
    play = scenario(chosen.id)
    enter(play.spaces)
    with tempfile.TemporaryDirectory(prefix=f"lineside-{chosen.id.lower()}-") as name:
        stage = Stage(Path(name), chosen.seed, quick=chosen.quick, runs=chosen.runs)
        error = ""
        begin = time.monotonic()
        try:
            play.play(stage)
        except Exception as failure:  # noqa: BLE001 - whatever ends a scenario is its verdict
            error = f"{type(failure).__name__}: {failure}"
            traceback.print_exc()
        finally:
            stage.clear()
    took = {"seconds": round(time.monotonic() - begin, 1)}
    print(json.dumps({"id": play.id, "title": play.title, "error": error, **took, **stage.result()}))
    return 0


def enter(spaces: Sequence[str]) -> None:
    """Namespaces of its own for this process and all it starts. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for space in spaces:
        if libc.unshare(_FLAGS[space]) != 0:
            raise OSError(ctypes.get_errno(), f"unshare({space}) failed")
    if "mount" in spaces and libc.mount(b"none", b"/", None, _PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), "mount(MS_PRIVATE) failed")
    if "net" in spaces:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


if __name__ == "__main__":
    sys.exit(main())

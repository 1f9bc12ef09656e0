"""Tests prove something only if they can fail: each patch of ``bugs/`` is a fault one of them must find.

A patch begins with the suite that is tried first; where that one notices nothing, the others have their turn.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUGS = HERE / "bugs"
LIMIT_S = 400.0


def suites(seed: int) -> dict[str, list[str]]:
    """Commands that fail when they notice something."""
    slow = "tests/unit/buffer/test_small_disk.py"
    pytest = ["pytest", "-q", "-x", "-p", "no:cacheprovider"]
    model = [str(path.relative_to(ROOT)) for path in sorted(HERE.glob("test_storage_*.py"))]
    return {
        "crash": ["tests.crash", "--states", "400", "--seed", str(seed)],
        "model": [*pytest, *model],
        "unit": [
            *pytest, f"--ignore={slow}", "tests/unit/buffer", "tests/unit/forwarding",
            "tests/unit/config/test_last_good.py",
        ],
    }  # fmt: skip


def names() -> list[str]:
    return sorted(patch.stem for patch in BUGS.glob("*.patch"))


def copy(folder: Path) -> None:
    """Program and tests, as they are now."""
    besides = shutil.ignore_patterns("__pycache__", "bugs")
    for part in ("edge_agent", "drivers", "hardware_mocks", "tests", "config"):
        shutil.copytree(ROOT / part, folder / part, ignore=besides)
    shutil.copy(ROOT / "pyproject.toml", folder)


def apply(name: str, folder: Path, *how: str) -> bool:
    """Whether the patch fits the program in the folder."""
    command = ["git", "apply", "--whitespace=nowarn", *how, str((BUGS / f"{name}.patch").resolve())]
    apart = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    return subprocess.run(command, cwd=folder, env=apart, capture_output=True, check=False).returncode == 0


def first_tried(name: str) -> str:
    return (BUGS / f"{name}.patch").read_text(encoding="utf-8").splitlines()[0].removeprefix("First tried: ")


def notices(folder: Path, command: Sequence[str]) -> bool:
    environment = os.environ | {
        "STORAGE_QUICK": "1",
        "STORAGE_EXAMPLES": "60",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True,
    )  # fmt: skip
    try:
        return running.wait(LIMIT_S) != 0
    except subprocess.TimeoutExpired:
        return True  # it hangs: a person would notice
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)  # its workers outlive it
        running.wait()


def finder(name: str, folder: Path, seed: int) -> str:
    """The suite that finds the fault in the folder; "" where none does."""
    tried = suites(seed)
    first = first_tried(name)
    for suite in [first, *(suite for suite in tried if suite != first)]:
        if notices(folder, tried[suite]):
            return suite
    return ""


def try_bugs(chosen: Sequence[str], seed: int) -> int:
    """Exit code 0 if every fault was found, and nothing without one."""
    wanted = [name for name in names() if not chosen or any(part in name for part in chosen)]
    found: dict[str, str] = {}
    unfit: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lineside-bugs-") as place:
        folder = Path(place)
        copy(folder)
        false = [] if chosen else [s for s, command in suites(seed).items() if notices(folder, command)]
        if not chosen:
            print(f"without a fault: {', '.join(false) or 'nobody'} notices something", flush=True)
        for name in wanted:
            if not apply(name, folder):
                print(f"{name:44} THE PATCH DOES NOT FIT ANY MORE: make it anew", flush=True)
                unfit.append(name)
                continue
            began_s = time.monotonic()
            found[name] = finder(name, folder, seed)
            apply(name, folder, "--reverse")
            told = f"found by {found[name]}" if found[name] else "MISSED"
            print(f"{name:44} {told:15} {time.monotonic() - began_s:5.0f} s", flush=True)
    missed = [name for name, suite in found.items() if not suite]
    print(f"found {len(found) - len(missed)}/{len(wanted)}")
    by_suite = Counter(suite for suite in found.values() if suite)
    summary = {
        "bugs": len(wanted),
        "missed": missed,
        "unfit": unfit,
        "by": by_suite,
        "false": false,
        "seed": seed,
    }
    print(json.dumps(summary))
    return 0 if wanted and not missed and not unfit and not false else 1

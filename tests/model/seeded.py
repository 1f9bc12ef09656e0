"""The duel proves something only if it can fail: each patch of ``bugs/`` is a fault it must find."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUGS = HERE / "bugs"


def names() -> list[str]:
    return sorted(patch.stem for patch in BUGS.glob("*.patch"))


def copy(folder: Path) -> None:
    """Engine and duel, as they are now."""
    besides = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "edge_agent", folder / "edge_agent", ignore=besides)
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()
    shutil.copytree(HERE, folder / "tests" / "model", ignore=besides)


def apply(name: str, folder: Path, *how: str) -> bool:
    """Whether the patch fits the engine in the folder, which may lie within a repository or not."""
    command = ["git", "apply", "--whitespace=nowarn", *how, str((BUGS / f"{name}.patch").resolve())]
    apart = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    return subprocess.run(command, cwd=folder, env=apart, capture_output=True, check=False).returncode == 0


def last_line(folder: Path, seed: int, steps: int) -> dict[str, object]:
    """Of a run in the folder: ``differences`` is 0 where nothing was noticed."""
    command = [sys.executable, "-m", "tests.model", "--quick", "--seed", str(seed), "--steps", str(steps)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise RuntimeError(done.stderr[-2000:])
    summary: dict[str, object] = json.loads(lines[-1])
    return summary


def try_bugs(chosen: Sequence[str], seed: int, steps: int) -> int:
    """Exit code 0 if every fault was found, and nothing without one."""
    wanted = [name for name in names() if not chosen or any(part in name for part in chosen)]
    missed, furthest = [], 0
    with tempfile.TemporaryDirectory(prefix="lineside-bugs-") as name:
        folder = Path(name)
        copy(folder)
        for bug in wanted:
            if not apply(bug, folder):
                raise RuntimeError(f"{bug}: the patch does not fit the engine any more")
            summary = last_line(folder, seed, steps)
            apply(bug, folder, "--reverse")
            found = bool(summary["differences"])
            print(f"{bug:40} {'found' if found else 'MISSED'} after {summary['steps']} steps", flush=True)
            missed += [] if found else [bug]
            furthest = max(furthest, int(str(summary["steps"])))
        sound = not last_line(folder, seed, furthest)["differences"]
    print(f"without a fault: {'nothing' if sound else 'A DIFFERENCE'} in {furthest} steps")
    print(json.dumps({"seed": seed, "bugs": len(wanted), "missed": missed, "sound": sound}))
    return 0 if wanted and sound and not missed else 1

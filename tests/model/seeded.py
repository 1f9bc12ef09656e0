"""The duel proves something only if it can fail: each patch of ``bugs/`` is a fault of the engine it must find."""

from __future__ import annotations

import json
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


def seed_bug(name: str, folder: Path) -> None:
    """A copy of the engine and the duel in ``folder``, with the fault."""
    shutil.copytree(ROOT / "edge_agent", folder / "edge_agent", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()
    shutil.copytree(HERE, folder / "tests" / "model", ignore=shutil.ignore_patterns("__pycache__"))
    patch = str((BUGS / f"{name}.patch").resolve())
    subprocess.run(["git", "apply", "--whitespace=nowarn", patch], cwd=folder, check=True)


def try_bug(name: str, seed: int, steps: int) -> dict[str, object]:
    """The last line of the run that met the fault: ``differences`` is 0 where it was not noticed."""
    with tempfile.TemporaryDirectory(prefix="lineside-bug-") as folder:
        seed_bug(name, Path(folder))
        command = [sys.executable, "-m", "tests.model", "--quick", "--seed", str(seed), "--steps", str(steps)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    summary: dict[str, object] = json.loads(lines[-1])
    return summary


def try_bugs(chosen: Sequence[str], seed: int, steps: int) -> int:
    """Exit code 0 if every fault was found."""
    missed = []
    wanted = [name for name in names() if not chosen or any(part in name for part in chosen)]
    for name in wanted:
        summary = try_bug(name, seed, steps)
        found = summary["differences"]
        print(f"{name:40} {'found' if found else 'MISSED'} after {summary['steps']} steps", flush=True)
        if not found:
            missed.append(name)
    print(json.dumps({"seed": seed, "bugs": len(wanted), "missed": missed}))
    return 1 if missed or not wanted else 0

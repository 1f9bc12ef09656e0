"""Records a program's system calls."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.crash.disk import Disk, Operation
from tests.crash.trace import CALLS, read

TABLES = {
    "samples": ("buffer.db", "segment"),
    "periods": ("periods.db", "segment"),
    "event": ("events.db", "event"),
}
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Recording:
    """``root``: the state directory, as the program knew it. ``left``: stream -> what stands in its store at
    the end, hence was never deleted."""

    story: str
    root: str
    operations: tuple[Operation, ...]
    left: Mapping[str, frozenset[tuple[int, int]]] = field(default_factory=dict)


def strace(log: Path) -> list[str]:
    """What stands before the command that is to be recorded."""
    return [
        "strace", "-f", "-y", "-xx", "-s", "9000000", "-ttt", "--seccomp-bpf", "-e", "signal=none",
        "-e", f"trace={CALLS}", "-o", str(log),
    ]  # fmt: skip


def record(story: str, folder: Path, seed: str) -> Recording:
    """Runs a story in ``folder``. Raises AssertionError if it fails, or if the record does not give the files
    that it left."""
    state, marks, log = folder / "state", folder / "marks", folder / "trace"
    state.mkdir(parents=True)
    run(["tests.crash.stories", story, str(state), str(marks), seed], log)
    return checked(Recording(story, str(state), _operations(log, state, marks)))


def run(module: Sequence[str], log: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*strace(log), sys.executable, "-m", *module],
        cwd=ROOT, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, f"{module}: {done.stdout[-2000:]}{done.stderr[-4000:]}"


def _operations(log: Path, state: Path, marks: Path) -> tuple[Operation, ...]:
    return tuple(operation for _, operation in read(log, str(state), str(marks)))


def checked(recording: Recording) -> Recording:
    """With what it left. AssertionError where the record does not give the files that are there."""
    disk = Disk(recording.root)
    for operation in recording.operations:
        disk.apply(operation)
    root = Path(recording.root)
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    mine = {name: data for name, data in disk.contents().items() if not name.endswith("-shm")}
    found = {name: data for name, data in found.items() if not name.endswith("-shm")}
    assert mine.keys() == found.keys(), f"{sorted(mine)} is not {sorted(found)}"
    assert mine == found, f"{[name for name in mine if mine[name] != found[name]]} differ from the record"
    return replace(recording, left=_left(root))


def _left(state: Path) -> dict[str, frozenset[tuple[int, int]]]:
    found = {}
    for stream, (name, table) in TABLES.items():
        path = state / name
        if path.exists():
            with closing(sqlite3.connect(path)) as connection:
                rows = connection.execute(f"SELECT epoch, seq FROM {table}").fetchall()
            found[stream] = frozenset(rows)
    return found

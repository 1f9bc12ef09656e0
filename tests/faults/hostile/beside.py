"""The run against hostile devices, and a calm one beside it: the same readers, servers that never lie. What
the machine does to both is no figure of ours; what only the hostile run suffers is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.hostile.figures import Outcome

_ROOT = Path(__file__).resolve().parents[3]
_GRACE_S = 90.0
CALM_PACE = 8  # times as slow: without faults as many reads come about


class _Run:
    """One process; ``finish`` returns its outcome. The calm one ends when its stdin does."""

    def __init__(self, log: Path, options: Sequence[object]) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.hostile", *map(str, options)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, cwd=_ROOT,
            )  # fmt: skip

    def finish(self, within_s: float, *, end: bool) -> Outcome:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        if end:
            process.stdin.close()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the run did not end within {within_s:g} s: {self._text()}") from None
        finally:
            process.stdin.close()
        with process.stdout as stream:
            said = stream.read()
        if process.returncode:
            raise AssertionError(f"the run failed: {self._text()}")
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return Outcome(**{**found, "sentences": tuple(found["sentences"])})

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]


def run(
    folder: Path, seed: object, *, reads: int, least: int, limit_s: float, warm_s: float
) -> tuple[Outcome, Outcome]:
    """(hostile, calm)."""
    same = ["--seed", seed, "--warm-s", warm_s]
    wanted = ["--reads", reads, "--least", least, "--limit-s", limit_s]
    calm = _Run(
        folder / "calm.log", [*same, "--share", 0, "--pace", CALM_PACE, "--limit-s", limit_s + _GRACE_S]
    )
    hostile = _Run(folder / "hostile.log", [*same, *wanted])
    try:
        found = hostile.finish(limit_s + _GRACE_S, end=False)
    finally:
        beside = calm.finish(_GRACE_S, end=True)
    return found, beside

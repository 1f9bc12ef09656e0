"""``make fuzz``: every target for a minute, two at a time. A crash prints its input as hex; then exit code 1.

The last line of stdout is one JSON object. atheris stands in an environment of its own under ``var/fuzz``;
everything else it uses is the development environment's. Where there is no atheris for this machine, that is
said and nothing is fuzzed; with CI=true that is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "var" / "fuzz"
_GRACE_S = 60
_AT_ONCE = 2
_STEPS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED = re.compile(r"cov: (\d+)")
_ARTIFACTS = ("crash-", "timeout-", "oom-", "leak-", "slow-unit-")


@dataclass(frozen=True, slots=True)
class Result:
    """``crashes``: inputs, as hex. ``words``: the end of what the process said, where it failed."""

    target: str
    executions: int
    covered: int
    crashes: tuple[str, ...]
    words: str


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options.add_argument("--seconds", type=int, default=60, help="of each target")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    chosen = options.parse_args()
    interpreter = _interpreter()
    if interpreter is None:
        return 1 if os.environ.get("CI") == "true" else 0
    print(f"seed {chosen.seed}", flush=True)

    def one(target: str) -> Result:
        result = fuzz(interpreter, target, chosen.seconds, chosen.seed)
        print(f"{result.target}: {result.executions} inputs, {result.covered} edges of the code", flush=True)
        for crash in result.crashes:
            print(f"CRASH {result.target} {crash}", flush=True)
        if result.words:
            print(result.words, flush=True)
        return result

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(one, chosen.targets or TARGETS))
    failed = [result for result in results if result.crashes or result.words]
    print(json.dumps({
        "executions": {result.target: result.executions for result in results},
        "covered": {result.target: result.covered for result in results},
        "crashes": sum(len(result.crashes) for result in results),
        "failed": [result.target for result in failed],
        "seconds": chosen.seconds,
        "seed": chosen.seed,
    }))  # fmt: skip
    return 1 if failed else 0


def fuzz(interpreter: Path, target: str, seconds: int, seed: int) -> Result:
    """A new corpus from the seeds each time: the same seed gives the same beginning."""
    with tempfile.TemporaryDirectory(prefix=f"lineside-fuzz-{target}-") as name:
        path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
        try:
            done = subprocess.run(
                [interpreter, "-m", "tests.fuzz.guided", target, str(seconds), str(seed), name],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
                errors="replace", timeout=seconds + _GRACE_S, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result(target, 0, 0, (), f"{target}: did not end {_GRACE_S} s after its time")
        found = [file for file in sorted(Path(name).iterdir()) if file.name.startswith(_ARTIFACTS)]
        crashes = tuple(f"{file.name.partition('-')[0]} {file.read_bytes().hex()}" for file in found)
    said = done.stdout + done.stderr
    steps, covered = _STEPS.findall(said), _COVERED.findall(said)
    return Result(
        target,
        int(steps[-1]) if steps else 0,
        int(covered[-1]) if covered else 0,
        crashes,
        "\n".join(said.splitlines()[-60:]) if done.returncode or crashes else "",
    )


def _interpreter() -> Path | None:
    """Of the environment with atheris; made if need be. None, and a word why, where that fails."""
    lock, interpreter, stamp = HERE / "requirements.lock", FOLDER / "bin" / "python", FOLDER / "pins"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return interpreter
    shutil.rmtree(FOLDER, ignore_errors=True)
    pip = [
        str(interpreter),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]
    for command in ([sys.executable, "-m", "venv", str(FOLDER)], [*pip, "--require-hashes", "-r", str(lock)]):
        if not _works(command):
            return None
    stamp.write_bytes(lock.read_bytes())
    return interpreter


def _works(command: Sequence[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        print(
            f"atheris cannot be installed here, so nothing is fuzzed: {done.stderr.strip()[-500:]}",
            flush=True,
        )
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())

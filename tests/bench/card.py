"""What a card has to write in a day: the same run as `wear`, on a file system of its own on a loop device.

The counters are the block device's (/sys/block/loopN/stat): bytes written, the journal of the file system
included, and cache flushes. ext4 with its defaults and noatime; 1,000 tags at 1 s in 20 poll groups, a flush
every 5 s, all groups in one transaction. Needs root and loop devices; without them it says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.plant.processes import ROOT

SECONDS = 4 * 3600
GROUPS = 20
MAX_GB_PER_DAY = 1.0
MAX_FLUSHES_PER_S = 0.3
_SIZE = 1 << 30
_SECTOR = 512
_MEMORY = Path("/dev/shm")


class NotPossible(Exception):
    """Why this machine cannot measure it."""


@dataclass(frozen=True, slots=True)
class Counters:
    written_bytes: int
    flushes: int

    @classmethod
    def of(cls, device: str) -> Counters:
        fields = Path(f"/sys/block/{device}/stat").read_text("ascii").split()
        return cls(int(fields[6]) * _SECTOR, int(fields[15]))


@contextmanager
def file_system() -> Iterator[tuple[Path, str]]:
    """A mounted ext4 and the name of its device. Raises NotPossible."""
    if os.geteuid():
        raise NotPossible("needs root")
    folder = Path(tempfile.mkdtemp(prefix="lineside-card-", dir=_MEMORY))
    image, mounted = folder / "card.img", folder / "mnt"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(_SIZE)
    try:
        device = _run("losetup", "--find", "--show", str(image))
        try:
            _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
            _run("mount", "-o", "noatime", device, str(mounted))
            try:
                yield mounted, Path(device).name
            finally:
                _run("umount", str(mounted))
        finally:
            _run("losetup", "--detach", device)
    finally:
        shutil.rmtree(folder)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise NotPossible(f"{command[0]}: {said.strip()}") from None
    return done.stdout.strip()


def measure(seconds: int = SECONDS) -> dict[str, Any]:
    with file_system() as (folder, device):
        os.sync()
        before = Counters.of(device)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.wear", str(folder), str(seconds), str(GROUPS)],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        os.sync()
        after = Counters.of(device)
    run = json.loads(done.stdout)
    days = seconds / 86_400
    return {
        "card_gb_per_day": round((after.written_bytes - before.written_bytes) / 1e9 / days, 3),
        "card_flushes_per_s": round((after.flushes - before.flushes) / seconds, 3),
        "card_commits_per_flush": round(run["commits"] / (seconds / 5), 3),
        "card_simulated_s": seconds,
    }


def card_section(seconds: int = SECONDS) -> dict[str, Any]:
    """For `make bench`; what was not run says why."""
    try:
        return measure(seconds)
    except NotPossible as reason:
        return {"card_not_run": str(reason)}


if __name__ == "__main__":
    print(json.dumps(card_section(int((sys.argv[1:] or [str(SECONDS)])[0]))))

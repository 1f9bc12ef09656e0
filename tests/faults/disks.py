"""File systems of a size of their own, in the mount namespace of the scenario: they end with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def tmpfs(place: Path, size: str, *, inodes: int | None = None) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700" + (f",nr_inodes={inodes}" if inodes is not None else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", place], check=True)
    return place


def gone(place: Path) -> None:
    """Takes it away, also while somebody still holds a file in it."""
    subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, options: str) -> bool:
    """False while a file is open for writing."""
    done = subprocess.run(["mount", "-o", f"remount,{options}", place], capture_output=True, check=False)
    return done.returncode == 0


def resize(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


def fill(place: Path, name: str = "others") -> int:
    """Writes a file until nothing more goes in; returns its size."""
    size = 0
    with (place / name).open("wb", buffering=0) as file:
        for chunk in (65536, 4096, 512, 1):
            try:
                while True:
                    size += file.write(b"\xff" * chunk)
            except OSError:
                continue
    return size


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize

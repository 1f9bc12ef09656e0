"""Who holds a write-ahead log by reading without an end, in words for the log and the ledger."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")


def held_log(path: Path, size: int) -> str:
    """``path``: of the database. Names the program if the kernel tells it."""
    found = [name for pid in _holders(path) if (name := _name(pid))]
    who = f" ({', '.join(found)})" if found else ""
    return f"another program{who} reads {path.name} without ending its transaction: its log has {size} bytes"


def _holders(path: Path) -> list[int]:
    """Other processes with a lock on the index of the log."""
    try:
        inode = path.with_name(path.name + "-shm").stat().st_ino
        lines = _LOCKS.read_text("ascii").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    pids = {int(f[4]) for f in fields if len(f) >= 6 and f[5].rpartition(":")[2] == str(inode)}
    return sorted(pids - {os.getpid(), 0, -1})


def _name(pid: int) -> str:
    try:
        return f"{Path(f'/proc/{pid}/comm').read_text('utf-8', 'replace').strip()}, process {pid}"
    except OSError:
        return ""

"""CPU and memory of a process tree, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(p) for p in (task / "children").read_text(encoding="ascii").split()]
        except FileNotFoundError:
            continue
    return found


def cpu_s(pid: int) -> float:
    """User and system time of all threads, of ended children, and of living ones."""
    fields = _stat(pid)
    own = sum(int(fields[i]) for i in (11, 12, 13, 14)) * TICK_S
    return own + sum(cpu_s(child) for child in _children(pid))


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    return own + sum(rss_mb(child) for child in _children(pid))


def p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

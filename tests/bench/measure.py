"""CPU and memory of a process tree, from /proc; and what the agent says of itself while it is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

SCRAPE_S = 15.0
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
    """User and system time of all threads, ended ones too, to the nanosecond; and of children: to the tick of
    those that ended."""
    own = time.clock_gettime(_cpu_clock(pid))
    ended = sum(int(field) for field in _stat(pid)[13:15]) * TICK_S
    return own + ended + sum(cpu_s(child) for child in _children(pid))


def _cpu_clock(pid: int) -> int:
    """``clock_getcpuclockid``, which Python has for threads alone: Linux counts the same clock for both."""
    return (~pid << 3) | 2


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
    return own + sum(rss_mb(child) for child in _children(pid))


def p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def watch(pid: int, seconds: float, scrape: Callable[[], object] | None) -> float:
    """CPU seconds of the tree under ``pid`` over ``seconds``, scraping every 15 s."""
    start, end = cpu_s(pid), time.monotonic() + seconds
    next_scrape = time.monotonic()
    while (now := time.monotonic()) < end:
        if scrape is not None and now >= next_scrape:
            scrape()
            next_scrape += SCRAPE_S
        time.sleep(min(0.25, max(0.0, end - now)))
    return cpu_s(pid) - start


def samples_read(metrics: str) -> int:
    with urllib.request.urlopen(metrics) as reply:
        text = reply.read().decode()
    return int(float(text.split("\nedgeagent_samples_read_total ", 1)[1].split("\n", 1)[0]))


def fetch(url: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import urllib.request as u; u.urlopen({url!r}).read()"], check=True
    )

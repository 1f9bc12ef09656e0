"""Bytes written to the card: by everybody, as the block device counts them, and by this program.

    device   /sys/block/DEVICE/stat of the disk under the state directory: of a partition its whole disk, of a
             device-mapper volume the disks below it, of a loop device the loop itself. None where the kernel
             shows no disk (tmpfs, overlay).
    own      write_bytes of /proc/self/io: what this process has caused to be written, page cache included;
             where the kernel does not show that, an estimate from our own commits, and it says so.

All of it is reading; nothing here writes. Paths of both trees may be given, for tests.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECTOR = 512
_LOOK_NS = 10_000_000_000
_HOUR_NS = 3_600_000_000_000
_DAY_HOURS = 24


def disks_below(directory: Path, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> list[str]:
    """Names of the disks that hold ``directory``; none where the kernel shows none."""
    try:
        number = directory.stat().st_dev
    except OSError:
        return []
    found = _disks(sys / f"dev/block/{os.major(number)}:{os.minor(number)}", sys)
    if not found:  # btrfs and others have numbers of their own: the mount table names the device
        source = _mounted_from(directory, proc / "self/mountinfo")
        found = _disks(sys / "class/block" / Path(source).name, sys) if source.startswith("/dev/") else []
    return sorted(set(found))


def _disks(entry: Path, sys: Path) -> list[str]:
    if not entry.exists():
        return []
    real = entry.resolve()
    if (real / "partition").exists():
        real = real.parent
    slaves = real / "slaves"
    below = [_disks(sys / "class/block" / slave.name, sys) for slave in sorted(slaves.glob("*"))]
    return [name for names in below for name in names] or [real.name]


def _mounted_from(directory: Path, table: Path) -> str:
    """The source of the file system, from the longest mount point above."""
    target, best, source = str(directory.resolve()), "", ""
    try:
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        head, _, tail = line.partition(" - ")
        fields, rest = head.split(), tail.split()
        if len(fields) < 5 or len(rest) < 2:
            continue
        point = fields[4]
        under = target == point or target.startswith(point.rstrip("/") + "/")
        if under and len(point) >= len(best):
            best, source = point, rest[1]
    return source


def device_bytes(disks: list[str], sys: Path = Path("/sys")) -> int | None:
    """Written since boot, by everybody."""
    total = 0
    try:
        for disk in disks:
            total += (
                int((sys / "class/block" / disk / "stat").read_text(encoding="ascii").split()[6]) * _SECTOR
            )
    except (OSError, ValueError, IndexError):
        return None
    return total if disks else None


def process_bytes(proc: Path = Path("/proc")) -> int | None:
    """Caused by this process since its start."""
    try:
        for line in (proc / "self/io").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "write_bytes":
                return int(value)
    except (OSError, ValueError):
        pass
    return None


class Wear:
    """Looks every ten seconds at most. ``estimate``: what our commits have written, as far as they know."""

    def __init__(
        self,
        directory: Path,
        budget_bytes: int,
        mono_ns: Callable[[], int],
        estimate: Callable[[], int],
        sys: Path = Path("/sys"),
        proc: Path = Path("/proc"),
    ) -> None:
        self._sys, self._proc = sys, proc
        self._budget = budget_bytes
        self._mono_ns = mono_ns
        self._estimate = estimate
        self._disks = disks_below(directory, sys, proc)
        self._device: int | None = None
        self._own = 0
        self._source = "kernel"
        self._looked_ns: int | None = None
        self._hours: deque[tuple[int, int]] = deque(maxlen=_DAY_HOURS + 1)
        self._told_ns: int | None = None

    @property
    def day_bytes(self) -> int:
        """Own bytes of the last 24 hours, or since the start."""
        now_ns = self._mono_ns()
        since = [own for at_ns, own in self._hours if now_ns - at_ns <= _DAY_HOURS * _HOUR_NS]
        return self._own - (since[0] if since else self._own)

    def look(self) -> bool:
        """True once a day at most: the budget is exceeded, and somebody should hear of it."""
        now_ns = self._mono_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_NS:
            return False
        self._looked_ns = now_ns
        own = process_bytes(self._proc)
        self._source = "kernel" if own is not None else "estimate"
        self._own = own if own is not None else self._estimate()
        self._device = device_bytes(self._disks, self._sys)
        if not self._hours or now_ns - self._hours[-1][0] >= _HOUR_NS:
            self._hours.append((now_ns, self._own))
        exceeded = self.day_bytes > self._budget
        due = self._told_ns is None or now_ns - self._told_ns >= _DAY_HOURS * _HOUR_NS
        if exceeded and due:
            self._told_ns = now_ns
            return True
        return False

    def info(self) -> dict[str, Any]:
        return {
            "disks": list(self._disks),
            "device_bytes": self._device,
            "own_bytes": self._own,
            "own_source": self._source,
            "own_day_bytes": self.day_bytes,
            "daily_budget_bytes": self._budget,
        }

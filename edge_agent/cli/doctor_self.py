"""``doctor self``: the machine under the agent: clock, disk, rights, versions, service, memory, stores."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.cli.doctor_self_words import finding
from edge_agent.cli.whereabouts import DEFAULT_STATE, look
from edge_agent.settings import Finding

SERVICE_USER = "edgeagent"
UNIT = "edge-agent.service"
PYTHON, SQLITE = (3, 11), (3, 37, 0)
FREE_BYTES = 200_000_000
MEMORY_BYTES = 100_000_000
RTC_S = 60.0
FLUSH_S = 120.0
QUOTA_RATIO = 0.8
_LOST_AT_POWER_OFF = ("tmpfs", "ramfs", "overlay")
_WITHOUT_RIGHTS = ("vfat", "exfat", "ntfs", "ntfs3", "fuseblk")
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p")
_PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "Restart", "WatchdogUSec", "MemoryMax")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the machine is looked at. ``systemctl``: None where there is none. ``now_s``: wall time."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    systemctl: str | None = field(default_factory=lambda: shutil.which("systemctl"))
    now_s: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Mount:
    point: str
    kind: str
    source: str
    options: frozenset[str]


def state_directory(config_dir: Path) -> Path:
    """As the running agent would have it; the usual place where nothing says otherwise."""
    return look(config_dir, lambda told: told.state_dir)[0] or DEFAULT_STATE


def findings(
    state: Path, told: Mapping[str, Any] | None, machine: Machine | None = None
) -> Sequence[Finding]:
    """``told``: the running agent's status, None where none answers."""
    machine = machine or Machine()
    return [
        *_clock(machine), *_versions(), *_memory(machine), *_state(state), *_disk(state, machine),
        *_unit(machine), *(_running(told, machine) if told is not None else [finding("self_no_agent")]),
    ]  # fmt: skip


def _clock(machine: Machine) -> Iterator[Finding]:
    from edge_agent.clock import SystemClock
    from edge_agent.model import ClockState

    state = SystemClock().state()
    if state is ClockState.UNSYNCHRONISED:
        yield finding("self_clock")
    rtc = machine.sys / "class/rtc/rtc0/since_epoch"
    try:
        seconds = float(rtc.read_text(encoding="ascii"))
    except (OSError, ValueError):
        yield finding("self_no_rtc")
        return
    if abs(seconds - machine.now_s) > RTC_S:
        yield finding("self_rtc", seconds=f"{seconds - machine.now_s:+.0f}")


def _versions() -> Iterator[Finding]:
    if sys.version_info[:2] < PYTHON:
        yield finding("self_python", found=sys.version.split()[0], needed=".".join(map(str, PYTHON)))
    if sqlite3.sqlite_version_info < SQLITE:
        yield finding("self_sqlite", found=sqlite3.sqlite_version, needed=".".join(map(str, SQLITE)))


def _memory(machine: Machine) -> Iterator[Finding]:
    try:
        lines = (machine.proc / "meminfo").read_text(encoding="ascii").splitlines()
        facts = {
            name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)
        }
        free = facts["MemAvailable"]
    except (OSError, ValueError, StopIteration, IndexError):
        return
    if free < MEMORY_BYTES:
        yield finding("self_memory", free=_megabytes(free))


def _state(state: Path) -> Iterator[Finding]:
    """Owner and rights of the state directory, and whether something in it belongs to another user."""
    try:
        status = state.stat()
        owners = {entry.name: entry.stat(follow_symlinks=False).st_uid for entry in os.scandir(state)}
    except FileNotFoundError:
        yield finding("self_no_state", state=state)
        return
    except PermissionError:
        yield finding("self_permission", state=state)
        return
    wanted = _uid(SERVICE_USER)
    if wanted is not None and status.st_uid != wanted:
        yield finding("self_owner", what=state, owner=_name(status.st_uid), wanted=SERVICE_USER, state=state)
        return
    strange = [name for name, uid in sorted(owners.items()) if uid != status.st_uid]
    if strange:
        first = strange[0]
        whose, wanted_name = _name(owners[first]), _name(status.st_uid)
        yield finding("self_owner", what=state / first, owner=whose, wanted=wanted_name, state=state)
    if status.st_mode & 0o022:
        yield finding("self_open_state", state=state)


def _disk(state: Path, machine: Machine) -> Iterator[Finding]:
    place = next((path for path in (state, *state.parents) if path.exists()), Path("/"))
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    if free < FREE_BYTES:
        yield finding("self_disk_full", place=place, free=_megabytes(free))
    if room.f_files and room.f_favail < 1000:
        yield finding("self_inodes", place=place)
    mount = mount_of(place, machine.proc)
    if mount is None:
        return
    if "ro" in mount.options:
        yield finding("self_read_only", point=mount.point)
    if mount.kind in (*_LOST_AT_POWER_OFF, *_WITHOUT_RIGHTS, *_REMOTE):
        code = "self_volatile" if mount.kind in _LOST_AT_POWER_OFF else "self_file_system"
        yield finding(code, kind=mount.kind, point=mount.point)
    if Path(mount.source).name.startswith("mmcblk") and _removable(Path(mount.source).name, machine.sys):
        extra = "" if "noatime" in mount.options else " noatime"
        yield finding("self_sd_card", source=mount.source, point=mount.point, extra=extra)


def _removable(partition: str, system: Path) -> bool:
    """An SD card, as opposed to eMMC: the kernel calls its kind SD."""
    disk = partition.rpartition("p")[0] or partition
    try:
        return (system / "block" / disk / "device/type").read_text(encoding="ascii").strip() == "SD"
    except OSError:
        return False


def mount_of(place: Path, proc: Path) -> Mount | None:
    """The mounted file system a path lies on."""
    best: Mount | None = None
    target = os.path.realpath(place)
    try:
        lines = (proc / "self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        first, _, second = line.partition(" - ")
        fields, rest = first.split(), second.split()
        if len(fields) < 6 or len(rest) < 2:
            continue
        point = fields[4].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best.point)):
            best = Mount(point, rest[0], rest[1], frozenset(fields[5].split(",")))
    return best


def _unit(machine: Machine) -> Iterator[Finding]:
    facts = _properties(machine.systemctl)
    if facts is None:
        return
    if facts.get("LoadState") != "loaded":
        yield finding("self_no_unit")
        return
    if facts.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "linked"):
        yield finding("self_not_enabled")
    if facts.get("Restart") != "always":
        yield finding("self_unit_setting", key="Restart", found=facts.get("Restart", ""), wanted="always")
    if facts.get("WatchdogUSec") in ("0", "", None, "infinity"):
        yield finding("self_unit_setting", key="WatchdogSec", found="0", wanted="30")
    if facts.get("ActiveState") == "failed":
        yield finding("self_failed")


def _properties(systemctl: str | None) -> Mapping[str, str] | None:
    """Of the service; None where systemd does not run here."""
    if systemctl is None:
        return None
    command = [systemctl, "show", UNIT, f"--property={','.join(_PROPERTIES)}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or "=" not in done.stdout:
        return None
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _running(told: Mapping[str, Any], machine: Machine) -> Iterator[Finding]:
    """What only the agent knows: when it last flushed, its stores, its configuration."""
    flushed_ns = told["buffer"].get("last_flush_ns")
    age_s = None if not flushed_ns else machine.now_s - flushed_ns / 1e9
    started_s = told["agent"]["started_ns"] / 1e9
    if age_s is None and started_s and machine.now_s - started_s > FLUSH_S and told["totals"]["samples_read"]:
        age_s = machine.now_s - started_s
    if age_s is not None and age_s > FLUSH_S and _reads(told):
        yield finding("self_flush", seconds=f"{age_s:.0f}")
    for name, store in (told.get("storage") or {}).get("stores", {}).items():
        if store["state"] != "ok":
            yield finding("self_store", store=name, reason=store["reason"])
        elif store["unsent_ratio"] >= QUOTA_RATIO or store["thinning"]:
            yield finding("self_quota", store=name, used=f"{store['unsent_ratio']:.0%}")
    if told["config"]["source"] != "current" or not told["config"]["reload_ok"]:
        yield finding("self_last_good")


def _reads(told: Mapping[str, Any]) -> bool:
    return any(row["state"] == "up" for row in told["devices"])


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"

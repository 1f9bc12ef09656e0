"""Full, read-only, failing and slow disks, for real: small file systems, and faults under SQLite's feet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MB = 1_000_000


def child(*before: str, scenario: str, directory: Path) -> dict[str, Any]:
    command = [*before, sys.executable, "-m", "tests.unit.buffer.small_disk", scenario, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def alone(scenario: str, directory: Path) -> dict[str, Any]:
    return child("unshare", "-rm", scenario=scenario, directory=directory)


def injected(scenario: str, directory: Path, *rules: str) -> dict[str, Any]:
    rules = tuple(part for rule in rules for part in ("-e", f"inject={rule}"))
    log = str(directory.parent / "strace.log")
    return child(
        "strace", "-f", "-qq", "-o", log, "-e", "trace=fdatasync,fsync,pwrite64", *rules,
        scenario=scenario, directory=directory,
    )  # fmt: skip


@pytest.mark.tool("unshare")
@pytest.mark.timeout(60)
def test_a_disk_filled_by_others(tmp_path: Path) -> None:
    seen = alone("full_by_others", tmp_path / "disk")
    assert seen["free"] < 4096 and seen["released"], "the ballast was given up"
    assert "ok" in seen["states"][-60:] and seen["events"] == "ok", "with it the stores go on"
    assert seen["healed"] and seen["again"], "room came back: so did the ballast"
    assert seen["in_memory"] == 0 and seen["wrong"] == 0 and seen["newest"] and seen["pending"]
    assert set(seen["losses"]) <= {"quota", "memory", "thinned"}


@pytest.mark.tool("unshare")
@pytest.mark.timeout(60)
def test_the_floor_of_free_space(tmp_path: Path) -> None:
    seen = alone("shrinking", tmp_path / "disk")
    assert seen["roomy"] > 1.5 * seen["shrunk"] and seen["shrunk"] <= seen["file_bytes"] + 4096
    assert seen["grown_to"] <= 1.05 * seen["file_bytes"], "freed pages are used again"
    assert seen["state"] == "ok" and seen["quota_lost"] > 0 and seen["free"] > 5 * MB and seen["wrong"] == 0
    assert seen["roomy_again"] == seen["roomy"]


@pytest.mark.tool("unshare")
@pytest.mark.timeout(60)
def test_a_disk_remounted_read_only(tmp_path: Path) -> None:
    seen = alone("read_only", tmp_path / "disk")
    assert seen["state"] == "degraded" and "buffer.db" in seen["reason"]
    assert seen["live"] == 1 and seen["backlog"] == 4, "what is committed is still sent"
    assert seen["healed"] and seen["back_after_s"] <= 30
    assert seen["numbers"] and seen["all"] and seen["wrong"] == 0


@pytest.mark.tool("strace")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "rules",
    [
        ("fdatasync:error=EIO:when=6+5",),
        ("pwrite64:error=EIO:when=200+97",),
        ("pwrite64:error=ENOSPC:when=150+61",),
        ("fdatasync:error=EIO:when=5..30",),
    ],
    ids=["fsync now and then", "write now and then", "full now and then", "fsync for a while"],
)
def test_calls_that_fail(tmp_path: Path, rules: tuple[str, ...]) -> None:
    seen = injected("faulty", tmp_path / "disk", *rules)
    assert "INJECTED" in (tmp_path / "strace.log").read_text("utf-8", "replace")
    lasting = "5..30" in rules[0] or "pwrite64:error=EIO" in rules[0]  # others heal within the same flush
    assert seen["degraded"] > 0 or not lasting
    assert seen["state"] == "ok" and seen["lost"] == 0 and seen["set_aside"] == 0
    assert seen["stored"] == 0 and seen["wrong"] == 0, "once each: none missing, none twice"


@pytest.mark.tool("strace")
@pytest.mark.timeout(60)
def test_a_disk_that_takes_ten_seconds(tmp_path: Path) -> None:
    seen = injected("slow", tmp_path / "disk", "fdatasync:delay_enter=11000000:when=12")
    assert seen["lag_s"] < 0.25, "the event loop does not wait for it"
    assert seen["memory_bytes"] <= seen["limit"]
    assert seen["losses"]["thinned"] > 0 and seen["wrong"] == 0
    assert "the disk has not answered for" in seen["reasons"]

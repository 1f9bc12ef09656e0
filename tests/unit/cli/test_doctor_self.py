"""What ``doctor self`` makes of a machine, which here is a few files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import doctor_network, doctor_self
from edge_agent.cli.doctor import Verdict, exit_code
from edge_agent.cli.doctor_self import Machine, findings, mount_of
from edge_agent.settings import Finding, Text

NOW_S = 1_800_000_000.0
MOUNTS = """\
21 1 179:2 / / rw,relatime shared:1 - ext4 /dev/mmcblk0p2 rw
22 21 0:19 / {state} rw,nosuid shared:2 - {kind} {source} rw
"""


def machine(folder: Path, *, kind: str = "ext4", source: str = "/dev/sda1", **files: str) -> Machine:
    """``files``: path below the folder with __ for slashes -> content."""
    texts = {
        "proc__meminfo": "MemTotal: 1000000 kB\nMemAvailable: 500000 kB\n",
        "proc__self__mountinfo": MOUNTS.format(state=folder / "state", kind=kind, source=source),
        "sys__class__rtc__rtc0__since_epoch": f"{NOW_S:.0f}\n",
        "state__samples.db": "",
    } | files
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return Machine(folder / "proc", folder / "sys", None, NOW_S)


def store(state: str, unsent: float) -> dict[str, Any]:
    facts = {"state": state, "reason": "", "unsent_ratio": unsent, "thinning": False}
    return {"storage": {"stores": {"samples": facts}}}


def told(**changes: Any) -> dict[str, Any]:
    """A running agent's status, all well."""
    return {
        "agent": {"started_ns": int((NOW_S - 3600) * 1e9)},
        "buffer": {"last_flush_ns": int((NOW_S - 5) * 1e9)},
        "totals": {"samples_read": 10},
        "devices": [{"state": "up"}],
        **store("ok", 0.1),
        "config": {"source": "current", "reload_ok": True},
    } | changes  # fmt: skip


def codes(folder: Path, made: Machine, status: dict[str, Any] | None = None) -> list[str]:
    """Without what the clock of the machine under the test says."""
    found = findings(folder / "state", told() if status is None else status, made)
    return [finding.code for finding in found if finding.code != "self_clock"]


def test_a_sound_machine(tmp_path: Path) -> None:
    assert codes(tmp_path, machine(tmp_path)) == []


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("self_memory", {"proc__meminfo": "MemAvailable: 50000 kB\n"}),
        ("self_rtc", {"sys__class__rtc__rtc0__since_epoch": f"{NOW_S + 28800:.0f}"}),
        ("self_no_rtc", {"sys__class__rtc__rtc0__since_epoch": "nothing"}),
        ("self_volatile", {"kind": "tmpfs"}),
        ("self_file_system", {"kind": "vfat"}),
        ("self_sd_card", {"source": "/dev/mmcblk1p1", "sys__block__mmcblk1__device__type": "SD\n"}),
        ("", {"source": "/dev/mmcblk1p1", "sys__block__mmcblk1__device__type": "MMC\n"}),
    ],
)
def test_one_thing_is_wrong(tmp_path: Path, code: str, files: dict[str, str]) -> None:
    assert codes(tmp_path, machine(tmp_path, **files)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("self_flush", {"buffer": {"last_flush_ns": int((NOW_S - 200) * 1e9)}}),
        ("self_flush", {"buffer": {"last_flush_ns": None}}),
        ("", {"buffer": {"last_flush_ns": None}, "totals": {"samples_read": 0}}),
        ("", {"buffer": {"last_flush_ns": int((NOW_S - 200) * 1e9)}, "devices": [{"state": "down"}]}),
        ("self_last_good", {"config": {"source": "last_good", "reload_ok": True}}),
        ("self_last_good", {"config": {"source": "current", "reload_ok": False}}),
        ("self_store", store("full", 0.0)),
        ("self_quota", store("ok", 0.9)),
    ],
)  # fmt: skip
def test_what_the_agent_knows(tmp_path: Path, code: str, change: dict[str, Any]) -> None:
    assert codes(tmp_path, machine(tmp_path), told(**change)) == ([code] if code else [])


def test_rights_of_the_state(tmp_path: Path) -> None:
    made = machine(tmp_path)
    (tmp_path / "state").chmod(0o777)
    assert codes(tmp_path, made) == ["self_open_state"]


def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_self, "FREE_BYTES", 2**62)
    assert codes(tmp_path, machine(tmp_path)) == ["self_disk_full"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("LoadState=loaded\nUnitFileState=enabled\nRestart=always\nWatchdogUSec=30s\nActiveState=active", []),
        ("LoadState=not-found", ["self_no_unit"]),
        (
            "LoadState=loaded\nUnitFileState=disabled\nRestart=no\nWatchdogUSec=0\nActiveState=failed",
            ["self_not_enabled", "self_unit_setting", "self_unit_setting", "self_failed"],
        ),
    ],
)
def test_the_service(tmp_path: Path, said: str, expected: list[str]) -> None:
    made = machine(tmp_path)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<END\n{said}\nEND\n", encoding="ascii")
    systemctl.chmod(0o755)
    service = Machine(made.proc, made.sys, str(systemctl), NOW_S)
    assert codes(tmp_path, service) == expected


def test_the_mount_of_a_path_is_the_deepest(tmp_path: Path) -> None:
    made = machine(tmp_path)
    inside = mount_of(tmp_path / "state", made.proc)
    outside = mount_of(tmp_path, made.proc)
    assert inside is not None and outside is not None
    assert (inside.source, outside.source) == ("/dev/sda1", "/dev/mmcblk0p2")


@pytest.mark.parametrize(
    ("address", "way"),
    [("10.0.0.7", "eth0, direct"), ("192.168.9.9", "eth1 via 10.0.0.1"), ("no address", "-")],
)
def test_the_way_to_an_address(tmp_path: Path, address: str, way: str) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "eth1 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n"
        "eth0 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
        encoding="ascii",
    )
    assert doctor_network.way_to(address, routes) == way


@pytest.mark.parametrize(
    ("kinds", "code"),
    [([], 0), (["note"], 0), (["fault", "note"], 1), (["fault", "unreachable"], 4),
     (["unreachable", "permission"], 5)],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_gravest(kinds: list[str], code: int) -> None:
    found = [Finding("x", Text("", ""), Text("", ""), kind) for kind in kinds]
    assert exit_code([Verdict("a", "device", "", "direct", found)]) == code

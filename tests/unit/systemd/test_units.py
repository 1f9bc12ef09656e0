"""The shipped units, judged by systemd's own tools. The program is not installed on a test machine, so a copy
of the unit names an executable that is there in place of /opt/edge-agent/current/bin/edge-agent."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "systemd"
PROGRAM = "/opt/edge-agent/current/bin/edge-agent"
DROPINS = {
    "serial": "edge-agent-serial.conf",
    "clock": "edge-agent-clock.conf",
    "console": "edge-agent-console.conf",
}


def installed(tmp_path: Path, *dropins: str) -> Path:
    program = tmp_path / "edge-agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (UNITS / "edge-agent.service").read_text(encoding="utf-8")
    assert text.count(PROGRAM) == 2
    unit = tmp_path / "edge-agent.service"
    unit.write_text(text.replace(PROGRAM, str(program)), encoding="utf-8")
    beside = tmp_path / "edge-agent.service.d"
    beside.mkdir()
    for name in dropins:
        (beside / f"{name}.conf").write_bytes((UNITS / DROPINS[name]).read_bytes())
    return unit


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=50)
    return done.returncode, done.stdout + done.stderr


def exposure(unit: Path, threshold: int) -> tuple[int, str]:
    """``threshold`` in tenths, exit status 1 above it. Offline mode reads one file: drop-ins are merged."""
    merged = unit.with_name("merged") / unit.name
    merged.parent.mkdir()
    parts = [unit, *sorted(unit.with_name(f"{unit.name}.d").iterdir())]
    merged.write_text("\n".join(p.read_text(encoding="utf-8") for p in parts), encoding="utf-8")
    code, output = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", "--no-pager", merged
    )
    return code, "\n".join(line for line in output.splitlines() if "✓" not in line)


@pytest.mark.tool("systemd-analyze")
@pytest.mark.parametrize(
    "dropins", [(), ("serial",), ("clock",), ("console",), ("serial", "clock", "console")]
)
def test_verify_has_nothing_to_say(tmp_path: Path, dropins: tuple[str, ...]) -> None:
    assert run("systemd-analyze", "verify", "--man=no", installed(tmp_path, *dropins)) == (0, "")


@pytest.mark.tool("systemd-analyze")
def test_verify_reads_the_dropins(tmp_path: Path) -> None:
    unit = installed(tmp_path, "serial")
    dropin = tmp_path / "edge-agent.service.d" / "serial.conf"
    dropin.write_text(dropin.read_text() + "NoSuchKey=1\n")
    assert "NoSuchKey" in run("systemd-analyze", "verify", "--man=no", unit)[1]


@pytest.mark.tool("systemd-analyze")
@pytest.mark.parametrize(
    ("dropins", "threshold"), [((), 11), (("serial",), 15), (("clock",), 14), (("serial", "clock"), 19)]
)
def test_exposure(tmp_path: Path, dropins: tuple[str, ...], threshold: int) -> None:
    code, output = exposure(installed(tmp_path, *dropins), threshold)
    assert code == 0, output


@pytest.mark.tool("systemd-analyze")
def test_exposure_would_be_noticed(tmp_path: Path) -> None:
    unit = installed(tmp_path)
    unit.write_text(unit.read_text(encoding="utf-8").replace("NoNewPrivileges=yes", "NoNewPrivileges=no"))
    code, _ = exposure(unit, 11)
    assert code == 1


@pytest.mark.tool("systemd-sysusers")
def test_sysusers(tmp_path: Path) -> None:
    rules = UNITS / "sysusers.d" / "edge-agent.conf"
    code, output = run("systemd-sysusers", f"--root={tmp_path}", "--dry-run", rules)
    assert code == 0, output
    assert "edgeagent" in output and "edgeoperator" in output


@pytest.mark.tool("systemd-sysusers")
@pytest.mark.tool("systemd-tmpfiles")
def test_tmpfiles(tmp_path: Path) -> None:
    """Into a root of its own, with the user made there: the directories come to be, readable by the group."""
    (tmp_path / "etc").mkdir()
    code, output = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "sysusers.d" / "edge-agent.conf")
    assert code == 0, output
    code, output = run(
        "systemd-tmpfiles", "--create", f"--root={tmp_path}", UNITS / "tmpfiles.d" / "edge-agent.conf"
    )
    assert code == 0, output
    secrets = tmp_path / "etc" / "edge-agent" / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o750


def test_what_the_agent_and_the_manuals_rely_on() -> None:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / "edge-agent.service", encoding="utf-8")
    unit, service = parser["Unit"], parser["Service"]
    assert unit["StartLimitIntervalSec"] == "0"
    assert "network-online.target" not in unit["After"]
    wanted = {
        "Type": "notify", "NotifyAccess": "main", "WatchdogSec": "30", "Restart": "always", "RestartSec": "2",
        "User": "edgeagent", "Group": "edgeagent", "MemoryMax": "400M", "TasksMax": "64",
        "ConfigurationDirectory": "edge-agent", "StateDirectory": "edge-agent",
        "RuntimeDirectory": "edge-agent", "RuntimeDirectoryMode": "0750",
    }  # fmt: skip
    assert {key: service[key] for key in wanted} == wanted
    text = (UNITS / "edge-agent.service").read_text(encoding="utf-8")
    reload_lines = [line for line in text.splitlines() if line.startswith("ExecReload=")]
    assert reload_lines == [
        f"ExecReload={PROGRAM} check --quiet --config /etc/edge-agent",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ]
    assert "Environment=EDGE_BOOT_ID=%b" in text
    assert "notify-reload" not in text  # systemd 253 and later only

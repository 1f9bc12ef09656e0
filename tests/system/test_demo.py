"""``edge-agent demo``: what a person sees first, and what a script may rely on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plant.processes import ROOT, eventually

pytestmark = pytest.mark.timeout(60)
KEYS = {
    "devices_up", "samples_read", "samples_delivered", "samples_buffered", "samples_quarantined",
    "samples_lost", "excursions", "requests", "by_protocol",
}  # fmt: skip


def demo(*options: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "demo", *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        encoding="utf-8", env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_its_last_line_is_an_account_that_adds_up(tmp_path: Path) -> None:
    process = demo("--seconds", "12", folder=tmp_path)
    (line,) = eventually("the simulated line is started", lambda: children(process.pid))
    out, errors = process.communicate(timeout=40)
    assert process.returncode == 0, errors
    assert errors == ""
    account = json.loads(out.splitlines()[-1])
    assert set(account) == KEYS
    assert account["devices_up"] == 3
    assert account["samples_read"] == sum(
        account[f"samples_{fate}"] for fate in ("delivered", "buffered", "quarantined", "lost")
    )
    assert account["samples_delivered"] > 300 and account["samples_lost"] == 0
    assert account["excursions"] >= 1, "the line leaves its window after six seconds"
    assert set(account["by_protocol"]) == {"modbus", "s7", "opcua"}
    assert min(account["by_protocol"].values()) > 50
    assert sum(account["by_protocol"].values()) <= account["samples_read"]
    assert account["requests"] > 50
    assert not alive(line), "the simulated line outlived the demo"
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing on the disk"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_early_it_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    process = demo(folder=tmp_path)
    (line,) = eventually("the simulated line is started", lambda: children(process.pid))
    eventually("the agent has a store", lambda: list(tmp_path.rglob("buffer.db")))
    process.send_signal(number)
    out, errors = process.communicate(timeout=20)
    eventually("the simulated line has ended", lambda: not alive(line), 5)
    if number == signal.SIGINT:
        assert process.returncode == 0, errors
        assert set(json.loads(out.splitlines()[-1])) == KEYS
        assert list(tmp_path.iterdir()) == []

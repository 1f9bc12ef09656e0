"""``edge-agent demo``: what a person sees first, and what a script may rely on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plant.ports import usual_port
from tests.plant.processes import ROOT, eventually

pytestmark = pytest.mark.timeout(540)  # waits for its turn
KEYS = {
    "devices_up", "samples_read", "samples_derived", "samples_delivered", "samples_buffered",
    "samples_quarantined", "samples_lost", "excursions", "requests", "by_protocol",
}  # fmt: skip


class Demo:
    """One demonstration; what it writes to the disk goes to a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "demo", *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            encoding="utf-8", env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip

    def running(self) -> int:
        """Waits until its agent has a store; returns the process of the simulated line."""
        eventually("the agent has a store", lambda: list(self.folder.rglob("buffer.db")))
        pids = [pid for pid in children(self._process.pid) if b"hardware_mocks" in command_line(pid)]
        (line,) = pids
        return line

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Exit code, output, complaints."""
        out, errors = self._process.communicate(timeout=50)
        return self._process.returncode, out, errors


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Demo]]:
    """Three at the same time: none may get in the way of another. The first has the usual port."""
    folder = tmp_path_factory.mktemp("demos")
    with usual_port():
        whole = Demo(folder / "whole", "--seconds", "12")
        eventually(
            "its page is there", lambda: socket.create_connection(("127.0.0.1", 9713), 1).close() is None
        )
        yield {"whole": whole, **{name: Demo(folder / name) for name in ("SIGINT", "SIGKILL")}}


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_ended_early_it_leaves_no_process(name: str, demos: dict[str, Demo]) -> None:
    demo = demos[name]
    line = demo.running()
    demo.signal(signal.Signals[name])
    code, out, errors = demo.end()
    eventually("the simulated line has ended", lambda: not alive(line), 5)
    if name == "SIGINT":
        assert code == 0, errors
        assert set(json.loads(out.splitlines()[-1])) == KEYS
        assert list(demo.folder.iterdir()) == []


def test_its_last_line_is_an_account_that_adds_up(demos: dict[str, Demo]) -> None:
    demo = demos["whole"]
    line = demo.running()
    code, out, errors = demo.end()
    assert (code, errors) == (0, "")
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
    assert list(demo.folder.iterdir()) == [], "the demo leaves nothing on the disk"

"""sd_notify over a real datagram socket, and the conditions under which the watchdog is fed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.systemd import Notifier, Progress, feed


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, dict[str, str]]]:
    path = str(tmp_path / "notify") if request.param == "path" else f"@lineside-test-{os.getpid()}"
    manager = Manager(path.replace("@", "\0", 1) if path.startswith("@") else path)
    yield manager, {"NOTIFY_SOCKET": path}
    manager.close()


def test_a_life(system: tuple[Manager, dict[str, str]]) -> None:
    manager, environ = system
    notifier = Notifier(environ)
    assert notifier.enabled
    notifier.status("connecting")
    notifier.ready("3 devices\nWATCHDOG=1")
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.watchdog()
    notifier.stopping("flushing")
    heard = manager.heard()
    reloading, stamp = heard.pop(2).split("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before <= int(stamp) <= time.monotonic_ns() // 1000
    assert heard == [
        "STATUS=connecting",
        "READY=1\nSTATUS=3 devices WATCHDOG=1",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=flushing",
    ]


@pytest.mark.parametrize("path", ["", "/nowhere/notify", "@lineside-nobody", "x" * 300, "/a\0b", "relative"])
def test_without_a_socket_nothing_happens(path: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": path} if path else {})
    assert notifier.enabled == bool(path)
    notifier.ready()
    notifier.status("text")
    notifier.watchdog()


def test_a_manager_that_does_not_read_blocks_nobody(system: tuple[Manager, dict[str, str]]) -> None:
    manager, environ = system
    notifier = Notifier(environ)
    begin = time.monotonic()
    for number in range(5000):
        notifier.status(f"turn {number}")
    assert time.monotonic() - begin < 5
    assert 0 < len(manager.heard()) < 5000
    notifier.watchdog()
    assert manager.heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environ", "period_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "x"}, None),
    ],
)
def test_watchdog_period(environ: dict[str, str], period_s: float | None) -> None:
    assert Notifier(environ).watchdog_period_s == period_s


def test_progress() -> None:
    progress = Progress()
    progress.expect("loop", 5)
    progress.expect("link press-1", 20)
    progress.mark("nobody", 0)
    assert progress.overdue(100_000_000_000) == []  # counted from the first look
    progress.mark("loop", 104_000_000_000)
    assert progress.overdue(109_000_000_000) == []
    assert progress.overdue(109_000_000_001) == ["loop"]
    assert progress.overdue(120_000_000_001) == ["link press-1", "loop"]
    progress.mark("loop", 120_000_000_001)
    progress.forget("link press-1")
    progress.mark("link press-1", 0)
    assert progress.overdue(120_000_000_001) == []
    progress.expect("loop", 50)
    assert progress.overdue(160_000_000_000) == []


def test_the_watchdog_is_fed_only_while_all_make_progress(system: tuple[Manager, dict[str, str]]) -> None:
    manager, environ = system
    notifier, progress = Notifier(environ), Progress()
    for name in ("writer", "loop"):
        progress.expect(name, 5)
        progress.mark(name, 0)
    assert feed(notifier, progress, 5_000_000_000, "4 devices up") == []
    assert manager.heard() == ["WATCHDOG=1", "STATUS=4 devices up"]
    progress.mark("loop", 5_000_000_000)
    assert feed(notifier, progress, 6_000_000_000, "4 devices up") == ["writer"]
    assert manager.heard() == ["STATUS=no progress: writer"]

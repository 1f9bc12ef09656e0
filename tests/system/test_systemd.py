"""What systemd hears: READY, WATCHDOG again and again, RELOADING and READY, STOPPING."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site

WATCHDOG_S = 2.0


class Systemd:
    """The receiving end of NOTIFY_SOCKET; ``heard``: each message's assignments, with the time it came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def listen(self) -> list[dict[str, str]]:
        """Everything up to now."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return [message for _, message in self.heard]
            pairs = dict(line.split("=", 1) for line in text.splitlines())
            self.heard.append((time.monotonic(), pairs))

    def count(self, assignment: str) -> int:
        name, value = assignment.split("=")
        return sum(message.get(name) == value for message in self.listen())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.close()


def start(site: Site, systemd: Systemd) -> None:
    site.start(
        wait=False, NOTIFY_SOCKET=str(systemd.path), WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)), WATCHDOG_PID=""
    )


def test_the_life_of_a_service(site: Site, line: Line, park: Park, systemd: Systemd) -> None:
    start(site, systemd)
    eventually("READY=1", lambda: systemd.count("READY=1"))
    assert site.get("/api/v1/status"), "ready means that the page answers"
    eventually("devices in the status line", lambda: systemd.count("STATUS=1/1 devices up"))
    eventually("fed again and again", lambda: systemd.count("WATCHDOG=1") >= 3)
    pings = [moment for moment, message in systemd.heard if "WATCHDOG" in message]
    assert max(b - a for a, b in pairwise(pings)) < WATCHDOG_S

    line.fault("silent")  # a dead controller is no reason to be restarted
    park.mood("vanish", seconds=0)  # nor is a dead park
    eventually("the status line tells", lambda: systemd.count("STATUS=0/1 devices up"))
    fed = systemd.count("WATCHDOG=1")
    eventually("fed on", lambda: systemd.count("WATCHDOG=1") >= fed + 3)

    assert site.agent is not None
    site.reload()
    eventually("READY=1 again", lambda: systemd.count("READY=1") == 2)
    order = [m for m in systemd.listen() if "RELOADING" in m or "READY" in m]
    assert [next(iter(m)) for m in order] == ["READY", "RELOADING", "READY"]
    assert order[1]["MONOTONIC_USEC"].isdecimal(), "Type=notify-reload wants it"
    (site.config / "edge-agent.yaml").write_text("line: [\n", encoding="utf-8")
    site.reload(accepted=False)
    eventually("READY=1 also after a refused reload", lambda: systemd.count("READY=1") == 3)

    site.stop()
    assert systemd.count("STOPPING=1") == 1
    assert "STOPPING" in [m for m in systemd.listen() if "WATCHDOG" not in m and "STATUS" not in m][-1]


def test_a_stopped_process_is_not_alive(site: Site, systemd: Systemd) -> None:
    """SIGSTOP stands for any loop that hangs: no message comes, so systemd would act; after it they go on."""
    start(site, systemd)
    eventually("it is fed", lambda: systemd.count("WATCHDOG=1") >= 2)
    assert site.agent is not None
    site.agent.signal(signal.SIGSTOP)
    systemd.listen()
    fed = len(systemd.heard)
    time.sleep(WATCHDOG_S * 1.2)
    assert len(systemd.listen()) == fed
    site.agent.signal(signal.SIGCONT)
    eventually("it is fed again", lambda: len(systemd.listen()) > fed)
    site.stop()

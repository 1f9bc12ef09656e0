"""Debian's mosquitto on a free port of the loopback, with its files in a folder of the test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

START_WITHIN_S = 20.0
HOST = "127.0.0.1"

ANYBODY: Mapping[str, str] = {"allow_anonymous": "true"}


class Mosquitto:
    """``options`` are lines of mosquitto.conf, by name; ``port`` is chosen here and stays over a restart.
    ``persistent``: keeps sessions, queues and retained messages over a restart."""

    def __init__(
        self, folder: Path, options: Mapping[str, str] = ANYBODY, *, port: int = 0, persistent: bool = False
    ) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["per_listener_settings false", f"listener {self.port} {HOST}", "log_type all"]
        lines += ["user root", "max_queued_messages 0", "max_inflight_messages 0", "set_tcp_nodelay true"]
        if persistent:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
            lines += ["autosave_on_changes true"]
        lines += [f"{name} {value}" for name, value in options.items()]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Mosquitto:
        """Returns when it listens."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["mosquitto", "-c", str(self._config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + START_WITHIN_S
        while time.monotonic() < end:
            assert self._process.poll() is None, f"mosquitto ended: {self.text()}"
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1.0):
                return self
            time.sleep(0.02)
        raise AssertionError(f"mosquitto does not listen: {self.text()}")

    def stop(self) -> None:
        """SIGTERM: it writes down what it keeps."""
        if self._process is not None:
            self._process.terminate()
            self._wait()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._wait()

    def _wait(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait(10)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


@contextlib.contextmanager
def mosquitto(
    folder: Path, options: Mapping[str, str] = ANYBODY, *, persistent: bool = False
) -> Iterator[Mosquitto]:
    """One that runs, and has ended afterwards."""
    broker = Mosquitto(folder, options, persistent=persistent)
    try:
        yield broker.start()
    finally:
        broker.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

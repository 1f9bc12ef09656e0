"""Starting, waiting for and ending the processes of a test, by their own id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """One process; its stderr goes to ``log``. With ``ready`` its first line of stdout is a JSON object.
    With ``piped`` another process writes the log, so that a limit set on this one does not cut it off."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        ready: bool = True,
        piped: bool = False,
        **environment: str,
    ) -> None:
        self.log = log
        self._scribe: subprocess.Popen[bytes] | None = None
        with log.open("ab") as file:
            if piped:
                self._scribe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
            stderr = self._scribe.stdin if self._scribe is not None else file
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", *arguments],
                stdout=subprocess.PIPE if ready else stderr,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "default", **environment},
            )
        if self._scribe is not None and self._scribe.stdin is not None:
            self._scribe.stdin.close()  # it ends when the process does
        self.pid = self._process.pid
        self._ports: dict[str, Any] | None = None

    @property
    def ports(self) -> dict[str, Any]:
        """Its first line; waits for it, so that several can be started side by side."""
        if self._ports is None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            assert line, f"{self._process.args!r} ended before it was ready: {self.text()}"
            self._ports = json.loads(line)
        return self._ports

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.kill()
        self._process.wait(10)
        self._close()

    def stop(self, deadline_s: float = 15.0) -> int:
        """SIGTERM; returns the exit code. A process that does not end is a failure, and is killed."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"did not end within {deadline_s} s of SIGTERM: {self.text()[-2000:]}"
            ) from None
        self._close()
        return code

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, deadline_s: float) -> int:
        code = self._process.wait(deadline_s)
        self._close()
        return code

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._scribe is not None:
            self._scribe.wait(10)


def get(url: str, timeout_s: float = 5.0) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as reply:
        return json.load(reply)


def post(url: str, body: dict[str, Any], timeout_s: float = 5.0) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout_s) as reply:
        return json.loads(reply.read() or b"{}")


def eventually(what: str, condition: Callable[[], Any], deadline_s: float = 20.0) -> Any:
    """Waits until ``condition`` is true (connection errors count as not yet) and returns its value."""
    end = time.monotonic() + deadline_s
    last: object = None
    while time.monotonic() < end:
        try:
            last = condition()
        except (OSError, KeyError, IndexError, ValueError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline_s:g} s: {what}; last: {last!r}")

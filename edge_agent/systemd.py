"""What the agent tells systemd: ready, reloading, stopping, a line of status, and that it is alive.

Being alive means progress, not success: ``Progress`` holds one condition per loop ("this marked itself
within so many seconds"), and ``feed`` sends WATCHDOG=1 only while none is overdue. Attempts go on while a PLC
or the park platform is dead, so neither ever restarts the agent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_STATUS_CHARS = 500  # of a status line; systemd shows one line


class Notifier:
    """sd_notify(3) over NOTIFY_SOCKET. Without the socket every method does nothing; none ever raises or
    blocks: if systemd does not read, the message is dropped and the next one tried."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_period_s = _watchdog_period_s(environ)
        """Seconds after which systemd kills a silent agent, None without a watchdog: send twice as often."""

    @property
    def enabled(self) -> bool:
        return bool(self._address)

    def ready(self, text: str = "") -> None:
        """Start-up, or a reload, is complete."""
        self._send("READY=1", _status(text))

    def reloading(self) -> None:
        """A reload begins; ``ready`` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, text: str = "") -> None:
        self._send("STOPPING=1", _status(text))

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(text))

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        message = "\n".join(a for a in assignments if a)
        if not self._address or not message:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto(message.encode("utf-8", "replace"), self._address)
        except (OSError, ValueError):  # no such socket, queue full, address too long, NUL in the path
            return


def _status(text: str) -> str:
    """A line end would begin another assignment."""
    return f"STATUS={' '.join(text.split())[:_STATUS_CHARS]}" if text else ""


def _watchdog_period_s(environ: Mapping[str, str]) -> float | None:
    """WATCHDOG_USEC, unless WATCHDOG_PID says that another process is meant."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
        pid = int(environ.get("WATCHDOG_PID", "") or os.getpid())
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and pid == os.getpid() else None


class Progress:
    """Named conditions of progress. A name counts from the first look at it, until it is first marked."""

    def __init__(self) -> None:
        self._max_age_ns: dict[str, int] = {}
        self._marked_ns: dict[str, int] = {}

    def expect(self, name: str, max_age_s: float) -> None:
        """From now on ``name`` must be marked at least so often. Again: only the age changes."""
        self._max_age_ns[name] = round(max_age_s * 1e9)

    def mark(self, name: str, mono_ns: int) -> None:
        """It has made progress. A name that is not expected (any more) is ignored."""
        if name in self._max_age_ns:
            self._marked_ns[name] = mono_ns

    def forget(self, name: str) -> None:
        """It is gone on purpose, such as a link that a reload removed."""
        self._max_age_ns.pop(name, None)
        self._marked_ns.pop(name, None)

    def overdue(self, mono_ns: int) -> list[str]:
        """Names without progress for too long, in order of the alphabet."""
        for name in self._max_age_ns:
            self._marked_ns.setdefault(name, mono_ns)
        return sorted(n for n, age_ns in self._max_age_ns.items() if mono_ns - self._marked_ns[n] > age_ns)


def feed(notifier: Notifier, progress: Progress, mono_ns: int, text: str = "") -> list[str]:
    """One turn of the watchdog task: WATCHDOG=1 and ``text`` as status while all is well, else the overdue
    names as status and no WATCHDOG=1. Returns the overdue names."""
    late = progress.overdue(mono_ns)
    if late:
        notifier.status(f"no progress: {', '.join(late)}")
        return late
    notifier.watchdog()
    notifier.status(text)
    return late

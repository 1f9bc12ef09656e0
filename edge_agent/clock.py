"""Time. Monotonic time drives, wall time labels; everything that needs either is handed a Clock.

``TestClock`` in ``edge_agent.testing`` stands in for it, so that no test sleeps for luck.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Protocol

from edge_agent.model import ClockState

_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised
_TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd(8) touches it at each success


class Clock(Protocol):
    """``boot_id`` tells one monotonic era from the next: readings of two eras must not be compared."""

    boot_id: str

    def mono_ns(self) -> int: ...

    def time_ns(self) -> int: ...

    def state(self) -> ClockState: ...

    async def sleep_until(self, mono_ns: int) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self.boot_id = os.environ.get("EDGE_BOOT_ID") or _read_boot_id()
        self._state = ClockState.UNKNOWN
        self._state_until_ns = 0

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def time_ns(self) -> int:
        return time.time_ns()

    def state(self) -> ClockState:
        """Whether the wall clock is synchronised; asked of the kernel at most every 10 s."""
        now = time.monotonic_ns()
        if now >= self._state_until_ns:
            self._state = _kernel_clock_state()
            self._state_until_ns = now + 10_000_000_000
        return self._state

    async def sleep_until(self, mono_ns: int) -> None:
        delay_ns = mono_ns - time.monotonic_ns()
        if delay_ns > 0:
            from asyncio import sleep  # a command that asks for the time only must not wait for asyncio

            await sleep(delay_ns / 1e9)


def _read_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
    except OSError:  # ProcSubset=pid hides it; the unit then passes EDGE_BOOT_ID
        return "unknown"


def _kernel_clock_state() -> ClockState:
    """adjtimex(2) in read-only mode. The structure is larger than any kernel's timex; modes = 0."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        status = libc.adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return _timesync_state()
    if status < 0:  # ProtectClock=yes forbids even the question
        return _timesync_state()
    return ClockState.UNSYNCHRONISED if status == _TIME_ERROR else ClockState.SYNCHRONISED


def _timesync_state() -> ClockState:
    """What systemd-timesyncd left since boot. Where it runs, no mark means that it has not succeeded yet;
    where it does not, that says nothing: another daemon may keep time."""
    if _TIMESYNC_MARK.exists():
        return ClockState.SYNCHRONISED
    return ClockState.UNSYNCHRONISED if _TIMESYNC_MARK.parent.is_dir() else ClockState.UNKNOWN

"""Since when this agent runs: told to the platform once per start (2081), not at every connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.clock import Clock


@dataclass(frozen=True, slots=True)
class Run:
    """``identity``: another at every start of the agent. ``mono_ns``: when it began."""

    identity: str
    mono_ns: int


def this_run(clock: Clock) -> Run:
    """Of the process, as the kernel knows it; without /proc, of this moment."""
    try:
        began_ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        began_ns = began_ticks * 10_000_000  # USER_HZ is 100; seconds since boot, as the monotonic clock
    except (OSError, ValueError, IndexError):
        began_ns = clock.mono_ns()
    return Run(f"{clock.boot_id}:{began_ns}", min(began_ns, clock.mono_ns()))

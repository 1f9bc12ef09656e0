"""Memory of a process that starts once and then runs for months."""

from __future__ import annotations

import ctypes
import gc
import sys

SWITCH_S = 0.0005  # how long the event loop may keep a thread that commits an alarm from going on


def settle_memory() -> None:
    """After the start: what lives now stays, so the collector need not look at it again; what the start only
    passed through goes back to the system."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    sys.setswitchinterval(SWITCH_S)
    trim_memory()


def trim_memory() -> None:
    """Gives free pages back to the system; a millisecond or two."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        return

"""Lengths of time and moments as a person types them."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

from edge_agent.cli.say import say

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float | None:
    """``30min`` -> 1800.0; None for what is no length of time."""
    found = _LENGTH.fullmatch(text.strip())
    return float(found[1]) * _SECONDS[found[2]] if found else None


def moment_ns(text: str) -> int:
    """A length of time back from now, or a date, with a time if need be, in the time zone of this machine.
    Raises UsageError."""
    back_s = seconds(text)
    if back_s is not None:
        return max(0, time.time_ns() - round(back_s * 1e9))
    try:
        return max(0, round(datetime.fromisoformat(text).astimezone().timestamp() * 1e9))
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            say(
                f"{text!r} is no time: 8h, 7d, 2026-01-31 or 2026-01-31T06:00",
                f"{text!r} 不是时间：8h、7d、2026-01-31 或 2026-01-31T06:00",
            )
        ) from None

"""Moments as a person types them for a look back, in the plant's zone: +08:00 unless configured."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

import click

from edge_agent.cli.lengths import seconds
from edge_agent.cli.say import say

ZONE_S = 28_800


def zone(zone_s: int = ZONE_S) -> tzinfo:
    return timezone(timedelta(seconds=zone_s))


def moment(text: str, now_ns: int, where: tzinfo) -> int:
    """``now``, ``2h ago``, ``06:00`` (the last one), ``2026-11-22`` or ``2026-11-22T06:00``, with another
    zone if one stands there. Raises UsageError."""
    words = text.strip()
    if words == "now":
        return now_ns
    if words.endswith("ago"):
        back_s = seconds(words.removesuffix("ago"))
        if back_s is not None:
            return now_ns - round(back_s * 1e9)
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, where)
    try:
        if len(words) == 5 and words[2] == ":":
            found = datetime.combine(now.date(), datetime.strptime(words, "%H:%M").time(), where)
            found -= timedelta(days=found > now)
        else:
            found = datetime.fromisoformat(words)
            found = found if found.tzinfo else found.replace(tzinfo=where)
        return max(0, round(found.timestamp() * 1000) * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            say(
                f"{text!r} is no time. Write 2026-11-22T06:00, 06:00, 2h ago or now.",
                f"{text!r} 不是时间。请写 2026-11-22T06:00、06:00、2h ago 或 now。",
            )
        ) from None


def length_ns(text: str) -> int:
    """``8h``. Raises UsageError."""
    found = seconds(text)
    if found is None or found <= 0:
        raise click.UsageError(
            say(
                f"{text!r} is no length of time. Write 8h, 30min or 7d.",
                f"{text!r} 不是时长。请写 8h、30min 或 7d。",
            )
        )
    return round(found * 1e9)


def moment_text(time_ns: int, where: tzinfo) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, where).isoformat(sep=" ", timespec="seconds")

"""Moments as a person types and reads them: Beijing time, whatever the zone of the machine.

The days and shifts of reports are Beijing days, so are the budgets of writes; gateways mostly run in UTC. One
form everywhere, and always with its ``+08:00``.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

import click

from edge_agent.cli.lengths import no_length, seconds
from edge_agent.cli.say import say

BEIJING = timezone(timedelta(hours=8))
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+08:00")


def moment(text: str, now_ns: int, where: tzinfo = BEIJING) -> int:
    """``now``, ``2h ago`` or ``2h``, ``06:00`` (the last one), ``2026-11-22`` or ``2026-11-22T06:00``, with
    another zone if one stands there. Raises UsageError."""
    words = text.strip()
    if words == "now":
        return now_ns
    back_s = seconds(words.removesuffix("ago"))
    if back_s is not None:
        return max(0, now_ns - round(back_s * 1e9))
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
        if words.replace(".", "", 1).isdigit():
            raise no_length(text) from None
        raise click.UsageError(
            say(
                f"{text!r} is no time. Write 8h, now, or in Beijing time 06:00 or 2026-11-22T06:00.",
                f"{text!r} 不是时间。请写 8h、now，或北京时间 06:00、2026-11-22T06:00。",
            )
        ) from None


def length_ns(text: str) -> int:
    """``8h``. Raises UsageError."""
    found = seconds(text)
    if found is None or found <= 0:
        raise no_length(text)
    return round(found * 1e9)


def short_moment(text: str, now_ns: int) -> str:
    """For a list on a terminal: of a moment as ``moment_text`` writes it the time of day if that is today,
    else date and minute. Any other text as it is."""
    if not _WRITTEN.fullmatch(text):
        return text
    today = moment_text(now_ns)
    if text[:10] == today[:10]:
        return text[11:19]
    return text[5:16] if text[:4] == today[:4] else text[:10]


def moment_text(time_ns: int, where: tzinfo = BEIJING) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, where).isoformat(sep=" ", timespec="seconds")

"""Lengths of time as a person types and reads them."""

from __future__ import annotations

import re

import click

from edge_agent.cli.say import say

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float | None:
    """``30min`` -> 1800.0; None for what is no length of time."""
    found = _LENGTH.fullmatch(text.strip())
    return float(found[1]) * _SECONDS[found[2]] if found else None


def no_length(text: str, option: str = "") -> click.UsageError:
    """Why ``text``, given with that option, is no length of time."""
    number = text.strip()
    of = f"{option}: " if option else ""
    if number.replace(".", "", 1).isdigit():
        return click.UsageError(
            say(
                f"{of}{text!r} has no unit: write {number}min, {number}h or {number}s",
                f"{of}{text!r} 没有单位：请写 {number}min、{number}h 或 {number}s",
            )
        )
    return click.UsageError(
        say(
            f"{of}{text!r} is no length of time: write 30min, 8h or 7d",
            f"{of}{text!r} 不是时长：请写 30min、8h 或 7d",
        )
    )


def length_text(length_s: float) -> str:
    """``8 h``, ``30 min``, ``1 h 30 min``, ``2.5 s``: in units as people say them, the two largest."""
    if length_s < 60:
        return f"{length_s:.3g} s"
    left_s, parts = round(length_s), []
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left_s = divmod(left_s, size_s)
        if number:
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])

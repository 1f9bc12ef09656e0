"""Near misses of names, for mistakes."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from edge_agent.settings import Text


def hint(word: str, known: Iterable[str]) -> Text:
    """``Did you mean 'x'? `` or nothing."""
    plain = {name.lower().replace("-", "_"): name for name in known}
    found = get_close_matches(word[:100].lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    if not found:
        return Text("", "")
    return Text(f"Did you mean '{plain[found[0]]}'?", f"是否想写 '{plain[found[0]]}'？")


def spoken(least: int, most: int) -> Text:
    """How many arguments are wanted."""
    if least == most:
        plural = "" if least == 1 else "s"
        return Text(f"{least} argument{plural}", f" {least} 个参数")
    return Text(f"at least {least} argument{'' if least == 1 else 's'}", f"至少 {least} 个参数")

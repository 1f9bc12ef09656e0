"""Did you mean ...? Near misses of keys, options, names, in both languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from edge_agent.settings import Text

NOTHING = Text("", "")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    words = {_plain(name): name for name in known}
    found = get_close_matches(_plain(word[:100]), words, n=1, cutoff=0.6)
    return words[found[0]] if found else None


def hint(word: str, known: Iterable[str]) -> Text:
    """``Did you mean 'x'? `` or nothing."""
    return said(nearest(word, known))


def said(guess: str | None) -> Text:
    return Text(f"Did you mean '{guess}'? ", f"是否想写 '{guess}'？") if guess else NOTHING


def listed(known: Iterable[str], limit: int = 20) -> str:
    """Names for a sentence; a long list is cut."""
    names = list(known)
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "") if names else "-"


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).lower().replace("-", "_").replace(" ", "_")

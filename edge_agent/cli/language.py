"""The language of the command line: ``--lang``, else that of the environment (EDGE_AGENT_LANGUAGE, LC_ALL,
LC_MESSAGES, LANG), else English."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

import click

LANGUAGE = "EDGE_AGENT_LANGUAGE"
_KEY = "edge_agent.language"


def language() -> str:
    """``en`` or ``zh``."""
    context = click.get_current_context(silent=True)
    chosen = context.meta.get(_KEY) if context else None
    return str(chosen) if chosen else _of_environment()


def say(en: str, zh: str) -> str:
    return zh if language() == "zh" else en


def language_in(words: Sequence[str]) -> str:
    """Of a command line that could not be parsed."""
    for word, following in pairwise([*words, ""]):
        chosen = following if word == "--lang" else word.removeprefix("--lang=")
        if word.startswith("--lang") and chosen in ("zh", "en"):
            return chosen
    return _of_environment()


def _of_environment() -> str:
    for name in (LANGUAGE, "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def choose(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value:
        context.meta[_KEY] = value

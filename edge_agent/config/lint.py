"""Typing accidents in YAML, found before it is parsed, each at its exact place.

A parser meets a full-width colon or a tab lines later, or silently takes it into a value. ``lint`` walks the
text once, reports such accidents, and returns the text as it was probably meant (``Repaired``), so that every
other mistake of the file can be reported in the same run. The positions of the repaired text lead back to the
original. Text that may legitimately hold Chinese punctuation (comments, quoted and block scalars, plain text
that is a whole value) is left alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from edge_agent.config.lint_line import Accident, LineWalk, State
from edge_agent.config.located import split_lines

_DULL = re.compile(r"(?!.*[\uff01-\uff5e]) *(?:- )?\w[\w-]*:(?: +[\w./+-]+(?::[\w./]+)*)?")


@dataclass(slots=True)
class Repaired:
    """The text as it was probably meant. ``edits``: per line (from 0) sorted (start, end, replacement)."""

    text: str
    accidents: list[Accident]
    edits: dict[int, list[tuple[int, int, str]]]
    open_bracket: tuple[int, int] | None = None  # the first that is never closed; both from 1

    def original(self, line: int, column: int) -> tuple[int, int]:
        """A place in the repaired text (both from 0) -> the place in the original (both from 1)."""
        shift = 0  # repaired column minus original column, so far
        for start, end, replacement in self.edits.get(line, ()):
            if column < start + shift:
                break
            if column < start + shift + len(replacement):
                return line + 1, start + 1
            shift += len(replacement) - (end - start)
        return line + 1, column - shift + 1


def lint(text: str) -> Repaired:
    """Finds the accidents and repairs them."""
    state = State()
    original = split_lines(text)
    lines = []
    edits: dict[int, list[tuple[int, int, str]]] = {}
    accidents: list[Accident] = []
    for number, line in enumerate(original):
        if state.neutral and _DULL.fullmatch(line):
            state.indent = len(line) - len(line.lstrip(" -"))
            state.open_value = not line.rstrip().endswith(":")
            lines.append(line)
            continue
        walk = LineWalk(line, number, state)
        walk.run()
        accidents += walk.accidents
        if walk.edits:
            edits[number] = sorted(walk.edits)
        lines.append(_apply(line, edits.get(number, [])))
    bracket = (state.flow[0][1], state.flow[0][2]) if state.flow else None
    return Repaired("\n".join(lines), accidents, edits, bracket)


def _apply(line: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, replacement in reversed(edits):
        line = line[:start] + replacement + line[end:]
    return line


def full_width_in(text: str) -> tuple[int, str, str] | None:
    """The first full-width character in a value of the wrong type: (index, it, its half-width twin)."""
    for index, char in enumerate(text):
        half = unicodedata.normalize("NFKC", char)
        if char != half and len(half) == 1 and half.isascii():
            return index, char, half
        if char in "。−–":
            return index, char, "." if char == "。" else "-"
    return None

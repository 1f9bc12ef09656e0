"""Where in a file a mistake inside a formula stands."""

from __future__ import annotations

from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.expression import Mistake
from edge_agent.settings import Problem


def report(
    collector: Collector, source: Source, at: Position, path: Path, text: str, mistake: Mistake
) -> None:
    """``at``: where the value of the key begins, ``text``: that value. The mistake is shown at its own
    character; where that cannot be found, at the value, with the column in the message."""
    found = _inside(source, at, text, mistake.column - 1)
    problem = Problem(mistake.code, path, mistake.message, mistake.cure)
    collector.take(source, found or at, problem if found else mistake.problem(path))


def _inside(source: Source, at: Position, text: str, index: int) -> Position | None:
    """The place of ``text[index]``. A value may be quoted, folded or stand below its key; blanks are what
    YAML may change, so the other characters are counted."""
    wanted = sum(not char.isspace() for char in text[:index])
    position = _start(source, at)
    seen = 0
    for char in text:
        if char.isspace():
            continue
        found = _next(source, position)
        if found is None or source.lines[found[0] - 1][found[1] - 1] != char:
            return None
        if seen == wanted:
            return found
        seen, position = seen + 1, (found[0], found[1] + 1)
    if seen == wanted:  # what is missing at the end
        blanks = len(text[:index]) - len(text[:index].rstrip())
        return position[0], position[1] + blanks
    return None


def _start(source: Source, at: Position) -> Position:
    line, column = at
    first = source.lines[line - 1][column - 1 : column] if line <= len(source.lines) else ""
    if first in ("|", ">"):
        return line + 1, 1
    return (line, column + 1) if first in ("'", '"') and first else at


def _next(source: Source, position: Position) -> Position | None:
    """The next character that is no blank, from ``position`` on."""
    line, column = position
    while line <= len(source.lines):
        text = source.lines[line - 1]
        for number in range(column, len(text) + 1):
            if not text[number - 1].isspace():
                return line, number
        line, column = line + 1, 1
    return None

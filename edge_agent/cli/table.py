"""Plain tables whose columns stay aligned with Chinese in them, for pipes, logs and serial consoles."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Table:
    """``right``: positions of the columns that are aligned to the right (numbers). ``spare``: of those that
    a narrow terminal does without, the least important first."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()
    spare: tuple[int, ...] = ()


def without_empty_last(table: Table) -> Table:
    """The table without its last column if nothing stands in it."""
    if any(row[-1] for row in table.rows):
        return table
    rows = [row[:-1] for row in table.rows]
    spare = tuple(column for column in table.spare if column < len(table.headings) - 1)
    return replace(table, headings=table.headings[:-1], rows=rows, spare=spare)


def width(text: str) -> int:
    """Columns a terminal uses: wide and full-width characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def plain(table: Table) -> str:
    """The table as text, without a trailing newline."""
    lines = [tuple(printable(cell) for cell in line) for line in (table.headings, *table.rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(table.headings))]
    body = [_line(line, widths, table.right) for line in lines]
    return "\n".join(([table.title] if table.title else []) + body)


def printable(text: str) -> str:
    """Without control characters: a device's text must not move the cursor of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    padded = [
        " " * (widths[column] - width(cell)) + cell
        if column in right
        else cell + " " * (widths[column] - width(cell))
        for column, cell in enumerate(cells)
    ]
    return "  ".join(padded).rstrip()

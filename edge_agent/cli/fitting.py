"""Making a table fit a terminal: short times, the least important columns left out, the rest folded. A name
is never cut off: it is what the next command wants to have typed."""

from __future__ import annotations

import time
from dataclasses import replace

from edge_agent.cli.moments import short_moment
from edge_agent.cli.table import Table, width

_GAP = 2
_PROSE = 24  # a column of text is readable at this width; beyond, it is folded
_FOLDED = 16  # before a name is folded too
_LEAST = 8


def fitted(table: Table, columns: int, now_ns: int | None = None) -> tuple[Table, list[str]]:
    """The table without what has no room in so many columns, and the headings of what was left out.
    ``Table.spare`` says what may go; of that, first what is empty."""
    if len(table.headings) > 2:  # a list; where one thing is described, its times stand in full
        now = time.time_ns() if now_ns is None else now_ns
        table = replace(table, rows=[[short_moment(cell, now) for cell in row] for row in table.rows])
    filled = {column for column in table.spare if any(row[column] for row in table.rows)}
    going = sorted(table.spare, key=lambda column: column in filled)
    needs = [
        natural if column == 0 or column in table.right else min(natural, _PROSE)
        for column, natural in enumerate(_natural(table))
    ]
    kept = list(range(len(needs)))
    gone: list[int] = []
    for column in going:
        if sum(needs[k] for k in kept) + _GAP * (len(kept) - 1) <= columns:
            break
        kept.remove(column)
        gone.append(column)
    if not gone:
        return table, []
    narrower = Table(
        table.title,
        tuple(table.headings[k] for k in kept),
        [[row[k] for k in kept] for row in table.rows],
        frozenset(position for position, k in enumerate(kept) if k in table.right),
    )
    return narrower, [table.headings[column] for column in sorted(gone) if column in filled]


def widths(table: Table, columns: int) -> list[int]:
    """How wide each column is drawn: text gives way before names and numbers do."""
    found = _natural(table)
    text = [c for c in range(1, len(found)) if c not in table.right]
    every = list(range(len(found)))
    for giving, least in ((text, _FOLDED), ([0, *text], _LEAST), (every, 1)):
        while giving and sum(found) + _GAP * (len(found) - 1) > columns:
            widest = max(giving, key=lambda c: found[c])
            if found[widest] <= least:
                break
            found[widest] -= 1
    return found


def _natural(table: Table) -> list[int]:
    lines = (table.headings, *table.rows)
    return [max(width(line[column]) for line in lines) for column in range(len(table.headings))]

"""Imported rows against the table of a device: what would change, and the table as it then reads.

Rows that stay the same stay to the letter, with comments, order and quotes around them; a changed row keeps
its place; new rows come at the end. Importing the same file again therefore changes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edge_agent.config.cells import Row, rows, separator
from edge_agent.config.columns import COLUMNS, NO, NUMBERS, REQUIRED, YES, column_of, read_number
from edge_agent.config.importing.rows import ImportedRow
from edge_agent.config.located import split_lines
from edge_agent.config.sources import decode
from edge_agent.config.table import Table, is_header_line

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CellChange:
    column: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """``kind``: added, changed or removed. ``cells``: those that change; of an added tag, those it has."""

    kind: str
    tag: str
    cells: tuple[CellChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """``lines``: line (row) of the new table -> the imported row that stands there, where there is one."""

    data: bytes
    lines: Mapping[int, ImportedRow]


def same(column: str, one: str, other: str) -> bool:
    """Whether two texts mean the same in that column: ``0.10`` and ``0.1``, ``yes`` and ``是``."""
    if one == other:
        return True
    if column in NUMBERS:
        numbers = read_number(one), read_number(other)
        return None not in numbers and numbers[0] == numbers[1]
    if column == "metric":
        return any(one.lower() in words and other.lower() in words for words in (YES, NO))
    if column in ("type", "byte_order"):
        return one.lower().replace(" ", "") == other.lower().replace(" ", "")
    return False


def compare(table: Table | None, imported: Sequence[ImportedRow], *, keep: bool = False) -> list[Change]:
    """Added and changed in the order of the import, then removed in the order of the table. ``keep``: nothing
    is removed."""
    changes: list[Change] = []
    for row in imported:
        found = table.names.get(row.name) if table is not None else None
        if table is None or found is None:
            given = (column for column in COLUMNS if column != "name" and row.cells.get(column))
            cells = tuple(CellChange(column, "", row.cells[column]) for column in given)
            changes.append(Change("added", row.name, cells))
            continue
        cells = tuple(
            CellChange(column, table.cell(found, column), text)
            for column, text in row.cells.items()
            if not same(column, table.cell(found, column), text)
        )
        if cells:
            changes.append(Change("changed", row.name, cells))
    if table is not None and not keep:
        wanted = {row.name for row in imported}
        changes += [Change("removed", name) for name in table.names if name and name not in wanted]
    return changes


def write_csv(
    table: Table | None, old: bytes | None, imported: Sequence[ImportedRow], changes: Sequence[Change]
) -> Written:
    """The new table as CSV. UTF-8, with a mark at its begin where it had one (Excel needs it) or was in
    another encoding."""
    if table is None or old is None:
        return _fresh(imported)
    decoded = decode(old)
    text = decoded.text or ""
    end = "\r\n" if "\r\n" in text else "\n"
    bom = old.startswith(BOM) or decoded.encoding != "UTF-8"
    made = _Csv(table, _kept(text), imported, changes)
    ends = [(line.end if isinstance(line, _Line) else "") or end for line in made.lines[:-1]]
    body = "".join(line + after for line, after in zip(made.lines, [*ends, ""], strict=True))
    return Written((BOM if bom else b"") + body.encode(), made.places)


class _Line(str):
    """A line as it stood there, with the end that it had: inside a quoted cell it may be another one."""

    end = ""


def _kept(text: str) -> list[str]:
    lines, at = [], 0
    for piece in split_lines(text):
        at += len(piece)
        line = _Line(piece)
        line.end = "\r\n" if text.startswith("\r\n", at) else text[at : at + 1]
        at += len(line.end)
        lines.append(line)
    return list(lines)


def _fresh(imported: Sequence[ImportedRow]) -> Written:
    columns = [c for c in COLUMNS if c in REQUIRED or any(row.cells.get(c) for row in imported)]
    lines = [",".join(columns)]
    lines += [csv_line([row.cells.get(column, "") for column in columns], ",") for row in imported]
    places: dict[int, ImportedRow] = {}
    number = 2
    for row, line in zip(imported, lines[1:], strict=True):
        places[number] = row
        number += line.count("\n") + 1
    return Written(BOM + ("\r\n".join(lines) + "\r\n").encode(), places)


class _Csv:
    """The lines of a table with the changes in them."""

    def __init__(
        self,
        table: Table,
        old: list[str],
        imported: Sequence[ImportedRow],
        changes: Sequence[Change],
    ) -> None:
        self.table = table
        self.changes = {change.tag: change for change in changes}
        self.by_name = {row.name: row for row in imported}
        self.columns = dict(table.columns)
        self.lines: list[str] = []
        self.places: dict[int, ImportedRow] = {}
        start = next(number for number, line in enumerate(old) if is_header_line(line))
        self.mark = separator(old[start])
        header = next(rows(old, self.mark, start))
        self.width = len(header.cells)
        self._copy(old, header)
        self._append()

    def _copy(self, old: list[str], header: Row) -> None:
        starts = {row.line: (name, row) for name, row in self.table.names.items()}
        extra = self._new_columns()
        number = 1
        while number <= len(old):
            if number in starts:
                name, row = starts[number]
                last = row.position(len(row.cells))[0]
                self._row(name, row, old[number - 1 : last])
                number = last + 1
                continue
            line = old[number - 1]
            if number == header.position(len(header.cells))[0] and extra:
                line = self.mark.join([line, *extra])
            self.lines.append(line)
            number += 1

    def _new_columns(self) -> list[str]:
        """Columns that changes need and the header lacks, in the language of the header."""
        needed = {cell.column for change in self.changes.values() for cell in change.cells if cell.new}
        extra = [column for column in COLUMNS if column in needed and column not in self.columns]
        for column in extra:
            self.columns[column] = self.width
            self.width += 1
        return extra

    def _row(self, name: str, row: Row, old: list[str]) -> None:
        change = self.changes.get(name)
        if change is not None and change.kind == "removed":
            return
        if name in self.by_name:
            self.places[len(self.lines) + 1] = self.by_name[name]
        if change is None:
            self.lines += old
            return
        cells = list(row.cells)
        for cell in change.cells:
            index = self.columns.get(cell.column)
            if index is not None:
                cells += [""] * (index + 1 - len(cells))
                cells[index] = cell.new
        self.lines += csv_line(cells, self.mark).split("\n")

    def _append(self) -> None:
        tail: list[str] = []
        while self.lines and not self.lines[-1].strip():
            tail.append(self.lines.pop())
        for change in self.changes.values():
            if change.kind != "added":
                continue
            row = self.by_name[change.tag]
            cells = [""] * (1 + max(self.columns[c] for c in self.columns))
            for column, text in row.cells.items():
                if text:
                    cells[self.columns[column]] = text
            self.places[len(self.lines) + 1] = row
            self.lines += csv_line(cells, self.mark).split("\n")
        self.lines += tail or [""]


def csv_line(cells: Iterable[str], mark: str) -> str:
    """One record; quoted where a cell holds the separator, a quote or a line break."""
    return mark.join(_quoted(cell.replace("\r\n", "\n").replace("\r", "\n"), mark) for cell in cells)


def _quoted(cell: str, mark: str) -> str:
    if any(character in cell for character in (mark, '"', "\n")) or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


def write_workbook(
    table: Table, old: bytes, imported: Sequence[ImportedRow], changes: Sequence[Change]
) -> Written:
    """The new table as a workbook: the old one with its cells changed, so that colours and widths stay."""
    openpyxl: Any = import_module("openpyxl")
    book = openpyxl.load_workbook(io.BytesIO(old))
    sheet = book[table.source.sheet]
    by_name = {row.name: row for row in imported}
    columns = dict(table.columns)
    first = min((row.line for row in table.names.values()), default=2)
    header = next((r for r in range(first - 1, 0, -1) if column_of(str(sheet.cell(r, 1).value or ""))), 1)
    added = [change for change in changes if change.kind == "added"]
    changed = {change.tag: change for change in changes if change.kind == "changed"}
    needed = {cell.column for change in changes for cell in change.cells if cell.new}
    for column in COLUMNS:
        if column in needed and column not in columns:
            columns[column] = max(columns.values()) + 1
            sheet.cell(header, columns[column] + 1).value = column
    for name, change in changed.items():
        for cell in change.cells:
            if cell.column in columns:
                set_cell(sheet.cell(table.names[name].line, columns[cell.column] + 1), cell.column, cell.new)
    removed = sorted(table.names[change.tag].line for change in changes if change.kind == "removed")
    for line in reversed(removed):
        sheet.delete_rows(line)
    places = {}
    last = header
    for name, row in table.names.items():
        if row.line not in removed:
            now = row.line - sum(line < row.line for line in removed)
            last = max(last, now)
            if name in by_name:
                places[now] = by_name[name]
    for number, change in enumerate(added, last + 1):
        places[number] = by_name[change.tag]
        for column, text in by_name[change.tag].cells.items():
            if text:
                set_cell(sheet.cell(number, columns[column] + 1), column, text)
    out = io.BytesIO()
    book.save(out)
    return Written(out.getvalue(), places)


def set_cell(cell: Any, column: str, text: str) -> None:
    """A number where Excel may calculate with it and loses nothing of it; else text that stays text.
    ValueError for what a workbook cannot hold: control characters, texts without end."""
    number = read_number(text) if column in NUMBERS else None
    if number is not None and float(f"{number:.15g}") == number:
        cell.value = int(number) if number == int(number) and abs(number) < 1e15 else number
        return
    cell.value = None
    if any(ord(character) < 32 and character not in "\t\n" for character in text) or len(text) > 32_767:
        raise ValueError(f"{column}: {text[:40]!r}")
    if text:
        cell.number_format = "@"
        cell.value = text
        cell.data_type = "s"  # also of what begins with "="

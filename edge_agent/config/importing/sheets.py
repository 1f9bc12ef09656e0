"""The exports that are tables, CSV or xlsx: rows by the names of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.config.cells import Row, rows, separator
from edge_agent.config.located import Position, Source
from edge_agent.config.sources import decode
from edge_agent.config.workbook import Book, Sheet, Unreadable

_ZIP = b"PK\x03\x04"
_OLD = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class Record:
    """One row. Headers are compared without case and blanks: ``Tag Name`` is ``tagname``."""

    row: Row
    columns: dict[str, int]

    def __getitem__(self, header: str) -> str:
        index = self.columns.get(header)
        return self.row.cells[index] if index is not None and index < len(self.row.cells) else ""

    def at(self, header: str = "") -> Position:
        return self.row.position(self.columns.get(header, 0))

    def places(self, by_column: dict[str, str]) -> dict[str, int]:
        """Canonical column -> column of the file, given which header it came from."""
        return {column: self.at(header)[1] for column, header in by_column.items() if header in self.columns}


@dataclass(frozen=True, slots=True)
class Grid:
    """``records``: below a header that has all the columns that were asked for. ``others``: names of sheets
    that were not read."""

    source: Source
    columns: dict[str, int]
    records: list[Record]
    others: tuple[str, ...] = ()


def is_excel(data: bytes) -> bool:
    return data.startswith((_ZIP, _OLD))


def grid(name: str, data: bytes, needed: Sequence[str]) -> Grid | None:
    """None where no header has these columns. Raises Unreadable for a workbook that cannot be opened."""
    if is_excel(data):
        return _sheet_grid(Book(name, data), needed)
    text = decode(data).text
    if text is None or "\0" in text:
        return None
    source = Source(name, text)
    for number, line in enumerate(source.lines[:20]):
        if line.strip() and not line.startswith("#"):
            mark = separator(line)
            found = rows(source.lines, mark, number)
            return _made(source, found, needed)
    return None


def _sheet_grid(book: Book, needed: Sequence[str]) -> Grid | None:
    def has(row: list[str]) -> bool:
        return set(needed) <= {plain(text) for text in row}

    found = book.with_header(has)
    if not found:
        return None
    sheet = found[0]
    records = (
        Row(n + 1, texts, [], _places(n + 1, texts)) for n, texts in _rows(sheet, sheet.start(has) or 0)
    )
    others = tuple(other.name for other in book.sheets if other is not sheet and any(other.texts))
    made = _made(sheet.source, records, needed)
    return None if made is None else Grid(made.source, made.columns, made.records, others)


def _rows(sheet: Sheet, start: int) -> Iterator[tuple[int, list[str]]]:
    for number in range(start, len(sheet.texts)):
        if any(sheet.texts[number]):
            yield number, sheet.texts[number]


def _places(line: int, texts: list[str]) -> list[Position]:
    return [(line, column + 1) for column in range(max(len(texts), 40) + 1)]


def _made(source: Source, found: Iterator[Row], needed: Sequence[str]) -> Grid | None:
    header = next(found, None)
    if header is None:
        return None
    columns: dict[str, int] = {}
    for index, cell in enumerate(header.cells):
        if cell:
            columns.setdefault(plain(cell), index)
    if not set(needed) <= columns.keys():
        return None
    return Grid(source, columns, [Record(row, columns) for row in found])


def plain(header: str) -> str:
    return "".join(header.lower().split()).replace(".", "").replace("_", "")


__all__ = ["Grid", "Record", "Unreadable", "grid", "is_excel", "plain"]

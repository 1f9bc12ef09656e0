"""A CSV file as rows of cells, each with its line and column. The csv module of Python tells neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.config.located import Position

SEPARATORS = ",;\t"


@dataclass(slots=True)
class Row:
    """One record. ``cells`` are unquoted and stripped. ``open_quote``: where a quote opens that
    never closes."""

    line: int
    cells: list[str]
    _raw: list[str]
    _places: list[Position] | None = None
    open_quote: Position | None = None

    def position(self, index: int) -> Position:
        """Where cell ``index`` begins; beyond the last cell, behind the end of the row."""
        if self._places is not None:
            return self._places[min(index, len(self._places) - 1)]
        column = 1 + sum(len(raw) + 1 for raw in self._raw[:index])
        if index >= len(self._raw):
            return self.line, column - 1
        raw = self._raw[index]
        return self.line, column + (len(raw) - len(raw.lstrip()) if raw.strip() else 0)


def separator(line: str) -> str:
    """The one that occurs most often outside quotes in the header; a comma when there is none."""
    outside = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=lambda mark: (outside.count(mark), mark == ","))


def rows(lines: list[str], mark: str, start: int) -> Iterator[Row]:
    """Records from line ``start`` (from 0) on; empty ones and comments (``#``) are left out."""
    number = start
    while number < len(lines):
        line = lines[number]
        if '"' in line:
            row, used = _quoted(lines, number, mark)
        else:
            raw = line.split(mark)
            row, used = Row(number + 1, [cell.strip() for cell in raw], raw), 1
        number += used
        if any(row.cells) and not row.cells[0].startswith("#"):
            yield row


def _quoted(lines: list[str], number: int, mark: str) -> tuple[Row, int]:
    """A record with at least one quote; quoted cells may hold separators, doubled quotes and line breaks."""
    reader = _Reader(lines, number, mark)
    cells = []
    places = []
    while True:
        reader.skip_blanks()
        places.append(reader.position)
        cells.append(reader.cell())
        if reader.at_end():
            break
        reader.column += 1
    places.append(reader.position)
    row = Row(number + 1, cells, [], places, reader.open_quote)
    return row, reader.number - number + 1


class _Reader:
    """Walks over one record."""

    def __init__(self, lines: list[str], number: int, mark: str) -> None:
        self.lines = lines
        self.number = number
        self.column = 0
        self.mark = mark
        self.open_quote: Position | None = None

    @property
    def position(self) -> Position:
        return self.number + 1, self.column + 1

    def at_end(self) -> bool:
        return self.column >= len(self.lines[self.number])

    def skip_blanks(self) -> None:
        line = self.lines[self.number]
        while self.column < len(line) and line[self.column] == " " and self.mark != " ":
            self.column += 1

    def cell(self) -> str:
        """One cell; the reader then stands on the separator or at the end."""
        line = self.lines[self.number]
        text = ""
        if line.startswith('"', self.column):
            text = self._inside()
            line = self.lines[self.number]
        end = line.find(self.mark, self.column)
        end = len(line) if end < 0 else end
        text += line[self.column : end]
        self.column = end
        return text.strip()

    def _inside(self) -> str:
        """From an opening quote to behind the closing one. A quote that never closes ends with its line."""
        start, first = self.position, (self.number, self.column)
        text: list[str] = []
        self.column += 1
        while True:
            line = self.lines[self.number]
            end = line.find('"', self.column)
            if end < 0:
                text.append(line[self.column :] + "\n")
                if self.number + 1 >= len(self.lines):
                    self.open_quote = start
                    self.number, self.column = first[0], len(self.lines[first[0]])
                    return self.lines[first[0]][first[1] + 1 :]
                self.number, self.column = self.number + 1, 0
            elif line.startswith('""', end):
                text.append(line[self.column : end + 1])
                self.column = end + 2
            else:
                text.append(line[self.column : end])
                self.column = end + 1
                return "".join(text)

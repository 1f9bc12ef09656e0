"""The tag table of a device as far as no driver is needed to read it: columns, rows, names, numbers. Every
mistake at its cell; ``tags`` makes tags of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.config import catalogue as c
from edge_agent.config.cells import Row, rows, separator
from edge_agent.config.columns import (
    COLUMNS,
    LIMITS,
    NO,
    NUMBERS,
    REQUIRED,
    YES,
    column_of,
    headers,
    read_number,
    spreadsheet_damage,
    undamaged,
)  # fmt: skip
from edge_agent.config.kinds import plain_type
from edge_agent.config.lint import full_width_in
from edge_agent.config.located import Collector, Position, Source
from edge_agent.config.shapes import is_name, is_tag_name, name_guess
from edge_agent.config.sources import Decoded
from edge_agent.config.suggest import hint, listed, nearest, said
from edge_agent.settings import Text

_DAMAGE = {
    "scientific": Text("scientific notation", "科学计数法"),
    "decimal": Text("a decimal number", "带小数的数字"),
    "date": Text("a date", "日期"),
}


@dataclass(slots=True)
class TagRow:
    """One row. ``group`` is empty where the table leaves it open; ``numbers``: by column, as far as given.
    ``sound``: nothing is wrong with name, address, group, metric, numbers and quantity."""

    name: str
    address: str
    group: str
    metric: bool
    numbers: dict[str, float]
    sound: bool
    row: Row
    quantity: str = ""

    @property
    def limits(self) -> dict[str, float]:
        return {column: number for column, number in self.numbers.items() if column in LIMITS}


@dataclass(slots=True)
class Table:
    """``rows``: in the order of the file, also those with mistakes. ``names``: the rows by name."""

    source: Source
    columns: dict[str, int] = field(default_factory=dict)
    rows: list[TagRow] = field(default_factory=list)
    names: dict[str, Row] = field(default_factory=dict)
    usable: bool = True

    def cell(self, row: Row, column: str) -> str:
        """Empty where the table has no such column, or the row ends before it."""
        index = self.columns.get(column)
        return row.cells[index] if index is not None and index < len(row.cells) else ""

    def named(self, tag: str) -> Row | None:
        """The row of a tag; of an array's element, the row of the array."""
        return self.names.get(tag) or self.names.get(array_of(tag))

    def position(self, tag: str, column: object = "name") -> Position:
        """Where a cell of a tag stands; its name cell where that column is absent."""
        row = self.named(tag)
        if row is None:
            return 1, 1
        index = self.columns.get(str(column), self.columns.get("name", 0))
        return row.position(index)

    def within(self, row: Row, column: str, text: str) -> Position:
        """Where ``text`` stands in a cell; where the cell begins if it is not written there as such."""
        line, start = row.position(self.columns[column])
        if self.source.sheet:
            return line, start
        at = self.source.lines[line - 1].find(text, start - 1)
        return line, at + 1 if at >= 0 else start


def array_of(tag: str) -> str:
    """``zone[3]`` -> ``zone``; any other name unchanged."""
    return tag.partition("[")[0]


def read_table(source: Source, decoded: Decoded, collector: Collector) -> Table:
    """Reads a whole table; never stops at the first mistake."""
    table = Table(source)
    if decoded.text is None or decoded.text.startswith("PK\x03\x04") or "\0" in decoded.text:
        what = Text("an Excel workbook", "Excel 工作簿")
        if decoded.text is None or not decoded.text.startswith("PK"):
            what = Text("something else", "其他内容")
        collector.add(source, (1, 1), c.NOT_CSV, what=what)
        table.usable = False
        return table
    if decoded.encoding != "UTF-8":
        collector.add(source, (1, 1), c.W_GBK, encoding=decoded.encoding)
    return _Reader(table, collector).read()


def read_records(table: Table, records: Iterator[Row], collector: Collector) -> Table:
    """A table of which somebody else has made rows; the first is the header."""
    return _Reader(table, collector).records(records, "")


class _Reader:
    """One pass over one table."""

    def __init__(self, table: Table, collector: Collector) -> None:
        self.table = table
        self.source = table.source
        self.collector = collector
        self.width = 0

    def read(self) -> Table:
        lines = self.source.lines
        start = next((n for n, line in enumerate(lines) if is_header_line(line)), None)
        if start is None:
            return self.records(iter(()), "")
        mark = separator(lines[start])
        return self.records(rows(lines, mark, start), mark)

    def records(self, records: Iterator[Row], mark: str) -> Table:
        """The first record is the header."""
        header = next(records, None)
        if header is None:
            self._add((1, 1), c.EMPTY_TABLE, what=Text("header", "表头"))
        if header is None or not self._header(header, mark):
            self.table.usable = False
            return self.table
        for row in records:
            self._row(row)
        if not self.table.names:
            self._add((header.line, 1), c.EMPTY_TABLE, what=Text("tags", "点"))
        return self.table

    def _header(self, header: Row, mark: str) -> bool:
        if mark == "," and len(header.cells) == 1 and "，" in header.cells[0]:
            at = self.source.lines[header.line - 1].index("，") + 1
            self._add((header.line, at), c.FULL_WIDTH, found="，", wanted=",")
            return False
        for index, cell in enumerate(header.cells):
            if cell:
                self._column(cell, index, header)
        missing = [name for name in REQUIRED if name not in self.table.columns]
        strange = {nearest(cell, headers()) for cell in header.cells if cell and not column_of(cell)}
        for name in missing:
            if not strange & {name, *COLUMNS[name]}:
                self._add((header.line, 1), c.MISSING_COLUMN, column=name)
        self.width = len(header.cells)
        return not missing

    def _column(self, cell: str, index: int, header: Row) -> None:
        column = column_of(cell)
        if column is None:
            known = listed(COLUMNS)
            self._add(
                header.position(index), c.UNKNOWN_COLUMN, column=cell, known=known, hint=hint(cell, headers())
            )
        elif column in self.table.columns:
            self._add(header.position(index), c.DUPLICATE_COLUMN, column=column)
        else:
            self.table.columns[column] = index

    # --- one row -------------------------------------------------------------------------------------------

    def _row(self, row: Row) -> None:
        if row.open_quote:
            self._add(row.open_quote, c.OPEN_QUOTE)
        if row.open_quote or not self._shape(row):
            self.table.names.setdefault(self._cell(row, "name"), row)
            return
        name = self._name(row)
        address = self._address(row, name)
        if not self._cell(row, "type"):
            self._at(row, "type", name, c.EMPTY_CELL, column="type")
        numbers = self._numbers(row, name)
        group = self._named(row, "group", name)
        metric = self._metric(row, name)
        quantity = self._named(row, "quantity", name)
        sound = bool(name) and None not in (address, numbers, group, metric, quantity)
        self.table.rows.append(
            TagRow(name, address or "", group or "", bool(metric), numbers or {}, sound, row, quantity or "")
        )

    def _shape(self, row: Row) -> bool:
        """Not more cells than columns; a full-width comma may be why there are too few."""
        shifted = len(row.cells) > self.width and any(
            read_number(self._cell(row, column) or "0") is None for column in NUMBERS
        )
        if shifted or any(row.cells[self.width :]):
            wanted = {"found": len(row.cells), "wanted": self.width}
            self._add(row.position(self.width), c.EXTRA_CELL, **wanted)
            return False
        line = self.source.lines[row.line - 1]
        if len(row.cells) < len(REQUIRED) and "，" in line:
            self._add((row.line, line.index("，") + 1), c.FULL_WIDTH, found="，", wanted=",")
            return False
        return True

    def _name(self, row: Row) -> str:
        name = self._cell(row, "name")
        if not name:
            self._at(row, "name", "", c.EMPTY_CELL, column="name")
        elif not is_tag_name(name):
            self._at(row, "name", name, c.BAD_NAME, name=name, guess=name_guess(name))
        elif name in self.table.names:
            self._at(row, "name", name, c.DUPLICATE_TAG, name=name, line=self.table.names[name].line)
            return ""
        else:
            self.table.names[name] = row
            return name
        return ""

    def _address(self, row: Row, name: str) -> str | None:
        address = self._cell(row, "address")
        if not address:
            self._at(row, "address", name, c.EMPTY_CELL, column="address")
            return None
        damage = spreadsheet_damage(address, bit=plain_type(self._cell(row, "type")) == "bool")
        if damage:
            meant = undamaged(address)
            guess = Text(f" ({meant}?)", f"（{meant}？）") if meant else ""
            self._at(row, "address", name, c.EXCEL_ADDRESS, found=address, what=_DAMAGE[damage], guess=guess)
            return None
        return address

    def _numbers(self, row: Row, name: str) -> dict[str, float] | None:
        numbers: dict[str, float] = {}
        sound = True
        for column in NUMBERS:
            text = self._cell(row, column) if column in self.table.columns else ""
            if not text:
                continue
            number = read_number(text)
            if number is None:
                self._bad_number(row, column, name, text)
                sound = False
            else:
                numbers[column] = number
        return numbers if sound else None

    def _bad_number(self, row: Row, column: str, name: str, text: str) -> None:
        wide = full_width_in(text)
        if wide:
            self._add(self.table.within(row, column, wide[1]), c.FULL_WIDTH, found=wide[1], wanted=wide[2])
            return
        point = text.replace(",", ".")
        guess = point if point != text and read_number(point) is not None else None
        self._at(row, column, name, c.BAD_NUMBER, found=text, column=column, hint=said(guess))

    def _named(self, row: Row, column: str, tag: str) -> str | None:
        """A cell that holds a name or nothing."""
        found = self._cell(row, column)
        if found and not is_name(found):
            self._at(row, column, tag, c.BAD_NAME, name=found, guess=name_guess(found))
            return None
        return found

    def _metric(self, row: Row, name: str) -> bool | None:
        text = self._cell(row, "metric")
        if text.lower() in YES or text.lower() in NO:
            return text.lower() in YES
        self._at(row, "metric", name, c.BAD_YES_NO, found=text, column="metric")
        return None

    def _cell(self, row: Row, column: str) -> str:
        return self.table.cell(row, column)

    def _at(self, row: Row, column: str, tag: str, entry: c.Entry, /, **values: object) -> None:
        index = self.table.columns[column]
        self.collector.add(self.source, row.position(index), entry, ("tags", tag, column), **values)

    def _add(self, at: Position, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(self.source, at, entry, ("tags",), **values)


def is_header_line(line: str) -> bool:
    """Not blank, no comment, not Excel's ``sep=;`` line."""
    return bool(line.strip(" \t,;")) and not line.startswith("#") and not line.lower().startswith("sep=")

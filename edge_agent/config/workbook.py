"""A tag table that is an Excel workbook: its sheet as rows of texts, and what Excel does to cells on the way.

Numbers come as Excel shows them (15 digits), so that ``0.1`` is ``0.1``. What cannot be told from a cell
(a date where an address belongs, a formula nobody has calculated) is reported at ``file!sheet!cell``, never
guessed.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from edge_agent.config import catalogue as c
from edge_agent.config.cells import Row
from edge_agent.config.columns import REQUIRED, column_of
from edge_agent.config.located import Collector, Source, cell_name
from edge_agent.config.table import Table, read_records
from edge_agent.settings import Text

_UNPACKED_MAX = 100_000_000  # bytes: a workbook is a zip, and a small one may unpack to very much
_CELLS_MAX = 2_000_000
_HEADER_WITHIN = 20  # rows: a title above the header is common
_OLD_FORMAT = b"\xd0\xcf\x11\xe0"  # .xls, and .xlsx with a password
_ZIP = b"PK\x03\x04"


class Unreadable(Exception):
    """Not a workbook, or none that can be read here. ``entry``, ``values``: what to report."""

    def __init__(self, entry: c.Entry, **values: object) -> None:
        super().__init__(entry.code)
        self.entry = entry
        self.values = values


def is_workbook(name: str) -> bool:
    return name.lower().endswith((".xlsx", ".xlsm"))


def read_workbook(name: str, data: bytes, collector: Collector, sheet: str = "") -> Table:
    """The tag table in a workbook; never stops at the first mistake. ``sheet``: the one to prefer."""
    try:
        book = Book(name, data)
    except Unreadable as error:
        collector.add(Source(name, ""), (1, 1), error.entry, ("tags",), **error.values)
        return Table(Source(name, ""), usable=False)
    found = book.with_header(_is_header)
    chosen = next((entry for entry in found if entry.name == sheet), found[0] if found else book.sheets[0])
    for other in found:
        if other is not chosen and not sheet:
            values = {"sheet": other.name, "used": chosen.name}
            collector.add(chosen.source, (1, 1), c.W_OTHER_SHEET, ("tags", other.name), **values)
    table = Table(chosen.source)
    before = chosen.start(_is_header) or 0
    reader = _Cells(chosen, table, collector)
    return read_records(table, reader.records(before), collector)


class Book:
    """Every visible sheet of a workbook. Raises Unreadable."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        with_formulas = _load(name, data, values=False)
        sheets = [sheet for sheet in with_formulas.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            if sheet.max_row * sheet.max_column > _CELLS_MAX:
                reason = Text(
                    f"sheet '{sheet.title}' reaches down to row {sheet.max_row}; delete the empty rows below",
                    f"工作表 '{sheet.title}' 一直到第 {sheet.max_row} 行，请删除下面的空行",
                )
                raise Unreadable(c.BAD_WORKBOOK, name=name, reason=reason)
        has_formulas = any(
            cell.data_type == "f" for sheet in sheets for row in sheet.iter_rows() for cell in row
        )
        values = _load(name, data, values=True) if has_formulas else with_formulas
        if not sheets:
            raise Unreadable(
                c.BAD_WORKBOOK, name=name, reason=Text("it has no visible sheet", "没有可见的工作表")
            )
        self.sheets = [Sheet(name, sheet, values[sheet.title]) for sheet in sheets]

    def with_header(self, is_header: Any) -> list[Sheet]:
        return [sheet for sheet in self.sheets if sheet.start(is_header) is not None]


class Sheet:
    """``texts``: every row as it would stand in a CSV file, blank cells at the end left out."""

    def __init__(self, file: str, sheet: Any, values: Any) -> None:
        self.name: str = sheet.title
        self.cells = [list(row) for row in sheet.iter_rows()]
        self.results = [list(row) for row in values.iter_rows()] if values is not sheet else self.cells
        self.merged = [str(one) for one in sheet.merged_cells.ranges]
        self.spans = [
            (one.min_row, one.min_col, one.max_row, one.max_col) for one in sheet.merged_cells.ranges
        ]
        self.hidden = [number for number, row in sheet.row_dimensions.items() if row.hidden]
        self.texts = [_stripped([text_of(cell) for cell in row]) for row in self.results]
        shown = [" | ".join(" ".join(text.split()) for text in row) for row in self.texts]
        self.source = Source(file, "\n".join(shown), self.name)

    def start(self, is_header: Any) -> int | None:
        """The row of the header, from 0."""
        for number, row in enumerate(self.texts[:_HEADER_WITHIN]):
            if is_header(row):
                return number
        return None


class _Cells:
    """Rows of a sheet as records of a table; what Excel did to them is reported."""

    def __init__(self, sheet: Sheet, table: Table, collector: Collector) -> None:
        self.sheet = sheet
        self.table = table
        self.collector = collector

    def records(self, start: int) -> Iterator[Row]:
        self._merged(start)
        width = 0
        read: set[int] = set()
        for number in range(start, len(self.sheet.texts)):
            texts = self.sheet.texts[number]
            if not any(texts) or texts[0].startswith("#"):
                if number == start:
                    return
                continue
            if number == start:
                width = len(texts)
            else:
                self._accidents(number, width)
            read.add(number + 1)
            line = number + 1
            places = [(line, column + 1) for column in range(max(len(texts), width) + 1)]
            yield Row(line, texts, [], places)
        hidden = sorted(read.intersection(self.sheet.hidden))
        if hidden:
            self.collector.add(
                self.table.source, (hidden[0], 1), c.W_HIDDEN, ("tags",), count=len(hidden), row=hidden[0]
            )

    def _merged(self, start: int) -> None:
        for name, (row, column, last_row, _) in zip(self.sheet.merged, self.sheet.spans, strict=True):
            if last_row > start + 1:
                self.collector.add(self.table.source, (row, column), c.MERGED, ("tags", name), found=name)

    def _accidents(self, number: int, width: int) -> None:
        by_index = {index: column for column, index in self.table.columns.items()}
        for index, cell in enumerate(self.sheet.cells[number][:width]):
            if index in by_index and cell.value is not None:
                self._accident(by_index[index], cell, self.sheet.results[number][index])

    def _accident(self, column: str, cell: Any, result: Any) -> None:
        place = (cell.row, cell.column)
        path = ("tags", cell_name(*place), column)
        if cell.data_type == "f" and result.value is None:
            self.collector.add(self.table.source, place, c.NO_RESULT, path, found=str(cell.value)[:60])
        elif (
            column == "address"
            and isinstance(result.value, (int, float))
            and not isinstance(result.value, bool)
        ):
            self._address(result, place, path)
        elif what := _foreign(column, result):
            found = str(result.value)[:40]
            guess = Text("", "")
            self.collector.add(
                self.table.source, place, c.BAD_CELL, path, what=what, found=found, guess=guess
            )

    def _address(self, cell: Any, place: tuple[int, int], path: tuple[str | int, ...]) -> None:
        """A number where an address belongs: 40001 is fine, what Excel made of ``000001`` or ``1E5`` not."""
        value, shape = cell.value, str(cell.number_format)
        what = None
        if "E+" in shape.upper():
            what = Text("scientific notation", "科学计数法")
        elif float(value) < 10_000 and not re.fullmatch(r"0+", shape):
            what = Text("leading zeros are lost", "前面的 0 丢失")
        if what is not None:
            values = {"found": text_of(cell), "what": what, "guess": Text("", "")}
            self.collector.add(self.table.source, place, c.EXCEL_ADDRESS, path, **values)


def text_of(cell: Any) -> str:
    """What a cell says, as text: what Excel shows where that is exact, and dates in ISO form."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value).zfill(_zeros(cell))
    if isinstance(value, float):
        return (
            f"{value:.15g}".zfill(_zeros(cell))
            if value.is_integer() and abs(value) < 1e15
            else f"{value:.15g}"
        )
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    return str(value).strip()


def _zeros(cell: Any) -> int:
    """The digits of a number format such as ``000000``: there the leading zeros are what the cell says."""
    shape = str(cell.number_format)
    return len(shape) if re.fullmatch(r"0{2,10}", shape) else 0


def _foreign(column: str, cell: Any) -> Text | None:
    """What a cell holds that no tag table has a use for."""
    if cell.data_type == "e":
        return Text("an error", "错误值")
    if isinstance(cell.value, (dt.datetime, dt.date, dt.time, dt.timedelta)):
        return Text("a date or time", "日期或时间")
    if isinstance(cell.value, bool) and column != "metric":
        return Text("a truth value", "逻辑值")
    return None


def _is_header(row: list[str]) -> bool:
    return set(REQUIRED) <= {column_of(text) for text in row if text}


def _stripped(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row.pop()
    return row


def _load(name: str, data: bytes, *, values: bool) -> Any:
    if data.startswith(_OLD_FORMAT):
        reason = Text("it is in the old format (.xls), or has a password", "是旧格式(.xls)，或设有密码")
        raise Unreadable(c.BAD_WORKBOOK, name=name, reason=reason)
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError:
        raise Unreadable(c.NO_OPENPYXL, name=name) from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            unpacked = sum(part.file_size for part in packed.infolist())
        if unpacked > _UNPACKED_MAX:
            reason = Text(f"it unpacks to {unpacked} bytes", f"解压后有 {unpacked} 字节")
            raise Unreadable(c.BAD_WORKBOOK, name=name, reason=reason)
        return openpyxl.load_workbook(io.BytesIO(data), data_only=values)
    except Unreadable:
        raise
    except Exception as error:  # a damaged file makes the library raise nearly anything
        reason = Text(f"it is damaged ({type(error).__name__})", f"文件已损坏（{type(error).__name__}）")
        raise Unreadable(c.BAD_WORKBOOK, name=name, reason=reason) from error

"""What an importer gives: rows of a tag table, and everything it could not take over, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.config import catalogue as c
from edge_agent.config.fields import is_tag_name
from edge_agent.config.located import Collector, Located, Position, Source
from edge_agent.settings import Text

_MOST = 100  # characters of a name
EDIT = Text(
    "Add it by hand in Lineside's own table if it is needed.", "如确需采集，请在本系统的点表中手工添加。"
)


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """``cells``: by canonical column; a column that is absent says nothing, an empty text says "none".
    ``group``, ``period_s``: the poll group of the other tool, for which the device's ``poll`` has to have a
    place. ``station``: the unit of a Modbus bus it belongs to, where the tool says that per tag."""

    cells: Mapping[str, str]
    at: Position
    columns: Mapping[str, int] = field(default_factory=dict)
    group: str = ""
    period_s: float | None = None
    station: int | None = None

    @property
    def name(self) -> str:
        return self.cells["name"]

    def place(self, column: str) -> Position:
        """Where a cell came from; where the row begins, for a column the file does not have."""
        return self.at[0], self.columns.get(column, self.at[1])


@dataclass(frozen=True, slots=True)
class Imported:
    """``tool``: whose export it was. ``problems``: mistakes (nothing can be applied then) and warnings: what
    is not taken over, with its reason."""

    tool: str
    rows: tuple[ImportedRow, ...]
    problems: tuple[Located, ...]
    source: Source

    @property
    def broken(self) -> bool:
        return any(not problem.warning for problem in self.problems)


class Intake:
    """Takes up rows in the order of the file, gives every one a permitted name, and keeps what is said."""

    def __init__(self, tool: str, source: Source) -> None:
        self.tool = tool
        self.source = source
        self.collector = Collector()
        self.rows: list[ImportedRow] = []
        self._names: dict[tuple[int | None, str], str] = {}  # station and name here -> as the tool calls it

    def add(self, original: str, row: ImportedRow) -> None:
        """``row.cells["name"]`` is made of ``original``."""
        name = self._name(original, row)
        if name is not None:
            filled = {column: text for column, text in row.cells.items() if text or column != "name"}
            cells = {"name": name} | {column: text for column, text in filled.items() if column != "name"}
            self.rows.append(ImportedRow(cells, row.at, row.columns, row.group, row.period_s, row.station))

    def refuse(self, name: str, at: Position, reason: Text, cure: Text = EDIT) -> None:
        """This tag is not imported."""
        path = ("tags", name)
        self.collector.add(self.source, at, c.W_NOT_IMPORTED, path, name=name, reason=reason, cure=cure)

    def leave(self, name: str, at: Position, what: Text, reason: Text, cure: Text = EDIT) -> None:
        """The tag is imported, something of it is not."""
        values = {"name": name, "what": what, "reason": reason, "cure": cure}
        self.collector.add(self.source, at, c.W_LEFT_OUT, ("tags", name, what.en), **values)

    def note(self, at: Position, what: Text, cure: Text) -> None:
        self.collector.add(self.source, at, c.W_NOTE, ("tags", what.en), what=what, cure=cure)

    def not_read(self, sheets: Sequence[str]) -> None:
        """Sheets of the workbook that hold no tags."""
        if sheets:
            listed = ", ".join(sheets)
            what = Text(f"not read: {listed}", f"未读取工作表：{listed}")
            cure = Text("Only the sheet with the tags is imported.", "只导入点表所在的工作表。")
            self.note((1, 1), what, cure)

    def wrong(self, at: Position, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(self.source, at, entry, ("tags",), **values)

    def done(self) -> Imported:
        return Imported(self.tool, tuple(self.rows), self.collector.all(), self.source)

    def _name(self, original: str, row: ImportedRow) -> str | None:
        at, station = row.at, row.station
        if not original:
            self.refuse("", at, Text("it has no name", "没有名称"))
            return None
        name = tag_name(original)
        if self._names.get((station, name)) == original:
            reason = Text("a tag of this name stands further up in the file", "文件前面已有同名的点")
            self.refuse(original, at, reason)
            return None
        for candidate in _candidates(name):
            if (station, candidate) not in self._names:
                name = candidate
                break
        self._names[station, name] = original
        if name != re.sub(r"[/\\]+", ".", original):  # folders as dots need no word
            self.collector.add(self.source, at, c.W_RENAMED, ("tags", name), found=original, name=name)
        return name


def tag_name(original: str) -> str:
    """A permitted name of a tag: folders become dots, everything else that is not permitted ``_``."""
    name = re.sub(r"[/\\]+", ".", original.strip())
    name = re.sub(r"[^\w.-]+", "_", name).strip("_.-")[:_MOST]
    return name if is_tag_name(name) else f"tag_{name}"[:_MOST]


def _candidates(name: str) -> Iterator[str]:
    yield name
    for number in range(2, 10_000):
        end = f"_{number}"
        yield name[: _MOST - len(end)] + end


def number_text(number: float) -> str:
    """``10.0`` -> ``10``, and the shortest text that reads back as the same number."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)

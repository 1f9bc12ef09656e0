"""A mistake with its place in a file, and how it is shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.config.catalogue import BAD_CELL, BAD_TAG, EXCEL_ADDRESS, NO_RESULT, RESERVED_START, Entry
from edge_agent.errors import ConfigurationError
from edge_agent.settings import Problem

Path = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, both counted from 1, in characters."""

_SHOWN = 100
_EXPLAINING = frozenset(entry.code for entry in (RESERVED_START, BAD_TAG, BAD_CELL, EXCEL_ADDRESS, NO_RESULT))
"""Mistakes that leave no value: what else would be said of that place is their consequence."""
_SECRET_KEY = re.compile(
    r"pass(word|wd)?|pwd|token|secret|credential|api_?key|private_?key|sm4_?key|(?<![a-z])pw(?![a-z])",
    re.IGNORECASE,
)
_SECRET_NAME = rf"[\"']?\w*(?:{_SECRET_KEY.pattern})\w*[\"']?\s*[:：]\s*"
_SECRET_LINE = re.compile(rf"^([\s-]*{_SECRET_NAME})(?!\s*!secret\b)\S.*$", re.IGNORECASE)
_SECRET_IN_BRACES = re.compile(
    rf"([{{,]\s*{_SECRET_NAME})(?!\s*!secret\b)(?:\"[^\"]*\"|'[^']*'|[^,}}\s][^,}}]*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Located(Problem):
    """A problem with its place: ``file`` relative to the configuration directory, ``line`` and ``column``
    from 1 in characters. ``source_line``: that line as written, inline secrets masked. ``sheet``: of a
    workbook, whose line and column are those of a cell."""

    file: str
    line: int
    column: int
    source_line: str = ""
    sheet: str = ""

    @property
    def place(self) -> str:
        if self.sheet:
            return f"{self.file}!{self.sheet}!{cell_name(self.line, self.column)}"
        return f"{self.file}:{self.line}:{self.column}"

    def render(self, language: str) -> str:
        """Several lines for a terminal: place, code and cause; the source line and a caret; the cure."""
        lines = [f"{self.place}: {self.code} {self.message.say(language)}"]
        if self.source_line.strip():
            shown, column = _excerpt(self.source_line, 1 if self.sheet else self.column)
            lines.append(f"    {shown}")
            if not self.sheet:
                lines.append(f"    {_padding(shown[: column - 1])}^")
        lines.append(f"    {self.cure.say(language)}")
        return "\n".join(lines)

    def as_dict(self, language: str) -> dict[str, Any]:
        """JSON-able plain data for ``--json``."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "warning": self.warning,
            "path": list(self.path),
            "message": self.message.say(language),
            "cure": self.cure.say(language),
            "source_line": self.source_line,
        } | ({"sheet": self.sheet, "cell": cell_name(self.line, self.column)} if self.sheet else {})


def places_of(error: ConfigurationError) -> tuple[Located, ...]:
    """The problems of an error that ``load`` raised, with their places."""
    return tuple(problem for problem in error.problems if isinstance(problem, Located))


class Source:
    """The text of one file, for showing lines of it. Of the sheet of a workbook, the lines are its rows."""

    __slots__ = ("lines", "name", "sheet")

    def __init__(self, name: str, text: str, sheet: str = "") -> None:
        self.name = name
        self.lines = split_lines(text)
        self.sheet = sheet

    def row(self, number: int) -> str:
        """``file:line`` of a line, ``file!sheet!row`` of a row."""
        return f"{self.name}!{self.sheet}!{number}" if self.sheet else f"{self.name}:{number}"

    def line(self, number: int) -> str:
        """Line ``number`` (from 1) with an inline secret masked; empty beyond the end."""
        if not 1 <= number <= len(self.lines):
            return ""
        shown = _SECRET_LINE.sub(r"\1***", self.lines[number - 1])
        return _SECRET_IN_BRACES.sub(r"\1***", shown)


class Collector:
    """Takes up mistakes while files are read; never stops at the first."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int, str, Path], Located] = {}
        self._explained: set[tuple[str, int, int]] = set()

    def add(
        self,
        source: Source,
        position: Position,
        entry: Entry,
        path: Sequence[str | int] = (),
        /,
        **values: object,
    ) -> None:
        message, cure = entry.texts(values)
        self.take(source, position, Problem(entry.code, tuple(path), message, cure, entry.warning))

    def take(self, source: Source, position: Position, problem: Problem) -> None:
        """Places a problem. The same code about the same thing at the same place counts once."""
        line, column = position
        if (source.name, line, column) in self._explained:
            return
        if problem.code in _EXPLAINING:
            self._explained.add((source.name, line, column))
        found = Located(
            problem.code, problem.path, problem.message, problem.cure, problem.warning,
            file=source.name, line=line, column=column, source_line=source.line(line), sheet=source.sheet,
        )  # fmt: skip
        self._found.setdefault((source.name, line, column, problem.code, tuple(problem.path)), found)

    def has_errors(self, file: str | None = None) -> bool:
        return any(not p.warning and file in (None, p.file) for p in self._found.values())

    def has_error_at(self, file: str, position: Position) -> bool:
        return any(
            not p.warning and (p.file, p.line, p.column) == (file, *position) for p in self._found.values()
        )

    def all(self) -> tuple[Located, ...]:
        return sort(self._found.values())


def sort(problems: Iterable[Located]) -> tuple[Located, ...]:
    """By file (edge-agent.yaml first), line and column."""
    return tuple(sorted(problems, key=lambda p: ("/" in p.file, p.file, p.line, p.column, p.code)))


def is_secret_key(key: object) -> bool:
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def cell_name(row: int, column: int) -> str:
    """``B7``: how a spreadsheet calls the cell of a row and a column, both counted from 1."""
    letters = ""
    while column > 0:
        column, place = divmod(column - 1, 26)
        letters = chr(65 + place) + letters
    return f"{letters}{row}"


_BREAK = re.compile("\r\n|[\r\n]")


def split_lines(text: str) -> list[str]:
    """Lines as editors count them; unlike str.splitlines it does not break at form feeds and the like."""
    return _BREAK.split(text)


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """At most ``_SHOWN`` characters around the column, and the column in them."""
    if len(line) <= _SHOWN:
        return line, min(column, len(line) + 1)
    start = max(0, min(column - 1 - _SHOWN // 2, len(line) - _SHOWN))
    cut = line[start : start + _SHOWN]
    return (f"…{cut}", column - start + 1) if start else (f"{cut}…", column)


def _padding(text: str) -> str:
    """Blanks as wide on a terminal as ``text``: Chinese characters take two cells."""
    return "".join(
        "\t" if char == "\t" else "  " if unicodedata.east_asian_width(char) in "WF" else " " for char in text
    )

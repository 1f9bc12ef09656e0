"""Reads line protocol as InfluxDB does and refuses what it would refuse. Knows no agent code.

measurement[,tag=value...] field=value[,field=value...] [time_ns]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_INTEGER = re.compile(r"[+-]?[0-9]+i")
_UNSIGNED = re.compile(r"\+?[0-9]+u")
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUE, _FALSE = ("t", "T", "true", "True", "TRUE"), ("f", "F", "false", "False", "FALSE")
Field = bool | int | float | str


class BadLine(ValueError):
    """The text says what is wrong with which line."""


@dataclass(frozen=True, slots=True)
class Point:
    """``tags`` in order of their names; ``kinds``: boolean, integer, unsigned, float or string per field."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, Field]
    kinds: dict[str, str]
    time_ns: int

    @property
    def series(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.measurement, self.tags

    def tag(self, name: str) -> str:
        return dict(self.tags).get(name, "")


def parse(text: str, *, unsigned: bool = True, now_ns: int = 0) -> Iterator[Point | BadLine]:
    """One result per line; blank lines and comments are none. ``unsigned``: whether ``5u`` is understood."""
    for line in _lines(text):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield _Reader(line, unsigned).point(now_ns)
            except BadLine as error:
                yield BadLine(f"unable to parse '{line[:80]}': {error}")


def _lines(text: str) -> Iterator[str]:
    """At line ends outside of quotation marks. Those of fields count only: in names they are characters."""
    start, quoted, in_fields, index = 0, False, False, 0
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 2
            continue
        if char == '"' and in_fields:
            quoted = not quoted
        elif char == " " and not quoted:
            in_fields = True
        elif char == "\n" and not quoted:
            yield text[start:index]
            start, in_fields = index + 1, False
        index += 1
    if start < len(text):
        yield text[start:]


class _Reader:
    def __init__(self, line: str, unsigned: bool) -> None:
        self._line = line
        self._unsigned = unsigned
        self._at = 0

    def point(self, now_ns: int) -> Point:
        measurement = self._name(", ")
        if not measurement:
            raise BadLine("missing measurement")
        tags: dict[str, str] = {}
        while self._next() == ",":
            self._at += 1
            name = self._name("=, ")
            if not name or self._next() != "=":
                raise BadLine("missing tag value")
            self._at += 1
            value = self._name(", ", equals_too=True)
            if not value:
                raise BadLine("missing tag value")
            if name in tags or name == "time":
                raise BadLine(f"tag {name} stands twice, or is reserved")
            tags[name] = value
        fields, kinds = self._fields()
        stamp = self._line[self._at :].strip()
        if stamp and not re.fullmatch(r"-?[0-9]+", stamp):
            raise BadLine("bad timestamp")
        return Point(measurement, tuple(sorted(tags.items())), fields, kinds, int(stamp) if stamp else now_ns)

    def _fields(self) -> tuple[dict[str, Field], dict[str, str]]:
        fields: dict[str, Field] = {}
        kinds: dict[str, str] = {}
        if self._next() != " ":
            raise BadLine("missing fields")
        self._at += 1
        while True:
            name = self._name("=, ")
            if not name or self._next() != "=":
                raise BadLine("missing field value")
            self._at += 1
            if name in fields:
                raise BadLine(f"field {name} stands twice")
            kinds[name], fields[name] = self._value()
            if self._next() != ",":
                break
            self._at += 1
        if self._next() not in ("", " "):
            raise BadLine("bad field format")
        return fields, kinds

    def _value(self) -> tuple[str, Field]:
        if self._next() == '"':
            return "string", self._quoted()
        start = self._at
        while self._next() not in (",", " ", ""):
            self._at += 1
        word = self._line[start : self._at]
        if word in _TRUE or word in _FALSE:
            return "boolean", word in _TRUE
        if _INTEGER.fullmatch(word):
            return "integer", _within(int(word[:-1]), -(2**63), 2**63)
        if self._unsigned and _UNSIGNED.fullmatch(word):
            return "unsigned", _within(int(word[:-1]), 0, 2**64)
        if _FLOAT.fullmatch(word):
            return "float", float(word)
        raise BadLine("invalid number" if word else "missing field value")

    def _quoted(self) -> str:
        out = []
        self._at += 1
        while (char := self._next()) != '"':
            if not char:
                raise BadLine("unbalanced quotes")
            if char == "\\" and self._line[self._at + 1 : self._at + 2] in ('"', "\\"):
                self._at += 1
                char = self._next()
            out.append(char)
            self._at += 1
        self._at += 1
        return "".join(out)

    def _name(self, ends: str, *, equals_too: bool = False) -> str:
        """A backslash takes the meaning from a comma, an equals sign or a blank, and is itself otherwise."""
        out = []
        while (char := self._next()) and char not in ends:
            if char == "=" and equals_too:
                raise BadLine("an equals sign in a tag value")
            if char == "\\" and (after := self._line[self._at + 1 : self._at + 2]) and after in ",= ":
                self._at += 1
                char = after
            out.append(char)
            self._at += 1
        return "".join(out)

    def _next(self) -> str:
        return self._line[self._at : self._at + 1]


def _within(number: int, low: int, end: int) -> int:
    if not low <= number < end:
        raise BadLine("value out of range")
    return number

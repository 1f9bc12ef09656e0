"""Rows of a tag table -> tags, with the types of one driver. A table that several drivers share is read once
and made into tags for each of them; a mistake that all of them see is reported once."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.config import catalogue as c
from edge_agent.config.columns import RANGE
from edge_agent.config.kinds import Kind, Kinds, Mistake
from edge_agent.config.lint import full_width_in
from edge_agent.config.located import Collector
from edge_agent.config.meanings import bits_meant, holds, range_scaling, read_label, read_no_value
from edge_agent.config.suggest import hint, said
from edge_agent.config.table import Table, TagRow
from edge_agent.model import Scaling, Tag, ValueType
from edge_agent.settings import Text

LABEL_MAX = 100
_ENCODINGS = ("utf-8", "gbk", "gb18030", "big5", "ascii", "latin-1", "utf-16-le", "utf-16-be", "shift_jis")
_ENCODING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Made:
    """A tag of a row; of an array, the array itself and its number of elements. ``tag.group`` is the
    maker's where the table leaves it open."""

    row: TagRow
    tag: Tag
    elements: int | None


class TagMaker:
    """Makes tags of the rows of one table. Mistakes go to the collector."""

    def __init__(self, table: Table, kinds: Kinds, collector: Collector, group: str = "") -> None:
        self.table = table
        self.kinds = kinds
        self.collector = collector
        self.group = group
        self.encodings: dict[str, str] = {"": ""}
        self.failed = False  # the row in hand has a mistake

    def made(self) -> Iterator[Made]:
        """The tags of the rows without a mistake."""
        for row in self.table.rows:
            made = self._made(row)
            if made is not None and row.sound:
                yield made

    def _made(self, row: TagRow) -> Made | None:
        kind = self._kind(row)
        if kind is None:
            return None
        self.failed = False
        self._numbers_fit(row, kind.type)
        scaling = self._scaling(row)
        no_value = self._no_value(row, kind.type)
        labels = self._labels(row, kind.type)
        encoding = self._encoding(row, kind.type)
        if self.failed or encoding is None:
            return None
        tag = Tag(
            sys.intern(row.name), sys.intern(row.address), kind.type, row.group or self.group,
            self._cell(row, "unit"),
            self._cell(row, "description"), scaling, self._cell(row, "byte_order").upper(), kind.length,
            row.metric, kind.wire, encoding, no_value, labels,
        )  # fmt: skip
        return Made(row, tag, kind.elements)

    def _kind(self, row: TagRow) -> Kind | None:
        text = self._cell(row, "type")
        kind = self.kinds.read(text) if text else None  # an empty cell is reported with the row
        if isinstance(kind, Mistake):
            self._at(row, "type", kind.entry, **kind.values)
            return None
        return kind

    # --- numbers -------------------------------------------------------------------------------------------

    def _numbers_fit(self, row: TagRow, kind: ValueType) -> None:
        """Whether the numbers make sense for the type and with each other."""
        if not kind.is_numeric:
            for column in row.numbers:
                self._not_for(row, column, kind)
            return
        if not row.numbers:
            return
        if row.numbers.get("scale") == 0:
            self._at(row, "scale", c.ZERO_SCALE, tag=row.name)
        if row.numbers.get("deadband", 0.0) < 0:
            wanted = Text("at least 0", "不小于 0")
            found = self._cell(row, "deadband")
            self._at(row, "deadband", c.OUT_OF_RANGE, key="deadband", found=found, wanted=wanted)
        if "deadband" in row.numbers and not {"lolo", "low", "high", "hihi"} & row.numbers.keys():
            self._at(row, "deadband", c.DEADBAND_ALONE, tag=row.name)
        self._range_fits(row)

    def _range_fits(self, row: TagRow) -> None:
        given = [column for column in RANGE if column in row.numbers]
        if not given:
            return
        missing = [column for column in RANGE if not self._cell(row, column)]
        if missing:
            self._at(row, given[0], c.RANGE_PART, tag=row.name, missing=", ".join(missing))
        for low, high in (RANGE[:2], RANGE[2:]):
            if low in given and row.numbers[low] == row.numbers.get(high):
                number = f"{row.numbers[low]:g}"
                self._at(row, low, c.RANGE_EMPTY, tag=row.name, low=low, high=high, number=number)
        for column in ("scale", "offset"):
            if column in row.numbers:
                self._at(row, column, c.RANGE_AND_SCALE, tag=row.name, column=column)

    def _scaling(self, row: TagRow) -> Scaling | None:
        """None for raw = engineering, so that an integer stays an integer."""
        numbers = row.numbers
        if not numbers:
            return None
        ends = [numbers[column] for column in RANGE if column in numbers]
        if len(ends) == len(RANGE) and ends[0] != ends[1]:
            scaling = range_scaling(*ends)
        else:
            scaling = Scaling(numbers.get("scale", 1.0), numbers.get("offset", 0.0))
        return None if scaling == Scaling() else scaling

    # --- meanings ------------------------------------------------------------------------------------------

    def _no_value(self, row: TagRow, kind: ValueType) -> tuple[int | float, ...]:
        text = self._cell(row, "no_value")
        if not text:
            return ()
        if not kind.is_numeric:
            self._not_for(row, "no_value", kind)
            return ()
        numbers: list[int | float] = []
        for part in filter(None, (part.strip() for part in text.split(";"))):
            number = read_no_value(part, kind)
            if number is not None:
                numbers.append(number)
            elif not self._full_width(row, "no_value", part):
                values = {"span": holds(kind), "hint": said(bits_meant(part, kind))}
                self._at(row, "no_value", c.BAD_NO_VALUE, found=part, type=kind, **values)
        return tuple(dict.fromkeys(numbers))

    def _labels(self, row: TagRow, kind: ValueType) -> tuple[tuple[int, str], ...]:
        text = self._cell(row, "labels")
        if not text:
            return ()
        if kind.is_float or kind is ValueType.STRING:
            self._not_for(row, "labels", kind)
            return ()
        labels: dict[int, str] = {}
        for part in filter(None, (part.strip() for part in text.split(";"))):
            pair = read_label(part)
            if pair is None or len(pair[1]) > LABEL_MAX:
                wide = next((mark for mark in "；＝" if mark in part), "")
                if not wide or not self._full_width(row, "labels", wide):
                    self._at(row, "labels", c.BAD_LABEL, found=part[:60], limit=LABEL_MAX)
            elif pair[0] in labels:
                self._at(row, "labels", c.DUPLICATE_LABEL, number=pair[0], tag=row.name)
            else:
                labels[pair[0]] = pair[1]
        return tuple(labels.items())

    def _encoding(self, row: TagRow, kind: ValueType) -> str | None:
        text = self._cell(row, "encoding")
        if text and kind is not ValueType.STRING:
            self._not_for(row, "encoding", kind)
            return None
        if text not in self.encodings:
            found = _codec(text)
            if found is None:
                self._at(row, "encoding", c.BAD_ENCODING, found=text, hint=hint(text, _ENCODINGS))
                return None
            self.encodings[text] = found
        return self.encodings[text]

    # --- reporting -----------------------------------------------------------------------------------------

    def _cell(self, row: TagRow, column: str) -> str:
        return self.table.cell(row.row, column)

    def _full_width(self, row: TagRow, column: str, text: str) -> bool:
        wide = full_width_in(text)
        if wide is None:
            return False
        at = self.table.within(row.row, column, wide[1])
        values = {"found": wide[1], "wanted": wide[2]}
        self.failed = True
        self.collector.add(self.table.source, at, c.FULL_WIDTH, ("tags",), **values)
        return True

    def _not_for(self, row: TagRow, column: str, kind: ValueType) -> None:
        self._at(row, column, c.SCALED_TEXT, tag=row.name, type=kind, column=column)

    def _at(self, row: TagRow, column: str, entry: c.Entry, /, **values: object) -> None:
        self.failed = True
        at = row.row.position(self.table.columns[column])
        self.collector.add(self.table.source, at, entry, ("tags", row.name, column), **values)


def _codec(name: str) -> str | None:
    """Python's name of a text encoding; None when it knows none of that name."""
    if not _ENCODING.fullmatch(name):
        return None
    try:
        "a".encode(name)
    except (LookupError, UnicodeError):
        return None
    return codecs.lookup(name).name

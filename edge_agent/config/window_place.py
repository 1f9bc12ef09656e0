"""Where a window stands in the files, and what is reported there."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.config.table import TagRow

Key = str | tuple[str, ...]
"""A key of the window, or the way to one inside a block: ``("high", "deadband")``."""


@dataclass(slots=True)
class Place:
    """The keys of a window in its device's file, or the cells of its tag in the table."""

    collector: Collector
    draft: Draft
    path: Path
    row: TagRow | None = None
    tag: str = ""

    @property
    def source(self) -> Source:
        if self.row is not None and self.draft.table is not None:
            return self.draft.table.source
        return self.draft.document.source

    def at(self, key: Key) -> Position:
        """Of the value; where the key is absent, of the block or cell it belongs to."""
        if self.row is not None and self.draft.table is not None:
            return self.draft.table.position(self.tag, key if isinstance(key, str) else key[0])
        return self.draft.document.value(self.full(key))

    def full(self, key: Key) -> Path:
        return (*self.path, key) if isinstance(key, str) else (*self.path, *key)

    def limit_key(self, kind: str) -> str:
        """The key that states a limit: its own, or the tolerance of the window."""
        stated = self.row is not None or self.draft.document.get(self.full(kind)) is not None
        return kind if stated else "tolerance"

    def line(self, key: Key) -> str:
        """``file:line``."""
        return self.source.row(self.at(key)[0])

    def add(self, key: Key, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(self.source, self.at(key), entry, self.full(key), **values)

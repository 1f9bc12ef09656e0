"""Which schemas each uplink selects, as sets of digests, so that a unit is judged without its schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from edge_agent.config.selection import Selection
from edge_agent.model import Schema


class Choices:
    """``unwanted``: by uplink, the digests it does not select; a digest nobody knows counts as selected.
    Read it freely; it changes only with ``learn`` and ``use``."""

    def __init__(self) -> None:
        self.unwanted: dict[str, frozenset[str]] = {}
        self._selections: dict[str, Selection] = {}
        self._schemas: dict[str, Schema] = {}

    @property
    def any(self) -> bool:
        """Whether anybody leaves anything out."""
        return any(selection.tags for selection in self._selections.values())

    def use(self, uplinks: Mapping[str, Selection] | Iterable[str]) -> None:
        """A plain name selects everything."""
        named = uplinks if isinstance(uplinks, Mapping) else dict.fromkeys(uplinks, Selection())
        self._selections = dict(named)
        self._judge()

    def learn(self, schemas: Iterable[Schema]) -> None:
        new = {s.digest: s for s in schemas if s.digest not in self._schemas}
        if new:
            self._schemas |= new
            self._judge()

    def text(self, uplink: str) -> str:
        """What an uplink selects, as it is kept beside its position."""
        return json.dumps(self._selections[uplink].tags, ensure_ascii=False)

    def unwanted_by(self, text: str) -> frozenset[str]:
        """Of a selection as ``text`` gave it; what cannot be read selected everything."""
        try:
            tags = tuple(map(str, json.loads(text)))
        except (ValueError, TypeError):
            tags = ()
        return self._left_out(Selection(tags=tags))

    def _judge(self) -> None:
        self.unwanted = {name: self._left_out(s) for name, s in self._selections.items() if s.tags}

    def _left_out(self, selection: Selection) -> frozenset[str]:
        return frozenset(digest for digest, schema in self._schemas.items() if not selection.wants(schema))

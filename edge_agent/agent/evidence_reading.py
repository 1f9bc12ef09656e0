"""From batches of the history to what a record says of one case. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from edge_agent.agent.evidence_case import Case
from edge_agent.config.model import TagRef
from edge_agent.control.evidence import POINTS, TEXT_POINTS, Account, Excerpt, Statement
from edge_agent.model import Batch, Quality, Scaling, Schema, ValueType, engineering

_UNCHANGED, _NOT_REPORTED = int(Quality.UNCHANGED), int(Quality.NOT_REPORTED)


class Span(NamedTuple):
    """Wall time, [from, to)."""

    from_ns: int
    to_ns: int


class _Column(NamedTuple):
    place: int
    scaling: Scaling | None


class _Series:
    def __init__(self, limit: int, unit: str) -> None:
        self.excerpt = Excerpt(limit)
        self.unit = unit
        self.scaled = False


class Reading:
    """``take`` every batch from ``begin_ns`` on; readings before ``span.from_ns`` only say what held then.
    ``reported``: the source speaks only when it changes, so that silence means unchanged."""

    def __init__(self, case: Case, span: Span, *, reported: bool = False) -> None:
        self.begin_ns = span.from_ns - case.max_age_ns
        self.account = Account(span.from_ns, span.to_ns, case.band, None if reported else case.max_age_ns)
        self._span = span
        self._source, self._target = case.source, case.target
        self._columns: dict[str, tuple[_Column | None, _Column | None]] = {}
        self._series: dict[str, _Series] = {}

    def take(self, batch: Batch) -> None:
        columns = self._columns.get(batch.schema.digest)
        if columns is None:
            columns = self._bind(batch.schema)
        source, target = columns
        if target is not None and self._target is not None:  # first: a batch speaks of one moment
            said = _said(batch, target)
            if said is not None:
                self.account.follow(said)
                self._keep(self._target, said)
        if source is None or self._source is None:
            return
        if batch.quality[source.place] == _UNCHANGED:
            self.account.still(batch.time_ns, batch.mono_ns)
        elif (said := _said(batch, source)) is not None:
            self.account.put(said)
            self._keep(self._source, said)

    def series(self) -> dict[str, Any]:
        return {name: one.excerpt.as_dict(one.unit, scaled=one.scaled) for name, one in self._series.items()}

    @property
    def cut(self) -> bool:
        """Whether a series had to leave something out."""
        return any(one.excerpt.left_out is not None for one in self._series.values())

    @property
    def unit(self) -> str:
        one = self._series.get(str(self._source))
        return "" if one is None else one.unit

    def _keep(self, tag: TagRef, said: Statement) -> None:
        if self._span.from_ns <= said.time_ns < self._span.to_ns:
            self._series[str(tag)].excerpt.put(said)

    def _bind(self, schema: Schema) -> tuple[_Column | None, _Column | None]:
        found = self._column(schema, self._source), self._column(schema, self._target)
        self._columns[schema.digest] = found
        return found

    def _column(self, schema: Schema, tag: TagRef | None) -> _Column | None:
        if tag is None or tag.device != schema.device or tag.tag not in schema.names:
            return None
        index = schema.names.index(tag.tag)
        limit = TEXT_POINTS if schema.types[index] is ValueType.STRING else POINTS
        one = self._series.setdefault(str(tag), _Series(limit, schema.units[index]))
        one.scaled = one.scaled or schema.scaling[index] is not None
        return _Column(index, schema.scaling[index])


def _said(batch: Batch, column: _Column) -> Statement | None:
    quality = batch.quality[column.place]
    if quality >= _NOT_REPORTED:
        return None
    raw = batch.values[column.place]
    return Statement(batch.time_ns, batch.mono_ns, engineering(raw, column.scaling), raw, quality)

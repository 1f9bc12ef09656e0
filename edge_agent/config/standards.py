"""Limits handed down: the documents of ``standards.d``, which are in force, what they say of a tag.

park -> sector -> enterprise -> line: a lower level may only tighten. That the documents keep this among
themselves is checked here, for every tag alike; what a line adds is checked at its windows (``inherit``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from edge_agent.clock import SystemClock
from edge_agent.config import catalogue as c
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.located import Collector, Path, Position, Source
from edge_agent.config.plugins import Keys
from edge_agent.config.process import LimitKind, Origin
from edge_agent.config.quantities import convert, exact, number
from edge_agent.config.standard_shapes import RateLimitFile, StandardFile, StandardLimitFile
from edge_agent.config.suggest import NOTHING
from edge_agent.settings import Text

RANKS: Final = MappingProxyType({"park": 0, "sector": 1, "enterprise": 2, "line": 3})
LEVELS: Final = MappingProxyType(
    {
        "park": Text("park", "园区"),
        "sector": Text("sector", "行业"),
        "enterprise": Text("enterprise", "企业"),
        "line": Text("line", "产线"),
    }
)
ORDER: Final = (LimitKind.LOLO, LimitKind.LOW, LimitKind.HIGH, LimitKind.HIHI)
BELOW: Final = frozenset({LimitKind.LOLO, LimitKind.LOW})
RATES: Final = frozenset({LimitKind.RISE, LimitKind.FALL})
_KEYS: Final = ("lolo", "low", "high", "hihi", "rise", "fall")
_ZONE: Final = timezone(timedelta(hours=8))


def today() -> date:
    """The day by which documents are in force: that of China."""
    return datetime.fromtimestamp(SystemClock().time_ns() / 1e9, UTC).astimezone(_ZONE).date()


@dataclass(frozen=True, slots=True)
class Standard:
    """One document. ``label``: ``ID@VERSION``."""

    name: str
    version: str
    level: str
    source: str = ""
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def rank(self) -> int:
        return RANKS[self.level]


@dataclass(frozen=True, slots=True)
class Clause:
    """One limit of a document. ``value``: exact, in ``unit``; of RISE and FALL per second."""

    standard: Standard
    kind: LimitKind
    value: Fraction
    unit: str
    quantity: str
    equipment: str
    period: str
    over_s: float = 0.0
    origin: Origin = field(default=Origin(), compare=False)
    source: Source = field(default=Source("", ""), compare=False, repr=False)
    at: Position = field(default=(1, 1), compare=False)
    path: Path = field(default=(), compare=False)

    @property
    def place(self) -> str:
        return self.origin.place


def looser(kind: LimitKind, one: Fraction, other: Fraction) -> bool:
    """Whether a limit lets pass what the other does not."""
    return one < other if kind in BELOW else one > other


class Standards:
    """The documents in force. ``known``: quantities and kinds of equipment that any document names."""

    def __init__(self) -> None:
        self.in_force: list[Standard] = []
        self.quantities: set[str] = set()
        self.equipment: set[str] = set()
        self._clauses: dict[tuple[str, str], list[Clause]] = {}

    def __bool__(self) -> bool:
        return bool(self.quantities)

    def add(self, standard: Standard, clauses: Iterable[Clause]) -> None:
        self.in_force.append(standard)
        for clause in clauses:
            self._clauses.setdefault((clause.quantity, clause.period), []).append(clause)

    def on(self, quantity: str, equipment: str, period: str) -> Sequence[Clause]:
        """What is said of a tag, the highest level first. ``period``: of a total, else empty."""
        found = self._clauses.get((quantity, period), ())
        fitting = [clause for clause in found if clause.equipment in ("", equipment)]
        return sorted(fitting, key=lambda clause: clause.standard.rank)

    def together(self) -> Iterator[Sequence[Clause]]:
        """The clauses on one quantity and period each."""
        yield from self._clauses.values()

    def meaning(self) -> list[Any]:
        """Everything that is in force, as plain data, in an order that depends on nothing else."""
        said = [
            [
                clause.standard.label, clause.standard.level, clause.standard.source, str(clause.kind),
                str(clause.value), clause.unit, clause.quantity, clause.equipment, clause.period,
                clause.over_s,
            ]
            for clauses in self._clauses.values()
            for clause in clauses
        ]  # fmt: skip
        return sorted(said) + sorted([s.label, s.level, s.source] for s in self.in_force)


class StandardsReader:
    """Reads the documents of ``standards.d``; all mistakes go to the collector."""

    def __init__(self, collector: Collector, day: date) -> None:
        self.collector = collector
        self.day = day
        self.found = Standards()
        self._places: dict[str, str] = {}

    def read(self, documents: Iterable[Document]) -> Standards:
        for document in documents:
            self._document(document)
        for clauses in self.found.together():
            self._agree(clauses)
        return self.found

    def _document(self, document: Document) -> None:
        keys = Keys(document, (), document.data, StandardFile, StandardFile, self.collector)
        keys.report_unknown()
        model, bad = keys.read(StandardFile, without=("limits",))
        if model is None:
            return
        standard = Standard(
            model.standard, model.version, model.level, model.source, model.valid_from, model.valid_until
        )
        clauses = list(self._limits(document, standard))
        if not bad and self._in_force(document, standard) and self._once(document, standard):
            self.found.add(standard, clauses)

    def _in_force(self, document: Document, standard: Standard) -> bool:
        since, until = standard.valid_from, standard.valid_until
        if since and until and until < since:
            self._at(document, ("valid_until",), c.VALIDITY, since=since, until=until)
            return False
        if since and self.day < since:
            self._at(document, ("valid_from",), c.W_NOT_YET, standard=standard.label, since=since)
            return False
        if until and self.day > until:
            self._at(document, ("valid_until",), c.W_EXPIRED, standard=standard.label, until=until)
            return False
        return True

    def _once(self, document: Document, standard: Standard) -> bool:
        here = f"{document.source.name}:{document.value(('standard',))[0]}"
        other = self._places.setdefault(standard.name, here)
        if other != here:
            self._at(document, ("standard",), c.STANDARD_TWICE, name=standard.name, other=other)
        return other == here

    # --- limits --------------------------------------------------------------------------------------------

    def _limits(self, document: Document, standard: Standard) -> Iterator[Clause]:
        items = document.data.get("limits")
        if items is None:
            self._at(document, (), c.MISSING_KEY, key="limits")
            return
        if not isinstance(items, list):
            self._wrong(document, ("limits",), items, Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）"))
            return
        for place, item in enumerate(items):
            path: Path = ("limits", place)
            if not isinstance(item, dict):
                wanted = Text(
                    "limits ('quantity: ...' and 'high: ...')", "限值（'quantity: ...' 和 'high: ...'）"
                )
                self._wrong(document, path, item, wanted)
                continue
            keys = Keys(document, path, item, StandardLimitFile, StandardLimitFile, self.collector)
            keys.report_unknown()
            limit, bad = keys.read(StandardLimitFile)
            if limit is not None and not bad and not keys.typos:
                yield from self._clauses(document, standard, path, limit)

    def _clauses(
        self, document: Document, standard: Standard, path: Path, limit: StandardLimitFile
    ) -> Iterator[Clause]:
        self.found.quantities.add(limit.quantity)
        self.found.equipment.add(limit.equipment or "")
        given = [key for key in _KEYS if getattr(limit, key) is not None]
        if not given:
            self._at(document, (*path, "quantity"), c.STANDARD_EMPTY, quantity=limit.quantity)
        numbers = [exact(getattr(limit, key)) for key in _KEYS[:4] if key in given]
        if numbers != sorted(set(numbers)):
            self._disorder(document, path, limit, given)
            return
        for key in given:
            value: float | RateLimitFile = getattr(limit, key)
            over_s = 0.0
            if isinstance(value, RateLimitFile):
                amount, over_s = exact(value.at) / exact(float(value.per)), float(value.over)
            else:
                amount = exact(value)
            at = document.key((*path, key))
            origin = Origin(standard.level, standard.label, f"{document.source.name}:{at[0]}")
            yield Clause(
                standard, LimitKind(key), amount, limit.unit, limit.quantity, limit.equipment or "",
                limit.period or "", over_s, origin, document.source, document.value((*path, key)),
                (*path, key),
            )  # fmt: skip

    def _disorder(self, document: Document, path: Path, limit: StandardLimitFile, given: list[str]) -> None:
        ordered = [key for key in given if key in ORDER]
        for lower, upper in pairwise(ordered):
            below, above = getattr(limit, lower), getattr(limit, upper)
            if below >= above:
                values = {"lower": lower, "upper": upper, "below": number(below), "above": number(above)}
                self._at(document, (*path, lower), c.LIMIT_ORDER, **values, by=NOTHING)

    # --- documents among each other ------------------------------------------------------------------------

    def _agree(self, clauses: Sequence[Clause]) -> None:
        ordered = sorted(clauses, key=lambda clause: clause.standard.rank)
        for place, lower in enumerate(ordered):
            for higher in ordered[:place]:
                if lower.standard != higher.standard and _meet(lower, higher):
                    self._pair(lower, higher)

    def _pair(self, lower: Clause, higher: Clause) -> None:
        """``lower`` is of the lower level, or of the same and stands later."""
        if (lower.kind in RATES) != (higher.kind in RATES):
            return
        bound = convert(higher.value, higher.unit, lower.unit, rate=higher.kind in RATES)
        values: dict[str, object] = {"standard": higher.standard.label, "other": higher.place}
        if bound is None:
            names = {"quantity": lower.quantity, "found": lower.unit, "wanted": higher.unit}
            self._of(lower, c.STANDARD_UNITS, **values, **names)
        elif lower.kind is higher.kind:
            below = lower.standard.rank > higher.standard.rank and higher.equipment in ("", lower.equipment)
            if below and looser(lower.kind, lower.value, bound):
                _tell_looser(self.collector, lower, bound, higher)
        elif lower.kind not in RATES:
            self._order(lower, higher, bound)

    def _order(self, lower: Clause, higher: Clause, bound: Fraction) -> None:
        first, second = (
            (lower, higher) if ORDER.index(lower.kind) < ORDER.index(higher.kind) else (higher, lower)
        )
        numbers = {id(lower): lower.value, id(higher): bound}
        if numbers[id(first)] < numbers[id(second)]:
            return
        self._of(
            lower,
            c.CONTRADICTION,
            lower=str(first.kind),
            below=number(numbers[id(first)]),
            upper=str(second.kind),
            above=number(numbers[id(second)]),
            standard=first.standard.label,
            another=second.standard.label,
            other=higher.place,
        )

    # --- reporting -----------------------------------------------------------------------------------------

    def _of(self, clause: Clause, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(clause.source, clause.at, entry, clause.path, **values)

    def _at(self, document: Document, path: Path, entry: c.Entry, /, **values: object) -> None:
        self.collector.add(document.source, document.value(path), entry, path, **values)

    def _wrong(self, document: Document, path: Path, found: object, wanted: Text) -> None:
        values = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
        self._at(document, path, c.WRONG_TYPE, key=path[0], **values)


def _meet(one: Clause, other: Clause) -> bool:
    """Whether both can speak of the same tag."""
    return one.equipment == other.equipment or not one.equipment or not other.equipment


def _tell_looser(collector: Collector, lower: Clause, bound: Fraction, higher: Clause) -> None:
    collector.add(
        lower.source,
        lower.at,
        c.LOOSENED,
        lower.path,
        key=str(lower.kind),
        found=number(lower.value),
        limit=number(bound),
        unit=f"{lower.unit}/s" if lower.kind in RATES else lower.unit,
        standard=higher.standard.label,
        level=LEVELS[higher.standard.level],
        other=higher.place,
    )


def labels(clauses: Iterable[Clause]) -> tuple[str, ...]:
    """``ID@VERSION`` of each document, once."""
    return tuple(dict.fromkeys(clause.standard.label for clause in clauses))

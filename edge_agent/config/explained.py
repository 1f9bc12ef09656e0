"""Who set the limits of a window, and what they were tightened from: for ``edge-agent explain WINDOW``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.config.inherit import Bound, own_value
from edge_agent.config.model import Configuration
from edge_agent.config.process import Limit, LimitKind, Origin, TagRef, Window
from edge_agent.config.windows import Note

_KEYS = {
    LimitKind.STATE: "allowed",
    LimitKind.BAD_INPUT: "bad_input",
    LimitKind.EARLY: "early",
    LimitKind.PATTERN: "early",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one level says of a limit. ``in_force``: this is the limit that holds. ``source``: where the
    document comes from, in its own words."""

    level: str
    standard: str
    place: str
    value: float | None
    tolerance: float | None
    source: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class LimitStory:
    """``said``: the highest level first; one of them is in force."""

    limit: Limit
    said: tuple[Said, ...]

    @property
    def origin(self) -> Said:
        return next(said for said in self.said if said.in_force)


@dataclass(frozen=True, slots=True)
class WindowStory:
    """``place``: file:line of the window. ``when``: the condition as a person wrote it, or empty."""

    window: Window
    place: str
    when: str
    quantity: str
    equipment: str
    limits: tuple[LimitStory, ...]


def story(configuration: Configuration, window: Window, note: Note) -> WindowStory:
    place = note.place.line("tag" if note.place.row is None else "name")
    limits = tuple(LimitStory(limit, tuple(_said(window, limit, note))) for limit in window.limits)
    return WindowStory(window, place, _when(configuration, window), note.quantity, note.equipment, limits)


def _when(configuration: Configuration, window: Window) -> str:
    if window.when is None:
        return ""
    derivation = configuration.derivation
    if derivation is not None and derivation.device == window.when.device:
        for tag in derivation.derived:
            if tag.hidden and tag.name == window.when.tag:
                return tag.formula.text
    return str(window.when)


def _said(window: Window, limit: Limit, note: Note) -> Iterator[Said]:
    chain = note.handed.used.get(limit.kind, [])
    found = False
    for bound in chain:
        mine = limit.origin.standard != "" and bound.clause.origin == limit.origin
        found = found or mine
        yield _of(bound, in_force=mine)
    own = _own_place(limit, note)
    if own is not None or not found:
        origin = Origin(place=own or note.place.line("tag"))
        yield Said(origin.level, "", origin.place, _own_value(window, limit), limit.tolerance, "", not found)


def _of(bound: Bound, *, in_force: bool) -> Said:
    clause = bound.clause
    standard = clause.standard
    return Said(
        standard.level, standard.label, clause.place, float(bound.value), None, standard.source, in_force
    )


def _own_value(window: Window, limit: Limit) -> float | None:
    if isinstance(window.target, TagRef) and limit.tolerance is not None:
        return None
    value = own_value(limit, window.target if isinstance(window.target, float) else None)
    return None if value is None else float(value)


def _own_place(limit: Limit, note: Note) -> str | None:
    """Where the line itself states a limit of this kind, None where it does not."""
    place, key = note.place, _KEYS.get(limit.kind, str(limit.kind))
    if place.row is not None:
        return place.line(key) if key in place.row.limits else None
    document = place.draft.document
    if document.get(place.full(key)) is not None:
        return f"{place.source.name}:{document.key(place.full(key))[0]}"
    return place.line("tolerance") if limit.tolerance is not None else None

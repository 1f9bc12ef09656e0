"""Limits handed down to one window: which apply to its tag, what they add, and that the line loosens none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from edge_agent.config import catalogue as c
from edge_agent.config.process import Limit, LimitKind
from edge_agent.config.quantities import convert, exact, number
from edge_agent.config.standards import LEVELS, RATES, Clause, Standards, labels, looser
from edge_agent.config.window_limits import Stated
from edge_agent.config.window_place import Key, Place
from edge_agent.model import Tag
from edge_agent.settings import Text

_SIDES: Final = ((LimitKind.LOW, LimitKind.LOLO), (LimitKind.HIGH, LimitKind.HIHI))
_UPPER: Final = frozenset({LimitKind.HIGH, LimitKind.HIHI})


@dataclass(frozen=True, slots=True)
class Bound:
    """A clause in the unit of the tag."""

    clause: Clause
    value: Fraction


Bounds = dict[LimitKind, list[Bound]]
"""The highest level first."""


@dataclass(slots=True)
class Handed:
    """What is handed down to a window. ``adopt``: limits that the window lacks are added; only one window of
    a tag does that. ``used``: the bounds of each limit in force."""

    bounds: Bounds
    adopt: bool = True
    used: Bounds = field(default_factory=dict)

    @property
    def standards(self) -> tuple[str, ...]:
        return labels(bound.clause for bounds in self.used.values() for bound in bounds)


def bounds_of(
    standards: Standards, place: Place, key: Key, tag: Tag, quantity: str, equipment: str
) -> Bounds | None:
    """None where a unit does not fit, which is reported at ``key``."""
    period = tag.group.removeprefix("total.") if tag.group.startswith("total.") else ""
    found: Bounds = {}
    sound = True
    for clause in standards.on(quantity, equipment, period):
        if not tag.type.is_numeric:
            place.add(key, c.NOT_NUMERIC, tag=tag.name, type=tag.type)
            return None
        value = convert(clause.value, clause.unit, tag.unit, rate=clause.kind in RATES)
        if value is None:
            _misfit(place, key, tag, clause)
            sound = False
        else:
            found.setdefault(clause.kind, []).append(Bound(clause, value))
    return found if sound else None


def _misfit(place: Place, key: Key, tag: Tag, clause: Clause) -> None:
    values = {"tag": tag.name, "standard": clause.standard.label, "quantity": clause.quantity}
    if not clause.unit.strip():
        place.add(key, c.LIMIT_UNITLESS, **values, found=tag.unit, other=clause.place)
    elif not tag.unit.strip():
        place.add(key, c.TAG_UNITLESS, **values, wanted=clause.unit, other=clause.place)
    else:
        place.add(key, c.UNIT_MISFIT, **values, found=tag.unit, wanted=clause.unit, other=clause.place)


def settle(
    place: Place, tag: Tag, stated: Stated, target: float | None, follows: bool, handed: Handed
) -> bool:
    """Adds to ``stated`` what is handed down; False where the line loosens it. ``target``: a number it goes
    by; ``follows``: it goes by a tag, and limits with a tolerance are then not compared: absolute ones stand
    beside them."""
    bounds = _with_room(place, tag, stated, handed) if follows else handed.bounds
    if bounds is None:
        return False
    sound = True
    for kind, chain in bounds.items():
        tight = tightest(kind, chain)
        own = stated.limits.get(kind)
        value = None if own is None else own_value(own, target)
        if own is None:
            if not handed.adopt:
                continue
            stated.limits[kind] = _adopted(stated, kind, tight)
        elif value is not None and looser(kind, value, tight.value):
            _loosened(place, own, value, tag, first_broken(kind, value, chain))
            sound = False
        elif value == tight.value and own.tolerance is None:
            stated.limits[kind] = replace(own, value=float(tight.value), origin=tight.clause.origin)
        handed.used[kind] = chain
    return sound


def tightest(kind: LimitKind, chain: Sequence[Bound]) -> Bound:
    """Of equal ones, that of the highest level."""
    best = chain[0]
    for bound in chain[1:]:
        if looser(kind, best.value, bound.value):
            best = bound
    return best


def first_broken(kind: LimitKind, value: Fraction, chain: Sequence[Bound]) -> Bound:
    """The highest level at which a limit is too loose."""
    return next(bound for bound in chain if looser(kind, value, bound.value))


def own_value(limit: Limit, target: float | None) -> Fraction | None:
    """Exact, in the unit of the tag (of rates per second); None where it follows a tag."""
    if limit.tolerance is None:
        return None if limit.value is None else exact(limit.value)
    if target is None:
        return None
    distance = exact(limit.tolerance)
    return exact(target) + (distance if limit.kind in _UPPER else -distance)


def _adopted(stated: Stated, kind: LimitKind, bound: Bound) -> Limit:
    if kind in RATES:
        return Limit(
            kind,
            float(bound.value),
            on_delay_s=stated.on_delay_s,
            off_delay_s=stated.off_delay_s,
            over_s=bound.clause.over_s,
            alarming=stated.alarming,
            origin=bound.clause.origin,
        )
    return replace(stated.plain(kind, float(bound.value)), origin=bound.clause.origin)


def _with_room(place: Place, tag: Tag, stated: Stated, handed: Handed) -> Bounds | None:
    """Absolute bounds move outwards where the limit of their kind goes with the target."""
    found = dict(handed.bounds)
    for side in _SIDES:
        taken = [kind for kind in side if _goes_along(stated.limits, kind)]
        chain = [bound for kind in side for bound in handed.bounds.get(kind, ())]
        if not taken or not chain:
            continue
        free = [kind for kind in side if kind not in taken]
        if not free and handed.adopt:
            values = {"keys": " and ".join(taken), "limit": number(chain[0].value), "unit": tag.unit}
            clause = chain[0].clause
            place.add("target", c.NO_ROOM, **values, standard=clause.standard.label, other=clause.place)
            return None
        for kind in side:
            found.pop(kind, None)
        if free:
            found[free[0]] = sorted(chain, key=lambda bound: bound.clause.standard.rank)
    return found


def _goes_along(limits: Mapping[LimitKind, Limit], kind: LimitKind) -> bool:
    return kind in limits and limits[kind].tolerance is not None


def _loosened(place: Place, own: Limit, value: Fraction, tag: Tag, bound: Bound) -> None:
    clause, key = bound.clause, str(own.kind)
    shown = Text(f"{key} (target and tolerance)", f"{key}（目标值与允差）")
    place.add(
        place.limit_key(key),
        c.LOOSENED,
        key=key if own.tolerance is None else shown,
        found=number(value),
        limit=number(bound.value),
        unit=f"{tag.unit}/s" if own.kind in RATES else tag.unit,
        standard=clause.standard.label,
        level=LEVELS[clause.standard.level],
        other=clause.place,
    )

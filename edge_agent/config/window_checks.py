"""Whether the limits of a window go together: their order, their deadbands, and what is plausible."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Final

from edge_agent.config import catalogue as c
from edge_agent.config.inherit import own_value
from edge_agent.config.process import Limit, LimitKind
from edge_agent.config.quantities import exact, number
from edge_agent.config.suggest import NOTHING
from edge_agent.config.window_limits import ABSOLUTE, RATES, Stated
from edge_agent.config.window_place import Key, Place
from edge_agent.settings import Text

_LOWER: Final = (LimitKind.LOLO, LimitKind.LOW)
_UPPER: Final = (LimitKind.HIGH, LimitKind.HIHI)

Levels = Mapping[LimitKind, Fraction]


def in_order(place: Place, stated: Stated, target: float | None, follows: bool) -> bool:
    """lolo < low < high < hihi, and room inside for a value to clear them. Limits that follow a tag are
    judged among themselves, and so are absolute ones beside them."""
    absolute: dict[LimitKind, Fraction] = {}
    along: dict[LimitKind, Fraction] = {}
    for kind in ABSOLUTE:
        limit = stated.limits.get(kind)
        if limit is None:
            continue
        goes_along = follows and limit.tolerance is not None
        value = own_value(limit, 0.0 if goes_along else target)
        if value is not None:
            (along if goes_along else absolute)[kind] = value
    sound = _group(place, stated, absolute)
    return _group(place, stated, along) and sound


def _group(place: Place, stated: Stated, levels: Levels) -> bool:
    kinds = list(levels)
    for lower, upper in pairwise(kinds):
        if levels[lower] >= levels[upper]:
            _disorder(place, stated.limits, lower, upper, levels)
            return False
    return _deadbands_fit(place, stated, levels)


def _disorder(
    place: Place, limits: Mapping[LimitKind, Limit], lower: LimitKind, upper: LimitKind, levels: Levels
) -> None:
    below, above = number(levels[lower]), number(levels[upper])
    strange = [limits[kind] for kind in (lower, upper) if limits[kind].origin.standard]
    if not strange and (lower, upper) == (LimitKind.LOW, LimitKind.HIGH):
        place.add("low", c.LOW_HIGH, low=below, high=above)
        return
    by = NOTHING
    if strange:
        kind, standard, there = strange[0].kind, strange[0].origin.standard, strange[0].origin.place
        by = Text(f"; {standard} sets {kind} in {there}", f"；{kind} 由 {standard} 规定（{there}）")
    own = next((kind for kind in (lower, upper) if not limits[kind].origin.standard), lower)
    values = {"lower": str(lower), "upper": str(upper), "below": below, "above": above}
    place.add(place.limit_key(str(own)), c.LIMIT_ORDER, **values, by=by)


def _deadbands_fit(place: Place, stated: Stated, levels: Levels) -> bool:
    """A value that is clear of every limit must exist."""
    clear_above = [(levels[k] + _deadband(stated, k), k) for k in _LOWER if k in levels]
    clear_below = [(levels[k] - _deadband(stated, k), k) for k in _UPPER if k in levels]
    if not clear_above or not clear_below:
        return True
    (highest, lower), (lowest, upper) = max(clear_above), min(clear_below)
    if highest < lowest:
        return True
    key: Key = "deadband"
    wide = max(lower, upper, key=lambda kind: stated.limits[kind].deadband)
    if place.row is None and place.draft.document.get(place.full((str(wide), "deadband"))) is not None:
        key = (str(wide), "deadband")
    half = (levels[upper] - levels[lower]) / 2
    values = {"deadband": number(stated.limits[wide].deadband), "limit": number(half)}
    place.add(key, c.DEADBAND_WIDE, **values)
    return False


def _deadband(stated: Stated, kind: LimitKind) -> Fraction:
    return exact(stated.limits[kind].deadband)


def warn_of_plausible(
    place: Place, stated: Stated, target: float | None, period_s: float, max_age_s: float
) -> None:
    """Limits that nothing believable exceeds, and values that may not even stand still for two readings."""
    plausible = stated.plausible
    if plausible is None:
        return
    edges = (
        ("low", plausible.low, _LOWER),
        ("high", plausible.high, _UPPER),
        ("slope", plausible.slope, RATES),
    )
    for bound, edge, kinds in edges:
        for kind in kinds:
            limit = stated.limits.get(kind)
            value = own_value(limit, target) if limit is not None else None
            if edge is None or value is None:
                continue
            if exact(edge) >= value if kind in _LOWER else exact(edge) <= value:
                values = {"limit": str(kind), "value": number(value), "bound": bound, "edge": number(edge)}
                place.add(("plausible", bound), c.W_UNREACHABLE, **values)
    frozen_s = plausible.frozen_s
    if frozen_s is None or frozen_s > max(period_s, max_age_s):
        return
    what, other = Text("the poll period", "轮询周期"), period_s
    if frozen_s > period_s:
        what, other = Text("max_age", " max_age"), max_age_s
    spans = {"frozen": f"{frozen_s:g}s", "what": what, "other": f"{other:g}s"}
    place.add(("plausible", "frozen"), c.W_FROZEN, **spans)

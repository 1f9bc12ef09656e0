"""What a window asks, compiled from its definition. Windows with equal settings share one ``Terms``.

The numbers of the plain limits (``low``, ``high``, ``tolerance``) stay in the window itself: they differ from
window to window, and thousands of windows would otherwise keep them twice.
"""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.config.model import Limit, LimitKind, Plausible, Window

Number = float | int

UPPER = frozenset({LimitKind.HIGH, LimitKind.HIHI})
LOWER = frozenset({LimitKind.LOW, LimitKind.LOLO})
LEVELS = UPPER | LOWER
RATES = frozenset({LimitKind.RISE, LimitKind.FALL})
PROCESS = LEVELS | RATES | {LimitKind.STATE}
"""Limits that make a window out. Others (BAD_INPUT) only make alarms."""


class Rule(NamedTuple):
    """One limit. ``own``: its number is the window's plain ``low``, ``high`` or ``tolerance``, else
    ``value``. ``follows``: that number is a distance from the target."""

    kind: LimitKind
    own: bool
    follows: bool
    value: float | None
    deadband: float
    on_ns: int
    off_ns: int
    over_ns: int


class Measure(NamedTuple):
    """A rate to be measured: over what time, and beyond which rates (per nanosecond) it matters."""

    over_ns: int
    rise: float
    fall: float


class Terms(NamedTuple):
    """``numeric``: the source must say a number. ``remembers``: more is needed of the source than its last
    statement; ``steps``: each of its statements must be taken note of, also while the window is quiet."""

    max_age_ns: int
    grace_ns: int
    rules: tuple[Rule, ...]
    numeric: bool
    allowed: frozenset[int | bool | str] | None
    plausible: Plausible | None
    measures: tuple[Measure, ...]
    remembers: bool
    steps: bool

    @property
    def bad_input(self) -> Rule | None:
        last = self.rules[-1] if self.rules else None
        return last if last is not None and last.kind is LimitKind.BAD_INPUT else None

    @property
    def frozen_ns(self) -> int | None:
        seconds = self.plausible.frozen_s if self.plausible is not None else None
        return None if seconds is None else round(seconds * 1e9)


def terms_of(window: Window) -> Terms:
    """Limits of kinds that are not judged here (EARLY, PATTERN) are left out; BAD_INPUT comes last."""
    further = {limit.kind for limit in window.further}
    limits = window.limits
    rules = [_rule(limit, limit.kind not in further) for limit in limits if limit.kind in PROCESS]
    rules += [_rule(limit, False) for limit in limits if limit.kind is LimitKind.BAD_INPUT]
    kinds = {rule.kind for rule in rules}
    numeric = LimitKind.STATE not in kinds or bool(kinds & (LEVELS | RATES))
    plausible, measures = window.plausible, _measures(rules)
    steps = bool(measures) or (
        plausible is not None
        and (plausible.slope is not None or plausible.frozen_s is not None or not numeric)
    )
    return Terms(
        round(window.max_age_s * 1e9),
        round(window.grace_s * 1e9),
        tuple(rules),
        numeric,
        frozenset(window.allowed) if LimitKind.STATE in kinds else None,
        plausible,
        measures,
        steps or plausible is not None,
        steps,
    )


def _rule(limit: Limit, plain: bool) -> Rule:
    follows = limit.kind in LEVELS and limit.tolerance is not None
    own = plain and limit.kind in LEVELS
    value = None if own else limit.tolerance if follows else limit.value
    delays = round(limit.on_delay_s * 1e9), round(limit.off_delay_s * 1e9)
    return Rule(limit.kind, own, follows, value, limit.deadband, *delays, round(limit.over_s * 1e9))


def _measures(rules: list[Rule]) -> tuple[Measure, ...]:
    """One for each span of time that RISE or FALL is measured over."""
    never = float("inf")
    found: dict[int, Measure] = {}
    for rule in rules:
        if rule.kind in RATES and rule.value is not None:
            measure = found.get(rule.over_ns, Measure(rule.over_ns, never, never))
            per_ns = rule.value / 1e9
            rises = rule.kind is LimitKind.RISE
            found[rule.over_ns] = measure._replace(rise=per_ns) if rises else measure._replace(fall=per_ns)
    return tuple(found.values())


def in_force(window: Window, rule: Rule, centre: Number | None) -> Number | None:
    """The limit as it applies while the target is ``centre``; None where there is none, or none now."""
    value = rule.value
    if rule.own:
        plain = window.low if rule.kind is LimitKind.LOW else window.high
        value = window.tolerance if rule.follows else plain
    if not rule.follows or value is None:
        return value
    if centre is None:
        return None
    return centre + value if rule.kind in UPPER else centre - value

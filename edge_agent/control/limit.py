"""One limit: where it lies, and its machine. Outside for its on-delay it becomes active, clear of it for its
off-delay it is over. A machine exists only while a limit of its window is not at rest.

Times are those of the source's own statements (of BAD_INPUT: the monotonic clock): when statements stop, no
delay expires.
"""

from __future__ import annotations

from edge_agent.config.model import LimitKind
from edge_agent.control.limits import DISCRETE, LARGEST, Fence, edges, fence, target_blur
from edge_agent.control.sight import Sight
from edge_agent.control.terms import LEVELS, LOWER, RATES, Number, Rule, in_force
from edge_agent.control.transition import Change
from edge_agent.model import ValueType


class Machine:
    """``edge``: of a level, beyond what a value is outside, and from where on inwards it is clear; None until
    it is needed."""

    __slots__ = ("active", "clear_ns", "edge", "outside_ns", "rule")

    def __init__(self, rule: Rule, active: bool = False) -> None:
        self.rule = rule
        self.active = active
        self.outside_ns: int | None = None  # since when the on-delay runs
        self.clear_ns: int | None = None  # since when the off-delay runs
        self.edge: tuple[float, float] | None = None

    @property
    def at_rest(self) -> bool:
        return not self.active and self.outside_ns is None

    def hold(self) -> None:
        """Nobody can say: what is active stays so, delays are forgotten."""
        self.outside_ns = self.clear_ns = None

    def judge(self, outside: bool, clear: bool, at_ns: int, since_ns: int) -> Change | None:
        """``at_ns``: of the statement; ``since_ns``: from when a delay that begins now runs. They differ
        where another input than the source is why it is judged."""
        if outside:
            self.clear_ns = None
            if self.outside_ns is None:
                self.outside_ns = since_ns
            if not self.active and _ripe(at_ns, self.outside_ns, self.rule.on_ns):
                self.active = True
                return Change.ALARM
            return None
        self.outside_ns = None
        if not clear:
            self.clear_ns = None
        elif self.active:
            if self.clear_ns is None:
                self.clear_ns = since_ns
            if _ripe(at_ns, self.clear_ns, self.rule.off_ns):
                self.active, self.clear_ns = False, None
                return Change.RETURN
        return None


def _ripe(at_ns: int, since_ns: int, delay_ns: int) -> bool:
    return delay_ns == 0 or at_ns - since_ns >= delay_ns


# Where limits lie


def edge(sight: Sight, rule: Rule) -> tuple[float, float]:
    """Of a level, in engineering units, for the target as it is: beyond what a value is outside, and from
    where on inwards it is clear. Both inclusive."""
    centre, meaning = sight.centre(), sight.source.meaning
    limit = in_force(sight.window, rule, centre)
    tolerance = sight.window.tolerance if rule.own else rule.value
    blur = blur_of(sight, tolerance) if rule.follows else None
    if rule.kind in LOWER:
        found = edges(limit, None, rule.deadband, *meaning, blur)
        return found.low, found.clear_low
    found = edges(None, limit, rule.deadband, *meaning, blur)
    return found.high, found.clear_high


def blur_of(sight: Sight, tolerance: Number | None = None) -> float:
    """By how much the target as it is, and its sum with the tolerance, may miss what they are on paper."""
    centre = sight.centre()
    if centre is None:
        return 0.0
    if sight.target is None:  # a number, as written; its sum with the tolerance rounds all the same
        return target_blur(centre, tolerance or 0.0, ValueType.FLOAT64, None)
    return target_blur(centre, tolerance or 0.0, *sight.target.meaning)


def same_target(one: Number | None, other: Number | None, blur: float) -> bool:
    if one is None or other is None or (isinstance(one, int) and isinstance(other, int)):
        return one == other
    return abs(one - other) <= blur


def innermost(sight: Sight) -> Fence:
    """Of all levels, for the target as it is."""
    terms = sight.terms
    if not terms.numeric:
        return DISCRETE
    low, high = -LARGEST, LARGEST
    for rule in terms.rules:
        if rule.kind in LEVELS:
            outer, _ = edge(sight, rule)
            low, high = (max(low, outer), high) if rule.kind in LOWER else (low, min(high, outer))
    meaning, plausible = sight.source.meaning, terms.plausible
    if plausible is None:
        return fence(low, high, *meaning)
    return fence(low, high, *meaning, plausible.low, plausible.high)


# Where the source lies


def stirs(sight: Sight, inside: Fence) -> bool:
    """Whether any limit would leave its rest."""
    terms, source, track = sight.terms, sight.source, sight.track
    if terms.numeric:
        value = source.number()
        if value is None or not inside.low <= value <= inside.high:
            return True
    if terms.allowed is not None and source.raw not in terms.allowed:
        return True
    if not terms.measures or track is None:
        return False
    sides = [track.side(rule) for rule in terms.rules if rule.kind in RATES]
    return any(side is not None and side[0] for side in sides)


def side(sight: Sight, machine: Machine) -> tuple[bool, bool] | None:
    """Whether the source is outside the limit, and whether clear of it; None where nobody can say."""
    kind = machine.rule.kind
    if kind is LimitKind.STATE:
        allowed = sight.source.raw in (sight.terms.allowed or ())
        return not allowed, allowed
    if kind in RATES:
        return None if sight.track is None else sight.track.side(machine.rule)
    value = sight.source.number()
    if value is None:
        return None
    if machine.edge is None:
        machine.edge = edge(sight, machine.rule)
    outer, clear = machine.edge
    if kind in LOWER:
        return value < outer, value >= clear
    return value > outer, value <= clear

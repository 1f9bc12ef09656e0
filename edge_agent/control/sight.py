"""What a window sees of its inputs: does it apply, can they be believed, where are its limits."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.config.model import TagRef, Window
from edge_agent.control.excursion import State
from edge_agent.control.inputs import NOT_A_NUMBER, NOT_A_STATE, Input
from edge_agent.control.plausible import Track
from edge_agent.control.terms import Number, Rule, Terms, in_force
from edge_agent.model import Value


class Sight:
    """``track`` is None where the last statements say all that is needed. ``suppressed``: the window did not
    apply when that could last be told."""

    __slots__ = ("references", "source", "suppressed", "target", "terms", "track", "when", "window")

    def __init__(self, window: Window, inputs: Mapping[TagRef, Input], terms: Terms) -> None:
        self.window = window
        self.terms = terms
        self.source = inputs[window.source]
        self.target = inputs[window.target] if isinstance(window.target, TagRef) else None
        self.when = inputs[window.when] if window.when is not None else None
        self.references = tuple(i for i in (self.target, self.when) if i is not None)
        self.track = Track(terms) if terms.remembers else None
        self.suppressed = False

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.source, *self.references)

    def pull(self) -> None:
        self.source.pull()
        for found in self.references:
            found.pull()
        if self.track is not None:
            self.track.pull(self.source)

    def condition(self, now_ns: int) -> tuple[State | None, str]:
        """unknown or suppressed with the reason; None when the window applies."""
        when = self.when
        if when is None:
            return None, ""
        trouble = when.trouble(now_ns, self.terms.max_age_ns)
        state = when.state()
        if trouble or state is None:
            return State.UNKNOWN, f"when {trouble or NOT_A_STATE}"
        called = self.window.when  # as the present configuration calls it
        if not state:
            return State.SUPPRESSED, f"{called} is off"
        grace_ns = self.terms.grace_ns
        if grace_ns and when.risen_ns is not None and now_ns - when.risen_ns < grace_ns:
            return State.SUPPRESSED, f"{called} is on for less than {self.window.grace_s:g} s"
        return None, ""

    def trouble(self, now_ns: int) -> str:
        """Why source and limits cannot be compared; "" when they can."""
        source, target, max_age_ns = self.source, self.target, self.terms.max_age_ns
        trouble = source.trouble(now_ns, max_age_ns)
        if trouble:
            return trouble
        if source.number() is None and (self.terms.numeric or source.value is None):
            return NOT_A_NUMBER
        if self.track is not None and self.track.trouble:
            return self.track.trouble
        if target is not None:
            trouble = target.trouble(now_ns, max_age_ns)
            if trouble or target.number() is None:
                return f"target {trouble or NOT_A_NUMBER}"
        return ""

    def centre(self) -> Number | None:
        """The target as it is now; None where there is none, or nobody knows."""
        fixed = self.window.target
        if isinstance(fixed, TagRef):
            return None if self.target is None else self.target.number()
        return fixed

    def oldest(self, state: State) -> tuple[int, str]:
        """When the input spoke that has been silent for the longest, of those that the state rests
        on, and what its silence is called."""
        oldest_ns, reason = self.source.mono_ns or 0, "stale"
        if not self.references:
            return oldest_ns, reason
        if self.when is not None:
            spoke_ns = self.when.mono_ns or 0
            if state is State.SUPPRESSED or spoke_ns <= oldest_ns:  # the condition is asked first
                oldest_ns, reason = spoke_ns, "when stale"
        if self.target is not None and state is not State.SUPPRESSED:
            spoke_ns = self.target.mono_ns or 0
            if spoke_ns < oldest_ns:
                oldest_ns, reason = spoke_ns, "target stale"
        return oldest_ns, reason

    def limit(self, rule: Rule, now_ns: int) -> Number | None:
        """The limit as it applies now; None while the target it follows is not known."""
        if not rule.follows:
            return in_force(self.window, rule, None)
        target = self.target
        if target is not None and target.trouble(now_ns, self.terms.max_age_ns):
            return None
        return in_force(self.window, rule, self.centre())

    def value(self, now_ns: int) -> Value:
        """The source's value, unless it is bad or too old to be shown as live."""
        source = self.source
        if source.mono_ns is None or now_ns - source.mono_ns > self.terms.max_age_ns:
            return None
        shown = isinstance(source.value, (bool, str)) and not self.terms.numeric
        return source.value if shown else source.number()

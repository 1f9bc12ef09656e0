"""What a window remembers of its source's statements: whether they can be believed, and how fast they change.

``Track`` hears every statement once: in ``pull`` when its window is looked at, in ``step`` when the compiled
check of the poll group finds that nobody needs to look. Where only the statement before matters (``pace``)
those in between are left out: if each step was slow enough, so is their sum. A statement that the device
vouches for (UNCHANGED) is heard as one that repeats the last.
"""

from __future__ import annotations

import math

from edge_agent.config.model import Plausible
from edge_agent.control.inputs import NOT_A_NUMBER, Input, Meaning
from edge_agent.control.limits import LARGEST, edges
from edge_agent.control.rate import Rate, exceeds, rate_of
from edge_agent.control.terms import Number, Rule, Terms
from edge_agent.model import Batch, Value, engineering

RANGE = "implausible_range"
SLOPE = "implausible_slope"
FROZEN = "frozen"

_NOTHING = object()  # equal to no value


class Track:
    """``trouble``: why the last statement is not to be believed, "" if it is."""

    __slots__ = (
        "_changed_ns", "_frozen_ns", "_high", "_last", "_low", "_meaning", "_mono_ns", "_raw",
        "_slope", "heard", "numeric", "plausible", "rates", "trouble",
    )  # fmt: skip

    def __init__(self, terms: Terms) -> None:
        plausible = terms.plausible or Plausible()
        self.plausible = plausible
        self.numeric = terms.numeric
        self.rates: tuple[Rate, ...] = tuple([rate_of(measure) for measure in terms.measures])
        self.trouble = ""
        self._frozen_ns = terms.frozen_ns
        self._slope = None if plausible.slope is None else plausible.slope / 1e9
        self.heard: Batch | None = None
        self._take(Meaning())

    def _begin(self) -> None:
        self._raw: object = _NOTHING
        self._changed_ns = 0  # when the raw value was last another one
        self._mono_ns: int | None = None  # of the last statement that was a number, believed or not
        self._last: Number = 0
        for rate in self.rates:
            rate.forget()

    def pull(self, source: Input) -> None:
        """Hears what the source said last, unless it has been heard."""
        said = source.said
        if said is None or said is self.heard:
            return
        if source.meaning != self._meaning:
            self._take(source.meaning)
        self.heard = said
        assert source.mono_ns is not None  # it has spoken
        if source.usable:
            self._hear(source.raw, source.value, source.mono_ns)
        else:
            self.trouble = ""  # its quality says enough
            self._changed_ns = source.mono_ns
            self._forget_rates()

    def _take(self, meaning: Meaning) -> None:
        """Values before and after a change of scaling or type cannot be compared."""
        self._meaning = meaning
        inside = edges(self.plausible.low, self.plausible.high, 0.0, *meaning)
        self._low, self._high = inside.low, inside.high
        self._begin()

    def pace(self) -> tuple[float, float] | None:
        """The most that a raw value may fall and rise per nanosecond without anybody having to look. None
        where more than the statement before is needed to tell, so that ``step`` must hear each."""
        scaling = self._meaning.scaling
        scale = 1.0 if scaling is None else abs(scaling.scale)
        steady = self._frozen_ns is None and not any(rate.measure.over_ns for rate in self.rates)
        if not (self.numeric and steady and math.isfinite(scale) and scale > 0):
            return None
        slope = math.inf if self._slope is None else self._slope
        rise = min([slope, *[rate.measure.rise for rate in self.rates]]) / scale
        fall = min([slope, *[rate.measure.fall for rate in self.rates]]) / scale
        return (-fall, rise) if scaling is None or scaling.scale > 0 else (-rise, fall)

    def step(self, raw: Value, batch: Batch) -> bool:
        """Hears a statement of usable quality. True: the window must be looked at."""
        self.heard = batch
        scaling = self._meaning.scaling
        value = raw if scaling is None else engineering(raw, scaling)
        return self._hear(raw, value, batch.mono_ns)

    def _hear(self, raw: Value, value: Value, mono_ns: int) -> bool:
        """True where somebody has to look: in trouble, or a rate is perhaps beyond its limit."""
        trouble = ""
        if self._frozen_ns is not None:
            if raw != self._raw:
                self._raw, self._changed_ns = raw, mono_ns
            elif mono_ns - self._changed_ns >= self._frozen_ns:
                trouble = FROZEN
        kind = type(value)
        if kind is float or kind is int:
            if self._slope is not None or not self._low <= value <= self._high:  # type: ignore[operator]
                trouble = self._believe(value, mono_ns) or trouble  # type: ignore[arg-type]
        elif self.numeric:
            trouble = NOT_A_NUMBER
        self.trouble = trouble
        if trouble:
            self._forget_rates()
            return True
        restless = False
        for rate in self.rates:
            if rate.add(mono_ns, value):  # type: ignore[arg-type]  # there are rates of numbers only
                restless = True
        return restless

    def _believe(self, value: Number, mono_ns: int) -> str:
        if not self._low <= value <= self._high:
            if not -LARGEST <= value <= LARGEST:
                return NOT_A_NUMBER if self.numeric else ""
            trouble = RANGE
        else:
            trouble = ""
        slope = self._slope
        if slope is not None:
            before_ns = self._mono_ns
            if before_ns is not None and mono_ns > before_ns:
                elapsed_ns, change = mono_ns - before_ns, abs(value - self._last)
                if change > slope * elapsed_ns and not trouble and self._leaps(change, elapsed_ns, value):
                    trouble = SLOPE
            self._mono_ns, self._last = mono_ns, value
        return trouble

    def _leaps(self, change: Number, elapsed_ns: int, value: Number) -> bool:
        return exceeds(change, self.plausible.slope or 0.0, elapsed_ns, value, self._meaning)

    def _forget_rates(self) -> None:
        for rate in self.rates:
            rate.forget()

    def excuse(self, now_ns: int) -> None:
        """The window does not apply: its source need not move."""
        self._changed_ns = now_ns

    def side(self, rule: Rule) -> tuple[bool, bool] | None:
        """Of RISE and FALL: outside, clear; None while the rate is not known."""
        for rate in self.rates:
            if rate.measure.over_ns == rule.over_ns:
                return rate.side(rule, self._meaning)
        return None

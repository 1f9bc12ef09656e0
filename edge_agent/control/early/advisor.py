"""One window's early warnings as Control drives them: readings in, transitions of EARLY and PATTERN out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edge_agent.config.model import Early, LimitKind
from edge_agent.control.early.watch import EarlyWatch
from edge_agent.control.excursion import Moment, State
from edge_agent.control.inputs import quality_name
from edge_agent.control.terms import LEVELS, LOWER, Number
from edge_agent.control.transition import Change, Transition

if TYPE_CHECKING:
    from edge_agent.control.window import Watcher
    from edge_agent.model import Batch


class Advisor:
    """``watcher`` is looked at after a batch was judged. Silence longer than its ``max_age`` is a gap."""

    __slots__ = ("_heard_ns", "_watch", "watcher")

    def __init__(self, watcher: Watcher, early: Early, active: Iterable[LimitKind] = ()) -> None:
        self.watcher = watcher
        self._watch = EarlyWatch(early)
        self._watch.resume(set(active))
        self._heard_ns: int | None = None

    def hear(self, batch: Batch, at: Moment) -> None:
        watcher = self.watcher
        watcher.pull()
        if watcher.source.mono_ns != batch.mono_ns:
            return  # it said nothing of this tag
        value = watcher.source.number()
        if watcher.state in (State.UNKNOWN, State.SUPPRESSED) or value is None:
            self._watch.interrupt()
            return
        if self._heard_ns is not None and batch.mono_ns - self._heard_ns > watcher.terms.max_age_ns:
            self._watch.interrupt()
        self._heard_ns = batch.mono_ns
        low, high = self._limits(at.now_ns)
        for advice in self._watch.put(batch.mono_ns, value, low, high, watcher.centre() or 0.0):
            change = Change.ALARM if advice.active else Change.RETURN
            self._tell(change, advice.kind, advice.reason, at)

    def _tell(self, change: Change, kind: LimitKind, reason: str, at: Moment) -> None:
        watcher = self.watcher
        source, name = watcher.source, watcher.window.name
        unit, quality = watcher.window.unit or source.unit, quality_name(source.quality)
        watcher.outbox.transitions.append(
            Transition(change, name, kind, at, source.number(), unit=unit, quality=quality, reason=reason)
        )

    def _limits(self, now_ns: int) -> tuple[Number | None, Number | None]:
        """The nearest in force, whoever set them."""
        lows: list[Number] = []
        highs: list[Number] = []
        for rule in self.watcher.terms.rules:
            limit = self.watcher.limit(rule, now_ns) if rule.kind in LEVELS else None
            if limit is not None:
                (lows if rule.kind in LOWER else highs).append(limit)
        return max(lows, default=None), min(highs, default=None)

    def row(self, now_ns: int) -> dict[str, Any]:
        """Minutes until a limit is reached as things are going, Cp and Cpk; None where not known."""
        low, high = self._limits(now_ns)
        minutes = self._watch.minutes_left(low, high, now_ns)
        capability = self._watch.capability(low, high, self.watcher.centre() or 0.0)
        return {
            "minutes_left": None if minutes is None else round(minutes, 1),
            "cp": None if capability is None or capability.cp is None else round(capability.cp, 3),
            "cpk": None if capability is None else round(capability.cpk, 3),
        }

"""One process window: its state, its timers and the one event that every change of state yields.

    unknown ──input good──> in ──outside for on_delay──> out ──inside by deadband for off_delay──> in
       ^                     │                            │
       └── bad, stale ───────┴────────────────────────────┘      (an active excursion stays active)
    any ──`when` false──> suppressed                             (an active excursion ends)

Delays run in sample time: they are started and ended by the time stamps of the source's own statements. When
samples stop no delay expires; the window becomes unknown instead, and pending delays are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from edge_agent.config.model import TagRef, Window
from edge_agent.control.excursion import Excursion, Moment, Spent, State
from edge_agent.control.inputs import NOT_A_NUMBER, NOT_A_STATE, Input, Meaning, quality_name
from edge_agent.control.limits import REGARDLESS, Fence, fence, target_blur
from edge_agent.model import Event

Number = float | int


class Delays(NamedTuple):
    """Of a window, in nanoseconds; windows with the same ones share this."""

    max_age_ns: int
    on_ns: int
    off_ns: int

    @classmethod
    def of(cls, window: Window) -> Delays:
        return cls(
            round(window.max_age_s * 1e9), round(window.on_delay_s * 1e9), round(window.off_delay_s * 1e9)
        )


class Watcher:
    """The life of one ``Window``. Driven by ``Control``; see there for the order of calls. There may be
    thousands, so each holds only what is its own.

    ``bounds``: while the window is quiet, raw values of its source between the raw ones of these change
    nothing (``REGARDLESS``: no value does, as long as its quality stays the same); None while every statement
    must be looked at.
    """

    __slots__ = (
        "_centre", "_fence", "_inside_ns", "_meaning", "_outside_ns", "_starting", "_told", "active",
        "bounds", "config_version", "delays", "excursion", "excursions", "reason", "references", "since_ns",
        "source", "spent", "state", "target", "when", "window",
    )  # fmt: skip

    def __init__(
        self,
        window: Window,
        inputs: Mapping[TagRef, Input],
        delays: Delays,
        config_version: str,
        at: Moment,
        told: State | None,
    ) -> None:
        self.window = window
        self.delays = delays
        self.config_version = config_version
        self.source = inputs[window.source]
        self.target = inputs[window.target] if isinstance(window.target, TagRef) else None
        self.when = inputs[window.when] if window.when is not None else None
        self.references = tuple(i for i in (self.target, self.when) if i is not None)
        self.state = State.UNKNOWN
        self.reason = "waiting"
        self.since_ns = at.time_ns
        self.excursions = 0
        self.excursion: Excursion | None = None  # pending or active
        self.active = False
        self.spent = Spent(at.now_ns)
        self.bounds: Fence | None = None
        self._told = told  # the last state anybody was told of; None: of none yet
        self._starting = True  # unknown only because nothing was read since the start
        self._outside_ns: int | None = None  # since when the on-delay runs
        self._inside_ns: int | None = None  # since when the off-delay runs
        self._centre: Number | None = None
        self._meaning: Meaning | None = None
        self._fence = REGARDLESS  # made of the two at the first look

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (self.source, *self.references)

    # What Control calls

    def lapse(self, at: Moment) -> Event | None:
        """Notices what time alone has made unknown. Before a batch is applied, and at every tick."""
        self._pull()
        verdict, reason = self._verdict(at.now_ns)
        return self._unknown(reason, at) if verdict is State.UNKNOWN else None

    def look(self, at: Moment) -> Event | None:
        """Judges what the inputs say now. After a batch that concerns this window was applied."""
        self._pull()
        verdict, reason = self._verdict(at.now_ns)
        if verdict is State.UNKNOWN:
            return self._unknown(reason, at)
        if verdict is State.SUPPRESSED:
            return self._suppress(reason, at)
        value = self.source.number()
        assert value is not None  # the verdict has said so
        self._follow_target(at)
        event = self._place(value, at)
        quiet = self.state is State.IN and self._outside_ns is None and self._fence.raw_low is not None
        self.bounds = self._fence if quiet and all(i.group is not None for i in self.inputs) else None
        return event

    def account(self, now_ns: int) -> None:
        """Books the time up to now: to the state, but no longer than its inputs were fresh."""
        known_until_ns = now_ns
        if self.state is not State.UNKNOWN:
            self._pull()
            known_until_ns = self._oldest_ns() + self.delays.max_age_ns
        self.spent.account(self.state, known_until_ns, now_ns)

    def _oldest_ns(self) -> int:
        """When the input spoke that has been silent for the longest, of those that the state rests on."""
        if not self.references:
            return self.source.mono_ns or 0
        needed = self.references[-1:] if self.state is State.SUPPRESSED else self.inputs
        return min(found.mono_ns or 0 for found in needed)

    def retire(self, reason: str, at: Moment) -> Event | None:
        """The definition is gone or has changed: an active excursion ends here, and says why."""
        self.account(at.now_ns)
        return self._end(State.UNKNOWN, reason, at) if self.active else None

    @property
    def told(self) -> State | None:
        return self._told if self._starting else self.state

    # Judging

    def _pull(self) -> None:
        self.source.pull()
        for found in self.references:
            found.pull()

    def _verdict(self, now_ns: int) -> tuple[State | None, str]:
        """unknown or suppressed with the reason; None when source and limits can be compared."""
        if self.when is not None:
            trouble = self.when.trouble(now_ns, self.delays.max_age_ns)
            state = self.when.state()
            if trouble or state is None:
                return State.UNKNOWN, f"when {trouble or NOT_A_STATE}"
            if not state:
                return State.SUPPRESSED, f"{self.when.ref} is off"
        trouble = self.source.trouble(now_ns, self.delays.max_age_ns)
        if trouble or self.source.number() is None:
            return State.UNKNOWN, trouble or NOT_A_NUMBER
        if self.target is not None:
            trouble = self.target.trouble(now_ns, self.delays.max_age_ns)
            if trouble or self.target.number() is None:
                return State.UNKNOWN, f"target {trouble or NOT_A_NUMBER}"
        return None, ""

    def limits(self, now_ns: int) -> tuple[Number | None, Number | None]:
        """Low and high as they apply now; both None while the target is not known."""
        window = self.window
        if window.target is None:
            return window.low, window.high
        if self.target is not None and self.target.trouble(now_ns, self.delays.max_age_ns):
            return None, None
        centre = window.target if self.target is None else self.target.number()
        if isinstance(centre, TagRef) or centre is None or window.tolerance is None:
            return None, None
        return centre - window.tolerance, centre + window.tolerance

    def value(self, now_ns: int) -> Number | None:
        """The source's value, unless it is bad or too old to be shown as live."""
        old = self.source.mono_ns is None or now_ns - self.source.mono_ns > self.delays.max_age_ns
        return None if old else self.source.number()

    def _follow_target(self, at: Moment) -> None:
        """New edges when the target or the tag's scaling has changed; a pending on-delay restarts."""
        centre = None if self.target is None else self.target.number()
        meaning = self.source.meaning
        if centre == self._centre and meaning == self._meaning:
            return
        self._centre, self._meaning = centre, meaning
        self._outside_ns = None
        low, high = self.limits(at.now_ns)
        self._fence = fence(low, high, self.window.deadband, *meaning, self._blur(centre))

    def _blur(self, centre: Number | None) -> float | None:
        window = self.window
        if window.target is None:
            return None
        if self.target is None or centre is None:  # a number, as written
            return 0.0
        return target_blur(centre, window.tolerance or 0.0, *self.target.meaning)

    def _place(self, value: Number, at: Moment) -> Event | None:
        edge = self._fence
        if value > edge.high:
            return self._outside(value, "high", at)
        if value < edge.low:
            return self._outside(value, "low", at)
        return self._inside(value, at)

    def _outside(self, value: Number, side: str, at: Moment) -> Event | None:
        self._inside_ns = None
        if self._outside_ns is None:
            self._outside_ns = self._sample_ns(at)
            self.excursion = self.excursion if self.active else None
        if self.excursion is None:
            self.excursion = Excursion(at.time_ns)
        self.excursion.see(value, self._fence.low, self._fence.high)
        if self.active:
            return self._become(State.OUT, side, at)
        if not self._ripe(self._outside_ns, self.delays.on_ns):
            return self._become(State.IN, "", at)
        self.active = True
        self.excursions += 1
        self.excursion.begin(at)
        began = {"begin_ns": at.time_ns, "outside_ns": self.excursion.outside_ns}
        return self._become(State.OUT, side, at, "excursion_begin", began)

    def _inside(self, value: Number, at: Moment) -> Event | None:
        self._outside_ns = None
        if not self.active:
            self.excursion = None
            return self._become(State.IN, "", at)
        if not self._fence.clear_low <= value <= self._fence.clear_high:
            self._inside_ns = None
            return self._become(State.OUT, "not clear of the limit by the deadband", at)
        if self._inside_ns is None:
            self._inside_ns = self._sample_ns(at)
        if self._ripe(self._inside_ns, self.delays.off_ns):
            return self._end(State.IN, "", at)
        return self._become(State.OUT, "inside, off-delay running", at)

    def _sample_ns(self, at: Moment) -> int:
        return max(at.mono_ns, self.source.mono_ns or 0)

    def _ripe(self, since_ns: int, delay_ns: int) -> bool:
        return delay_ns == 0 or (self.source.mono_ns or 0) - since_ns >= delay_ns

    # Changing state

    def _unknown(self, reason: str, at: Moment) -> Event | None:
        self._forget_pending()
        source = self.source
        if not source.usable and source.group is not None and not self.references:
            self.bounds = REGARDLESS  # neither time nor a value can change this, only another quality
        return self._become(State.UNKNOWN, reason, at)

    def _suppress(self, reason: str, at: Moment) -> Event | None:
        self._forget_pending()
        if self.active:
            return self._end(State.SUPPRESSED, "suppressed", at)
        return self._become(State.SUPPRESSED, reason, at)

    def _forget_pending(self) -> None:
        self.bounds = self._outside_ns = self._inside_ns = None
        if not self.active:
            self.excursion = None

    def _end(self, state: State, reason: str, at: Moment) -> Event | None:
        ended = self.excursion
        assert ended is not None  # active implies it
        self.active, self.excursion = False, None
        lasted = {
            "begin_ns": ended.begin_ns,
            "outside_ns": ended.outside_ns,
            "duration_s": max(0, at.mono_ns - ended.begin_mono_ns) / 1e9,
            "extreme": ended.extreme,
        }
        return self._become(state, reason, at, "excursion_end", lasted)

    def _become(
        self, state: State, reason: str, at: Moment, kind: str = "", more: Mapping[str, Any] | None = None
    ) -> Event | None:
        """Enters a state. ``kind`` is given where an excursion begins or ends, else the change tells it."""
        old = self.state
        self.reason = reason
        if state is old and not kind:
            return None
        self.account(at.now_ns)
        if state is not old:
            self.state, self.since_ns = state, at.time_ns
        if self._starting:
            self._starting = False
            if not kind and state is (self._told or State.IN):
                return None  # nothing is repeated that was told before the restart
            old = self._told or old
        return self._event(kind or _kind(old, state), old, at, more or {})

    def _event(self, kind: str, old: State, at: Moment, more: Mapping[str, Any]) -> Event:
        window = self.window
        low, high = self.limits(at.now_ns)
        detail: dict[str, Any] = {
            "old": str(old),
            "new": str(self.state),
            "reason": self.reason,
            "device": window.source.device,
            "tag": window.source.tag,
            "value": self.value(at.now_ns),
            "unit": window.unit or self.source.unit,
            "low": low,
            "high": high,
            "deadband": window.deadband,
            "quality": quality_name(self.source.quality),
            "active": self.active,
        }
        detail.update(more)
        return Event(kind, window.name, at.time_ns, at.mono_ns, self.config_version, detail)

    # For people and for the disk

    def row(self, mono_ns: int, now_ns: int) -> dict[str, Any]:
        """Plain data, with the times up to ``mono_ns``; values and limits as of ``now_ns``."""
        self._pull()
        self.account(mono_ns)
        window = self.window
        low, high = (window.low, window.high) if window.target is None else self.limits(now_ns)
        return {
            "name": window.name,
            "device": window.source.device,
            "tag": window.source.tag,
            "state": str(self.state),
            "reason": self.reason,
            "active": self.active,
            "since_ns": self.since_ns,
            "value": self.value(now_ns),
            "unit": window.unit or self.source.unit,
            "low": low,
            "high": high,
            "seconds": self.spent.seconds(),
            "excursions": self.excursions,
        }

    def as_dict(self, time_ns: int) -> dict[str, Any]:
        """``time_ns``: wall time of the moment up to which time was accounted."""
        active = self.excursion if self.active else None
        return {
            "told": None if self.told is None else str(self.told),
            "time_ns": time_ns,
            "excursions": self.excursions,
            "spent_ns": self.spent.by_state(),
            "excursion": None if active is None else active.as_dict(self.spent.upto_ns),
        }

    def restore(self, saved: Mapping[str, Any], at: Moment) -> None:
        """Takes up what ``as_dict`` gave. The state stays unknown until its inputs are read again; the time
        in between counts as unknown. Raises what malformed data raises, having changed nothing."""
        told = None if saved["told"] is None else State(saved["told"])
        spent = Spent(at.now_ns)
        for state in State:
            spent.add(state, int(saved["spent_ns"][state]))
        excursions = int(saved["excursions"])
        down_ns = max(0, at.time_ns - int(saved["time_ns"]))
        active = saved["excursion"]
        excursion = None if active is None else Excursion.from_dict(active, at.mono_ns, down_ns)
        self._told, self.excursions = told, excursions
        self.excursion, self.active = excursion, excursion is not None
        spent.add(State.UNKNOWN, down_ns)
        self.spent = spent
        self.since_ns = at.time_ns


def _kind(old: State, new: State) -> str:
    if new is State.UNKNOWN:
        return "window_unknown"
    if new is State.SUPPRESSED:
        return "window_suppressed"
    return "window_unsuppressed" if old is State.SUPPRESSED else "window_known"

"""One process window: its state, the machines of its limits, and the one event that every change of state
yields.

    unknown ──input good──> in ──a limit becomes active──> out ──no limit is active──> in
       ^                     │                              │
       └── bad, stale, ──────┴──────────────────────────────┘      (an active excursion stays active)
           not plausible
    any ──`when` false, or true for less than the grace──> suppressed        (an active excursion ends)

Limits are judged while the source, its target and the condition can be believed, also while the window is
suppressed. Otherwise they are held: what is active stays so, delays are forgotten. What changes in limits
goes to the alarms as transitions; at one look SUPPRESS comes before them and UNSUPPRESS after them, so that
what was wrong while the window did not apply is not annunciated when it is over by the time the window
applies.

Where the text of the rules leaves a choice, the simplest was taken: a delay that begins runs from the time of
the source's statement, or from the look that found it where something else caused that look; a condition that
cannot be read is neither true nor false, so it begins no grace when it returns; ages and graces are measured
by the newest moment heard of; BAD_INPUT is judged whenever a window is looked at and at every tick, before a
batch as well as after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.config.model import LimitKind, TagRef, Window
from edge_agent.control.excursion import WAITING, Excursion, Moment, Spent, State
from edge_agent.control.inputs import Input, Meaning, quality_name
from edge_agent.control.limit import Machine, blur_of, innermost, same_target, side, stirs
from edge_agent.control.limits import DISCRETE, REGARDLESS, Fence
from edge_agent.control.outbox import Outbox
from edge_agent.control.shown import facts, kind_of, row, why_out
from edge_agent.control.sight import Sight
from edge_agent.control.terms import PROCESS, Number, Rule, Terms
from edge_agent.control.times import Times
from edge_agent.control.transition import Change, Transition
from edge_agent.model import Event


class Watcher(Sight):
    """The life of one ``Window``. Driven by ``Control``; see there for the order of calls. There may be
    thousands, so each holds only what is its own, and ``machines`` only while a limit is not at rest.

    ``bounds``: while the window is quiet, raw values of its source between the raw ones of these change
    nothing (``REGARDLESS``: no value does, as long as its quality stays the same; ``DISCRETE``: any that is
    allowed); None while every statement must be looked at.
    """

    __slots__ = (
        "_blur", "_centre", "_fence", "_meaning", "_starting", "_told", "active", "bounds", "excursion",
        "excursions", "machines", "outbox", "reason", "since_ns", "spent", "state",
    )  # fmt: skip

    def __init__(
        self,
        window: Window,
        inputs: Mapping[TagRef, Input],
        terms: Terms,
        outbox: Outbox,
        at: Moment,
    ) -> None:
        super().__init__(window, inputs, terms)
        self.outbox = outbox
        self.state = State.UNKNOWN
        self.reason = WAITING
        self.since_ns = at.time_ns
        self.excursions = 0
        self.excursion: Excursion | None = None  # pending or active
        self.active = False
        self.machines: list[Machine] | None = None  # of all limits; None: all are at rest
        self.spent = Spent(at.now_ns)
        self.bounds: Fence | None = None
        self._told: State | None = None  # the last state anybody was told of; None: of none yet
        self._starting = True  # unknown only because nothing was read since the start
        self._centre: Number | None = None
        self._blur = 0.0  # of the centre
        self._meaning: Meaning | None = None
        self._fence = REGARDLESS  # made of the two at the first look

    @property
    def told(self) -> State | None:
        return self._told if self._starting else self.state

    @property
    def active_kinds(self) -> list[LimitKind]:
        return [machine.rule.kind for machine in self.machines or () if machine.active]

    # What Control calls

    def lapse(self, at: Moment) -> Event | None:
        """Notices what time alone has made unknown. Before a batch is applied, and at every tick."""
        self.pull()
        verdict, reason = self.condition(at.now_ns)
        if verdict is None:
            reason = self.trouble(at.now_ns)
            verdict = State.UNKNOWN if reason else None
        if verdict is not State.UNKNOWN:
            self._mind_input(at)
            return None
        event = self._unknown(reason, at)
        self._mind_input(at)
        self._settle(False)
        return event

    def look(self, at: Moment) -> Event | None:
        """Judges what the inputs say now. After a batch that concerns this window was applied."""
        self.pull()
        verdict, reason = self.condition(at.now_ns)
        trouble = self.trouble(at.now_ns) if verdict is not State.UNKNOWN else ""
        lasting = not trouble
        if verdict is State.SUPPRESSED:
            event = self._suppress(reason, trouble, at)
            lasting = lasting and self._rests()
        elif verdict is None and not trouble:
            event = self._place(at)
        else:
            event = self._unknown(reason or trouble, at)
        self._mind_input(at)
        self._settle(lasting)
        return event

    def account(self, now_ns: int) -> None:
        """Books the time up to now: to the state, but no longer than its inputs were fresh."""
        if self.state is State.UNKNOWN:
            self.spent.account(State.UNKNOWN, now_ns, now_ns, self.reason)
            return
        self.pull()
        oldest_ns, reason = self.oldest(self.state)
        self.spent.account(self.state, oldest_ns + self.terms.max_age_ns, now_ns, reason)

    def retire(self, reason: str, at: Moment, kept: Iterable[LimitKind] = ()) -> Event | None:
        """The definition is gone or has changed: an active excursion ends here, and says why; so do active
        limits, but for those of the kinds that are kept."""
        self.account(at.now_ns)
        for machine in self.machines or ():
            if machine.active and machine.rule.kind not in kept:
                machine.active = False
                self._tell(Change.RETURN, at, machine.rule, reason)
        return self._end(State.UNKNOWN, reason, at) if self.active else None

    def inherit(self, old: Watcher) -> None:
        """Takes over what outlasts a change of the definition."""
        self.spent, self.excursions, self.suppressed = old.spent, old.excursions, old.suppressed
        self._told = old.told
        self._activate(old.active_kinds)

    # Judging

    def _place(self, at: Moment) -> Event | None:
        """The window applies, and its limits can be judged."""
        self._evaluate(at)
        if self.suppressed:
            self.suppressed = False
            self._tell(Change.UNSUPPRESS, at)
        return self._in_or_out(at)

    def _in_or_out(self, at: Moment) -> Event | None:
        limits = [machine for machine in self.machines or () if machine.rule.kind in PROCESS]
        out = [machine for machine in limits if machine.active]
        outside = any(machine.outside_ns is not None for machine in limits)
        if out or outside:
            if self.excursion is None:
                self.excursion = Excursion(at.time_ns)
            self._note_extreme(self.excursion)
        elif not self.active:
            self.excursion = None
        if not out and self.active:
            event = self._end(State.IN, "", at)
            if outside:  # already the next one, of another limit
                self.excursion = Excursion(at.time_ns)
                self._note_extreme(self.excursion)
            return event
        if not out:
            return self._become(State.IN, "", at)
        if self.active:
            return self._become(State.OUT, why_out(out), at)
        assert self.excursion is not None  # some limit is active
        self.active = True
        self.excursions += 1
        self.excursion.begin(at)
        began = {"begin_ns": at.time_ns, "outside_ns": self.excursion.outside_ns}
        return self._become(State.OUT, why_out(out), at, "excursion_begin", began)

    def _note_extreme(self, excursion: Excursion) -> None:
        value = self.source.number() if self.terms.numeric else None
        if value is not None and not self._fence.low <= value <= self._fence.high:
            excursion.see(value, self._fence.low, self._fence.high)

    def _evaluate(self, at: Moment) -> None:
        """Every limit but BAD_INPUT by what the source said last."""
        self._follow()
        if self.machines is None and not stirs(self, self._fence):
            return
        sample_ns = self.source.mono_ns or 0
        since_ns = max(at.mono_ns, sample_ns)
        for machine in self._awake():
            if machine.rule.kind is LimitKind.BAD_INPUT:
                continue
            found = side(self, machine)
            if found is None:
                machine.hold()
                continue
            change = machine.judge(*found, sample_ns, since_ns)
            if change is not None:
                self._tell(change, at, machine.rule)

    def _follow(self) -> None:
        """New edges when the target or the tag's scaling has changed; that restarts the delays of the limits
        that follow the target. After a reload the target may have another scaling and be the same, but for
        rounding: 1 * 0.1 - 40 is not quite -399 * 0.1."""
        centre, meaning = self.centre(), self.source.meaning
        if centre == self._centre and meaning == self._meaning:
            return
        blur = blur_of(self)
        moved = meaning != self._meaning or not same_target(centre, self._centre, max(blur, self._blur))
        self._centre, self._meaning, self._blur = centre, meaning, blur
        self._fence = innermost(self)
        for machine in self.machines or ():
            if machine.rule.follows and moved:
                machine.hold()
            machine.edge = None
        if not self.active and all(machine.outside_ns is None for machine in self.machines or ()):
            self.excursion = None

    # The machines of the limits

    def _awake(self) -> list[Machine]:
        if self.machines is None:
            self.machines = [Machine(rule) for rule in self.terms.rules]
        return self.machines

    def _activate(self, kinds: Iterable[LimitKind]) -> None:
        known = set(kinds) & {rule.kind for rule in self.terms.rules}
        for machine in self._awake() if known else ():
            machine.active = machine.rule.kind in known

    def _hold(self) -> None:
        for machine in self.machines or ():
            if machine.rule.kind is not LimitKind.BAD_INPUT:
                machine.hold()

    def _mind_input(self, at: Moment) -> None:
        """BAD_INPUT: its delays run on the monotonic clock."""
        rule = self.terms.bad_input
        unknown = self.state is State.UNKNOWN
        if rule is None or (self.machines is None and not unknown):
            return
        change = self._awake()[-1].judge(unknown, not unknown, at.now_ns, at.now_ns)
        if change is not None:
            self._tell(change, at, rule, self.reason)

    # Being quiet

    def _settle(self, lasting: bool) -> None:
        """Lets go of machines that are all at rest, and decides what may happen unnoticed. ``lasting``: time
        does not end the state while the inputs are fresh."""
        if self.machines is not None and all(machine.at_rest for machine in self.machines):
            self.machines = None
        if self.state is State.UNKNOWN:
            self.bounds = REGARDLESS if self._stuck() else None
            return
        promised = self._fence.raw_low is not None or self._fence is DISCRETE
        quiet = lasting and promised and self.machines is None
        self.bounds = self._fence if quiet and all(i.group is not None for i in self.inputs) else None

    def _stuck(self) -> bool:
        """Whether neither time nor a value can end this, only another quality."""
        source = self.source
        if source.usable or source.group is None or self.references:
            return False
        return self.terms.bad_input is None or LimitKind.BAD_INPUT in self.active_kinds

    def _rests(self) -> bool:
        """Of a suppressed window: whether that does not depend on time, and its source may stand still."""
        return self.when is not None and not self.when.state() and self.terms.frozen_ns is None

    # Changing state

    def _unknown(self, reason: str, at: Moment) -> Event | None:
        self._hold()
        if not self.active:
            self.excursion = None
        return self._become(State.UNKNOWN, reason, at)

    def _suppress(self, reason: str, trouble: str, at: Moment) -> Event | None:
        if not self.suppressed:
            self.suppressed = True
            self._tell(Change.SUPPRESS, at, reason=reason)
        if trouble:
            self._hold()
        else:
            self._evaluate(at)
        if self.track is not None:
            self.track.excuse(at.now_ns)
        if self.active:
            event = self._end(State.SUPPRESSED, "suppressed", at)
            self.reason = reason
            return event
        self.excursion = None
        return self._become(State.SUPPRESSED, reason, at)

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
        if state is old and not kind:
            if reason != self.reason:
                if state is State.UNKNOWN:
                    self.account(at.now_ns)  # to the reason it was
                self.reason = reason
            return None
        self.account(at.now_ns)
        self.reason = reason
        if state is not old:
            self.state, self.since_ns = state, at.time_ns
        if self._starting:
            self._starting = False
            if not kind and state is (self._told or State.IN):
                return None  # nothing is repeated that was told before the restart
            old = self._told or old
        return self._event(kind or kind_of(old, state), old, at, more or {})

    # Telling

    def _event(self, kind: str, old: State, at: Moment, more: Mapping[str, Any]) -> Event:
        self.outbox.touched[self.window.name] = None
        detail = {"old": str(old), "new": str(self.state), "reason": self.reason, **facts(self, at), **more}
        return Event(kind, self.window.name, at.time_ns, at.mono_ns, self.outbox.config_version, detail)

    def _tell(self, change: Change, at: Moment, rule: Rule | None = None, reason: str = "") -> None:
        self.outbox.touched[self.window.name] = None
        limit = None if rule is None else self.limit(rule, at.now_ns)
        self.outbox.transitions.append(
            Transition(
                change,
                self.window.name,
                None if rule is None else rule.kind,
                at,
                self.value(at.now_ns),
                limit,
                0.0 if rule is None else rule.deadband,
                self.window.unit or self.source.unit,
                quality_name(self.source.quality),
                reason,
            )
        )

    def row(self, mono_ns: int, now_ns: int) -> dict[str, Any]:
        """Plain data, with the times up to ``mono_ns``; values and limits as of ``now_ns``."""
        return row(self, mono_ns, now_ns)

    # For the disk

    def as_dict(self, time_ns: int) -> dict[str, Any]:
        """``time_ns``: wall time of the moment up to which time was accounted."""
        active = self.excursion if self.active else None
        return {
            "told": None if self.told is None else str(self.told),
            "time_ns": time_ns,
            "excursions": self.excursions,
            "spent_ns": self.spent.by_state(),
            "unknown_ns": self.spent.by_reason(),
            "excursion": None if active is None else active.as_dict(self.spent.upto_ns),
            "limits": [str(kind) for kind in self.active_kinds],
            "suppressed": self.suppressed,
        }

    def recount(self, times: Times, down_ns: int, at: Moment) -> None:
        """Takes up sums of time that are newer than those of ``restore``; so long ago they were taken."""
        spent = Spent(at.now_ns)
        by_state = {"in": times.in_ns, "out": times.out_ns, "unknown": times.unknown_ns}
        spent.restore(by_state | {"suppressed": times.suppressed_ns}, times.unknown_by)
        spent.add_unknown(WAITING, down_ns)
        self.spent, self.excursions = spent, max(self.excursions, times.excursions)

    def restore(self, saved: Mapping[str, Any], at: Moment) -> None:
        """Takes up what ``as_dict`` gave. The state stays unknown until its inputs are read again; the time
        in between counts as unknown. Raises what malformed data raises, having changed nothing."""
        told = None if saved["told"] is None else State(saved["told"])
        spent = Spent(at.now_ns)
        spent.restore(saved["spent_ns"], saved.get("unknown_ns", {}))
        excursions = int(saved["excursions"])
        down_ns = max(0, at.time_ns - int(saved["time_ns"]))
        active = saved["excursion"]
        excursion = None if active is None else Excursion.from_dict(active, at.mono_ns, down_ns)
        kinds = [LimitKind(kind) for kind in saved.get("limits", ())]
        self._told, self.excursions = told, excursions
        self.excursion, self.active = excursion, excursion is not None
        self.suppressed = bool(saved.get("suppressed", False))
        self._activate(kinds)
        spent.add_unknown(WAITING, down_ns)
        self.spent = spent
        self.since_ns = at.time_ns

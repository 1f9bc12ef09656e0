"""The windows a second time, simple and slow: every statement is kept, every concerned window is judged anew
with every batch, and values are compared as the decimal fractions a person would write. Shares no code with
``edge_agent.control``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any

from edge_agent.config.model import Limit, LimitKind, TagRef, Window
from edge_agent.model import Batch, Quality, Scaling, Value, ValueType

TIE = Fraction(1, 100_000)
UPPER = (LimitKind.HIGH, LimitKind.HIHI)
LEVELS = (*UPPER, LimitKind.LOW, LimitKind.LOLO)
RATES = (LimitKind.RISE, LimitKind.FALL)
ROUNDING = Fraction(1, 10**9)  # what a float32 leaves of six digits does not count in a difference


@cache
def written(number: float) -> Fraction:
    """0.1 means one tenth here, not the binary number next to it."""
    return Fraction(str(number))


def meant(raw: Value, type_: ValueType, scaling: Scaling | None) -> Fraction | bool | str | None:
    if isinstance(raw, (bool, str)):
        return raw
    if not isinstance(raw, (int, float)) or not math.isfinite(raw):
        return None
    plain = written(float(f"{raw:.6g}")) if type_ is ValueType.FLOAT32 else written(raw)
    return plain if scaling is None else plain * written(scaling.scale) + written(scaling.offset)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


@dataclass
class Said:
    quality: int
    raw: Value
    value: Fraction | bool | str | None
    mono_ns: int

    @property
    def usable(self) -> bool:
        return self.quality < 0x40 or self.quality == Quality.UNCERTAIN_SOURCE_TIME


@dataclass
class Machine:
    """Of one limit."""

    limit: Limit
    active: bool = False
    outside_ns: int | None = None
    clear_ns: int | None = None

    def hold(self) -> None:
        self.outside_ns = self.clear_ns = None

    def judge(self, outside: bool, clear: bool, at_ns: int, since_ns: int) -> str:
        if outside:
            self.clear_ns = None
            self.outside_ns = since_ns if self.outside_ns is None else self.outside_ns
            delay_ns = ns(self.limit.on_delay_s)
            if not self.active and (delay_ns == 0 or at_ns - self.outside_ns >= delay_ns):
                self.active = True
                return "alarm"
            return ""
        self.outside_ns = None
        if not clear:
            self.clear_ns = None
        elif self.active:
            self.clear_ns = since_ns if self.clear_ns is None else self.clear_ns
            delay_ns = ns(self.limit.off_delay_s)
            if delay_ns == 0 or at_ns - self.clear_ns >= delay_ns:
                self.active, self.clear_ns = False, None
                return "return"
        return ""


@dataclass
class Status:
    window: Window
    upto_ns: int
    state: str = "unknown"
    reason: str = "waiting"
    active: bool = False
    suppressed: bool = False
    excursions: int = 0
    starting: bool = True
    told: str | None = None
    target: Fraction | None = None
    pending: bool = False
    outside_wall_ns: int = 0
    begin_ns: int = 0
    begin_mono_ns: int = 0
    extreme: list[float] = field(default_factory=list)  # several where they lie equally far outside
    beyond: Fraction = Fraction(-1)
    spent: dict[str, int] = field(default_factory=lambda: {"in": 0, "out": 0, "unknown": 0, "suppressed": 0})
    unknown_by: dict[str, int] = field(default_factory=dict)
    machines: list[Machine] = field(default_factory=list)
    before: Said | None = None  # the usable number before
    raw: object = None
    changed_ns: int | None = None
    heard: bool = False
    doubt: str = ""
    history: list[tuple[int, Fraction]] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = (*LEVELS, *RATES, LimitKind.STATE, LimitKind.BAD_INPUT)
        self.machines = [Machine(limit) for limit in self.window.limits if limit.kind in known]
        self.machines.sort(key=lambda machine: machine.limit.kind is LimitKind.BAD_INPUT)

    @property
    def refs(self) -> list[TagRef]:
        return [
            r for r in (self.window.source, self.window.target, self.window.when) if isinstance(r, TagRef)
        ]

    @property
    def max_age_ns(self) -> int:
        return ns(self.window.max_age_s)

    @property
    def numeric(self) -> bool:
        kinds = {machine.limit.kind for machine in self.machines}
        return LimitKind.STATE not in kinds or any(kind in kinds for kind in (*LEVELS, *RATES))

    @property
    def process(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.limit.kind is not LimitKind.BAD_INPUT]

    def hear(self, said: Said) -> None:
        """One statement of the source: can it be believed?"""
        if not said.usable:
            self.doubt, self.changed_ns, self.history = "", said.mono_ns, []
            return
        if not self.heard or said.raw != self.raw:
            self.heard, self.raw, self.changed_ns = True, said.raw, said.mono_ns
        self.doubt = self.doubts(said)
        if isinstance(said.value, Fraction) and not isinstance(said.value, bool):
            self.before = said
        if self.doubt or not isinstance(said.value, Fraction):
            self.history = []
        else:
            self.history.append((said.mono_ns, said.value))

    def doubts(self, said: Said) -> str:
        plausible, value = self.window.plausible, said.value
        if self.numeric and not isinstance(value, Fraction):
            return "not_a_number"
        if plausible is None:
            return ""
        if isinstance(value, Fraction):
            low, high = plausible.low, plausible.high
            if (low is not None and value < written(low)) or (high is not None and value > written(high)):
                return "implausible_range"
            if plausible.slope is not None and self.before is not None:
                span_ns = said.mono_ns - self.before.mono_ns
                assert isinstance(self.before.value, Fraction)
                step = abs(value - self.before.value) - ROUNDING
                if span_ns > 0 and step > written(plausible.slope) * span_ns / 10**9:
                    return "implausible_slope"
        if plausible.frozen_s is not None and self.changed_ns is not None:
            if said.mono_ns - self.changed_ns >= ns(plausible.frozen_s):
                return "frozen"
        return ""

    def rate(self, limit: Limit) -> tuple[Fraction, int] | None:
        """Change and time of the last statement."""
        if len(self.history) < 2:
            return None
        now_ns, value = self.history[-1]
        over_ns = ns(limit.over_s)
        past = [self.history[-2]] if not over_ns else [h for h in self.history if now_ns - h[0] <= over_ns]
        span_ns = now_ns - past[0][0]
        return None if span_ns == 0 or span_ns * 2 < over_ns else (value - past[0][1], span_ns)


Told = tuple[str, str, int, str, str, dict[str, Any]]  # kind, window, mono_ns, old, new, times and extreme
Change = tuple[str, str, str, int]  # change, window, kind, mono_ns


class Naive:
    def __init__(self, windows: Sequence[Window], mono_ns: int) -> None:
        self.now_ns = mono_ns
        self.said: dict[TagRef, Said] = {}
        self.risen: dict[TagRef, int] = {}  # since when a condition is true
        self.newest: dict[tuple[str, str], int] = {}
        self.all = {w.name: Status(w, mono_ns) for w in windows}
        self.out: list[Told] = []
        self.changes: list[Change] = []
        self.readers: dict[TagRef, list[Status]] = {}

    def on_batch(self, batch: Batch) -> list[Told]:
        self.out, self.changes = [], []
        schema = batch.schema
        key = (schema.device, schema.group)
        if batch.mono_ns < self.newest.get(key, 0):
            return []
        self.newest[key] = batch.mono_ns
        self.now_ns = max(self.now_ns, batch.mono_ns)
        tags = [TagRef(schema.device, name) for name in schema.names]
        concerned = [s for s in self.all.values() if set(s.refs) & set(tags)]
        for status in concerned:
            self.lapse(status, batch.mono_ns, batch.time_ns)
        wanted = {ref for status in self.all.values() for ref in status.refs}
        self.readers = {}
        for status in self.all.values():
            self.readers.setdefault(status.window.source, []).append(status)
        for index, tag in enumerate(tags):
            quality = batch.quality[index]
            if quality == Quality.UNCHANGED and tag in self.said:
                self.said[tag].mono_ns = batch.mono_ns
                self.hear(tag, self.said[tag])
            if tag in wanted and quality < 0xC0:
                raw = batch.values[index] if quality < 0x80 else None
                value = meant(raw, schema.types[index], schema.scaling[index])
                self.said[tag] = Said(quality, raw, value, batch.mono_ns)
                self.hear(tag, self.said[tag])
        for status in concerned:
            self.judge(status, batch.mono_ns, batch.time_ns)
        return self.out

    def hear(self, tag: TagRef, said: Said) -> None:
        state = self.on(said)
        if said.usable and state is False:
            self.risen.pop(tag, None)
        elif said.usable and state:
            self.risen.setdefault(tag, said.mono_ns)
        for status in self.readers.get(tag, ()):
            status.hear(Said(said.quality, said.raw, said.value, said.mono_ns))

    @staticmethod
    def on(said: Said) -> bool | None:
        return said.value != 0 if isinstance(said.value, (bool, Fraction)) else None

    def tick(self, mono_ns: int, time_ns: int) -> list[Told]:
        self.out, self.changes = [], []
        self.now_ns = max(self.now_ns, mono_ns)
        for status in self.all.values():
            self.lapse(status, mono_ns, time_ns)
            self.account(status, self.now_ns)
        return self.out

    def reconfigure(self, windows: Sequence[Window], mono_ns: int, time_ns: int) -> list[Told]:
        self.out, self.changes = [], []
        self.now_ns = max(self.now_ns, mono_ns)
        before, self.all = self.all, {}
        for window in windows:
            old = before.pop(window.name, None)
            if old is not None and old.window == window:
                self.all[window.name] = old
                continue
            new = Status(window, self.now_ns)
            if window.source in self.said:
                said = self.said[window.source]
                new.hear(Said(said.quality, said.raw, said.value, said.mono_ns))
            if old is not None:
                self.leave(old, "changed", mono_ns, time_ns, [m.limit.kind for m in new.machines])
                new.told = old.told if old.starting else old.state
                new.spent, new.upto_ns, new.excursions = old.spent, old.upto_ns, old.excursions
                new.unknown_by, new.suppressed = old.unknown_by, old.suppressed
                active = [m.limit.kind for m in old.machines if m.active]
                for machine in new.machines:
                    machine.active = machine.limit.kind in active
            self.all[window.name] = new
        for old in before.values():
            self.leave(old, "removed", mono_ns, time_ns, [])
        wanted = {ref for status in self.all.values() for ref in status.refs}
        self.said = {ref: said for ref, said in self.said.items() if ref in wanted}
        self.risen = {ref: since for ref, since in self.risen.items() if ref in wanted}
        return self.out

    def leave(
        self, status: Status, reason: str, mono_ns: int, time_ns: int, kept: Sequence[LimitKind]
    ) -> None:
        self.account(status, self.now_ns)
        for machine in status.machines:
            if machine.active and machine.limit.kind not in kept:
                self.changes.append(("return", status.window.name, str(machine.limit.kind), mono_ns))
        if status.active:
            self.end(status, "unknown", reason, mono_ns, time_ns)

    def restart(self, mono_ns: int, down_ns: int, mono_of_snapshot_ns: int) -> None:
        """The agent was gone for ``down_ns`` (since the snapshot); ``mono_ns`` is the new process's clock."""
        self.said, self.risen, self.newest, self.now_ns = {}, {}, {}, mono_ns
        for name, old in self.all.items():
            new = Status(old.window, mono_ns, active=old.active, excursions=old.excursions)
            new.told = old.told if old.starting else old.state
            new.suppressed = old.suppressed
            for machine, before in zip(new.machines, old.machines, strict=True):
                machine.active = before.active
            idle_ns = mono_of_snapshot_ns - old.upto_ns  # not accounted yet when the snapshot was taken
            new.spent, new.unknown_by = dict(old.spent), dict(old.unknown_by)
            new.spent["unknown"] += down_ns + idle_ns
            new.unknown_by["waiting"] = new.unknown_by.get("waiting", 0) + down_ns + idle_ns
            new.extreme, new.beyond, new.begin_ns = old.extreme, old.beyond, old.begin_ns
            new.outside_wall_ns = old.outside_wall_ns
            lasted = mono_of_snapshot_ns - old.begin_mono_ns
            new.begin_mono_ns = mono_ns - lasted - down_ns
            self.all[name] = new

    def trouble(self, ref: TagRef, status: Status) -> str:
        said = self.said.get(ref)
        if said is None:
            return "waiting"
        if not said.usable:
            return Quality(said.quality).name.lower()
        return "stale" if self.now_ns - said.mono_ns > status.max_age_ns else ""

    def condition(self, status: Status) -> tuple[str, str]:
        when = status.window.when
        if when is None:
            return "", ""
        why = self.trouble(when, status)
        state = None if why else self.on(self.said[when])
        if state is None:
            return "unknown", f"when {why or 'not_a_boolean'}"
        if not state:
            return "suppressed", f"{when} is off"
        if self.now_ns - self.risen[when] < ns(status.window.grace_s):
            return "suppressed", f"{when} is on for less than {status.window.grace_s:g} s"
        return "", ""

    def doubt(self, status: Status) -> str:
        """Why source and limits cannot be compared."""
        window = status.window
        why = self.trouble(window.source, status)
        if why:
            return why
        if self.said[window.source].raw is None or (
            status.numeric and not isinstance(self.said[window.source].value, Fraction)
        ):
            return "not_a_number"
        if status.doubt:
            return status.doubt
        if isinstance(window.target, TagRef):
            why = self.trouble(window.target, status)
            if why or not isinstance(self.said[window.target].value, Fraction):
                return f"target {why or 'not_a_number'}"
        return ""

    def lapse(self, status: Status, mono_ns: int, time_ns: int) -> None:
        state, reason = self.condition(status)
        reason = reason if state else self.doubt(status)
        if state == "unknown" or (not state and reason):
            self.unknown(status, reason, mono_ns, time_ns)
        self.mind_input(status, mono_ns)

    def mind_input(self, status: Status, mono_ns: int) -> None:
        for machine in status.machines:
            if machine.limit.kind is LimitKind.BAD_INPUT:
                unknown = status.state == "unknown"
                change = machine.judge(unknown, not unknown, self.now_ns, self.now_ns)
                self.change(status, change, "bad_input", mono_ns)

    def change(self, status: Status, change: str, kind: str, mono_ns: int) -> None:
        if change:
            self.changes.append((change, status.window.name, kind, mono_ns))

    def hold(self, status: Status) -> None:
        for machine in status.process:
            machine.hold()

    def unknown(self, status: Status, reason: str, mono_ns: int, time_ns: int) -> None:
        self.hold(status)
        status.pending = False
        self.become(status, "unknown", reason, mono_ns, time_ns)

    def judge(self, status: Status, mono_ns: int, time_ns: int) -> None:
        state, reason = self.condition(status)
        doubt = self.doubt(status) if state != "unknown" else ""
        if state == "suppressed":
            if not status.suppressed:
                status.suppressed = True
                self.change(status, "suppress", "", mono_ns)
            if doubt:
                self.hold(status)
            else:
                self.compare(status, mono_ns, time_ns)
            status.changed_ns, status.pending = self.now_ns, False
            if status.active:
                self.end(status, "suppressed", "suppressed", mono_ns, time_ns)
                status.reason = reason
            else:
                self.become(status, "suppressed", reason, mono_ns, time_ns)
        elif state == "unknown" or doubt:
            self.unknown(status, reason or doubt, mono_ns, time_ns)
        else:
            beyond = self.compare(status, mono_ns, time_ns)
            if status.suppressed:
                status.suppressed = False
                self.change(status, "unsuppress", "", mono_ns)
            self.settle(status, beyond, mono_ns, time_ns)
        self.mind_input(status, mono_ns)

    def compare(self, status: Status, mono_ns: int, time_ns: int) -> Fraction:
        """Judges every limit; returns how far the value lies beyond the innermost one."""
        said = self.said[status.window.source]
        self.follow(status)
        since_ns = max(mono_ns, said.mono_ns)
        furthest = Fraction(-1)
        for machine in status.process:
            limit = machine.limit
            if limit.kind is LimitKind.STATE:
                allowed = said.raw in status.window.allowed
                change = machine.judge(not allowed, allowed, said.mono_ns, since_ns)
            elif limit.kind in RATES:
                rate = status.rate(limit)
                if rate is None:
                    machine.hold()
                    continue
                assert limit.value is not None
                moved = rate[0] if limit.kind is LimitKind.RISE else -rate[0]
                most = written(limit.value) * rate[1] / 10**9 + ROUNDING
                clear = (written(limit.value) - written(limit.deadband)) * rate[1] / 10**9 + ROUNDING
                change = machine.judge(moved > most, moved <= clear, said.mono_ns, since_ns)
            else:
                assert isinstance(said.value, Fraction)
                sign = 1 if limit.kind in UPPER else -1
                beyond = sign * (said.value - self.limit(status, limit))
                furthest = max(furthest, beyond)
                clear_of_it = beyond <= -written(limit.deadband)
                change = machine.judge(beyond > 0, clear_of_it, said.mono_ns, since_ns)
            self.change(status, change, str(limit.kind), mono_ns)
        return furthest

    def centre(self, status: Status) -> Fraction | None:
        target = status.window.target
        if isinstance(target, TagRef):
            centre = self.said[target].value
            assert isinstance(centre, Fraction)
            return centre
        return None if target is None else written(target)

    def follow(self, status: Status) -> None:
        centre = self.centre(status)
        if status.target is not None and centre != status.target:
            for machine in status.process:
                if machine.limit.kind in LEVELS and machine.limit.tolerance is not None:
                    machine.hold()
            if all(machine.outside_ns is None for machine in status.machines):
                status.pending = False
        status.target = centre

    def limit(self, status: Status, limit: Limit) -> Fraction:
        if limit.tolerance is None:
            assert limit.value is not None
            return written(limit.value)
        centre = self.centre(status)
        assert centre is not None
        sign = 1 if limit.kind in UPPER else -1
        return centre + sign * written(limit.tolerance)

    def settle(self, status: Status, beyond: Fraction, mono_ns: int, time_ns: int) -> None:
        out = any(machine.active for machine in status.process)
        outside = any(machine.outside_ns is not None for machine in status.process)
        if not status.active and (out or outside) and not status.pending:
            status.pending = True
            status.outside_wall_ns, status.extreme, status.beyond = time_ns, [], Fraction(-1)
        if (out or outside) and beyond > 0:
            value = self.said[status.window.source].value
            if beyond > status.beyond + TIE:
                status.extreme, status.beyond = [], beyond
            if beyond > status.beyond - TIE and isinstance(value, Fraction):
                status.extreme = [*status.extreme, float(value)]
        if out and status.active:
            self.become(status, "out", None, mono_ns, time_ns)
        elif out:
            status.active, status.pending = True, False
            status.excursions += 1
            status.begin_ns, status.begin_mono_ns = time_ns, mono_ns
            self.become(status, "out", None, mono_ns, time_ns, "excursion_begin")
        elif status.active:
            self.end(status, "in", "", mono_ns, time_ns)
            if outside:  # already the next one, of another limit
                self.settle(status, beyond, mono_ns, time_ns)
        else:
            status.pending = outside
            self.become(status, "in", "", mono_ns, time_ns)

    def end(self, status: Status, state: str, reason: str, mono_ns: int, time_ns: int) -> None:
        status.active = False
        self.become(status, state, reason, mono_ns, time_ns, "excursion_end")

    def become(
        self, status: Status, state: str, reason: str | None, mono_ns: int, time_ns: int, kind: str = ""
    ) -> None:
        """``reason`` None: one of the texts of "out", which are not compared."""
        old = status.state
        shown = "*" if reason is None else reason
        if old == state and not kind:
            if shown != status.reason:
                self.account(status, self.now_ns)
            status.reason = shown
            return
        self.account(status, self.now_ns)
        status.state, status.reason = state, shown
        if status.starting:
            status.starting = False
            if not kind and state == (status.told or "in"):
                return
            old = status.told or old
        if not kind:
            if state in ("unknown", "suppressed"):
                kind = f"window_{state}"
            else:
                kind = "window_unsuppressed" if old == "suppressed" else "window_known"
        more: dict[str, Any] = {}
        if kind.startswith("excursion"):
            more = {"begin_ns": status.begin_ns, "outside_ns": status.outside_wall_ns}
        if kind == "excursion_end":
            more["duration_s"] = max(0, mono_ns - status.begin_mono_ns) / 1e9
            more["extreme"] = status.extreme
        self.out.append((kind, status.window.name, mono_ns, old, state, more))

    def account(self, status: Status, now_ns: int) -> None:
        if now_ns <= status.upto_ns:
            return
        known_until_ns, why = now_ns, status.reason
        if status.state != "unknown":
            window, ends = status.window, []
            if status.state != "suppressed":
                ends.append((self.said[window.source].mono_ns, 1, "stale"))
                if isinstance(window.target, TagRef):
                    ends.append((self.said[window.target].mono_ns, 2, "target stale"))
            if window.when is not None:
                ends.append((self.said[window.when].mono_ns, 0, "when stale"))
            spoke_ns, _, why = min(ends)
            known_until_ns = max(status.upto_ns, min(now_ns, spoke_ns + status.max_age_ns))
        status.spent[status.state] += known_until_ns - status.upto_ns
        status.spent["unknown"] += now_ns - known_until_ns
        unknown_ns = now_ns - (status.upto_ns if status.state == "unknown" else known_until_ns)
        if unknown_ns:
            status.unknown_by[why] = status.unknown_by.get(why, 0) + unknown_ns
        status.upto_ns = now_ns

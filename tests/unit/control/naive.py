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

from edge_agent.config.model import TagRef, Window
from edge_agent.model import Batch, Quality, Scaling, Value, ValueType

TIE = Fraction(1, 100_000)


@cache
def written(number: float) -> Fraction:
    """0.1 means one tenth here, not the binary number next to it."""
    return Fraction(str(number))


def meant(raw: Value, type_: ValueType, scaling: Scaling | None) -> Fraction | bool | None:
    if isinstance(raw, bool):
        return raw
    if not isinstance(raw, (int, float)) or not math.isfinite(raw):
        return None
    plain = written(float(f"{raw:.6g}")) if type_ is ValueType.FLOAT32 else written(raw)
    return plain if scaling is None else plain * written(scaling.scale) + written(scaling.offset)


@dataclass
class Said:
    quality: int
    value: Fraction | bool | None
    mono_ns: int


@dataclass
class Status:
    window: Window
    upto_ns: int
    state: str = "unknown"
    reason: str = "waiting"
    active: bool = False
    excursions: int = 0
    starting: bool = True
    told: str | None = None
    outside_ns: int | None = None
    inside_ns: int | None = None
    target: Fraction | None = None
    outside_wall_ns: int = 0
    begin_ns: int = 0
    begin_mono_ns: int = 0
    extreme: list[float] = field(default_factory=list)  # several where they lie equally far outside
    beyond: Fraction = Fraction(-1)
    spent: dict[str, int] = field(default_factory=lambda: {"in": 0, "out": 0, "unknown": 0, "suppressed": 0})

    @property
    def refs(self) -> list[TagRef]:
        return [
            r for r in (self.window.source, self.window.target, self.window.when) if isinstance(r, TagRef)
        ]

    @property
    def max_age_ns(self) -> int:
        return round(self.window.max_age_s * 1e9)


Told = tuple[str, str, int, str, str, dict[str, Any]]  # kind, window, mono_ns, old, new, times and extreme


class Naive:
    def __init__(self, windows: Sequence[Window], mono_ns: int) -> None:
        self.now_ns = mono_ns
        self.said: dict[TagRef, Said] = {}
        self.newest: dict[tuple[str, str], int] = {}
        self.all = {w.name: Status(w, mono_ns) for w in windows}
        self.out: list[Told] = []

    def on_batch(self, batch: Batch) -> list[Told]:
        self.out = []
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
        for index, tag in enumerate(tags):
            quality = batch.quality[index]
            if quality == Quality.UNCHANGED and tag in self.said:
                self.said[tag].mono_ns = batch.mono_ns
            if tag in wanted and quality < 0xC0:
                value = meant(batch.values[index], schema.types[index], schema.scaling[index])
                self.said[tag] = Said(quality, value if quality < 0x80 else None, batch.mono_ns)
        for status in concerned:
            self.judge(status, batch.mono_ns, batch.time_ns)
        return self.out

    def tick(self, mono_ns: int, time_ns: int) -> list[Told]:
        self.out = []
        self.now_ns = max(self.now_ns, mono_ns)
        for status in self.all.values():
            self.lapse(status, mono_ns, time_ns)
            self.account(status, self.now_ns)
        return self.out

    def reconfigure(self, windows: Sequence[Window], mono_ns: int, time_ns: int) -> list[Told]:
        self.out = []
        self.now_ns = max(self.now_ns, mono_ns)
        before, self.all = self.all, {}
        for window in windows:
            old = before.pop(window.name, None)
            if old is not None and old.window == window:
                self.all[window.name] = old
                continue
            new = Status(window, self.now_ns)
            if old is not None:
                self.leave(old, "changed", mono_ns, time_ns)
                new.told = old.told if old.starting else old.state
                new.spent, new.upto_ns, new.excursions = old.spent, old.upto_ns, old.excursions
            self.all[window.name] = new
        for old in before.values():
            self.leave(old, "removed", mono_ns, time_ns)
        wanted = {ref for status in self.all.values() for ref in status.refs}
        self.said = {ref: said for ref, said in self.said.items() if ref in wanted}
        return self.out

    def leave(self, status: Status, reason: str, mono_ns: int, time_ns: int) -> None:
        self.account(status, self.now_ns)
        if status.active:
            self.end(status, "unknown", reason, mono_ns, time_ns)

    def restart(self, mono_ns: int, down_ns: int, mono_of_snapshot_ns: int) -> None:
        """The agent was gone for ``down_ns`` (since the snapshot); ``mono_ns`` is the new process's clock."""
        self.said, self.newest, self.now_ns = {}, {}, mono_ns
        for name, old in self.all.items():
            new = Status(old.window, mono_ns, active=old.active, excursions=old.excursions)
            new.told = old.told if old.starting else old.state
            idle_ns = mono_of_snapshot_ns - old.upto_ns  # not accounted yet when the snapshot was taken
            new.spent = dict(old.spent)
            new.spent["unknown"] += down_ns + idle_ns
            new.extreme, new.beyond, new.begin_ns = old.extreme, old.beyond, old.begin_ns
            new.outside_wall_ns = old.outside_wall_ns
            lasted = mono_of_snapshot_ns - old.begin_mono_ns
            new.begin_mono_ns = mono_ns - lasted - down_ns
            self.all[name] = new

    def trouble(self, ref: TagRef, status: Status) -> str:
        said = self.said.get(ref)
        if said is None:
            return "waiting"
        if said.quality >= 0x40 and said.quality != Quality.UNCERTAIN_SOURCE_TIME:
            return Quality(said.quality).name.lower()
        return "stale" if self.now_ns - said.mono_ns > status.max_age_ns else ""

    def verdict(self, status: Status) -> tuple[str, str]:
        window = status.window
        if window.when is not None:
            why = self.trouble(window.when, status)
            value = self.said[window.when].value if not why else None
            if why or value is None:
                return "unknown", f"when {why or 'not_a_boolean'}"
            if not value:
                return "suppressed", f"{window.when} is off"
        for ref, prefix in ((window.source, ""), (window.target, "target ")):
            if isinstance(ref, TagRef):
                why = self.trouble(ref, status)
                if why or not isinstance(self.said[ref].value, Fraction):
                    return "unknown", prefix + (why or "not_a_number")
        return "", ""

    def lapse(self, status: Status, mono_ns: int, time_ns: int) -> None:
        state, reason = self.verdict(status)
        if state == "unknown":
            self.unknown(status, reason, mono_ns, time_ns)

    def unknown(self, status: Status, reason: str, mono_ns: int, time_ns: int) -> None:
        status.outside_ns = status.inside_ns = None
        self.become(status, "unknown", reason, mono_ns, time_ns)

    def judge(self, status: Status, mono_ns: int, time_ns: int) -> None:
        state, reason = self.verdict(status)
        if state == "unknown":
            self.unknown(status, reason, mono_ns, time_ns)
        elif state == "suppressed":
            status.outside_ns = status.inside_ns = None
            if status.active:
                self.end(status, "suppressed", "suppressed", mono_ns, time_ns)
            else:
                self.become(status, "suppressed", reason, mono_ns, time_ns)
        else:
            self.compare(status, mono_ns, time_ns)

    def compare(self, status: Status, mono_ns: int, time_ns: int) -> None:
        window = status.window
        said = self.said[window.source]
        value = said.value
        assert isinstance(value, Fraction)
        low, high = self.limits(status)
        deadband = written(window.deadband)
        beyond = max(
            value - high if high is not None else Fraction(-1),
            low - value if low is not None else Fraction(-1),
        )
        clear = (high is None or value <= high - deadband) and (low is None or value >= low + deadband)
        sample_ns = max(mono_ns, said.mono_ns)
        if beyond > 0:
            status.inside_ns = None
            if status.outside_ns is None:
                status.outside_ns = sample_ns
                if not status.active:
                    status.outside_wall_ns, status.extreme, status.beyond = time_ns, [], Fraction(-1)
            if beyond > status.beyond + TIE:
                status.extreme, status.beyond = [], beyond
            if beyond > status.beyond - TIE:
                status.extreme = [*status.extreme, float(value)]
            on_delay_ns = round(window.on_delay_s * 1e9)
            if status.active:
                self.become(status, "out", None, mono_ns, time_ns)
            elif on_delay_ns == 0 or said.mono_ns - status.outside_ns >= on_delay_ns:
                status.active = True
                status.excursions += 1
                status.begin_ns, status.begin_mono_ns = time_ns, mono_ns
                self.become(status, "out", None, mono_ns, time_ns, "excursion_begin")
            else:
                self.become(status, "in", "", mono_ns, time_ns)
            return
        status.outside_ns = None
        if not status.active:
            self.become(status, "in", "", mono_ns, time_ns)
            return
        if not clear:
            status.inside_ns = None
        elif status.inside_ns is None:
            status.inside_ns = sample_ns
        off_delay_ns = round(window.off_delay_s * 1e9)
        if clear and (off_delay_ns == 0 or said.mono_ns - (status.inside_ns or 0) >= off_delay_ns):
            self.end(status, "in", "", mono_ns, time_ns)
        else:
            self.become(status, "out", None, mono_ns, time_ns)

    def limits(self, status: Status) -> tuple[Fraction | None, Fraction | None]:
        window = status.window
        if window.target is None:
            return (
                None if window.low is None else written(window.low),
                None if window.high is None else written(window.high),
            )
        if isinstance(window.target, TagRef):
            centre = self.said[window.target].value
            assert isinstance(centre, Fraction)
        else:
            centre = written(window.target)
        if status.target is not None and centre != status.target:
            status.outside_ns = None
        status.target = centre
        assert window.tolerance is not None
        return centre - written(window.tolerance), centre + written(window.tolerance)

    def end(self, status: Status, state: str, reason: str, mono_ns: int, time_ns: int) -> None:
        status.active, status.inside_ns = False, None
        self.become(status, state, reason, mono_ns, time_ns, "excursion_end")

    def become(
        self, status: Status, state: str, reason: str | None, mono_ns: int, time_ns: int, kind: str = ""
    ) -> None:
        """``reason`` None: one of the texts of "out", which are not compared."""
        old, status.reason = status.state, "*" if reason is None else reason
        if old == state and not kind:
            return
        self.account(status, self.now_ns)
        status.state = state
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
        known_until_ns = now_ns
        if status.state != "unknown":
            refs = [status.window.when] if status.state == "suppressed" else status.refs
            ends = [self.said[ref].mono_ns + status.max_age_ns for ref in refs if ref is not None]
            known_until_ns = max(status.upto_ns, min([now_ns, *ends]))
        status.spent[status.state] += known_until_ns - status.upto_ns
        status.spent["unknown"] += now_ns - known_until_ns
        status.upto_ns = now_ns

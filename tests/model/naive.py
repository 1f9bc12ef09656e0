"""The windows a second time: everything that was said is kept, every window is looked at in full, and numbers
are the decimal fractions a person would write. Shares no code with ``edge_agent.control``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import takewhile

from edge_agent.config.model import Limit, LimitKind, TagRef, Window
from edge_agent.model import Batch
from tests.model.alarms import Alarms, Journal, Told
from tests.model.inputs import Inputs
from tests.model.status import SECOND_NS, Machine, Said, Status, Stored, ns, written

NEVER_OUT = (LimitKind.BAD_INPUT,)
HIGHS = (LimitKind.HIGH, LimitKind.HIHI)
RATES = (LimitKind.RISE, LimitKind.FALL)


class Naive(Inputs):
    def __init__(self, windows: Sequence[Window], version: str, mono_ns: int, time_ns: int) -> None:
        super().__init__(mono_ns)
        self.ahead_ns = time_ns - mono_ns  # wall time minus monotonic time, as of the last tick
        self.version = version
        self.newest: dict[tuple[str, str], int] = {}
        self.out: list[Told] = []
        self.pending: list[tuple[str, str, LimitKind | None]] = []  # for the alarms
        self.alarms = Alarms()
        self.alarms.configure(windows)
        for window in windows:
            self.all[window.name] = self.fresh(window)

    def fresh(self, window: Window) -> Status:
        return Status(window, self.now_ns, self.version, [Machine(limit) for limit in window.limits])

    def come_to(self, mono_ns: int, time_ns: int) -> None:
        self.now_ns = max(self.now_ns, mono_ns)
        self.ahead_ns = time_ns - mono_ns
        self.alarms.at(self.now_ns, self.ahead_ns)

    # ---- what happens -------------------------------------------------------------------------------------

    def on_batch(self, batch: Batch) -> Journal:
        schema = batch.schema
        key = (schema.device, schema.group)
        if batch.mono_ns < self.newest.get(key, 0):
            return self.told()
        self.newest[key] = batch.mono_ns
        self.now_ns = max(self.now_ns, batch.mono_ns)
        self.alarms.at(self.now_ns, batch.time_ns - batch.mono_ns)
        tags = [TagRef(schema.device, name) for name in schema.names]
        for index, tag in enumerate(tags):
            self.interpret(tag, schema.types[index], schema.scaling[index])
        concerned = [s for s in self.all.values() if set(s.refs) & set(tags)]
        for status in concerned:
            self.lapse(status)
        for index, tag in enumerate(tags):
            self.keep(tag, batch, index)
        for status in concerned:
            self.look(status, batch.mono_ns)
        return self.told()

    def tick(self, mono_ns: int, time_ns: int) -> Journal:
        self.come_to(mono_ns, time_ns)
        for status in self.all.values():
            self.lapse(status)
            self.account(status)
        self.tell_alarms()
        self.alarms.tick()
        return self.told()

    def reconfigure(self, windows: Sequence[Window], version: str, mono_ns: int, time_ns: int) -> Journal:
        self.come_to(mono_ns, time_ns)
        self.version = version
        before, self.all = self.all, {}
        for window in windows:
            old = before.pop(window.name, None)
            if old is None:
                self.all[window.name] = self.fresh(window)
            elif old.window == window:
                self.all[window.name] = old
            else:
                self.all[window.name] = self.changed(old, window)
        for old in before.values():
            self.leave(old, "removed", [])
        self.tell_alarms()
        self.alarms.configure(windows)
        wanted = {ref for status in self.all.values() for ref in status.refs}
        self.said = {ref: said for ref, said in self.said.items() if ref in wanted}
        self.risen = {ref: since_ns for ref, since_ns in self.risen.items() if ref in wanted}
        return self.told()

    def changed(self, old: Status, window: Window) -> Status:
        """Times, suppression and what is active go on; all else begins anew."""
        new = self.fresh(window)
        self.leave(old, "changed", [machine.limit.kind for machine in new.machines])
        for machine in new.machines:
            machine.active = machine.limit.kind in old.active
        new.told = old.told if old.starting else old.state
        new.suppression = old.suppression
        new.spent, new.upto_ns, new.excursions = old.spent, old.upto_ns, old.excursions
        new.unknown_by = old.unknown_by
        new.stored, new.touched = old.stored, True
        return new

    def leave(self, old: Status, reason: str, kept: Sequence[LimitKind]) -> None:
        self.account(old)
        for machine in old.machines:
            if machine.active and machine.limit.kind not in kept:
                machine.active = False
                self.pending.append(("goes", old.window.name, machine.limit.kind))
        if old.excursion:
            self.end(old, "unknown", reason)

    def restart(self, mono_ns: int, time_ns: int, *, crash: bool) -> None:
        """A new process, which read what was stored just before; after a crash: with the last event of each
        window. The time in between is unknown."""
        rows = {name: old.stored if crash else self.row(old) for name, old in self.all.items()}
        self.said, self.risen, self.newest = {}, {}, {}
        self.now_ns, self.ahead_ns = mono_ns, time_ns - mono_ns
        for name, stored in rows.items():
            self.all[name] = self.fresh(self.all[name].window)
            if stored is not None:
                self.take_up(self.all[name], stored, time_ns)
        self.alarms.restart(mono_ns, time_ns, crash=crash)

    def row(self, status: Status) -> Stored:
        self.account(status)
        return Stored(
            status.told if status.starting else status.state,
            tuple(status.active),
            status.excursion,
            status.excursions,
            status.suppression,
            dict(status.spent),
            dict(status.unknown_by),
            status.upto_ns + self.ahead_ns,
        )

    def take_up(self, status: Status, stored: Stored, time_ns: int) -> None:
        for machine in status.machines:
            machine.active = machine.limit.kind in stored.active
        status.told, status.suppression = stored.told, stored.suppression
        status.excursion, status.excursions = stored.excursion, stored.excursions
        status.spent = dict(stored.spent)
        status.unknown_by = dict(stored.unknown_by)
        down_ns = max(0, time_ns - stored.wall_ns)
        if down_ns:
            status.spent["unknown"] += down_ns
            status.unknown_by["waiting"] = status.unknown_by.get("waiting", 0) + down_ns
        status.stored = stored

    def command(
        self,
        verb: str,
        name: str,
        user: str,
        comment: str,
        duration_s: float | None,
        mono_ns: int,
        time_ns: int,
    ) -> Journal | None:
        """None: refused."""
        self.come_to(mono_ns, time_ns)
        accepted = self.alarms.command(verb, name, user, comment, duration_s)
        return self.told() if accepted else None

    def told(self) -> Journal:
        """Every event is stored together with the row of its window."""
        for status in self.all.values():
            if status.touched:
                status.touched, status.stored = False, self.row(status)
        self.tell_alarms()
        windows, self.out = self.out, []
        return Journal(windows, self.alarms.told())

    def tell_alarms(self) -> None:
        """Window by window, in the order of the configuration."""
        places = list(self.all)
        pending, self.pending = self.pending, []
        for change, window, kind in sorted(
            pending, key=lambda told: places.index(told[1]) if told[1] in places else len(places)
        ):
            self.alarms.hear(change, window, kind)

    # ---- where the window is ------------------------------------------------------------------------------

    def lapse(self, status: Status) -> None:
        """At ticks, and before anything new is heard: what has become too old is noticed."""
        self.hear(status)
        state, reason = self.verdict(status)
        if state == "unknown":
            self.hold(status)
            self.become(status, "unknown", reason)
        self.judge_bad_input(status)

    def hold(self, status: Status) -> None:
        for machine in status.machines:
            if machine.limit.kind is not LimitKind.BAD_INPUT:
                machine.hold()

    def look(self, status: Status, mono_ns: int) -> None:
        self.hear(status)
        state, reason = self.verdict(status)
        if state == "unknown":
            self.lapse(status)
            return
        if state == "suppressed":
            status.moved_ns = max(status.moved_ns, self.now_ns)
            if not status.suppression:
                status.suppression = True
                self.pending.append(("suppress", status.window.name, None))
        if self.source_trouble(status):
            self.hold(status)
        else:
            self.judge_limits(status, mono_ns)
        if state != "suppressed" and status.suppression:
            status.suppression = False
            self.pending.append(("unsuppress", status.window.name, None))
        if state == "suppressed":
            if status.excursion:
                self.end(status, "suppressed", "suppressed")
            else:
                self.become(status, "suppressed", reason)
        else:
            self.settle(status)
        self.judge_bad_input(status)

    def settle(self, status: Status) -> None:
        out = [m for m in status.machines if m.active and m.limit.kind not in NEVER_OUT]
        if out and not status.excursion:
            status.excursion = True
            status.excursions += 1
            self.become(status, "out", "", "excursion_begin")
        elif out:
            self.become(status, "out", "")
        elif status.excursion:
            self.end(status, "in", "")
        else:
            self.become(status, "in", "")

    # ---- limits -------------------------------------------------------------------------------------------

    def judge_limits(self, status: Status, mono_ns: int) -> None:
        said = self.said[status.window.source]
        target = self.target(status)
        moved = status.target is not None and target != status.target
        rescaled = status.judged_scaling != said.scaling
        status.target, status.judged_scaling = target, said.scaling
        since_ns = max(mono_ns, said.mono_ns)
        for machine in status.machines:
            if machine.limit.kind is LimitKind.BAD_INPUT:
                continue
            if machine.limit.tolerance is not None and (moved or rescaled):
                machine.hold()
            where = self.where(status, machine.limit, said, target)
            if where is None:
                machine.hold()
            elif machine.judge(*where, since_ns, said.mono_ns):
                self.tell(status, machine)

    def target(self, status: Status) -> Decimal | None:
        target = status.window.target
        if isinstance(target, TagRef):
            value = self.said[target].value
            assert isinstance(value, Decimal)
            return value
        return None if target is None else written(target)

    def where(
        self, status: Status, limit: Limit, said: Said, target: Decimal | None
    ) -> tuple[bool, bool] | None:
        """Whether outside, and whether clear; None: cannot be judged now."""
        if limit.kind is LimitKind.STATE:
            outside = said.raw not in status.window.allowed
            return outside, not outside
        if limit.kind in RATES:
            return self.rate(status, limit)
        v = said.value
        assert isinstance(v, Decimal)
        sign = 1 if limit.kind in HIGHS else -1
        if limit.tolerance is not None:
            assert target is not None
            edge = target + sign * written(limit.tolerance)
        else:
            assert limit.value is not None
            edge = written(limit.value)
        return sign * (v - edge) > 0, sign * (v - edge) <= -written(limit.deadband)

    def rate(self, status: Status, limit: Limit) -> tuple[bool, bool] | None:
        assert limit.value is not None
        if len(status.trusted) < 2:
            return None
        t, v = status.trusted[-1]
        over_ns = ns(limit.over_s)
        if over_ns == 0:
            t0, v0 = status.trusted[-2]
        else:
            recent = takewhile(lambda pair: t - pair[0] <= over_ns, reversed(status.trusted))
            t0, v0 = list(recent)[-1]
            if (t - t0) * 2 < over_ns:
                return None
        if t == t0:
            return None
        sign = 1 if limit.kind is LimitKind.RISE else -1
        change = sign * (v - v0) * SECOND_NS
        return (
            change > written(limit.value) * (t - t0),
            change <= (written(limit.value) - written(limit.deadband)) * (t - t0),
        )

    def judge_bad_input(self, status: Status) -> None:
        for machine in status.machines:
            if machine.limit.kind is LimitKind.BAD_INPUT:
                outside = status.state == "unknown"
                if machine.judge(outside, not outside, self.now_ns, self.now_ns):
                    self.tell(status, machine)

    def tell(self, status: Status, machine: Machine) -> None:
        status.touched = True
        change = "comes" if machine.active else "goes"
        self.pending.append((change, status.window.name, machine.limit.kind))

    # ---- what is told, and times --------------------------------------------------------------------------

    def end(self, status: Status, state: str, reason: str) -> None:
        status.excursion = False
        self.become(status, state, reason, "excursion_end")

    def become(self, status: Status, state: str, reason: str, kind: str = "") -> None:
        old = status.state
        self.account(status)
        status.reason = reason
        if old == state and not kind:
            return
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
        status.touched = True
        why = reason if kind == "excursion_end" else ""
        self.out.append((kind, status.window.name, old, state, why, tuple(sorted(status.active))))

    def account_all(self, mono_ns: int) -> None:
        """Somebody looks at the times, up to a moment that no batch has come to yet."""
        for status in self.all.values():
            self.account(status, mono_ns)

    def account(self, status: Status, mono_ns: int = 0) -> None:
        now_ns, upto_ns = max(self.now_ns, mono_ns), status.upto_ns
        if now_ns <= upto_ns:
            return
        reason = status.reason
        if status.state != "unknown":
            until_ns, reason = self.known_until(status)
            until_ns = max(upto_ns, min(now_ns, until_ns))
        else:
            until_ns = upto_ns
        status.spent[status.state] += until_ns - upto_ns
        if until_ns < now_ns:
            status.spent["unknown"] += now_ns - until_ns
            status.unknown_by[reason] = status.unknown_by.get(reason, 0) + now_ns - until_ns
        status.upto_ns = now_ns

    def known_until(self, status: Status) -> tuple[int, str]:
        """When the first of the inputs the state rests on is too old, and what that is called."""
        w = status.window
        inputs: list[tuple[TagRef | float | None, str]] = [(w.when, "when stale")]
        if status.state != "suppressed":
            inputs += [(w.source, "stale"), (w.target, "target stale")]
        ends = [
            (self.said[ref].mono_ns + ns(w.max_age_s), name)
            for ref, name in inputs
            if isinstance(ref, TagRef)
        ]
        return min(ends, key=lambda end: end[0])

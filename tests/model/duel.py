"""One engine and one model live through the same story; after every step both must say the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from edge_agent.control import Control
from edge_agent.control.alarms import AlarmCommand, CommandRefused
from edge_agent.model import Batch, Event, Schema
from tests.model.alarms import Journal, Rung, Told
from tests.model.naive import Naive
from tests.model.story import (
    START_NS,
    WALL_NS,
    Clock,
    GroupKey,
    Line,
    Order,
    Poll,
    Reload,
    Restart,
    Step,
    Tick,
)


class Difference(AssertionError):
    """Engine and model do not agree."""


class Duel:
    """``seen`` counts what was reached: a comparison of silence with silence proves nothing."""

    def __init__(self, line: Line, *, rarely: bool = False) -> None:
        self.line = line
        self.rarely = rarely  # rows are looked at seldom, so that looking cannot be what keeps them right
        self.mono_ns = START_NS
        self.ahead_ns = WALL_NS
        self.version = 0
        self.count = 0
        self.transitions = 0
        self.schemas = self.made_schemas()
        self.control = self.made_control()
        self.model = Naive(line.windows, "v0", self.mono_ns, self.time_ns)
        self.store: dict[str, Any] = {}
        self.seen: Counter[str] = Counter()

    @property
    def time_ns(self) -> int:
        return self.mono_ns + self.ahead_ns

    def made_schemas(self) -> dict[GroupKey, Schema]:
        return {key: Schema.of(*key, f"v{self.version}", tags) for key, tags in self.line.groups}

    def made_control(self) -> Control:
        return Control(self.line.windows, f"v{self.version}", mono_ns=self.mono_ns, time_ns=self.time_ns)

    # ---- steps --------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        self.count += 1
        self.mono_ns += step.after_ns
        if isinstance(step, Poll):
            self.poll(step)
        elif isinstance(step, Tick):
            self.tick()
        elif isinstance(step, Clock):
            self.ahead_ns += step.by_ns
        elif isinstance(step, Order):
            self.order(step)
        elif isinstance(step, Restart):
            self.restart(step)
        elif isinstance(step, Reload):
            self.reload(step)
        if not self.rarely or self.count % 50 == 0:
            self.same_states()

    def poll(self, step: Poll) -> None:
        schema = self.schemas.get(step.group)
        if schema is None or len(schema.names) != len(step.values):
            return
        mono_ns = self.mono_ns - step.late_ns
        batch = Batch(schema, mono_ns + self.ahead_ns, mono_ns, step.values, step.quality)
        self.same_events(self.control.on_batch(batch), self.model.on_batch(batch))

    def tick(self) -> None:
        events = self.control.tick(self.mono_ns, self.time_ns)
        self.same_events(events, self.model.tick(self.mono_ns, self.time_ns))
        if not self.rarely or self.count % 50 == 0:
            self.same_times()

    def order(self, step: Order) -> None:
        command = AlarmCommand(step.verb, step.name, step.user, step.comment, step.duration_s)
        expected = self.model.command(
            step.verb, step.name, step.user, step.comment, step.duration_s, self.mono_ns, self.time_ns
        )
        try:
            events = self.control.command(command, mono_ns=self.mono_ns, time_ns=self.time_ns)
        except CommandRefused as refusal:
            self.seen[f"refused {step.verb}"] += 1
            self.equal("refused", True, expected is None)
            self.equal("sentence", True, len(str(refusal)) > 10)
            return
        if expected is None:
            raise Difference(f"engine accepted {step}: {[e.kind for e in events]}")
        self.seen[f"accepted {step.verb}"] += 1
        self.same_events(events, expected)

    def restart(self, step: Restart) -> None:
        """The old process has just ticked; the new one reads what it left behind."""
        self.tick()
        saved = self.store if step.crash else self.control.snapshot()
        saved = json.loads(json.dumps(saved, allow_nan=False, sort_keys=True))
        self.store = dict(saved)
        wall_ns = self.time_ns + step.down_ns
        self.mono_ns, self.ahead_ns = step.mono_ns, wall_ns - step.mono_ns
        self.control = self.made_control()
        self.control.restore(saved, mono_ns=self.mono_ns, time_ns=wall_ns)
        self.model.restart(self.mono_ns, wall_ns, crash=step.crash)
        self.seen["restarts"] += 1
        self.seen["crashes"] += step.crash
        self.same_times()

    def reload(self, step: Reload) -> None:
        self.line = step.line
        self.version += 1
        self.schemas = self.made_schemas()
        version, mono_ns, time_ns = f"v{self.version}", self.mono_ns, self.time_ns
        windows = step.line.windows
        events = self.control.reconfigure(windows, version, mono_ns=mono_ns, time_ns=time_ns)
        self.same_events(events, self.model.reconfigure(windows, version, mono_ns, time_ns))
        self.seen["reloads"] += 1

    def finish(self) -> None:
        self.tick()
        self.same_states()
        self.same_times()

    # ---- comparisons --------------------------------------------------------------------------------------

    def equal(self, what: str, engine: object, model: object) -> None:
        if engine != model:
            raise Difference(f"{what}\n  engine {engine}\n  model  {model}")

    def same_events(self, events: list[Event], expected: Journal) -> None:
        changed = self.control.changed()
        self.store |= changed
        for name in [name for name, row in self.store.items() if row is None]:
            del self.store[name]
        windows, alarms = told_by(events)
        self.equal(
            "events of windows", sorted(windows, key=by_window), sorted(expected.windows, key=by_window)
        )
        self.equal("events of alarms", alarms, expected.alarms)
        for event in events:
            self.seen[event.kind] += 1
        self.transitions += len(windows) + len(alarms)
        for kind, _, before, after, annunciated in alarms:
            self.seen["annunciated"] += annunciated
            if before == after:
                self.seen[f"{kind} in {before}"] += 1

    def same_states(self) -> None:
        rows = {row["name"]: row for row in self.control.rows(self.mono_ns)}
        self.model.account_all(self.mono_ns)
        self.equal("windows", list(rows), list(self.model.all))
        for name, status in self.model.all.items():
            row = rows[name]
            kinds = sorted(limit["kind"] for limit in row["limits"] if limit["active"])
            engine = (row["state"], category(row), row["active"], row["excursions"], kinds)
            reason = category({"state": status.state, "reason": status.reason})
            active = sorted(status.active)
            model = (status.state, reason, status.excursion, status.excursions, active)
            self.equal(f"window {name}", engine, model)
            self.seen[f"state {status.state}"] += 1
            if status.state == "unknown":
                self.seen[f"reason {reason}"] += 1
            for kind in active:
                self.seen[f"limit {kind}"] += 1
        self.same_alarms()

    def same_alarms(self) -> None:
        book, model = self.control.alarms, self.model.alarms
        self.equal("names of alarms", sorted(book.names()), sorted(model.all))
        held = sorted(row["name"] for row in book.rows())
        self.equal("alarms not at rest", held, sorted(a.name for a in model.all.values() if a.place))
        for name, alarm in model.all.items():
            row = book.get(name)
            assert row is not None
            engine = (book.letter(name), row["first_out"], row["active"])
            self.equal(f"alarm {name}", engine, (alarm.letter, model.is_first(alarm), alarm.active))
            self.seen[f"letter {alarm.letter}"] += 1
            self.seen["first-out"] += model.is_first(alarm)
        outputs = self.line.outputs
        demanded = model.demand(outputs)
        self.equal("outputs", book.demand(outputs), demanded)
        for tag, on in demanded.items():
            self.seen[f"output {tag} {'on' if on else 'off'}"] += 1

    def same_times(self) -> None:
        states = self.control.snapshot()
        for name, status in self.model.all.items():
            if name in states:
                self.equal(f"times of {name}", states[name]["spent_ns"], status.spent)
                self.equal(f"unknown times of {name}", states[name]["unknown_ns"], status.unknown_by)


def category(row: dict[str, Any]) -> str:
    """Why a window is unknown; of the other states the words do not count."""
    return str(row["reason"]) if row["state"] == "unknown" else ""


def told_by(events: Iterable[Event]) -> tuple[list[Told], list[Rung]]:
    windows: list[Told] = []
    alarms: list[Rung] = []
    for e in events:
        detail = e.detail
        json.dumps(dict(detail), allow_nan=False)
        if e.kind.startswith("alarm_"):
            alarms.append((e.kind, e.source, detail["before"], detail["after"], detail["annunciated"]))
        else:
            reason = detail["reason"] if e.kind == "excursion_end" else ""
            limits = tuple(sorted(detail["limits"]))
            windows.append((e.kind, e.source, detail["old"], detail["new"], reason, limits))
    return windows, alarms


def by_window(told: Told) -> str:
    """Windows that a batch concerns alike are looked at in no particular order; those of one keep theirs."""
    return told[1]

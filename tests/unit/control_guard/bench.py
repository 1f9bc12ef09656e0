"""A press with all that may be written to it, facts that can be changed, and a clock that is turned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.config.writing import Heartbeat, Writable, WriteLevel, Writing
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Audit, Guard, Permit, Refusal, Verdict, WriteRequest
from edge_agent.model import Event, Quality, Scaling, Tag, Value, ValueType

S = 1_000_000_000
START_NS = 1_795_000_000 * S

SETPOINT = TagRef("press", "setpoint")  # int16, 0.1 degC a count
PRESSURE = TagRef("press", "pressure_setpoint")  # float32
START = TagRef("press", "start")  # request bit
HORN = TagRef("press", "horn")
BEAT = TagRef("press", "beat")
REMOTE = TagRef("press", "remote")
READY = TagRef("press", "ready")
ZONE = TagRef("press", "zone")
OVEN = TagRef("oven", "setpoint")
OVEN_BEAT = TagRef("oven", "beat")

TAGS = {
    SETPOINT: Tag("setpoint", "hr:0", ValueType.INT16, unit="degC", scaling=Scaling(0.1)),
    PRESSURE: Tag("pressure_setpoint", "hr:1", ValueType.FLOAT32, unit="MPa"),
    START: Tag("start", "co:1", ValueType.BOOL),
    HORN: Tag("horn", "co:2", ValueType.BOOL),
    BEAT: Tag("beat", "hr:5", ValueType.UINT16),
    OVEN: Tag("setpoint", "hr:0", ValueType.INT32),
    OVEN_BEAT: Tag("beat", "co:0", ValueType.BOOL),
}
NEEDS: dict[str, Any] = {"when": (REMOTE, READY), "inputs": (ZONE,)}
WRITABLES = (
    Writable(SETPOINT, low=20.0, high=80.0, max_step=5.0, max_rate=2.0, per_day=10, **NEEDS),
    Writable(PRESSURE, low=0.3, high=0.5, verify_tolerance=0.01, **NEEDS),
    Writable(START, WriteLevel.REQUEST, high=1.0, **NEEDS),
    Writable(HORN, WriteLevel.ALARM, high=1.0, who=("annunciation",), min_interval_s=0.0),
    Writable(OVEN, low=0.0, high=500.0, approve=True, **NEEDS),
    Writable(BEAT, high=65535.0, who=("heartbeat",), min_interval_s=0.0, verify_within_s=0.0),
    Writable(OVEN_BEAT, high=1.0, who=("heartbeat",), min_interval_s=0.0, verify_within_s=0.0),
)
WRITING = Writing(
    WriteLevel.REQUEST, per_day=50, writables=WRITABLES, heartbeats=(Heartbeat(BEAT), Heartbeat(OVEN_BEAT))
)  # fmt: skip


@dataclass
class Plant:
    """Meets ``Facts``. What is not in ``readings`` was never read."""

    readings: dict[TagRef, tuple[Value, int, float]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    critical: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)

    def reading(self, tag: TagRef) -> tuple[Value, int, float] | None:
        return self.readings.get(tag)

    def device_up(self, device: str) -> bool:
        return device not in self.down

    def critical_active(self, device: str) -> bool:
        return device in self.critical

    def heartbeat_ok(self, device: str) -> bool:
        return device not in self.silent


def sound_plant() -> Plant:
    readings: dict[TagRef, tuple[Value, int, float]] = {
        REMOTE: (True, Quality.GOOD, 0.2),
        READY: (True, Quality.GOOD, 0.2),
        ZONE: (612, Quality.GOOD, 0.2),
        SETPOINT: (600, Quality.GOOD, 0.2),
    }
    return Plant(readings)


class Bench:
    """A guard at work. ``held``: what the controllers hold, raw; ``events``, ``states``: all that was to be
    committed."""

    def __init__(self, writing: Writing = WRITING, start_ns: int = START_NS) -> None:
        self.now = Moment(1000 * S, start_ns, 1000 * S)
        numbers = count(1)
        self.guard = Guard(writing, TAGS, "cfg1", random=lambda size: next(numbers).to_bytes(size, "big"))
        self.plant = sound_plant()
        self.held: dict[TagRef, Value] = {
            SETPOINT: 600, PRESSURE: 0.4000000059604645, START: False, HORN: False, OVEN: 200,
        }  # fmt: skip
        self.events: list[Event] = []
        self.states: dict[str, Any] = {}
        self.sent: list[tuple[TagRef, Value]] = []
        self.token = ""

    def wait(self, seconds: float) -> None:
        step = int(seconds * S)
        self.now = Moment(self.now.mono_ns + step, self.now.time_ns + step, self.now.now_ns + step)

    def arm(self, seconds: float = 600.0, user: str = "li") -> None:
        armed = self.guard.arm(user, seconds, self.now)
        self.keep(armed.audit)
        self.token = armed.token

    def keep(self, audit: Audit) -> None:
        self.events += audit.events
        self.states |= audit.states

    def request(self, tag: TagRef = SETPOINT, value: Any = 62.0, **changes: Any) -> WriteRequest:
        return replace(WriteRequest(tag, value, user="li", token=self.token), **changes)

    def judge(self, request: WriteRequest) -> Permit | Refusal:
        decision = self.guard.judge(request, self.plant, self.now)
        self.keep(decision.audit)
        return decision

    def write(self, request: WriteRequest) -> Verdict | Refusal:
        """The executor's part, on controllers that obey at once."""
        decision = self.judge(request)
        if isinstance(decision, Refusal):
            return decision
        decision = self.guard.before(decision, self.held.get(decision.ref), self.now)
        self.keep(decision.audit)
        if isinstance(decision, Refusal):
            return decision
        if not decision.dry_run:
            self.held[decision.ref] = decision.raw
            self.sent.append((decision.ref, decision.raw))
            if decision.ref in self.plant.readings:
                self.plant.readings[decision.ref] = (decision.raw, Quality.GOOD, 0.0)
        verdict = self.guard.verified(decision, self.held.get(decision.ref), self.now)
        self.keep(verdict.audit)
        return verdict

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def armed_bench(writing: Writing = WRITING) -> Bench:
    bench = Bench(writing)
    bench.arm()
    bench.events.clear()
    return bench


def with_writable(tag: TagRef, writing: Writing = WRITING, **changes: Any) -> Writing:
    changed = tuple(replace(w, **changes) if w.tag == tag else w for w in writing.writables)
    return replace(writing, writables=changed)

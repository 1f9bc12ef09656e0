"""Whatever is asked in whatever order: no envelope is left, no budget exceeded, no restart arms."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from edge_agent.config.writing import Writing
from edge_agent.control.guard import Guard, Permit, Refusal
from edge_agent.control.guard.ledger import day_of
from edge_agent.model import Quality, engineering
from tests.unit.control_guard.bench import (
    BEAT,
    HORN,
    OVEN,
    PRESSURE,
    READY,
    REMOTE,
    SETPOINT,
    START,
    TAGS,
    WRITING,
    ZONE,
    Bench,
    with_writable,
)

SEEDS = range(12)
VALUES: list[Any] = [True, False, None, "62", math.nan, math.inf, 0, 1, 10**30, 0.3, 0.5, 0.30000001, -0.0]


def brief(ttl: bool) -> Writing:
    writing = replace(WRITING, per_day=17)
    if ttl:
        writing = with_writable(SETPOINT, writing, ttl_s=40.0, revert=50.0, per_day=9)
        writing = with_writable(PRESSURE, writing, ttl_s=20.0, max_step=0.05, max_rate=0.02)
    return writing


class Random:
    """Does at random what people, controllers and the clock may do; keeps what was sent."""

    def __init__(self, seed: int, writing: Writing) -> None:
        self.draw = random.Random(seed)
        self.bench = Bench(writing)
        self.days: Counter[int] = Counter()
        self.tag_days: Counter[tuple[Any, int]] = Counter()
        self.last: dict[Any, tuple[int, Any]] = {}
        self.names = count(1)

    def turn(self) -> None:
        draw, bench = self.draw, self.bench
        bench.wait(draw.choice([0.1, 0.6, 1.0, 3.0, 30.0, 3000.0]))
        self.meddle()
        bench.keep(bench.guard.tick(bench.now))
        for request in bench.guard.due(bench.now):
            self.carry_out(request)
        tag = draw.choice([SETPOINT, SETPOINT, SETPOINT, PRESSURE, START, HORN, BEAT, ZONE, OVEN])
        request = bench.request(tag, self.value(tag))
        if draw.random() < 0.1:
            request = replace(request, token=draw.choice(["", "AAAA"]))
        if draw.random() < 0.1:
            request = replace(request, who=draw.choice(["uplink:x", "annunciation", "heartbeat"]))
        self.carry_out(request)

    def value(self, tag: Any) -> Any:
        draw = self.draw
        if draw.random() < 0.15:
            return draw.choice(VALUES)
        held = self.bench.held.get(tag)
        now: Any = engineering(held, TAGS[tag].scaling) if tag in TAGS else None
        if isinstance(now, bool):
            return draw.random() < 0.5
        if now is None:
            return draw.uniform(0, 100)
        return now + draw.choice([-1, 1]) * draw.choice([0.01, 0.1, 1.0, 4.9, 5.0, 5.1, 50.0])

    def meddle(self) -> None:
        draw, bench = self.draw, self.bench
        what = draw.random()
        if what < 0.3:
            bench.arm(draw.choice([5.0, 60.0, 3600.0]))
        elif what < 0.33:
            bench.keep(bench.guard.disarm("wang", bench.now))
        elif what < 0.36:
            self.restart()
        elif what < 0.4:
            bench.held[SETPOINT] = draw.randint(200, 800)  # somebody at the panel
        for name in [name for name, ledger in bench.guard.books.devices.items() if ledger.locked]:
            if draw.random() < 0.3:
                bench.keep(bench.guard.unlock(name, "wang", "found", bench.now))
        fresh = Quality.GOOD if draw.random() < 0.95 else Quality.BAD_COMM
        for tag in (REMOTE, READY, ZONE):
            bench.plant.readings[tag] = (True if tag is not ZONE else 1, fresh, 0.1)
        bench.plant.readings[SETPOINT] = (bench.held[SETPOINT], Quality.GOOD, draw.choice([0.1, 3.0, 9.0]))

    def restart(self) -> None:
        bench = self.bench
        stored = json.loads(json.dumps(bench.states, allow_nan=False))
        assert stored == json.loads(json.dumps(stored))
        old = bench.token
        bench.guard = Guard(
            bench.guard.writing, TAGS, "cfg1", random=lambda n: next(self.names).to_bytes(n, "big")
        )
        bench.guard.restore(stored, bench.now)
        assert bench.guard.status(bench.now)["armed"] is None
        decision = bench.judge(replace(bench.request(value=60.0), token=old))
        assert isinstance(decision, Refusal)

    def carry_out(self, request: Any) -> None:
        draw, bench = self.draw, self.bench
        before = (
            engineering(bench.held.get(request.tag), TAGS[request.tag].scaling)
            if request.tag in TAGS
            else None
        )
        permit = bench.judge(request)
        if isinstance(permit, Refusal):
            return
        now = bench.guard.before(permit, bench.held.get(permit.ref), bench.now)
        bench.keep(now.audit)
        if isinstance(now, Refusal):
            return
        self.check(now, before)
        what = draw.random()
        if what < 0.9:
            bench.held[now.ref] = now.raw
            bench.keep(bench.guard.verified(now, now.raw, bench.now).audit)
        elif what < 0.95:
            bench.keep(bench.guard.failed(now, "silent", bench.now).audit)
        else:
            bench.keep(bench.guard.verified(now, None, bench.now).audit)

    def check(self, permit: Permit, before: Any) -> None:
        """What is about to be sent."""
        writable, value, now = permit.writable, float(permit.value), self.bench.now
        slack = 1e-6 * max(1.0, abs(value))
        assert writable.low - slack <= value <= writable.high + slack
        if permit.request.who == "heartbeat":
            return
        if writable.max_step is not None:
            assert abs(value - before) <= writable.max_step + slack
        if permit.ref in self.last:
            since_s = (now.mono_ns - self.last[permit.ref][0]) / 1e9
            assert since_s >= writable.min_interval_s
            if writable.max_rate is not None:
                assert abs(value - before) <= writable.max_rate * since_s + slack
        self.last[permit.ref] = (now.mono_ns, value)
        day = day_of(now.time_ns)
        self.tag_days[permit.ref, day] += 1
        assert self.tag_days[permit.ref, day] <= writable.per_day
        if permit.request.who != "annunciation":
            self.days[day] += 1
            assert self.days[day] <= self.bench.guard.writing.per_day


@pytest.mark.parametrize("ttl", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens(seed: int, ttl: bool) -> None:
    print(f"seed {seed}")
    world = Random(seed, brief(ttl))
    world.bench.arm()
    for _ in range(300):
        world.turn()
    assert sum(world.tag_days.values()) > 20, "the run was worth something"
    for event in world.bench.events:
        text = json.dumps(event.detail, allow_nan=False)
        assert not world.bench.token or world.bench.token not in text

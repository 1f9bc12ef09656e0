"""The highest rate that one core holds, and what catching up costs. Windows on every tag, buffer on disk,
everything delivered.

The agent has a core of its own, the controllers and the receiver share the others. A rate is held when, over
the measured time, no poll was left out, every window was judged, and the destination had taken what was read
but the last two flushes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import cpu_s, samples_read
from tests.plant.site import Site

PERIODS_S = (
    1.0,
    0.5,
    0.25,
    0.1,
    0.0625,
    0.05,
    0.04,
    0.033,
    0.025,
    0.02,
    0.016,
    0.0125,
    0.01,
    0.008,
    0.00625,
    0.005,
)
TRIES = 2  # a step that other load on the machine spoiled is tried again
SETTLE_S = 8.0
MEASURE_S = 12.0
FLUSH_S = 2.0
DRAIN_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, as asked and as found. ``busy``: share of the agent's core."""

    asked_per_s: float
    read_per_s: float
    busy: float
    overruns: int
    behind_s: float
    unjudged: int

    @property
    def held(self) -> bool:
        return self.overruns == 0 and self.unjudged == 0 and self.behind_s <= 3 * FLUSH_S


@contextmanager
def on_core(cores: set[int]) -> Iterator[None]:
    """Processes started inside may run on these only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def apart() -> tuple[set[int], set[int]]:
    """A core for the agent, the rest for everything else (the same where there is only one)."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def rate_section(
    make_site: Callable[[str, float], Site], samples_per_poll: int, *, steps: int | None = None
) -> dict[str, Any]:
    """``make_site(name, period_s)``: configuration for that period. Steps up until a rate is not held, or
    after so many ``steps``."""
    held = None
    for period_s in PERIODS_S[:steps]:
        for number in range(TRIES):
            name = f"rate-{round(period_s * 1e4)}-{number}"
            step = _step(make_site(name, period_s), samples_per_poll / period_s)
            print(f"rate {step.asked_per_s:.0f}/s: {'held' if step.held else 'not held'}  {step}", flush=True)
            if step.held:
                break
        else:
            break
        held = step
    assert held is not None, "not even the lowest rate was held"
    return {
        "held_samples_per_s": round(held.read_per_s),
        "held_busy": round(held.busy, 3),
        "next_samples_per_s": round(step.asked_per_s),
    }


def _step(site: Site, asked_per_s: float) -> Step:
    mine, _ = apart()
    with on_core(mine):
        agent = site.start()
    try:
        time.sleep(SETTLE_S)
        metrics = f"http://127.0.0.1:{site.web_port}/metrics"
        overruns, read, cpu, began = (
            _overruns(site),
            samples_read(metrics),
            cpu_s(agent.pid),
            time.monotonic(),
        )
        time.sleep(MEASURE_S)
        read_per_s = (samples_read(metrics) - read) / (time.monotonic() - began)
        busy = (cpu_s(agent.pid) - cpu) / (time.monotonic() - began)
        status = site.status()
        pending = status["uplinks"][0]["pending_samples"] + status["buffer"]["in_memory_samples"]
        unjudged = sum(window["state"] != "in" for window in status["windows"])
        return Step(
            asked_per_s, read_per_s, busy, _overruns(site) - overruns, pending / asked_per_s, unjudged
        )
    finally:
        agent.stop(30)
        shutil.rmtree(site.root)


def _overruns(site: Site) -> int:
    devices = site.status()["devices"]
    return sum(group["overruns"] for device in devices for group in device["groups"])


def drain_section(
    site: Site,
    away: Callable[[], None],
    back: Callable[[], None],
    arrived: Callable[[], int],
    seconds: float,
) -> dict[str, Any]:
    """The destination is away for ``seconds``; what the backlog then costs beside the live data. ``arrived``:
    how many samples the destination has."""
    agent = site.start()
    metrics = f"http://127.0.0.1:{site.web_port}/metrics"
    try:
        time.sleep(SETTLE_S)
        read = samples_read(metrics)
        live = _cpu_per_s(agent.pid, MEASURE_S)
        live_rate = (samples_read(metrics) - read) / MEASURE_S
        away()
        time.sleep(seconds)
        before, cpu, began, there = _pending(site), cpu_s(agent.pid), time.monotonic(), arrived()
        back()
        idle_until = done = began
        while (came := arrived() - there) < before:  # asked of the destination: the agent's page costs it CPU
            done = time.monotonic()
            assert done < began + DRAIN_WITHIN_S, f"{came} of {before} samples have arrived"
            idle_until = idle_until if came else done  # its next try may be some seconds away
            time.sleep(0.02)
        done = time.monotonic()
        spent = cpu_s(agent.pid) - cpu - live * (done - began)
    finally:
        agent.stop(30)
        shutil.rmtree(site.root)
    return {
        "drained_samples": before,
        "drain_samples_per_cpu_s": round(before / max(spent, 0.01)),
        "drain_over_live": round(before / (done - idle_until) / live_rate, 1),
    }


def _pending(site: Site) -> int:
    return int(site.status()["uplinks"][0]["pending_samples"])


def _cpu_per_s(pid: int, seconds: float) -> float:
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - before) / (time.monotonic() - began)

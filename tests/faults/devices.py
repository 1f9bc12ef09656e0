"""Hostile, dead and late devices: the parts of the fault suite that are about the field side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import blackhole, bus, late
from tests.faults.hostile import beside
from tests.faults.hostile.figures import problems as hostile_problems

HEAL_WITHIN_S = 5.0  # a link that answers again is found within this time
PROBED_WITHIN_S = 6.5  # a station behind others: its longest probe pause (5 s), a poll, and the watching


@dataclass(frozen=True, slots=True)
class Length:
    """How much of everything. ``reads`` and ``least``: of the hostile run; ``*_s``: how long parts last."""

    reads: int
    least: int
    limit_s: float
    warm_s: float
    hole_s: float
    bus_s: float
    late_s: Sequence[float]


FULL = Length(100_000, 200, 330.0, 20.0, 25.0, 60.0, late.LATE_S)
QUICK = Length(10_000, 15, 60.0, 8.0, 8.0, 15.0, late.LATE_S[:1])


Findings = tuple[dict[str, Any], list[str]]
"""Figures, and sentences about those that are too bad."""


def meet_the_hostile(folder: Path, seed: int, length: Length) -> Findings:
    found, calm = beside.run(
        folder, seed, reads=length.reads, least=length.least, limit_s=length.limit_s, warm_s=length.warm_s
    )
    print(found.table(), flush=True)
    print(f"calm run beside it: {calm.reads} reads, loop lag {calm.lag_ms} ms", flush=True)
    told = hostile_problems(found, reads=length.reads, least=length.least, calm_lag_ms=calm.lag_ms)
    if calm.faulted or calm.wrong_values:
        told.append(f"the calm run was none: {calm}")
    return {
        "reads": found.reads,
        "faulted_percent": round(100 * found.share, 1),
        "least_per_behaviour": found.least,
        "good_values": sum(found.good.values()),
        "wrong_values": found.wrong_values,
        "hangs": found.hangs,
        "unexpected_errors": found.unexpected,
        "rss_growth_mb": found.rss_growth_mb,
        "loop_lag_ms": round(max(0.0, found.lag_ms - calm.lag_ms), 1),
        "loop_lag_hostile_ms": found.lag_ms,
        "loop_lag_calm_ms": calm.lag_ms,
        "back_after_hostility_s": found.back_s,
        "hostile_s": found.seconds,
    }, told


def meet_the_dead(folder: Path, length: Length) -> Findings:
    holes = [blackhole.run(folder, shared=shared, seconds=length.hole_s) for shared in (False, True)]
    line = bus.run(folder, length.bus_s)
    for found in (*holes, line):
        print(found, flush=True)
    return {
        "missed_polls_neighbours": max(h.missed_faulty_run - h.missed_healthy_run for h in holes),
        "recovery_s": max(h.healed_s for h in holes),
        "bus_stretch_percent": line.stretch_percent,
        "bus_longest_gap_s": line.longest_gap_s,
        "bus_recovery_s": line.healed_s,
    }, [p for hole in holes for p in check_hole(hole)] + bus.check(line)


def meet_the_late(folder: Path, length: Length) -> Findings:
    found = late.run_all(length.late_s)
    for outcome in found:
        print(outcome, flush=True)
    steps = [o.in_step_s for o in found if o.in_step_s is not None and o.allowed_s == late.IN_STEP_WITHIN_S]
    return {
        "late_wrong_values": sum(outcome.wrong_values for outcome in found),
        "late_in_step_s": max(steps, default=None),
    }, [problem for outcome in found for problem in late.check(outcome)]


def check_hole(outcome: blackhole.Outcome) -> list[str]:
    problems = []
    if outcome.missed_faulty_run > outcome.missed_healthy_run:
        problems.append(f"neighbours of a dead device missed polls: {outcome}")
    if outcome.healed_s > (PROBED_WITHIN_S if outcome.shared else HEAL_WITHIN_S):
        problems.append(f"the dead device was found alive only after {outcome.healed_s} s: {outcome}")
    if outcome.dead_state == "up":
        problems.append(f"the dead device is shown as up: {outcome}")
    return problems

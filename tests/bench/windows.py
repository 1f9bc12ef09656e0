"""What one quiet sample costs in the control check, by kind of window, beside a calibration loop in the same
run: the plainest check one can write in Python, one comparison pair per value.

A group has 500 tags with one window each; values move with every batch and stay inside. Each figure is the
least of several rounds: what disturbs a round can only make it longer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from edge_agent.config.model import Limit, LimitKind, Plausible, TagRef, Window
from edge_agent.control import Control
from edge_agent.model import Batch, Schema, Tag, ValueType

TAGS = 500
BATCHES = 200
ROUNDS = 7
PERIOD_NS = 1_000_000_000

Make = Callable[[str, TagRef], Window]

KINDS: dict[str, Make] = {
    "limits": lambda name, tag: Window(name, tag, low=-1.0, high=1000.0),
    "four_limits": lambda name, tag: Window(
        name, tag, low=-1.0, high=1000.0,
        further=(Limit(LimitKind.LOLO, -5.0), Limit(LimitKind.HIHI, 1100.0)),
    ),
    "rate": lambda name, tag: Window(
        name, tag, high=1000.0, further=(Limit(LimitKind.RISE, 50.0), Limit(LimitKind.FALL, 50.0))
    ),
    "rate_over_10s": lambda name, tag: Window(
        name, tag, high=1000.0, further=(Limit(LimitKind.RISE, 50.0, over_s=10.0),)
    ),
    "frozen": lambda name, tag: Window(name, tag, high=1000.0, plausible=Plausible(frozen_s=60.0)),
    "slope": lambda name, tag: Window(name, tag, high=1000.0, plausible=Plausible(slope=50.0)),
}  # fmt: skip


def windows_section() -> dict[str, float]:
    """Nanoseconds per sample by kind, and of the calibration loop."""
    batches = _batches(random.Random(1), ValueType.FLOAT64)
    figures = {"window_calibration_ns": _least(lambda: _calibrate(batches))}
    for kind, make in KINDS.items():
        figures[f"window_ns_{kind}"] = _least(lambda make=make: _check(make, batches))  # type: ignore[misc]
    states = _batches(random.Random(1), ValueType.UINT16)
    allowed = tuple(range(1, 9))
    figures["window_ns_states"] = _least(
        lambda: _check(lambda name, tag: Window(name, tag, allowed=allowed), states)
    )
    return {name: round(value, 1) for name, value in figures.items()}


def _least(run: Callable[[], float]) -> float:
    return min(run() for _ in range(ROUNDS))


def _batches(rng: random.Random, type_: ValueType) -> list[Batch]:
    tags = [Tag(f"t{n}", str(n), type_) for n in range(TAGS)]
    schema = Schema.of("d", "g", "v", tags)
    batches = []
    values = [rng.uniform(100, 900) for _ in range(TAGS)]
    state = [rng.randint(1, 8) for _ in range(TAGS)]
    for number in range(BATCHES):
        if type_.is_float:
            values = [min(990.0, max(0.0, v + rng.uniform(-5, 5))) for v in values]
            said: tuple[float | int, ...] = tuple(values)
        else:
            if number % 50 == 0:  # a state changes now and then
                state = [rng.randint(1, 8) for _ in range(TAGS)]
            said = tuple(state)
        at_ns = number * PERIOD_NS
        batches.append(Batch(schema, 10**18 + at_ns, at_ns, said, bytes(TAGS)))
    return batches


def _check(make: Make, batches: list[Batch]) -> float:
    windows = [make(f"d.t{n}", TagRef("d", f"t{n}")) for n in range(TAGS)]
    control = Control(windows, "v", mono_ns=0, time_ns=10**18)
    warm, measured = batches[:20], batches[20:]
    for batch in warm:
        control.on_batch(batch)
    begin = time.perf_counter_ns()
    for batch in measured:
        control.on_batch(batch)
    took = time.perf_counter_ns() - begin
    states = {row["state"] for row in control.rows(batches[-1].mono_ns)}
    assert states == {"in"}, states  # else it was not the quiet case
    return took / (len(measured) * TAGS)


def _calibrate(batches: list[Batch]) -> float:
    bounds = [(n, -1.0, 1000.0) for n in range(TAGS)]
    outside = 0
    begin = time.perf_counter_ns()
    for batch in batches:
        values = batch.values
        for index, low, high in bounds:
            if not low <= values[index] <= high:  # type: ignore[operator]
                outside += 1
    took = time.perf_counter_ns() - begin
    assert outside == 0
    return took / (len(batches) * TAGS)


if __name__ == "__main__":
    print(windows_section())

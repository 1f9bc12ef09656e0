"""The shortest story that still shows a difference: steps are left out as long as it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.config.model import Window
from tests.model.duel import Difference, Duel
from tests.model.run import Failure, eagerness
from tests.model.story import Line, Reload, Step


def replay(
    line: Line, steps: Sequence[Step], *, rarely: bool = False, eager: bool = False
) -> tuple[str, int]:
    """What went wrong, and after how many steps; "" if nothing did."""
    duel = Duel(line, rarely=rarely)
    try:
        with eagerness(eager):
            for step in steps:
                duel.take(step)
            duel.finish()
    except Difference as difference:
        return str(difference), duel.count
    except Exception as error:  # noqa: BLE001 - an engine that raises is a finding like any other
        return f"{type(error).__name__}: {error}", duel.count
    return "", duel.count


def shrink(failure: Failure, limit_s: float = 60.0) -> Failure:
    """Bisection to the failing prefix comes with the replay; then chunks of steps and whole windows go."""
    end_s = time.monotonic() + limit_s
    best = failure
    text, count = replay(best.line, best.steps, eager=best.eager)  # looking at every step fails the earliest
    if text:
        best = replace(best, rarely=False, text=text, steps=best.steps[:count])
    best = fewer_windows(best)
    size = max(1, len(best.steps) // 2)
    while time.monotonic() < end_s:
        shorter = without_chunks(best, size, end_s)
        if size == 1 and len(shorter.steps) == len(best.steps):
            break
        best, size = shorter, max(1, size // 2)
    return fewer_windows(best)


def without_chunks(failure: Failure, size: int, end_s: float) -> Failure:
    start = 0
    while start < len(failure.steps) and time.monotonic() < end_s:
        steps = [*failure.steps[:start], *failure.steps[start + size :]]
        text, count = replay(failure.line, steps, rarely=failure.rarely, eager=failure.eager)
        if text:
            failure = replace(failure, steps=steps[:count], text=text)
        else:
            start += size
    return failure


def fewer_windows(failure: Failure) -> Failure:
    for name in sorted({w.name for line in lines(failure) for w in line.windows}):
        smaller = with_windows(failure, lambda w, name=name: w.name != name)  # type: ignore[misc]
        if all(line.windows for line in lines(smaller)):
            text, count = replay(smaller.line, smaller.steps, rarely=failure.rarely, eager=failure.eager)
            if text:
                failure = replace(smaller, steps=smaller.steps[:count], text=text)
    return failure


def lines(failure: Failure) -> list[Line]:
    return [failure.line, *(step.line for step in failure.steps if isinstance(step, Reload))]


def with_windows(failure: Failure, keep: Callable[[Window], bool]) -> Failure:
    def kept(line: Line) -> Line:
        return replace(line, windows=tuple(w for w in line.windows if keep(w)))

    steps = [replace(s, line=kept(s.line)) if isinstance(s, Reload) else s for s in failure.steps]
    return replace(failure, line=kept(failure.line), steps=steps)

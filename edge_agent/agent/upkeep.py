"""The agent's own clockwork: flush, tick, watchdog. Each loop marks its progress for the watchdog."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from edge_agent.agent.memory import trim_memory
from edge_agent.log import fields

if TYPE_CHECKING:
    from edge_agent.agent.flow import Flow
    from edge_agent.clock import Clock
    from edge_agent.status import Board
    from edge_agent.systemd import Notifier, Progress

log = logging.getLogger(__name__)

TICK_NS = 500_000_000
FLUSH_OFFSET_NS = 250_000_000
ROWS_EVERY = 2  # ticks
TRIM_AT = 41  # ticks after the start: the first flushes have been sent by then
STEP_NS = 500_000_000
PAUSE_NS = 5_000_000_000


async def flush_loop(
    flush: Callable[[], Awaitable[None]], clock: Clock, flush_s: float, progress: Progress
) -> None:
    """One commit per flush interval, a quarter of a second after the polls of that moment, so that what they
    read is in it. A slow disk delays the next flush, never a poll."""
    period_ns = round(flush_s * 1e9)
    while True:
        passed = (clock.mono_ns() - FLUSH_OFFSET_NS) // period_ns
        await clock.sleep_until((passed + 1) * period_ns + FLUSH_OFFSET_NS)
        await flush()
        progress.mark("buffer writer", clock.mono_ns())


async def tick_loop(
    flow: Flow, board: Board, clock: Clock, progress: Progress, refresh: Callable[[], None]
) -> None:
    """Drives staleness, measures the loop's lag and notices steps of the wall clock. On the same grid as the
    polls: what wakes up together costs one wake-up."""
    offset_ns = clock.time_ns() - clock.mono_ns()
    count = 0
    while True:
        due_ns = (clock.mono_ns() // TICK_NS + 1) * TICK_NS
        await clock.sleep_until(due_ns)
        now_ns = clock.mono_ns()
        board.loop_lag.observe(max(0, now_ns - due_ns) / 1e9)
        if now_ns - due_ns > PAUSE_NS:  # a process that was stopped, a machine that slept: a hole in the data
            flow.event("paused", "agent", {"seconds": round((now_ns - due_ns) / 1e9, 3)})
        flow.tick()
        progress.mark("control", now_ns)
        offset_ns = _watch_clock(flow, clock, offset_ns)
        count += 1
        if count == TRIM_AT:
            trim_memory()
        if count % ROWS_EVERY == 0:
            board.clock_synchronised = {1: False, 2: True}.get(clock.state())
            refresh()


def _watch_clock(flow: Flow, clock: Clock, offset_ns: int) -> int:
    now_offset_ns = clock.time_ns() - clock.mono_ns()
    step_ns = now_offset_ns - offset_ns
    if abs(step_ns) > STEP_NS:
        flow.event("clock_step", "clock", {"seconds": round(step_ns / 1e9, 3)})
    # Slewing moves the offset slowly and is followed; only a jump between two ticks is a step.
    return now_offset_ns


async def watchdog_loop(notifier: Notifier, progress: Progress, clock: Clock) -> None:
    """WATCHDOG=1 only while everything expected makes progress. If this loop itself does not run, the timer
    dumps all stacks to the journal before systemd kills the process."""
    period_s = notifier.watchdog_period_s
    if not period_s:
        return
    while True:
        faulthandler.dump_traceback_later(period_s * 0.75, exit=False)
        overdue = progress.overdue(clock.mono_ns())
        if overdue:
            notifier.status("no progress: " + ", ".join(overdue))
            log.critical("no progress, the watchdog is not fed", extra=fields(overdue=", ".join(overdue)))
        else:
            notifier.watchdog()
        await asyncio.sleep(period_s / 3)

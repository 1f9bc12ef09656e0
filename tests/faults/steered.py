"""The agent with a wall clock that the test steers: ``python -m tests.faults.steered --config DIR``.

The wall clock is the machine's plus an offset from the file that ``FAULTS_WALL`` names, which also tells
whether it counts as synchronised; the monotonic clock is the machine's. ``FAULTS_LOG_LIMIT`` makes the limit
of SQLite's write-ahead log smaller, so that a short run reaches it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from edge_agent import log
from edge_agent.agent.process import _Process
from edge_agent.buffer.database import Tuning
from edge_agent.clock import SystemClock
from edge_agent.model import ClockState

_LOOK_EVERY_NS = 20_000_000


def steer(place: Path, offset_ns: int = 0, *, synchronised: bool = True) -> None:
    """For the test: from now on."""
    state = ClockState.SYNCHRONISED if synchronised else ClockState.UNSYNCHRONISED
    new = place.with_suffix(".new")
    new.write_text(json.dumps([offset_ns, int(state)]), encoding="ascii")
    new.replace(place)


class SteeredClock(SystemClock):
    def __init__(self, place: Path) -> None:
        super().__init__()
        self._place = place
        self._looked_ns = 0
        self._offset_ns = 0
        self._steered = ClockState.SYNCHRONISED

    def time_ns(self) -> int:
        self._look()
        return time.time_ns() + self._offset_ns

    def state(self) -> ClockState:
        self._look()
        return self._steered

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._looked_ns > _LOOK_EVERY_NS:
            self._looked_ns = now_ns
            self._offset_ns, state = json.loads(self._place.read_text(encoding="ascii"))
            self._steered = ClockState(state)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--config", type=Path, required=True)
    options.add_argument("--log-format", default="json")
    chosen = options.parse_args()
    log.configure("info", chosen.log_format)
    if limit := os.environ.get("FAULTS_LOG_LIMIT"):
        _tune(journal_limit_bytes=int(limit))
    process = _Process(chosen.config)
    if place := os.environ.get("FAULTS_WALL"):
        process._clock = SteeredClock(Path(place))  # the process makes its own
    asyncio.run(process.serve())


def _tune(**changes: Any) -> None:
    """Other defaults: the agent opens its stores with them."""
    names = list(Tuning.__dataclass_fields__)
    defaults = list(Tuning.__init__.__defaults__ or ())
    for name, value in changes.items():
        defaults[names.index(name)] = value
    Tuning.__init__.__defaults__ = tuple(defaults)


if __name__ == "__main__":
    main()

"""What a worker is lent by the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from edge_agent.acquisition.gate import ConnectGate
from edge_agent.clock import Clock
from edge_agent.model import Batch
from edge_agent.status import Board


class Speaker(Protocol):
    """Says once that something broke and once that it healed (``log.Once``)."""

    def broke(self, key: str, message: str, /, **fields: Any) -> None: ...

    def healed(self, key: str, message: str, /, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerHost:
    """``sink(driver, batch)`` takes each batch and must not block. ``attempted(link)`` marks progress for the
    watchdog: an attempt, not a success, so that a dead controller never restarts the agent."""

    clock: Clock
    board: Board
    gate: ConnectGate
    speaker: Speaker
    random: Random
    sink: Callable[[str, Batch], None]
    attempted: Callable[[str], None]

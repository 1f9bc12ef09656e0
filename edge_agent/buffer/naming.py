"""Whose units these are: the agent's id and epoch, and whether a file was there before. Runs in the writer
thread of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_agent.buffer.database import storage_errors
from edge_agent.buffer.epoch import Identity, write_durably
from edge_agent.clock import Clock
from edge_agent.errors import StorageError


class OwnNames:
    """Of the samples' store, which gives them. Methods raise StorageError."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._identity: Identity | None = None

    @property
    def agent(self) -> str:
        return self._identity.agent if self._identity else ""

    def raise_epoch(self, seen: int) -> int:
        with storage_errors(self._directory):
            return self._known().raise_epoch(seen, self._clock.time_ns() // 1_000_000_000)

    def last_epoch(self) -> int:
        """Of the run before: a file that knows nothing of it has been rolled back by its card."""
        return self._known().epoch

    def expected(self) -> bool:
        """Whether there was such a file before, so that one that is not there is a loss."""
        return not self._known().first_start

    def _known(self) -> Identity:
        if self._identity is None:
            with storage_errors(self._directory):
                self._identity = Identity(self._directory)
        return self._identity


class SharedNames:
    """Of a store beside it. ``mark``: a file that says that this store has been made."""

    def __init__(self, agent: Callable[[], str], epoch: Callable[[], int], mark: Path) -> None:
        self._agent = agent
        self._epoch = epoch
        self._mark = mark

    @property
    def agent(self) -> str:
        return self._agent()

    def raise_epoch(self, seen: int) -> int:
        if not self._epoch():
            raise StorageError("waits for the samples' store: this run has no epoch yet")
        if not self._mark.exists():
            with storage_errors(self._mark):
                write_durably(self._mark, b"")
        return max(self._epoch(), seen)  # numbers go on within a file, so a key never repeats

    def last_epoch(self) -> int:
        return max(self._epoch() - 1, 0)

    def expected(self) -> bool:
        return self._mark.exists()

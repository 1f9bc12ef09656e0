"""Minute, hour and day values in a running agent: the producer, its store, and what a restart needs of both.

Samples and period values are in stores of their own, and neither waits for the other. So the state that is
saved with the events (``periods:...``) is only a note of how far everything had come at one moment, written
when all values told so far are on disk. What has been told since, the store of periods says; what had come in
since, the store of samples says: after an unclean stop it is read again from the oldest open minute on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.buffer import Buffer
from edge_agent.log import fields
from edge_agent.model import Level
from edge_agent.uplink import Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from edge_agent.accounting.period_values import PeriodProducer
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration
    from edge_agent.model import Batch, Event

log = logging.getLogger(__name__)

FILE = "periods.db"
SAVE_NS = 300_000_000_000
_MEMORY_BYTES = 4_000_000
_DAY_NS = 86_400_000_000_000
_LOOK_BACK_NS = 2 * _DAY_NS  # without any state of our own
_AHEAD_NS = 366 * _DAY_NS  # what was told while the clock was wrong


class PeriodDesk:
    """``producer`` is None while no tag is chosen, ``store`` where none ever was: what waits in a store of
    before is sent all the same. ``total_of``: as the producer needs it."""

    def __init__(self, clock: Clock, total_of: Callable[[str], Decimal | None]) -> None:
        self.store: Buffer | None = None
        self.producer: PeriodProducer | None = None
        self._clock = clock
        self._total_of = total_of
        self._saved_ns = clock.mono_ns()
        self._version = ""

    async def open(self, configuration: Configuration, samples: Buffer) -> None:
        """The store, where it is needed; ``samples``: whose agent id and epoch it shares."""
        if self.store is None and (configuration.periods.tags or (configuration.state_dir / FILE).exists()):
            config = replace(
                configuration.buffer,
                quota_bytes=configuration.buffer.periods_bytes,
                memory_bytes=max(_MEMORY_BYTES, configuration.buffer.memory_bytes // 4),
            )
            self.store = await Buffer.open(
                Path(configuration.state_dir),
                config,
                self._clock,
                configuration.taking(Stream.PERIODS),
                name=FILE,
                stream=Stream.PERIODS,
                beside=samples,
            )

    async def begin(self, configuration: Configuration, states: Mapping[str, Any], samples: Buffer) -> None:
        """At the start, before anything is polled: the state, what was told and what came in since."""
        self._make(configuration)
        if self.producer is None:
            return
        for name in self.producer.restore_rows(states):
            log.error("a stored state cannot be used: this part begins anew", extra=fields(state=name))
        since_ns = self.producer.replay_from_ns()
        async for batch in self._told_since(since_ns):
            self.producer.know(batch)
        self.producer.went_on()
        if since_ns is not None:
            tags = {tag.key for tag in configuration.periods.tags} | _beside(configuration)
            async for batch in samples.history(None, None, since_ns, self._clock.time_ns() + 1, tags=tags):
                self.producer.on_batch(batch, replay=True)

    async def _told_since(self, since_ns: int | None) -> AsyncIterator[Batch]:
        if self.store is None:
            return
        now_ns = self._clock.time_ns()
        from_ns = now_ns - _LOOK_BACK_NS if since_ns is None else since_ns
        for level, back_ns in ((Level.MINUTE, 0), (Level.HOUR, _DAY_NS // 24), (Level.DAY, _DAY_NS)):
            end_ns = max(from_ns, now_ns) + _AHEAD_NS
            async for batch in self.store.history(None, level, from_ns - back_ns, end_ns):
                yield batch

    def _make(self, configuration: Configuration) -> None:
        self.producer, self._version = None, configuration.version
        if configuration.periods.tags:
            from edge_agent.accounting.period_values import PeriodProducer

            self.producer = PeriodProducer(configuration.periods, configuration.version, self._total_of)

    async def apply(self, new: Configuration, samples: Buffer) -> None:
        """A reload. Open periods go on where the rule of their tag is the same."""
        await self.open(new, samples)
        before = self.producer.rows() if self.producer is not None else {}
        self._make(new)
        if self.producer is not None:
            self.producer.restore_rows(before)
        if self.store is not None:
            await self.store.register(new.taking(Stream.PERIODS))

    def take(self, batch: Batch) -> None:
        """After the virtual device: the totals are then those of this batch."""
        if self.producer is not None:
            self.producer.on_batch(batch)

    def tick(self) -> Sequence[Event]:
        """Stores what has ended; what else there is to tell."""
        if self.producer is None or self.store is None:
            return ()
        closed = self.producer.tick(self._clock.mono_ns(), self._clock.time_ns())
        for batch in closed.batches:
            self.store.append(batch)
        return closed.events

    def due(self) -> bool:
        """Whether state should be saved although nothing has happened."""
        return self.producer is not None and self._clock.mono_ns() - self._saved_ns >= SAVE_NS

    def changed(self) -> dict[str, Any]:
        """State rows; nothing while a value that was told is not on disk."""
        if self.producer is None or self.store is None or self.store.in_memory_samples:
            return {}
        self._saved_ns = self._clock.mono_ns()
        return self.producer.rows()

    def info(self) -> dict[str, Any]:
        """For status and metrics; empty without a store."""
        if self.store is None:
            return {}
        late = self.producer.late_samples if self.producer is not None else 0
        return self.store.info() | {"late_samples": late}

    async def flush(self) -> None:
        if self.store is not None:
            await self.store.flush()

    async def close(self) -> None:
        if self.store is not None:
            await self.store.close()


def _beside(configuration: Configuration) -> set[Any]:
    """Tags that are read for the sake of others."""
    found = (
        beside
        for tag in configuration.periods.tags
        for beside in (tag.weight_by, tag.maintenance, tag.calibration)
    )
    return {beside.tag for beside in found if beside is not None}

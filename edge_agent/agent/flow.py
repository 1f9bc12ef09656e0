"""What happens to each batch, in one synchronous call: status, control, buffer. Nothing in it waits.

Events are annunciated at once (log, status), disk or no disk; the journal loop then commits each with the
window's state in one transaction, in the order in which they happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.buffer.ledger import loss_event
from edge_agent.log import fields
from edge_agent.model import Batch, Event

if TYPE_CHECKING:
    from edge_agent.buffer import Buffer, EventStore
    from edge_agent.clock import Clock
    from edge_agent.control import Control
    from edge_agent.status import Board

log = logging.getLogger("edge_agent.events")

_LOUD = frozenset({"excursion_begin", "data_lost", "clock_step", "uplink_denied"})


class Flow:
    """``version`` tells the configuration version that judges now; events carry it."""

    def __init__(
        self,
        board: Board,
        control: Control,
        buffer: Buffer,
        journal: EventStore,
        clock: Clock,
        version: Callable[[], str],
    ) -> None:
        self._board = board
        self._control = control
        self._buffer = buffer
        self._journal = journal
        self._clock = clock
        self._version = version
        self._writing = False
        self._commits = self._commits_seen = 0
        self._queue: asyncio.Queue[tuple[Sequence[Event], Mapping[str, Any]]] = asyncio.Queue()

    def take(self, driver: str, batch: Batch) -> None:
        """The sink of every link worker."""
        self._board.record(driver, batch)
        events = self._control.on_batch(batch)
        if batch.samples:  # else it is only a sign of life
            self._buffer.append(batch)
        if events:
            self.announce(events)

    def tick(self) -> None:
        events = self._control.tick(self._clock.mono_ns(), self._clock.time_ns())
        if events:
            self.announce(events)

    def announce(self, events: Sequence[Event]) -> None:
        """Says events now and queues them, with the states of the windows they are about, for the journal."""
        self._say(events)
        names = [event.source for event in events]
        self._queue.put_nowait((events, self._control.snapshot(names)))

    def _say(self, events: Sequence[Event]) -> None:
        for event in events:
            self._board.events_total[event.kind] += 1
            level = logging.WARNING if event.kind in _LOUD else logging.INFO
            log.log(level, event.kind, extra=fields(**{"source": event.source, **event.detail}))

    def event(self, kind: str, source: str, detail: Mapping[str, Any]) -> None:
        """For parts that know neither clock nor version."""
        now = self._clock
        self.announce([Event(kind, source, now.time_ns(), now.mono_ns(), self._version(), detail)])

    async def journal(self) -> None:
        """The journal loop: one commit after the other, in the order of the queue."""
        while True:
            events, states = await self._queue.get()
            self._writing = True
            await self._journal.commit(events, states)  # first: what a stop cuts off below has a ledger row
            await self._report_losses()
            self._writing = False
            self._commits += 1

    def care(self) -> bool:
        """Once a second: wakes the journal loop when a store has losses to report or events the disk refused.
        True while the loop has nothing to do or has moved on since the last time."""
        if any(store.unreported_losses() for store in (self._buffer, self._journal)) or (
            self._journal.in_memory_samples and self._queue.empty()
        ):
            self._queue.put_nowait(((), {}))
        moved_on = not self._writing or self._commits != self._commits_seen
        self._commits_seen = self._commits
        return moved_on

    async def _report_losses(self) -> None:
        """Each new row of a loss ledger becomes an event, for the park as for the people here. A row of the
        events' own ledger is marked in the transaction of its event. One of the samples' is marked after it:
        after a crash in between it comes again."""
        for store in (self._buffer, self._journal):
            losses = store.unreported_losses()
            if losses:
                now = self._clock.time_ns(), self._clock.mono_ns()
                events = [loss_event(loss, store.stream, self._version(), *now) for loss in losses]
                self._say(events)
                if store is self._journal:
                    store.mark_reported(losses)
                await self._journal.commit(events, {})
                store.mark_reported(losses)

    async def settle(self) -> None:
        """Writes what is still queued; for a clean stop, after the journal loop has ended."""
        while not self._queue.empty():
            events, states = self._queue.get_nowait()
            await self._journal.commit(events, states)
        await self._journal.commit((), self._control.snapshot())
        await self._report_losses()

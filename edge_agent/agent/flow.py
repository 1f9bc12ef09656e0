"""What happens to each batch, in one synchronous call: status, derived values, control, buffer. Nothing in
it waits.

Events are annunciated at once (log, status, outputs), disk or no disk; the journal loop then commits each
with the state it left behind in one transaction, in the order in which they happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.agent.told import tell
from edge_agent.agent.virtual import judged_by
from edge_agent.buffer.ledger import loss_event
from edge_agent.buffer.stamps import correction_event
from edge_agent.control.excursion import Moment
from edge_agent.model import Batch, Event

if TYPE_CHECKING:
    from edge_agent.accounting.accounting import Result
    from edge_agent.agent.period_desk import PeriodDesk
    from edge_agent.agent.virtual import VirtualDevice
    from edge_agent.buffer import Buffer, EventStore
    from edge_agent.clock import Clock
    from edge_agent.control import Control
    from edge_agent.control.times import TimeBook
    from edge_agent.status import Board

COUNTED = ("counter_", "period_", "amount_")  # events of accounting: its state belongs to them, not to others
TOGETHER = 500  # queued transactions that are written as one
CHECKPOINT_NS = 300_000_000_000


class Hearer(Protocol):
    """Who follows what happens: ``hear`` takes events before they are queued, ``changed`` gives the state
    rows that go into the same transaction."""

    def hear(self, events: Sequence[Event]) -> None: ...

    def changed(self) -> dict[str, Any]: ...


class _Entry:
    """One transaction on its way; ``done`` is told whether the disk has it."""

    __slots__ = ("done", "events", "states")

    def __init__(
        self, events: Sequence[Event], states: Mapping[str, Any], done: asyncio.Future[bool] | None = None
    ) -> None:
        self.events, self.states, self.done = events, states, done

    def settle(self, durable: bool) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(durable)


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
        *,
        virtual: VirtualDevice | None = None,
        times: TimeBook | None = None,
        periods: PeriodDesk | None = None,
    ) -> None:
        self.hearers: list[Hearer] = []
        self.times = times
        self._board = board
        self._control = control
        self._buffer = buffer
        self._journal = journal
        self._clock = clock
        self._version = version
        self._virtual = virtual
        self._periods = periods
        self._saved_ns = clock.mono_ns()
        self._writing = False
        self._commits = self._commits_seen = 0
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue()

    # A batch and a tick

    def take(self, driver: str, batch: Batch) -> None:
        """The sink of every link worker. What follows from a batch is judged before the batch itself: a
        window must not be judged by a value while its condition is still that of the batch before."""
        self._board.record(driver, batch)
        result = self._virtual.take(batch) if self._virtual is not None else None
        if self._periods is not None:
            self._periods.take(batch)
        events = self._judge(result) if result is not None else []
        events += self._control.on_batch(batch)
        if batch.samples:  # else it is only a sign of life
            self._buffer.append(batch)
        if events:
            self.announce(events)

    def _judge(self, result: Result) -> list[Event]:
        """Derived values go the way of all samples; totals are kept as events, with the state behind them."""
        events: list[Event] = []
        for batch in result.batches:
            events += self._control.on_batch(batch)
            self._buffer.append(batch)
            self._board.samples_derived += batch.samples
            if self._periods is not None:
                self._periods.take(batch)
        for _, batch in result.periods:
            events += self._control.on_batch(batch)
        return events + [judged_by(event, self._control.windows.values()) for event in result.events]

    def tick(self) -> None:
        mono_ns, time_ns = self._clock.mono_ns(), self._clock.time_ns()
        result = self._virtual.tick() if self._virtual is not None else None
        events = self._judge(result) if result is not None else []
        events += self._control.tick(mono_ns, time_ns)
        if self.times is not None:
            at = Moment(mono_ns, time_ns, mono_ns)
            events += self.times.tick(at, lambda: self._control.times(mono_ns))
        if self._periods is not None:
            events += self._periods.tick()
        if events:
            self.announce(events)
        self._save(mono_ns, time_ns)

    def _save(self, mono_ns: int, time_ns: int) -> None:
        """What grows while nothing happens, now and then: so much is lost by an unclean stop."""
        states: dict[str, Any] = {}
        if self._virtual is not None and self._virtual.due():
            states |= self._virtual.changed()
        if self._periods is not None and self._periods.due():
            states |= self._periods.changed()
        if self.times is not None and mono_ns - self._saved_ns >= CHECKPOINT_NS:
            self._saved_ns = mono_ns
            at = Moment(mono_ns, time_ns, mono_ns)
            states |= self.times.changed() | self.times.checkpoint(at, self._control.times(mono_ns))
        if states:
            self._queue.put_nowait(_Entry((), states))

    # Events

    def announce(self, events: Sequence[Event], states: Mapping[str, Any] | None = None) -> None:
        """Says events now and queues them for the journal, with ``states`` and the state they left behind."""
        self._queue.put_nowait(self._entry(events, states or {}))

    async def commit(self, events: Sequence[Event], states: Mapping[str, Any]) -> bool:
        """``announce``, and waits for the disk: whether it has them. Else they wait in memory."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = self._entry(events, states)
        entry.done = done
        self._queue.put_nowait(entry)
        return await done

    def _entry(self, events: Sequence[Event], states: Mapping[str, Any]) -> _Entry:
        for event in events:
            self._board.events_total[event.kind] += 1
            tell(event)
        for hearer in self.hearers:
            hearer.hear(events)
        left = dict(self._control.changed())
        if self._virtual is not None and any(event.kind.startswith(COUNTED) for event in events):
            left |= self._virtual.changed()
        if self.times is not None:
            left |= self.times.changed()
        for hearer in self.hearers:
            left |= hearer.changed()
        return _Entry(events, left | dict(states))

    def event(self, kind: str, source: str, detail: Mapping[str, Any]) -> None:
        """For parts that know neither clock nor version."""
        now = self._clock
        self.announce([Event(kind, source, now.time_ns(), now.mono_ns(), self._version(), detail)])

    # The journal

    async def journal(self) -> None:
        """The journal loop: one commit after the other, in the order of the queue. What has queued up while
        one was written goes into the next together."""
        while True:
            entries = [await self._queue.get()]
            while not self._queue.empty() and len(entries) < TOGETHER:
                entries.append(self._queue.get_nowait())
            self._writing = True
            await self._write(entries)  # first: what a stop cuts off below has a ledger row
            await self._report_losses()
            self._writing = False
            self._commits += 1

    async def _write(self, entries: Sequence[_Entry]) -> None:
        events = [event for entry in entries for event in entry.events]
        states: dict[str, Any] = {}
        for entry in entries:
            states |= entry.states
        durable = False
        try:
            keys = await self._journal.commit(events, states)
            durable = len(keys) == len(events) and self._journal.info()["state"] == "ok"
        finally:
            for entry in entries:
                entry.settle(durable)

    def care(self) -> bool:
        """Once a second: wakes the journal loop when a store has losses to report or events the disk refused.
        True while the loop has nothing to do or has moved on since the last time."""
        if (
            any(store.unreported_losses() for store in self._stores())
            or (self._buffer.unreported_corrections() and self._queue.empty())
            or (self._journal.in_memory_samples and self._queue.empty())
        ):
            self._queue.put_nowait(_Entry((), {}))
        moved_on = not self._writing or self._commits != self._commits_seen
        self._commits_seen = self._commits
        return moved_on

    def _stores(self) -> Sequence[Buffer | EventStore]:
        periods = self._periods.store if self._periods is not None else None
        return (self._buffer, self._journal) if periods is None else (self._buffer, periods, self._journal)

    @property
    def waiting(self) -> int:
        """Events that the disk has not taken yet."""
        return self._journal.in_memory_samples + self._queue.qsize()

    async def _report_losses(self) -> None:
        """Each new row of a loss ledger becomes an event, for the park as for the people here. A row of the
        events' own ledger is marked in the transaction of its event. One of the samples' is marked after it:
        after a crash in between it comes again."""
        for store in self._stores():
            losses = store.unreported_losses()
            if losses:
                now = self._clock.time_ns(), self._clock.mono_ns()
                events = [loss_event(loss, store.stream, self._version(), *now) for loss in losses]
                for event in events:
                    self._board.events_total[event.kind] += 1
                    tell(event)
                if store is self._journal:
                    store.mark_reported(losses)
                await self._journal.commit(events, {})
                store.mark_reported(losses)
        await self._report_corrections()

    async def _report_corrections(self) -> None:
        """The same for clocks that were set after data had been stored."""
        offsets = self._buffer.unreported_corrections()
        if offsets:
            now = self._clock.time_ns(), self._clock.mono_ns()
            events = [correction_event(offset, self._version(), *now) for offset in offsets]
            for event in events:
                self._board.events_total[event.kind] += 1
                tell(event)
            await self._journal.commit(events, {})
            self._buffer.mark_corrections(offsets)

    async def settle(self) -> None:
        """Writes what is still queued, and all state; for a clean stop, after the journal loop has ended."""
        while not self._queue.empty():
            await self._write([self._queue.get_nowait()])
        await self._journal.commit((), self._everything())
        await self._report_losses()

    def _everything(self) -> dict[str, Any]:
        states = dict(self._control.snapshot())
        if self._virtual is not None:
            states |= self._virtual.changed()
        if self.times is not None:
            states |= self.times.changed()
        if self._periods is not None:
            states |= self._periods.changed()
        for hearer in self.hearers:
            states |= hearer.changed()
        return states

"""One running agent: makes the parts from a configuration, joins them, reloads, ends them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from edge_agent import __version__
from edge_agent.acquisition import ConnectGate, WorkerHost
from edge_agent.agent.check import Check
from edge_agent.agent.destinations import Destinations
from edge_agent.agent.figures import Figures, refresh_rows
from edge_agent.agent.links import Links
from edge_agent.agent.memory import settle_memory
from edge_agent.agent.storage_desk import StorageDesk, declared_degraded
from edge_agent.agent.tasks import Tasks
from edge_agent.agent.upkeep import flush_loop, tick_loop, watchdog_loop
from edge_agent.agent.virtual import DERIVED
from edge_agent.buffer import Buffer, EventStore, Notes
from edge_agent.errors import LinesideError
from edge_agent.log import fields
from edge_agent.status import Board
from edge_agent.systemd import Progress
from edge_agent.uplink import Stream
from edge_agent.web.routes import Sources
from edge_agent.web.server import Web

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration, Selection
    from edge_agent.log import Once
    from edge_agent.model import Batch, Event
    from edge_agent.systemd import Notifier

log = logging.getLogger(__name__)

DRAIN_S = 3.0
TICK_MAX_AGE_S = 5.0
JOURNAL_MAX_AGE_S = 30.0


class Agent:
    """``configuration`` must be valid. ``run`` returns after ``stop`` was set, with everything closed and the
    buffer flushed; ``board`` may be read at any time, ``figures`` after ``run``. ``reload``: a loop run
    beside the others that may call ``apply``."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock,
        notifier: Notifier,
        speaker: Once,
        stop: asyncio.Event,
        reload: Callable[[Agent], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.configuration = configuration
        self.board = Board()
        self.ready = asyncio.Event()
        self.figures = Figures()
        self._clock = clock
        self._notifier = notifier
        self._speaker = speaker
        self._stop = stop
        self._reload = reload
        self._progress = Progress()
        self._web: Web | None = None
        self.web_port = 0

    async def run(self) -> None:
        configuration, clock = self.configuration, self._clock
        directory, taking = configuration.state_dir, configuration.taking
        self._buffer = await Buffer.open(directory, configuration.buffer, clock, taking(Stream.SAMPLES))
        self._journal = await EventStore.open(
            directory,
            clock,
            taking(Stream.EVENT),
            self._buffer.epoch,
            quota_bytes=configuration.buffer.events_bytes,
            free_bytes=configuration.buffer.free_bytes,
        )
        self._check = Check(lambda: self.configuration, self.board, self._buffer, self._journal, clock)
        self._flow, self._periods = self._check.flow, self._check.periods
        await self._periods.open(configuration, self._buffer)
        await self._periods.begin(configuration, self._journal.window_states(), self._buffer)
        self._stores: list[Buffer | EventStore] = [self._journal, self._buffer]
        self._add_store()
        self._storage = StorageDesk(
            directory,
            configuration.buffer.daily_writes_bytes,
            self._named_stores,
            clock,
            self._speaker,
            self._flow.event,
        )
        self._fill_board()
        try:
            async with asyncio.TaskGroup() as group:
                await self._live(Tasks(group))
        finally:
            await self._periods.close()
            await self._buffer.close()
            await self._journal.close()
            refresh_rows(self.board, self._sampled)
            self.figures.closed(self._buffer, self.board)
            self._say_stopped()

    def _fill_board(self) -> None:
        board, configuration = self.board, self.configuration
        board.line, board.version = configuration.line, __version__
        board.language = configuration.language
        board.agent_id = self._buffer.agent
        board.started_ns = board.config_reloaded_ns = self._clock.time_ns()
        board.config_version = configuration.version
        board.buffer = self._buffer_info
        board.storage = self._storage.info

    async def _live(self, tasks: Tasks) -> None:
        """From the first task to the last; ends when ``stop`` is set."""
        host = WorkerHost(
            self._clock,
            self.board,
            ConnectGate(self._clock),
            self._speaker,
            SystemRandom(),
            self._flow.take,
            lambda key: self._progress.mark(f"link {key}", self._clock.mono_ns()),
        )
        self._links = Links(host, tasks, self._progress)
        self._check.start(tasks, self._links)
        self._destinations = Destinations(
            tasks,
            self._stores,
            self._flow,
            self.board,
            self._clock,
            self._speaker,
            ask=self._check.ask,
            history=self._history,
            notes=Notes(self.configuration.state_dir / "uplinks"),
        )
        upkeep = self._start_upkeep(tasks)
        await self._start_web()
        await self._destinations.apply(self.configuration)
        await self._links.apply(self.configuration)
        self._check.applied()
        await self._check.open_console()
        reloads = [tasks.start("reload", self._reload(self))] if self._reload is not None else []
        settle_memory()
        self.ready.set()
        self._notifier.ready()
        self._say_started()
        await self._stop.wait()
        self._notifier.stopping()
        await tasks.stop(*reloads)  # first: one under way would start what is being stopped
        await self._wind_down(tasks, upkeep)

    def _start_upkeep(self, tasks: Tasks) -> list[asyncio.Task[None]]:
        flush_s = self.configuration.buffer.flush_s
        self._progress.expect("buffer writer", max(3 * flush_s, 15.0))
        self._progress.expect("control", TICK_MAX_AGE_S)
        self._progress.expect("event journal", JOURNAL_MAX_AGE_S)
        return [
            tasks.start("flush", flush_loop(self._flush, self._clock, flush_s, self._progress)),
            tasks.start(
                "tick", tick_loop(self._flow, self.board, self._clock, self._progress, self._refresh)
            ),
            tasks.start("watchdog", watchdog_loop(self._notifier, self._progress, self._clock)),
            tasks.start("journal", self._flow.journal()),
        ]

    async def _start_web(self) -> None:
        sources = Sources(
            self.board,
            self._clock,
            selected=self._selected,
            events=self._recent,
            not_ready=lambda: () if self.ready.is_set() else ("starting",),
        )
        self._web = Web(self.configuration.web, sources)
        await self._web.start()
        self.web_port = self._web.port

    def _selected(self) -> set[tuple[str, str]]:
        present = self.configuration
        found = {(d.name, t.name) for d in present.devices for t in d.tags if t.metric}
        derived = present.derivation
        if derived is not None:
            found |= {(derived.device, tag.name) for tag in derived.derived if tag.metric}
        return found

    async def _history(
        self, stream: str, start_ns: int, end_ns: int, selection: Selection
    ) -> AsyncIterator[Batch]:
        """For destinations: of samples and period values. What else there is are events, and told by kind."""
        store = next((store for store in self._sampled if store.stream == stream), None)
        if store is None and stream != Stream.PERIODS:
            raise LinesideError(f"there is no history of {stream}")
        async for batch in store.history(None, None, start_ns, end_ns) if store is not None else _nothing():
            if selection.wants(batch.schema):
                yield batch

    async def _recent(self, limit: int) -> Sequence[Event]:
        return [event for _, event in self._journal.recent(limit)]

    @property
    def _sampled(self) -> list[Buffer]:
        """The stores of batches."""
        return [store for store in self._stores if isinstance(store, Buffer)]

    def _add_store(self) -> None:
        """That of period values, once it is there."""
        store = self._periods.store
        if store is not None and store not in self._stores:
            self._stores.append(store)
            self._check.stores.append(store)

    async def _flush(self) -> None:
        """Samples first: what follows from them is never on disk without them."""
        await self._buffer.flush()
        await self._periods.flush()

    def _buffer_info(self) -> dict[str, Any]:
        """Of the samples' store; that of period values stands in it where there is one."""
        periods = self._periods.info()
        return self._buffer.info() | ({"periods": periods} if periods else {})

    def _refresh(self) -> None:
        refresh_rows(self.board, self._sampled)
        self._storage.refresh()
        if declared_degraded((self._buffer,)):  # a disk that hangs is said so, and a restart would not help
            self._progress.mark("buffer writer", self._clock.mono_ns())
        if self._flow.care() or declared_degraded((self._journal,)):
            self._progress.mark("event journal", self._clock.mono_ns())
        up = [d.up for d in self.board.devices.values() if d.driver != DERIVED]
        self._notifier.status(f"{sum(up)}/{len(up)} devices up")

    def _say_started(self) -> None:
        configuration = self.configuration
        what = {"version": __version__, "line": configuration.line, "configuration": configuration.version}
        counts = {"devices": len(configuration.devices), "uplinks": len(configuration.uplinks)}
        where = {
            "web": f"{configuration.web.host}:{self.web_port}",
            "state_dir": str(configuration.state_dir),
        }
        log.info("started", extra=fields(**what, **counts, **where))

    def _say_stopped(self) -> None:
        left = self._buffer.in_memory_samples
        if left:
            log.error("stopped while the disk took no data: samples are lost", extra=fields(samples=left))
        else:
            log.info("stopped", extra=fields(samples_read=self.board.samples_read))

    def _named_stores(self) -> dict[str, Buffer | EventStore]:
        return {"events" if store is self._journal else store.stream: store for store in self._stores}

    async def apply(self, new: Configuration) -> None:
        """A reload. Untouched links, window states and the buffer stay as they are."""
        old, self.configuration = self.configuration, new
        if _needs_restart(old) != _needs_restart(new):
            log.warning("state_dir, buffer and the address of web take effect at the next start")
        self._flow.announce(self._check.apply(new))
        await self._links.apply(new)
        self._check.applied()
        await self._buffer.register(new.taking(Stream.SAMPLES))
        await self._journal.register(new.taking(Stream.EVENT))
        await self._periods.apply(new, self._buffer)
        self._add_store()
        await self._destinations.apply(new)
        if self._web is not None:
            self._web.reconfigure(new.web)
        self.board.line, self.board.config_version = new.line, new.version
        self.board.language = new.language
        if new.version != old.version:
            self._flow.event("config_changed", "configuration", {"from": old.version, "to": new.version})

    async def _wind_down(self, tasks: Tasks, upkeep: Sequence[asyncio.Task[None]]) -> None:
        """Nobody acts any more; polls end, everything read is committed, then the park gets one polite last
        try."""
        await self._check.close_console()
        await self._check.stop()
        await self._links.stop()
        await tasks.stop(*upkeep)
        await self._periods.flush()  # first: the state that follows must not be ahead of it
        await self._flow.settle()
        await self._flush()
        await self._destinations.drain(DRAIN_S)
        if self._web is not None:
            await self._web.close()


async def _nothing() -> AsyncIterator[Batch]:
    return
    yield


def _needs_restart(configuration: Configuration) -> tuple[object, ...]:
    buffer = replace(configuration.buffer, periods_bytes=0)  # follows from the tags that are chosen
    return configuration.state_dir, buffer, configuration.web.host, configuration.web.port

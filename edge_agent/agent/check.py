"""The control check of a running agent: derived values, windows, alarms, evidence and guarded writes, made,
restored, reloaded and shown together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edge_agent.agent.alarm_desk import alarm_handlers
from edge_agent.agent.evidence import EvidenceKeeper
from edge_agent.agent.flow import Flow
from edge_agent.agent.period_desk import PeriodDesk
from edge_agent.agent.report_desk import report_handlers
from edge_agent.agent.virtual import VirtualDevice
from edge_agent.config.model import TagRef
from edge_agent.console import Console, console_path
from edge_agent.control import Control
from edge_agent.control.excursion import Moment
from edge_agent.control.times import TimeBook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.agent.acting import Acting
    from edge_agent.agent.buffer_desk import Kept
    from edge_agent.agent.debug_desk import DebugDesk
    from edge_agent.agent.links import Links
    from edge_agent.agent.tasks import Tasks
    from edge_agent.buffer import Buffer, EventStore
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration
    from edge_agent.console import Handler
    from edge_agent.model import Event
    from edge_agent.status import Board
    from edge_agent.uplink import Command, Verdict


WRITE_VERBS = tuple(
    f"writes.{verb}" for verb in ("status", "arm", "disarm", "kill", "unlock", "approve", "log", "write")
)
ASIDE_VERBS = ("buffer.quarantine", "buffer.retry", "buffer.drop")
DEBUG_VERBS = ("debug.start", "debug.take", "debug.stop", "debug.status")
COUNTER_VERBS = ("counters.list", "counters.declare", "counters.withdraw")


class Check:
    """``configuration`` tells the one in use. All state is restored from the journal before anything runs."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        board: Board,
        buffer: Buffer,
        journal: EventStore,
        clock: Clock,
    ) -> None:
        self._configuration = configuration
        self._board = board
        self._journal = journal
        self._clock = clock
        self._acting: Acting | None = None
        self._desk: DebugDesk | None = None
        now, states = self._now(), journal.window_states()
        present = configuration()
        self._subscribed = _subscribed(present)
        self.control = Control(present.windows, present.version, **now)
        self.control.restore(states, **now)
        self.virtual = VirtualDevice(board, clock)
        self.virtual.configure(present, states)
        self.times = TimeBook(present.shifts, present.version)
        self.times.restore(states)
        self.periods = PeriodDesk(clock, self.virtual.total_of)
        self.flow = Flow(
            board,
            self.control,
            buffer,
            journal,
            clock,
            lambda: configuration().version,
            virtual=self.virtual,
            times=self.times,
            periods=self.periods,
        )
        self.evidence = EvidenceKeeper(
            buffer.history,
            clock,
            self.flow.announce,
            lambda: self.control.windows,
            waiting=lambda: self.flow.waiting,
            reported=self._reported,
        )
        self.evidence.restore(states)
        self.flow.hearers.append(self.evidence)
        self.stores: list[Kept] = [buffer, journal]
        self._recall()
        board.windows = lambda: self.control.rows(clock.mono_ns())
        board.alarms = self._alarms
        board.writes = lambda: {} if self._acting is None else self._acting.status()

    def _now(self) -> dict[str, int]:
        return {"mono_ns": self._clock.mono_ns(), "time_ns": self._clock.time_ns()}

    def _recall(self) -> None:
        events = [event for batch in self.virtual.latest() for event in self.control.on_batch(batch)]
        if events:
            self.flow.announce(events)

    def _moment(self) -> Moment:
        mono_ns = self._clock.mono_ns()
        return Moment(mono_ns, self._clock.time_ns(), mono_ns)

    def _reported(self, tag: TagRef) -> bool:
        """Whether the tag's device speaks of it only when it changes."""
        return tag in self._subscribed

    def _alarms(self) -> Mapping[str, Any]:
        book, at = self.control.alarms, self._moment()
        return {"rows": book.rows(at), "kpi": book.kpi(at)}

    # Running

    def start(self, tasks: Tasks, links: Links) -> None:
        """The supervisors; ``stop`` ends them, before the links."""
        self._tasks, self._links = tasks, links
        self._running = [tasks.start("evidence", self.evidence.run())]
        if _acts(self._configuration()):
            self._act()

    async def stop(self) -> None:
        await self._tasks.stop(*self._running)

    def _act(self) -> Acting:
        if self._acting is None:
            from edge_agent.agent.acting import Acting

            self._acting = Acting(
                self._configuration(),
                self._links,
                self._clock,
                board=self._board,
                control=self.control,
                flow=self.flow,
                journal=self._journal,
            )
            self._running.append(self._tasks.start("writes", self._acting.writes.run()))
        return self._acting

    async def open_console(self) -> None:
        present = self._configuration()
        path = console_path(present.console.socket, present.state_dir, os.environ)
        self._console = Console(path, present.console.group, self._handlers())
        await self._console.start()

    async def close_console(self) -> None:
        await self._console.close()

    def _handlers(self) -> dict[str, Handler]:
        clock, flow, history = self._clock, self.flow, self._journal.history
        return {
            **alarm_handlers(self.control, clock, flow.announce, history),
            **report_handlers(
                lambda: self.times, lambda: self.control.times(clock.mono_ns()), clock, history
            ),
            **{verb: _late(verb, lambda: self._act().handlers) for verb in WRITE_VERBS},
            **{verb: _late(verb, self._counters) for verb in COUNTER_VERBS},
            **{verb: _late(verb, self._aside) for verb in ASIDE_VERBS},
            **{verb: _late(verb, self._debug) for verb in DEBUG_VERBS},
        }

    def _counters(self) -> Mapping[str, Handler]:
        from edge_agent.agent.counter_desk import counter_handlers

        return counter_handlers(lambda: self.virtual.accounting, self._clock, self.flow.announce)

    def _debug(self) -> Mapping[str, Handler]:
        if self._desk is None:
            from edge_agent.agent.debug_desk import DebugDesk

            self._desk = DebugDesk(self._links, self._clock)
        return self._desk.handlers

    def _aside(self) -> Mapping[str, Handler]:
        from edge_agent.agent.buffer_desk import buffer_handlers

        return buffer_handlers(lambda: self.stores, self.flow.event)

    async def ask(self, command: Command, uplink: str) -> Verdict:
        """A destination's request to write: judged like anybody's, as ``uplink:NAME``."""
        return await self._act().ask(command, uplink)

    # A reload

    def apply(self, new: Configuration) -> Sequence[Event]:
        """What is the same before and after goes on; the events are to be announced."""
        events = self.control.reconfigure(new.windows, new.version, **self._now())
        self._subscribed = _subscribed(new)
        self.virtual.configure(new)
        self._recall()
        self.times.shifts, self.times.config_version = new.shifts, new.version
        self.times.arrange(self.control.times(self._clock.mono_ns()))
        if self._acting is not None:  # before the links: nothing judged by the old tags goes through the new
            self._acting.writes.configure(new)
        elif _acts(new):
            self._act()
        return events

    def applied(self) -> None:
        """After the links have followed."""
        self.virtual.show()


def _acts(configuration: Configuration) -> bool:
    writing = configuration.writing
    return bool(writing.writables or writing.outputs or writing.heartbeats)


def _late(verb: str, handlers: Callable[[], Mapping[str, Handler]]) -> Handler:
    """A handler whose desk is made when it is first asked for."""

    async def handler(user: str, args: Mapping[str, Any]) -> Any:
        return await handlers()[verb](user, args)

    return handler


def _subscribed(configuration: Configuration) -> frozenset[TagRef]:
    found = []
    for device in configuration.devices:
        groups = device.plugin.subscribed(device.settings)
        found += [TagRef(device.name, tag.name) for tag in device.tags if tag.group in groups]
    return frozenset(found)

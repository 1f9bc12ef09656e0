"""The control check of a running agent: derived values, windows, alarms, evidence and guarded writes, made,
restored, reloaded and shown together."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from edge_agent.agent.alarm_desk import alarm_handlers
from edge_agent.agent.counter_desk import counter_handlers
from edge_agent.agent.evidence import EvidenceKeeper
from edge_agent.agent.flow import Flow
from edge_agent.agent.report_desk import report_handlers
from edge_agent.agent.virtual import VirtualDevice
from edge_agent.agent.write_desk import write_handlers
from edge_agent.agent.writes import Writes, tags_of
from edge_agent.config.model import TagRef
from edge_agent.console import Console, console_path
from edge_agent.control import Control
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Guard
from edge_agent.control.times import TimeBook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.agent.links import Links
    from edge_agent.agent.tasks import Tasks
    from edge_agent.buffer import Buffer, EventStore
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration, Window
    from edge_agent.console import Handler
    from edge_agent.model import Event
    from edge_agent.status import Board


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
        now, states = self._now(), journal.window_states()
        present = configuration()
        self._subscribed = _subscribed(present)
        self._by_name = {window.name: window for window in present.windows}
        self.control = Control(present.windows, present.version, **now)
        self.control.restore(states, **now)
        self.virtual = VirtualDevice(board, clock)
        self.virtual.configure(present, states)
        self.times = TimeBook(present.shifts, present.version)
        self.times.restore(states)
        self.guard = Guard(present.writing, tags_of(present), present.version, random=secrets.token_bytes)
        self.guard.restore(states, self._moment())
        self.flow = Flow(
            board,
            self.control,
            buffer,
            journal,
            clock,
            lambda: configuration().version,
            virtual=self.virtual,
            times=self.times,
        )
        self.evidence = EvidenceKeeper(
            buffer.history,
            clock,
            self.flow.announce,
            self._windows,
            waiting=lambda: self.flow.waiting,
            reported=self._reported,
        )
        self.evidence.restore(states)
        self.flow.hearers.append(self.evidence)
        self._recall()
        board.windows = lambda: self.control.rows(clock.mono_ns())
        board.alarms = self._alarms

    def _now(self) -> dict[str, int]:
        return {"mono_ns": self._clock.mono_ns(), "time_ns": self._clock.time_ns()}

    def _recall(self) -> None:
        events = [event for batch in self.virtual.latest() for event in self.control.on_batch(batch)]
        if events:
            self.flow.announce(events)

    def _moment(self) -> Moment:
        mono_ns = self._clock.mono_ns()
        return Moment(mono_ns, self._clock.time_ns(), mono_ns)

    def _windows(self) -> Mapping[str, Window]:
        return self._by_name

    def _reported(self, tag: TagRef) -> bool:
        """Whether the tag's device speaks of it only when it changes."""
        return tag in self._subscribed

    def _alarms(self) -> Mapping[str, Any]:
        book, at = self.control.alarms, self._moment()
        return {"rows": book.rows(at), "kpi": book.kpi(at)}

    # Running

    def start(self, tasks: Tasks, links: Links) -> None:
        """The supervisors; ``stop`` ends them, before the links."""
        self.writes = Writes(
            self.guard,
            links,
            self._clock,
            board=self._board,
            alarms=self.control.alarms,
            announce=self.flow.announce,
            commit=self.flow.commit,
        )
        self.flow.hearers.append(self.writes)
        self.writes.configure(self._configuration())
        self._running = [
            tasks.start("writes", self.writes.run()),
            tasks.start("evidence", self.evidence.run()),
        ]

    async def stop(self, tasks: Tasks) -> None:
        await tasks.stop(*self._running)

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
            **counter_handlers(lambda: self.virtual.accounting, clock, flow.announce),
            **write_handlers(self.guard, self.writes.execute, clock, flow.announce),
            **report_handlers(
                lambda: self.times, lambda: self.control.times(clock.mono_ns()), clock, history
            ),
        }

    # A reload

    def apply(self, new: Configuration) -> Sequence[Event]:
        """What is the same before and after goes on; the events are to be announced."""
        events = self.control.reconfigure(new.windows, new.version, **self._now())
        self._by_name = {window.name: window for window in new.windows}
        self._subscribed = _subscribed(new)
        self.virtual.configure(new)
        self._recall()
        self.times.shifts, self.times.config_version = new.shifts, new.version
        self.times.arrange(self.control.times(self._clock.mono_ns()))
        self.writes.configure(new)  # before the links: nothing judged by the old tags goes through the new
        return events

    def applied(self) -> None:
        """After the links have followed."""
        self.virtual.show()


def _subscribed(configuration: Configuration) -> frozenset[TagRef]:
    found = []
    for device in configuration.devices:
        groups = device.plugin.subscribed(device.settings)
        found += [TagRef(device.name, tag.name) for tag in device.tags if tag.group in groups]
    return frozenset(found)

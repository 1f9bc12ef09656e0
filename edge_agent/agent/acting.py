"""Guarded writes of a running agent. Made only where something may be written, or when somebody asks: an
agent that only reads does not carry what it takes to write."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from edge_agent.agent.write_desk import write_handlers
from edge_agent.agent.write_facts import moment
from edge_agent.agent.writes import Writes, tags_of
from edge_agent.config.model import TagRef
from edge_agent.control.guard import Guard, WriteRequest
from edge_agent.uplink import ACKNOWLEDGED, Answer, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.agent.flow import Flow
    from edge_agent.agent.links import Links
    from edge_agent.buffer import EventStore
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration
    from edge_agent.console import Handler
    from edge_agent.control import Control
    from edge_agent.status import Board
    from edge_agent.uplink import Command


class Acting:
    """Lock-outs, budgets, the kill switch and pending reverts are taken from the journal; nothing is armed.
    The caller starts ``writes.run``."""

    def __init__(
        self,
        configuration: Configuration,
        links: Links,
        clock: Clock,
        *,
        board: Board,
        control: Control,
        flow: Flow,
        journal: EventStore,
    ) -> None:
        writing, version = configuration.writing, configuration.version
        guard = Guard(writing, tags_of(configuration), version, random=secrets.token_bytes)
        self._guard, self._clock = guard, clock
        guard.restore(journal.window_states(), moment(clock))
        self.writes = Writes(
            guard,
            links,
            clock,
            board=board,
            alarms=control.alarms,
            announce=flow.announce,
            commit=flow.commit,
        )
        self.handlers: Mapping[str, Handler] = write_handlers(
            guard, self.writes.execute, clock, flow.announce, self.writes.facts
        )
        flow.hearers.append(self.writes)
        self.writes.configure(configuration)

    async def ask(self, command: Command, uplink: str) -> Verdict:
        """The whole way of one request of a destination. A command that names no tag or no value is refused
        by the guard like any other that fits nothing."""
        detail = command.detail
        device, _, tag = str(detail.get("tag", "")).partition(".")
        outcome = await self.writes.execute(
            WriteRequest(
                TagRef(device, tag),
                detail.get("value"),
                f"uplink:{uplink}",
                command.source,
                str(detail.get("token", "")),
                str(detail.get("comment", "")),
            )
        )
        return ACKNOWLEDGED if outcome.ok else Verdict(Answer.REJECTED, outcome.text.en)

    def status(self) -> Mapping[str, Any]:
        """As ``edge-agent writes status`` shows it."""
        return self._guard.status(moment(self._clock))

"""What a destination may ask of the agent, and what forwarding asks of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge_agent.errors import LinesideError, StorageError
from edge_agent.model import Batch
from edge_agent.uplink import Answer, Command, Key, Verdict

LARGEST_NOTE = 65_536
_NOTE = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class Speaker(Protocol):
    """Says once that something broke and once that it healed (``log.Once``)."""

    def broke(self, key: str, message: str, /, **named: object) -> None: ...

    def healed(self, key: str, message: str, /, **named: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """Lent by the agent; none of them may raise. ``event(kind, source, detail)`` records an event and returns
    at once; ``current`` gives the newest batch of every group; ``history`` is None while no store has it;
    ``ask(command, uplink)`` is the guarded pipeline, None where nothing may be written;
    ``keep(uplink, name, text)`` and ``recall(uplink, name)`` are an uplink's durable memory."""

    event: Callable[[str, str, Mapping[str, Any]], None]
    current: Callable[[], Sequence[Batch]] = tuple
    history: Callable[[str, int, int], AsyncIterator[Batch]] | None = None
    ask: Callable[[Command, str], Awaitable[Verdict]] | None = None
    keep: Callable[[str, str, str], Awaitable[None]] | None = None
    recall: Callable[[str, str], Awaitable[str]] | None = None


class AgentHost:
    """The ``uplink.Host`` of one uplink. ``agent`` is asked each time: a store that could not be opened at
    the start learns its id later. ``line``: the production line, as the configuration names it."""

    def __init__(
        self,
        agent: Callable[[], str],
        name: str,
        line: str,
        hooks: Hooks,
        confirm: Callable[[Sequence[Key]], None],
        refuse: Callable[[Sequence[Key], str], None],
        lose: Callable[[str], None],
    ) -> None:
        self.line = line
        self._agent = agent
        self._name = name
        self._hooks = hooks
        self._confirm = confirm
        self._refuse = refuse
        self._lose = lose

    @property
    def agent(self) -> str:
        return self._agent()

    @property
    def name(self) -> str:
        return self._name

    def acknowledged(self, keys: Sequence[Key]) -> None:
        """Keys that were never sent, or are settled already, are ignored."""
        self._confirm(keys)

    def rejected(self, keys: Sequence[Key], reason: str) -> None:
        """Keys that were never sent, or are settled already, are ignored."""
        self._refuse(keys, reason)

    def lost(self, reason: str) -> None:
        self._lose(reason)

    async def keep(self, name: str, text: str) -> None:
        if not _NOTE.fullmatch(name) or len(text.encode()) > LARGEST_NOTE:
            raise ValueError(f"{name!r} is no name for what an uplink keeps, or its text is too long")
        if self._hooks.keep is None:
            raise StorageError("this agent keeps nothing for its uplinks")
        await self._hooks.keep(self._name, name, text)

    async def recall(self, name: str) -> str:
        return await self._hooks.recall(self._name, name) if self._hooks.recall is not None else ""

    def current(self) -> Sequence[Batch]:
        return self._hooks.current()

    def history(self, stream: str, start_ns: int, end_ns: int) -> AsyncIterator[Batch]:
        """Raises LinesideError when this agent cannot look back."""
        if self._hooks.history is None:
            raise LinesideError("history is not available in this release")
        return self._hooks.history(stream, start_ns, end_ns)

    def record(self, kind: str, detail: Mapping[str, Any]) -> None:
        self._hooks.event(kind, self._name, detail)

    async def ask(self, command: Command) -> Verdict:
        """A command to write goes into the guarded pipeline, where it is one request among others; any other,
        and all where nothing may be written, is refused. Always on record."""
        if command.kind == "write" and self._hooks.ask is not None:
            return await self._hooks.ask(command, self._name)
        self._hooks.event(
            "command_refused",
            self._name,
            {"command": command.kind, "source": command.source, "detail": dict(command.detail)},
        )
        return Verdict(Answer.REJECTED, "this agent takes no such command from a destination")

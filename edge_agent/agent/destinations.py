"""Forwarders come and go with the configuration; unchanged destinations are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.forwarding import Forwarder, Hooks, Timing
from edge_agent.status import UplinkRow

if TYPE_CHECKING:
    from edge_agent.agent.flow import Flow
    from edge_agent.agent.tasks import Tasks
    from edge_agent.buffer import Notes
    from edge_agent.clock import Clock
    from edge_agent.config.model import Configuration, Selection, UplinkConfig
    from edge_agent.forwarding import Store
    from edge_agent.log import Once
    from edge_agent.model import Batch
    from edge_agent.status import Board
    from edge_agent.uplink import Command, Verdict

FINISH_S = 1.0
"""For what is under way to an uplink that a reload takes away or changes."""


class Destinations:
    def __init__(
        self,
        tasks: Tasks,
        stores: Sequence[Store],
        flow: Flow,
        board: Board,
        clock: Clock,
        speaker: Once,
        *,
        ask: Callable[[Command, str], Awaitable[Verdict]],
        history: Callable[[str, int, int, Selection], AsyncIterator[Batch]],
        notes: Notes,
    ) -> None:
        self._tasks = tasks
        self._stores = stores
        self._history = history
        self._hooks = Hooks(
            event=flow.event,
            ask=ask,
            keep=notes.keep,
            recall=notes.recall,
        )
        self._board = board
        self._clock = clock
        self._speaker = speaker
        self._line = ""
        self._known: list[Store] = []
        self._running: dict[str, tuple[UplinkConfig, Forwarder, asyncio.Task[None]]] = {}

    def _current(self, selection: Selection) -> Sequence[Batch]:
        latest = (g.latest for d in self._board.devices.values() for g in d.groups.values())
        return [selection.narrowed(b) for b in latest if b is not None and selection.wants(b.schema)]

    async def apply(self, configuration: Configuration) -> None:
        wanted = {u.name: u for u in configuration.uplinks}
        anew, self._line = configuration.line != self._line, configuration.line
        anew, self._known = anew or self._known != list(self._stores), list(self._stores)
        changed = [n for n, (config, _, _) in self._running.items() if anew or wanted.get(n) != config]
        for name in changed:
            del self._board.uplinks[name]
        await asyncio.gather(*(self._running[name][1].finish(FINISH_S) for name in changed))
        await self._tasks.stop(*(self._running.pop(name)[2] for name in changed))
        for name, config in wanted.items():
            if name in self._running:
                continue
            row = UplinkRow(name, config.type, config.plugin.endpoint(config.settings))
            self._board.uplinks[name] = row
            forwarder = self._forwarder(config, configuration.line, row)
            self._running[name] = (config, forwarder, self._tasks.start(f"uplink {name}", forwarder.run()))

    def _forwarder(self, config: UplinkConfig, line: str, row: UplinkRow) -> Forwarder:
        confirm_s = config.plugin.confirm_s
        return Forwarder(
            config,
            [store for store in self._stores if store.stream in config.selection.streams],
            agent=lambda: self._board.agent_id,
            line=line,
            clock=self._clock,
            row=row,
            log=self._speaker,
            hooks=replace(
                self._hooks,
                current=partial(self._current, config.selection),
                history=partial(self._of_history, config.selection),
            ),
            timing=None if confirm_s is None else Timing(confirm_s=confirm_s(config.settings)),
        )

    async def _of_history(
        self, selection: Selection, stream: str, start_ns: int, end_ns: int
    ) -> AsyncIterator[Batch]:
        async for batch in self._history(stream, start_ns, end_ns, selection):
            yield selection.narrowed(batch)

    async def drain(self, deadline_s: float) -> None:
        """Stops all, after what is under way and one polite last try each for what is committed, side by
        side."""
        forwarders = [forwarder for _, forwarder, _ in self._running.values()]
        end_s = asyncio.get_running_loop().time() + deadline_s
        await asyncio.gather(*(forwarder.finish(deadline_s / 2) for forwarder in forwarders))
        await self._tasks.stop(*(task for _, _, task in self._running.values()))
        left_s = end_s - asyncio.get_running_loop().time()
        await asyncio.gather(*(forwarder.drain(left_s) for forwarder in forwarders))
        self._running.clear()

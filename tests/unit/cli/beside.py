"""Simulated controllers in a thread of their own, beside a command that has the event loop of this one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from edge_agent.cli import main

_TIMEOUT_S = 30.0


class Beside:
    """``call`` runs a coroutine in the thread and waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[Any] = []

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_S)

    def start(self, server: Any) -> Any:
        self.call(server.start())
        self._servers.append(server)
        return server

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        for server in self._servers:
            self.call(server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT_S)
        self._loop.close()


@contextmanager
def beside() -> Iterator[Beside]:
    plant = Beside()
    plant.open()
    try:
        yield plant
    finally:
        plant.close()


def run(*words: str) -> int:
    return main([str(word) for word in words])

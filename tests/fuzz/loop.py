"""An event loop without a network and without waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

Script = Callable[[bytes], list[bytes] | None]
"""What the client wrote -> the pieces that come back; None: the peer closes."""


class Stuck(AssertionError):
    """Nothing is scheduled any more, and somebody still waits."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting it moves the loop's clock."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Stuck("a driver waits for something that cannot come")
            self.skipped_s += max(0.0, timeout)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """``script`` answers what is written on the connection that ``create_connection`` makes. ``raised``: what
    was raised in a callback, where no caller can catch it."""

    def __init__(self) -> None:
        self._fuzz_selector = _Selector()
        super().__init__(self._fuzz_selector)
        self.script: Script = lambda data: None
        self.raised: list[BaseException] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return super().time() + self._fuzz_selector.skipped_s

    async def create_connection(self, factory: Any, *args: Any, **keys: Any) -> Any:
        protocol = factory()
        transport = _Transport(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """At once and here: no thread can finish while no time passes."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits it, as an executor does
            done.set_exception(error)
        return done

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.raised.append(context.get("exception") or AssertionError(context["message"]))


class _Transport(asyncio.Transport):
    def __init__(self, loop: Loop, protocol: Any) -> None:
        super().__init__()
        self._fuzz_loop = loop
        self._protocol = protocol
        self._closed = False

    def write(self, data: Any) -> None:
        pieces = None if self._closed else self._fuzz_loop.script(bytes(data))
        for piece in pieces or []:
            self._fuzz_loop.call_soon(self._deliver, piece)
        if pieces is None:
            self._fuzz_loop.call_soon(self._lose)

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closed

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._fuzz_loop.call_soon(self._protocol.connection_lost, None)

    close = abort

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def _lose(self) -> None:
        if not self._closed:
            self._closed = True
            self._protocol.connection_lost(None)

    def _deliver(self, piece: bytes) -> None:
        if self._closed:
            return
        try:
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                self._fill(piece)
            else:
                self._protocol.data_received(piece)
        except Exception as error:  # noqa: BLE001 - what a transport would only log
            self._fuzz_loop.raised.append(error)

    def _fill(self, piece: bytes) -> None:
        while piece and not self._closed:
            buffer = self._protocol.get_buffer(-1)
            size = min(len(buffer), len(piece))
            buffer[:size] = piece[:size]
            self._protocol.buffer_updated(size)
            piece = piece[size:]

"""One answer for everybody who asks within a moment, made partly in a worker thread."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Copy = TypeVar("Copy")


class Cached(Generic[Copy]):
    """``collect`` runs in the event loop and takes a copy; ``write`` turns it into bytes in a worker thread.

    Whoever asks while an answer is being made waits for that one. An answer is never older than ``keep_s``
    when it is handed out, so two Prometheus servers and a browser cost no more than one.
    """

    def __init__(self, collect: Callable[[], Copy], write: Callable[[Copy], bytes], keep_s: float) -> None:
        self._collect = collect
        self._write = write
        self._keep_s = keep_s
        self._lock = asyncio.Lock()
        self._made_s = -float("inf")
        self._plain = b""
        self._packed: bytes | None = None

    async def get(self, *, packed: bool = False) -> bytes:
        """The answer; gzip-compressed with ``packed``."""
        async with self._lock:
            # The loop's own clock and not an injected one: this is about sparing the processor, not about
            # data.
            if time.monotonic() - self._made_s >= self._keep_s:
                made_s = time.monotonic()
                self._plain = await asyncio.to_thread(self._write, self._collect())
                self._packed, self._made_s = None, made_s
            if not packed:
                return self._plain
            if self._packed is None:
                self._packed = await asyncio.to_thread(gzip.compress, self._plain, 5)
            return self._packed

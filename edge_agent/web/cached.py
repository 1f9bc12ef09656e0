"""One answer for everybody who asks within a moment."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable

GZIP_LEVEL = 1  # a tenth of the size at half the processor time of level 5, which saves another percent


class Cached:
    """Whoever asks while an answer is being made waits for that one. An answer is never older than ``keep_s``
    when it is handed out, so two Prometheus servers and a browser cost no more than one; after that it is not
    kept either, because some are large and asked for once a day. For the same reason an answer is a list of
    pieces, which are sent as they are."""

    def __init__(self, make: Callable[[], Awaitable[list[bytes]]], keep_s: float) -> None:
        self._make = make
        self._keep_s = keep_s
        self._lock = asyncio.Lock()
        self._made_s = -float("inf")
        self._plain: list[bytes] = []
        self._packed: list[bytes] | None = None

    async def get(self, *, packed: bool = False) -> list[bytes]:
        """The answer; gzip-compressed with ``packed``."""
        async with self._lock:
            # The loop's own clock and not an injected one: this is about sparing the processor, not about
            # data.
            if time.monotonic() - self._made_s >= self._keep_s:
                made_s = time.monotonic()
                self._plain = await self._make()
                self._packed, self._made_s = None, made_s
                asyncio.get_running_loop().call_later(self._keep_s, self._forget, made_s)
            plain = self._plain
            if not packed:
                return plain
            if self._packed is None:
                self._packed = [await asyncio.to_thread(gzip.compress, b"".join(plain), GZIP_LEVEL)]
            return self._packed

    def _forget(self, made_s: float) -> None:
        """Drops the answer made at that moment; where it is just being packed, the next one replaces it."""
        if self._made_s == made_s and not self._lock.locked():
            self._made_s, self._plain, self._packed = -float("inf"), [], None

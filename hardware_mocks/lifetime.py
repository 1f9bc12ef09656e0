"""How long a simulator process lives: until a signal, or until its parent is gone."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

_PR_SET_PDEATHSIG = 1
CLOSE_WITHIN_S = 1.5


class Part(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...


def die_with_parent() -> None:
    """SIGTERM when the parent ends, however it ends (prctl(2); Linux only). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() == 1:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


class Ready(Protocol):
    def __call__(self) -> Mapping[str, Any]: ...


async def run_until_signal(parts: Sequence[Part], ready: Ready) -> None:
    """Starts the parts in order, prints one JSON line on stdout, waits for SIGTERM or SIGINT, closes them."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started: list[Part] = []
    try:
        for part in parts:
            await part.start()
            started.append(part)
        print(json.dumps(ready()), flush=True)
        await stop.wait()
    finally:
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await asyncio.gather(*(part.close() for part in started))
        except TimeoutError:
            pass  # whoever stops us counts on two seconds

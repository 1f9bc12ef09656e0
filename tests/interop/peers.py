"""A peer's process, and devices of ours that read from it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.registry import load_driver
from edge_agent.status import Board

START_WITHIN_S = 60.0


class Peer:
    """Starts with the object; ``answer`` is its first line of JSON. Its other output goes to ``log``."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] = {}) -> None:
        self._command = [str(part) for part in command]
        self._log = log
        self._environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
        watchdog = threading.Timer(START_WITHIN_S, self._process.kill)
        watchdog.start()
        self.answer = self._next()
        watchdog.cancel()

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._next()

    def kill(self) -> None:
        """SIGKILL to its own pid, as a power cut would."""
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _next(self) -> Any:
        """The next line that is JSON; libraries print other things in between."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                return json.loads(line)
            except ValueError:
                continue
        raise AssertionError(f"the peer ended: {self._log.read_text(encoding='utf-8', errors='replace')}")


def device(driver: str, tags: Sequence[tuple[str, str, str]], **settings: Any) -> Device:
    """``tags``: (name, address, type). All in one poll group, read every 0.2 s."""
    plugin = load_driver(driver)
    made = []
    for name, address, kind in tags:
        plain, _, length = kind.rstrip("]").partition("[")
        decoded = plugin.types.get(plain, plain)
        wire = plain if plain in plugin.types else ""
        made.append(Tag(name, address, ValueType(decoded), length=int(length or 1), wire=wire))
    checked = plugin.settings.model_validate(settings)
    problems = [problem for problem in plugin.check(checked, made) if not problem.warning]
    assert not problems, problems
    return Device("peer", driver, plugin, checked, tuple(made), {"default": 0.2})


def values(batch: Batch) -> dict[str, Any]:
    """Name -> value; of a value that is not good its quality."""
    found = zip(batch.schema.names, batch.values, batch.quality, strict=True)
    return {name: value if quality == Quality.GOOD else Quality(quality) for name, value, quality in found}


class Watch:
    """What a worker delivers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._news = asyncio.Event()

    def sink(self, driver: str, batch: Batch) -> None:
        self.batches.append(batch)
        self._news.set()

    async def until(self, good: bool, within_s: float = 10.0) -> Batch:
        """The next batch that is wholly good, or wholly not."""
        async with asyncio.timeout(within_s):
            seen = len(self.batches)
            while True:
                for batch in self.batches[seen:]:
                    if all(Quality(q).is_good == good for q in batch.quality):
                        return batch
                seen = len(self.batches)
                self._news.clear()
                await self._news.wait()


class _Mute:
    def broke(self, key: str, message: str, /, **fields: Any) -> None:
        assert "internal error" not in str(fields.get("error")), fields

    def healed(self, key: str, message: str, /, **fields: Any) -> None:
        pass


@asynccontextmanager
async def polled(one: Device) -> AsyncIterator[Watch]:
    """The agent's own worker at work on one device."""
    watch, clock = Watch(), SystemClock()
    host = WorkerHost(clock, Board(), ConnectGate(clock), _Mute(), Random(1), watch.sink, lambda link: None)
    task = asyncio.create_task(LinkWorker(one.link_key, [one], "1", host).run())
    try:
        yield watch
    finally:
        assert not task.done(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def write(one: Device, tag: str, raw: Any) -> None:
    """One guarded pipeline's worth of writing: a link of its own, one write, closed."""
    link: Any = one.plugin.open_link(one.settings)
    try:
        async with asyncio.timeout(5):
            await link.connect()
            await link.enrol(one.settings)
            await link.write(one.settings, next(t for t in one.tags if t.name == tag), raw)
    finally:
        await link.close()

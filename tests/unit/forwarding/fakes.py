"""A store, a destination and a listener that a test can look into."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from edge_agent.config.model import UplinkConfig
from edge_agent.forwarding import Forwarder, Hooks, Timing
from edge_agent.model import Event, Schema, ValueType
from edge_agent.status import UplinkRow
from edge_agent.testing.clock import ManualClock, settle
from edge_agent.uplink import (
    ACKNOWLEDGED,
    Answer,
    Envelope,
    Host,
    Key,
    Lane,
    UplinkPlugin,
    UplinkSettings,
    Verdict,
)

SCHEMA = Schema("press-1", "fast", "c0ffee", ("pressure",), (ValueType.FLOAT32,), ("MPa",), (None,))
NAME = "park"
RETRY = Verdict(Answer.RETRY, "later")


class Laws:
    """What was broken. It is kept, because a forwarder outlives whatever a store or an uplink raises; a bench
    looks at the end."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)
            raise AssertionError(otherwise)


class MemoryStore:
    """``samples`` or ``event``. Watches the store's side of every law: nothing is settled twice, nothing that
    was not committed."""

    def __init__(self, stream: str = "samples") -> None:
        self.stream = stream
        self.laws = Laws()
        self.units: dict[Key, Envelope] = {}
        self.newest: set[Key] = set()
        self.acknowledged: list[Key] = []
        self.quarantined: dict[Key, str] = {}
        self.takes = 0
        self.fault: Exception | None = None
        self._seq = 0
        self._callbacks: list[Callable[[], None]] = []

    def watch(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    @property
    def watchers(self) -> int:
        return len(self._callbacks)

    def commit(self, count: int = 1, samples: int = 10) -> list[Key]:
        keys = []
        for _ in range(count):
            self._seq += 1
            key = Key(self.stream, 7, self._seq)
            event = Event("excursion_begin", "press-1.pressure", 0, 0, "c0ffee")
            self.units[key] = (
                Envelope(key, Lane.LIVE, event=event)
                if self.stream == "event"
                else Envelope(key, Lane.LIVE, samples, SCHEMA)
            )
            keys.append(key)
        self.newest = set(keys)
        for callback in self._callbacks:
            callback()
        return keys

    async def take(self, uplink: str, lane: Lane, *, max_items: int, max_samples: int) -> Sequence[Envelope]:
        self.laws.require(uplink == NAME and max_items > 0, f"{max_items} units for {uplink}")
        self.takes += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        found: list[Envelope] = []
        for key, item in self.units.items():
            if key in self.acknowledged or key in self.quarantined:
                continue
            if (key in self.newest) != (lane is Lane.LIVE):
                continue
            if found and sum(i.samples for i in found) + item.samples > max_samples:
                break
            found.append(dataclasses.replace(item, lane=lane))
            if len(found) == max_items:
                break
        return found

    def acknowledge(self, uplink: str, keys: Sequence[Key]) -> None:
        for key in keys:
            self.laws.require(key in self.units, f"{key} was never committed")
            self.laws.require(key not in self.acknowledged, f"{key} acknowledged twice")
            self.laws.require(key not in self.quarantined, f"{key} acknowledged after quarantine")
            self.acknowledged.append(key)

    def quarantine(self, uplink: str, key: Key, reason: str) -> None:
        self.laws.require(key in self.units, f"{key} was never committed")
        self.laws.require(key not in self.acknowledged, f"{key} quarantined after acknowledgement")
        self.laws.require(key not in self.quarantined, f"{key} quarantined twice")
        self.laws.require(bool(reason), f"{key} quarantined without a reason")
        self.quarantined[key] = reason

    @property
    def open(self) -> list[Key]:
        return [k for k in self.units if k not in self.acknowledged and k not in self.quarantined]


Answering = Callable[[Sequence[Envelope]], "Sequence[Verdict] | Exception"]


def take_all(items: Sequence[Envelope]) -> Sequence[Verdict]:
    return [ACKNOWLEDGED for _ in items]


class Destination:
    """Stands behind every uplink object that the plug-in opens. ``answer`` is the behaviour; ``gate``, if
    set, holds each send until it is opened."""

    def __init__(self) -> None:
        self.answer: Answering = take_all
        self.refuse_connect: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.laws = Laws()
        self.sends: list[list[Key]] = []
        self.lanes: list[set[Lane]] = []
        self.connects: list[int] = []
        self.opened = 0
        self.closed = 0
        self.under_way: set[Key] = set()
        self.host: Host | None = None
        self.clock: ManualClock | None = None
        self.confirms_on_connection = False
        self.waiting = 0

    def plugin(self) -> UplinkPlugin:
        return UplinkPlugin(
            UplinkSettings,
            self._open,
            lambda settings: "fake://park",
            confirms_on_connection=self.confirms_on_connection,
            waiting=self.waiting,
        )

    def _open(self, settings: UplinkSettings, host: Host) -> FakeUplink:
        self.opened += 1
        self.host = host
        return FakeUplink(self)


class FakeUplink:
    def __init__(self, destination: Destination) -> None:
        self._d = destination
        self._closed = False

    async def connect(self) -> None:
        assert self._d.clock is not None
        self._d.connects.append(self._d.clock.mono_ns())
        await asyncio.sleep(0)
        if self._d.refuse_connect is not None:
            raise self._d.refuse_connect

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        d = self._d
        d.laws.require(not self._closed, "send after close")
        d.laws.require(not d.under_way, "two sends at once")
        d.laws.require(bool(items), "an empty message")
        d.laws.require(len({item.key for item in items}) == len(items), "a unit twice in a message")
        d.under_way = {item.key for item in items}
        d.sends.append([item.key for item in items])
        d.lanes.append({item.lane for item in items})
        try:
            if d.gate is not None:
                await d.gate.wait()
            await asyncio.sleep(0)
            answer = d.answer(items)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            d.under_way = set()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._d.closed += 1
        await asyncio.sleep(0)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def broke(self, key: str, message: str, /, **named: object) -> None:
        self.lines.append(f"broke {message}")

    def healed(self, key: str, message: str, /, **named: object) -> None:
        self.lines.append(f"healed {message}")


class Bench:
    """A forwarder with everything around it. ``async with`` starts and stops its loop."""

    def __init__(
        self,
        *,
        max_segments: int = 64,
        timing: Timing | None = None,
        seed: int = 1,
        stores: Sequence[MemoryStore] | None = None,
        confirms_on_connection: bool = False,
        waiting: int = 0,
    ) -> None:
        self.clock = ManualClock()
        self.samples = MemoryStore("samples")
        self.events = MemoryStore("event")
        self.stores = list(stores) if stores is not None else [self.samples, self.events]
        self.destination = Destination()
        self.destination.clock = self.clock
        self.destination.confirms_on_connection = confirms_on_connection
        self.destination.waiting = waiting
        self.row = UplinkRow(NAME, "fake", "fake://park")
        self.log = Log()
        self.recorded: list[tuple[str, str, Mapping[str, Any]]] = []
        config = UplinkConfig(NAME, "fake", self.destination.plugin(), UplinkSettings(), max_segments)
        self.forwarder = Forwarder(
            config,
            self.stores,
            agent=lambda: "a" * 32,
            line="press-line-1",
            clock=self.clock,
            row=self.row,
            log=self.log,
            hooks=Hooks(event=lambda *record: self.recorded.append(record)),
            random=Random(seed),
            timing=timing,
        )
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Bench:
        self.task = asyncio.create_task(self.forwarder.run())
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            results = await asyncio.gather(self.task, return_exceptions=True)
            ended = results[0] is None and self.forwarder._finishing
            assert ended or isinstance(results[0], asyncio.CancelledError), results
            self.task = None
        broken = [law for part in (*self.stores, self.destination) for law in part.laws.broken]
        assert not broken, broken

    async def work(self, turns: int = 400) -> None:
        """Lets the loop run until it has nothing to do at this moment of the clock."""
        await settle(turns)

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock, letting the loop finish at every moment what it has to do."""
        whole, rest = divmod(seconds, 1.0)
        for step in [1.0] * int(whole) + [rest]:
            await self.clock.advance(step)
            await self.work(60)
        await self.work()

    def all_settled(self) -> bool:
        return not any(store.open for store in self.stores)

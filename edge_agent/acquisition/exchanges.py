"""Single exchanges, each under a deadline of its own. Which one comes next is the session's business."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_agent.driver import Burster, Subscriber, Writer
from edge_agent.errors import StationError, StationSilent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.acquisition.cycle import Cycle
    from edge_agent.acquisition.host import WorkerHost
    from edge_agent.acquisition.station import Station
    from edge_agent.driver import Link, Request, Sink
    from edge_agent.model import Tag, Value

ENROL_ALONE_S = 3.0
ENROL_SHARED_S = 1.0  # others wait meanwhile
SUBSCRIBE_S = 5.0  # thousands of items are several messages


class Exchanges:
    """Of one connection. Raises the station errors, LinkLost and cancellation; a missed deadline is
    StationSilent."""

    def __init__(self, key: str, link: Link, host: WorkerHost, *, shared: bool) -> None:
        self._key = key
        self._link = link
        self._host = host
        self._clock = host.clock
        self._enrol_s = ENROL_SHARED_S if shared else ENROL_ALONE_S
        self.bursting = isinstance(link, Burster)
        self.subscribing = isinstance(link, Subscriber)
        self.writing = isinstance(link, Writer)

    async def enrol(self, station: Station) -> Any:
        self._host.attempted(self._key)
        try:
            async with asyncio.timeout(max(station.timeout_s, self._enrol_s)):
                return await self._link.enrol(station.device.settings)
        except TimeoutError:
            raise StationSilent("no answer while its limits were asked for") from None

    async def prove(self, station: Station) -> None:
        self._host.attempted(self._key)
        limit_s = station.proof_deadline_s()
        try:
            async with asyncio.timeout(limit_s):
                await self._link.prove(station.device.settings, station.reserved)
        except TimeoutError:
            raise StationSilent(
                f"no answer within {limit_s:g} s that proves which request its answers belong to"
            ) from None

    async def ask(self, station: Station, request: Request) -> Any:
        """One round trip of a poll."""
        self._host.attempted(self._key)
        start_ns = self._clock.mono_ns()
        limit_s = station.deadline_s(request)
        station.row.requests += 1
        try:
            async with asyncio.timeout(limit_s):
                reply = await self._link.exchange(request)
        except TimeoutError:
            raise StationSilent(f"no answer within {limit_s:g} s") from None
        station.row.duration.observe((self._clock.mono_ns() - start_ns) / 1e9)
        return reply

    async def burst(
        self, station: Station, requests: Sequence[Request]
    ) -> tuple[list[Any], StationError | None]:
        """Several in a row under one deadline: the replies that came, and what the next one met with. When
        time is up although replies came, the station is only slow, which is no error: the rest is asked one
        by one from then on, each under a deadline of its own."""
        replies: list[Any] = []
        error: StationError | None = None
        self._host.attempted(self._key)
        start_ns = self._clock.mono_ns()
        try:
            async with asyncio.timeout(station.timeout_s):
                await self._link.burst(requests, replies)  # type: ignore[attr-defined]  # if bursting
        except TimeoutError:
            station.trusted = False  # one is still under way
            if replies:
                station.slow = True
            else:
                error = StationSilent(f"no answer within {station.timeout_s:g} s")
        except StationError as raised:
            error = raised
        row = station.row
        row.requests += len(replies) + (error is not None)
        if replies:
            row.duration.observe_many((self._clock.mono_ns() - start_ns) / 1e9 / len(replies), len(replies))
        return replies, error

    async def write(self, station: Station, tag: Tag, raw: Value) -> None:
        """One round trip that changes one tag; it may take as long as reading that tag."""
        self._host.attempted(self._key)
        link: Any = self._link
        limit_s = max(
            [station.deadline_s(r) for r in station.single(tag).requests], default=station.timeout_s
        )
        station.row.requests += 1
        try:
            async with asyncio.timeout(limit_s):
                await link.write(station.device.settings, tag, raw)
        except TimeoutError:
            raise StationSilent(f"no answer within {limit_s:g} s") from None

    async def subscribe(self, station: Station, cycle: Cycle, sink: Sink) -> float:
        """The liveness deadline in seconds."""
        self._host.attempted(self._key)
        link: Any = self._link
        try:
            async with asyncio.timeout(max(station.timeout_s, SUBSCRIBE_S)):
                return float(
                    await link.subscribe(
                        station.device.settings, cycle.tags, cycle.plan, cycle.row.period_s, sink
                    )
                )
        except TimeoutError:
            raise StationSilent(f"no answer within {SUBSCRIBE_S:g} s to the subscription") from None

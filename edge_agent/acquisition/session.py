"""One connection's polling: which exchange comes next, and what an answer or an error does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_agent.acquisition.breaker import THRESHOLD
from edge_agent.driver import Burster
from edge_agent.errors import BadReply, Busy, LinkLost, Replan, StationError, StationSilent
from edge_agent.model import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.acquisition.breaker import ProbeBudget
    from edge_agent.acquisition.cycle import Cycle
    from edge_agent.acquisition.host import WorkerHost
    from edge_agent.acquisition.reports import Reports
    from edge_agent.acquisition.station import Station
    from edge_agent.driver import Link, Request

ENROL_TIMEOUT_S = 3.0

_REFUSED_QUALITY = {"illegal_address": Quality.BAD_ADDRESS, "permission": Quality.BAD_CONFIG}


class Session:
    """From a connected link to its loss. Raises only LinkLost (and cancellation)."""

    def __init__(
        self,
        key: str,
        link: Link,
        stations: Sequence[Station],
        budget: ProbeBudget,
        host: WorkerHost,
        reports: Reports,
    ) -> None:
        self._key = key
        self._link = link
        self._bursting = link if isinstance(link, Burster) else None
        self._stations = stations
        self._budget = budget
        self._host = host
        self._clock = host.clock
        self._reports = reports
        self.answers = 0

    async def run(self) -> None:
        now = self._clock.mono_ns()
        for station in self._stations:
            station.row.connects += 1
            station.enrolled, station.trusted = False, True
            station.breaker.half_open()
            for cycle in station.cycles:
                cycle.restart(now)
        while True:
            turn = self._next(self._clock.mono_ns())
            if turn is None:
                await self._clock.sleep_until(self._wake_ns())
            elif turn[1] is None:
                await self._probe(turn[0])
            else:
                await self._step(turn[0], turn[1])

    def _next(self, now_ns: int) -> tuple[Station, Cycle | None] | None:
        """The pending exchange with the earliest deadline; a probe only when no poll is waiting."""
        best: tuple[Station, Cycle] | None = None
        probe: Station | None = None
        for station in self._stations:
            if station.breaker.open:
                due_ns = station.breaker.probe_at_ns
                if self._budget.free_at_ns(due_ns) <= now_ns and (
                    probe is None or due_ns < probe.breaker.probe_at_ns
                ):
                    probe = station  # the one that has waited longest
                continue
            for cycle in station.cycles:
                if cycle.wake_ns() <= now_ns and (best is None or cycle.deadline_ns < best[1].deadline_ns):
                    best = (station, cycle)
        return best or (None if probe is None else (probe, None))

    def _wake_ns(self) -> int:
        times = [c.wake_ns() for s in self._stations if not s.breaker.open for c in s.cycles]
        times += [self._budget.free_at_ns(s.breaker.probe_at_ns) for s in self._stations if s.breaker.open]
        return min(times, default=self._clock.mono_ns() + 1_000_000_000)

    async def _step(self, station: Station, cycle: Cycle) -> None:
        """One exchange of one read; the read is handed out when it is complete or its time is over."""
        if not station.enrolled and not await self._enrol(station):
            return
        now = self._clock.mono_ns()
        if not cycle.started:
            cycle.begin(now)
        elif now >= cycle.deadline_ns:
            cycle.row.overruns += 1
            self._finish(station, cycle)
            return
        requests = cycle.left()
        if len(requests) > 1 and self._may_burst(station, cycle, requests, now):
            await self._burst(station, cycle, requests)
        elif requests:
            await self._ask(station, cycle, requests[0])
        if cycle.started and cycle.next_request() is None:
            self._finish(station, cycle)

    def _may_burst(self, station: Station, cycle: Cycle, requests: Sequence[Request], now_ns: int) -> bool:
        """Whether nothing with an earlier deadline can come up before all of them are answered, so that
        asking them in a row is what the scheduler would do anyway."""
        if self._bursting is None or station.slow or not station.trusted:
            return False
        end_ns = now_ns + round(sum(r.cost_s for r in requests) * 1e9)
        if end_ns >= cycle.deadline_ns:
            return False
        for other in self._stations:
            for rival in other.cycles if not other.breaker.open else ():
                if rival.deadline_ns < cycle.deadline_ns and rival.wake_ns() <= end_ns:
                    return False
        return True

    async def _burst(self, station: Station, cycle: Cycle, requests: Sequence[Request]) -> None:
        """The rest of a read in a row under one deadline. If that passes although replies came, the station
        is only slow: the rest is asked one by one, each under a deadline of its own."""
        replies: list[Any] = []
        error: StationError | None = None
        self._host.attempted(self._key)
        start_ns = self._clock.mono_ns()
        try:
            async with asyncio.timeout(station.timeout_s):
                await self._bursting.burst(requests, replies)  # type: ignore[union-attr]  # _may_burst
        except TimeoutError:
            if replies:
                station.slow = True
            else:
                error = self._timed_out(station)
        except StationError as raised:
            error = raised
        station.row.requests += len(replies) + (error is not None)
        for reply in replies:
            cycle.answered(reply)
        if replies:
            station.row.duration.observe_many(
                (self._clock.mono_ns() - start_ns) / 1e9 / len(replies), len(replies)
            )
            self._answered(station)
        if error is not None:
            self._handle(station, cycle, requests[len(replies)], error)

    def _finish(self, station: Station, cycle: Cycle) -> None:
        cycle.row.duration.observe((self._clock.mono_ns() - cycle.started_ns) / 1e9)
        self._reports.batch(station, cycle, cycle.finish())

    async def _ask(self, station: Station, cycle: Cycle, request: Request) -> None:
        try:
            reply = await self._exchange(station, request)
        except StationError as error:
            self._handle(station, cycle, request, error)
        else:
            cycle.answered(reply)

    def _handle(self, station: Station, cycle: Cycle, request: Request, error: StationError) -> None:
        """What each error means for this read; none of them touches a neighbour."""
        now = self._clock.mono_ns()
        self._reports.failed(station, error)
        if isinstance(error, StationSilent):
            cycle.abandon(Quality.BAD_COMM)
            self._silence(station, error)
        elif isinstance(error, Replan) and error.learned != cycle.learned:
            settings, plugin = station.device.settings, station.device.plugin
            cycle.adopt(plugin.plan(settings, cycle.tags, station.limits, error.learned), error.learned)
        elif isinstance(error, Busy):
            cycle.not_before_ns = now + round(error.retry_after_s * 1e9)
        elif isinstance(error, BadReply):
            station.trusted = False
            cycle.answered(Quality.BAD_COMM)
        else:
            self._reports.refused(station, request, error)
            cycle.refuse(_REFUSED_QUALITY.get(error.reason, Quality.BAD_DEVICE), now)

    async def _exchange(self, station: Station, request: Request) -> Any:
        """One round trip under its deadline, after restoring trust where that is due."""
        self._host.attempted(self._key)
        start_ns = self._clock.mono_ns()
        try:
            async with asyncio.timeout(station.timeout_s):
                if not station.trusted:
                    await self._link.prove(station.device.settings, station.reserved)
                    station.trusted = True
                station.row.requests += 1
                reply = await self._link.exchange(request)
        except TimeoutError:
            raise self._timed_out(station) from None
        station.row.duration.observe((self._clock.mono_ns() - start_ns) / 1e9)
        self._answered(station)
        return reply

    def _timed_out(self, station: Station) -> StationSilent:
        station.trusted = False
        return StationSilent(f"no answer within {station.timeout_s:g} s")

    def _answered(self, station: Station) -> None:
        station.breaker.answered()
        self.answers += 1
        if station.row.state != "up":
            self._reports.answered(station)

    async def _enrol(self, station: Station) -> bool:
        self._host.attempted(self._key)
        try:
            async with asyncio.timeout(max(station.timeout_s, ENROL_TIMEOUT_S)):
                limits = await self._link.enrol(station.device.settings)
        except TimeoutError:
            self._reports.failed(station, StationSilent(""))
            self._silence(station, StationSilent("no answer while its limits were asked for"))
            return False
        except StationError as error:
            self._reports.failed(station, error)
            self._silence(station, error)
            return False
        station.enrolled = True
        if limits != station.limits or not station.planned:
            station.replan(limits)
        return True

    def _silence(self, station: Station, error: StationError) -> None:
        """Counts a silence. When no station on the link answers any more, the link itself is suspect: a
        half-open connection looks just like that."""
        if station.breaker.silent(self._clock.mono_ns()):
            self._reports.silent(station, error)
        if all(s.breaker.silences >= THRESHOLD for s in self._stations):
            raise LinkLost(f"no device on this link answers: {error}", reason="timeout")

    async def _probe(self, station: Station) -> None:
        """A dead station is asked for the one thing that costs the link least."""
        start_ns = self._clock.mono_ns()
        request = min(
            (r for c in station.cycles if (r := c.cheapest())), key=lambda r: r.cost_s, default=None
        )
        try:
            if station.enrolled or await self._enrol(station):
                if request is None:
                    return
                await self._exchange(station, request)
        except StationSilent as error:
            self._reports.failed(station, error)
            self._silence(station, error)
        except StationError as error:  # it answers, if only with a refusal: ask normally again
            self._reports.failed(station, error)
            station.breaker.answered()
        now = self._clock.mono_ns()
        self._budget.spent(now, now - start_ns)
        if not station.breaker.open:
            for cycle in station.cycles:
                cycle.restart(now)

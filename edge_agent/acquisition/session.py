"""One connection's polling: which exchange comes next, and what an answer or an error does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_agent.acquisition.breaker import PROBE_SLACK_NS, THRESHOLD
from edge_agent.acquisition.exchanges import Exchanges
from edge_agent.acquisition.feed import Feed
from edge_agent.acquisition.jobs import Jobs
from edge_agent.acquisition.refusal import quality_of
from edge_agent.errors import BadReply, Busy, LinkLost, Replan, StationError, StationSilent
from edge_agent.model import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.acquisition.breaker import ProbeBudget
    from edge_agent.acquisition.cycle import Cycle
    from edge_agent.acquisition.host import WorkerHost
    from edge_agent.acquisition.jobs import Job
    from edge_agent.acquisition.reports import Reports
    from edge_agent.acquisition.station import Station
    from edge_agent.driver import Columns, Link, Request

REREAD_S = 600.0
LISTEN_NS = 1_000_000_000
STOOD_STILL_NS = 1_000_000_000  # woken so late: the agent itself stood still


class Session:
    """From a connected link to its loss. Raises only LinkLost (and cancellation).

    What a station needs before it can be polled (to be enrolled, to be trusted) is an exchange like any
    other: the next one is chosen anew after each, by the earliest deadline over all stations.
    """

    def __init__(
        self,
        key: str,
        link: Link,
        stations: Sequence[Station],
        budget: ProbeBudget,
        host: WorkerHost,
        reports: Reports,
    ) -> None:
        self._stations = stations
        self._budget = budget
        self._clock = host.clock
        self._reports = reports
        self._exchanges = Exchanges(key, link, host, shared=len(stations) > 1)
        self._feeds: dict[Cycle, Feed | None] = {}  # None: this connection cannot report its changes
        self._jobs = Jobs(self._exchanges, self._clock, self)
        self._alarm: asyncio.Timeout | None = None  # rings while it sleeps
        self.answers = 0

    async def run(self) -> None:
        now = self._clock.mono_ns()
        for station in self._stations:
            station.row.connects += 1
            station.new_connection(now)
        try:
            while True:
                await self._turn()
        except LinkLost as error:
            self._jobs.close("lost", str(error))
            raise
        finally:
            self._jobs.close("stopped", "the link is being stopped")
            for feed in self._feeds.values():
                if feed is not None:
                    feed.close()

    async def _turn(self) -> None:
        now = self._clock.mono_ns()
        self._check_feeds(now)
        turn = self._next(now)
        if self._jobs.waiting and self._jobs.may_run(now, due=turn is not None):
            await self._jobs.run_next()
        elif turn is None:
            await self._sleep(self._wake_ns())
        elif turn[1] is None:
            await self._probe(turn[0])
        else:
            await self._step(turn[0], turn[1])

    async def _sleep(self, until_ns: int) -> None:
        """Until then, or until a job comes: what wakes it is a time-out that is set when there is one."""
        try:
            async with asyncio.timeout(None) as self._alarm:
                await self._clock.sleep_until(until_ns)
        except TimeoutError:
            return
        finally:
            self._alarm = None
        late_ns = self._clock.mono_ns() - until_ns
        if late_ns > STOOD_STILL_NS:
            for feed in self._feeds.values():
                if feed is not None:
                    feed.forgive(late_ns)

    # Single reads and writes

    def submit(self, job: Job) -> None:
        """Its turn is the next one; it has failed already where it cannot be done now."""
        self._jobs.submit(job)
        if self._jobs.waiting and self._alarm is not None:
            alarm, self._alarm = self._alarm, None
            alarm.reschedule(asyncio.get_running_loop().time())

    def job_answered(self, station: Station) -> None:
        self._answered(station)

    def job_failed(self, station: Station, error: StationError, start_ns: int) -> None:
        self._reports.failed(station, error)
        if isinstance(error, StationSilent | BadReply):
            station.trusted = False
        if isinstance(error, StationSilent):
            self._silence(station, error, start_ns)

    # What comes next

    def _next(self, now_ns: int) -> tuple[Station, Cycle | None] | None:
        """The pending exchange with the earliest deadline (of equal ones that of the cycle which was asked
        longest ago): a poll, or with no cycle the probe of a dead station, which has a deadline too so that
        a link that is always busy does not starve it. A station that was silent last time comes after those
        that were not, so that two time-outs do not follow each other while a neighbour waits."""
        best: tuple[Station, Cycle | None] | None = None
        best_ns = best_asked_ns = 0
        for station in self._stations:
            if station.quiet_until_ns > now_ns:
                continue
            if station.breaker.open:
                due_ns = self._budget.free_at_ns(station.breaker.probe_at_ns)
                urgent_ns = station.breaker.probe_at_ns + PROBE_SLACK_NS  # who has waited longest comes first
                if due_ns <= now_ns and (best is None or urgent_ns < best_ns):
                    best, best_ns, best_asked_ns = (station, None), urgent_ns, now_ns
                continue
            suspect = station.breaker.silences > 0
            for cycle in station.cycles:
                if cycle.wake_ns() > now_ns:
                    continue
                urgent_ns, asked_ns = cycle.urgent_ns, cycle.asked_ns
                if suspect:  # counted from its silence, so that a busy link does not put it off for ever
                    urgent_ns = (
                        max(urgent_ns, station.silent_ns + cycle.own_period_ns) + cycle.own_period_ns + 1
                    )
                if best is None or urgent_ns < best_ns or (urgent_ns == best_ns and asked_ns < best_asked_ns):
                    best, best_ns, best_asked_ns = (station, cycle), urgent_ns, asked_ns
        return best

    def _wake_ns(self) -> int:
        times = [f.deadline_ns for f in self._feeds.values() if f is not None]
        if times:  # a report may have made something due, and a short sleep tells a pause of the machine
            times.append(self._clock.mono_ns() + LISTEN_NS)
        for station in self._stations:
            if station.breaker.open:
                due_ns = self._budget.free_at_ns(station.breaker.probe_at_ns)
            else:
                due_ns = min((c.wake_ns() for c in station.cycles), default=1 << 62)
            times.append(max(due_ns, station.quiet_until_ns))
        return min(times)

    def _check_feeds(self, now_ns: int) -> None:
        for cycle, feed in self._feeds.items():
            if feed is None:
                continue
            if feed.broken:
                raise LinkLost(
                    f"the driver reported changes of other tags than group {cycle.schema.group} has"
                )
            if now_ns >= feed.deadline_ns:
                raise LinkLost(
                    f"no sign of life from the subscription of group {cycle.schema.group} "
                    f"for {cycle.row.liveness_s:g} s",
                    reason="timeout",
                )
            if feed.partial and cycle.following:
                cycle.poll(now_ns)
                self._reports.polled(cycle, "the device watches only some of the tags")

    # Getting ready: each step is one exchange

    async def _ready(self, station: Station) -> bool:
        """Whether the station can be polled; if not, one step towards it is taken."""
        if not station.enrolled:
            await self._enrol(station)
        elif not station.trusted:
            await self._prove(station)
        else:
            return True
        return False

    async def _enrol(self, station: Station) -> None:
        start_ns = self._clock.mono_ns()
        try:
            limits = await self._exchanges.enrol(station)
        except StationError as error:
            self._reports.failed(station, error)
            self._silence(station, error, start_ns)
            return
        station.enrolled = True
        if limits != station.limits or not station.planned:
            station.replan(limits)

    async def _prove(self, station: Station) -> None:
        start_ns = self._clock.mono_ns()
        if station.outwaited(start_ns):
            self._reports.proof(station, "outwaited")
            station.proved()
            return
        try:
            await self._exchanges.prove(station)
        except StationError as error:
            self._reports.failed(station, error)
            self._reports.proof(station, "failed")
            station.not_proved(self._clock.mono_ns(), answered=not isinstance(error, StationSilent))
            self._silence(station, error, start_ns)
            if not station.breaker.open:
                self._reports.proving(station, error)
        else:
            self._reports.proof(station, "ok")
            station.proved(by_reply=True)

    async def _subscribe(self, station: Station, cycle: Cycle) -> None:
        """Once per connection; a device that cannot is polled."""
        if not self._exchanges.subscribing:
            self._feeds[cycle] = None
            self._reports.polled(cycle, "the driver cannot report changes on this link")
            return
        feed = Feed(cycle, self._clock, lambda columns: self._reported(station, cycle, columns))
        try:
            feed.live(await self._exchanges.subscribe(station, cycle, feed.take))
        except StationError as error:
            feed.close()
            self._feeds[cycle] = None
            self._reports.failed(station, error)
            self._reports.polled(cycle, str(error))
            return
        self._feeds[cycle] = feed
        self._reports.followed(cycle)
        cycle.follow(getattr(station.device.settings, "reread", REREAD_S), self._clock.mono_ns())

    def _reported(self, station: Station, cycle: Cycle, columns: Columns) -> None:
        if station.row.state != "up" and not station.breaker.open:
            self._reports.answered(station)
        self._reports.batch(station, cycle, columns)

    # Polling

    async def _step(self, station: Station, cycle: Cycle) -> None:
        """One exchange of one read; the read is handed out when it is complete or its time is over."""
        now = self._clock.mono_ns()
        if cycle.started and now >= cycle.deadline_ns:
            cycle.row.overruns += 1
            self._finish(station, cycle)
            return
        if not (station.enrolled and station.trusted) and not await self._ready(station):
            return
        if station.subscribed and cycle.schema.group in station.subscribed and cycle not in self._feeds:
            await self._subscribe(station, cycle)
            return
        if not cycle.started:
            cycle.begin(now)
            if self._feeds and (feed := self._feeds.get(cycle)) is not None:
                feed.reading()
        cycle.asked_ns = now
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
        if not self._exchanges.bursting or station.slow:
            return False
        cost_s = sum([r.cost_s for r in requests])
        end_ns = now_ns + round(cost_s * 1e9)
        if end_ns >= cycle.deadline_ns or 2 * cost_s > station.timeout_s:
            return False
        for other in self._stations:
            for rival in other.cycles if not other.breaker.open else ():
                if rival.urgent_ns < cycle.urgent_ns and rival.wake_ns() <= end_ns:
                    return False
        return True

    async def _burst(self, station: Station, cycle: Cycle, requests: Sequence[Request]) -> None:
        start_ns = self._clock.mono_ns()
        replies, error = await self._exchanges.burst(station, requests)
        for reply in replies:
            cycle.answered(reply)
        if replies:
            self._answered(station)
        if error is not None:
            self._handle(station, cycle, requests[len(replies)], error, start_ns)

    async def _ask(self, station: Station, cycle: Cycle, request: Request) -> None:
        start_ns = self._clock.mono_ns()
        try:
            reply = await self._exchanges.ask(station, request)
        except StationError as error:
            self._handle(station, cycle, request, error, start_ns)
        else:
            cycle.answered(reply)
            self._answered(station)

    def _finish(self, station: Station, cycle: Cycle) -> None:
        now = self._clock.mono_ns()
        self._jobs.read_ended()
        cycle.row.duration.observe((now - cycle.started_ns) / 1e9)
        cycle.row.polls += 1
        if cycle.flawless and cycle.next_request() is None:
            station.breaker.settled()
        columns = cycle.finish()
        feed = self._feeds.get(cycle) if self._feeds else None
        self._reports.batch(station, cycle, columns if feed is None else feed.newest(columns))

    # What errors do

    def _handle(
        self, station: Station, cycle: Cycle, request: Request, error: StationError, start_ns: int
    ) -> None:
        """What each error means for this read; none of them touches a neighbour."""
        now = self._clock.mono_ns()
        self._reports.failed(station, error)
        if isinstance(error, StationSilent):
            station.trusted = False
            if cycle.silent(others_answer=not station.breaker.silences):
                cycle.leave_out(now)
                self._reports.mute(station, request, error)
            self._silence(station, error, start_ns)
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
            cycle.refuse(quality_of(error), now)

    def _answered(self, station: Station) -> None:
        station.breaker.answered()
        self.answers += 1
        if station.row.state != "up":
            self._reports.answered(station)

    def _silence(self, station: Station, error: StationError, start_ns: int) -> None:
        """Counts a silence that began at ``start_ns``. What it took from the link is charged to the probes'
        budget, if the station was dead before. When no station on the link answers any more, the link itself
        is suspect: a half-open connection looks just like that."""
        now = self._clock.mono_ns()
        station.silent_ns = now
        if station.breaker.tries:
            self._budget.spent(now, now - start_ns)
        if station.breaker.silent(now):
            self._reports.silent(station, error)
        if all(s.breaker.silences >= THRESHOLD for s in self._stations):
            raise LinkLost(f"no device on this link answers: {error}", reason="timeout")

    async def _probe(self, station: Station) -> None:
        """A dead station is asked for the one thing that costs the link least; before that it may have to be
        enrolled and trusted, in turns of their own."""
        start_ns = self._clock.mono_ns()
        if not await self._ready(station):
            return
        requests = [request for cycle in station.cycles if (request := cycle.cheapest()) is not None]
        if not requests:
            self._revive(station)
            return
        try:
            await self._exchanges.ask(station, min(requests, key=lambda r: r.cost_s))
        except (StationSilent, BadReply) as error:
            station.trusted = False
            self._reports.failed(station, error)
            self._silence(station, error, start_ns)
        except StationError as error:  # it answers, if only with a refusal: ask normally again
            self._reports.failed(station, error)
            self._revive(station)
        else:
            self._revive(station)
            self._answered(station)

    def _revive(self, station: Station) -> None:
        now = self._clock.mono_ns()
        station.breaker.half_open()
        for cycle in station.cycles:
            cycle.restart(now)

"""Single reads and writes of one tag, as exchanges of the link that its polls use.

A job is never under way beside a poll, comes before the next one, and wakes a link that waits for its next
poll. It is refused at once where it cannot be done now: nothing is kept until a device comes back, because a
write that is done later than it was meant is another write.

How polls stay on time: while none is due, jobs follow each other. While one is due there is one job between
two reads, and a further one only as often as leaves the polls four fifths of the link, so that a read of many
requests on a slow bus does not hold up a heartbeat.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from edge_agent.acquisition.sentinels import compiled
from edge_agent.acquisition.stamp import stamped
from edge_agent.errors import (
    BadReply,
    Busy,
    LinesideError,
    LinkLost,
    Refused,
    Replan,
    StationError,
    StationSilent,
)
from edge_agent.model import Quality, Schema

if TYPE_CHECKING:
    from edge_agent.acquisition.exchanges import Exchanges
    from edge_agent.acquisition.station import Station
    from edge_agent.clock import Clock
    from edge_agent.driver import Plan
    from edge_agent.model import Tag, Value

Reading = tuple["Value", Quality]

POLLS_SHARE = 4  # of the link, for each part that jobs have while polls wait
MAX_PLANS = 3


class JobFailed(LinesideError):
    """A read or write of one tag that was not done, or of which nobody knows.

    ``reason``: ``unknown`` (no such device or tag), ``down``, ``silent`` (the station's breaker is open),
    ``untrusted`` (which request its answers belong to is not known), ``not_writable`` (the driver cannot),
    ``stopped``, or what the exchange met with: ``refused``, ``busy``, ``mismatch``, ``timeout``, ``lost``.
    ``uncertain``: a write was sent and not confirmed; it may have taken effect, or may still do so.
    """

    def __init__(self, message: str, *, reason: str, uncertain: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.uncertain = uncertain


class Job:
    """``answer`` is what the caller awaits; cancelled before the job's turn, the job is never done."""

    __slots__ = ("answer", "raw", "station", "tag", "writes")

    def __init__(self, station: Station, tag: Tag, raw: Value = None, *, writes: bool) -> None:
        self.station = station
        self.tag = tag
        self.raw = raw
        self.writes = writes
        self.answer: asyncio.Future[Reading | None] = asyncio.get_running_loop().create_future()

    def __str__(self) -> str:
        return f"{self.station.device.name}.{self.tag.name}"

    def fail(self, reason: str, why: str, *, sent: bool = False) -> None:
        if self.answer.done():
            return
        uncertain = sent and self.writes
        text = f"{self} was not {'written' if self.writes else 'read'}: {why}"
        if uncertain:
            text = f"nobody knows whether {self} was written: {why}"
        self.answer.set_exception(JobFailed(text, reason=reason, uncertain=uncertain))


class Outcome(Protocol):
    """What an answer or an error means for the station; the session's business."""

    def job_answered(self, station: Station) -> None: ...

    def job_failed(self, station: Station, error: StationError, start_ns: int) -> None:
        """May raise LinkLost."""
        ...


class Jobs:
    """Of one connection. ``waiting`` is read in every turn and touched by nobody else."""

    def __init__(self, exchanges: Exchanges, clock: Clock, outcome: Outcome) -> None:
        self.waiting: deque[Job] = deque()
        self._exchanges = exchanges
        self._clock = clock
        self._outcome = outcome
        self._after_read = True  # a read has ended since the last job
        self._free_ns = 0
        self._closed = ""

    def submit(self, job: Job) -> None:
        """Queues it, or fails it at once."""
        reason, why = ("down", self._closed) if self._closed else self._obstacle(job)
        if reason:
            job.fail(reason, why)
        else:
            self.waiting.append(job)

    def may_run(self, now_ns: int, *, due: bool) -> bool:
        """``due``: a poll is."""
        return not due or self._after_read or now_ns >= self._free_ns

    def read_ended(self) -> None:
        self._after_read = True

    async def run_next(self) -> None:
        """One job, unless its caller has given up or its station has. Raises only LinkLost, cancellation and
        what is a bug in the driver; the caller of the job is told before."""
        job = self.waiting.popleft()
        if job.answer.done():
            return
        reason, why = self._obstacle(job)
        if reason:
            job.fail(reason, why)
            return
        start_ns = self._clock.mono_ns()
        try:
            await self._run(job, start_ns)
        except LinkLost as error:
            job.fail("lost", str(error), sent=True)
            raise
        except asyncio.CancelledError:
            job.fail("stopped", "the link is being stopped", sent=True)
            raise
        except Exception as error:
            job.fail("lost", f"internal error in driver {job.station.device.driver}: {error!r}", sent=True)
            raise
        finally:
            now = self._clock.mono_ns()
            self._after_read, self._free_ns = False, now + POLLS_SHARE * (now - start_ns)

    def close(self, reason: str, why: str) -> None:
        """Nothing waits any longer, and nothing more is taken."""
        self._closed = why
        while self.waiting:
            self.waiting.popleft().fail(reason, why)

    def _obstacle(self, job: Job) -> tuple[str, str]:
        """Why it cannot be done now: reason and words, both empty when it can."""
        station = job.station
        if job.writes and not self._exchanges.writing:
            return "not_writable", f"driver {station.device.driver} cannot write"
        if station.breaker.open:
            return "silent", f"the device does not answer ({station.row.reason})"
        if not station.enrolled:
            return "down", "the device has not answered on this connection yet"
        if not station.trusted:
            return "untrusted", "it is not certain which request the device's answers belong to"
        return "", ""

    async def _run(self, job: Job, start_ns: int) -> None:
        try:
            answer = await (self._write(job) if job.writes else self._read(job))
        except StationError as error:
            job.fail(_reason(error), str(error), sent=not isinstance(error, Refused | Replan))
            self._outcome.job_failed(job.station, error, start_ns)
        else:
            if not job.answer.done():
                job.answer.set_result(answer)
            self._outcome.job_answered(job.station)

    async def _write(self, job: Job) -> None:
        await self._exchanges.write(job.station, job.tag, job.raw)

    async def _read(self, job: Job) -> Reading:
        """By a plan of its own for this tag alone, which is one request; two where the driver asks something
        beside, such as the state of the CPU."""
        station, learned = job.station, None
        for _ in range(MAX_PLANS):
            plan = station.single(job.tag, learned)
            try:
                replies = [await self._exchanges.ask(station, request) for request in plan.requests]
            except Replan as error:
                learned = error.learned
            else:
                return self._decoded(job, plan, replies)
        raise Refused("the device refuses every way of reading it")

    def _decoded(self, job: Job, plan: Plan, replies: list[object]) -> Reading:
        """As a poll of the same reply would say it."""
        columns, tags = plan.decode(replies), (job.tag,)
        strike = compiled(tags)
        schema = Schema.of(job.station.device.name, job.tag.group, "", tags)
        batch = stamped(schema, columns if strike is None else strike(columns), self._clock)
        return batch.values[0], _named(batch.quality[0])


def _reason(error: StationError) -> str:
    if isinstance(error, StationSilent):
        return "timeout"
    if isinstance(error, Busy):
        return "busy"
    return "mismatch" if isinstance(error, BadReply) else "refused"


def _named(byte: int) -> Quality:
    """A plug-in's own reason, which has no name here, counts as what its high bits say."""
    try:
        return Quality(byte)
    except ValueError:
        return (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.NOT_REPORTED)[byte >> 6]

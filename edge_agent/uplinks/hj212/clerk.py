"""Answers what the platform asks: 9011, data, 9012. One that sends data runs at a time; another is told BUSY.

A request that comes again (its 9011 was lost) is answered again, and not carried out again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import LinesideError
from edge_agent.model import Batch
from edge_agent.uplink import Answer, Command, Host, Lane, Stream
from edge_agent.uplinks.hj212 import fields, letter, moment, requests
from edge_agent.uplinks.hj212.letter import Identity, Letter, data_letter
from edge_agent.uplinks.hj212.record import COMMANDS, Recorder
from edge_agent.uplinks.hj212.requests import Ask
from edge_agent.uplinks.hj212.segment import Segment

MAX_WAITING = 16
MAX_REMEMBERED = 64
MAX_HISTORY_PACKETS = 50_000
MAX_RECORDED_PER_MINUTE = 30
_MINUTE_NS = 60_000_000_000


class Post(Protocol):
    """What the clerk needs of the connection."""

    def reply(self, segment: Segment) -> None: ...

    async def deliver(self, item: Letter) -> None:
        """Returns when every packet of it has been acknowledged."""
        ...


class Clerk:
    def __init__(
        self,
        identity: Identity,
        host: Host,
        recorder: Recorder,
        clock: Clock,
        *,
        source: str,
        real_time_s: float,
        allow_remote_time: bool,
    ) -> None:
        self.dropped = 0
        self._identity = identity
        self._host = host
        self._recorder = recorder
        self._clock = clock
        self._source = source
        self._real_time_s = real_time_s
        self._allow_remote_time = allow_remote_time
        self._inbox: asyncio.Queue[Segment] = asyncio.Queue(MAX_WAITING)
        self._answered: OrderedDict[tuple[str, str], list[Segment]] = OrderedDict()
        self._recorded: deque[int] = deque()
        self._sending: asyncio.Task[None] | None = None

    def take(self, request: Segment) -> None:
        """Never waits. What does not fit is dropped: the platform asks again."""
        try:
            self._inbox.put_nowait(request)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self, post: Post) -> None:
        """Until cancelled. A long history does not hold up the next request."""
        async with asyncio.TaskGroup() as group:
            while True:
                request = await self._inbox.get()
                before = self._answered.get((request.qn, request.cn)) if request.qn else None
                if before is None:
                    await self._answer(request, post, group)
                for answer in before or ():
                    post.reply(answer)

    async def _answer(self, request: Segment, post: Post, group: asyncio.TaskGroup) -> None:
        said: list[Segment] = []
        self._answered[request.qn, request.cn] = said
        while len(self._answered) > MAX_REMEMBERED:
            self._answered.popitem(last=False)

        def say(segment: Segment) -> None:
            if request.qn:  # without one nobody could tell what the answer is to
                said.append(segment)
                post.reply(segment)

        ruling = requests.judge(request, self._identity)
        say(letter.accepted(self._identity, request.qn, ruling.code))
        if ruling.ask is Ask.REFUSE:
            await self._record(f"hj212.{request.cn}", request, reason=ruling.reason)
        elif ruling.ask in (Ask.HISTORY, Ask.CURRENT):
            if self._sending is not None and not self._sending.done():
                say(letter.executed(self._identity, request.qn, requests.BUSY))
                return
            self._sending = group.create_task(self._carry_out(ruling.ask, request, post, say))
        else:
            await self._carry_out(ruling.ask, request, post, say)

    async def _carry_out(
        self, ask: Ask, request: Segment, post: Post, say: Callable[[Segment], None]
    ) -> None:
        doing: dict[Ask, Callable[[], Awaitable[int]]] = {
            Ask.TIME: lambda: self._tell_time(request, say),
            Ask.SET_TIME: lambda: self._set_time(request),
            Ask.INTERVAL: lambda: self._tell_interval(request, say),
            Ask.CURRENT: lambda: self._send_current(post),
            Ask.HISTORY: lambda: self._send_history(request, post),
        }
        try:
            code = await doing[ask]()
        except (ValueError, LinesideError):
            code = requests.FAILED
        say(letter.executed(self._identity, request.qn, code))

    async def _tell_time(self, request: Segment, say: Callable[[Segment], None]) -> int:
        pol_id = fields.values(request.data).get("PolId", "")
        if not (pol_id.isascii() and pol_id.isalnum() and len(pol_id) <= 32):
            pol_id = ""
        now = moment.stamp(self._clock.time_ns())
        say(letter.system_time(self._identity, request.qn, now, pol_id))
        return requests.DONE

    async def _tell_interval(self, request: Segment, say: Callable[[Segment], None]) -> int:
        data = f"RtdInterval={round(self._real_time_s)}"
        say(self._identity.segment(request.cn, request.qn, data))
        return requests.DONE

    async def _set_time(self, request: Segment) -> int:
        """NTP is the authority. Only the offset is put on record, unless the configuration lets the platform
        ask; then the guarded pipeline decides."""
        theirs_ns = moment.read_stamp(fields.values(request.data).get("SystemTime", ""))
        offset_ms = (theirs_ns - self._clock.time_ns()) // 1_000_000
        if not self._allow_remote_time:
            await self._record("time_offset", request, offset_ms=offset_ms)
            return requests.BAD_CONDITION
        detail = {**requests.for_the_record(request), "time_ns": theirs_ns, "offset_ms": offset_ms}
        verdict = await self._host.ask(Command("set_time", self._source, detail))
        return requests.DONE if verdict.answer is Answer.ACKNOWLEDGED else requests.BAD_CONDITION

    async def _send_current(self, post: Post) -> int:
        texts: dict[str, str] = {}
        newest = 0
        for batch in self._host.current():
            found = self._recorder.texts(batch, Stream.SAMPLES)
            texts |= found
            newest = max(newest, batch.time_ns) if found else newest
        if not texts:
            return requests.NO_DATA
        await self._deliver(post, Stream.SAMPLES, newest, texts)
        return requests.DONE

    async def _send_history(self, request: Segment, post: Post) -> int:
        begin_ns, end_ns = requests.period_asked(request)
        stream = requests.HISTORY[request.cn]
        texts: dict[str, str] = {}
        period_ns = sent = 0
        async for batch in self._host.history(stream, begin_ns, end_ns + 1_000_000_000):
            if not _inside(batch, begin_ns, end_ns):
                continue
            if batch.time_ns != period_ns and texts:
                await self._deliver(post, stream, period_ns, texts)
                texts, sent = {}, sent + 1
                if sent >= MAX_HISTORY_PACKETS:
                    return requests.FAILED
            period_ns = batch.time_ns
            texts |= self._recorder.texts(batch, stream)
        if texts:
            await self._deliver(post, stream, period_ns, texts)
            sent += 1
        return requests.DONE if sent else requests.NO_DATA

    async def _deliver(self, post: Post, stream: Stream, time_ns: int, texts: dict[str, str]) -> None:
        """In the live lane: somebody waits for it, and it is no backfill."""
        ordered = sorted(texts, key=self._recorder.order.__getitem__)
        item = data_letter(
            self._identity,
            COMMANDS[stream],
            moment.stamp(time_ns),
            [texts[c] for c in ordered],
            lane=Lane.LIVE,
        )
        await post.deliver(item)

    async def _record(self, kind: str, request: Segment, **detail: object) -> None:
        """Bounded: a platform that asks for ever must not fill the event store."""
        now_ns = self._clock.mono_ns()
        while self._recorded and now_ns - self._recorded[0] > _MINUTE_NS:
            self._recorded.popleft()
        if len(self._recorded) >= MAX_RECORDED_PER_MINUTE:
            self.dropped += 1
            return
        self._recorded.append(now_ns)
        await self._host.ask(Command(kind, self._source, {**requests.for_the_record(request), **detail}))


def _inside(batch: Batch, begin_ns: int, end_ns: int) -> bool:
    second_ns = batch.time_ns - batch.time_ns % 1_000_000_000
    return begin_ns <= second_ns <= end_ns

"""Answers what the platform asks: 9011, data, 9012 (9013 where it only notifies). One request that sends data
runs at a time; another is told BUSY.

A request that comes again (its 9011 was lost) is answered again, and not carried out again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import LinesideError
from edge_agent.uplink import Answer, Command, Host
from edge_agent.uplinks.hj212 import fields, letter, moment, requests
from edge_agent.uplinks.hj212.archive import Archive, Post
from edge_agent.uplinks.hj212.factors import of_today
from edge_agent.uplinks.hj212.keyring import Keyring
from edge_agent.uplinks.hj212.letter import Identity
from edge_agent.uplinks.hj212.orders import Standing
from edge_agent.uplinks.hj212.requests import Ask, Offer
from edge_agent.uplinks.hj212.segment import Segment

MAX_WAITING = 16
MAX_REMEMBERED = 64
MAX_RECORDED_PER_MINUTE = 30
_MINUTE_NS = 60_000_000_000

Say = Callable[[Segment], None]


class Desk(Post, Protocol):
    """What the clerk needs of the connection."""

    def reply(self, segment: Segment) -> None: ...


class Clerk:
    """``serials``: what 3019 tells, by factor. ``keyring``: None unless keys are exchanged. ``obeyed`` is
    called after an order has changed what holds."""

    def __init__(
        self,
        identity: Identity,
        host: Host,
        archive: Archive,
        standing: Standing,
        clock: Clock,
        offer: Offer,
        *,
        source: str,
        serials: dict[str, str],
        keyring: Keyring | None,
        allow_remote_time: bool,
        obeyed: Callable[[], None],
    ) -> None:
        self.dropped = 0
        self._identity = identity
        self._host = host
        self._archive = archive
        self._standing = standing
        self._clock = clock
        self._offer = offer
        self._source = source
        self._serials = serials
        self._keyring = keyring
        self._allow_remote_time = allow_remote_time
        self._obeyed = obeyed
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

    async def run(self, desk: Desk) -> None:
        """Until cancelled. A long history does not hold up the next request."""
        async with asyncio.TaskGroup() as group:
            while True:
                request = await self._inbox.get()
                before = self._answered.get((request.qn, request.cn)) if request.qn else None
                if before is None:
                    await self._answer(request, desk, group)
                for answer in before or ():
                    desk.reply(answer)

    async def _answer(self, request: Segment, desk: Desk, group: asyncio.TaskGroup) -> None:
        said: list[Segment] = []
        self._answered[request.qn, request.cn] = said
        while len(self._answered) > MAX_REMEMBERED:
            self._answered.popitem(last=False)

        def say(segment: Segment) -> None:
            if request.qn:  # without one nobody could tell what the answer is to
                said.append(segment)
                desk.reply(segment)

        ruling = requests.judge(request, self._identity, self._offer)
        if ruling.ask is Ask.STOP:  # a notice: 9013 is all the answer it gets
            await self._stop(request, say)
            return
        say(letter.accepted(self._identity, request.qn, ruling.code))
        if ruling.ask is Ask.REFUSE:
            await self._record(f"hj212.{request.cn}", request, reason=ruling.reason)
        elif ruling.ask in requests.SENDING:
            if self._sending is not None and not self._sending.done():
                say(letter.executed(self._identity, request.qn, requests.BUSY))
                return
            self._sending = group.create_task(self._carry_out(ruling.ask, request, desk, say))
        else:
            await self._carry_out(ruling.ask, request, desk, say)

    async def _carry_out(self, ask: Ask, request: Segment, desk: Desk, say: Say) -> None:
        doing: dict[Ask, Callable[[], Awaitable[int]]] = {
            Ask.LIMITS: lambda: self._set_limits(request),
            Ask.TIME: lambda: self._tell_time(request, say),
            Ask.SET_TIME: lambda: self._set_time(request),
            Ask.NEW_KEY: lambda: self._take_key(request),
            Ask.INTERVAL: lambda: self._tell(
                request, say, f"RtdInterval={round(self._standing.now.real_time_s)}"
            ),
            Ask.SET_INTERVAL: lambda: self._set_interval(request),
            Ask.MIN_INTERVAL: lambda: self._tell(
                request, say, f"MinInterval={self._offer.min_interval}" if request.cn == "1063" else ""
            ),
            Ask.SERIALS: lambda: self._tell_serials(request, say),
            Ask.START: lambda: self._start(desk),
            Ask.HISTORY: lambda: self._archive.history(request, desk),
            Ask.INFO: lambda: self._archive.info(request, desk),
        }
        try:
            code = await doing[ask]()
        except (ValueError, LinesideError):
            code = requests.FAILED
        say(letter.executed(self._identity, request.qn, code))

    # -- parameters

    async def _tell(self, request: Segment, say: Say, data: str) -> int:
        if data:
            say(letter.parameter(self._identity, request, data))
        return requests.DONE

    async def _tell_time(self, request: Segment, say: Say) -> int:
        pol_id = fields.values(request.data).get("PolId", "")
        known = pol_id.isascii() and pol_id.isalnum() and len(pol_id) <= 32
        now = moment.stamp(self._clock.time_ns())
        return await self._tell(request, say, f"PolId={pol_id};" * known + f"SystemTime={now}")

    async def _tell_serials(self, request: Segment, say: Say) -> int:
        pol_id = of_today(fields.values(request.data).get("PolId", ""))
        found = {code: sn for code, sn in self._serials.items() if pol_id in ("", code)}
        await self._tell(request, say, ";".join(f"{code}-SN={sn}" for code, sn in found.items()))
        return requests.DONE if found else requests.NO_DATA

    async def _set_limits(self, request: Segment) -> int:
        given = fields.values(request.data)
        over_time = requests.number(given, "OverTime", *requests.LIMITS_RANGE)
        re_count = requests.number(given, "ReCount", *requests.LIMITS_RANGE)
        return await self._obey(over_time_s=float(over_time), re_count=re_count)

    async def _set_interval(self, request: Segment) -> int:
        given = fields.values(request.data)
        interval = requests.number(given, "RtdInterval", *requests.RTD_RANGE_S)
        return await self._obey(real_time_s=float(interval))

    async def _obey(self, **changes: float | int | bool) -> int:
        await self._standing.give(**changes)
        self._obeyed()
        return requests.DONE

    # -- real-time upload

    async def _start(self, desk: Desk) -> int:
        if self._standing.now.stopped:
            await self._obey(stopped=False)
        return await self._archive.current(desk)

    async def _stop(self, request: Segment, say: Say) -> None:
        try:
            await self._obey(stopped=True)
        except LinesideError:
            return  # not acknowledged: the platform tells it again
        say(letter.notified(self._identity, request.qn))

    # -- time and key

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

    async def _take_key(self, request: Segment) -> int:
        """The answer to the request is plain, and nothing encrypted goes out between its parts."""
        given = fields.values(request.data)
        if self._keyring is None:
            return requests.FAILED
        created = given.get("SKCreateTime", "")
        known = created.isascii() and created.isdigit() and len(created) <= 17
        await self._keyring.deliver(given.get("NewSK", ""), created if known else "")
        return requests.DONE

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

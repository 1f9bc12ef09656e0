"""One TCP connection: the session's hands and ears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from edge_agent.clock import Clock
from edge_agent.errors import Unreachable
from edge_agent.uplink import Key
from edge_agent.uplinks.hj212.frame import FrameReader, Unsealed
from edge_agent.uplinks.hj212.letter import Letter
from edge_agent.uplinks.hj212.mark import Mark
from edge_agent.uplinks.hj212.moment import QuestionNumbers
from edge_agent.uplinks.hj212.segment import BadSegment, Segment, parse_segment
from edge_agent.uplinks.hj212.session import Heard, Session
from edge_agent.uplinks.hj212.woken import woken

READ_BYTES = 16_384
PARTIAL_S = 2.0
"""A frame whose rest does not come in this time is given up."""
WRITE_LIMIT_S = 30.0


class Connection:
    """``lost`` says why it is over; then nothing is sent any more, and ``close`` remains to be called.
    ``heard`` is told what was settled, ``request`` what the platform asks, ``ended`` once that it is over,
    unless ``close`` ended it. Waits for answers go by the agent's clock, those for bytes by the loop's."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        session: Session,
        numbers: QuestionNumbers,
        mark: Mark,
        clock: Clock,
        *,
        strict: bool,
        heard: Callable[[Heard], None],
        request: Callable[[Segment], None],
        ended: Callable[[str], None],
        unseal: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.lost = ""
        self.session = session
        self.frames = FrameReader(lenient=not strict, unseal=unseal)
        self._reader, self._writer = streams
        self._numbers = numbers
        self._mark = mark
        self._clock = clock
        self._lenient = not strict
        self._heard = heard
        self._request = request
        self._ended = ended
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._awaited: dict[Letter, asyncio.Future[bool]] = {}

    def start(self, *others: Callable[[], Awaitable[None]]) -> None:
        """Reads and writes from now on, and runs ``others`` beside; one that fails ends the connection."""
        for work in (self._listen, self._pump, *others):
            self._tasks.append(asyncio.create_task(self._guarded(work), name="hj212"))

    def put(self, letters: Sequence[Letter]) -> None:
        for item in letters:
            self.session.put(item)
        self._wake.set()

    def reply(self, segment: Segment) -> None:
        self.session.reply(segment)
        self._wake.set()

    def notify(self, segment: Segment) -> None:
        self.session.notify(segment)
        self._wake.set()

    async def deliver(self, item: Letter) -> bool:
        """Whether every packet of it has been acknowledged; False also when it was refused or given up.
        Cancelled when the connection ends before that."""
        if self.lost:
            raise Unreachable(self.lost)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._awaited[item] = done
        self.put([item])
        try:
            return await done
        finally:
            self._awaited.pop(item, None)

    async def until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Returns when it holds, when the connection is over, or in the end. Asked after every answer."""
        end_ns = self._clock.mono_ns() + round(limit_s * 1e9)
        while not self.over and not condition() and self._clock.mono_ns() < end_ns:
            self._changed.clear()
            await woken(self._changed, self._clock, end_ns)

    async def settled(self, keys: Collection[Key], limit_s: float) -> None:
        """Returns when none of them is under way any more, when the connection is over, or in the end."""
        await self.until(lambda: not any(self.session.holds(key) for key in keys), limit_s)

    async def close(self) -> None:
        """Idempotent, never raises."""
        self._ended = _nobody
        self._end("closed")
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        await self._mark.settle(self._numbers.last_ms)

    @property
    def over(self) -> bool:
        return bool(self.lost or self.session.denied)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OSError as error:
            self._end(error.strerror or "the connection broke")
        except Unreachable as error:
            self._end(str(error))
        except Exception as error:  # noqa: BLE001 - outermost: a fault here must end the connection, not the agent
            self._end(f"fault in the HJ 212 uplink: {type(error).__name__}: {error}")

    def _end(self, reason: str) -> None:
        if self.lost:
            return
        self.lost = reason
        self._changed.set()
        for done in self._awaited.values():
            done.cancel()
        self._writer.transport.abort()
        self._ended(reason)

    async def _listen(self) -> None:
        while True:
            for raw in await self._next_frames():
                try:
                    segment = parse_segment(raw, lenient=self._lenient)
                except BadSegment:
                    self.frames.faults["segment"] += 1
                    continue
                self._take(replace(segment, sealed=isinstance(raw, Unsealed)))
            self._wake.set()

    async def _next_frames(self) -> list[bytes]:
        try:
            async with asyncio.timeout(PARTIAL_S if self.frames.partial else None):
                data = await self._reader.read(READ_BYTES)
        except TimeoutError:
            return self.frames.give_up()
        if not data:
            raise Unreachable("the destination closed the connection")
        return self.frames.feed(data)

    def _take(self, segment: Segment) -> None:
        heard = self.session.hear(segment)
        if heard.request is not None:
            self._request(heard.request)
            return
        if heard.finished is not None:
            self._answered(heard.finished, well=not heard.finished.spoilt)
        self._heard(heard)
        self._changed.set()
        if self.session.denied:
            self._ended(self.session.denied)

    def _answered(self, item: Letter, *, well: bool) -> None:
        done = self._awaited.get(item)
        if done is not None and not done.done():
            done.set_result(well)

    async def _pump(self) -> None:
        while True:
            self._wake.clear()
            frames = self.session.due(self._clock.mono_ns())
            while self.session.given_up:
                self._answered(self.session.given_up.pop(), well=False)
            if frames:
                await self._mark.cover(self._numbers.last_ms)
                self._writer.writelines(frames)
                async with asyncio.timeout(WRITE_LIMIT_S):
                    await self._writer.drain()
                self._changed.set()
            if self.session.lost:
                raise Unreachable(self.session.lost)
            await woken(self._wake, self._clock, self.session.next_ns())


def _nobody(_: str) -> None:
    pass

"""One Sparkplug edge node on one MQTT connection.

connect   CONNECT with the death as will -> SUBSCRIBE -> the primary host is online -> births
send      data with QoS 0, then a question that the broker must answer; units are PENDING
later     the connection has outlived them: host.acknowledged
the end   the death, DISCONNECT. What was not outlived goes again, as historical, after the next births
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from edge_agent.clock import Clock
from edge_agent.errors import Denied, Unreachable, UplinkError
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Command, Envelope, Host, Verdict
from edge_agent.uplinks.mqtt import codes
from edge_agent.uplinks.mqtt.link import Link, Loss, Message, Over
from edge_agent.uplinks.sparkplug import commands, opening, topics
from edge_agent.uplinks.sparkplug.node import Message as Told
from edge_agent.uplinks.sparkplug.node import Node
from edge_agent.uplinks.sparkplug.outlived import Outlived
from edge_agent.uplinks.sparkplug.primary import PrimaryHost

if TYPE_CHECKING:
    from edge_agent.uplinks.sparkplug.protobuf import Wire
    from edge_agent.uplinks.sparkplug.settings import SparkplugSettings

MARGIN_S = 2.0

MOST_WAITING = 64
"""Commands of the host application that wait for an answer of the agent; what comes beyond is not taken."""

REBIRTH_EVERY_NS = 1_000_000_000
"""A host application that asks all the time gets this many births and no more."""


class SparkplugUplink:
    """Each connection is a new session: bdSeq, aliases and the newest values start with it."""

    def __init__(self, settings: SparkplugSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._topics = topics.Topics(settings.group, settings.node)
        self._who = opening.asked(settings, "")
        self._link: Link | None = None
        self._node: Node | None = None
        self._begin()

    def _begin(self) -> None:
        settings = self._settings
        self._primary = PrimaryHost()
        self._outlived = Outlived(settings.confirm_after or 1.5 * settings.keepalive + MARGIN_S)
        self._requests: asyncio.Queue[Command] = asyncio.Queue(MOST_WAITING)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()  # the primary host has spoken, or the connection is over
        self._rebirth = asyncio.Event()
        self._waits = asyncio.Event()  # something that is to be confirmed
        self._tasks: list[asyncio.Task[None]] = []
        self._born = False
        self._end: UplinkError | None = None
        self._next_birth_ns = 0

    async def connect(self) -> None:
        """Returns when the births are out. Unreachable also while the primary host is not online."""
        await self.close()
        self._begin()
        if not self._host.agent:
            raise Unreachable("the agent has no id yet: its store could not be opened")
        self._who = opening.asked(self._settings, self._host.agent)
        wire = await asyncio.to_thread(_protobuf)
        bd_seq = await opening.next_bd_seq(self._host)
        self._node = Node(wire, self._topics, bd_seq, lambda: self._clock.time_ns() // 1_000_000)
        try:
            async with self._limit("no connection"):
                self._link = await opening.opened(
                    self._settings, self._who, self._node.death(), self._hear, self._ended
                )
            await self._await_primary()
            self._publish(self._node.birth(self._host.current()))
            self._next_birth_ns = self._clock.mono_ns() + REBIRTH_EVERY_NS
            await self._prove()
        except BaseException:
            await self.close()
            raise
        self._born = True
        for work in (self._confirm_later, self._bear_again, self._pass_on):
            self._tasks.append(asyncio.create_task(self._while_connected(work), name="sparkplug"))

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """PENDING for what went out, REJECTED for what cannot be written."""
        self._usable()
        verdicts = []
        async with self._turn:
            for item in items:
                if self._rebirth.is_set():
                    await self._give_birth()
                verdicts.append(self._told(item))
                await asyncio.sleep(0)  # a large message must not hold up the polls
            sent_ns = self._clock.mono_ns()
            if PENDING in verdicts:
                await self._prove()
        pairs = zip(items, verdicts, strict=True)
        self._outlived.sent([item.key for item, verdict in pairs if verdict is PENDING], sent_ns)
        self._waits.set()
        return verdicts

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._leave()
        await asyncio.sleep(0)

    # Telling

    def _told(self, item: Envelope) -> Verdict:
        node = self._node
        assert node is not None
        if item.event is not None or item.schema is None:
            return Verdict(Answer.REJECTED, "a Sparkplug edge node sends samples and period values only")
        if item.samples == 0:
            return ACKNOWLEDGED
        try:
            messages = node.data(item)
        except (TypeError, ValueError, OverflowError) as error:
            return Verdict(Answer.REJECTED, f"cannot be written as Sparkplug metrics: {error}")
        self._publish(messages)
        return PENDING

    def _publish(self, messages: Sequence[Told]) -> None:
        link = self._usable()
        try:
            for message in messages:
                link.tell(message.topic, message.payload)
        except Over as over:
            raise codes.ended(over.loss, self._who) from over

    async def _prove(self) -> None:
        """A question whose answer comes after all that was sent before, and what is confirmed by it. It is a
        subscription that the broker has already: the library keeps the answers to its pings to itself."""
        link, asked_ns = self._usable(), self._clock.mono_ns()
        try:
            async with self._limit("no answer"):
                await link.subscribe(self._topics.of_node("NCMD"))
        except Over as over:
            raise codes.ended(over.loss, self._who) from over
        self._usable()
        keys = self._outlived.proved(asked_ns)
        if keys:
            self._host.acknowledged(keys)

    def _usable(self) -> Link:
        if self._end is not None:
            raise self._end
        if self._link is None:
            raise Unreachable(f"{self._who.endpoint}: not connected")
        return self._link

    async def _give_birth(self) -> None:
        """All births again, as the host application has asked. Data waits until they are out."""
        await self._clock.sleep_until(self._next_birth_ns)
        if not self._rebirth.is_set() or self._node is None:
            return
        self._rebirth.clear()
        self._next_birth_ns = self._clock.mono_ns() + REBIRTH_EVERY_NS
        self._publish(self._node.birth())

    # What runs beside

    async def _while_connected(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                await work()
        except UplinkError as error:
            self._lose(error)

    async def _confirm_later(self) -> None:
        due_ns = self._outlived.due_ns()
        if due_ns is None:
            self._waits.clear()
            await self._waits.wait()
        else:
            await self._clock.sleep_until(due_ns)
            await self._prove()

    async def _bear_again(self) -> None:
        await self._rebirth.wait()
        async with self._turn:
            await self._give_birth()

    async def _pass_on(self) -> None:
        """Each command goes into the guarded pipeline, where it is refused unless writing is armed. Sparkplug
        has no answer to it: the host application sees the new value, or it does not."""
        await self._host.ask(await self._requests.get())

    # What is heard

    def _hear(self, message: Message) -> None:
        host = self._settings.primary_host
        if host is not None and message.topic == topics.state(host):
            self._hear_primary(host, message.payload)
            return
        device = self._topics.commanded(message.topic)
        if device is None or self._node is None or message.retained:
            return  # a retained command is one of yesterday
        with contextlib.suppress(ValueError):  # not a payload: nobody knows what was asked
            for request in self._node.requests(device, message.payload):
                self._take(request, device)

    def _take(self, request: commands.Request, device: str) -> None:
        if request.rebirth:
            self._rebirth.set()
            return
        source = f"sparkplug {'DCMD' if device else 'NCMD'}"
        with contextlib.suppress(asyncio.QueueFull):
            self._requests.put_nowait(Command(request.kind, source, dict(request.detail)))

    def _hear_primary(self, host: str, payload: bytes) -> None:
        if not self._primary.heard(payload):
            return
        self._changed.set()
        if self._born and not self._primary.online:
            self._lose(Unreachable(f"{self._who.endpoint}: {_offline(host)}"))

    async def _await_primary(self) -> None:
        host = self._settings.primary_host
        if host is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.primary_wait):
                while not self._primary.online:
                    self._usable()
                    self._changed.clear()
                    await self._changed.wait()
        self._usable()
        if not self._primary.online:
            raise Unreachable(f"{self._who.endpoint}: {_offline(host)}")

    # The end

    def _ended(self, loss: Loss) -> None:
        self._lose(codes.ended(loss, self._who))

    def _lose(self, error: UplinkError) -> None:
        """No more is sent from now on, and what waits for its confirmation will not have it."""
        if self._end is not None:
            return
        self._end = error
        self._changed.set()
        # at once, but not in here: the library does not write while it hands out a message
        asyncio.get_running_loop().call_soon(self._leave)
        if self._born:
            self._host.lost(str(error))

    def _leave(self) -> None:
        """The death goes out before DISCONNECT: the broker throws the will away with that."""
        link, self._link = self._link, None
        if link is not None and self._node is not None:
            death = self._node.death()
            link.close((death.topic, death.payload))

    @contextlib.asynccontextmanager
    async def _limit(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
        except TimeoutError as error:
            raise Unreachable(f"{self._who.endpoint}: {what} within {self._settings.timeout:g} s") from error


def _offline(host: str) -> str:
    return (
        f"the primary host application {host} is not online (topic {topics.state(host)}); "
        "data is kept here until it is"
    )


def _protobuf() -> Wire:
    try:
        from edge_agent.uplinks.sparkplug import protobuf
    except ImportError as error:
        raise Denied(
            "the package protobuf is not installed: install Lineside with its extra `sparkplug`"
        ) from error
    return protobuf.load()

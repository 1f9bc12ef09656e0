"""A small MQTT broker that can be toxic: it does on request what real ones do at the worst moment.

QoS 0 and 1, retained messages, wills, clean sessions and kept ones (their subscriptions and what came for
them meanwhile), MQTT 3.1.1 and 5. Not a broker for anything but tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hardware_mocks import mqtt_wire as wire
from hardware_mocks.mqtt_wire import Connect, Kind, Malformed, Publish

HOST = "127.0.0.1"
CLOSE = -1
"""In place of a reason code: end the connection without a word."""


@dataclass(slots=True)
class Moods:
    """What the broker does wrong. Change it at any time.

    ``refuses``: the code of CONNACK for a CONNECT (0: welcome, or CLOSE). ``judges``: the code of PUBACK for
    a message (or CLOSE). ``grants``: the code of SUBACK for a filter (0x80: no). ``drops_pubacks``: takes
    and delivers, but says nothing, so many times. ``disconnects``: answers a message by DISCONNECT with this
    code. ``mute``: reads and keeps, says nothing to anybody. ``garbles``: sends bytes that are no MQTT
    instead of a PUBACK. ``doubles``: delivers each message twice. ``about``: properties of CONNACK."""

    refuses: Callable[[Connect], int] = lambda _: 0
    judges: Callable[[Publish], int] = lambda _: 0
    grants: Callable[[str], int] = lambda _: 1
    drops_pubacks: int = 0
    disconnects: int | None = None
    mute: bool = False
    garbles: bool = False
    doubles: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


class Broker:
    """``port`` is the real one after ``start``. ``published``: all that clients have sent, in order;
    ``connects``: every CONNECT. ``listeners`` are subscribed to everything, in this process."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None, host: str = HOST) -> None:
        self.port = port
        self.moods = Moods()
        self.published: list[Publish] = []
        self.connects: list[Connect] = []
        self.retained: dict[str, Publish] = {}
        self.listeners: list[Callable[[Publish], None]] = []
        self.pings = 0
        self.opened = 0
        self._hearing = asyncio.Event()
        self._hearing.set()
        self._tls = tls
        self._host = host
        self._server: asyncio.Server | None = None
        self._sessions: dict[str, _Session] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, forget: bool = True) -> None:
        """Closes everything, without a word. ``forget``: as a broker that keeps nothing on disk."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        if server is not None:
            await server.wait_closed()
        if forget:
            self._sessions.clear()
            self.retained.clear()

    async def __aenter__(self) -> Broker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def clients(self) -> list[str]:
        """Ids of those that are connected."""
        return [name for name, session in self._sessions.items() if session.writer is not None]

    def deafen(self, *, deaf: bool = True) -> None:
        """Heeds nothing that comes from now on, and closes nothing: the connections are half open."""
        (self._hearing.clear if deaf else self._hearing.set)()

    def kick(self, code: int = CLOSE, client_id: str | None = None) -> None:
        """Ends connections: by DISCONNECT where the client speaks MQTT 5, or without a word."""
        for name, session in self._sessions.items():
            if client_id in (None, name):
                session.end(code)

    def distribute(self, message: Publish) -> int:
        """As if a client had published it. To how many it went."""
        if message.retain:
            self.retained[message.topic] = message
            if not message.payload:
                del self.retained[message.topic]
        taken = len(self.listeners)
        for listen in self.listeners:
            listen(message)
        for session in self._sessions.values():
            qos = session.takes(message.topic)
            if qos is not None:
                taken += 1
                for _ in range(2 if self.moods.doubles else 1):
                    session.deliver(replace(message, qos=min(qos, message.qos), retain=False))
        return taken

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._writers.add(writer)
        self.opened += 1
        try:
            await self._converse(reader, writer)
        except (EOFError, OSError, Malformed, TimeoutError):
            pass
        except asyncio.CancelledError:
            pass  # stop(); 3.11's stream server logs a cancelled handler as an error
        finally:
            self._handlers.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, _, body = await wire.read_packet(reader)
        if kind != Kind.CONNECT:
            raise Malformed("no CONNECT")
        told = wire.parse_connect(body)
        self.connects.append(told)
        session = self._welcome(told, writer)
        if session is None:
            return
        told_goodbye = False
        try:
            while not told_goodbye:
                async with asyncio.timeout(told.keep_alive_s * 1.5 or None):
                    kind, flags, body = await wire.read_packet(reader)
                await self._hearing.wait()
                if kind == Kind.DISCONNECT:
                    told_goodbye = not (body.more and body.byte() == 4)
                    return
                if not self._heed(session, kind, flags, body):
                    return
        finally:
            session.left(writer)
            if told.will is not None and not told_goodbye:
                self.distribute(told.will)
            if told.clean and session.writer is None:
                self._sessions.pop(told.client_id, None)

    def _welcome(self, told: Connect, writer: asyncio.StreamWriter) -> _Session | None:
        code = self.moods.refuses(told) if told.level in (4, 5) else 0x84
        if code == CLOSE:
            return None
        if code:
            about = self.moods.about if told.v5 else {}
            writer.write(wire.connack(code, about, v5=told.v5))
            return None
        old = self._sessions.get(told.client_id)
        if old is not None:
            old.end(0x8E)
        if old is None or told.clean:
            self._sessions[told.client_id] = _Session()
        session = self._sessions[told.client_id]
        if not self.moods.mute:
            writer.write(wire.connack(0, self.moods.about, v5=told.v5, session=old is session))
        session.join(writer, v5=told.v5)
        return session

    def _heed(self, session: _Session, kind: int, flags: int, body: wire.Body) -> bool:
        """False: the connection is over."""
        if kind == Kind.PUBLISH:
            return self._publish(session, wire.parse_publish(flags, body, v5=session.v5))
        if kind == Kind.SUBSCRIBE:
            identifier, filters = wire.parse_subscribe(body, v5=session.v5)
            codes = [self.moods.grants(pattern) for pattern, _ in filters]
            self._say(session, wire.suback(identifier, codes, v5=session.v5))
            for (pattern, qos), code in zip(filters, codes, strict=True):
                if code < 0x80:
                    session.filters[pattern] = qos
                    for message in list(self.retained.values()):
                        if wire.matches(pattern, message.topic):
                            session.deliver(replace(message, qos=min(qos, message.qos), retain=True))
        elif kind == Kind.PUBACK:
            session.unconfirmed.pop(body.short(), None)
        elif kind == Kind.PINGREQ:
            self.pings += 1
            self._say(session, wire.packet(Kind.PINGRESP))
        else:
            raise Malformed(f"packet {kind}")
        return True

    def _publish(self, session: _Session, message: Publish) -> bool:
        self.published.append(message)
        moods = self.moods
        code = moods.judges(message)
        if code == CLOSE:
            return False
        if moods.disconnects is not None:
            session.end(moods.disconnects)
            return False
        if code < 0x80:
            taken = self.distribute(message)
            if not taken and not code and not message.retain:
                code = 0x10
        if message.qos == 0:
            return True
        if moods.drops_pubacks:
            moods.drops_pubacks -= 1
        elif moods.garbles:
            self._say(session, b"\xf9\xff\xff\xff\xff\xff\x07nonsense")
        else:
            self._say(session, wire.puback(message.identifier, code, v5=session.v5))
        return True

    def _say(self, session: _Session, data: bytes) -> None:
        if not self.moods.mute:
            session.say(data)


class _Session:
    """What the broker holds of one client id."""

    def __init__(self) -> None:
        self.filters: dict[str, int] = {}
        self.unconfirmed: dict[int, Publish] = {}
        self.writer: asyncio.StreamWriter | None = None
        self.v5 = False
        self._next = 0
        self._queue: list[Publish] = []

    def takes(self, topic: str) -> int | None:
        fitting = [qos for pattern, qos in self.filters.items() if wire.matches(pattern, topic)]
        return max(fitting, default=None)

    def join(self, writer: asyncio.StreamWriter, *, v5: bool) -> None:
        """What was not confirmed goes again, then what came meanwhile."""
        self.writer, self.v5 = writer, v5
        for message in self.unconfirmed.values():
            self.say(wire.publish(replace(message, duplicate=True), v5=v5))
        queue, self._queue = self._queue, []
        for message in queue:
            self.deliver(message)

    def left(self, writer: asyncio.StreamWriter) -> None:
        if self.writer is writer:
            self.writer = None

    def deliver(self, message: Publish) -> None:
        if self.writer is None:
            self._queue.append(message)
            return
        about = {k: v for k, v in message.properties.items() if k != "topic_alias"}
        if message.qos:
            self._next = self._next % 65_535 + 1
            message = replace(message, identifier=self._next, properties=about)
            self.unconfirmed[self._next] = message
        self.say(wire.publish(message, v5=self.v5))

    def say(self, data: bytes) -> None:
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(data)

    def end(self, code: int) -> None:
        writer, self.writer = self.writer, None
        if writer is None:
            return
        if code != CLOSE and self.v5:
            writer.write(wire.disconnect(code, v5=True))
        writer.close()

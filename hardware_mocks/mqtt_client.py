"""A plain MQTT client for platforms: subscribes, takes what comes, publishes. Confirms a message only when it
has been taken in, and connects again when the broker is back."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace

from hardware_mocks import mqtt_wire as wire
from hardware_mocks.mqtt_wire import Connect, Kind, Malformed, Publish

AGAIN_S = 0.1
KEEP_ALIVE_S = 30


class Subscriber:
    """The session is kept: what comes while it is away waits at the broker. ``take`` may raise nothing."""

    def __init__(
        self,
        port: int,
        filters: Sequence[str],
        take: Callable[[Publish], None],
        *,
        client_id: str = "park",
        host: str = "127.0.0.1",
        level: int = 5,
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connected = asyncio.Event()
        self._place = (host, port)
        self._filters = [(pattern, 1) for pattern in filters]
        self._take = take
        secret = None if password is None else password.encode()
        about = {"session_expiry": 3600} if level == 5 else {}
        self._told = Connect(level, client_id, False, KEEP_ALIVE_S, username, secret, properties=about)
        self._tls = tls
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._next = 0
        self._unconfirmed: dict[int, Publish] = {}

    @property
    def port(self) -> int:
        return self._place[1]

    async def start(self) -> None:
        """Returns when it is subscribed."""
        self._task = asyncio.create_task(self._run(), name="mqtt subscriber")
        await self.connected.wait()

    async def close(self) -> None:
        """Without a word: what follows waits for the session."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """With QoS 1, and without waiting for anything; again after each new connection until the broker has
        confirmed it."""
        self._next = self._next % 60_000 + 1
        message = self._unconfirmed[self._next] = Publish(topic, payload, 1, retain, identifier=self._next)
        if self._writer is not None and self.connected.is_set():
            self._writer.write(wire.publish(message, v5=self._told.v5))

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, Malformed):
                await self._session()
            self.connected.clear()
            await asyncio.sleep(AGAIN_S)

    async def _session(self) -> None:
        reader, writer = await asyncio.open_connection(*self._place, ssl=self._tls)
        pings: asyncio.Task[None] | None = None
        try:
            writer.write(wire.connect(self._told))
            kind, _, body = await wire.read_packet(reader)
            if kind != Kind.CONNACK or body.take(2)[1]:
                raise Malformed("refused")
            self._writer = writer
            writer.write(wire.subscribe(60_001, self._filters, v5=self._told.v5))
            pings = asyncio.create_task(self._ping(writer), name="mqtt pings")
            while True:
                kind, flags, body = await wire.read_packet(reader)
                if kind == Kind.SUBACK:
                    self.connected.set()
                    for waiting in self._unconfirmed.values():
                        writer.write(wire.publish(replace(waiting, duplicate=True), v5=self._told.v5))
                elif kind == Kind.PUBACK:
                    self._unconfirmed.pop(body.short(), None)
                elif kind == Kind.PUBLISH:
                    message = wire.parse_publish(flags, body, v5=self._told.v5)
                    self._take(message)
                    if message.qos:
                        writer.write(wire.puback(message.identifier, v5=self._told.v5))
                elif kind == Kind.DISCONNECT:
                    raise Malformed("sent away")
        finally:
            self._writer = None
            if pings is not None:
                pings.cancel()
                await asyncio.gather(pings, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _ping(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S / 2)
            writer.write(wire.packet(Kind.PINGREQ))

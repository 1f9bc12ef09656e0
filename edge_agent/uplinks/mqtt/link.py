"""One MQTT connection over one socket. paho-mqtt is the codec; sockets, time and the end are ours.

    open -> (publish, subscribe, say)* -> close        once each; a new object for the next connection

The library would block while it connects, and its asyncio wrapper drops the codes of PUBACK: so it is used
directly, with a ``Wire`` in place of a socket of its own, and with its reconnecting off.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import TooLarge
from edge_agent.uplinks.mqtt.said import Call, Greeting, Loss, Message, Over, Receipt, Why
from edge_agent.uplinks.mqtt.wire import Wire

HALF_OPEN_AFTER = 1.5
"""Keep-alive intervals of silence until a connection counts as dead; the library asks after one."""

MOST_TAKEN = 1_000_000
"""Bytes of the largest message we take (MQTT 5: told to the broker; 3.1.1: the message is passed over)."""

SESSION_S = 3600
"""How long a broker of MQTT 5 is asked to keep a session that is not clean."""

_HEADER = 5  # of a packet, at most

__all__ = ["Call", "Greeting", "Link", "Loss", "Message", "Over", "Receipt", "Why"]


class Link:
    """``hear`` is called for each message, ``over`` once when the connection ends other than by ``close``;
    both from the event loop, neither may raise."""

    def __init__(self, call: Call, hear: Callable[[Message], None], over: Callable[[Loss], None]) -> None:
        self.loss: Loss | None = None
        self.greeting = Greeting(0x88)
        self._call = call
        self._hear = hear
        self._over = over
        self._v5 = call.version == "5"
        self._loop = asyncio.get_running_loop()
        self._greeted: asyncio.Future[Greeting | Loss] = self._loop.create_future()
        self._awaited: dict[int, asyncio.Future[Receipt | Loss]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wire: Wire | None = None
        self._handle = -1
        self._heard_s = 0.0
        self._keepalive_s = float(call.keepalive_s)
        self._client: Client | None = None

    async def open(self, sock: socket.socket) -> Greeting:
        """CONNECT on a connected socket, which is this object's from now on. The greeting may be a refusal;
        Over when there was none. The caller sets the deadline."""
        wire = self._wire = Wire(sock)
        client = self._client = _client(self._call, wire)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = self._on_wants_to_write
        client.on_socket_unregister_write = self._on_has_written
        client.on_socket_close = self._on_closes
        self._heard_s = self._loop.time()
        self._handle = wire.fileno()
        self._loop.add_reader(self._handle, self._readable)
        clean: dict[str, Any] = {}
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = MOST_TAKEN
            if not self._call.clean:
                properties.SessionExpiryInterval = SESSION_S
            clean = {"clean_start": self._call.clean, "properties": properties}
        # The socket is there: no address is used.
        client.connect("broker", 1, self._call.keepalive_s, **clean)
        answer = await self._greeted
        if isinstance(answer, Loss):
            raise Over(answer)
        self.greeting = answer
        self._tick()
        return answer

    def post(
        self, topic: str, payload: bytes, *, retain: bool = False, user: Sequence[tuple[str, str]] = ()
    ) -> asyncio.Future[Receipt | Loss]:
        """PUBLISH with QoS 1; the result is the PUBACK, or how the connection ended before it."""
        properties = _properties(user) if self._v5 else None
        if self._client is None or self.loss is not None:
            return self._never(self.loss or Loss(Why.OURS, text="not connected"))
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return self._never(Loss(Why.BROKEN, text="the message could not be sent"))
        answer = self._await(info.mid)
        self._writable()  # what the socket takes goes at once
        return answer

    def check_size(self, topic: str, payload: bytes, *, user: Sequence[tuple[str, str]] = ()) -> None:
        """Raises TooLarge when the broker takes no such packet, by its own word or by ``Call.largest``."""
        largest = self.greeting.largest
        if largest is None:
            return
        size = _HEADER + 4 + len(topic.encode()) + len(payload)
        size += len(_properties(user).pack()) if self._v5 else 0  # type: ignore[no-untyped-call]
        if size > largest:
            raise TooLarge(f"a message of {size} bytes; the broker takes {largest} at most")

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, user: Sequence[tuple[str, str]] = ()
    ) -> Receipt:
        """``post``, and wait. Over when the connection ended before the PUBACK."""
        return _received(await self.post(topic, payload, retain=retain, user=user))

    def tell(self, topic: str, payload: bytes) -> None:
        """PUBLISH with QoS 0, in order with all that follows: nothing ever says that it arrived. Over when
        the connection has ended; TooLarge as ``check_size``."""
        self.check_size(topic, payload)
        if self._client is None or self.loss is not None:
            raise Over(self.loss or Loss(Why.OURS, text="not connected"))
        self._client.publish(topic, payload, 0)
        self._writable()
        if self.loss is not None:
            raise Over(self.loss)

    async def subscribe(self, topic: str) -> Receipt:
        """With QoS 1. The code is below 0x80 when it was granted. Over as ``publish``."""
        if self._client is None or self.loss is not None:
            raise Over(self.loss or Loss(Why.OURS, text="not connected"))
        _, mid = self._client.subscribe(topic, 1)
        return _received(await self._await(mid or 0))

    def close(self, farewell: tuple[str, bytes] | None = None) -> None:
        """Says goodbye where that is possible without waiting, ``farewell`` (topic, payload; retained as the
        will would be) before it. Idempotent, never raises."""
        client, connected = self._client, self.loss is None and self.greeting.code == 0
        if client is not None and connected:
            self._over = _nobody
            try:
                if farewell is not None:
                    client.publish(farewell[0], farewell[1], 0, retain=self._call.will_retained)
                client.disconnect()
                client.loop_write()
            except (OSError, ValueError):
                pass  # it is over anyway
        self._end(Loss(Why.OURS, text="closed"))

    # The library's callbacks: all from the event loop, in `_readable`, `_writable` or `_tick`

    def _on_connect(
        self, _: Client, __: Any, ___: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        said: Callable[[str, Any], Any] = lambda name, default: getattr(properties, name, default)  # noqa: E731
        if not self._greeted.done():
            self._keepalive_s = float(said("ServerKeepAlive", self._keepalive_s))
            self._greeted.set_result(
                Greeting(
                    code.value,
                    str(said("ReasonString", "")),
                    str(said("ServerReference", "")),
                    _smaller(said("MaximumPacketSize", None), self._call.largest),
                    int(said("ReceiveMaximum", 65_535)),
                    bool(said("RetainAvailable", 1)),
                    said("MaximumQoS", 2) > 0,
                )
            )

    def _on_disconnect(
        self, _: Client, __: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(Loss(Why.SAID, code.value, str(getattr(properties, "ReasonString", ""))))

    def _on_publish(self, _: Client, __: Any, mid: int, code: ReasonCode, properties: Properties) -> None:
        self._answer(mid, Receipt(code.value, str(getattr(properties, "ReasonString", ""))))

    def _on_subscribe(
        self, _: Client, __: Any, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        code = codes[0].value if codes else 0x80
        self._answer(mid, Receipt(code, str(getattr(properties, "ReasonString", ""))))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        if len(message.payload) > MOST_TAKEN:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._hear(Message(topic, bytes(message.payload), message.retain))

    def _on_wants_to_write(self, _: Client, __: Any, ___: Any) -> None:
        if self._handle >= 0:
            self._loop.add_writer(self._handle, self._writable)

    def _on_has_written(self, _: Client, __: Any, ___: Any) -> None:
        if self._handle >= 0:
            self._loop.remove_writer(self._handle)

    def _on_closes(self, _: Client, __: Any, ___: Any) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self._loop.remove_reader(handle)
            self._loop.remove_writer(handle)

    # The event loop's callbacks

    def _readable(self) -> None:
        wire, client = self._wire, self._client
        assert wire is not None and client is not None
        if wire.fill():
            self._heard_s = self._loop.time()
        try:
            while self.loss is None and wire.waiting:
                code = client.loop_read()
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    self._end(self._ended(code))
        except Exception as error:  # noqa: BLE001 - outermost: what a stranger sends must not stop the agent
            self._end(Loss(Why.GARBLED, text=f"{type(error).__name__}: {error}"))

    def _writable(self) -> None:
        assert self._client is not None
        code = self._client.loop_write()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(self._ended(code))

    def _tick(self) -> None:
        """Pings when it is time, and notices that nobody answers."""
        if self.loss is not None or self._client is None:
            return
        silent_s = self._loop.time() - self._heard_s
        if self._keepalive_s and silent_s >= HALF_OPEN_AFTER * self._keepalive_s - 0.01:
            self._end(Loss(Why.SILENT, text=f"nothing heard for {silent_s:.0f} s"))
            return
        code = self._client.loop_misc()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(Loss(Why.SILENT, text=f"nothing heard for {silent_s:.0f} s"))
            return
        self._timer = self._loop.call_later(min(1.0, (self._keepalive_s or 60.0) / 10), self._tick)

    def _ended(self, code: MQTTErrorCode) -> Loss:
        fault = self._wire.fault if self._wire is not None else None
        if fault is not None:
            why = Why.CLOSED if isinstance(fault, (ConnectionResetError, BrokenPipeError)) else Why.BROKEN
            return Loss(why, text=fault.strerror or str(fault), fault=fault)
        if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            return Loss(Why.GARBLED, text="not what MQTT allows")
        return Loss(Why.CLOSED)

    def _end(self, loss: Loss) -> None:
        if self.loss is not None:
            return
        self.loss = loss
        if self._timer is not None:
            self._timer.cancel()
        if self._wire is not None and self._client is not None:
            self._on_closes(self._client, None, None)
            self._wire.close()
        if not self._greeted.done():
            self._greeted.set_result(loss)
        waiting, self._awaited = self._awaited, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(loss)
        if loss.why is not Why.OURS:
            self._over(loss)

    def _await(self, mid: int) -> asyncio.Future[Receipt | Loss]:
        future: asyncio.Future[Receipt | Loss] = self._loop.create_future()
        self._awaited[mid] = future
        return future

    def _never(self, loss: Loss) -> asyncio.Future[Receipt | Loss]:
        future: asyncio.Future[Receipt | Loss] = self._loop.create_future()
        future.set_result(loss)
        return future

    def _answer(self, mid: int, receipt: Receipt) -> None:
        future = self._awaited.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(receipt)


class _Client(Client):
    """The library's client on a socket that was opened elsewhere."""

    wire: Wire

    def _create_socket(self) -> Wire:
        return self.wire


def _client(call: Call, wire: Wire) -> _Client:
    v5 = call.version == "5"
    client = _Client(
        CallbackAPIVersion.VERSION2,
        call.client_id,
        clean_session=None if v5 else call.clean,
        protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.wire = wire
    client.max_inflight_messages_set(0)  # how many are under way is the sender's business
    if call.username is not None:
        client.username_pw_set(call.username, call.password)
    if call.will is not None:
        client.will_set(call.will[0], call.will[1], 1, retain=call.will_retained)
    return client


def _properties(user: Sequence[tuple[str, str]]) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = 1  # UTF-8
    properties.ContentType = "application/json"
    if user:
        properties.UserProperty = list(user)
    return properties


def _received(answer: Receipt | Loss) -> Receipt:
    if isinstance(answer, Loss):
        raise Over(answer)
    return answer


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _nobody(_: Loss) -> None:
    pass

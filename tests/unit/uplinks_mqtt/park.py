"""A platform behind the toxic broker, behaving as told. Decodes with the standard ``json`` only: it shares no
code with the uplink."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edge_agent.testing.destination import Manner, Received
from hardware_mocks.mqtt_broker import CLOSE, Broker, Moods
from hardware_mocks.mqtt_wire import Connect, Publish

AGENT = "0f3c" * 8
USER, PASSWORD = "line-7", "s3cret"
DATA, ACK = f"lineside/{AGENT}/data", f"lineside/{AGENT}/ack"


class Park:
    """``acks``: confirms keys on a topic of its own; otherwise the broker's PUBACK is what confirms."""

    def __init__(self, version: str, *, acks: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.broker = Broker(tls=tls)
        self.version = version
        self.acks = acks
        self.poison: Collection[str] = ()
        self.received: dict[str, Received] = {}
        self.events: dict[str, Mapping[str, Any]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.schemas: dict[str, Any] = {}
        self.host = "127.0.0.1"
        self._manner = Manner.CONFIRM

    async def start(self) -> None:
        await self.broker.start()
        self.manner = Manner.CONFIRM

    async def stop(self) -> None:
        await self.broker.stop()

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.broker.port}"

    @property
    def settings(self) -> Mapping[str, Any]:
        ack = {"ack_topic": "lineside/{agent}/ack"} if self.acks else {}
        return {
            "url": self.url, "version": self.version, "username": USER, "password": PASSWORD,
            "timeout": "500ms", **ack,
        }  # fmt: skip

    @property
    def connections(self) -> int:
        return self.broker.opened

    @property
    def data(self) -> list[Publish]:
        return [message for message in self.broker.published if message.topic == DATA]

    @property
    def messages(self) -> int:
        return len(self.data)

    @property
    def manner(self) -> Manner:
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        moods = self.broker.moods = Moods(refuses=self._refuses, judges=self._judges)
        silent = manner is Manner.SILENT or (manner is Manner.MUTE and self.version != "5" and not self.acks)
        if silent:
            moods.judges = self._silent
        deaf = manner is Manner.MUTE and not self.acks
        self.broker.listeners[:] = [] if deaf else [self._take]

    async def confirm(self, keys: Sequence[str]) -> None:
        self.say({"agent": AGENT, "acknowledged": list(keys)})

    def say(self, body: Any) -> None:
        """On the acknowledgement topic."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.broker.distribute(Publish(ACK, payload, qos=1))

    def _refuses(self, told: Connect) -> int:
        known = (told.username, told.password) == (USER, PASSWORD.encode())
        if known and self._manner is not Manner.REFUSE:
            return 0
        return 0x87 if told.v5 else 5

    def _silent(self, message: Publish) -> int:
        if message.topic == DATA:
            self.broker.moods.drops_pubacks += 1
        return 0

    def _judges(self, message: Publish) -> int:
        if message.topic != DATA or self._manner is not Manner.POISON:
            return 0
        keys = _keys(json.loads(message.payload))
        if not set(keys) & set(self.poison):
            return 0
        return 0x99 if self.version == "5" else CLOSE

    def _take(self, message: Publish) -> None:
        if "/schema/" in message.topic:
            self.schemas |= json.loads(message.payload)["schemas"]
        if message.topic != DATA:
            return
        body = json.loads(message.payload, parse_constant=_no_constant)
        self.bodies.append(body)
        self.schemas |= body["schemas"]
        for item in body["segments"]:
            width = len(self.schemas[item["schema"]]["names"])
            quality = item.get("quality", {})
            assert all(len(row) == width for row in item["values"])
            rows = [bytes.fromhex(quality.get(str(i), "00" * width)) for i in range(len(item["values"]))]
            self.received[item["key"]] = Received(item["values"], rows)
        for item in body["events"]:
            self.events[item["key"]] = item["detail"]
        if self.acks and self._manner in (Manner.CONFIRM, Manner.POISON):
            self.say({"agent": AGENT, "acknowledged": _keys(body)})


def _keys(body: Mapping[str, Any]) -> list[str]:
    return [item["key"] for item in [*body["segments"], *body["events"]]]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")

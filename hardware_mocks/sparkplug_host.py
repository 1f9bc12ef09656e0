"""A Sparkplug host application at a real broker: subscribes, keeps a ledger, asks for rebirths, says if it
is online. aiomqtt carries it; what it reads and writes is its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

import aiomqtt

from hardware_mocks import sparkplug_wire as wire
from hardware_mocks.sparkplug_ledger import REBIRTH, Ledger


class SparkplugHost:
    """``start`` returns when it is subscribed and its STATE is out. ``asks``: whether a gap, or data of what
    was not born, makes it ask for a rebirth. ``raw``: what nodes sent, as it came."""

    def __init__(
        self, port: int, host_id: str = "scada", *, asks: bool = True, keepalive_s: int = 10
    ) -> None:
        self.ledger = Ledger()
        self.asked = 0
        self.retained = 0  # messages of nodes that the broker had kept: Sparkplug knows none
        self.raw: list[tuple[str, bytes]] = []
        self._port = port
        self._id = host_id
        self._asks = asks
        self._keepalive_s = keepalive_s
        self._client: aiomqtt.Client | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last_ms = 0
        self._asked_at: dict[str, float] = {}

    async def start(self) -> None:
        since_ms = self._now_ms()
        will = aiomqtt.Will(self.state_topic, _state(False, since_ms), qos=1, retain=True)
        self._client = aiomqtt.Client("127.0.0.1", self._port, will=will, keepalive=self._keepalive_s)
        await self._client.__aenter__()
        await self._client.subscribe("spBv1.0/#", qos=1)
        self._reading = asyncio.create_task(self._read(self._client))
        await self.say(True, since_ms)

    async def stop(self, *, orderly: bool = True) -> None:
        """``orderly``: says first that it is offline."""
        client, self._client = self._client, None
        if client is None:
            return
        if orderly:
            await client.publish(self.state_topic, _state(False, self._now_ms()), qos=1, retain=True)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        with contextlib.suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)

    @property
    def state_topic(self) -> str:
        return f"spBv1.0/STATE/{self._id}"

    async def say(self, online: bool, time_ms: int | None = None) -> None:
        """STATE, retained. Without ``time_ms``: of now."""
        stamp = self._now_ms() if time_ms is None else time_ms
        await self._connected.publish(self.state_topic, _state(online, stamp), qos=1, retain=True)

    async def ask_rebirth(self, node: str) -> None:
        """``node``: "group/node"."""
        self.asked += 1
        metric = wire.commanded(True, name=REBIRTH, datatype=11)
        await self.command(node, "", [metric])

    async def write(self, node: str, device: str, metric: str, value: wire.Value) -> None:
        alias, born = self.ledger.metric(device, metric)
        await self.command(node, device, [wire.commanded(value, alias=alias, datatype=born.datatype)])

    async def command(self, node: str, device: str, metrics: list[bytes]) -> None:
        group, _, name = node.partition("/")
        kind, below = ("DCMD", f"/{device}") if device else ("NCMD", "")
        payload = wire.command(self._now_ms(), metrics)
        await self._connected.publish(f"spBv1.0/{group}/{kind}/{name}{below}", payload, qos=0)

    async def until(self, condition: Callable[[], object], complaint: str, patience_s: float = 10.0) -> None:
        """Waits; raises AssertionError with the complaint and what is known."""
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{complaint}; messages {self.ledger.messages}, {self.ledger.broken}")
            await asyncio.sleep(0.01)

    @property
    def _connected(self) -> aiomqtt.Client:
        assert self._client is not None, "not started"
        return self._client

    def _now_ms(self) -> int:
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        return self._last_ms

    async def _read(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            async for message in client.messages:
                topic, data = str(message.topic), message.payload
                if topic.startswith("spBv1.0/STATE/") or not isinstance(data, bytes):
                    continue
                if "CMD/" not in topic:
                    self.raw.append((topic, data))
                    self.retained += message.retain
                node = self.ledger.take(topic, data)
                if node is not None and self._asks:
                    await self._ask_once(node)

    async def _ask_once(self, node: str) -> None:
        """Not again while the answer may be under way."""
        now = time.monotonic()
        if now - self._asked_at.get(node, -1e9) > 1.0:
            self._asked_at[node] = now
            await self.ask_rebirth(node)


def _state(online: bool, time_ms: int) -> bytes:
    return json.dumps({"online": online, "timestamp": time_ms}).encode()

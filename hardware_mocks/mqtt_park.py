"""A park's platform behind an MQTT broker: receives, checks, counts, and confirms keys on a topic of its own.

It attaches to any broker (``port``); without one it brings a broker of its own, which can be toxic.
On ``control_port``: ``POST /control`` (see ``Mood``), ``GET /report``, ``GET /events``, and
``GET /samples?device=&tag=`` as ``park`` has them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hardware_mocks.desk import Desk
from hardware_mocks.message import Message, Unreadable, parse_body, parse_message
from hardware_mocks.mqtt_broker import Broker
from hardware_mocks.mqtt_client import Subscriber
from hardware_mocks.mqtt_wire import Publish
from hardware_mocks.receipts import Receipts

MOST_PROBLEMS = 100
DATA, SCHEMAS, STATUS = "lineside/+/data", "lineside/+/schema/+", "lineside/+/status"
_MODES = ("ok", "drop", "delay", "double", "corrupt", "reject", "forget")


class UnknownMood(ValueError):
    """The text says what is wrong with the order."""


@dataclass(frozen=True, slots=True)
class Mood:
    """How keys are confirmed, where they are at all: ``POST /control {"mode": ...}``.

    ok         at once
    drop       stores, and says nothing
    delay      after ``delay_s``
    double     twice
    corrupt    with the text torn: half of it, and the rest turned into nonsense
    reject     refuses ``keys`` and those of ``devices``; confirms the others
    forget     says that it knows none of the schemas, and stores nothing

    With ``times``: N the mode holds for N messages, then ``ok`` again."""

    mode: str = "ok"
    delay_s: float = 1.0
    devices: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    times: int | None = None

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> Mood:
        """Raises UnknownMood."""
        if order.get("mode") not in _MODES:
            raise UnknownMood(f"mode {order.get('mode')!r} is not one of {', '.join(_MODES)}")
        if unknown := set(order) - set(cls.__slots__):
            raise UnknownMood(f"unknown: {', '.join(sorted(unknown))}")
        times = order.get("times")
        return cls(
            order["mode"],
            float(order.get("delay_s", 1.0)),
            frozenset(order.get("devices", ())),
            frozenset(order.get("keys", ())),
            None if times is None else int(times),
        )


class MqttPark:
    """``ack_topic``: with ``{agent}`` in it; empty: confirms nothing, the broker does. ``receipts`` and
    ``report()`` as the HTTP park's; ``states`` is the last word of each agent's status topic."""

    def __init__(
        self, port: int = 0, control_port: int = 0, *, ack_topic: str = "", level: int = 5, **client: Any
    ) -> None:
        self.broker = Broker() if not port else None
        self.port = port
        self.receipts = Receipts()
        self.mood = Mood()
        self.states: dict[str, str] = {}
        self._ack_topic = ack_topic
        self._level = level
        self._client = client
        self._counts: Counter[str] = Counter()
        self._problems: list[str] = []
        self._subscriber: Subscriber | None = None
        questions = {"/report": self._report, "/samples": self._samples, "/events": self._events}
        self._desk = Desk(control_port, questions, self._order)
        self._late: set[asyncio.TimerHandle] = set()

    @property
    def control_port(self) -> int:
        return self._desk.port

    async def start(self) -> None:
        """Raises OSError if a port is taken. Waits for the broker."""
        if self.broker is not None:
            await self.broker.start()
            self.port = self.broker.port
        await self._desk.start()
        filters = (DATA, SCHEMAS, STATUS)
        self._subscriber = Subscriber(self.port, filters, self._take, level=self._level, **self._client)
        await self._subscriber.start()

    async def close(self) -> None:
        for timer in self._late:
            timer.cancel()
        if self._subscriber is not None:
            await self._subscriber.close()
        await self._desk.close()
        if self.broker is not None:
            await self.broker.stop()

    def report(self) -> dict[str, Any]:
        names = ("messages", "bytes", "redelivered", "stored", "rejected", "unknown_schemas", "malformed")
        counts = {name: self._counts[name] for name in (*names, "confirmed")}
        more = {"mode": self.mood.mode, "problems": self._problems, "states": self.states}
        return counts | self.receipts.report() | more

    def _take(self, message: Publish) -> None:
        if message.topic.endswith("/status"):
            said = _object(message.payload)
            self.states[str(said.get("agent"))] = str(said.get("state"))
            return
        try:
            parsed = parse_message(parse_body(message.payload, ""))
        except Unreadable as error:
            self._malformed(f"{message.topic}: {error}")
            return
        if "/schema/" in message.topic:
            if self.mood.mode != "forget":
                self.receipts.keep(self.receipts.sort(parsed))
            return
        self._counts["messages"] += 1
        self._counts["bytes"] += len(message.payload)
        self._counts["redelivered"] += message.duplicate
        try:
            self._receive(parsed, self._take_mood())
        except Unreadable as error:
            self._malformed(str(error))

    def _receive(self, message: Message, mood: Mood) -> None:
        if mood.mode == "forget":
            asked = sorted({str(item.body["schema"]) for item in message.segments})
            self._confirm(message.agent, {"unknown_schemas": asked}, mood)
            return
        marked = [item.key for item in message.items if self._is_marked(item.body, message, mood)]
        sorting = self.receipts.sort(message, marked)
        self.receipts.keep(sorting)
        self._counts["stored"] += len(sorting.fresh)
        self._counts["rejected"] += len(marked)
        self._counts["unknown_schemas"] += len(sorting.unknown_schemas)
        said = {
            "acknowledged": sorting.acknowledged,
            "rejected": dict.fromkeys(marked, "rejected by mode"),
            "unknown_schemas": sorted(sorting.unknown_schemas),
        }
        self._confirm(message.agent, said, mood)

    def _confirm(self, agent: str, said: Mapping[str, Any], mood: Mood) -> None:
        if not self._ack_topic or mood.mode == "drop":
            return
        payload = json.dumps({"agent": agent, **said}).encode()
        if mood.mode == "corrupt":
            payload = payload[: len(payload) // 2] + b'\xff\x00"}]'
        topic = self._ack_topic.replace("{agent}", agent)
        for _ in range(2 if mood.mode == "double" else 1):
            if mood.mode == "delay":
                loop = asyncio.get_running_loop()
                self._late.add(loop.call_later(mood.delay_s, self._say, topic, payload))
            else:
                self._say(topic, payload)

    def _say(self, topic: str, payload: bytes) -> None:
        if self._subscriber is not None:
            self._subscriber.publish(topic, payload)
            self._counts["confirmed"] += 1

    def _take_mood(self) -> Mood:
        mood = self.mood
        if mood.times is not None:
            self.mood = replace(mood, times=mood.times - 1) if mood.times > 1 else Mood()
        return mood

    def _is_marked(self, body: Mapping[str, Any], message: Message, mood: Mood) -> bool:
        if mood.mode != "reject":
            return False
        digest = str(body.get("schema"))
        schema = message.schemas.get(digest) or self.receipts.schemas.get(digest, {})
        device = schema.get("device", str(body.get("source", "")).partition(".")[0])
        return body["key"] in mood.keys or device in mood.devices

    def _malformed(self, problem: str) -> None:
        self._counts["malformed"] += 1
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)

    def _order(self, order: Mapping[str, Any]) -> None:
        self.mood = Mood.parse(order)

    def _report(self, _: Mapping[str, str]) -> dict[str, Any]:
        return self.report()

    def _samples(self, query: Mapping[str, str]) -> list[list[Any]]:
        found = self.receipts.samples(query.get("device", ""), query.get("tag", ""))
        return [[time_us, value, key, code] for time_us, value, code, key in found]

    def _events(self, _: Mapping[str, str]) -> Any:
        return self.receipts.events()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}

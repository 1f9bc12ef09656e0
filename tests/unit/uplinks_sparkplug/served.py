"""A broker with a host application behind it, in this process, behaving as the contract suite tells it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edge_agent.model import Quality
from edge_agent.testing.destination import EPOCH, SCHEMA, START_NS, Manner, Received
from hardware_mocks import sparkplug_wire
from hardware_mocks.mqtt_broker import Broker
from hardware_mocks.mqtt_wire import Publish
from hardware_mocks.sparkplug_ledger import REBIRTH, Ledger, Sample

START_MS = START_NS // 1_000_000
GROUP, NODE, HOST = "park", "hall-3", "scada"
KEEPALIVE_S = 1


def own_settings(port: int, **more: Any) -> dict[str, Any]:
    keys = {"url": f"mqtt://127.0.0.1:{port}", "group": GROUP, "node": NODE, "timeout": "1s"}
    return {**keys, "keepalive": f"{KEEPALIVE_S}s", "confirm_after": "1500ms", **more}


class Served:
    """The contract suite's segments are found again by their time stamps: these say which unit and which row
    it is, for Sparkplug carries no keys."""

    poison: Collection[str] = ()

    def __init__(self) -> None:
        self.broker = Broker()
        self.ledger = Ledger()
        self.events: Mapping[str, Mapping[str, Any]] = {}
        self._manner = Manner.CONFIRM
        self.broker.listeners.append(self._hear)

    async def start(self) -> None:
        await self.broker.start()

    async def stop(self) -> None:
        await self.broker.stop()

    @property
    def manner(self) -> Manner:
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        self.broker.moods.mute = False
        self.broker.moods.refuses = lambda _: 5 if manner is Manner.REFUSE else 0

    @property
    def settings(self) -> Mapping[str, Any]:
        return own_settings(self.broker.port)

    @property
    def connections(self) -> int:
        return len(self.broker.connects)

    @property
    def messages(self) -> int:
        return self.ledger.messages["DDATA"]

    @property
    def received(self) -> dict[str, Received]:
        units: dict[int, dict[int, dict[str, Sample]]] = {}
        for sample in self.ledger.samples.values():
            seq, row = divmod(sample.time_ms - START_MS, 1000)
            units.setdefault(seq, {}).setdefault(row, {})[sample.metric] = sample
        return {f"samples/{EPOCH}/{seq}": self._received(rows) for seq, rows in units.items()}

    async def confirm(self, keys: Sequence[str]) -> None:
        """A host application confirms nothing."""

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """As the host application."""
        self.broker.distribute(Publish(topic, payload, 1, retain))

    def state(self, *, online: bool, time_ms: int) -> None:
        payload = json.dumps({"online": online, "timestamp": time_ms}).encode()
        self.say(f"spBv1.0/STATE/{HOST}", payload, retain=True)

    def command(self, metrics: Sequence[bytes], device: str = "") -> None:
        kind, below = ("DCMD", f"/{device}") if device else ("NCMD", "")
        self.say(f"spBv1.0/{GROUP}/{kind}/{NODE}{below}", sparkplug_wire.command(1, list(metrics)))

    def ask_rebirth(self) -> None:
        self.command([sparkplug_wire.commanded(True, name=REBIRTH, datatype=11)])

    def _hear(self, message: Publish) -> None:
        if message.topic.startswith(f"spBv1.0/{GROUP}/"):
            self.ledger.take(message.topic, message.payload)
        if self.messages and self._manner in (Manner.MUTE, Manner.SILENT):
            self.broker.moods.mute = True

    def _received(self, rows: dict[int, dict[str, Sample]]) -> Received:
        values, qualities = [], []
        for _, row in sorted(rows.items()):
            values.append([self._raw(row[name]) for name in SCHEMA.names])
            reasons = [row[name].reason for name in SCHEMA.names]
            qualities.append(bytes(Quality[str(r).upper()] if r else Quality.GOOD for r in reasons))
        return Received(values, qualities)

    def _raw(self, sample: Sample) -> Any:
        """What the controller said, as the birth tells how to get back to it."""
        known = self.ledger.metric(sample.device, sample.metric)[1].properties
        if sample.value is None or "scale" not in known:
            return sample.value
        assert isinstance(sample.value, float) and known["rawType"] == "uint16"
        scale, offset = known["scale"], known["offset"]
        assert isinstance(scale, float) and isinstance(offset, float)
        return round((sample.value - offset) / scale)

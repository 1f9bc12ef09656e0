"""A broker and a Sparkplug host application in one process: ``python -m hardware_mocks sparkplug-park``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardware_mocks.desk import Desk
from hardware_mocks.mqtt_broker import Broker
from hardware_mocks.sparkplug_host import SparkplugHost

KEEPALIVE_S = 2


class SparkplugPark:
    """``GET /report``; ``GET /samples?device=...&tag=...``: [time in ms, value, Sparkplug's quality], each
    time once. No orders: what a connection suffers is done on the way."""

    def __init__(self, port: int = 0, control_port: int = 0, *, host_id: str = "scada") -> None:
        self.broker = Broker(port)
        self._host_id = host_id
        self.host: SparkplugHost | None = None
        questions = {"/report": self._report, "/samples": self._samples}
        self.desk = Desk(control_port, questions, _no_order)

    async def start(self) -> None:
        await self.broker.start()
        self.host = SparkplugHost(self.broker.port, self._host_id, keepalive_s=KEEPALIVE_S)
        await self.host.start()
        await self.desk.start()

    async def close(self) -> None:
        await self.desk.close()
        if self.host is not None:
            await self.host.stop()
        await self.broker.stop()

    def _report(self, _: Mapping[str, str]) -> dict[str, Any]:
        assert self.host is not None
        ledger = self.host.ledger
        newest_ms = max((sample.time_ms for sample in ledger.samples.values()), default=0)
        return {
            "samples": len(ledger.samples),
            "duplicates": ledger.duplicates,
            "conflicts": ledger.changed,
            "historical": ledger.historical,
            "gaps": ledger.gaps,
            "broken": ledger.broken,
            "messages": dict(ledger.messages),
            "newest_us": newest_ms * 1000,
        }

    def _samples(self, query: Mapping[str, str]) -> list[list[Any]]:
        assert self.host is not None
        place = query.get("device", ""), query.get("tag", "")
        mine = [s for s in self.host.ledger.samples.values() if (s.device, s.metric) == place]
        return [[s.time_ms, s.value, s.quality] for s in sorted(mine, key=lambda s: s.time_ms)]


def _no_order(order: Mapping[str, Any]) -> None:
    if order != {"mode": "ok"}:
        raise ValueError("this platform knows the mode ok alone")

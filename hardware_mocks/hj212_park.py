"""The HJ 212 host as a process of its own, with a control port: ``python -m hardware_mocks hj212-park``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from hardware_mocks.desk import Desk
from hardware_mocks.hj212_host import Hj212Host
from hardware_mocks.hj212_wire import Packet

MN, PW, ST = "010000A8900016F000169DC0", "123456", "31"
BEIJING = timezone(timedelta(hours=8))


class Hj212Park:
    """``POST /control {"mode": "ok" | "mute"}``: mute takes everything and acknowledges nothing.
    ``GET /report``; ``GET /samples?code=...``: [second, text] of each real-time record that has the factor;
    ``GET /seconds``: all seconds there are real-time records of."""

    def __init__(self, port: int = 0, control_port: int = 0, *, mn: str = MN, pw: str = PW) -> None:
        self.host = Hj212Host(mn, pw, ST, port=port)
        questions = {"/report": self._report, "/samples": self._samples, "/seconds": self._seconds}
        self.desk = Desk(control_port, questions, self._order)

    async def start(self) -> None:
        await self.host.start()
        await self.desk.start()

    async def close(self) -> None:
        await self.desk.close()
        await self.host.close()

    def _order(self, order: Mapping[str, Any]) -> None:
        if order.get("mode") not in ("ok", "mute"):
            raise ValueError(f"mode {order.get('mode')!r} is not one of ok, mute")
        self.host.manners.answer = order["mode"] == "ok"

    def _report(self, _: Mapping[str, str]) -> dict[str, Any]:
        newest = max((_second(packet) for packet in self._real_time()), default=0)
        more = {"violations": self.host.violations, "newest_us": newest * 1_000_000}
        return self.host.ledger.report() | more

    def _samples(self, query: Mapping[str, str]) -> list[tuple[int, str]]:
        name = f"{query.get('code', '')}-Rtd"
        return [(_second(p), p.data[name]) for p in self._real_time() if name in p.data]

    def _seconds(self, _: Mapping[str, str]) -> list[int]:
        return sorted({_second(packet) for packet in self._real_time()})

    def _real_time(self) -> list[Packet]:
        return [packet for packet in self.host.records.values() if packet.cn == "2011"]


def _second(packet: Packet) -> int:
    at = datetime.strptime(packet.data["DataTime"], "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    return int(at.timestamp())

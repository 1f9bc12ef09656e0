"""Reading tags once over an open link, for commissioning: every place is asked at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drivers.modbus.plan import plan
from edge_agent.errors import BadReply, Busy, Refused, Replan, StationSilent
from edge_agent.model import Quality
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.link import ModbusTcpLink
    from drivers.modbus.link_bus import ModbusBusLink
    from drivers.modbus.request import Learned
    from drivers.modbus.settings import ModbusSettings
    from edge_agent.driver import Columns, Request
    from edge_agent.model import Tag

REQUEST_S = 1.0
_WIRE_TIMES = 3.0
_PLANS_MAX = 60
_QUALITY = {"illegal_address": Quality.BAD_ADDRESS, "illegal_function": Quality.BAD_CONFIG}


class Reading:
    """One connection and what it has said so far. What was read once is not asked again: the same registers
    in another byte order cost nothing."""

    def __init__(self, link: ModbusTcpLink | ModbusBusLink, settings: ModbusSettings, limits: Any) -> None:
        self.link = link
        self.settings = settings
        self.timeout_s = settings.timeout or REQUEST_S
        self._limits = limits
        self._learned: Learned | None = None
        self._said: dict[tuple[int, int, int], Any] = {}

    def again(self) -> Reading:
        """Over the same link, with nothing read yet."""
        fresh = Reading(self.link, self.settings, self._limits)
        fresh._learned = self._learned
        return fresh

    async def columns(self, tags: Sequence[Tag]) -> Columns:
        """Raises StationSilent, BadReply, LinkLost; what is refused is in the quality."""
        for _ in range(_PLANS_MAX):
            made = plan(self.settings, tags, self._limits, self._learned)
            try:
                replies = [await self._ask(request) for request in made.requests]
            except Replan as error:
                self._learned = error.learned
                continue
            return made.decode(replies)
        raise BadReply(Text("every way of reading the tags is refused", "所有读取方式都被拒绝"))

    async def _ask(self, request: Request) -> Any:
        read = request.body
        place = read.function, read.offset, read.count
        if place not in self._said:
            self._said[place] = await self._exchange(request)
        return self._said[place]

    async def _exchange(self, request: Request) -> Any:
        try:
            async with asyncio.timeout(max(self.timeout_s, _WIRE_TIMES * request.cost_s)):
                return await self.link.exchange(request)
        except TimeoutError:
            place, limit = request.body.place, f"{self.timeout_s:g} s"
            raise StationSilent(
                Text(f"no answer to {place} within {limit}", f"{limit} 内对 {place} 无应答")
            ) from None
        except Refused as error:
            return _QUALITY.get(error.reason, Quality.BAD_DEVICE)
        except Busy:
            return Quality.BAD_DEVICE

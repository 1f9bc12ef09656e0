"""One read of one device without a running agent: for ``edge-agent read`` and commissioning.

On streams whose replies carry no identity (a serial bus) a read starts without a proof: nothing was asked
on this connection before. What keeps a late reply out is that after a time-out nothing more is asked; and
after a reply that does not fit, the station must prove itself before the next request, or the rest is given
up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_agent.acquisition.refusal import quality_of
from edge_agent.acquisition.sentinels import compiled
from edge_agent.acquisition.stamp import stamped
from edge_agent.acquisition.station import WIRE_TIMES
from edge_agent.driver import Reserved
from edge_agent.errors import BadReply, Busy, LinkLost, Refused, Replan, StationError, StationSilent
from edge_agent.model import Quality, Schema
from edge_agent.settings import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.clock import Clock
    from edge_agent.config.model import Device
    from edge_agent.driver import Columns, Link, Plan, Request
    from edge_agent.model import Batch, Tag

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 2.0
MAX_PLANS = 200
NOT_CONNECTED = Text(f"no connection within {CONNECT_TIMEOUT_S:g} s", f"{CONNECT_TIMEOUT_S:g} s 内未能连接")


async def read_once(device: Device, clock: Clock) -> list[Batch]:
    """Connects, reads every poll group once, closes. One batch per group.

    Raises LinkLost (LinkDenied) when there is no connection, StationSilent when the device does not answer;
    refused and undecodable tags are in the batch with their quality.
    """
    link = device.plugin.open_link(device.settings)
    try:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await link.connect()
                limits = await link.enrol(device.settings)
        except TimeoutError:
            raise LinkLost(NOT_CONNECTED, reason="timeout") from None
        reader = Reader(device, link, limits)
        return [await _read_group(device, reader, group, clock) for group in _groups(device)]
    finally:
        await link.close()


def _groups(device: Device) -> list[str]:
    used = {tag.group for tag in device.tags}
    return [group for group in device.periods_s if group in used]


async def _read_group(device: Device, reader: Reader, group: str, clock: Clock) -> Batch:
    tags = [tag for tag in device.tags if tag.group == group]
    columns = await reader.read(tags)
    strike = compiled(tags)
    schema = Schema.of(device.name, group, "", tags)
    return stamped(schema, columns if strike is None else strike(columns), clock)


class Reader:
    """One connection. ``_trusted`` is None once the station could not prove itself: nothing more is asked."""

    def __init__(self, device: Device, link: Link, limits: Any) -> None:
        self._device = device
        self._link = link
        self.limits = limits
        self._trusted: bool | None = True

    async def read(self, tags: Sequence[Tag]) -> Columns:
        device, learned = self._device, None
        for _ in range(MAX_PLANS):
            plan = device.plugin.plan(device.settings, tags, self.limits, learned)
            try:
                replies = [await self.ask(plan, request) for request in plan.requests]
            except Replan as error:
                learned = error.learned
                continue
            return plan.decode(replies)
        raise BadReply(
            Text(f"{device.name} refuses every way of reading its tags", f"{device.name} 拒绝所有读取方式")
        )

    async def ask(self, plan: Plan, request: Request) -> Any:
        if self._trusted is False:
            self._trusted = await self._prove(plan) or None
        if self._trusted is None:
            return Quality.BAD_COMM
        timeout_s = max(self._device.settings.timeout or REQUEST_TIMEOUT_S, WIRE_TIMES * request.cost_s)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._link.exchange(request)
        except TimeoutError:
            name = self._device.name
            raise StationSilent(
                Text(f"{name} did not answer within {timeout_s:g} s", f"{name} 在 {timeout_s:g} s 内无应答")
            ) from None
        except Refused as error:
            return quality_of(error)
        except Busy:
            return Quality.BAD_DEVICE
        except BadReply:
            self._trusted = False
            return Quality.BAD_COMM

    async def _prove(self, plan: Plan) -> bool:
        plugin, settings = self._device.plugin, self._device.settings
        reserved = Reserved() if plugin.reserve is None else plugin.reserve(settings, self._plans(plan))
        try:
            async with asyncio.timeout(settings.timeout or REQUEST_TIMEOUT_S):
                await self._link.prove(settings, reserved)
        except (TimeoutError, StationError):
            return False
        return True

    def _plans(self, current: Plan) -> list[Plan]:
        """Of all groups: a late reply may belong to any of them."""
        device = self._device
        return [current] + [
            device.plugin.plan(
                device.settings, [t for t in device.tags if t.group == group], self.limits, None
            )
            for group in _groups(device)
        ]

"""One read of one device without a running agent: for ``edge-agent read`` and commissioning."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_agent.errors import BadReply, Busy, LinkLost, Refused, Replan, StationSilent
from edge_agent.model import Batch, Quality, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.clock import Clock
    from edge_agent.config.model import Device
    from edge_agent.driver import Link
    from edge_agent.model import Tag

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 2.0
MAX_PLANS = 200


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
            raise LinkLost(f"no connection within {CONNECT_TIMEOUT_S:g} s", reason="timeout") from None
        return [await _read_group(device, link, limits, group, clock) for group in _groups(device)]
    finally:
        await link.close()


def _groups(device: Device) -> list[str]:
    used = {tag.group for tag in device.tags}
    return [group for group in device.periods_s if group in used]


async def _read_group(device: Device, link: Link, limits: Any, group: str, clock: Clock) -> Batch:
    tags = [tag for tag in device.tags if tag.group == group]
    columns = await _read(device, link, limits, tags)
    time_ns = clock.time_ns()
    offsets = None
    if columns.source_ns is not None:
        offsets = tuple(None if s is None else s - time_ns for s in columns.source_ns)
    schema = Schema.of(device.name, group, "", tags)
    return Batch(schema, time_ns, clock.mono_ns(), columns.values, columns.quality, offsets, clock.state())


async def _read(device: Device, link: Link, limits: Any, tags: Sequence[Tag]) -> Any:
    learned: Any = None
    for _ in range(MAX_PLANS):
        plan = device.plugin.plan(device.settings, tags, limits, learned)
        try:
            replies = [await _ask(device, link, request) for request in plan.requests]
        except Replan as error:
            learned = error.learned
            continue
        return plan.decode(replies)
    raise BadReply(f"{device.name} refuses every way of reading its tags")


async def _ask(device: Device, link: Link, request: Any) -> Any:
    timeout_s = device.settings.timeout or REQUEST_TIMEOUT_S
    try:
        async with asyncio.timeout(timeout_s):
            return await link.exchange(request)
    except TimeoutError:
        raise StationSilent(f"{device.name} did not answer within {timeout_s:g} s") from None
    except Refused as error:
        return Quality.BAD_ADDRESS if error.reason == "illegal_address" else Quality.BAD_DEVICE
    except (BadReply, Busy):
        return Quality.BAD_DEVICE

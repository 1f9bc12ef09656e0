"""The driver beside the simulated line's OPC UA server: secured, subscribed, limited, misbehaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.opcua import PLUGIN
from drivers.opcua.link import OpcuaLink
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.testing.wire import until
from hardware_mocks.opcua import NAMESPACE, OpcUaServer
from hardware_mocks.opcua_security import make_protection
from hardware_mocks.process import Process

from .server import connected, read, settings_for
from .test_subscription import Reports

SAMPLES: dict[str, tuple[ValueType, Any]] = {
    "Boolean": (ValueType.BOOL, True),
    "SByte": (ValueType.INT8, -128),
    "Byte": (ValueType.UINT8, 255),
    "Int16": (ValueType.INT16, -32_768),
    "UInt16": (ValueType.UINT16, 65_535),
    "Int32": (ValueType.INT32, -(2**31)),
    "UInt32": (ValueType.UINT32, 2**32 - 1),
    "Int64": (ValueType.INT64, -(2**63)),
    "UInt64": (ValueType.UINT64, 2**64 - 1),
    "Float": (ValueType.FLOAT32, 0.5),
    "Double": (ValueType.FLOAT64, 0.1),
    "String": (ValueType.STRING, "配方 7"),
    "DateTime": (ValueType.STRING, "2026-03-04T05:06:07.250000Z"),
    "Guid": (ValueType.STRING, "09087e75-8e5e-499b-954f-f2a9603db28a"),
    "ByteString": (ValueType.STRING, "00ff10"),
    "StatusCode": (ValueType.UINT32, 0x800A0000),
    "QualifiedName": (ValueType.STRING, "Oven"),
    "LocalizedText": (ValueType.STRING, "自动"),
}


@asynccontextmanager
async def line(**keys: Any) -> AsyncIterator[OpcUaServer]:
    server = OpcUaServer(Process(), **keys)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def tag(name: str, kind: ValueType = ValueType.FLOAT32) -> Tag:
    return Tag(name, f"nsu={NAMESPACE};s={name}", kind, group="fast")


async def test_every_type_array_and_a_write_over_a_secured_channel(tmp_path: Path) -> None:
    protection = make_protection(NAMESPACE, users={"reader": "密码"}, anonymous=False)
    keys = {"security_policy": "Aes256_Sha256_RsaPss", "pki": tmp_path, "user": "reader", "password": "密码"}
    async with line(protection=protection, max_nodes_per_read=7) as server:
        settings = settings_for(server.port, **keys)
        link = OpcuaLink(settings)
        with pytest.raises(LinkDenied, match="mv '"):
            await link.connect()
        await link.close()
        (refused,) = (tmp_path / "rejected").iterdir()
        refused.rename(tmp_path / "trusted" / refused.name)
        tags = [tag(f"Sample.{name}", kind) for name, (kind, _) in SAMPLES.items()]
        floats = PLUGIN.elements(settings, tag("Sample.Floats"), 3)  # type: ignore[misc]
        tags += [Tag(f"f{n}", place, ValueType.FLOAT32) for n, place in enumerate(floats)]
        async with connected(settings) as (link, limits):
            assert limits.max_nodes == 7
            columns = await read(link, settings, tags, limits)
            assert columns.values == (*(value for _, value in SAMPLES.values()), 20.5, 21.5, 22.5)
            assert set(columns.quality) == {Quality.GOOD}
            await link.write(settings, tag("Sample.Writable"), 1.25)
            assert (await read(link, settings, [tag("Sample.Writable")], limits)).values == (1.25,)
        wrong = OpcuaLink(settings_for(server.port, **{**keys, "password": "wrong"}))
        with pytest.raises(LinkDenied):
            await wrong.connect()
        await wrong.close()


async def test_a_subscribed_line_reports_overflows_and_a_clock_that_stops() -> None:
    async with line(max_items_per_call=3) as server:
        settings = settings_for(server.port, subscribe=["fast"], keep_alive="200ms")
        tags = [
            tag("Line.Heartbeat", ValueType.UINT32),
            tag("Sample.Floats"),
            tag("Sample.Byte", ValueType.UINT8),
        ]
        reports = Reports()
        async with connected(settings) as (link, limits):
            assert limits.max_items == 3
            plan = PLUGIN.plan(settings, tags, limits, None)
            await link.subscribe(settings, tags, plan, 0.1, reports)
            await until(lambda: len(reports.of(0)) >= 3, "the heartbeat is not reported")
            beats = reports.of(0)
            assert beats == list(range(beats[0], beats[0] + len(beats))), "beats are missing"
            assert reports.of(2) == [255]
            server.overflow = True
            await until(lambda: link.facts()["subscriptions"][0]["overflows"] > 0, "no overflow is counted")
        still = [tag("Sample.Byte", ValueType.UINT8)]
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, still, limits, None)
            await link.subscribe(settings, still, plan, 0.1, Reports())
            server.stop_clock()
            with pytest.raises(LinkLost, match="clock has stood still"):
                async with asyncio.timeout(8):
                    while True:
                        await read(link, settings, still, limits)
                        await asyncio.sleep(0.05)


async def test_a_download_renumbers_nothing_unseen() -> None:
    async with line() as server:
        settings = settings_for(server.port, subscribe=["fast"], keep_alive="200ms")
        tags = [tag("Sample.Byte", ValueType.UINT8)]
        async with connected(settings) as (link, limits):
            plan = PLUGIN.plan(settings, tags, limits, None)
            await link.subscribe(settings, tags, plan, 0.05, Reports())
            await server.download("urn:new:program")
            with pytest.raises(LinkLost, match="namespace table"):
                async with asyncio.timeout(5):
                    while True:
                        await link.exchange(plan.requests[0])
                        await asyncio.sleep(0.02)


async def test_browsing_lists_the_line(tmp_path: Path) -> None:
    async with line(max_nodes_per_read=5) as server:
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            tags = await link.browse(settings, "")
            names = {tag.name for tag in tags}
            assert {"line_furnace_zone1_temperature", "sample_floats[2]", "sample_guid"} <= names
            assert not any("matrix" in name for name in names)
            assert set((await read(link, settings, list(tags), limits)).quality) == {Quality.GOOD}

"""Traps of docs/traps.md that no other test of the driver holds."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from pydantic import ValidationError

from drivers.opcua import PLUGIN
from drivers.opcua.settings import OpcuaSettings
from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.testing.wire import HoldingProxy, until
from tests.unit.acquisition.bench_line import Bench

from .server import URI, UaServer, connected, read, settings_for

T = ua.VariantType
ROOT = Path(__file__).parents[3]


def tag(name: str) -> Tag:
    return Tag(name, f"nsu={URI};s={name}", ValueType.INT16, group="fast")


async def test_after_a_black_hole_a_new_link_reads_at_once(server: UaServer) -> None:
    """The old object may hang for ever: it is closed within its bound, and nothing of it is used again."""
    server.add("hole", ua.Variant(1, T.Int16))
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    settings, tags = settings_for(proxy.port), [tag("hole")]
    async with connected(settings) as (link, limits):
        (request,) = PLUGIN.plan(settings, tags, limits, None).requests
        proxy.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await link.exchange(request)
    server.set(f"ns={server.index};s=hole", ua.Variant(2, T.Int16))
    proxy.release()
    async with asyncio.timeout(3):
        async with connected(settings) as (link, limits):
            assert (await read(link, settings, tags, limits)).values == (2,)
    await proxy.stop()


async def test_a_crash_leaves_its_session_on_the_server_for_a_minute_only(server: UaServer) -> None:
    """The library asks for an hour, and a small controller has ten sessions."""
    async with connected(settings_for(server.port)) as (link, _):
        assert link._session is not None
        assert link._session._client.session_timeout == 60_000  # what was asked, and what the server gave
    async with connected(settings_for(server.port, session_timeout="20s")) as (link, _):
        assert link._session is not None
        assert link._session._client.session_timeout == 20_000


async def test_a_subscription_asks_for_no_deadband_and_for_a_queue(server: UaServer) -> None:
    server.add("items", ua.Variant(1, T.Int16))
    settings = settings_for(server.port, subscribe=["fast"], keep_alive="200ms")
    reported: list[Columns | None] = []
    async with connected(settings) as (link, limits):
        plan = PLUGIN.plan(settings, [tag("items")], limits, None)
        await link.subscribe(settings, [tag("items")], plan, 0.05, reported.append)
        await until(lambda: any(reported), "no first value")
        service: Any = server.subscriptions[-1].monitored_item_srv
        items = [item for item in service._monitored_items.values() if item.client_handle >= 2]
        assert [(item.filter.Body, item.queue_size) for item in items] == [(None, 10)]  # no filter at all


@pytest.mark.parametrize("policy", ["Basic128Rsa15", "Basic256", "none", ""])
def test_a_policy_that_is_broken_cannot_be_configured(policy: str) -> None:
    with pytest.raises(ValidationError, match="security_policy"):
        OpcuaSettings.model_validate({"link": "opc.tcp://plc", "security_policy": policy})


async def test_changes_are_a_sign_of_life_as_keep_alives_are() -> None:
    """A server sends no keep-alive while it has changes to report."""
    bench = Bench(ManualClock(), {"a": {"g": (1.0, 2)}}, keys={"subscribe": ("g",)}, reporting=True)
    async with bench.running():
        await bench.clock.advance(0.5)
        link: Any = bench.wire.links[-1]
        for value in range(60):
            link.sinks["g"](Columns((value, None), bytes([Quality.GOOD, Quality.UNCHANGED])))
            await bench.clock.advance(1)
        assert len(bench.wire.links) == 1
        assert bench.board.devices["a"].state == "up"
        await bench.clock.advance(20)
        assert len(bench.wire.links) > 1, "and their end is noticed"


def test_nothing_waits_with_what_can_swallow_a_cancellation() -> None:
    """The library's own waits do, before Python 3.12; its connect and requests are replaced."""
    for folder in ("drivers", "edge_agent"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not re.search(r"\bwait_for\(", path.read_text(encoding="utf-8")), path

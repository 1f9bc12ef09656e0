"""Subscriptions against a real server: changes, silence, losses, refusals, and what is left afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncua import ua

from drivers.opcua import PLUGIN
from drivers.opcua.link import OpcuaLink
from edge_agent.driver import Columns, Subscriber
from edge_agent.errors import LinkLost
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.testing.wire import HoldingProxy, until

from .server import URI, UaServer, connected, read, settings_for

T = ua.VariantType


class Reports:
    """A sink. ``columns``: every change report; ``keep_alives``: how often nothing had changed."""

    def __init__(self) -> None:
        self.columns: list[Columns] = []
        self.keep_alives = 0

    def __call__(self, columns: Columns | None) -> None:
        if columns is None:
            self.keep_alives += 1
        else:
            self.columns.append(columns)

    def of(self, position: int) -> list[Any]:
        """The values reported for one tag, in order."""
        return [c.values[position] for c in self.columns if c.quality[position] < 0xC0]


def tag(name: str, kind: ValueType = ValueType.INT16) -> Tag:
    return Tag(name, f"nsu={URI};s={name}", kind, group="fast")


def put(server: UaServer, name: str, value: int, status: int = 0) -> None:
    server.set(f"ns={server.index};s={name}", ua.Variant(value, T.Int16), status)


@asynccontextmanager
async def subscribed(
    server: UaServer, *tags: Tag, period_s: float = 0.05, now: Any = None, port: int = 0, **keys: Any
) -> AsyncIterator[tuple[OpcuaLink, Reports, float]]:
    settings = settings_for(port or server.port, subscribe=["fast"], **{"keep_alive": "200ms", **keys})
    assert PLUGIN.subscribed(settings) == {"fast"}
    link = OpcuaLink(settings, now) if now else OpcuaLink(settings)
    assert isinstance(link, Subscriber)
    reports = Reports()
    try:
        async with asyncio.timeout(10):
            await link.connect()
            limits = await link.enrol(settings)
            plan = PLUGIN.plan(settings, tags, limits, None)
            liveness_s = await link.subscribe(settings, tags, plan, period_s, reports)
        yield link, reports, liveness_s
    finally:
        async with asyncio.timeout(5):
            await link.close()


def facts(link: OpcuaLink) -> dict[str, Any]:
    (only,) = link.facts()["subscriptions"]
    return dict(only)


async def test_first_values_then_changes_only(server: UaServer) -> None:
    for name in ("sub-a", "sub-b"):
        server.add(name, ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-a"), tag("sub-b")) as (_, reports, _):
        await until(lambda: reports.of(0) == [1] and reports.of(1) == [1], "no first values")
        put(server, "sub-b", 2)
        await until(lambda: reports.of(1) == [1, 2], "no change report")
    last = reports.columns[-1]
    assert list(last.quality) == [Quality.UNCHANGED, Quality.GOOD]
    assert last.values == (None, 2)
    assert reports.of(0) == [1]


async def test_every_change_between_two_reports_arrives_in_order(server: UaServer) -> None:
    server.add("sub-burst", ua.Variant(0, T.Int16))
    async with subscribed(server, tag("sub-burst"), period_s=0.3) as (_, reports, _):
        await until(lambda: reports.of(0) == [0], "no first value")
        for value in range(1, 8):
            put(server, "sub-burst", value)
        await until(lambda: reports.of(0)[-1] == 7, "the last change never came")
    assert reports.of(0) == list(range(8))


async def test_no_change_is_said_and_the_deadline_fits_what_the_server_gave(server: UaServer) -> None:
    server.add("sub-still", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-still")) as (link, reports, liveness_s):
        await until(lambda: reports.keep_alives >= 3, "silence")
        given = facts(link)["given"]
        assert liveness_s == pytest.approx(2 * given["keep_alive_s"] + given["publishing_s"] + 1.0)
        await until(lambda: facts(link)["keep_alives"] >= 2, "keep-alives are not counted")
    assert reports.of(0) == [1]


async def test_reads_go_on_beside_a_subscription(server: UaServer) -> None:
    server.add("sub-read", ua.Variant(5, T.Int16))
    async with subscribed(server, tag("sub-read")) as (link, reports, _):
        settings = settings_for(server.port)
        limits = await link.enrol(settings)
        for _ in range(5):
            assert (await read(link, settings, [tag("sub-read")], limits)).values == (5,)
        await until(lambda: reports.of(0) == [5], "no first value")


async def test_an_unknown_node_costs_the_others_nothing_and_is_asked_for_again(server: UaServer) -> None:
    server.add("sub-known", ua.Variant(1, T.Int16))
    clock = [1000.0]
    tags = (tag("sub-later"), tag("sub-known"), Tag("x", "nsu=urn:nowhere;i=1", ValueType.INT16, "fast"))
    async with subscribed(server, *tags, now=lambda: clock[0]) as (link, reports, _):
        await until(lambda: reports.of(1) == [1], "the healthy node is not reported")
        assert list(reports.columns[-1].quality) == [
            Quality.NOT_REPORTED,
            Quality.GOOD,
            Quality.NOT_REPORTED,
        ]
        assert facts(link)["refused"] == {f"ns={server.index};s=sub-later": "BadNodeIdUnknown"}
        server.add("sub-later", ua.Variant(7, T.Int16))
        asked = len(server.monitored)
        for _ in range(3):
            put(server, "sub-known", len(reports.columns) + 10)
            seen = len(reports.columns)
            await until(lambda seen=seen: len(reports.columns) > seen, "no report")  # type: ignore[misc]
        assert len(server.monitored) == asked, "asked again before a minute was over"
        clock[0] += 61.0
        put(server, "sub-known", 99)  # wakes the loop, which goes by its clock
        await until(lambda: reports.of(0) == [7], "the node that appeared is not reported")
        assert facts(link)["refused"] == {}
        assert server.monitored[asked:] == [1]


async def test_what_the_server_revised_can_be_seen(server: UaServer) -> None:
    server.add("sub-revised", ua.Variant(1, T.Int16))

    def slower(result: Any) -> None:
        result.RevisedPublishingInterval = 100.0
        result.RevisedMaxKeepAliveCount = 7
        result.RevisedLifetimeCount = 70

    server.revise = slower
    limit = server._server.iserver.max_monitored_item_queue_size
    server._server.iserver.max_monitored_item_queue_size = 4
    try:
        async with subscribed(server, tag("sub-revised"), queue_size=25) as (link, _, liveness_s):
            found = facts(link)
    finally:
        server._server.iserver.max_monitored_item_queue_size = limit
    assert found["asked"]["publishing_s"] == 0.05
    assert found["asked"]["queue_size"] == 25
    assert found["given"]["publishing_s"] == 0.1
    assert found["given"]["keep_alive_s"] == pytest.approx(0.7)
    assert found["given"]["queue_size"] == 4
    assert set(found["revised"]) >= {"publishing_s", "keep_alive_s", "lifetime_s", "queue_size"}
    assert liveness_s == pytest.approx(2 * 0.7 + 0.1 + 1.0)


async def test_items_are_created_in_calls_of_the_servers_size(server: UaServer) -> None:
    for number in range(8):
        server.add(f"sub-many{number}", ua.Variant(number, T.Int16))
    tags = [tag(f"sub-many{number}") for number in range(8)]
    server.set("i=11714", ua.Variant(4, T.UInt32))
    try:
        async with subscribed(server, *tags) as (_, reports, _):
            assert server.monitored == [4, 4, 2]  # with the server's clock and namespaces
            await until(lambda: all(reports.of(n) == [n] for n in range(8)), "values are missing")
    finally:
        server.set("i=11714", ua.Variant(0, T.UInt32))


async def test_too_many_items_per_call_are_halved(server: UaServer) -> None:
    for number in range(8):
        server.add(f"sub-halved{number}", ua.Variant(number, T.Int16))
    server.refuse_above = 3
    async with subscribed(server, *(tag(f"sub-halved{n}") for n in range(8))) as (_, reports, _):
        assert server.monitored == [10, 5, 2, 2, 2, 2, 2]
        await until(lambda: all(reports.of(n) == [n] for n in range(8)), "values are missing")


async def test_samples_lost_in_the_servers_queue_are_counted(server: UaServer) -> None:
    server.add("sub-overflow", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-overflow")) as (link, reports, _):
        await until(lambda: reports.of(0) == [1], "no first value")
        put(server, "sub-overflow", 2, status=0x0480)
        put(server, "sub-overflow", 3, status=0x0400)
        await until(lambda: reports.of(0)[-1] == 3, "no change")
        assert facts(link)["overflows"] == 1
    assert list(reports.columns[-1].quality) == [Quality.GOOD]


async def test_a_bad_value_is_reported_as_such(server: UaServer) -> None:
    server.add("sub-bad", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-bad")) as (_, reports, _):
        await until(lambda: reports.of(0) == [1], "no first value")
        put(server, "sub-bad", 1, ua.StatusCodes.BadSensorFailure)
        await until(lambda: reports.columns[-1].quality[0] == Quality.BAD_DEVICE, "no bad value")


async def test_reports_are_acknowledged(server: UaServer) -> None:
    server.add("sub-ack", ua.Variant(0, T.Int16))
    async with subscribed(server, tag("sub-ack")) as (_, reports, _):
        for value in range(1, 6):
            put(server, "sub-ack", value)
            await until(lambda value=value: reports.of(0)[-1:] == [value], "no change")  # type: ignore[misc]
        await until(lambda: len(server.acknowledged) >= 5, "reports are not acknowledged")
        await until(lambda: server.run(_kept(server)) <= 1, "the server keeps what was acknowledged")
    assert server.acknowledged == sorted(set(server.acknowledged))


def _kept(server: UaServer) -> Any:
    return lambda: len(server.subscriptions[-1]._not_acknowledged_results)


def lose_next(server: UaServer, keep: bool) -> None:
    """The next report of the subscription goes astray; ``keep``: the server still has it."""
    subscription = server.subscriptions[-1]
    plain = subscription._pop_publish_result

    def pop() -> Any:
        lost = plain()
        if not lost.NotificationMessage.NotificationData:
            return lost
        if not keep:
            subscription._not_acknowledged_results.pop(lost.NotificationMessage.SequenceNumber)
        subscription._pop_publish_result = plain
        return plain()  # a keep-alive whose number shows the gap

    subscription._pop_publish_result = pop


async def test_a_report_that_went_astray_is_asked_for_again(server: UaServer) -> None:
    server.add("sub-gap", ua.Variant(0, T.Int16))
    async with subscribed(server, tag("sub-gap")) as (link, reports, _):
        await until(lambda: reports.of(0) == [0], "no first value")
        server.run(lambda: lose_next(server, keep=True))
        put(server, "sub-gap", 1)
        await until(lambda: facts(link)["republished"] == 1, "it was not asked for again")
        put(server, "sub-gap", 2)
        await until(lambda: reports.of(0) == [0, 1, 2], f"changes are missing: {reports.of(0)}")


async def test_a_report_that_cannot_be_had_again_loses_the_link(server: UaServer) -> None:
    server.add("sub-lost", ua.Variant(0, T.Int16))
    async with subscribed(server, tag("sub-lost")) as (link, reports, _):
        await until(lambda: reports.of(0) == [0], "no first value")
        server.run(lambda: lose_next(server, keep=False))
        put(server, "sub-lost", 1)
        await _assert_lost(link, server, "changes were lost")


async def _assert_lost(link: OpcuaLink, server: UaServer, match: str) -> None:
    settings = settings_for(server.port)
    (request,) = PLUGIN.plan(settings, [Tag("t", "i=2258", ValueType.STRING)], link._limits, None).requests

    async def asked() -> str:
        try:
            await link.exchange(request)
        except LinkLost as error:
            return str(error)
        return ""

    words = ""
    async with asyncio.timeout(8):
        while not words:
            words = await asked()
            await asyncio.sleep(0.02)
    assert match in words


async def test_a_server_whose_clock_stands_still_is_dead(server: UaServer) -> None:
    server.add("sub-frozen", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-frozen"), keep_alive="100ms") as (link, reports, _):
        await until(lambda: reports.keep_alives >= 2, "no keep-alives")
        assert facts(link)["watches_clock"]
        server.clock(running=False)
        try:
            await _assert_lost(link, server, "clock has stood still")
        finally:
            server.clock(running=True)


async def test_a_deleted_subscription_loses_the_link(server: UaServer) -> None:
    server.add("sub-gone", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-gone")) as (link, reports, _):
        await until(lambda: reports.of(0) == [1], "no first value")
        ids = [s.data.SubscriptionId for s in server.subscriptions]
        server.call(server._server.iserver.subscription_service.delete_subscriptions(ids))
        await _assert_lost(link, server, "")


async def test_a_change_of_the_namespace_table_loses_the_link(server: UaServer) -> None:
    server.add("sub-ns", ua.Variant(1, T.Int16))
    async with subscribed(server, tag("sub-ns")) as (link, reports, _):
        await until(lambda: reports.of(0) == [1], "no first value")
        server.namespace("urn:appeared:while:subscribed")
        await _assert_lost(link, server, "namespace table")


async def test_a_server_that_falls_silent_is_not_vouched_for(server: UaServer) -> None:
    server.add("sub-silent", ua.Variant(1, T.Int16))
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    async with subscribed(server, tag("sub-silent"), port=proxy.port) as (link, reports, liveness_s):
        await until(lambda: reports.keep_alives >= 1, "no keep-alive")
        proxy.hold()
        await asyncio.sleep(0.1)
        quiet = (len(reports.columns), reports.keep_alives)
        await _assert_lost(link, server, "clock has stood still")
        assert (len(reports.columns), reports.keep_alives) == quiet
        assert liveness_s < 5
    await proxy.stop()


async def test_two_groups_have_two_subscriptions_and_one_subscribed_again_is_replaced(
    server: UaServer,
) -> None:
    for name in ("sub-one", "sub-two"):
        server.add(name, ua.Variant(1, T.Int16))
    others = len(server.subscriptions)
    async with subscribed(server, tag("sub-one")) as (link, first, _):
        settings = settings_for(server.port, subscribe=["fast"], keep_alive="200ms")
        second, third = Reports(), Reports()
        for name, sink in (("sub-two", second), ("sub-one", third)):
            tags = [tag(name)]
            plan = PLUGIN.plan(settings, tags, link._limits, None)
            await link.subscribe(settings, tags, plan, 0.05, sink)
        await until(lambda: second.of(0) == [1] and third.of(0) == [1], "no first values")
        assert len(link.facts()["subscriptions"]) == 2
        await until(
            lambda: len(server.subscriptions) == others + 2, "the replaced one is still on the server"
        )
        before = len(first.columns)
        put(server, "sub-one", 2)
        put(server, "sub-two", 3)
        await until(lambda: third.of(0) == [1, 2] and second.of(0) == [1, 3], "no changes")
        assert len(first.columns) == before


async def test_elements_of_one_array_are_one_item(server: UaServer) -> None:
    server.add("sub-array", ua.Variant([1, 2, 3], T.Int16))
    tags = [
        Tag(f"e{n}", f"element={n};nsu={URI};s=sub-array", ValueType.INT16, group="fast") for n in range(3)
    ]
    async with subscribed(server, *tags) as (_, reports, _):
        await until(lambda: bool(reports.columns), "no first value")
        server.set(f"ns={server.index};s=sub-array", ua.Variant([1, 9], T.Int16))
        await until(lambda: len(reports.columns) == 2, "no change")
    assert server.monitored == [3]
    assert reports.columns[0].values == (1, 2, 3)
    assert list(reports.columns[1].quality) == [Quality.GOOD, Quality.GOOD, Quality.BAD_ADDRESS]


async def test_nothing_is_left_after_close(server: UaServer) -> None:
    server.add("sub-close", ua.Variant(1, T.Int16))
    before, others = asyncio.all_tasks(), len(server.subscriptions)
    async with subscribed(server, tag("sub-close")) as (_, reports, _):
        assert len(asyncio.all_tasks() - before) == 1, "one loop, owned by the link"
        await until(lambda: reports.of(0) == [1], "no first value")
    assert asyncio.all_tasks() == before
    await until(lambda: len(server.subscriptions) == others, "the server still has the subscription")
    count = len(reports.columns)
    put(server, "sub-close", 2)
    await asyncio.sleep(0.1)
    assert len(reports.columns) == count


@pytest.mark.parametrize("after_s", [0.0, 0.02])
async def test_a_subscribing_that_is_cancelled_leaves_the_link_usable(
    server: UaServer, after_s: float
) -> None:
    server.add(f"sub-cancel{after_s}", ua.Variant(1, T.Int16))
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    settings = settings_for(proxy.port, subscribe=["fast"], keep_alive="200ms")
    tags = [tag(f"sub-cancel{after_s}")]
    others = len(server.subscriptions)
    async with connected(settings) as (link, limits):
        plan = PLUGIN.plan(settings, tags, limits, None)
        proxy.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after_s):
                await link.subscribe(settings, tags, plan, 0.05, Reports())
        proxy.release()
        reports = Reports()
        await link.subscribe(settings, tags, plan, 0.05, reports)
        await until(lambda: reports.of(0) == [1], "no first value")
        assert (await read(link, settings, tags, limits)).values == (1,)
    await until(lambda: len(server.subscriptions) == others, "the server still has a subscription")
    await proxy.stop()


async def test_a_sink_that_fails_is_said_by_the_link(server: UaServer) -> None:
    server.add("sub-sink", ua.Variant(1, T.Int16))
    settings = settings_for(server.port, subscribe=["fast"], keep_alive="200ms")

    def broken(columns: Columns | None) -> None:
        raise ZeroDivisionError("a bug in the sink")

    async with connected(settings) as (link, limits):
        tags = [tag("sub-sink")]
        await link.subscribe(settings, tags, PLUGIN.plan(settings, tags, limits, None), 0.05, broken)
        await _assert_lost(link, server, "")

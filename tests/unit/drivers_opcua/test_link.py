"""The link against a real server, and against servers that do not answer or answer nonsense."""

from __future__ import annotations

import asyncio
import struct
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.internal_session import InternalSession

from drivers.opcua import PLUGIN
from drivers.opcua.link import OpcuaLink
from drivers.opcua.plan import Limits
from drivers.opcua.transport import Protocol as _Protocol
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, Busy, DriverError, LinkDenied, LinkLost, Refused
from edge_agent.model import Quality, Tag, Value, ValueType
from edge_agent.testing.wire import HoldingProxy, until

from .server import URI, SilentServer, UaServer, connected, read, serving, settings_for

T = ua.VariantType


def tag(name: str, kind: ValueType) -> Tag:
    return Tag(name, f"nsu={URI};s={name}", kind)


async def poll(server: UaServer, *tags: Tag) -> tuple[tuple[Value, ...], list[int]]:
    settings = settings_for(server.port)
    async with connected(settings) as (link, limits):
        columns = await read(link, settings, tags, limits)
    return columns.values, list(columns.quality)


SCALARS: list[tuple[ValueType, Any, Value]] = [
    (ValueType.BOOL, ua.Variant(True, T.Boolean), True),
    (ValueType.INT8, ua.Variant(-128, T.SByte), -128),
    (ValueType.UINT8, ua.Variant(255, T.Byte), 255),
    (ValueType.INT16, ua.Variant(-32768, T.Int16), -32768),
    (ValueType.UINT16, ua.Variant(65535, T.UInt16), 65535),
    (ValueType.INT32, ua.Variant(-(2**31), T.Int32), -(2**31)),
    (ValueType.UINT32, ua.Variant(2**32 - 1, T.UInt32), 2**32 - 1),
    (ValueType.INT64, ua.Variant(-(2**63), T.Int64), -(2**63)),
    (ValueType.UINT64, ua.Variant(2**64 - 1, T.UInt64), 2**64 - 1),
    (ValueType.FLOAT32, ua.Variant(0.5, T.Float), 0.5),
    (ValueType.FLOAT64, ua.Variant(0.1, T.Double), 0.1),
    (ValueType.STRING, ua.Variant("配方 7", T.String), "配方 7"),
    (ValueType.STRING, ua.Variant(None, T.String), ""),
    (
        ValueType.STRING,
        ua.Variant(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), T.DateTime),
        "2026-01-02T03:04:05.678901Z",
    ),
    (ValueType.STRING, ua.Variant(datetime(2026, 1, 2, tzinfo=UTC), T.DateTime), "2026-01-02T00:00:00Z"),
    (ValueType.STRING, ua.Variant(uuid.UUID(int=7), T.Guid), "00000000-0000-0000-0000-000000000007"),
    (ValueType.STRING, ua.Variant(b"\x01\xab", T.ByteString), "01ab"),
    (ValueType.STRING, ua.Variant(None, T.ByteString), ""),
    (ValueType.STRING, ua.Variant(ua.LocalizedText("运行", "zh"), T.LocalizedText), "运行"),
    (ValueType.STRING, ua.Variant(ua.QualifiedName("Mode", 2), T.QualifiedName), "2:Mode"),
    (ValueType.STRING, ua.Variant(ua.StatusCode(0x800A0000), T.StatusCode), "BadTimeout"),
    (ValueType.UINT32, ua.Variant(ua.StatusCode(0x800A0000), T.StatusCode), 0x800A0000),
    (ValueType.STRING, ua.Variant(ua.NodeId("Zone", 2), T.NodeId), "ns=2;s=Zone"),
    (ValueType.UINT8, ua.Variant(ua.ServerState.Failed, T.Int32), 1),
    (ValueType.INT16, ua.Variant(7, T.Int64), 7),
    (ValueType.UINT64, ua.Variant(7, T.SByte), 7),
    (ValueType.FLOAT64, ua.Variant(0.25, T.Float), 0.25),
]
MISFITS = [
    (ValueType.INT16, ua.Variant(40000, T.Int32)),
    (ValueType.UINT8, ua.Variant(-1, T.Int16)),
    (ValueType.INT32, ua.Variant(1.0, T.Double)),
    (ValueType.FLOAT32, ua.Variant(0.1, T.Double)),
    (ValueType.FLOAT64, ua.Variant(1, T.Int32)),
    (ValueType.INT32, ua.Variant("1", T.String)),
    (ValueType.INT16, ua.Variant(ua.StatusCode(0x800A0000), T.StatusCode)),
    (ValueType.STRING, ua.Variant(ua.EUInformation(), T.ExtensionObject)),
    (ValueType.STRING, ua.Variant("\udcff\udcfe", T.String)),
    (ValueType.STRING, ua.Variant(1, T.Int32)),
    (ValueType.BOOL, ua.Variant(1, T.Byte)),
    (ValueType.UINT8, ua.Variant(True, T.Boolean)),
    (ValueType.INT32, ua.Variant([1, 2], T.Int32)),
    (ValueType.FLOAT64, ua.Variant(float("nan"), T.Double)),
    (ValueType.FLOAT32, ua.Variant(float("inf"), T.Float)),
    (ValueType.INT64, ua.Variant(datetime(2026, 1, 1, tzinfo=UTC), T.DateTime)),
    (ValueType.INT32, ua.Variant(None, T.Null)),
]


async def test_every_scalar_type_arrives_as_itself(server: UaServer) -> None:
    for number, (_, variant, _) in enumerate(SCALARS):
        server.add(f"scalar{number}", variant)
    tags = [tag(f"scalar{number}", kind) for number, (kind, _, _) in enumerate(SCALARS)]
    values, quality = await poll(server, *tags)
    assert quality == [Quality.GOOD] * len(SCALARS)
    assert values == tuple(value for _, _, value in SCALARS)
    assert [type(value) for value in values] == [type(value) for _, _, value in SCALARS]


async def test_what_does_not_fit_its_type_is_not_converted(server: UaServer) -> None:
    for number, (_, variant) in enumerate(MISFITS):
        server.add(f"misfit{number}", variant)
    tags = [tag(f"misfit{number}", kind) for number, (kind, _) in enumerate(MISFITS)]
    values, quality = await poll(server, *tags)
    assert values == (None,) * len(MISFITS)
    assert quality == [Quality.BAD_DECODE] * len(MISFITS)


STATUS = {
    "BadNodeIdUnknown": Quality.BAD_ADDRESS,
    "BadNodeIdInvalid": Quality.BAD_ADDRESS,
    "BadAttributeIdInvalid": Quality.BAD_ADDRESS,
    "BadNoCommunication": Quality.BAD_COMM,
    "BadNotConnected": Quality.BAD_COMM,
    "BadTimeout": Quality.BAD_COMM,
    "BadCommunicationError": Quality.BAD_COMM,
    "BadUserAccessDenied": Quality.BAD_CONFIG,
    "BadNotReadable": Quality.BAD_CONFIG,
    "BadDeviceFailure": Quality.BAD_DEVICE,
    "BadSensorFailure": Quality.BAD_DEVICE,
    "BadIndexRangeNoData": Quality.BAD_ADDRESS,
    "BadNotFound": Quality.BAD_ADDRESS,
    "BadObjectDeleted": Quality.BAD_ADDRESS,
    "BadServerNotConnected": Quality.BAD_COMM,
    "BadWaitingForInitialData": Quality.BAD_COMM,
    "BadNoData": Quality.BAD_COMM,
    "BadDataUnavailable": Quality.BAD_COMM,
    "BadNoDataAvailable": Quality.BAD_COMM,
    "BadShutdown": Quality.BAD_COMM,
    "BadNotSupported": Quality.BAD_CONFIG,
    "BadConfigurationError": Quality.BAD_CONFIG,
    "BadTypeMismatch": Quality.BAD_CONFIG,
    "BadDecodingError": Quality.BAD_DECODE,
    "BadOutOfRange": Quality.BAD_DECODE,
    "BadOutOfService": Quality.BAD,
    "UncertainLastUsableValue": Quality.UNCERTAIN,
    "UncertainSubstituteValue": Quality.UNCERTAIN,
    "UncertainEngineeringUnitsExceeded": Quality.UNCERTAIN,
    "Good": Quality.GOOD,
    "GoodOverload": Quality.GOOD,
}


async def test_a_status_becomes_a_quality(server: UaServer) -> None:
    for name in STATUS:
        server.add(f"status{name}", ua.Variant(5, T.Int16))
        code = getattr(ua.StatusCodes, name) | 0x0480  # with flags below: a limit bit and an overflow
        server.set(f"ns={server.index};s=status{name}", ua.Variant(5, T.Int16), code)
    values, quality = await poll(server, *(tag(f"status{name}", ValueType.INT16) for name in STATUS))
    assert quality == list(STATUS.values())
    assert values == tuple(None if wanted >= 0x80 else 5 for wanted in STATUS.values())


async def test_source_times_are_utc_nanoseconds(server: UaServer) -> None:
    stamps = {
        "exact": (datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), 23_400),
        "old": (datetime(2000, 1, 1, tzinfo=UTC), 0),
        "nothing": (None, 0),
        "zero": (datetime(1601, 1, 1, tzinfo=UTC), 0),
        "never": (datetime(9999, 12, 31, tzinfo=UTC), 0),
    }
    for name, (stamp, picoseconds) in stamps.items():
        server.add(f"stamp{name}", ua.Variant(1, T.Int16))
        server.set(f"ns={server.index};s=stamp{name}", ua.Variant(1, T.Int16), 0, stamp, picoseconds)
    settings = settings_for(server.port)
    tags = [tag(f"stamp{name}", ValueType.INT16) for name in stamps]
    async with connected(settings) as (link, limits):
        columns = await read(link, settings, tags, limits)
    assert columns.source_ns == (1_767_323_045_678_901_234, 946_684_800_000_000_000, None, None, None)
    assert list(columns.quality) == [Quality.GOOD] * 5


async def test_one_unknown_node_does_not_fail_the_rest(server: UaServer) -> None:
    server.add("known", ua.Variant(1, T.Int16))
    gone, foreign = tag("never added", ValueType.INT16), Tag("f", "nsu=urn:not:here;i=1", ValueType.INT16)
    values, quality = await poll(server, gone, tag("known", ValueType.INT16), foreign)
    assert values == (None, 1, None)
    assert quality == [Quality.BAD_ADDRESS, Quality.GOOD, Quality.BAD_ADDRESS]


async def test_an_unknown_node_is_left_out_for_a_minute_and_then_found(server: UaServer) -> None:
    server.add("resting-known", ua.Variant(1, T.Int16))
    clock = [0.0]
    settings = settings_for(server.port)
    tags = [tag("resting", ValueType.INT16), tag("resting-known", ValueType.INT16)]
    link = OpcuaLink(settings, now=lambda: clock[0])
    await link.connect()
    limits = await link.enrol(settings)
    server.reads.clear()
    for _ in range(3):
        columns = await read(link, settings, tags, limits)
        assert columns.values == (None, 1)
        assert list(columns.quality) == [Quality.BAD_ADDRESS, Quality.GOOD]
    assert server.reads == [2, 1, 1]
    assert link.facts()["unknown_nodes"] == [f"ns={server.index};s=resting"]
    server.add("resting", ua.Variant(7, T.Int16))
    clock[0] = 20.0
    assert (await read(link, settings, tags, limits)).values == (None, 1)
    clock[0] = 61.0
    assert (await read(link, settings, tags, limits)).values == (7, 1)
    assert link.facts()["unknown_nodes"] == []
    server.reads.clear()
    assert (await read(link, settings, tags, limits)).values == (7, 1)
    assert server.reads == [2]
    await link.close()


async def test_a_group_of_unknown_nodes_still_shows_that_the_server_is_there(server: UaServer) -> None:
    settings = settings_for(server.port)
    tags = [tag(f"resting all {n}", ValueType.INT16) for n in range(3)]
    async with connected(settings) as (link, limits):
        server.reads.clear()
        for _ in range(3):
            assert list((await read(link, settings, tags, limits)).quality) == [Quality.BAD_ADDRESS] * 3
        assert server.reads == [3, 1, 1]
        (request,) = PLUGIN.plan(settings, tags, limits, None).requests
        server.fault = ua.StatusCodes.BadSessionIdInvalid
        with pytest.raises(LinkLost):
            await link.exchange(request)


async def test_a_changed_namespace_table_is_noticed_before_a_read_is_believed(server: UaServer) -> None:
    server.add("renumbered", ua.Variant(1, T.Int16))
    clock = [0.0]
    settings, tags = settings_for(server.port), [tag("renumbered", ValueType.INT16)]
    link = OpcuaLink(settings, now=lambda: clock[0])
    await link.connect()
    limits = await link.enrol(settings)
    assert (await read(link, settings, tags, limits)).values == (1,)
    server.namespace("urn:came:with:a:download")
    clock[0] = 31.0
    with pytest.raises(LinkLost, match="namespace table"):
        await read(link, settings, tags, limits)
    await link.close()


async def test_elements_of_an_array_are_one_node(server: UaServer) -> None:
    server.add("vector", ua.Variant([1.5, float("nan"), 2.5], T.Double))
    server.add("matrix", ua.Variant([[1, 2], [3, 4]], T.Int32))
    settings = settings_for(server.port)
    addresses = PLUGIN.elements(settings, tag("vector", ValueType.FLOAT64), 4)  # type: ignore[misc]
    tags = [Tag(f"v{n}", address, ValueType.FLOAT64) for n, address in enumerate(addresses)]
    tags.append(Tag("m", f"element=1,0;nsu={URI};s=matrix", ValueType.INT32))
    tags.append(Tag("row", f"element=1;nsu={URI};s=matrix", ValueType.INT32))
    tags.append(Tag("scalar", "element=0;i=2258", ValueType.STRING))
    async with connected(settings) as (link, limits):
        server.reads.clear()
        columns = await read(link, settings, tags, limits)
    assert server.reads == [3]
    assert columns.values == (1.5, None, 2.5, None, 3, None, None)
    assert [Quality(q).name for q in columns.quality] == [
        "GOOD",
        "BAD_DECODE",
        "GOOD",
        "BAD_ADDRESS",
        "GOOD",
        "BAD_DECODE",
        "BAD_DECODE",
    ]


async def test_an_opc_ua_type_name_is_exact(server: UaServer) -> None:
    server.add("exact", ua.Variant(5, T.Byte))
    tags = [
        Tag(wire or "loose", f"nsu={URI};s=exact", PLUGIN.types.get(wire, ValueType.UINT8), wire=wire)
        for wire in ("byte", "sbyte", "float", "")
    ]
    values, quality = await poll(server, *tags)
    assert values == (5, None, None, 5)
    assert quality == [Quality.GOOD, Quality.BAD_DECODE, Quality.BAD_DECODE, Quality.GOOD]


async def test_text_that_is_not_utf8_is_bad_unless_its_encoding_is_named(server: UaServer) -> None:
    wire = "配方".encode("gbk").decode("utf-8", "surrogateescape")
    server.add("gbk", ua.Variant(wire, T.String))
    place = f"nsu={URI};s=gbk"
    tags = [
        Tag("plain", place, ValueType.STRING),
        Tag("named", place, ValueType.STRING, encoding="gbk"),
        Tag("wrong", place, ValueType.STRING, encoding="no-such"),
    ]
    values, quality = await poll(server, *tags)
    assert values == (None, "配方", None)
    assert quality == [Quality.BAD_DECODE, Quality.GOOD, Quality.BAD_DECODE]


async def test_a_namespace_that_appears_asks_for_a_new_link(server: UaServer) -> None:
    settings = settings_for(server.port)
    tags = [Tag("t", "nsu=urn:downloaded:later;i=1", ValueType.INT16)]
    async with connected(settings) as (link, limits):
        assert list((await read(link, settings, tags, limits)).quality) == [Quality.BAD_ADDRESS]
        server.namespace("urn:downloaded:later")
        with pytest.raises(LinkLost, match="namespace"):
            await read(link, settings, tags, limits)
    async with connected(settings) as (_, limits):
        assert "urn:downloaded:later" in limits.namespaces


async def test_the_servers_limit_of_nodes_per_read_is_kept(server: UaServer) -> None:
    for number in range(10):
        server.add(f"limited{number}", ua.Variant(number, T.Int16))
    tags = [tag(f"limited{number}", ValueType.INT16) for number in range(10)]
    server.limit(4)
    settings = settings_for(server.port)
    async with connected(settings) as (link, limits):
        assert limits.max_nodes == 4
        server.reads.clear()
        assert (await read(link, settings, tags, limits)).values == tuple(range(10))
        assert server.reads == [4, 4, 2]
        server.reads.clear()
        capped = settings_for(server.port, max_nodes_per_read=3)
        assert (await read(link, capped, tags, limits)).values == tuple(range(10))
        assert server.reads == [3, 3, 3, 1]


async def test_too_many_operations_halves_until_it_works(server: UaServer) -> None:
    for number in range(20):
        server.add(f"many{number}", ua.Variant(number, T.Int16))
    tags = [tag(f"many{number}", ValueType.INT16) for number in range(20)]
    settings = settings_for(server.port)
    async with connected(settings) as (link, limits):
        server.reads.clear()
        server.refuse_above = 6
        assert (await read(link, settings, tags, limits)).values == tuple(range(20))
        assert server.reads == [20, 10, 5, 5, 5, 5]
        server.refuse_above = 0
        server.fault = ua.StatusCodes.BadTooManyOperations
        with pytest.raises(Refused):
            await read(link, settings, tags[:1], limits)


def one(limits: Limits, server: UaServer) -> Request:
    (request,) = PLUGIN.plan(settings_for(1), [tag("known", ValueType.INT16)], limits, None).requests
    return request


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("BadSessionIdInvalid", LinkLost),
        ("BadSessionClosed", LinkLost),
        ("BadSecureChannelClosed", LinkLost),
        ("BadServerHalted", LinkLost),
        ("BadUserAccessDenied", Refused),
        ("BadInternalError", BadReply),
        ("BadResourceUnavailable", Busy),
        ("BadResponseTooLarge", Refused),
    ],
)
async def test_a_failed_call_has_its_meaning(
    server: UaServer, status: str, expected: type[DriverError]
) -> None:
    async with connected(settings_for(server.port)) as (link, limits):
        server.fault = getattr(ua.StatusCodes, status)
        with pytest.raises(expected) as caught:
            await link.exchange(one(limits, server))
        assert type(caught.value) is expected


@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: [*r, r[0]], lambda r: []])
async def test_more_or_fewer_results_than_asked_are_refused(server: UaServer, change: Any) -> None:
    async with connected(settings_for(server.port)) as (link, limits):
        server.spoil = change
        with pytest.raises(BadReply) as caught:
            await link.exchange(one(limits, server))
        assert caught.value.reason == "mismatch"


async def test_a_reply_of_another_kind_or_handle_is_refused(
    server: UaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _Protocol.send_request
    async with connected(settings_for(server.port)) as (link, limits):

        async def other_handle(self: _Protocol, request: Any, *rest: Any) -> Any:
            data = await plain(self, request, *rest)
            request.RequestHeader.RequestHandle += 1
            return data

        monkeypatch.setattr(_Protocol, "send_request", other_handle)
        with pytest.raises(BadReply, match="another request"):
            await link.exchange(one(limits, server))

        async def other_message(self: _Protocol, request: Any, *rest: Any) -> Any:
            return await plain(self, ua.GetEndpointsRequest(), *rest)

        monkeypatch.setattr(_Protocol, "send_request", other_message)
        with pytest.raises(BadReply):
            await link.exchange(one(limits, server))
        monkeypatch.undo()
        await link.prove(settings_for(1), Reserved())
        assert await link.exchange(one(limits, server))


async def test_a_cancelled_exchange_leaves_the_link_usable(server: UaServer) -> None:
    server.add("slow", ua.Variant(1, T.Int16))
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    settings, tags = settings_for(proxy.port), [tag("slow", ValueType.INT16)]
    async with connected(settings) as (link, limits):
        (request,) = PLUGIN.plan(settings, tags, limits, None).requests
        proxy.hold()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await link.exchange(request)
        await until(lambda: proxy.held >= 3, "the replies never came")
        server.set(f"ns={server.index};s=slow", ua.Variant(2, T.Int16))
        proxy.release()
        assert (await read(link, settings, tags, limits)).values == (2,)
    await proxy.stop()


async def test_a_stopped_server_is_a_lost_link() -> None:
    with serving() as server:
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            await asyncio.to_thread(server.stop)
            with pytest.raises(LinkLost):
                async with asyncio.timeout(3):
                    await link.exchange(one(limits, server))
            with pytest.raises(LinkLost):
                await OpcuaLink(settings).connect()


async def test_close_is_bounded_when_the_server_falls_silent(server: UaServer) -> None:
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    link = OpcuaLink(settings_for(proxy.port))
    await link.connect()
    proxy.hold()
    begun = time.monotonic()
    await link.close()
    await link.close()
    assert time.monotonic() - begun < 2.0
    await proxy.stop()


async def test_close_says_farewell_so_that_the_server_keeps_no_session(server: UaServer) -> None:
    before = server.call(_sessions())
    async with connected(settings_for(server.port)):
        assert server.call(_sessions()) == before + 1
    assert server.call(_sessions()) == before


async def _sessions() -> int:
    return InternalSession._current_connections


@pytest.mark.parametrize("after_s", [0.02, 0.1])
async def test_a_connect_that_nobody_answers_can_be_cancelled_and_closed(after_s: float) -> None:
    silent = SilentServer()
    await silent.start()
    link = OpcuaLink(settings_for(silent.port))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(after_s):
            await link.connect()
    begun = time.monotonic()
    await link.close()
    assert time.monotonic() - begun < 0.5
    await silent.stop()


NONSENSE = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a chunk of 4 GB": b"ACKF\xff\xff\xff\xff" + bytes(64),
    "a chunk of 1 MB": b"MSGF" + struct.pack("<I", 2**20) + bytes(64),
    "a chunk without a header": b"ACKF\x04\x00\x00\x00",
    "an error": b"ERRF" + struct.pack("<III", 16, 0x80830000, 0xFFFFFFFF),
    "an acknowledge cut short": b"ACKF" + struct.pack("<II", 12, 0),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_instead_of_an_acknowledge_is_a_lost_link(answer: bytes) -> None:
    silent = SilentServer(answer)
    await silent.start()
    link = OpcuaLink(settings_for(silent.port))
    with pytest.raises(LinkLost) as caught:
        async with asyncio.timeout(3):
            await link.connect()
    assert not isinstance(caught.value, LinkDenied)
    await link.close()
    await silent.stop()


async def test_a_server_cannot_lift_our_caps(server: UaServer) -> None:
    async with connected(settings_for(server.port)) as (link, _):
        assert link._session is not None
        protocol = link._session._transport.protocol
        assert isinstance(protocol, _Protocol)
        caps = protocol._connection._limits
        caps.update_client_limits(ua.Acknowledge(0, 8192, 2**31, 0, 0))
        assert (caps.max_recv_buffer, caps.max_chunk_count, caps.max_message_size) == (65535, 64, 4194304)
        assert caps.max_send_buffer == 8192


async def test_the_channel_is_renewed_by_a_read(server: UaServer) -> None:
    server.add("renewed", ua.Variant(3, T.Int16))
    settings, tags = settings_for(server.port), [tag("renewed", ValueType.INT16)]
    async with connected(settings) as (link, limits):
        session = link._session
        assert session is not None
        before = session._transport.protocol._connection.security_token.TokenId  # type: ignore[union-attr]
        session._renew_at_s = 0.0
        for _ in range(3):
            assert (await read(link, settings, tags, limits)).values == (3,)
        assert session._transport.protocol._connection.security_token.TokenId == before + 1  # type: ignore[union-attr]
        assert session._renew_at_s > asyncio.get_running_loop().time()


async def test_a_renewal_that_was_cancelled_loses_the_link(server: UaServer) -> None:
    proxy = HoldingProxy("127.0.0.1", server.port)
    await proxy.start()
    async with connected(settings_for(proxy.port)) as (link, limits):
        assert link._session is not None
        link._session._renew_at_s = 0.0
        proxy.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await link.exchange(one(limits, server))
        with pytest.raises(LinkLost, match="renewal"):
            await link.exchange(one(limits, server))
        proxy.release()
    await proxy.stop()


async def test_a_request_before_connect_or_planned_without_limits_is_said_so(server: UaServer) -> None:
    link = OpcuaLink(settings_for(server.port))
    unresolved = PLUGIN.plan(settings_for(1), [tag("a", ValueType.INT16)], None, None).requests[0]
    with pytest.raises(LinkLost):
        await link.exchange(unresolved)
    async with connected(settings_for(server.port)) as (link, _):
        with pytest.raises(Refused, match="planned before"):
            await link.exchange(unresolved)


async def test_no_task_of_the_library_is_running(server: UaServer) -> None:
    before = asyncio.all_tasks()
    async with connected(settings_for(server.port)):
        assert asyncio.all_tasks() == before


async def test_every_kind_of_identifier_is_found(server: UaServer) -> None:
    guid = "09087e75-8e5e-499b-954f-f2a9603db28a"
    ids = {f"g={guid}": 1, "b=AQI=": 2, "i=4242": 3}
    for text, value in ids.items():
        node_id = ua.NodeId.from_string(f"ns={server.index};{text}") if text[0] != "b" else None
        node_id = node_id or ua.NodeId(b"\x01\x02", server.index, ua.NodeIdType.ByteString)
        server.call(server._server.nodes.objects.add_variable(node_id, text, ua.Variant(value, T.Int16)))
    tags = [Tag(text, f"nsu={URI};{text}", ValueType.INT16) for text in ids]
    by_index = Tag("index", f"ns={server.index};i=4242", ValueType.INT16)
    assert (await poll(server, *tags, by_index))[0] == (1, 2, 3, 3)

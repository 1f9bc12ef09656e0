"""Writes: exactly the node's type, no time stamps, and what the server says of it."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from drivers.opcua.check import unwritable
from drivers.opcua.link import OpcuaLink
from edge_agent.driver import Writer
from edge_agent.errors import Refused, StationError, StationSilent
from edge_agent.model import Tag, Value, ValueType

from .server import URI, UaServer, connected, settings_for

T = ua.VariantType


def tag(name: str, kind: ValueType = ValueType.FLOAT64) -> Tag:
    return Tag(name, f"nsu={URI};s={name}", kind)


def test_an_element_and_a_status_are_known_offline() -> None:
    settings = settings_for(1)
    element = Tag("e", f"element=2,0;nsu={URI};s=a", ValueType.FLOAT64)
    found = unwritable(settings, element)
    assert found is not None and "element 2,0" in found.en and "数组" in found.zh
    found = unwritable(settings, Tag("s", f"nsu={URI};s=a", ValueType.UINT32, wire="statuscode"))
    assert found is not None and "statuscode" in found.zh
    assert unwritable(settings, tag("a")) is None
    assert unwritable(settings, Tag("x", "no node id", ValueType.FLOAT64)) is None, "the check tells"


def writable(server: UaServer, name: str, variant: Any) -> None:
    server.add(name, variant)
    node = server._server.get_node(ua.NodeId(name, server.index))
    server.call(node.set_writable())


def held(server: UaServer, name: str) -> Any:
    return server.run(lambda: server._server.read_attribute_value(ua.NodeId(name, server.index))).Value


async def write(server: UaServer, target: Tag, raw: Value) -> None:
    async with connected(settings_for(server.port)) as (link, _):
        assert isinstance(link, Writer)
        await link.write(settings_for(server.port), target, raw)


GOOD: list[tuple[Any, Value]] = [
    (ua.Variant(False, T.Boolean), True),
    (ua.Variant(0, T.SByte), -128),
    (ua.Variant(0, T.Byte), 255),
    (ua.Variant(0, T.Int16), -32768),
    (ua.Variant(0, T.UInt16), 65535),
    (ua.Variant(0, T.Int32), -(2**31)),
    (ua.Variant(0, T.UInt32), 2**32 - 1),
    (ua.Variant(0, T.Int64), -(2**63)),
    (ua.Variant(0, T.UInt64), 2**64 - 1),
    (ua.Variant(0.0, T.Float), 0.5),
    (ua.Variant(0.0, T.Double), 0.1),
    (ua.Variant(0.0, T.Double), 7),
    (ua.Variant("", T.String), "配方 7"),
]


async def test_a_value_is_written_as_the_nodes_own_type_and_without_time_stamps(server: UaServer) -> None:
    for number, (variant, raw) in enumerate(GOOD):
        name = f"write{number}"
        writable(server, name, variant)
        server.written.clear()
        await write(server, tag(name), raw)
        assert (held(server, name).VariantType, held(server, name).Value) == (variant.VariantType, raw)
        (sent,) = server.written
        assert sent.SourceTimestamp is None
        assert sent.ServerTimestamp is None


BAD: list[tuple[Any, Value]] = [
    (ua.Variant(False, T.Boolean), 1),
    (ua.Variant(0, T.Byte), 256),
    (ua.Variant(0, T.Int16), 1.0),
    (ua.Variant(0, T.Int16), True),
    (ua.Variant(0, T.UInt16), -1),
    (ua.Variant(0.0, T.Float), 1e39),
    (ua.Variant(0.0, T.Double), float("nan")),
    (ua.Variant(0.0, T.Double), "1"),
    (ua.Variant("", T.String), 1),
    (ua.Variant("", T.String), None),
    (ua.Variant([0, 0], T.Int16), 1),
    (ua.Variant(b"", T.ByteString), "00"),
]


async def test_what_does_not_fit_is_refused_before_it_is_sent(server: UaServer) -> None:
    for number, (variant, raw) in enumerate(BAD):
        name = f"unfit{number}"
        writable(server, name, variant)
        server.written.clear()
        with pytest.raises(Refused):
            await write(server, tag(name), raw)
        assert server.written == [], f"{raw!r} was sent to {variant}"


async def test_what_cannot_be_written_is_refused(server: UaServer) -> None:
    server.add("read-only", ua.Variant(0.0, T.Double))
    writable(server, "write-array", ua.Variant([1.0], T.Double))
    targets = [
        tag("read-only"),
        tag("write nowhere"),
        Tag("f", "nsu=urn:not:here;i=1", ValueType.FLOAT64),
        Tag("e", f"element=0;nsu={URI};s=write-array", ValueType.FLOAT64),
    ]
    for target in targets:
        with pytest.raises(Refused, match=target.name.replace(" ", ".")):
            await write(server, target, 1.0)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("BadOutOfRange", Refused), ("BadTypeMismatch", Refused), ("BadDeviceFailure", StationSilent)],
)
async def test_the_servers_status_has_its_meaning(
    server: UaServer, status: str, expected: type[StationError], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"status-of-write-{status}"
    writable(server, name, ua.Variant(0.0, T.Double))

    async def refuse(parameters: Any, **keys: Any) -> Any:
        return [ua.StatusCode(getattr(ua.StatusCodes, status))]

    monkeypatch.setattr(server._server.iserver.attribute_service, "write", refuse)
    with pytest.raises(expected, match=status) as caught:
        await write(server, tag(name), 1.0)
    assert type(caught.value) is expected


async def test_the_type_is_read_again_after_a_refusal(server: UaServer) -> None:
    """A download may have changed it."""
    writable(server, "retyped", ua.Variant(0, T.Int16))
    settings = settings_for(server.port)
    link = OpcuaLink(settings)
    await link.connect()
    await link.enrol(settings)
    await link.write(settings, tag("retyped"), 1)
    server.reads.clear()
    await link.write(settings, tag("retyped"), 2)
    assert server.reads == [], "one round trip, once the type is known"
    server.remove("retyped")
    writable(server, "retyped", ua.Variant(0.0, T.Double))
    with pytest.raises(Refused):
        await link.write(settings, tag("retyped"), 3)
    await link.write(settings, tag("retyped"), 4)
    assert held(server, "retyped") == ua.Variant(4.0, T.Double)
    await link.close()

"""The OPC UA driver meets the driver contract, before asyncua's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from asyncua import ua

from drivers.opcua import PLUGIN
from edge_agent.model import Tag, Value, ValueType
from edge_agent.testing.driver_contract import WireDriverContract
from edge_agent.testing.wire import HoldingProxy
from tests.unit.drivers_opcua.server import URI, UaServer, serving

NODES = {
    "Running": (ua.VariantType.Boolean, True, False),
    "Offset": (ua.VariantType.Int16, -2, -3),
    "Energy": (ua.VariantType.UInt64, 2**63, 2**63 + 1),
    "Level": (ua.VariantType.Double, 10.5, 20.5),
    "Batch": (ua.VariantType.String, "批次 7", "批次 8"),
}


class ServedNodes:
    """The shared server behind a relay of its own, so that stopping it stops nobody else's."""

    def __init__(self, server: UaServer) -> None:
        self._server = server
        self._proxy = HoldingProxy("127.0.0.1", server.port)
        self.expected: tuple[Value, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "link": f"opc.tcp://127.0.0.1:{self._proxy.port}/lineside",
            "timeout": "1s",
            "keep_alive": "300ms",
        }

    @property
    def held(self) -> int:
        return self._proxy.held

    async def start(self) -> None:
        self._write(0)
        await self._proxy.start()

    def hold(self) -> None:
        self._proxy.hold()

    def change(self) -> None:
        self._write(1)

    def release(self) -> None:
        self._proxy.release()

    async def stop(self) -> None:
        await self._proxy.stop()

    def _write(self, version: int) -> None:
        for name, (kind, *values) in NODES.items():
            self._server.set(f"ns={self._server.index};s={name}", ua.Variant(values[version], kind))
        self.expected = tuple(values[version] for _, *values in NODES.values())


@pytest.fixture(scope="module")
def server() -> Iterator[UaServer]:
    with serving() as server:
        for name, (kind, value, _) in NODES.items():
            server.add(name, ua.Variant(value, kind))
            server.call(server._server.get_node(ua.NodeId(name, server.index)).set_writable())
        server.add("Array", ua.Variant([1, 2], ua.VariantType.Int16))
        server.add("Locked", ua.Variant(1, ua.VariantType.Int16))
        yield server


class TestOpcua(WireDriverContract):
    plugin = PLUGIN
    tags = (
        Tag("running", f"nsu={URI};s=Running", ValueType.BOOL),
        Tag("offset", f"nsu={URI};s=Offset", ValueType.INT16),
        Tag("energy", f"nsu={URI};s=Energy", ValueType.UINT64),
        Tag("level", f"nsu={URI};s=Level", ValueType.FLOAT64),
        Tag("batch", f"nsu={URI};s=Batch", ValueType.STRING),
    )
    writes = (
        (tags[0], False),
        (tags[1], 77),
        (tags[2], 2**64 - 1),
        (tags[3], -0.5),
        (tags[4], "批次 9"),
    )
    refusals = (
        (tags[0], 1),
        (tags[1], 40_000),
        (tags[3], "12"),
        (Tag("locked", f"nsu={URI};s=Locked", ValueType.INT16), 2),
        (Tag("array", f"nsu={URI};s=Array", ValueType.INT16), 2),
        (Tag("element", f"element=0;nsu={URI};s=Array", ValueType.INT16), 2),
        (Tag("nowhere", f"nsu={URI};s=Nowhere", ValueType.INT16), 2),
    )
    subscribes = True
    typed: ClassVar[Mapping[str, str]] = {name: f"nsu={URI};s=Typed-{name}" for name in PLUGIN.types}
    mistakes = (
        Tag("syntax", "hr:100", ValueType.INT16),
        Tag("number", "nsu=urn:x;i=many", ValueType.INT16),
        Tag("guid", "nsu=urn:x;g=1", ValueType.INT16),
        Tag("index", "ns=70000;i=1", ValueType.INT16),
        Tag("element", "element=x;i=1", ValueType.INT16),
        Tag("order", "nsu=urn:x;i=1", ValueType.INT16, byte_order="CDAB"),
    )

    def valid_settings(self) -> Mapping[str, Any]:
        return {"link": "opc.tcp://127.0.0.1:4840/lineside"}

    @pytest_asyncio.fixture
    async def device(self, server: UaServer) -> AsyncIterator[ServedNodes]:
        device = ServedNodes(server)
        await device.start()
        yield device
        await device.stop()

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from asyncua import Client, ua

from hardware_mocks.faults import Behaviour, Fault, Unsupported
from hardware_mocks.opcua import NAMESPACE, OpcUaServer, nodes
from hardware_mocks.process import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture(scope="module")
def process() -> Process:
    return Process(seed=7)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(process: Process) -> AsyncIterator[OpcUaServer]:
    """One server for the module: the library needs two seconds to start."""
    server = OpcUaServer(process, max_nodes_per_read=25)
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server(running: OpcUaServer, until: Until) -> OpcUaServer:
    await running.set_fault(None, Behaviour())

    async def alone() -> bool:
        return running.state()["connections"] == 0

    await until(alone)
    return running


def client_of(server: OpcUaServer, timeout: float = 4) -> Client:
    return Client(f"opc.tcp://127.0.0.1:{server.port}/", timeout=timeout)


async def next_beat(server: OpcUaServer, until: Until) -> None:
    beat = server.heartbeat

    async def beaten() -> bool:
        return server.heartbeat > beat

    await until(beaten)


async def test_every_node_has_type_value_and_source_time(
    process: Process, server: OpcUaServer, until: Until
) -> None:
    for _ in range(40):
        process.step(0.05)
    await next_beat(server, until)
    async with client_of(server) as client:
        index = await client.get_namespace_index(NAMESPACE)
        assert index == 2
        names = list(nodes())
        wanted = [client.get_node(f"ns=2;s={name}") for name in names]
        values = await client.read_attributes(wanted, ua.AttributeIds.Value)
    for name, data in zip(names, values, strict=True):
        type_name, source = nodes()[name]
        assert data.Value.VariantType.name == type_name, name
        assert data.Value.Value == pytest.approx(source(process), rel=1e-6), name
        assert data.StatusCode.is_good()
        assert abs(datetime.now(UTC) - data.SourceTimestamp) < timedelta(seconds=5)


async def test_64_bit_integers_are_exact_and_counters_wrap(
    process: Process, server: OpcUaServer, until: Until
) -> None:
    process.mass_g = 2**53 + 1
    process.electricity.counts = 2**32 - 1
    await next_beat(server, until)
    async with client_of(server) as client:
        assert await client.get_node("ns=2;s=Line.Product.MassGrams").read_value() == 2**53 + 1
        assert await client.get_node("ns=2;s=Line.Meter.ElectricityCounts").read_value() == 2**32 - 1


async def test_heartbeat_rises_and_read_requests_are_counted(server: OpcUaServer, until: Until) -> None:
    async with client_of(server) as client:
        node = client.get_node("ns=2;s=Line.Heartbeat")
        before = server.requests
        first = await node.read_value()
        await next_beat(server, until)
        assert await node.read_value() > first
        assert server.requests == before + 2
        assert server.state()["connections"] == 1


async def test_nodes_can_be_browsed_and_unknown_ones_say_so(server: OpcUaServer) -> None:
    async with client_of(server) as client:
        children = await client.get_node("ns=2;s=Line").get_children()
        assert {child.nodeid.Identifier for child in children} == {"Line.Heartbeat", *nodes()}
        result = await client.get_node("ns=2;s=Line.Nothing").read_data_value(raise_on_bad_status=False)
        assert result.StatusCode.value == ua.StatusCodes.BadNodeIdUnknown


async def test_max_nodes_per_read_is_told_and_kept(server: OpcUaServer) -> None:
    async with client_of(server) as client:
        limit = client.get_node(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)
        assert await limit.read_value() == 25
        node = client.get_node("ns=2;s=Line.Running")
        assert await client.read_values([node] * 25) == [True] * 25
        with pytest.raises(ua.uaerrors.BadTooManyOperations):
            await client.read_values([node] * 26)


async def test_only_security_none_is_offered_under_the_public_port(server: OpcUaServer) -> None:
    endpoints = await client_of(server).connect_and_get_server_endpoints()
    assert [endpoint.SecurityMode for endpoint in endpoints] == [ua.MessageSecurityMode.None_]
    assert endpoints[0].EndpointUrl == f"opc.tcp://127.0.0.1:{server.port}/"


async def test_silent_accepts_and_never_answers(server: OpcUaServer) -> None:
    await server.set_fault(None, Behaviour(Fault.SILENT))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"HELF")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(1)
    await server.set_fault(None, Behaviour())
    async with asyncio.timeout(5):
        try:
            assert await reader.read(1) == b""  # its stream has a hole: it cannot go on
        except ConnectionResetError:
            pass
    writer.transport.abort()
    async with client_of(server) as client:
        assert await client.get_node("ns=2;s=Line.Running").read_value() is True


async def test_a_client_in_session_meets_the_black_hole(server: OpcUaServer) -> None:
    async with client_of(server) as client:
        node = client.get_node("ns=2;s=Line.Running")
        await node.read_value()
        await server.set_fault(None, Behaviour(Fault.SILENT))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await node.read_value()
        await server.set_fault(None, Behaviour())
        with pytest.raises((ConnectionError, OSError)):
            await node.read_value()
        client.disconnect_socket()


async def test_late_answers_come_late(server: OpcUaServer) -> None:
    async with client_of(server) as client:
        node = client.get_node("ns=2;s=Line.Running")
        await server.set_fault(None, Behaviour(Fault.LATE, delay_s=0.3))
        began = asyncio.get_running_loop().time()
        assert await node.read_value() is True
        assert asyncio.get_running_loop().time() - began >= 0.3
        await server.set_fault(None, Behaviour())


async def test_refuse_and_back(server: OpcUaServer, until: Until) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def connected() -> bool:
        return server.state()["connections"] == 1

    await until(connected)
    await server.set_fault(None, Behaviour(Fault.REFUSE))
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(5):
        try:
            assert await reader.read(1) == b""
        except ConnectionResetError:
            pass
    writer.transport.abort()
    await server.set_fault(None, Behaviour())
    async with client_of(server) as client:
        assert await client.get_node("ns=2;s=Line.Running").read_value() is True


async def test_senseless_orders_are_refused(server: OpcUaServer) -> None:
    for unit, behaviour in ((1, Behaviour()), (None, Behaviour(Fault.SHORT)), (None, Behaviour(times=1))):
        with pytest.raises(Unsupported):
            await server.set_fault(unit, behaviour)

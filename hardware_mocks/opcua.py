"""An OPC UA server (asyncua) over the model: meters, emissions, furnace. Security policy None, unless it is
given a ``Protection`` (``opcua_security``).

Namespace ``urn:lineside:simulated-line`` (index 2), string node ids, refreshed every 200 ms with source
times:

    Line.Heartbeat                    UInt32   +1 per refresh
    Line.Running                      Boolean
    Line.Meter.Electricity            Double   kWh
    Line.Meter.ElectricityCounts      UInt32   0.01 kWh, rolls over at 2^32
    Line.Meter.Gas                    Double   m³, rolls over at 10^6
    Line.Meter.Water                  Double   m³, rolls over at 655.36
    Line.Meter.Power                  Float    kW
    Line.Product.Mass                 Double   kg
    Line.Product.MassGrams            UInt64   g
    Line.Emission.COD                 Float    mg/L
    Line.Emission.SO2, .NOx, .Particulate  Float  mg/m³
    Line.Conveyor.Speed               Float    m/min
    Line.Fan.Speed                    UInt16   rpm
    Line.Press.Pressure               Float    MPa
    Line.Furnace.Zone1.Temperature, .Setpoint (Zone2, Zone3)  Float  °C

``opcua_samples`` lists further nodes, ``Sample.*``: a constant of every type, arrays, and a writable one.

A read of more nodes than MaxNodesPerRead, or the monitoring of more items than MaxMonitoredItemsPerCall, is
refused as a whole (BadTooManyOperations). ``stop_clock``, ``overflow`` and ``download`` are misbehaviour
beyond the faults of the control port.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hardware_mocks.faults import PLAIN_FAULTS, Behaviour, Fault, FaultSwitch, Unsupported
from hardware_mocks.opcua_samples import samples
from hardware_mocks.process import Process
from hardware_mocks.relay import Relay

if TYPE_CHECKING:
    from hardware_mocks.opcua_security import Protection

NAMESPACE = "urn:lineside:simulated-line"
REFRESH_S = 0.2

Source = Callable[[Process], Any]


def _zone_nodes(index: int) -> dict[str, tuple[str, Source]]:
    prefix = f"Line.Furnace.Zone{index + 1}"
    return {
        f"{prefix}.Temperature": ("Float", lambda process: process.zones[index].temperature_c),
        f"{prefix}.Setpoint": ("Float", lambda process: process.zones[index].setpoint_c),
    }


def nodes() -> dict[str, tuple[str, Source]]:
    """Node id -> (OPC UA type, where its value comes from); the heartbeat is the server's own."""
    return {
        "Line.Running": ("Boolean", lambda p: p.running),
        "Line.Meter.Electricity": ("Double", lambda p: p.electricity.value),
        "Line.Meter.ElectricityCounts": ("UInt32", lambda p: p.electricity.counts),
        "Line.Meter.Gas": ("Double", lambda p: p.gas.value),
        "Line.Meter.Water": ("Double", lambda p: p.water.value),
        "Line.Meter.Power": ("Float", lambda p: p.power_kw),
        "Line.Product.Mass": ("Double", lambda p: p.mass_kg),
        "Line.Product.MassGrams": ("UInt64", lambda p: p.mass_g),
        "Line.Emission.COD": ("Float", lambda p: p.cod_mg_l),
        "Line.Emission.SO2": ("Float", lambda p: p.so2_mg_m3),
        "Line.Emission.NOx": ("Float", lambda p: p.nox_mg_m3),
        "Line.Emission.Particulate": ("Float", lambda p: p.particulate_mg_m3),
        "Line.Conveyor.Speed": ("Float", lambda p: p.conveyor_m_min),
        "Line.Fan.Speed": ("UInt16", lambda p: round(p.fan_rpm)),
        "Line.Press.Pressure": ("Float", lambda p: p.pressure_mpa),
        **_zone_nodes(0),
        **_zone_nodes(1),
        **_zone_nodes(2),
    }


class OpcUaServer:
    """``port`` is the real one after ``start``; ``requests`` counts the clients' requests to read, ``writes``
    those to write.

    Clients meet a relay, which has the faults; the library's server listens behind it on a port of its own.
    """

    name = "opcua"

    def __init__(
        self,
        process: Process,
        port: int = 0,
        max_nodes_per_read: int = 100,
        host: str = "127.0.0.1",
        protection: Protection | None = None,
        max_items_per_call: int = 0,
    ) -> None:
        self.max_nodes_per_read = max_nodes_per_read
        self.max_items_per_call = max_items_per_call
        self.overflow = False  # every new value says that samples before it were lost
        self._protection = protection
        self.faults = FaultSwitch(PLAIN_FAULTS | {Fault.CLOCK_STOPPED})
        self.requests = 0
        self.writes = 0
        self.heartbeat = 0
        self._process = process
        self._host = host
        self._relay = Relay(host, port, self.faults)
        self._library: Any = None  # the library's annotations do not fit its own use
        self._server: Any = None
        self._refresher: asyncio.Task[None] | None = None
        self._nodes: dict[str, tuple[Any, Any, Source]] = {}

    @property
    def port(self) -> int:
        return self._relay.port

    async def start(self) -> None:
        await self._relay.open()
        try:
            await self._start_library()
        except BaseException:
            await self.close()
            raise
        self._refresher = asyncio.create_task(self._refresh_for_ever(), name="opcua refresh")

    async def close(self) -> None:
        task, self._refresher = self._refresher, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._relay.shut()
        server, self._server = self._server, None
        if server is not None:
            sessions = server.iserver._external_sessions  # noqa: SLF001 the library forgets those whose clients vanished
            for session in list(sessions.values()):
                await session.close_session(True)
            clock, server.iserver.time_task = server.iserver.time_task, None
            if clock is not None:  # else the library waits for its next tick, up to a second
                clock.cancel()
                await asyncio.wait([clock])
            await server.stop()

    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None:
        """Raises faults.Unsupported."""
        if unit is not None:
            raise Unsupported("an OPC UA server has no units")
        if behaviour.times is not None:
            raise Unsupported("the relay before the OPC UA server sees bytes, it cannot count requests")
        self.faults.set(None, behaviour)
        if behaviour.fault is Fault.CLOCK_STOPPED:
            self.stop_clock()
        if behaviour.fault is Fault.REFUSE:
            await self._relay.shut()
        else:
            await self._relay.open()
        if behaviour.fault is not Fault.SILENT:
            self._relay.drop_broken()

    def stop_clock(self) -> None:
        """The server's own time stands still, and everything else goes on."""
        self._server.iserver._time_task_stop = True  # noqa: SLF001 the library has no other way at run time

    async def download(self, uri: str) -> None:
        """As after a download of the program: the namespace table has changed."""
        await self._server.register_namespace(uri)

    def state(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "listening": self._relay.is_open,
            "connections": self._relay.connections,
            "requests": self.requests,
            "writes": self.writes,
            "heartbeat": self.heartbeat,
            "faults": self.faults.describe(),
        }

    async def _start_library(self) -> None:
        library = self._library = importlib.import_module("asyncua")  # half a second and 20 MB: not before
        ua = library.ua
        callbacks = importlib.import_module("asyncua.common.callback").CallbackType

        logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it logs clients' mistakes as its own errors
        server = library.Server()
        await server.init()
        server.set_server_name("Lineside simulated line")
        server.set_endpoint(f"opc.tcp://{self._host}:{self.port}/")
        server.set_match_discovery_client_ip(False)  # it would name the port behind the relay
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        if self._protection is not None:
            await self._protection.apply(server, library)
        server.socket_address = (self._host, 0)
        index = await server.register_namespace(NAMESPACE)
        await self._add_nodes(server, index)
        await self._announce_limits(server)
        server.subscribe_server_callback(callbacks.PreRead, self._before_read)
        server.subscribe_server_callback(callbacks.PreWrite, self._before_write)
        self._limit_monitoring(server)
        self._server = server
        await self._refresh()
        await server.start()
        self._relay.target_port = server.bserver.port

    async def _announce_limits(self, server: Any) -> None:
        ua = self._library.ua
        prefix = "Server_ServerCapabilities_OperationLimits_"
        limits = {
            "MaxNodesPerRead": self.max_nodes_per_read,
            "MaxMonitoredItemsPerCall": self.max_items_per_call,
        }
        for name, limit in limits.items():
            node = ua.NodeId(getattr(ua.ObjectIds, prefix + name))
            await server.write_attribute_value(node, ua.DataValue(ua.Variant(limit, ua.VariantType.UInt32)))

    def _limit_monitoring(self, server: Any) -> None:
        """The library announces limits, but keeps none of them itself."""
        ua, service = self._library.ua, server.iserver.subscription_service
        plain = service.create_monitored_items

        async def create_monitored_items(params: Any) -> Any:
            if len(params.ItemsToCreate) > self.max_items_per_call > 0:
                raise ua.uaerrors.BadTooManyOperations
            return await plain(params)

        service.create_monitored_items = create_monitored_items

    async def _add_nodes(self, server: Any, index: int) -> None:
        ua = self._library.ua
        folder = await server.nodes.objects.add_folder(
            ua.NodeId("Line", index), ua.QualifiedName("Line", index)
        )
        sources: dict[str, tuple[str, Source]] = {
            "Line.Heartbeat": ("UInt32", lambda _: self.heartbeat),
            **nodes(),
        }
        for name, (type_name, source) in sources.items():
            kind = ua.VariantType[type_name]
            node_id = ua.NodeId(name, index)
            browse_name = ua.QualifiedName(name.removeprefix("Line."), index)
            await folder.add_variable(node_id, browse_name, source(self._process), kind)
            self._nodes[name] = (node_id, kind, source)
        await self._add_samples(server, index)

    async def _add_samples(self, server: Any, index: int) -> None:
        ua = self._library.ua
        folder = await server.nodes.objects.add_folder(
            ua.NodeId("Sample", index), ua.QualifiedName("Sample", index)
        )
        for name, (type_name, value) in samples(ua).items():
            browse_name = ua.QualifiedName(name.removeprefix("Sample."), index)
            variant = ua.Variant(value, ua.VariantType[type_name])
            node = await folder.add_variable(ua.NodeId(name, index), browse_name, variant)
            if name == "Sample.Writable":
                await node.set_writable()

    def _before_read(self, event: Any, _: Any) -> None:
        ua = self._library.ua
        if not event.is_external:
            return
        self.requests += 1
        if len(event.request_params.NodesToRead) > self.max_nodes_per_read > 0:
            raise ua.uaerrors.BadTooManyOperations

    def _before_write(self, event: Any, _: Any) -> None:
        self.writes += bool(event.is_external)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._refresh()

    async def _refresh(self) -> None:
        ua = self._library.ua
        self.heartbeat = (self.heartbeat + 1) % 2**32
        now = datetime.now(UTC)
        status = ua.StatusCode(0x0480 if self.overflow else 0)
        for node_id, kind, source in self._nodes.values():
            value = ua.DataValue(
                ua.Variant(source(self._process), kind), status, SourceTimestamp=now, ServerTimestamp=now
            )
            await self._server.write_attribute_value(node_id, value)

"""The simulated line: one model, its servers, and a control port for people and tests.

GET  /state      {"process": {...}, "servers": {"modbus": {"port":, "requests":, "units": {"1": n}, ...}}}
POST /control    {"server": "modbus", "unit": 3, "fault": "silent"}    (`faults` lists them; also "delay_s",
                 "code", "times", "most"), or {"process": {"running": false, "remote": false,
                 "zone1_setpoint_c": 840, "heartbeat_s": 0.5}}
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from hardware_mocks.clockwork import Clockwork
from hardware_mocks.faults import Behaviour, Unsupported
from hardware_mocks.process import Process

HOST = "127.0.0.1"


class Server(Protocol):
    """What the line knows of a server."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def set_fault(self, unit: int | None, behaviour: Behaviour) -> None: ...
    def state(self) -> dict[str, Any]: ...


class Line:
    """Starts and stops the model's clockwork, the servers and the control port together."""

    def __init__(self, process: Process | None, servers: Sequence[Server], control_port: int = 0) -> None:
        self.process = process
        self.servers = {server.name: server for server in servers}
        self._clockwork = Clockwork(process) if process is not None else None
        self._control = ControlPort(self, control_port)

    @property
    def ports(self) -> dict[str, int]:
        return {name: server.port for name, server in self.servers.items()} | {"control": self._control.port}

    async def start(self) -> None:
        try:
            for server in self.servers.values():
                await server.start()
            await self._control.start()
            if self._clockwork is not None:
                await self._clockwork.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._clockwork is not None:
            await self._clockwork.close()
        await self._control.close()
        await asyncio.gather(*(server.close() for server in self.servers.values()))

    def state(self) -> dict[str, Any]:
        process = self.process.state() if self.process is not None else None
        return {
            "process": process,
            "servers": {name: server.state() for name, server in self.servers.items()},
        }

    async def control(self, order: Mapping[str, Any]) -> None:
        """Raises faults.Unsupported, with a text that says what is wrong."""
        if "process" in order:
            self._control_process(order["process"])
            return
        server = self.servers.get(order.get("server", ""))
        if server is None:
            raise Unsupported(f'"server" must be one of {", ".join(self.servers)}')
        unit = order.get("unit")
        await server.set_fault(None if unit is None else int(unit), Behaviour.parse(order))

    def _control_process(self, changes: Mapping[str, Any]) -> None:
        process = self.process
        if process is None:
            raise Unsupported("this server has no process")
        for key, value in changes.items():
            if key == "running":
                process.running = bool(value)
            elif key == "remote":
                process.remote = bool(value)
            elif key == "heartbeat_s":
                process.heartbeat.period_s = float(value)
            elif key in ("pressure_setpoint_mpa", "fan_setpoint_rpm", "conveyor_setpoint_m_min"):
                setattr(process, key, float(value))
            elif key in ("zone1_drift_c", "zone2_drift_c", "zone3_drift_c"):
                process.zones[int(key[4]) - 1].drift_c = float(value)
            elif key in ("zone1_setpoint_c", "zone2_setpoint_c", "zone3_setpoint_c"):
                process.zones[int(key[4]) - 1].setpoint_c = float(value)
            else:
                raise Unsupported(f"the process has no {key!r}")


class ControlPort:
    """The HTTP side; loopback only."""

    def __init__(self, line: Line, port: int) -> None:
        self._line = line
        self.port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.get("/state", self._state), web.post("/control", self._order)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self._line.state())

    async def _order(self, request: web.Request) -> web.Response:
        try:
            order = await request.json()
            if not isinstance(order, dict):
                raise Unsupported("send one JSON object")
            await self._line.control(order)
        except (ValueError, TypeError) as error:  # Unsupported is one
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self._line.state()["servers"])

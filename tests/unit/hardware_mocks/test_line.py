from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient

from hardware_mocks.bench import Bench
from hardware_mocks.line import Line
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest_asyncio.fixture
async def line(process: Process) -> AsyncIterator[Line]:
    line = Line(process, [ModbusServer.of_line(process), S7Server(process)])
    await line.start()
    yield line
    await line.close()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def order(http: aiohttp.ClientSession, line: Line, **body: Any) -> tuple[int, Any]:
    async with http.post(f"http://127.0.0.1:{line.ports['control']}/control", json=body) as response:
        return response.status, await response.json()


async def state(http: aiohttp.ClientSession, line: Line) -> Any:
    async with http.get(f"http://127.0.0.1:{line.ports['control']}/state") as response:
        return await response.json()


async def test_the_line_runs_by_itself_and_in_real_time(
    line: Line, http: aiohttp.ClientSession, until: Until
) -> None:
    began = asyncio.get_running_loop().time()

    async def half_a_second_on() -> bool:
        return bool((await state(http, line))["process"]["time_s"] >= 0.5)

    await until(half_a_second_on)
    took_s = asyncio.get_running_loop().time() - began
    assert took_s > 0.3  # 0.5 s of model less what passed before the first look


async def test_state_counts_requests_per_server_and_unit(line: Line, http: aiohttp.ClientSession) -> None:
    client = AsyncModbusTcpClient("127.0.0.1", port=line.ports["modbus"], retries=0, reconnect_delay=0)
    await client.connect()
    for unit in (1, 1, 2):
        await client.read_holding_registers(0, count=2, device_id=unit)
    client.close()
    servers = (await state(http, line))["servers"]
    assert servers["modbus"]["units"] == {"1": 2, "2": 1, "3": 0}
    assert servers["modbus"]["requests"] == 3
    assert servers["s7"]["requests"] == 0


async def test_faults_are_switched_over_http(line: Line, http: aiohttp.ClientSession) -> None:
    status, servers = await order(http, line, server="modbus", unit=3, fault="silent")
    assert (status, servers["modbus"]["faults"]) == (200, {"all": "ok", "3": "silent"})
    client = AsyncModbusTcpClient(
        "127.0.0.1", port=line.ports["modbus"], retries=0, timeout=0.2, reconnect_delay=0
    )
    await client.connect()
    with pytest.raises(Exception, match="No response"):
        await client.read_holding_registers(0, count=2, device_id=3)
    assert not (await client.read_holding_registers(0, count=2, device_id=1)).isError()
    client.close()
    await order(http, line, server="s7", fault="refuse")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", line.ports["s7"])
    await order(http, line, server="s7", fault="ok")
    _, writer = await asyncio.open_connection("127.0.0.1", line.ports["s7"])
    writer.transport.abort()


async def test_the_process_can_be_stopped_and_set(line: Line, http: aiohttp.ClientSession) -> None:
    await order(
        http, line, process={"running": False, "zone2_setpoint_c": 840, "pressure_setpoint_mpa": 0.38}
    )
    seen = (await state(http, line))["process"]
    assert seen["running"] is False
    assert seen["zone_setpoint_c"] == [850.0, 840.0, 860.0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"server": "profinet", "fault": "ok"}, "modbus, s7"),
        ({"server": "modbus", "fault": "explode"}, "explode"),
        ({"server": "modbus", "unit": 99, "fault": "silent"}, "no unit 99"),
        ({"server": "s7", "fault": "short"}, "short"),
        ({"process": {"colour": "red"}}, "colour"),
    ],
)
async def test_senseless_orders_say_what_is_wrong(
    line: Line, http: aiohttp.ClientSession, body: dict[str, Any], reason: str
) -> None:
    status, answer = await order(http, line, **body)
    assert status == 400
    assert reason in answer["error"]


async def test_a_taken_port_leaves_nothing_behind(process: Process) -> None:
    first = ModbusServer.of_line(process)
    await first.start()
    line = Line(process, [S7Server(process), ModbusServer.of_line(process, port=first.port)])
    with pytest.raises(OSError, match="in use"):
        await line.start()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", line.ports["s7"])
    await first.close()


@pytest.mark.parametrize("shared", [False, True])
async def test_bench_devices_answer_and_one_can_be_silenced(shared: bool) -> None:
    bench = Bench(devices=3, registers=500, shared=shared)
    load = Line(None, [bench])
    await load.start()
    assert len(set(bench.ports)) == (1 if shared else 3)
    for device in (1, 2, 3):
        port, unit = (bench.ports[0], device) if shared else (bench.ports[device - 1], 1)
        client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=0.2, reconnect_delay=0)
        await client.connect()
        assert len((await client.read_holding_registers(375, count=125, device_id=unit)).registers) == 125
        assert (await client.read_holding_registers(376, count=125, device_id=unit)).exception_code == 2
        client.close()
    async with aiohttp.ClientSession() as http:
        assert (await order(http, load, server="modbus", unit=2, fault="silent"))[0] == 200
        assert (await order(http, load, server="modbus", unit=4, fault="silent"))[0] == 400
        assert (await state(http, load))["servers"]["modbus"]["units"] == {"1": 2, "2": 2, "3": 2}
    port, unit = (bench.ports[0], 2) if shared else (bench.ports[1], 1)
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=0.2, reconnect_delay=0)
    await client.connect()
    with pytest.raises(Exception, match="No response"):
        await client.read_holding_registers(0, count=1, device_id=unit)
    client.close()
    await load.close()


def test_bench_registers_are_constant_counting_and_noisy() -> None:
    from hardware_mocks.bench import BenchUnit

    unit = BenchUnit(registers=500, seed=1)
    images = []
    for _ in range(3):
        data = unit.registers("hr", 0, 500)
        assert data is not None
        images.append([int.from_bytes(data[i : i + 2], "big") for i in range(0, 1000, 2)])
        unit.move()
    assert images[0][:200] == images[2][:200]
    assert [(a + 2) % 65536 for a in images[0][200:350]] == images[2][200:350]
    assert sum(a == b for a, b in zip(images[0][350:], images[2][350:], strict=True)) < 5

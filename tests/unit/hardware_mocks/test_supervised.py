"""What the simulated controllers make of a supervisor: counted writes, a heartbeat, local and remote."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hardware_mocks.bench import Bench
from hardware_mocks.faults import Behaviour, Fault, Unsupported
from hardware_mocks.line import Line
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.opcua import OpcUaServer
from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server
from hardware_mocks.s7areas import Areas, Spec

from .test_modbus_server import Raw, read_holding


@pytest_asyncio.fixture
async def server(process: Process) -> AsyncIterator[ModbusServer]:
    server = ModbusServer.of_line(process)
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture
async def raw(server: ModbusServer) -> AsyncIterator[Raw]:
    connection = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    yield connection
    connection.close()


def write_one(register: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, register, value)


async def value_of(raw: Raw, register: int) -> int:
    reply = (await raw.ask(read_holding(register, 1)))[2]
    assert reply[:2] == b"\x03\x02", reply
    return int.from_bytes(reply[2:])


def pass_time(process: Process, seconds: float) -> None:
    for _ in range(round(seconds / 0.05)):
        process.step(0.05)


async def test_every_request_that_writes_is_counted_and_no_other(
    server: ModbusServer,
    raw: Raw,
) -> None:
    pdus = [
        struct.pack(">BHH", 5, 0, 0xFF00),
        write_one(17, 410),
        struct.pack(">BHHBB", 15, 0, 1, 1, 1),
        struct.pack(">BHHBH", 16, 17, 1, 2, 420),
        struct.pack(">BHHH", 22, 17, 0xFFFF, 0),
        struct.pack(">BHHHHBH", 23, 17, 1, 17, 1, 2, 430),
        write_one(2, 1),  # refused: read-only
        write_one(9999, 1),  # refused: does not exist
        struct.pack(">BHH", 5, 0, 0x1234),  # refused: no such value
        b"\x10",  # refused: no request at all
    ]
    for pdu in pdus:
        await raw.ask(pdu)
    assert server.writes[1] == len(pdus)
    assert [pdu for _, pdu in server.written] == pdus
    for pdu in (read_holding(10, 1), struct.pack(">BHH", 1, 0, 1), b"\x2b\x00\x00"):
        await raw.ask(pdu)
    await raw.ask(write_one(17, 1), unit=2)
    await raw.ask(write_one(17, 1), unit=9)  # nobody there
    assert server.state()["writes"] == len(pdus) + 2
    assert server.state()["unit_writes"] == {"1": len(pdus), "2": 1, "3": 0}


async def test_a_write_that_nobody_answers_is_counted(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(1, Behaviour(Fault.SILENT))
    await raw.send(write_one(17, 500))
    await raw.ask(read_holding(10, 1), unit=2)
    assert server.writes[1] == 1


def test_every_server_tells_its_writes() -> None:
    process = Process()
    servers = (ModbusSerialServer.of_line(process), S7Server(process), Bench(2, 10, False))
    assert [s.state()["writes"] for s in (*servers, OpcUaServer(process))] == [0] * 4


async def test_a_stuck_register_acknowledges_and_stays(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(1, Behaviour(Fault.WRITE_STUCK, times=1))
    for _ in range(3):
        await value_of(raw, 17)  # reads do not use the fault up
    assert (await raw.ask(write_one(17, 450)))[2] == write_one(17, 450)
    assert await value_of(raw, 17) == 400
    assert (await raw.ask(write_one(2, 450)))[2] == b"\x86\x02"
    await raw.ask(write_one(17, 450))
    assert await value_of(raw, 17) == 450, "once only"
    await server.set_fault(1, Behaviour(Fault.WRITE_STUCK))
    await raw.ask(struct.pack(">BHH", 5, 32, 0xFF00))
    assert (await raw.ask(struct.pack(">BHH", 1, 32, 1)))[2] == b"\x01\x01\x00"
    reply = (await raw.ask(struct.pack(">BHHHHBH", 23, 17, 1, 17, 1, 2, 430)))[2]
    assert reply == struct.pack(">BBH", 23, 2, 450), "and tells what it holds where it is asked"


async def test_a_clamped_register_stores_the_most_it_takes(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(1, Behaviour.parse({"fault": "write_clamp", "most": 430}))
    assert (await raw.ask(write_one(17, 450)))[2] == write_one(17, 450)
    assert await value_of(raw, 17) == 430
    await raw.ask(write_one(17, 410))
    assert await value_of(raw, 17) == 410
    await raw.ask(struct.pack(">BHH", 5, 32, 0xFF00))
    assert (await raw.ask(struct.pack(">BHH", 1, 32, 1)))[2] == b"\x01\x01\x01"


async def test_a_write_whose_answer_is_lost_has_taken_effect(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(1, Behaviour(Fault.WRITE_LOST, times=1))
    await raw.send(write_one(17, 450))
    assert await value_of(raw, 17) == 450, "the answer to the read is the first that comes"


async def test_set_points_horn_and_lamp(process: Process, raw: Raw) -> None:
    await raw.ask(write_one(402, 1200))
    await raw.ask(write_one(403, 1150))
    await raw.ask(struct.pack(">BHHBB", 15, 32, 2, 1, 0b10))
    assert (process.fan_setpoint_rpm, process.conveyor_setpoint_m_min) == (1200, 11.5)
    assert (process.horn, process.lamp) == (False, True)
    assert [await value_of(raw, r) for r in (402, 403)] == [1200, 1150]
    pass_time(process, 20)
    assert process.fan_rpm == pytest.approx(1200, abs=5)
    assert process.conveyor_m_min == pytest.approx(11.5, abs=0.1)
    assert (await raw.ask(write_one(401, 1)))[2] == b"\x86\x02"
    assert (await raw.ask(struct.pack(">BHH", 5, 33, 0)))[2] == struct.pack(">BHH", 5, 33, 0)
    assert not process.lamp
    for table in (1, 2):
        assert (await raw.ask(struct.pack(">BHH", table, 32, 3)))[2] == bytes((table | 0x80, 2))


async def test_without_its_heartbeat_the_controller_falls_back(process: Process, raw: Raw) -> None:
    process.heartbeat.period_s = 0.5
    await raw.ask(write_one(17, 450))
    pass_time(process, 60)
    assert await value_of(raw, 17) == 450, "a controller that was never beaten to watches nothing"
    for beat in range(1, 11):
        await raw.ask(write_one(400, beat))
        pass_time(process, 1.4)
    assert await value_of(raw, 401) == 0b101
    process.horn = True
    pass_time(process, 0.2)  # 1.6 s without a change
    assert await value_of(raw, 17) == 400
    assert await value_of(raw, 401) == 0b111
    assert await value_of(raw, 404) == 1
    assert (await raw.ask(struct.pack(">BHH", 2, 32, 2)))[2] == b"\x02\x01\x03"
    assert not process.horn
    await raw.ask(write_one(17, 450))
    assert await value_of(raw, 17) == 400, "nothing is taken before it beats again"
    await raw.ask(write_one(400, 10))
    assert await value_of(raw, 401) == 0b111, "the same value is no beat"
    await raw.ask(write_one(400, 11))
    assert await value_of(raw, 401) == 0b101
    assert await value_of(raw, 17) == 400, "and nothing comes back by itself"
    await raw.ask(write_one(17, 450))
    assert await value_of(raw, 17) == 450


async def test_in_local_a_set_point_is_acknowledged_and_not_taken(process: Process, raw: Raw) -> None:
    line = Line(process, [])
    await line.control({"process": {"remote": False, "heartbeat_s": 0.2, "fan_setpoint_rpm": 1300}})
    assert (await raw.ask(write_one(17, 450)))[2] == write_one(17, 450)
    assert await value_of(raw, 17) == 400
    assert (process.heartbeat.period_s, process.fan_setpoint_rpm) == (0.2, 1300)
    assert (await raw.ask(struct.pack(">BHH", 2, 32, 2)))[2] == b"\x02\x01\x00"
    state = line.state()["process"]
    assert (state["remote"], state["fallen_back"], state["fallbacks"], state["heartbeats"]) == (
        False, False, 0, 0,
    )  # fmt: skip
    with pytest.raises(Unsupported):
        await line.control({"process": {"horn": True}})


# S7


def item(kind: int, start: int, bit: int = 0, count: int = 1, block: int = 4) -> Spec:
    return Spec(struct.pack(">BBBBHHBBH", 0x12, 10, 0x10, kind, count, block, 0x84, 0, 8 * start + bit))


def test_the_s7_block_of_commands() -> None:
    process = Process()
    areas = Areas(process)
    assert areas.write(item(0x04, 0), b"\x00\x07") == 0xFF
    assert areas.write(item(0x01, 2, 1), b"\x01") == 0xFF
    assert areas.write(item(0x08, 4), struct.pack(">f", 0.45)) == 0xFF
    assert areas.write(item(0x08, 8), struct.pack(">f", 1200.0)) == 0xFF
    assert (process.heartbeat.value, process.horn, process.lamp) == (7, False, True)
    assert process.pressure_setpoint_mpa == pytest.approx(0.45)
    assert process.fan_setpoint_rpm == 1200
    assert areas.read(item(0x02, 0, count=12))[4:] == struct.pack(">HBBff", 7, 2, 1, 0.45, 1200)
    for spec, data in ((item(0x01, 3, 0), b"\x01"), (item(0x01, 2, 2), b"\x01"), (item(0x02, 2), b"\x01")):
        assert areas.write(spec, data) == 0x03, "not allowed"

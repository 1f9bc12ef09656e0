"""The simulated serial bus, asked by a client that is not ours."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from hardware_mocks.faults import Behaviour, Fault, Unsupported
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.process import Process
from hardware_mocks.serial_frames import AsciiFrames, RtuFrames
from hardware_mocks.serial_lines import PtyLine, TcpLine
from tests.unit.drivers_modbus.certificates import Authority
from tests.unit.hardware_mocks.test_cli import end, running

FRAMERS = {"rtu": FramerType.RTU, "ascii": FramerType.ASCII}


def is_there(path: str) -> bool:
    return os.path.lexists(path)


@asynccontextmanager
async def served(
    process: Process, over: str, framing: str = "rtu", **options: Any
) -> AsyncIterator[tuple[ModbusSerialServer, Any]]:
    line = TcpLine() if over == "tcp" else PtyLine()
    bus = ModbusSerialServer.of_line(process, line, framing=framing, **options)
    await bus.start()
    keys: dict[str, Any] = {"framer": FRAMERS[framing], "timeout": 1, "retries": 0, "reconnect_delay": 0}
    if over == "tcp":
        client: Any = AsyncModbusTcpClient("127.0.0.1", port=bus.port, **keys)
    else:
        client = AsyncModbusSerialClient(bus.place, baudrate=115_200, **keys)
    await client.connect()
    try:
        yield bus, client
    finally:
        client.close()
        await bus.close()


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
@pytest.mark.parametrize("over", ["pty", "tcp"])
async def test_several_stations_answer_on_one_bus(over: str, framing: str, process: Process) -> None:
    async with served(process, over, framing) as (bus, client):
        for station in (1, 3):
            reply = await client.read_holding_registers(100, count=4, device_id=station)
            assert reply.registers == [1100, 1101, 1102, 1103]
        assert (await client.read_coils(0, count=8, device_id=2)).bits[:3] == [True, True, True]
        assert (await client.read_holding_registers(30, count=1, device_id=2)).exception_code == 2
        await client.write_registers(14, [8000, 8010], device_id=2)
        assert (await client.read_holding_registers(14, count=2, device_id=2)).registers == [8000, 8010]
        assert bus.requests == {1: 1, 3: 1, 2: 4}


async def test_functions_for_single_bits_and_for_diagnosis(process: Process) -> None:
    async with served(process, "pty") as (_, client):
        await client.write_register(17, 0x0F0F, device_id=1)
        before = (await client.read_holding_registers(17, count=1, device_id=1)).registers[0]
        await client.mask_write_register(address=17, and_mask=0xFFFE, or_mask=0x0000, device_id=1)
        after = (await client.read_holding_registers(17, count=1, device_id=1)).registers[0]
        assert after == before & 0xFFFE
        reply = await client.readwrite_registers(
            read_address=100, read_count=2, write_address=17, values=[400], device_id=1
        )
        assert reply.registers == [1100, 1101]
        assert (await client.read_holding_registers(17, count=1, device_id=1)).registers == [400]
        assert (await client.diag_query_data(b"\xbe\xef", device_id=1)).message == b"\xbe\xef"


async def test_a_station_that_is_not_there_says_nothing(process: Process) -> None:
    async with served(process, "pty") as (bus, client):
        client.comm_params.timeout_connect = 0.2
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(100, count=1, device_id=9)
        assert bus.requests[9] == 1


async def test_late_once_it_is_late_with_all_that_were_asked_meanwhile(process: Process) -> None:
    bus = ModbusSerialServer.of_line(process, TcpLine(), latency_s=0.01)
    await bus.start()
    await bus.set_fault(1, Behaviour(Fault.LATE, delay_s=0.2, times=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", bus.port)
    frames, loop = RtuFrames(), asyncio.get_running_loop()
    began_s = loop.time()
    for offset in (100, 101, 102):
        writer.write(frames.frame(bytes([1, 3, 0, offset, 0, 1])))
    arrived = [((await reader.readexactly(7))[3:5], loop.time() - began_s) for _ in range(3)]
    assert [int.from_bytes(value, "big") for value, _ in arrived] == [1100, 1101, 1102]
    assert arrived[0][1] >= 0.21
    assert arrived[2][1] >= 0.23
    writer.transport.abort()
    await bus.close()


async def test_bytes_take_the_time_they_take_on_a_line(process: Process) -> None:
    """125 registers at 9600 baud, 11 bits a character: 8 characters there and 255 back."""
    async with served(process, "pty", baud=9600) as (_, client):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        reply = await client.read_holding_registers(100, count=125, device_id=1)
        took_s = loop.time() - began_s
    assert len(reply.registers) == 125
    assert 263 * 11 / 9600 <= took_s < 263 * 11 / 9600 + 0.3


async def test_an_adapter_that_hears_itself(process: Process) -> None:
    bus = ModbusSerialServer.of_line(process, TcpLine(), echo=True)
    await bus.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", bus.port)
    request = RtuFrames().frame(bytes([1, 3, 0, 100, 0, 1]))
    writer.write(request)
    async with asyncio.timeout(3):
        assert await reader.readexactly(8) == request
        assert (await reader.readexactly(7))[:3] == b"\1\3\2"
    writer.transport.abort()
    await bus.close()


async def test_refuse_unplugs_it_and_ok_plugs_it_in_again(process: Process, tmp_path: Path) -> None:
    bus = ModbusSerialServer.of_line(process, PtyLine(tmp_path / "by-id"))
    await bus.start()
    assert is_there(bus.place)
    await bus.set_fault(None, Behaviour(Fault.REFUSE))
    assert not is_there(bus.place)
    assert not bus.state()["listening"]
    await bus.set_fault(None, Behaviour(Fault.OK))
    assert is_there(bus.place)
    with pytest.raises(Unsupported):
        await bus.set_fault(None, Behaviour(Fault.WRONG_TRANSACTION))
    await bus.close()


def test_requests_are_cut_out_of_garbage() -> None:
    body = bytes([1, 3, 0, 100, 0, 1])
    buffer = bytearray(b"\xff\x00" + RtuFrames().frame(body) + RtuFrames().frame(body)[:3])
    assert RtuFrames().cut(buffer) == [body] and len(buffer) == 3
    buffer = bytearray(b"junk:01:" + AsciiFrames().frame(body)[1:] + b":0103")
    assert AsciiFrames().cut(buffer) == [body] and buffer == b":0103"
    buffer = bytearray(b":zz\r\n:010300640001FF\r\n")
    assert AsciiFrames().cut(buffer) == []


async def test_the_command_prints_where_its_bus_is(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    async with running("modbus-rtu", f"--link={link}", "--baud=19200", "--control-port=0") as (child, ready):
        assert ready["modbus"] == str(link)
        client = AsyncModbusSerialClient(str(link), timeout=2, retries=0, reconnect_delay=0)
        assert await client.connect()
        reply = await client.read_holding_registers(100, count=2, device_id=1)
        client.close()
        assert reply.registers == [1100, 1101]
        assert (await end(child, signal.SIGTERM))[:3] == (0, "", "")
    assert not is_there(str(link))


async def test_the_command_behind_tcp() -> None:
    async with running("modbus-rtu", "--tcp-port=0", "--framing=ascii", "--control-port=0") as (child, ready):
        host, _, port = ready["modbus"].partition(":")
        client = AsyncModbusTcpClient(host, port=int(port), framer=FramerType.ASCII, retries=0)
        assert await client.connect()
        assert (await client.read_holding_registers(100, count=1, device_id=3)).registers == [1100]
        client.close()
        assert (await end(child, signal.SIGTERM))[0] == 0


async def test_the_command_with_tls_wants_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "plant")
    plc, agent = authority.issue("plc", "127.0.0.1"), authority.issue("agent")
    files = [f"--cert={plc.cert}", f"--key={plc.key}", f"--ca={authority.ca}"]
    async with running("modbus-tls", "--port=0", "--control-port=0", *files) as (child, ready):
        context = ssl.create_default_context(cafile=authority.ca)
        context.load_cert_chain(agent.cert, agent.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", ready["modbus"], ssl=context)
        writer.write(bytes.fromhex("00 01 00 00 00 06 01 03 00 64 00 01"))
        async with asyncio.timeout(5):
            assert (await reader.readexactly(11))[9:] == (1100).to_bytes(2, "big")
        writer.transport.abort()
        stranger = ssl.create_default_context(cafile=authority.ca)
        with pytest.raises(OSError):  # in the handshake or, with TLS 1.3, at the first read
            reader, writer = await asyncio.open_connection("127.0.0.1", ready["modbus"], ssl=stranger)
            async with asyncio.timeout(5):
                if await reader.read(1) == b"":
                    raise ConnectionResetError
        assert (await end(child, signal.SIGTERM))[0] == 0

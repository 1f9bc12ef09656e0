from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from hardware_mocks.faults import Behaviour, Fault, Unsupported
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.process import Process


@pytest_asyncio.fixture
async def server(process: Process) -> AsyncIterator[ModbusServer]:
    server = ModbusServer.of_line(process)
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture
async def client(server: ModbusServer) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0, timeout=0.3, reconnect_delay=0)
    assert await client.connect()
    yield client
    client.close()


class Raw:
    """A client that believes nothing: frames as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, pdu: bytes, *, unit: int = 1, transaction: int = 7) -> tuple[int, int, bytes]:
        await self.send(pdu, unit=unit, transaction=transaction)
        return await self.receive()

    async def send(self, pdu: bytes, *, unit: int = 1, transaction: int = 7) -> None:
        self._writer.write(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)
        await self._writer.drain()

    async def receive(self, within_s: float = 5.0) -> tuple[int, int, bytes]:
        async with asyncio.timeout(within_s):
            transaction, protocol, length, unit = struct.unpack(">HHHB", await self._reader.readexactly(7))
            assert protocol == 0
            return transaction, unit, await self._reader.readexactly(length - 1)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, size: int, within_s: float = 5.0) -> bytes:
        async with asyncio.timeout(within_s):
            return await self._reader.read(size)

    def close(self) -> None:
        self._writer.transport.abort()


@pytest_asyncio.fixture
async def raw(server: ModbusServer) -> AsyncIterator[Raw]:
    connection = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    yield connection
    connection.close()


def read_holding(start: int, count: int) -> bytes:
    return struct.pack(">BHH", 3, start, count)


def reorder(registers: list[int], order: str) -> float:
    """Independent of the server's packing: where does byte A, B, C, D stand?"""
    wire = b"".join(register.to_bytes(2, "big") for register in registers)
    value: float = struct.unpack(">f", bytes(wire[order.index(letter)] for letter in "ABCD"))[0]
    return value


async def test_holding_registers_carry_the_model(process: Process, client: AsyncModbusTcpClient) -> None:
    for _ in range(50):
        process.step(0.05)
    registers = (await client.read_holding_registers(2, count=16, device_id=1)).registers
    convert = client.convert_from_registers
    assert convert(registers[0:2], client.DATATYPE.FLOAT32) == pytest.approx(process.pressure_mpa)
    for index, order in enumerate(("ABCD", "CDAB", "BADC", "DCBA")):
        assert reorder(registers[2 * index : 2 * index + 2], order) == pytest.approx(process.pressure_mpa)
    assert registers[8:10] == [round(process.fan_rpm), round(process.conveyor_m_min * 100)]
    assert convert(registers[10:12], client.DATATYPE.INT32) == round(process.power_kw * 1000)
    assert registers[12:16] == [8500, 8700, 8600, 400]


async def test_counters_of_every_width(process: Process, client: AsyncModbusTcpClient) -> None:
    process.electricity.counts = 0xFFFF_FFFE
    process.mass_g = 0x0123_4567_89AB_CDEF
    registers = (await client.read_holding_registers(20, count=5, device_id=1)).registers
    assert client.convert_from_registers(registers[0:2], client.DATATYPE.UINT32) == 0xFFFF_FFFE
    assert client.convert_from_registers(registers[2:4], client.DATATYPE.UINT32) == process.gas.counts
    assert registers[4] == process.water.counts
    registers = (await client.read_holding_registers(26, count=4, device_id=1)).registers
    assert client.convert_from_registers(registers, client.DATATYPE.UINT64) == 0x0123_4567_89AB_CDEF


async def test_planted_constants(client: AsyncModbusTcpClient) -> None:
    registers = (await client.read_holding_registers(40, count=14, device_id=1)).registers
    for index, order in enumerate(("ABCD", "CDAB", "BADC", "DCBA")):
        assert reorder(registers[2 * index : 2 * index + 2], order) == pytest.approx(123.456)
    assert client.convert_from_registers(registers[8:10], client.DATATYPE.INT32) == -123_456
    assert client.convert_from_registers(registers[10:14], client.DATATYPE.UINT64) == 0x0123_4567_89AB_CDEF
    pattern = (await client.read_holding_registers(100, count=125, device_id=1)).registers
    assert pattern == [1100 + i for i in range(125)]


async def test_input_registers_coils_and_discrete_inputs(
    process: Process, client: AsyncModbusTcpClient
) -> None:
    process.zones[0].temperature_c = -12.3
    inputs = (await client.read_input_registers(0, count=14, device_id=1)).registers
    assert client.convert_from_registers(inputs[0:1], client.DATATYPE.INT16) == -123
    assert inputs[3:8] == [400, 380, 120, 450, 450]
    assert client.convert_from_registers(inputs[8:12], client.DATATYPE.FLOAT64) == process.mass_kg
    coils = (await client.read_coils(0, count=8, device_id=1)).bits
    assert coils == [True, True, True] + [False] * 5
    process.pressure_mpa = 0.51
    inputs_bits = (await client.read_discrete_inputs(0, count=16, device_id=1)).bits
    assert inputs_bits == [True] * 4 + [False] * 12


async def test_set_points_can_be_written(process: Process, client: AsyncModbusTcpClient) -> None:
    await client.write_register(14, 8123, device_id=1)
    await client.write_registers(15, [0xFF85, 8400, 450], device_id=1)
    assert [zone.setpoint_c for zone in process.zones] == pytest.approx([812.3, -12.3, 840.0])
    assert process.pressure_setpoint_mpa == pytest.approx(0.45)
    registers = (await client.read_holding_registers(14, count=4, device_id=1)).registers
    assert registers == [8123, 0xFF85, 8400, 450]
    await client.write_coil(0, False, device_id=1)
    assert not process.running
    await client.write_coils(0, [True], device_id=1)
    assert process.running
    assert (await client.write_register(2, 1, device_id=1)).exception_code == 2
    assert (await client.write_registers(17, [1, 2], device_id=1)).exception_code == 2


@pytest.mark.parametrize(
    ("request_pdu", "code"),
    [
        (struct.pack(">BHH", 0x2B, 0, 1), 1),
        (struct.pack(">B", 7), 1),
        (read_holding(30, 1), 2),
        (read_holding(26, 16), 2),
        (read_holding(349, 2), 2),
        (read_holding(65535, 2), 2),
        (struct.pack(">BHH", 4, 14, 1), 2),
        (struct.pack(">BHH", 1, 8, 1), 2),
        (struct.pack(">BHH", 2, 0, 17), 2),
        (read_holding(0, 0), 3),
        (read_holding(100, 126), 3),
        (struct.pack(">BHH", 1, 0, 2001), 3),
        (struct.pack(">BHH", 5, 0, 0x1234), 3),
        (struct.pack(">BHHB", 16, 14, 2, 2) + b"\0\0", 3),
    ],
)
async def test_exceptions(raw: Raw, request_pdu: bytes, code: int) -> None:
    assert await raw.ask(request_pdu) == (7, 1, bytes((request_pdu[0] | 0x80, code)))


async def test_the_largest_read_is_answered(raw: Raw) -> None:
    _, _, reply = await raw.ask(read_holding(100, 125))
    assert reply[:2] == b"\x03\xfa"
    assert len(reply) == 252


async def test_several_units_behind_one_connection_and_unknown_ones(raw: Raw) -> None:
    for unit in (1, 2, 3):
        assert (await raw.ask(read_holding(10, 1), unit=unit))[1] == unit
    assert await raw.ask(read_holding(10, 1), unit=9) == (7, 9, b"\x83\x0b")


async def test_requests_may_come_in_pieces_or_together(raw: Raw) -> None:
    frame = struct.pack(">HHHB", 21, 0, 6, 1) + read_holding(10, 1)
    await raw.write(frame[:3])
    await raw.write(frame[3:9])
    await raw.write(frame[9:] + frame + frame)
    assert [(await raw.receive())[0] for _ in range(3)] == [21, 21, 21]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\0\0\1\1", b"\0\1\0\0\x01\x00\1"])
async def test_what_is_no_modbus_frame_ends_the_connection(raw: Raw, garbage: bytes) -> None:
    await raw.write(garbage)
    try:
        assert await raw.read(1) == b""
    except ConnectionResetError:
        pass


async def test_poll_counter_counts_reads_that_cover_it_per_unit(client: AsyncModbusTcpClient) -> None:
    async def counter(unit: int, count: int = 2) -> int:
        registers = (await client.read_holding_registers(0, count=count, device_id=unit)).registers
        value = client.convert_from_registers(registers[:2], client.DATATYPE.UINT32)
        assert isinstance(value, int)
        return value

    assert [await counter(1), await counter(1, 18), await counter(2), await counter(1)] == [1, 2, 1, 3]
    await client.read_holding_registers(1, count=10, device_id=1)
    await client.read_holding_registers(0, count=31, device_id=1)  # refused: hr:30 does not exist
    await client.read_input_registers(0, count=2, device_id=1)
    assert await counter(1) == 4


async def test_poll_counter_rolls_over_as_uint32(server: ModbusServer, raw: Raw) -> None:
    server.units[1].polls = 2**32 - 2  # type: ignore[attr-defined]
    assert (await raw.ask(read_holding(0, 2)))[2] == b"\x03\x04\xff\xff\xff\xff"
    assert (await raw.ask(read_holding(0, 2)))[2] == b"\x03\x04\x00\x00\x00\x00"


async def test_a_silent_unit_reads_and_never_answers_while_others_do(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(3, Behaviour(Fault.SILENT))
    await raw.send(read_holding(10, 1), unit=3, transaction=1)
    assert (await raw.ask(read_holding(10, 1), unit=1, transaction=2))[0] == 2
    assert server.state()["units"] == {"1": 1, "2": 0, "3": 1}
    await server.set_fault(3, Behaviour())
    assert (await raw.ask(read_holding(10, 1), unit=3, transaction=3))[0] == 3


async def test_a_wholly_silent_server_still_accepts(server: ModbusServer) -> None:
    await server.set_fault(None, Behaviour(Fault.SILENT))
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0, timeout=0.2, reconnect_delay=0)
    assert await client.connect()
    with pytest.raises(ModbusIOException):
        await client.read_holding_registers(10, count=1, device_id=1)
    client.close()
    assert server.requests[1] == 1


async def test_late_answers_come_late_and_do_not_hold_up_others(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(2, Behaviour(Fault.LATE, delay_s=0.3))
    began = asyncio.get_running_loop().time()
    await raw.send(read_holding(10, 1), unit=2, transaction=1)
    await raw.send(read_holding(10, 1), unit=1, transaction=2)
    assert [(await raw.receive())[0], (await raw.receive())[0]] == [2, 1]
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_refuse_closes_port_and_connections_and_ok_brings_them_back(
    server: ModbusServer, raw: Raw
) -> None:
    port = server.port
    await raw.ask(read_holding(10, 1))
    await server.set_fault(None, Behaviour(Fault.REFUSE))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await raw.receive()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await server.set_fault(None, Behaviour())
    again = Raw(*await asyncio.open_connection("127.0.0.1", port))
    assert (await again.ask(read_holding(10, 1)))[0] == 7
    again.close()


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (Fault.WRONG_TRANSACTION, (8, 1, b"\x03\x04\x04\x4c\x04\x4d")),
        (Fault.WRONG_UNIT, (7, 2, b"\x03\x04\x04\x4c\x04\x4d")),
        (Fault.WRONG_FUNCTION, (7, 1, b"\x04\x04\x04\x4c\x04\x4d")),
        (Fault.SHORT, (7, 1, b"\x03\x02\x04\x4c")),
        (Fault.LONG, (7, 1, b"\x03\x06\x04\x4c\x04\x4d\x5a\x5a")),
        (Fault.EXCEPTION, (7, 1, b"\x83\x06")),
    ],
)
async def test_wrong_replies_are_wrong_in_one_thing_only(
    server: ModbusServer, raw: Raw, fault: Fault, reply: tuple[int, int, bytes]
) -> None:
    await server.set_fault(1, Behaviour(fault, times=1))
    assert await raw.ask(read_holding(100, 2)) == reply
    assert await raw.ask(read_holding(100, 2)) == (7, 1, b"\x03\x04\x04\x4c\x04\x4d")


async def test_a_truncated_reply_breaks_off(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(None, Behaviour(Fault.TRUNCATED))
    await raw.send(read_holding(100, 2))
    assert await raw.read(100) == struct.pack(">HHH", 7, 0, 7)
    with pytest.raises(TimeoutError):
        await raw.read(1, within_s=0.1)


async def test_times_counts_requests(server: ModbusServer, raw: Raw) -> None:
    await server.set_fault(None, Behaviour(Fault.EXCEPTION, code=4, times=2))
    codes = [(await raw.ask(read_holding(100, 1)))[2][0] for _ in range(3)]
    assert codes == [0x83, 0x83, 0x03]


async def test_senseless_orders_are_refused(server: ModbusServer) -> None:
    with pytest.raises(Unsupported, match="no unit 77"):
        await server.set_fault(77, Behaviour(Fault.SILENT))
    with pytest.raises(Unsupported, match="single unit"):
        await server.set_fault(1, Behaviour(Fault.REFUSE))
    with pytest.raises(Unsupported, match="nonsense"):
        Behaviour.parse({"fault": "nonsense"})
    assert server.state()["listening"]


async def test_close_leaves_no_connection_and_no_task(server: ModbusServer, raw: Raw) -> None:
    await raw.ask(read_holding(10, 1))
    await server.close()
    await server.close()
    assert server.state()["connections"] == 0 or await raw.read(1) == b""
    assert asyncio.all_tasks() == {asyncio.current_task()}

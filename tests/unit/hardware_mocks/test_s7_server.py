from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from snap7.client import Client
from snap7.error import S7Error
from snap7.type import Area

from hardware_mocks.faults import Behaviour, Fault, Unsupported
from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server


@pytest_asyncio.fixture
async def server(process: Process) -> AsyncIterator[S7Server]:
    server = S7Server(process)
    await server.start()
    yield server
    await server.close()


@contextmanager
def connected(port: int, slot: int = 1) -> Iterator[Client]:
    client = Client()
    client.connect("127.0.0.1", 0, slot, port)
    try:
        yield client
    finally:
        client.disconnect()


async def with_client(server: S7Server, work: Callable[[Client], Any]) -> Any:
    def run() -> Any:
        with connected(server.port) as client:
            return work(client)

    return await asyncio.to_thread(run)


class Raw:
    """Frames by hand: what the library's client will not send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, cotp: bytes) -> None:
        self._writer.write(struct.pack(">BBH", 3, 0, len(cotp) + 4) + cotp)
        await self._writer.drain()

    async def receive(self, within_s: float = 5.0) -> bytes:
        async with asyncio.timeout(within_s):
            _, _, length = struct.unpack(">BBH", await self._reader.readexactly(4))
            return await self._reader.readexactly(length - 4)

    async def job(self, parameter: bytes, reference: int = 5) -> tuple[int, int, int, bytes, bytes]:
        """-> PDU kind, reference, error, parameter, data"""
        await self.send(
            b"\x02\xf0\x80" + struct.pack(">BBHHHH", 0x32, 1, 0, reference, len(parameter), 0) + parameter
        )
        reply = (await self.receive())[3:]
        _, kind, _, echoed, size, data_size, error = struct.unpack_from(">BBHHHHH", reply)
        assert len(reply) == 12 + size + data_size
        return kind, echoed, error, reply[12 : 12 + size], reply[12 + size :]

    async def connect(self, slot: int = 1) -> bytes:
        await self.send(
            b"\x11\xe0\x00\x00\x00\x21\x00\xc0\x01\x0a\xc1\x02\x01\x00\xc2\x02\x01" + bytes((slot,))
        )
        return await self.receive()

    async def setup(self, pdu: int) -> int:
        _, _, error, parameter, _ = await self.job(struct.pack(">BBHHH", 0xF0, 0, 1, 1, pdu))
        assert error == 0
        return int(struct.unpack_from(">H", parameter, 6)[0])

    def close(self) -> None:
        self._writer.transport.abort()


@pytest_asyncio.fixture
async def raw(server: S7Server) -> AsyncIterator[Raw]:
    connection = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    yield connection
    connection.close()


def item(block: int, start: int, count: int, kind: int = 0x02, *, bit: int = 0, area: int = 0x84) -> bytes:
    address = (start << 3 | bit).to_bytes(3, "big")
    return struct.pack(">BBBBHHB", 0x12, 0x0A, 0x10, kind, count, block, area) + address


def read(*items: bytes) -> bytes:
    return bytes((4, len(items))) + b"".join(items)


async def test_db1_carries_the_model(process: Process, server: S7Server) -> None:
    for _ in range(30):
        process.step(0.05)
    data = await with_client(server, lambda client: client.db_read(1, 0, 68))
    assert struct.unpack_from(">i", data, 0) == (1,)
    assert struct.unpack_from(">3f", data, 4) == pytest.approx([z.temperature_c for z in process.zones])
    assert struct.unpack_from(">3f", data, 16) == (850.0, 870.0, 860.0)
    assert struct.unpack_from(">hh", data, 28) == (
        round(process.conveyor_m_min * 100),
        round(process.fan_rpm),
    )
    assert struct.unpack_from(">ii", data, 32) == (process.mass_g // 100, round(process.power_kw * 1000))
    assert struct.unpack_from(">f", data, 40)[0] == pytest.approx(process.pressure_mpa)
    assert data[44:48] == bytes((0b1111, 30)) + struct.pack(">h", -1234)
    assert struct.unpack_from(">dIQ", data, 48) == (
        process.gas.value,
        process.electricity.counts,
        process.mass_g,
    )


async def test_bits_follow_the_line(process: Process, server: S7Server) -> None:
    process.running = False
    process.step(0.05)

    def bits(client: Client) -> list[int]:
        return [client.read_area(Area.DB, 1, 44 * 8 + bit, 1, _bit_type())[0] for bit in (0, 1, 2, 3, 4)]

    assert await with_client(server, bits) == [0, 1, 0, 1, 0]  # the fan runs down slowly


def _bit_type() -> Any:
    from snap7.type import WordLen

    return WordLen.Bit


async def test_a_long_block_is_read_in_several_pdus(server: S7Server) -> None:
    data = await with_client(server, lambda client: client.db_read(2, 0, 512))
    assert data == bytearray(i % 256 for i in range(512))
    assert server.requests == 3


async def test_multi_item_read_with_the_library(server: S7Server) -> None:
    items = [{"area": Area.DB, "db_number": 2, "start": start, "size": 3} for start in (0, 100, 201)]
    _, values = await with_client(server, lambda client: client.read_multi_vars(items))
    assert values == [bytearray((0, 1, 2)), bytearray((100, 101, 102)), bytearray((201, 202, 203))]


@pytest.mark.parametrize(("offered", "wanted", "agreed"), [(240, 480, 240), (480, 240, 240), (960, 960, 960)])
async def test_pdu_length_is_negotiated(process: Process, offered: int, wanted: int, agreed: int) -> None:
    server = S7Server(process, pdu=offered)
    await server.start()
    raw = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    assert (await raw.connect())[1] == 0xD0
    assert await raw.setup(wanted) == agreed
    raw.close()
    await server.close()


async def test_item_codes_stand_beside_good_items(raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)
    kind, reference, error, parameter, data = await raw.job(
        read(item(2, 0, 3), item(9, 0, 1), item(2, 511, 2), item(2, 8, 1, 0x1C), item(1, 44, 1, 0x01, bit=3)),
        reference=0xBEEF,
    )
    assert (kind, reference, error, parameter) == (3, 0xBEEF, 0, b"\x04\x05")
    assert data == (
        b"\xff\x04\x00\x18\x00\x01\x02\x00"  # three bytes, padded to even
        b"\x0a\x00\x00\x00"
        b"\x05\x00\x00\x00"
        b"\x06\x00\x00\x00"
        b"\xff\x03\x00\x01\x01"  # the last one is not padded
    )


@pytest.mark.parametrize(
    ("kind", "reply_kind", "length"),
    [(0x02, 4, 64), (0x04, 4, 128), (0x05, 5, 128), (0x06, 4, 256), (0x07, 5, 256), (0x08, 7, 32)],
)
async def test_lengths_are_in_bits_or_bytes_as_the_type_demands(
    raw: Raw, kind: int, reply_kind: int, length: int
) -> None:
    await raw.connect()
    await raw.setup(240)
    _, _, _, _, data = await raw.job(read(item(2, 0, 8, kind)))
    assert struct.unpack_from(">BBH", data) == (0xFF, reply_kind, length)
    size = length if reply_kind == 7 else length // 8
    assert data[4:] == bytes(range(size))


async def test_an_area_that_no_controller_has_does_not_exist(raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)
    _, _, _, _, data = await raw.job(read(item(0, 0, 1, area=0x99)))
    assert data == b"\x0a\x00\x00\x00"


async def test_twenty_items_are_served_and_twenty_one_refused(process: Process) -> None:
    server = S7Server(process, pdu=480)
    await server.start()
    raw = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
    await raw.connect()
    await raw.setup(480)
    assert (await raw.job(read(*[item(2, i, 1) for i in range(20)])))[2] == 0
    assert (await raw.job(read(*[item(2, i, 1) for i in range(21)])))[2] == 0x8500
    raw.close()
    await server.close()


async def test_a_reply_that_would_exceed_the_pdu_is_refused(raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)
    # 12 header + 2 parameter + 4 item header + data
    assert (await raw.job(read(item(2, 0, 222))))[2] == 0
    kind, _, error, parameter, data = await raw.job(read(item(2, 0, 223)))
    assert (kind, error, parameter, data) == (2, 0x8500, b"", b"")


async def test_other_functions_are_not_available(raw: Raw) -> None:
    await raw.connect()
    assert (await raw.job(read(item(2, 0, 1))))[2] == 0x8104  # nothing negotiated yet
    await raw.setup(240)
    assert (await raw.job(b"\x29\0\0\0\0\0\x09P_PROGRAM"))[2] == 0x8104


async def test_a_slot_without_controller_is_disconnected(raw: Raw) -> None:
    assert (await raw.connect(slot=5))[1] == 0x80


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x03\x00\x00\x03", b"\x03\x00\x00\x07\x02\xf0\x80"]
)
async def test_what_is_no_s7_frame_ends_the_connection(server: S7Server, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(garbage)
    async with asyncio.timeout(5):
        try:
            assert await reader.read(1) == b""
        except ConnectionResetError:
            pass
    writer.transport.abort()


async def test_poll_counter_counts_requests_that_cover_it(raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)

    async def counter(*more: bytes) -> int:
        _, _, _, _, data = await raw.job(read(item(1, 0, 4), *more))
        return int.from_bytes(data[4:8], "big")

    assert [await counter(), await counter(item(1, 0, 4), item(1, 4, 4))] == [1, 2]
    await raw.job(read(item(1, 1, 8)))
    await raw.job(read(item(2, 0, 8)))
    assert await counter() == 3


async def test_silent_late_and_refuse(server: S7Server, raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)
    await server.set_fault(None, Behaviour(Fault.SILENT))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await raw.job(read(item(2, 0, 1)))
    assert server.requests == 1
    await server.set_fault(None, Behaviour(Fault.LATE, delay_s=0.3))
    began = asyncio.get_running_loop().time()
    assert (await raw.job(read(item(2, 0, 1)), reference=9))[1] == 9
    assert asyncio.get_running_loop().time() - began >= 0.3
    await server.set_fault(None, Behaviour(Fault.REFUSE))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await raw.receive()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    await server.set_fault(None, Behaviour())
    assert await with_client(server, lambda client: client.db_read(2, 7, 1)) == bytearray(b"\x07")


async def test_wrong_pdu_reference_and_what_the_library_makes_of_an_error(server: S7Server, raw: Raw) -> None:
    await raw.connect()
    await raw.setup(240)
    await server.set_fault(None, Behaviour(Fault.WRONG_TRANSACTION, times=1))
    assert (await raw.job(read(item(2, 0, 1)), reference=9))[1] == 10
    assert (await raw.job(read(item(2, 0, 1)), reference=9))[1] == 9
    with pytest.raises(S7Error):
        await with_client(server, lambda client: client.db_read(9, 0, 1))
    with pytest.raises(Unsupported):
        await server.set_fault(1, Behaviour(Fault.SILENT))
    with pytest.raises(Unsupported):
        await server.set_fault(None, Behaviour(Fault.WRONG_UNIT))

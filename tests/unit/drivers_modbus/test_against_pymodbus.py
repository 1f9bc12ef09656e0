"""Against a server that is not ours: pymodbus's own, with its own idea of tables, packing and refusals."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.modbus import PLUGIN
from drivers.modbus.address import Table
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.request import read_of
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Columns, Plan
from edge_agent.errors import Refused, Replan
from edge_agent.model import Quality, Tag, ValueType

REQUESTS = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
    Table.INPUT: ReadInputRegistersRequest,
}
FLOATS = [index * 1.5 - 100 for index in range(100)]


@pytest.mark.parametrize("table", Table)
@pytest.mark.parametrize(("offset", "count"), [(0, 1), (300, 125), (0xFFFF, 1)])
def test_requests_are_those_of_the_library(table: Table, offset: int, count: int) -> None:
    theirs = REQUESTS[table](address=offset, count=count).encode()
    assert read_of(1, table, offset, count).pdu == bytes([table.function]) + theirs


def registers(address: int, values: list[int]) -> SimData:
    return SimData(address, values=values, datatype=DataType.REGISTERS)


def as_registers(layout: str, *values: float) -> list[int]:
    data = struct.pack(layout, *values)
    return list(struct.unpack(f">{len(data) // 2}H", data))


def device() -> SimDevice:
    """Holding registers 0..499 hold their own address, 1000..1199 floats, and of 2000..2049 only 2010..2014
    are missing. Coils and inputs: every third one is on."""
    bits = [SimData(0, values=[n % 3 == 0 for n in range(320)], datatype=DataType.BITS)]
    holding = [
        registers(0, list(range(500))),
        registers(1000, as_registers(">100f", *FLOATS)),
        registers(2000, list(range(10))),
        registers(2015, list(range(35))),
    ]
    inputs = [registers(0, as_registers(">qQd", -(2**63), 2**64 - 1, 0.1))]
    return SimDevice(5, simdata=(bits, bits, holding, inputs))


@pytest_asyncio.fixture
async def link() -> AsyncIterator[ModbusTcpLink]:
    server = ModbusTcpServer(device(), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    link = ModbusTcpLink(made(port))
    await link.connect()
    yield link
    await link.close()
    await server.shutdown()


def made(port: int = 502, **keys: object) -> ModbusSettings:
    return ModbusSettings.model_validate({"link": f"tcp://127.0.0.1:{port}", "station": 5, **keys})


async def read(link: ModbusTcpLink, tags: list[Tag], **keys: object) -> tuple[Columns, Plan]:
    """One poll as the supervisor does it, with plans made anew until nothing more is learned."""
    learned = None
    for _ in range(40):
        plan = PLUGIN.plan(made(**keys), tags, None, learned)
        replies: list[object] = []
        for request in plan.requests:
            try:
                async with asyncio.timeout(3):
                    replies.append(await link.exchange(request))
            except Replan as lesson:
                learned = lesson.learned
                break
            except Refused:
                replies.append(Quality.BAD_ADDRESS)
        else:
            return plan.decode(replies), plan
    pytest.fail("the plan never settled")


async def test_500_registers(link: ModbusTcpLink) -> None:
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in range(500)]
    columns, plan = await read(link, tags)
    assert columns.values == tuple(range(500))
    assert columns.quality == bytes(500)
    assert len(plan.requests) == 4


async def test_floats_in_the_reverse_order_of_their_addresses(link: ModbusTcpLink) -> None:
    tags = [Tag(f"t{n}", f"hr:{1000 + 2 * n}", ValueType.FLOAT32) for n in reversed(range(100))]
    columns, _ = await read(link, tags)
    assert columns.values == tuple(reversed(FLOATS))


async def test_64_bits_stay_exact(link: ModbusTcpLink) -> None:
    tags = [
        Tag("low", "300001", ValueType.INT64),
        Tag("high", "300005", ValueType.UINT64),
        Tag("tenth", "300009", ValueType.FLOAT64),
    ]
    columns, _ = await read(link, tags)
    assert columns.values == (-(2**63), 2**64 - 1, 0.1)


@pytest.mark.parametrize("table", ["co", "di"])
async def test_bits(table: str, link: ModbusTcpLink) -> None:
    tags = [Tag(f"t{n}", f"{table}:{n}", ValueType.BOOL) for n in range(300)]
    columns, plan = await read(link, tags)
    assert columns.values == tuple(n % 3 == 0 for n in range(300))
    assert len(plan.requests) == 1
    columns, plan = await read(link, tags, max_bits=64)
    assert columns.values == tuple(n % 3 == 0 for n in range(300))
    assert len(plan.requests) == 5


async def test_a_hole_in_the_map_is_learned(link: ModbusTcpLink) -> None:
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in (2000, 2009, 2015, 2049)]
    columns, plan = await read(link, tags)
    assert columns.values == (0, 9, 0, 34)
    assert [request.text for request in plan.requests] == [
        "FC03 hr:2000..2009 = 402001..402010 (10 registers)",
        (
            "FC03 hr:2015..2049 = 402016..402050 (35 registers); "
            "split off: hr:2000..2049 = 402001..402050 was refused as a whole (exception 2)"
        ),
    ]


async def test_one_missing_tag_costs_its_neighbours_nothing(link: ModbusTcpLink) -> None:
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in range(2000, 2011)]
    columns, _ = await read(link, tags)
    assert columns.values == (*range(10), None)
    assert columns.quality == bytes(10) + bytes([Quality.BAD_ADDRESS])

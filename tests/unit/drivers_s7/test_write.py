"""Writing one value: what arrives in the controller, and what is refused before it or by it."""

from __future__ import annotations

import asyncio
import struct

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.link import S7Link
from drivers.s7.plan import Limits
from drivers.s7.write import unwritable, write_pdu
from edge_agent.driver import Writer
from edge_agent.errors import BadReply, LinkLost, Refused, StationError
from edge_agent.model import Quality, Value
from hardware_mocks.faults import Behaviour, Fault
from hardware_mocks.s7 import S7Server
from hardware_mocks.s7areas import COUNTERS, DB, MEMORY, OUTPUTS, TIMERS

from .plc import acknowledgement, connected, data_packet, read, scripted, settings_for
from .simulated import simulated
from .test_kinds import tag_for

GOOD = [
    ("byte", "DB3.DBB0", 200, "c8"),
    ("sint", "MB5", -2, "fe"),
    ("word", "QW2", 0xABCD, "abcd"),
    ("int", "%MW10", -2, "fffe"),
    ("udint", "DB3.DBD4", 2**32 - 1, "ffffffff"),
    ("dint", "DB3.DBD4", -(2**31), "80000000"),
    ("lint", "DB3.DBL8", -1, "ffffffffffffffff"),
    ("real", "DB3.DBD4", 20.5, "41a40000"),
    ("real", "DB3.DBD4", 20, "41a00000"),
    ("lreal", "DB3.DBL8", 0.1, "3fb999999999999a"),
    ("s5time", "DB3.DBW0", 12_300, "1123"),
    ("time", "DB3.DBD0", -1500, "fffffa24"),
    ("tod", "DB3.DBD0", 1, "00000001"),
    ("date", "DB3.DBW0", "2026-11-22", "34a2"),
    ("dt", "DB3.DBB0", "2026-11-22T10:11:12.345", "2611221011123451"),
    ("dtl", "DB3.DBB0", "2026-11-22T10:11:12", "07ea0b16010a0b0c00000000"),
    ("timer", "T5", 1230, "0123"),
    ("counter", "C3", 42, "0042"),
]
REFUSED: list[tuple[str, str, Value, str]] = [
    ("byte", "DB3.DBB0", 256, "does not fit"),
    ("byte", "DB3.DBB0", -1, "does not fit"),
    ("int", "DB3.DBW0", 1.0, "not a value of type int"),
    ("int", "DB3.DBW0", True, "not a value of type int"),
    ("int", "DB3.DBW0", None, "not a value of type int"),
    ("real", "DB3.DBD0", float("nan"), "not a value of type real"),
    ("real", "DB3.DBD0", 1e39, "does not fit"),
    ("lreal", "DB3.DBL0", 10**400, "does not fit"),
    ("real", "DB3.DBD0", "1", "not a value of type real"),
    ("s5time", "DB3.DBW0", 15, "does not fit"),
    ("counter", "C3", 1000, "does not fit"),
    ("tod", "DB3.DBD0", 86_400_000, "does not fit"),
    ("date", "DB3.DBW0", "1989-12-31", "does not fit"),
    ("dt", "DB3.DBB0", "2026-11-22T10:11:12+08:00", "does not fit"),
    ("int", "IW0", 1, "input"),
    ("string", "DB3.DBB0", "abc", "texts"),
    ("bool", "DB3.DBX0.1", True, "DB3.DBB0 is not one of exclusive_bytes"),
    ("bool", "M10.1", True, "MB10 is not one of exclusive_bytes"),
    ("bool", "M9.1", 1, "not a bool"),
    ("int", "DB3.X", 1, "not an S7 address"),
]


@pytest.mark.parametrize(("kind", "address"), [(kind, address) for kind, address, _, _ in GOOD])
def test_nothing_is_said_offline_against_what_can_be_written(kind: str, address: str) -> None:
    assert unwritable(settings_for(1), tag_for(kind, address)) is None


@pytest.mark.parametrize(
    ("kind", "address", "en", "zh"),
    [
        ("int", "IW0", "input", "输入区"),
        ("bool", "E3.1", "input", "输入区"),
        ("string", "DB3.DBB0", "texts", "文本"),
        ("bool", "DB3.DBX0.1", "add DB3.DBB0 to exclusive_bytes", "DB3.DBB0"),
        ("bool", "%M10.1", "add MB10 to exclusive_bytes", "MB10"),
    ],
)
def test_what_cannot_be_written_alone_is_known_offline(kind: str, address: str, en: str, zh: str) -> None:
    settings = settings_for(1, exclusive_bytes=["MB9", "DB3.DBB1"])
    found = unwritable(settings, tag_for(kind, address, 8 if kind == "string" else 1))
    assert found is not None and en in found.en and zh in found.zh


def test_an_exclusive_byte_makes_its_bits_writable() -> None:
    settings = settings_for(1, exclusive_bytes=["MB9", "DB3.DBB1"])
    for address in ("M9.1", "DB3.DBX1.7"):
        assert unwritable(settings, tag_for("bool", address)) is None


def test_mistakes_are_left_to_the_check() -> None:
    settings = settings_for(1, exclusive_bytes=["MW9"])
    assert unwritable(settings, tag_for("bool", "M9.1")) is None
    assert unwritable(settings, tag_for("int", "DB3.X")) is None


def held(server: S7Server, address: str, length: int) -> bytes:
    images = {
        "DB3.DBB0": (server.areas.blocks[3], 0),
        "DB3.DBW0": (server.areas.blocks[3], 0),
        "DB3.DBD0": (server.areas.blocks[3], 0),
        "DB3.DBD4": (server.areas.blocks[3], 4),
        "DB3.DBL8": (server.areas.blocks[3], 8),
        "MB5": (server.areas.areas[MEMORY], 5),
        "%MW10": (server.areas.areas[MEMORY], 10),
        "QW2": (server.areas.areas[OUTPUTS], 2),
        "T5": (server.areas.areas[TIMERS], 10),
        "C3": (server.areas.areas[COUNTERS], 6),
    }
    image, start = images[address]
    return bytes(image[start : start + length])


@pytest.mark.parametrize(("kind", "address", "raw", "data"), GOOD)
async def test_a_value_arrives_and_reads_back(kind: str, address: str, raw: Value, data: str) -> None:
    tag = tag_for(kind, address)
    async with simulated() as server:
        settings = settings_for(server.port)
        async with connected(settings) as (link, limits):
            async with asyncio.timeout(2):
                await link.write(settings, tag, raw)
            columns = await read(link, settings, [tag], limits)
        assert held(server, address, len(data) // 2).hex() == data
        assert columns.quality == bytes((Quality.GOOD,))
        assert columns.values[0] == raw or kind in ("dtl", "dt")


@pytest.mark.parametrize(("kind", "address", "raw", "words"), REFUSED)
def test_what_cannot_be_written_alone_is_refused_before_it_is_sent(
    kind: str, address: str, raw: Value, words: str
) -> None:
    settings = settings_for(1, exclusive_bytes=["MB9", "DB3.DBB1"])
    length = 8 if kind == "string" else 1
    with pytest.raises(Refused, match=words) as caught:
        write_pdu(settings, tag_for(kind, address, length), raw)
    assert address.lstrip("%") in str(caught.value)


async def test_a_bit_of_an_exclusive_byte_is_written_without_its_neighbours() -> None:
    async with simulated() as server:
        memory = server.areas.areas[MEMORY]
        memory[10] = 0b1000_0001
        settings = settings_for(server.port, exclusive_bytes=["%mb10", "DB3.DBB1"])
        assert PLUGIN.check(settings, []) == []
        async with connected(settings) as (link, _):
            await link.write(settings, tag_for("bool", "M10.1"), True)
            assert memory[10] == 0b1000_0011
            await link.write(settings, tag_for("bool", "M10.0"), False)
            assert memory[10] == 0b1000_0010


async def test_a_bit_goes_out_as_one_bit_and_its_byte_is_never_read_for_it() -> None:
    """A read-modify-write would put back what the program changed in between."""
    asked: list[bytes] = []
    async with scripted({1: bytes(8)}) as plc:
        settings = settings_for(plc.port, exclusive_bytes=["DB1.DBB2"], cpu_state="0s")
        async with connected(settings) as (link, _):

            def keep(reply: bytes) -> list[bytes]:
                asked.append(reply)
                return [data_packet(acknowledgement(int.from_bytes(reply[4:6]), b"\x05\x01", b"\xff"))]

            plc.send = keep
            await link.write(settings, tag_for("bool", "DB1.DBX2.5"), True)
            assert len(asked) == 1, "one request"
            with pytest.raises(Refused, match="exclusive_bytes"):
                await link.write(settings, tag_for("bool", "DB1.DBX3.5"), True)
            assert len(asked) == 1, "and none for a byte that is not declared"


async def test_the_commands_of_the_simulated_line() -> None:
    """Horn and lamp share a byte that is the agent's alone; status and set-points lie elsewhere."""
    async with simulated() as server:
        process = server.areas._process
        settings = settings_for(server.port, exclusive_bytes=["DB4.DBB2"])
        async with connected(settings) as (link, _):
            await link.write(settings, tag_for("bool", "DB4.DBX2.1"), True)
            assert (process.horn, process.lamp) == (False, True)
            await link.write(settings, tag_for("bool", "DB4.DBX2.0"), True)
            assert (process.horn, process.lamp) == (True, True)
            with pytest.raises(Refused, match="exclusive_bytes"):
                await link.write(settings, tag_for("bool", "DB4.DBX3.0"), False)
            await server.set_fault(None, Behaviour(Fault.WRITE_STUCK, times=1))
            await read(link, settings, [tag_for("real", "DB4.DBD4")], Limits())
            for value in (0.5, 0.75):
                await link.write(settings, tag_for("real", "DB4.DBD4"), value)
                assert process.pressure_setpoint_mpa == (0.4 if value == 0.5 else 0.75)
    assert server.state()["writes"] == 4, "what was refused here was never sent"


def test_the_request_is_what_the_protocol_says() -> None:
    """By hand, field by field, apart from the server's own understanding of it."""
    settings = settings_for(1, exclusive_bytes=["DB1.DBB2"])
    bit = write_pdu(settings, tag_for("bool", "DB1.DBX2.5"), True)
    assert bit.hex(" ") == (
        "32 01 00 00 00 00 00 0e 00 05 05 01 12 0a 10 01 00 01 00 01 84 00 00 15 00 03 00 01 01"
    )
    word = write_pdu(settings, tag_for("int", "MW10"), 258)
    assert word.hex(" ") == (
        "32 01 00 00 00 00 00 0e 00 06 05 01 12 0a 10 02 00 02 00 00 83 00 00 50 00 04 00 10 01 02"
    )
    timer = write_pdu(settings, tag_for("timer", "T5"), 1230)
    assert timer.hex(" ") == (
        "32 01 00 00 00 00 00 0e 00 06 05 01 12 0a 10 1d 00 01 00 00 1d 00 00 05 00 09 00 02 01 23"
    )


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (0x03, "not allow", "permission"),
        (0x05, "range", "illegal_address"),
        (0x0A, "no such", "illegal_address"),
    ],
)
async def test_the_controllers_own_refusal_has_its_reason(code: int, words: str, reason: str) -> None:
    async with simulated() as server:
        server.areas.item_errors[DB, 3] = code
        settings = settings_for(server.port)
        before = bytes(server.areas.blocks[3])
        async with connected(settings) as (link, _):
            with pytest.raises(Refused, match=words) as caught:
                await link.write(settings, tag_for("int", "DB3.DBW0"), 1)
        assert caught.value.reason == reason
        assert bytes(server.areas.blocks[3]) == before


@pytest.mark.parametrize(
    "answer",
    [(b"\x04\x01", b"\xff"), (b"\x05\x02", b"\xff\xff"), (b"\x05\x01", b""), (b"\x05\x01", b"\xff\x00")],
)
async def test_an_answer_that_does_not_fit_a_write_proves_nothing(answer: tuple[bytes, bytes]) -> None:
    async with scripted({1: bytes(8)}) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, _):
            plc.send = lambda reply: [data_packet(acknowledgement(int.from_bytes(reply[4:6]), *answer))]
            with pytest.raises(BadReply):
                await link.write(settings, tag_for("int", "DB1.DBW0"), 1)


async def test_a_write_before_the_connection_is_a_lost_link() -> None:
    settings = settings_for(1)
    link = S7Link(settings)
    assert isinstance(link, Writer)
    with pytest.raises(LinkLost):
        await link.write(settings, tag_for("int", "DB1.DBW0"), 1)


async def test_a_read_after_a_write_that_was_not_answered_is_its_own() -> None:
    """The late acknowledgement of the write belongs to nobody any more."""
    kept: list[bytes] = []
    async with scripted({1: struct.pack(">h", 7)}) as plc:
        settings = settings_for(plc.port, cpu_state="0s")
        tag = tag_for("int", "DB1.DBW0")
        async with connected(settings) as (link, limits):
            correct = plc.send
            plc.send = lambda reply: kept.append(data_packet(reply)) or []  # type: ignore[func-returns-value]
            with pytest.raises((TimeoutError, StationError)):
                async with asyncio.timeout(0.05):
                    await link.write(settings, tag, 5)
            plc.send = lambda reply: [*kept, *correct(reply)]
            assert (await read(link, settings, [tag], limits)).values == (7,)
        assert kept

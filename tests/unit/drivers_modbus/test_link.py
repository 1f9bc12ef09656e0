"""The link against a peer that lies, stutters, is late or hangs up: never a wrong value.

The request is always hr:107..108 of station 17; the true answer is the number 7 and the number 11."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.plan import Learned
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Request, Reserved
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, Replan, StationSilent
from edge_agent.model import Tag, ValueType
from edge_agent.testing.wire import until

Connect = Callable[[], Awaitable[ModbusTcpLink]]
Reply = Callable[..., bytes]

TRUTH = struct.pack(">HH", 7, 11)
LIE = struct.pack(">HH", 666, 667)
SHORT_S = 0.1


def request_for(*addresses: str, station: int = 17, kind: ValueType = ValueType.UINT16) -> Request:
    settings = ModbusSettings(link="tcp://127.0.0.1", station=station, max_gap=2000)
    tags = [Tag(f"t{i}", address, kind) for i, address in enumerate(addresses)]
    (request,) = PLUGIN.plan(settings, tags, None, None).requests
    return request


REQUEST = request_for("hr:107", "hr:108")


async def ask(link: ModbusTcpLink, request: Request = REQUEST, patience_s: float = 3.0) -> bytes:
    async with asyncio.timeout(patience_s):
        return await link.exchange(request)


async def assert_silent(link: ModbusTcpLink) -> None:
    with pytest.raises(TimeoutError):
        await ask(link, patience_s=SHORT_S)


async def test_the_true_reply(peer: Any, connect: Connect, reply: Reply) -> None:
    peer.script = lambda request: [reply(request, TRUTH)]
    link = await connect()
    assert await ask(link) == TRUTH
    assert await ask(link) == TRUTH
    first, second = peer.received
    assert first[2:].hex(" ") == "00 00 00 06 11 03 00 6b 00 02"
    assert int.from_bytes(second[:2], "big") == (int.from_bytes(first[:2], "big") + 1) & 0xFFFF


async def test_bits_are_counted_in_bytes(peer: Any, connect: Connect, reply: Reply) -> None:
    link = await connect()
    request = request_for("co:0", "co:8", kind=ValueType.BOOL)
    peer.script = lambda frame: [reply(frame, b"\x01\x01")]
    assert await ask(link, request) == b"\x01\x01"
    for wrong in (b"\x01", b"\x01\x01\x00"):
        peer.script = lambda frame, wrong=wrong: [reply(frame, wrong)]
        with pytest.raises(BadReply):
            await ask(link, request)


async def test_the_longest_reply(peer: Any, connect: Connect, reply: Reply) -> None:
    data = bytes(range(250))
    peer.script = lambda request: [reply(request, data)]
    link = await connect()
    assert await ask(link, request_for("hr:0", "hr:124")) == data


MISFITS = {
    "another unit": (TRUTH, {"unit": 18}),
    "unit 0": (TRUTH, {"unit": 0}),
    "another function": (TRUTH, {"function": 4}),
    "a write's function": (TRUTH, {"function": 6}),
    "exception of another function, too long": (TRUTH, {"function": 0x83}),
    "fewer registers": (TRUTH[:2], {}),
    "more registers": (TRUTH + b"\0\0", {}),
    "an odd count": (TRUTH[:3], {}),
    "no registers": (b"", {}),
    "byte count too large for the frame": (TRUTH, {"byte_count": 6}),
    "byte count too small for the frame": (TRUTH, {"byte_count": 2}),
    "right byte count, longer frame": (TRUTH + LIE, {"byte_count": 4}),
}


@pytest.mark.parametrize("name", MISFITS)
async def test_a_reply_that_does_not_fit(name: str, peer: Any, connect: Connect, reply: Reply) -> None:
    data, wrong = MISFITS[name]
    link = await connect()
    peer.script = lambda request: [reply(request, data, **wrong)]
    with pytest.raises(BadReply) as caught:
        await ask(link)
    assert caught.value.reason == "mismatch"
    assert "station 17" in str(caught.value) and "FC03 hr:107..108" in str(caught.value)
    peer.script = lambda request: [reply(request, TRUTH)]
    assert await ask(link) == TRUTH, "the frames were sound, so the connection must stay"
    assert peer.connections == 1


BROKEN = {
    "another protocol": lambda reply, request: reply(request, TRUTH, protocol=1),
    "length 0": lambda reply, request: reply(request, TRUTH, length=0),
    "length 2": lambda reply, request: reply(request, TRUTH, length=2),
    "length 255": lambda reply, request: reply(request, TRUTH, length=255),
    "length 65535": lambda reply, request: reply(request, TRUTH, length=0xFFFF),
    "text": lambda reply, request: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "RTU frame": lambda reply, request: bytes.fromhex("1103040007000b6b31"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_frame_loses_the_link(name: str, peer: Any, connect: Connect, reply: Reply) -> None:
    peer.script = lambda request: [BROKEN[name](reply, request), reply(request, TRUTH)]
    link = await connect()
    with pytest.raises(LinkLost) as caught:
        await ask(link)
    assert "not a Modbus TCP frame" in str(caught.value)
    with pytest.raises(LinkLost):
        await ask(link)


async def test_another_transaction_is_waited_past(peer: Any, connect: Connect, reply: Reply) -> None:
    def lie_then_truth(request: bytes) -> list[bytes]:
        own = int.from_bytes(request[:2], "big")
        others = [reply(request, LIE, transaction=own + step) for step in (-1, 1, 256, 0x8000)]
        return [*others, reply(request, TRUTH), reply(request, LIE)]

    peer.script = lie_then_truth
    link = await connect()
    for _ in range(3):
        assert await ask(link) == TRUTH


async def test_another_transaction_alone_is_silence(peer: Any, connect: Connect, reply: Reply) -> None:
    peer.script = lambda request: [reply(request, LIE, transaction=request[1] + 1 << 8)]
    await assert_silent(await connect())


async def test_byte_by_byte(peer: Any, connect: Connect, reply: Reply) -> None:
    link = await connect()
    asking = asyncio.ensure_future(ask(link))
    await until(lambda: peer.received, "the request never arrived")
    for byte in reply(peer.received[0], TRUTH):
        assert not asking.done()
        peer.send(bytes([byte]))
        await asyncio.sleep(0.002)
    assert await asking == TRUTH


async def test_any_chunking(peer: Any, connect: Connect, reply: Reply) -> None:
    """Stale replies and the true one in one stream, cut anywhere; fed straight into the protocol."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    link = await connect()
    for _ in range(200):
        sent = len(peer.received)
        asking = asyncio.ensure_future(ask(link))
        await until(lambda sent=sent: len(peer.received) > sent, "the request never arrived")
        request = peer.received[-1]
        own = int.from_bytes(request[:2], "big")
        stale = [
            reply(request, chance.randbytes(4), transaction=own - 1 - i) for i in range(chance.randrange(4))
        ]
        stream = b"".join([*stale, reply(request, TRUTH)])
        while stream:
            size = chance.randint(1, 20)
            link.data_received(stream[:size])
            stream = stream[size:]
        assert await asking == TRUTH, f"seed {seed}"


async def test_a_lie_in_any_header_byte_is_never_believed(peer: Any, connect: Connect, reply: Reply) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)

    def lie_then_truth(request: bytes) -> list[bytes]:
        lie = bytearray(reply(request, LIE))
        place = chance.randrange(9)
        lie[place] ^= chance.randrange(1, 256)
        return [bytes(lie), reply(request, TRUTH)]

    peer.script = lie_then_truth
    link = await connect()
    believed = refused = 0
    for _ in range(150):
        try:
            assert await ask(link, patience_s=SHORT_S) == TRUTH, f"seed {seed}"
            believed += 1
        except BadReply:
            refused += 1
        except (LinkLost, TimeoutError):
            await link.close()
            link = await connect()
    assert believed and refused, f"seed {seed}: the script did not reach both outcomes"


async def test_garbage_is_never_believed(peer: Any, connect: Connect) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    peer.script = lambda request: [request[:2] + chance.randbytes(chance.randrange(4, 600))]
    for _ in range(50):
        link = await connect()
        with pytest.raises((DriverError, TimeoutError)):
            pytest.fail(f"seed {seed}: {await ask(link, patience_s=SHORT_S)!r}")


async def test_a_late_reply_is_dropped(peer: Any, connect: Connect, reply: Reply) -> None:
    link = await connect()
    for _ in range(3):
        await assert_silent(link)
    for late in peer.received:
        peer.send(reply(late, LIE))
    peer.script = lambda request: [reply(request, TRUTH)]
    assert await ask(link) == TRUTH
    assert await ask(link) == TRUTH
    assert peer.connections == 1


async def test_a_reply_cut_by_the_deadline_is_dropped_when_its_rest_comes(
    peer: Any, connect: Connect, reply: Reply
) -> None:
    link = await connect()
    peer.script = lambda request: [reply(request, LIE)[:8]]
    await assert_silent(link)
    late = peer.received[0]
    peer.script = lambda request: [reply(late, LIE)[8:] + reply(request, TRUTH)]
    assert await ask(link) == TRUTH


async def test_cancellation_in_the_turn_in_which_the_reply_arrives(
    peer: Any, connect: Connect, reply: Reply
) -> None:
    link = await connect()
    asking = asyncio.ensure_future(link.exchange(REQUEST))
    await until(lambda: peer.received, "the request never arrived")
    asking.cancel()
    link.data_received(reply(peer.received[0], LIE))
    with pytest.raises(asyncio.CancelledError):
        await asking
    peer.script = lambda request: [reply(request, TRUTH)]
    assert await ask(link) == TRUTH


async def test_a_dead_station_does_not_disturb_its_neighbour(
    peer: Any, connect: Connect, reply: Reply
) -> None:
    """Two of them are dead in the two ways a gateway has: saying nothing, and saying so."""

    def gateway(request: bytes) -> list[bytes]:
        if request[6] == 9:
            return []
        if request[6] == 10:
            return [request[:4] + b"\0\3" + bytes([10, 0x83, 11])]
        return [reply(request, TRUTH)]

    peer.script = gateway
    link = await connect()
    silent, unreachable = (request_for("hr:0", "hr:1", station=station) for station in (9, 10))
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await ask(link, silent, patience_s=0.02)
        with pytest.raises(StationSilent):
            await ask(link, unreachable)
        assert await ask(link) == TRUTH
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (1, Refused, "illegal_function"),
        (4, Refused, "other"),
        (5, Busy, "busy"),
        (6, Busy, "busy"),
        (8, Refused, "other"),
        (10, StationSilent, "timeout"),
        (11, StationSilent, "timeout"),
        (99, Refused, "other"),
    ],
)
async def test_exceptions(
    code: int, error: type[DriverError], reason: str, peer: Any, connect: Connect
) -> None:
    peer.script = lambda request: [request[:4] + b"\0\3" + bytes([17, 0x83, code])]
    link = await connect()
    with pytest.raises(error) as caught:
        await ask(link)
    assert type(caught.value) is error and caught.value.reason == reason
    assert f"exception {code}" in str(caught.value) and "station 17" in str(caught.value)


async def test_an_exception_of_another_station_is_not_ours(peer: Any, connect: Connect) -> None:
    peer.script = lambda request: [request[:4] + b"\0\3" + bytes([18, 0x83, 2])]
    link = await connect()
    with pytest.raises(BadReply):
        await ask(link)


@pytest.mark.parametrize("code", [2, 3])
async def test_a_refused_block_is_planned_anew_and_a_refused_value_is_not(
    code: int, peer: Any, connect: Connect
) -> None:
    peer.script = lambda request: [request[:4] + b"\0\3" + bytes([17, 0x83, code])]
    link = await connect()
    with pytest.raises(Replan) as caught:
        await ask(link)
    expected = Learned(frozenset({(3, 107, 109)})) if code == 2 else Learned(max_count=frozenset({(3, 1)}))
    assert caught.value.learned == expected
    with pytest.raises(Refused) as refused:
        await ask(link, request_for("hr:107"))
    assert refused.value.reason == "illegal_address"


async def test_two_lessons_of_one_plan_add_up_per_station(peer: Any, connect: Connect) -> None:
    peer.script = lambda request: [request[:4] + b"\0\3" + bytes([request[6], 0x83, 2])]
    link = await connect()
    lessons = []
    for first, station in ((0, 1), (500, 1), (900, 2)):
        request = request_for(f"hr:{first}", f"hr:{first + 1}", station=station)
        with pytest.raises(Replan) as caught:
            await ask(link, request)
        lessons.append({start for _, start, _ in caught.value.learned.refused})
    assert lessons == [{0}, {0, 500}, {900}]


async def test_hanging_up_while_asked(peer: Any, connect: Connect) -> None:
    link = await connect()
    asking = asyncio.ensure_future(ask(link))
    await until(lambda: peer.received, "the request never arrived")
    peer.hang_up()
    with pytest.raises(LinkLost) as caught:
        await asking
    assert "the device closed the connection" in str(caught.value) and caught.value.reason == "reset"


async def test_hanging_up_in_the_middle_of_a_reply(peer: Any, connect: Connect, reply: Reply) -> None:
    link = await connect()
    asking = asyncio.ensure_future(ask(link))
    await until(lambda: peer.received, "the request never arrived")
    peer.send(reply(peer.received[0], TRUTH)[:-1])
    peer.hang_up()
    with pytest.raises(LinkLost):
        await asking


async def test_a_reset(peer: Any, connect: Connect) -> None:
    link = await connect()
    asking = asyncio.ensure_future(ask(link))
    await until(lambda: peer.received, "the request never arrived")
    peer.reset()
    with pytest.raises(LinkLost) as caught:
        await asking
    assert caught.value.reason == "reset"


async def test_a_refused_connection_says_so(peer: Any) -> None:
    await peer.stop()
    link = ModbusTcpLink(ModbusSettings(link=f"tcp://127.0.0.1:{peer.port}"))
    with pytest.raises(LinkLost) as caught:
        await link.connect()
    assert caught.value.reason == "refused"
    assert str(caught.value) == f"127.0.0.1:{peer.port}: Connection refused"
    await link.close()


async def test_before_connect_and_after_close_there_is_no_exchange(connect: Connect) -> None:
    fresh = ModbusTcpLink(ModbusSettings(link="tcp://127.0.0.1"))
    with pytest.raises(LinkLost):
        await ask(fresh)
    link = await connect()
    await link.close()
    with pytest.raises(LinkLost) as caught:
        await ask(link)
    assert "not connected" in str(caught.value)


async def test_close_ends_a_waiting_exchange(peer: Any, connect: Connect) -> None:
    link = await connect()
    asking = asyncio.ensure_future(ask(link))
    await until(lambda: peer.received, "the request never arrived")
    await link.close()
    with pytest.raises(LinkLost):
        await asking


async def test_proving_costs_nothing(peer: Any, connect: Connect) -> None:
    link = await connect()
    await link.prove(ModbusSettings(link="tcp://127.0.0.1"), Reserved())
    assert peer.received == []


async def test_transaction_ids_do_not_come_again_soon(peer: Any, connect: Connect, reply: Reply) -> None:
    peer.script = lambda request: [reply(request, TRUTH)]
    link = await connect()
    link._transaction = 0xFFF0  # a link starts anywhere; this one is about to wrap
    for _ in range(40):
        assert await ask(link) == TRUTH
    ids = [int.from_bytes(request[:2], "big") for request in peer.received]
    assert ids == [(0xFFF1 + i) & 0xFFFF for i in range(40)]

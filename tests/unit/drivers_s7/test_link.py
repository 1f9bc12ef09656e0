"""The link against controllers that misbehave: never a wrong value, never a hang of its own."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence

import pytest

from drivers.s7 import PLUGIN
from drivers.s7.link import S7Link
from drivers.s7.plan import Limits
from edge_agent.driver import Plan, Reserved
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, Replan
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.testing.wire import until

from .plc import (
    ScriptedPlc,
    acknowledgement,
    connected,
    data_packet,
    good_item,
    packet,
    read,
    scripted,
    settings_for,
)

MEMORY = {1: bytes(range(1, 9)), 2: bytes(range(101, 109)), 3: bytes(range(201, 209))}
TAGS = (
    Tag("a", "DB1.DBW0", ValueType.UINT16),
    Tag("b", "DB2.DBB0", ValueType.UINT8),
    Tag("c", "DB3.DBW6", ValueType.UINT16),
)
VALUES = (0x0102, 101, 207 * 256 + 208)


def plan_for(limits: Limits | None = None, tags: Sequence[Tag] = TAGS) -> Plan:
    return PLUGIN.plan(settings_for(1), tags, limits, None)


async def one(link: S7Link, plan: Plan) -> object:
    async with asyncio.timeout(2):
        return await link.exchange(plan.requests[0])


async def test_a_read_arrives_even_byte_by_byte_and_in_cotp_fragments() -> None:
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plc.send = lambda reply: [bytes((byte,)) for byte in data_packet(reply)]
            assert (await read(link, settings, TAGS, limits)).values == VALUES
            plc.send = lambda reply: [
                b"".join(
                    (packet(b"\x02\xf0\x00" + reply[:9]), packet(b"\x02\xf0\x00"), data_packet(reply[9:]))
                )
            ]
            assert (await read(link, settings, TAGS, limits)).values == VALUES


@pytest.mark.parametrize(
    ("connection", "rack", "slot", "called"),
    [("op", 0, 1, "0201"), ("pg", 0, 2, "0102"), ("basic", 1, 3, "0323")],
)
async def test_the_connect_request_names_connection_rack_and_slot(
    connection: str, rack: int, slot: int, called: str
) -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port, connection=connection, rack=rack, slot=slot)):
            pass
        assert plc.connect_request.hex() == "11e00000000100c0010ac1020100c202" + called


async def test_limits_are_what_the_controller_grants_and_are_asked_for_once() -> None:
    async with scripted(MEMORY, pdu=300) as plc:
        asked = []
        plc.send_setup = lambda reply: asked.append(reply) or [data_packet(reply)]  # type: ignore[func-returns-value]
        settings = settings_for(plc.port, pdu=480)
        async with connected(settings) as (link, limits):
            assert limits == Limits(300, 1)
            assert await link.enrol(settings) == limits
        assert len(asked) == 1


async def test_a_small_tpdu_size_is_kept_in_requests() -> None:
    tags = [Tag(f"t{n}", f"DB{n + 1}.DBB0", ValueType.UINT8) for n in range(19)]
    async with scripted({n + 1: bytes((n,)) for n in range(19)}, pdu=240) as plc:
        plc.confirm = packet(bytes.fromhex("09d000010002 00 c00107"))
        plc.tpdu_size = 128
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            assert (await read(link, settings, tags, limits)).values == tuple(range(19))


def tampered(change: Callable[[bytearray], object]) -> Callable[[bytes], Sequence[bytes]]:
    def send(reply: bytes) -> Sequence[bytes]:
        copy = bytearray(reply)
        change(copy)
        return [data_packet(bytes(copy))]

    return send


def rebuilt(parameter: bytes, *items: bytes) -> Callable[[bytes], Sequence[bytes]]:
    return lambda reply: [
        data_packet(acknowledgement(int.from_bytes(reply[4:6]), parameter, b"".join(items)))
    ]


A, B, C = good_item(MEMORY[1][:2]), good_item(MEMORY[2][:1]) + b"\x00", good_item(MEMORY[3][6:8])
WRONG = {
    "not an acknowledgement": (tampered(lambda r: r.__setitem__(1, 1)), "not an acknow"),
    "acknowledgement without data": (tampered(lambda r: r.__setitem__(1, 2)), "without data"),
    "another function": (rebuilt(b"\x05\x03", A, B, C), "another function"),
    "one item too few": (rebuilt(b"\x04\x02", A, B), "answered 2"),
    "one item too many": (rebuilt(b"\x04\x04", A, B, C, A), "answered 4"),
    "count and data differ": (rebuilt(b"\x04\x03", A, B), "ends before item 3"),
    "an item too short": (rebuilt(b"\x04\x03", good_item(b"\x01") + b"\x00", B, C), "item 1 has 1 bytes"),
    "an item too long": (rebuilt(b"\x04\x03", good_item(b"\x01\x02\x03\x04"), B, C), "item 1 has 4 bytes"),
    "items exchanged": (rebuilt(b"\x04\x03", B, A, C), "item 1 has 1 bytes"),
    "bytes after the last item": (rebuilt(b"\x04\x03", A, B, C, b"\x00\x00"), "bytes of data"),
    "no padding": (rebuilt(b"\x04\x03", A, B[:-1], C), "bytes of data"),
    "a length of broken bits": (
        rebuilt(b"\x04\x03", struct.pack(">BBH", 0xFF, 4, 17) + b"\x01\x02", B, C),
        "item 1",
    ),
    "a bit instead of bytes": (
        rebuilt(b"\x04\x03", struct.pack(">BBH", 0xFF, 3, 2) + b"\x01\x02", B, C),
        "transport size 0x03",
    ),
    "lengths in the header do not add up": (tampered(lambda r: r.__setitem__(9, r[9] + 1)), "says otherwise"),
    "no data at all": (rebuilt(b"\x04\x03"), "ends before item 1"),
    "no parameter at all": (rebuilt(b""), "another function"),
}


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG.keys())
async def test_a_reply_that_does_not_fit_is_refused_and_the_link_goes_on(
    wrong: Callable[[bytes], Sequence[bytes]], words: str
) -> None:
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            correct, plc.send = plc.send, wrong
            with pytest.raises(BadReply, match=words) as caught:
                await one(link, plan_for(limits, TAGS))
            assert caught.value.reason == "mismatch"
            plc.send = correct
            await link.prove(settings, Reserved())
            assert (await read(link, settings, TAGS, limits)).values == VALUES


async def test_length_in_bytes_is_understood() -> None:
    """Transport size 09: some controllers count octets instead of bits."""
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            octets = [struct.pack(">BBH", 0xFF, 9, length) for length in (2, 1, 2)]
            plc.send = rebuilt(
                b"\x04\x03", octets[0] + b"\x00\x01", octets[1] + b"\x02\x00", octets[2] + b"\x00\x03"
            )
            assert (await read(link, settings, TAGS, limits)).values == (1, 2, 3)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (0x8104, Refused, "PUT/GET"),
        (0x8300, Busy, "resources"),
        (0x8500, BadReply, "PDU"),
        (0x8702, Refused, "8702"),
        (0xD602, Refused, "password"),
        (0x1234, BadReply, "1234"),
    ],
)
async def test_an_error_in_the_header_has_its_meaning(
    error: int, expected: type[DriverError], words: str
) -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda reply: [
                data_packet(acknowledgement(int.from_bytes(reply[4:6]), b"", b"", error))
            ]
            with pytest.raises(expected, match=words):
                await one(link, plan_for(limits))


async def test_a_reply_with_another_reference_is_dropped_and_the_wait_goes_on() -> None:
    def old_then_right(reply: bytes) -> Sequence[bytes]:
        other = bytearray(reply.replace(MEMORY[1][:2], b"\xde\xad"))
        other[4:6] = (int.from_bytes(reply[4:6]) - 1).to_bytes(2)
        return [data_packet(bytes(other)) + data_packet(reply)]

    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plc.send = old_then_right
            assert (await read(link, settings, TAGS, limits)).values == VALUES


async def test_a_late_reply_is_never_taken_for_the_next_one() -> None:
    """The first reply comes only after the second request was made; same tags, other values."""
    kept: list[bytes] = []
    async with scripted({**MEMORY, 1: b"\x11\x11"}) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plan = plan_for(limits, TAGS)
            plc.send = lambda reply: kept.append(data_packet(reply)) or []  # type: ignore[func-returns-value]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await link.exchange(plan.requests[0])
            await until(lambda: bool(kept), "the first request never arrived")
            plc.memory = {**MEMORY, 1: b"\x22\x22"}
            plc.send = lambda reply: [kept[0], data_packet(reply)]
            assert (await read(link, settings, TAGS, limits)).values[0] == 0x2222


BROKEN = {
    "not TPKT": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a length shorter than a header": b"\x03\x00\x00\x06\x02\xf0",
    "a length beyond all limits": b"\x03\x00\xff\xff" + bytes(100),
    "longer than the negotiated PDU": data_packet(b"\x32\x03" + bytes(480)),
    "many fragments, longer together": packet(b"\x02\xf0\x00" + bytes(200)) * 3,
    "a COTP header longer than its packet": b"\x03\x00\x00\x08\x09\xf0\x80\x00",
    "an unknown COTP packet": packet(b"\x02\x10\x80\x00"),
    "a transport error": packet(bytes.fromhex("0470000100")),
    "not S7": data_packet(b"\x72\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
    "an empty PDU": data_packet(b""),
    "a hundred and one strays": data_packet(acknowledgement(0, b"\x04\x00", b"")) * 101,
    "a close": b"",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_framing_loses_the_link(broken: bytes) -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda _: [broken]
            with pytest.raises(LinkLost):
                await one(link, plan_for(limits))
            with pytest.raises(LinkLost):
                await one(link, plan_for(limits))


async def test_another_version_of_tpkt_loses_the_link() -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda reply: [b"\x04" + data_packet(reply)[1:]]
            with pytest.raises(LinkLost):
                await one(link, plan_for(limits))


async def test_a_close_in_the_middle_of_a_frame_loses_the_link() -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda reply: [data_packet(reply)[:11], b""]
            with pytest.raises(LinkLost):
                await one(link, plan_for(limits))


async def test_a_drip_is_ended_by_the_callers_deadline_alone() -> None:
    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plc.send = lambda reply: [data_packet(reply)[:-1]]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await link.exchange(plan_for(limits).requests[0])
            plc.send = lambda reply: [MEMORY[3][7:], data_packet(reply)]  # the missing byte, then the answer
            assert (await read(link, settings, TAGS, limits)).values == VALUES


async def test_a_disconnect_request_says_why() -> None:
    async with scripted(MEMORY) as plc:
        plc.confirm = packet(bytes.fromhex("068000010002 02"))
        link = S7Link(settings_for(plc.port, rack=0, slot=2))
        with pytest.raises(LinkLost, match=r"check rack, slot and connection.*rack 0, slot 2, connection op"):
            await link.connect()
        await link.close()


@pytest.mark.parametrize("confirm", ["09d00001000200c0020a", "09d000010002 00 c0"])
async def test_a_malformed_confirm_loses_the_link(confirm: str) -> None:
    async with scripted(MEMORY) as plc:
        plc.confirm = packet(bytes.fromhex(confirm))
        link = S7Link(settings_for(plc.port))
        with pytest.raises(LinkLost):
            await link.connect()
        await link.close()


@pytest.mark.parametrize(
    "answer",
    [
        lambda r: acknowledgement(int.from_bytes(r[4:6]), bytes.fromhex("f00000010001 0014"), b""),
        lambda r: acknowledgement(int.from_bytes(r[4:6]), bytes.fromhex("f000000100"), b""),
        lambda r: acknowledgement(int.from_bytes(r[4:6]), b"\x04\x01", A),
    ],
    ids=["a PDU of 20 bytes", "cut short", "another function"],
)
async def test_an_impossible_setup_is_refused(answer: Callable[[bytes], bytes]) -> None:
    async with scripted(MEMORY) as plc:
        plc.send_setup = lambda reply: [data_packet(answer(reply))]
        settings = settings_for(plc.port)
        link = S7Link(settings)
        await link.connect()
        with pytest.raises(BadReply):
            await link.enrol(settings)
        await link.close()


async def test_a_plan_for_longer_pdus_than_this_connection_has_is_made_again() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBD{4 * n}", ValueType.UINT32) for n in range(100)]
    async with scripted({1: struct.pack(">100I", *range(100))}, pdu=240) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            with pytest.raises(Replan) as caught:
                await one(link, plan_for(Limits(480), tags))
            assert not plc.requests, "a request too long for the connection was sent"
            assert caught.value.learned == frozenset()
            assert (await read(link, settings, tags, limits)).values == tuple(range(100))


async def test_a_bad_address_in_a_merged_range_ends_up_alone() -> None:
    tags = [Tag(f"t{n}", f"DB1.DBW{2 * n}", ValueType.UINT16) for n in range(60)]
    async with scripted({1: struct.pack(">57H", *range(57))}) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            columns = await read(link, settings, tags, limits)
        assert columns.values == (*range(57), None, None, None)
        assert columns.quality == bytes(57) + bytes([Quality.BAD_ADDRESS] * 3)
        assert len(plc.requests) <= 5, "isolating one bad range took too many rounds"


async def test_item_codes_become_qualities() -> None:
    tags = [Tag(f"t{n}", f"DB{n + 1}.DBB0", ValueType.UINT8) for n in range(5)]
    codes = (0x0A, 0x05, 0x03, 0x01, 0x99)
    async with scripted() as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            plc.send = rebuilt(b"\x04\x05", *(bytes((code, 0, 0, 4)) for code in codes))
            columns = await read(link, settings, tags, limits)
    assert columns.values == (None,) * 5
    assert list(columns.quality) == [
        Quality.BAD_ADDRESS,
        Quality.BAD_ADDRESS,
        Quality.BAD_CONFIG,
        Quality.BAD_DEVICE,
        Quality.BAD_DEVICE,
    ]


async def test_a_request_before_connect_or_enrol_is_a_lost_link() -> None:
    link = S7Link(settings_for(1))
    with pytest.raises(LinkLost):
        await one(link, plan_for())
    async with scripted(MEMORY) as plc:
        link = S7Link(settings_for(plc.port))
        await link.connect()
        with pytest.raises(LinkLost):
            await one(link, plan_for())
        await link.close()


async def test_close_ends_an_exchange_that_waits() -> None:
    async with scripted(MEMORY) as plc:
        async with connected(settings_for(plc.port)) as (link, limits):
            plc.send = lambda _: []
            waiting = asyncio.ensure_future(one(link, plan_for(limits)))
            await until(lambda: bool(plc.requests), "the request never arrived")
            await link.close()
            with pytest.raises(LinkLost):
                await waiting


async def test_references_go_round_without_zero() -> None:
    seen: set[int] = set()

    def note(reply: bytes) -> Sequence[bytes]:
        seen.add(int.from_bytes(reply[4:6]))
        return [data_packet(reply)]

    async with scripted(MEMORY) as plc:
        settings = settings_for(plc.port)
        async with connected(settings) as (link, limits):
            link._reference = 0xFFFD
            plc.send = note
            for _ in range(3):
                await one(link, plan_for(limits))
    assert seen == {0xFFFE, 0xFFFF, 1}


async def test_a_controller_with_a_plain_memory_is_served_by_the_scripted_one() -> None:
    """The test's own controller refuses what a real one would: too many bytes in either direction."""
    plc = ScriptedPlc({1: bytes(1000)}, 240)
    with pytest.raises(AssertionError):
        plc._read(bytes(11) + b"\x01" + bytes.fromhex("120a100203e8000184000000"), 1)

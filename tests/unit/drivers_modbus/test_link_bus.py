"""A bus whose stations lie, stutter, talk out of turn or to others: never a wrong value.

The request is always hr:107..108 of station 17; the true answer is the number 7 and the number 11."""

from __future__ import annotations

import asyncio
import random
import select
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from drivers.modbus.link_bus import ModbusBusLink
from edge_agent.driver import Burster, Request, Writer
from edge_agent.errors import BadReply, Busy, DriverError, LinkLost, Refused, Replan, StationSilent
from edge_agent.model import Tag, ValueType
from edge_agent.testing.wire import until
from tests.unit.drivers_modbus.peer_bus import SCHEMES, PeerBus, linked, reply_to, request_for

TRUTH = struct.pack(">HH", 7, 11)
LIE = struct.pack(">HH", 666, 667)
REQUEST = request_for("hr:107", "hr:108")
SHORT_S = 0.15


@pytest_asyncio.fixture(params=SCHEMES)
async def peer(request: Any, tmp_path: Path) -> AsyncIterator[PeerBus]:
    peer = PeerBus(request.param, tmp_path)
    await peer.start()
    yield peer
    await peer.stop()


@pytest_asyncio.fixture(params=["rtu+tcp", "rtu"])
async def rtu(request: Any, tmp_path: Path) -> AsyncIterator[PeerBus]:
    peer = PeerBus(request.param, tmp_path)
    await peer.start()
    yield peer
    await peer.stop()


def landed(link: ModbusBusLink) -> None:
    """Returns when what a peer sent is in our end of the system; without a turn of the event loop."""
    wire: Any = link._wire
    end = wire._port if hasattr(wire, "_port") else wire._transport.get_extra_info("socket")
    assert select.select([end.fileno()], [], [], 5.0)[0], "it never arrived"


async def ask(link: ModbusBusLink, request: Request = REQUEST, patience_s: float = 3.0) -> bytes:
    async with asyncio.timeout(patience_s):
        return await link.exchange(request)


def honest(peer: PeerBus) -> None:
    peer.script = lambda request: [peer.framed(reply_to(request, TRUTH))]


async def test_the_true_reply(peer: PeerBus) -> None:
    honest(peer)
    async with linked(peer) as link:
        assert await ask(link) == TRUTH
        assert await ask(link) == TRUTH
    assert [body.hex(" ") for body in peer.received] == ["11 03 00 6b 00 02"] * 2


async def test_it_writes_and_does_not_burst(peer: PeerBus) -> None:
    """A burst cancelled half-way would leave a request of which the scheduler knows nothing."""
    async with linked(peer) as link:
        assert isinstance(link, Writer)
        assert not isinstance(link, Burster)


MISFITS = {
    "another function": b"\x11\x04\x04" + TRUTH,
    "a write's function": b"\x11\x06\0\0\0\0",
    "fewer registers": b"\x11\x03\x02" + TRUTH[:2],
    "more registers": b"\x11\x03\x06" + TRUTH + b"\0\0",
    "an exception of another function": b"\x11\x84\x02",
    "a request of another master to the station asked": b"\x11\x03\0\0\0\2",
}


@pytest.mark.parametrize("name", MISFITS)
async def test_a_reply_that_does_not_fit(name: str, peer: PeerBus) -> None:
    peer.script = lambda request: [peer.framed(MISFITS[name]), peer.framed(reply_to(request, TRUTH))]
    async with linked(peer) as link:
        with pytest.raises(BadReply) as caught:
            await ask(link)
        assert "station 17" in str(caught.value) and "FC03 hr:107..108" in str(caught.value)
        peer.script = lambda request: [peer.framed(reply_to(request, LIE))]
        with pytest.raises(BadReply, match="must prove itself") as caught:
            await ask(link)
        assert caught.value.reason == "timeout", "nothing came that could be a mismatch"
        assert len(peer.received) == 1, "a station in doubt was asked for a value"


async def test_a_wrong_checksum_is_told_at_once(peer: PeerBus) -> None:
    def spoil(request: bytes) -> list[bytes]:
        frame = bytearray(peer.framed(reply_to(request, TRUTH)))
        frame[-3 if peer.scheme.startswith("ascii") else -1] ^= 1
        return [bytes(frame)]

    peer.script = spoil
    async with linked(peer) as link:
        with pytest.raises(BadReply, match="checksum") as caught:
            await ask(link, patience_s=1.0)
        assert caught.value.reason == "checksum"


async def test_a_reply_that_breaks_off_is_told_in_silence(rtu: PeerBus) -> None:
    rtu.script = lambda request: [rtu.framed(reply_to(request, TRUTH))[:-2]]
    async with linked(rtu) as link:
        with pytest.raises(BadReply, match="checksum"):
            await ask(link, patience_s=1.0)


async def test_frames_of_other_stations_are_skipped(peer: PeerBus) -> None:
    """A foreign master's request and its answer, a late neighbour, a neighbour's exception."""
    foreign = [b"\x05\x03\0\0\0\x02", b"\x05\x03\x04" + LIE, b"\x12\x03\x04" + LIE, b"\x13\x83\x02"]

    def crowded(request: bytes) -> list[bytes]:
        return [*map(peer.framed, foreign), peer.framed(reply_to(request, TRUTH))]

    peer.script = crowded
    async with linked(peer) as link:
        for _ in range(3):
            assert await ask(link) == TRUTH
        assert link.foreign >= 12
        peer.script = lambda request: [peer.framed(frame) for frame in foreign]
        with pytest.raises(TimeoutError):
            await ask(link, patience_s=SHORT_S)


async def test_what_lay_there_before_the_request_is_thrown_away(peer: PeerBus) -> None:
    async with linked(peer) as link:
        for _ in range(3):
            late = link.late
            peer.send(peer.framed(b"\x11\x03\x04" + LIE))
            peer.send(peer.framed(b"\x11\x03\x04" + LIE)[:5])
            await until(lambda late=late: link.late > late, "the unasked frame never arrived")
            honest(peer)
            assert await ask(link) == TRUTH
        assert link.stale_bytes > 0


async def test_what_lies_in_the_system_is_older_too(peer: PeerBus) -> None:
    """It has arrived, but the event loop has not had a turn to read it."""
    honest(peer)
    async with linked(peer) as link:
        peer.send(peer.framed(b"\x11\x03\x04" + LIE))
        landed(link)
        assert await ask(link) == TRUTH


async def test_any_chunking_with_garbage_around(rtu: PeerBus) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    async with linked(rtu) as link:
        for _ in range(100):
            asked = len(rtu.received)
            asking = asyncio.ensure_future(ask(link))
            await until(lambda asked=asked: len(rtu.received) > asked, "the request never arrived")
            stream = bytes([0x55] * chance.randrange(3)) + rtu.framed(reply_to(rtu.received[-1], TRUTH))
            while stream:
                size = chance.randint(1, 5)
                link._received(stream[:size])
                stream = stream[size:]
            assert await asking == TRUTH, f"seed {seed}"


async def test_byte_by_byte(peer: PeerBus) -> None:
    async with linked(peer) as link:
        asking = asyncio.ensure_future(ask(link))
        await until(lambda: peer.received, "the request never arrived")
        for byte in peer.framed(reply_to(peer.received[0], TRUTH)):
            assert not asking.done()
            peer.send(bytes([byte]))
            await asyncio.sleep(0.002)
        assert await asking == TRUTH


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (1, Refused, "illegal_function"),
        (2, Replan, "illegal_address"),
        (3, Replan, "illegal_address"),
        (4, Refused, "other"),
        (5, Busy, "busy"),
        (6, Busy, "busy"),
        (10, StationSilent, "timeout"),
        (11, StationSilent, "timeout"),
    ],
)
async def test_exceptions(code: int, error: type[DriverError], reason: str, peer: PeerBus) -> None:
    peer.script = lambda request: [peer.framed(bytes([17, 0x83, code]))]
    async with linked(peer) as link:
        with pytest.raises(error) as caught:
            await ask(link)
        assert type(caught.value) is error and caught.value.reason == reason
        assert f"exception {code}" in str(caught.value)
        if error is not StationSilent:
            honest(peer)
            assert await ask(link) == TRUTH, "an exception is an answer: the stream is in step"


async def test_local_echo_is_skipped_when_it_is_exactly_that(rtu: PeerBus) -> None:
    rtu.script = lambda request: [rtu.framed(request), rtu.framed(reply_to(request, TRUTH))]
    async with linked(rtu, local_echo=True) as link:
        for _ in range(3):
            assert await ask(link) == TRUTH
        rtu.script = lambda request: [rtu.framed(reply_to(request, TRUTH))]
        assert await ask(link) == TRUTH, "an adapter that does not echo after all"
        rtu.script = lambda request: [rtu.framed(request[:-1] + b"\3"), rtu.framed(reply_to(request, LIE))]
        with pytest.raises(BadReply):
            await ask(link)


async def test_a_write_that_is_echoed_is_not_confirmed_by_its_echo(rtu: PeerBus) -> None:
    """The reply to function 6 is the request once more."""
    rtu.script = lambda request: [rtu.framed(request)]
    async with linked(rtu, local_echo=True) as link:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await link.write(rtu.settings(), Tag("t", "hr:1", ValueType.UINT16), 5)
    rtu.script = lambda request: [rtu.framed(request), rtu.framed(request)]
    async with linked(rtu, local_echo=True) as link:
        await link.write(rtu.settings(), Tag("t", "hr:1", ValueType.UINT16), 5)


async def test_an_echo_nobody_told_of_is_no_reply(rtu: PeerBus) -> None:
    rtu.script = lambda request: [rtu.framed(request), rtu.framed(reply_to(request, TRUTH))]
    async with linked(rtu) as link:
        with pytest.raises(BadReply):
            await ask(link)


async def test_only_the_exact_confirmation_confirms_a_write(peer: PeerBus) -> None:
    tag = Tag("t", "hr:1", ValueType.UINT16)
    for wrong in (b"\x11\x06\0\1\0\6", b"\x11\x06\0\2\0\5", b"\x11\x10\0\1\0\1", b"\x11\x03\x02\0\5"):
        peer.script = lambda request, wrong=wrong: [peer.framed(wrong)]
        async with linked(peer) as link:
            with pytest.raises(BadReply):
                async with asyncio.timeout(2):
                    await link.write(peer.settings(), tag, 5)
    peer.script = lambda request: [peer.framed(b"\x11\x86\x02")]
    async with linked(peer) as link:
        with pytest.raises(Refused) as caught:
            await link.write(peer.settings(), tag, 5)
        assert caught.value.reason == "illegal_address"


async def test_no_request_leaves_before_the_line_is_quiet(rtu: PeerBus) -> None:
    """Two frames with less than 3.5 characters between them are one broken frame to every station."""
    honest(rtu)
    async with linked(rtu, turnaround="50ms") as link:
        for _ in range(4):
            assert await ask(link) == TRUTH
    gaps = [after - before for before, after in zip(rtu.arrived_s, rtu.arrived_s[1:], strict=False)]
    assert min(gaps) >= 0.05


async def test_the_silence_of_a_slow_line(tmp_path: Path) -> None:
    peer = PeerBus("rtu", tmp_path)
    await peer.start()
    honest(peer)
    async with linked(peer, baud=1200) as link:
        for _ in range(3):
            assert await ask(link) == TRUTH
    await peer.stop()
    gaps = [after - before for before, after in zip(peer.arrived_s, peer.arrived_s[1:], strict=False)]
    assert min(gaps) >= 3.5 * 11 / 1200


async def test_a_dead_station_does_not_disturb_its_neighbour(peer: PeerBus) -> None:
    peer.script = lambda request: [] if request[0] == 9 else [peer.framed(reply_to(request, TRUTH))]
    dead = request_for("hr:0", "hr:1", station=9)
    async with linked(peer) as link:
        for _ in range(3):
            with pytest.raises((TimeoutError, BadReply)):
                await ask(link, dead, patience_s=0.05)
            assert await ask(link) == TRUTH


async def test_cancellation_in_the_turn_in_which_the_reply_arrives(rtu: PeerBus) -> None:
    async with linked(rtu) as link:
        asking = asyncio.ensure_future(link.exchange(REQUEST))
        await until(lambda: rtu.received, "the request never arrived")
        asking.cancel()
        link._received(rtu.framed(reply_to(rtu.received[0], LIE)))
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(BadReply):
            await ask(link)


async def test_a_flood_that_is_no_bus_loses_the_link(tmp_path: Path) -> None:
    peer = PeerBus("rtu+tcp", tmp_path)
    await peer.start()
    chance = random.Random(1)
    peer.script = lambda request: [chance.randbytes(4096) for _ in range(40)]
    async with linked(peer) as link:
        with pytest.raises(LinkLost) as caught:
            for _ in range(3):
                with pytest.raises((BadReply, TimeoutError)):
                    await ask(link, patience_s=0.5)
        assert caught.value.reason == "mismatch"
    await peer.stop()


async def test_hanging_up(tmp_path: Path) -> None:
    peer = PeerBus("rtu+tcp", tmp_path)
    await peer.start()
    async with linked(peer) as link:
        asking = asyncio.ensure_future(ask(link))
        await until(lambda: peer.received, "the request never arrived")
        await peer.stop()
        with pytest.raises(LinkLost):
            await asking
        with pytest.raises(LinkLost):
            await ask(link)


async def test_close_ends_a_waiting_exchange(peer: PeerBus) -> None:
    async with linked(peer) as link:
        asking = asyncio.ensure_future(ask(link))
        await until(lambda: peer.received, "the request never arrived")
        await link.close()
        with pytest.raises(LinkLost, match="not connected"):
            await asking

"""After a request without its answer: no value is believed until one reply can belong to one request only."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN
from drivers.modbus.link_bus import ModbusBusLink
from drivers.modbus.link_trust import ECHO, HORIZON_MIN_S, OLDEST_S, Probe, Trust
from drivers.modbus.settings import ModbusSettings
from edge_agent.acquisition import ConnectGate, LinkWorker, WorkerHost
from edge_agent.clock import SystemClock
from edge_agent.config.model import Device
from edge_agent.driver import Reserved
from edge_agent.errors import BadReply, StationSilent
from edge_agent.model import Batch, Quality, Tag, ValueType
from edge_agent.status import Board
from edge_agent.testing.wire import until
from hardware_mocks.faults import Behaviour, Fault
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.serial_lines import PtyLine, SerialLine, TcpLine
from tests.unit.drivers_modbus.bank import Bank
from tests.unit.drivers_modbus.peer_bus import PeerBus, linked, reply_to, request_for

STATION = 5
SLOW_S = 0.05
TAGS = (
    Tag("a", "hr:1000", ValueType.UINT16),
    Tag("b", "hr:2000", ValueType.UINT16),
    Tag("c", "hr:3000", ValueType.UINT16),
    Tag("d", "hr:4000", ValueType.UINT16),
    Tag("e", "hr:4001", ValueType.UINT16),
    Tag("f", "hr:5000", ValueType.UINT16),
)
TRUTH = (1000, 2000, 3000, 4000, 4001, 5000)
WIDE = (*TAGS, Tag("g", "hr:5009", ValueType.UINT16))
WIDE_TRUTH = (*TRUTH, 5009)

Reserve = Callable[..., Reserved]


@asynccontextmanager
async def bus_of(line: SerialLine, **options: Any) -> AsyncIterator[ModbusSerialServer]:
    """One station whose register n holds n."""
    bus = ModbusSerialServer({STATION: Bank(6000, counting=True)}, line, latency_s=SLOW_S, **options)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@pytest_asyncio.fixture(params=["rtu+tcp", "rtu", "ascii"])
async def bus(request: Any, tmp_path: Path) -> AsyncIterator[tuple[str, ModbusSerialServer]]:
    framing, _, over_tcp = request.param.partition("+")
    line = TcpLine() if over_tcp else PtyLine(tmp_path / "bus")
    async with bus_of(line, framing=framing) as server:
        yield f"{request.param}://{server.place}", server


class Ear:
    def broke(self, key: str, message: str, /, **fields: Any) -> None: ...
    def healed(self, key: str, message: str, /, **fields: Any) -> None: ...


@asynccontextmanager
async def polling(
    settings: ModbusSettings, tags: tuple[Tag, ...], period_s: float
) -> AsyncIterator[list[Batch]]:
    """The agent's own worker, with its real clock."""
    batches: list[Batch] = []
    device = Device("d", "modbus", PLUGIN, settings, tags, {"default": period_s})
    clock = SystemClock()
    host = WorkerHost(
        clock,
        Board(),
        ConnectGate(clock),
        Ear(),
        Random(1),
        lambda driver, batch: batches.append(batch),
        lambda link: None,
    )
    running = asyncio.ensure_future(LinkWorker("link", [device], "v", host).run())
    try:
        yield batches
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def assert_no_wrong_value(batches: list[Batch], truth: tuple[int, ...]) -> None:
    for batch in batches:
        for name, value, quality, right in zip(
            batch.schema.names, batch.values, batch.quality, truth, strict=True
        ):
            assert value == right or Quality(quality) >= Quality.BAD, f"{name} was {value}"


def is_good(batch: Batch) -> bool:
    return set(batch.quality) == {Quality.GOOD}


@pytest.mark.parametrize(("tags", "truth"), [(TAGS, TRUTH), (WIDE, WIDE_TRUTH)], ids=["narrow", "wide"])
async def test_one_late_answer_and_the_agent_never_says_a_wrong_value(
    tags: tuple[Tag, ...], truth: tuple[int, ...], bus: tuple[str, ModbusSerialServer]
) -> None:
    """The reproduction: the first answer after 0.7 s, later ones after 0.05 s, time-out 0.5 s. A client that
    believes what it gets then reads 1000 at 2000, 2000 at 3000 and so on, for ever."""
    link, server = bus
    await server.set_fault(STATION, Behaviour(Fault.LATE, delay_s=0.65, times=1))
    settings = ModbusSettings(link=link, station=STATION, timeout="500ms", max_gap=20)
    loop = asyncio.get_running_loop()
    async with polling(settings, tags, 0.5) as batches:
        await until(lambda: server.requests[STATION] > 0, "nothing was asked")
        late_s = loop.time() + 0.7
        await until(lambda: any(map(is_good, batches)), "never in step again")
        assert loop.time() - late_s < 3.0
        await until(lambda: sum(map(is_good, batches)) >= 3, "not in step for long")
    assert_no_wrong_value(batches, truth)


@pytest.mark.parametrize("late_s", [0.2, 0.8, 2.1])
async def test_late_in_the_middle_of_polling(late_s: float, bus: tuple[str, ModbusSerialServer]) -> None:
    link, server = bus
    settings = ModbusSettings(link=link, station=STATION, timeout="150ms", max_gap=20)
    loop = asyncio.get_running_loop()
    async with polling(settings, WIDE, 0.4) as batches:
        await until(lambda: any(map(is_good, batches)), "nothing was read")
        await server.set_fault(STATION, Behaviour(Fault.LATE, delay_s=late_s, times=1))
        await until(lambda: batches and not is_good(batches[-1]), "no answer was late")
        heal_s, seen = loop.time() + late_s, len(batches)
        await until(lambda: any(map(is_good, batches[seen:])), "never in step again")
        assert loop.time() - heal_s < 3.0
    assert_no_wrong_value(batches, WIDE_TRUTH)


async def test_the_naive_client_is_caught_by_these_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without proof the same bus does give wrong values: otherwise the tests above would show nothing."""

    async def believe(self: ModbusBusLink, station: ModbusSettings, reserved: Reserved) -> None:
        self._trust(station.station).doubted = False

    monkeypatch.setattr(ModbusBusLink, "prove", believe)
    async with bus_of(PtyLine(tmp_path / "bus")) as server:
        await server.set_fault(STATION, Behaviour(Fault.LATE, delay_s=0.65, times=1))
        link = f"rtu://{server.place}"
        settings = ModbusSettings(link=link, station=STATION, timeout="500ms", max_gap=20)
        async with polling(settings, TAGS, 0.5) as batches:
            await until(lambda: len(batches) > 4, "nothing was read")
    with pytest.raises(AssertionError, match="was"):
        assert_no_wrong_value(batches, TRUTH)


# One link, tried step by step


def reserved_for(settings: ModbusSettings, *addresses: str) -> Reserved:
    tags = [Tag(f"t{i}", address, ValueType.UINT16) for i, address in enumerate(addresses)]
    return PLUGIN.reserve(settings, [PLUGIN.plan(settings, tags, None, None)])  # type: ignore[misc]


@pytest_asyncio.fixture
async def peer(tmp_path: Path) -> AsyncIterator[PeerBus]:
    peer = PeerBus("rtu", tmp_path)
    await peer.start()
    yield peer
    await peer.stop()


async def fail_once(link: ModbusBusLink, peer: PeerBus) -> None:
    peer.script = lambda request: []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await link.exchange(request_for("hr:0", "hr:9"))


async def prove(link: ModbusBusLink, settings: ModbusSettings, reserved: Reserved, s: float = 0.2) -> bool:
    try:
        async with asyncio.timeout(s):
            await link.prove(settings, reserved)
    except (TimeoutError, BadReply, StationSilent):
        return False
    return True


def zeros(request: bytes) -> bytes:
    if request[1] == ECHO:
        return request
    return reply_to(request, bytes(2 * int.from_bytes(request[4:6], "big")))


async def test_a_probe_asks_for_a_count_that_no_poll_has(peer: PeerBus) -> None:
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0", "hr:9", "hr:100", "hr:102")
    async with linked(peer) as link:
        await fail_once(link, peer)
        asked = len(peer.received)
        peer.script = lambda request: [peer.framed(zeros(request))]
        assert await prove(link, settings, reserved)
        (probe,) = peer.received[asked:]
        assert probe[1] == 3 and int.from_bytes(probe[4:6], "big") not in (10, 3)
        assert len(await link.exchange(request_for("hr:0", "hr:9"))) == 20


async def test_late_replies_are_skipped_until_the_probes_own_comes(peer: PeerBus) -> None:
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0", "hr:9")
    async with linked(peer) as link:
        await fail_once(link, peer)
        poll = peer.received[-1]
        peer.script = lambda request: [peer.framed(zeros(poll)), peer.framed(zeros(request))]
        assert await prove(link, settings, reserved)
        assert link.late == 1


async def test_a_late_reply_alone_proves_nothing(peer: PeerBus) -> None:
    settings = peer.settings()
    async with linked(peer) as link:
        await fail_once(link, peer)
        poll = peer.received[-1]
        peer.script = lambda request: [peer.framed(zeros(poll))]
        assert not await prove(link, settings, reserved_for(settings, "hr:0", "hr:9"))
        with pytest.raises(BadReply):
            await link.exchange(request_for("hr:0", "hr:9"))


async def test_an_exception_proves_nothing_and_its_count_is_not_tried_again(peer: PeerBus) -> None:
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0", "hr:9")
    async with linked(peer) as link:
        await fail_once(link, peer)
        asked = len(peer.received)
        peer.script = lambda request: [peer.framed(bytes([17, request[1] | 0x80, 2]))]
        for _ in range(4):
            assert not await prove(link, settings, reserved)
        probes = peer.received[asked:]
        assert [probe[1] for probe in probes] == [3, 3, ECHO], "function 8 once, then silence"
        assert len(set(probes)) == 3


async def test_where_no_count_is_free_a_random_number_is_returned(peer: PeerBus) -> None:
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0")
    assert reserved.counts == ()
    async with linked(peer) as link:
        await fail_once(link, peer)
        peer.script = lambda request: [peer.framed(request[:-1] + bytes([request[-1] ^ 1]))]
        assert not await prove(link, settings, reserved), "another number is another request's"
        peer.script = lambda request: [peer.framed(request)]
        assert await prove(link, settings, reserved)
        assert peer.received[-1][1] == ECHO and peer.received[-1] != peer.received[-2]


async def test_where_nothing_can_be_asked_silence_is_waited_for(
    peer: PeerBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.modbus.link_trust.HORIZON_MIN_S", 0.4)
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0")
    loop = asyncio.get_running_loop()
    async with linked(peer) as link:
        await fail_once(link, peer)
        peer.script = lambda request: [peer.framed(bytes([17, 0x88, 1]))]
        assert not await prove(link, settings, reserved)
        asked, since_s = len(peer.received), loop.time()
        while not await prove(link, settings, reserved):  # noqa: ASYNC110 - a try is made, not a state watched
            await asyncio.sleep(0.02)
        assert loop.time() - since_s > 0.3
        assert len(peer.received) == asked, "in silence nothing is asked"
        peer.script = lambda request: [peer.framed(zeros(request))]
        await link.exchange(request_for("hr:0", "hr:9"))


async def test_a_stream_that_is_behind_for_ever_is_never_believed(peer: PeerBus) -> None:
    """Each request is answered with the reply to the k-th before it, for every k."""
    settings = peer.settings()
    reserved = reserved_for(settings, "hr:0", "hr:4")
    assert len(reserved.counts) == 4
    for behind in range(1, 8):
        async with linked(peer) as link:
            await fail_once(link, peer)
            queue = [zeros(peer.received[-1])] * behind

            def late(request: bytes, queue: list[bytes] = queue) -> list[bytes]:
                queue.append(zeros(request))
                return [peer.framed(queue.pop(0))]

            peer.script = late
            for _ in range(8):
                assert not await prove(link, settings, reserved, 0.06), f"believed when {behind} behind"


async def test_random_lateness_never_gives_a_wrong_value(tmp_path: Path) -> None:
    """A station that is late, silent or prompt by chance, asked by a supervisor that proves when it must."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    values = 0
    async with bus_of(PtyLine(tmp_path / "bus")) as server:
        settings = ModbusSettings(link=f"rtu://{server.place}", station=STATION, max_gap=20, baud=115_200)
        plan = PLUGIN.plan(settings, WIDE, None, None)
        reserved = PLUGIN.reserve(settings, [plan])  # type: ignore[misc]
        link = PLUGIN.open_link(settings)
        await link.connect()
        trusted = True
        end_s = asyncio.get_running_loop().time() + 6
        while values < 20 or asyncio.get_running_loop().time() < end_s:
            if asyncio.get_running_loop().time() > end_s:  # from now on it is prompt, and must get in step
                await server.set_fault(None, Behaviour(Fault.OK))
            elif chance.random() < 0.3:
                fault = chance.choice([Fault.LATE, Fault.SILENT, Fault.SHORT, Fault.EXCEPTION])
                behaviour = Behaviour(fault, delay_s=chance.uniform(0, 0.7), times=chance.randint(1, 2))
                await server.set_fault(STATION, behaviour)
            if not trusted:
                trusted = await prove(link, settings, reserved)  # type: ignore[arg-type]
                continue
            request = chance.choice(plan.requests)
            try:
                async with asyncio.timeout(0.2):
                    data = await link.exchange(request)
            except (TimeoutError, BadReply, StationSilent):
                trusted = False
            except Exception as error:  # noqa: BLE001 - exceptions of the device, which are answers
                assert "exception 6" in str(error), f"seed {seed}"
            else:
                first = request.body.offset
                right = struct.pack(f">{request.body.count}H", *range(first, first + request.body.count))
                assert data == right, f"seed {seed}: {request.text}"
                values += 1
        await link.close()


# The bookkeeping alone


def probes_of(trust: Trust, reserved: Reserved, now_s: float) -> list[Probe]:
    """All that may be sent at one moment, in order, function 8 excluded."""
    sent = []
    while (probe := trust.probe(reserved, now_s)) is not None and probe.function != ECHO:
        trust.asked(now_s, probe.identity, probe=True)
        sent.append(probe)
    return sent


SETTINGS = ModbusSettings(link="rtu:///dev/ttyS0", station=STATION)
READ = request_for("hr:0", "hr:39").body


def test_no_count_comes_again_within_the_horizon_whatever_chance_says() -> None:
    for seed in range(50):
        trust = Trust(STATION, 0.0, Random(seed))
        sent = [probe.identity for probe in probes_of(trust, Reserved((3, 4, 5, 6, 7), READ), 10.0)]
        assert sorted(sent) == [(3, 6), (3, 8), (3, 10), (3, 12), (3, 14)]
        assert probes_of(trust, Reserved((3, 4, 5, 6, 7), READ), 10.0 + HORIZON_MIN_S - 0.1) == []
        assert len(probes_of(trust, Reserved((3, 4, 5, 6, 7), READ), 10.0 + HORIZON_MIN_S)) == 5


def test_a_size_that_was_ever_polled_is_never_a_probe() -> None:
    trust = Trust(STATION, 0.0, Random(1))
    trust.asked(1.0, (3, 8))
    trust.answered(1.1)
    sent = {probe.identity for probe in probes_of(trust, Reserved((3, 4, 5), READ), 1000.0)}
    assert sent == {(3, 6), (3, 10)}


def test_a_count_that_was_refused_is_not_tried_again_ever() -> None:
    trust, reserved = Trust(STATION, 0.0, Random(1)), Reserved((3, 4, 5), READ)
    first = trust.probe(reserved, 1.0)
    assert first is not None
    trust.asked(1.0, first.identity, probe=True)
    trust.refused(first)
    sent = {probe.identity for probe in probes_of(trust, reserved, 10_000.0)}
    assert sent == {(3, 6), (3, 8), (3, 10)} - {first.identity}


def test_lateness_lengthens_the_horizon_and_old_requests_do_not() -> None:
    trust = Trust(STATION, 0.0, Random(1))
    late = b"\3\x08" + bytes(8)
    trust.asked(1.0, (3, 6))
    trust.asked(2.0, (3, 8))
    trust.asked(5.0, (3, 8))
    trust.heard(5.5, late)
    assert trust.horizon_s == 3 * 3.5, "from the oldest that it may answer"
    trust.heard(20.0, b"\3\x06" + bytes(6))
    assert trust.horizon_s == 3 * 3.5, "what was asked before is not answered any more"
    trust.asked(100.0, (3, 8))
    trust.heard(100.0 + OLDEST_S + 1, late)
    assert trust.horizon_s == 3 * 3.5


def test_silence_is_counted_from_the_last_sign_of_life() -> None:
    trust = Trust(STATION, 0.0, Random(1))
    assert trust.outwaited_s(1.0) == HORIZON_MIN_S - 1.0, "what an older connection asked is not known"
    trust.asked(2.0, (3, 8))
    trust.heard(3.0, b"\x83\x06")
    assert trust.outwaited_s(4.0) == HORIZON_MIN_S - 1.0
    assert trust.outwaited_s(3.0 + HORIZON_MIN_S) == 0

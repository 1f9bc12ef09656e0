"""The contract suite itself: it must turn red for drivers that break the contract, and say what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN as MODBUS
from drivers.modbus.link import ModbusTcpLink
from drivers.sim import PLUGIN as SIM
from drivers.sim.link import SimLink
from edge_agent.driver import Columns, DriverPlugin, Plan, Request, Reserved
from edge_agent.errors import Refused
from edge_agent.model import Quality, Tag, Value, ValueType
from edge_agent.testing.driver_contract import DriverContract, WireDriverContract
from edge_agent.testing.wire import HoldingProxy

RED = (AssertionError, pytest.fail.Exception)


@dataclass
class SimulatedDevice:
    settings: Mapping[str, Any]
    expected: tuple[Value, ...]


def suite(plugin: DriverPlugin) -> DriverContract:
    """Made by hand, so that pytest does not collect it."""

    class Suite(DriverContract):
        tags = (
            Tag("a", "constant:1", ValueType.FLOAT32),
            Tag("b", "constant:2", ValueType.INT16),
            Tag("c", "constant:3", ValueType.INT16),
        )
        mistakes = (Tag("wrong", "?", ValueType.INT16),)

        def valid_settings(self) -> Mapping[str, Any]:
            return {"link": "sim://test"}

    Suite.plugin = plugin
    return Suite()


DEVICE = SimulatedDevice({"link": "sim://test"}, (1.0, 2, 3))


def plan_without_the_last(settings: Any, tags: Any, limits: Any, learned: Any) -> Plan:
    whole = SIM.plan(settings, tags, limits, learned)
    return Plan(tuple(replace(r, tags=r.tags[:-1]) for r in whole.requests), whole.decode)


def plan_with_old_values(settings: Any, tags: Any, limits: Any, learned: Any) -> Plan:
    whole = SIM.plan(settings, tags, limits, learned)
    return Plan(whole.requests, lambda replies: Columns((1.0,) * len(tags), whole.decode(replies).quality))


def plan_that_is_never_the_same(settings: Any, tags: Any, limits: Any, learned: Any) -> Plan:
    whole = SIM.plan(settings, tags, limits, learned)
    return Plan(tuple(replace(r, body=object()) for r in whole.requests), whole.decode)


def check_that_stops_at_the_good_tags(settings: Any, tags: Any) -> list[Any]:
    return []


def check_that_crashes(settings: Any, tags: Any) -> list[Any]:
    return [int(tag.address) for tag in tags]


def elements_that_crash(settings: Any, tag: Tag, count: int) -> list[str]:
    raise KeyError(count)


def reserve_what_is_polled(settings: Any, plans: Sequence[Plan]) -> Reserved:
    reads = [request.body for plan in plans for request in plan.requests]
    return Reserved((7, reads[0].count), reads[0]) if reads else Reserved()


def open_with_a_socket(settings: Any) -> SimLink:
    socket.socket().close()
    return SimLink(settings)


@pytest.mark.parametrize(
    ("plugin", "test", "words"),
    [
        (replace(SIM, api=99), "test_plugin_declares_this_contract", "contract 99"),
        (replace(SIM, link_options=frozenset({"baud"})), "test_plugin_declares_this_contract", "baud"),
        (replace(SIM, plan=plan_without_the_last), "test_every_tag_is_served", "['c']"),
        (replace(SIM, plan=plan_that_is_never_the_same), "test_plan_is_pure", "different requests"),
        (
            replace(SIM, check=check_that_stops_at_the_good_tags),
            "test_check_finds_every_mistake_at_once",
            "wrong",
        ),
        (replace(SIM, check=check_that_crashes), "test_check_never_raises", "ValueError"),
        (
            replace(SIM, types={"uint16": ValueType.UINT16}),
            "test_types_are_names_beyond_the_agents_own",
            "uint16 is the agent's own",
        ),
        (
            replace(SIM, elements=lambda settings, tag, count: [tag.address] * count),
            "test_elements_of_an_array_are_addresses",
            "3 elements from constant:1",
        ),
        (
            replace(SIM, elements=lambda settings, tag, count: [f"?{i}" for i in range(count)]),
            "test_elements_of_an_array_are_addresses",
            "check refused elements",
        ),
        (
            replace(SIM, elements=elements_that_crash),
            "test_elements_beyond_the_address_space_are_a_value_error",
            "KeyError",
        ),
        (
            replace(SIM, reserve=lambda settings, plans: Reserved((1, 1), None)),
            "test_reserved_identities_are_in_no_plan",
            "come twice",
        ),
        (
            replace(SIM, subscribed=lambda settings: ["fast"]),  # type: ignore[arg-type,return-value]
            "test_subscribed_names_groups",
            "expected a frozenset",
        ),
    ],
)
def test_a_broken_plugin_is_found(plugin: DriverPlugin, test: str, words: str) -> None:
    with pytest.raises(RED) as caught:
        getattr(suite(plugin), test)()
    assert words in str(caught.value)


def test_old_values_beside_a_failure_are_found() -> None:
    with pytest.raises(RED, match="a value is None exactly where its quality is bad"):
        suite(replace(SIM, plan=plan_with_old_values)).test_failed_requests_give_their_quality_and_no_value(
            Quality.BAD_COMM
        )


def test_io_in_open_link_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RED, match="opened a socket"):
        suite(replace(SIM, open_link=open_with_a_socket)).test_open_link_does_no_io(monkeypatch)


async def test_a_wrong_value_is_found() -> None:
    device = SimulatedDevice(DEVICE.settings, (1.0, 2, 4))
    with pytest.raises(RED, match="read 3, the device holds 4"):
        await suite(SIM).test_values_arrive(device)  # type: ignore[arg-type]


async def test_a_task_left_behind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[asyncio.Task[None]] = []

    class Leaky(SimLink):
        async def connect(self) -> None:
            await super().connect()
            left.append(asyncio.create_task(asyncio.sleep(60)))

    monkeypatch.setattr("edge_agent.testing.wire.PATIENCE_S", 0.1)
    with pytest.raises(RED, match="tasks are still running"):
        await suite(replace(SIM, open_link=Leaky)).test_nothing_is_left_after_close(DEVICE)  # type: ignore[arg-type]
    left[0].cancel()


class Trusting(ModbusTcpLink):
    """Takes any frame for the answer: the mistake this suite exists for."""

    def _take(self, frame: bytes) -> None:
        self._replies.append(frame[9:])
        self._settle(None)


class RegisterDevice:
    """One holding register behind a relay, on a server of a few lines."""

    def __init__(self) -> None:
        self.value = 7

    @property
    def expected(self) -> tuple[Value, ...]:
        return (self.value,)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"link": f"tcp://127.0.0.1:{self._proxy.port}"}

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self), "127.0.0.1", 0)
        self._proxy = HoldingProxy("127.0.0.1", self._server.sockets[0].getsockname()[1])
        await self._proxy.start()
        self.hold, self.release = self._proxy.hold, self._proxy.release

    @property
    def held(self) -> int:
        return self._proxy.held

    def change(self) -> None:
        self.value += 1

    async def stop(self) -> None:
        await self._proxy.stop()
        self._server.close()


class _Session(asyncio.Protocol):
    def __init__(self, device: RegisterDevice) -> None:
        self._device = device

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data[:4] + b"\0\5" + data[6:8] + b"\2" + self._device.value.to_bytes(2, "big"))


@pytest_asyncio.fixture
async def device() -> AsyncIterator[RegisterDevice]:
    device = RegisterDevice()
    await device.start()
    yield device
    await device.stop()


def wire_suite(open_link: Callable[[Any], Any], **more: Any) -> WireDriverContract:
    class Suite(WireDriverContract):
        tags = (Tag("a", "hr:0", ValueType.UINT16),)
        mistakes = ()

        def valid_settings(self) -> Mapping[str, Any]:
            return {"link": "tcp://127.0.0.1"}

    Suite.plugin = replace(MODBUS, open_link=open_link, **more)
    return Suite()


async def test_a_late_reply_that_is_taken_is_found(device: RegisterDevice) -> None:
    with pytest.raises(RED, match="read 7, the device holds 8"):
        await wire_suite(Trusting).test_a_late_reply_is_not_taken_for_the_next_one(device)


async def test_the_same_with_the_real_link_passes(device: RegisterDevice) -> None:
    await wire_suite(ModbusTcpLink).test_a_late_reply_is_not_taken_for_the_next_one(device)


async def test_a_foreign_error_from_a_vanished_device_is_found(device: RegisterDevice) -> None:
    class Blunt(ModbusTcpLink):
        async def exchange(self, request: Any) -> bytes:
            try:
                return await super().exchange(request)
            except Exception as error:
                raise OSError("gone") from error

    with pytest.raises(RED, match="expected LinkLost"):
        await wire_suite(Blunt).test_a_vanished_device_is_a_lost_link(device)


def test_a_reserved_count_that_a_plan_uses_is_found() -> None:
    with pytest.raises(RED, match="may be that of a poll"):
        wire_suite(ModbusTcpLink, reserve=reserve_what_is_polled).test_reserved_identities_are_in_no_plan()


async def test_a_proof_of_two_round_trips_is_found(device: RegisterDevice) -> None:
    class Stubborn(ModbusTcpLink):
        async def prove(self, station: Any, reserved: Reserved) -> None:
            for _ in range(3):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.exchange(self.asked)

        async def exchange(self, request: Request) -> bytes:
            self.asked = request
            return await super().exchange(request)

    test = "test_one_try_to_prove_is_at_most_one_round_trip"
    with pytest.raises(RED, match="it tries more than once"):
        await getattr(wire_suite(Stubborn), test)(device)
    device.release()
    await getattr(wire_suite(ModbusTcpLink), test)(device)


class Notebook(SimLink):
    """A link that can be written to and reports changes; ``flaw`` says what it gets wrong."""

    flaw = ""
    written: ClassVar[dict[str, Value]] = {}

    async def exchange(self, request: Request) -> tuple[float, ...]:
        values = await super().exchange(request)
        return tuple(float(self.written.get(str(i), v) or 0) for i, v in enumerate(values))

    async def write(self, station: Any, tag: Tag, raw: Value) -> None:
        if tag.name == "wrong":
            if self.flaw == "refuses nothing":
                return
            raise Refused("no such signal")
        if self.flaw != "forgets":
            self.written["0"] = raw
        if self.flaw == "spills":
            self.written["1"] = 99

    async def subscribe(self, station: Any, tags: Any, plan: Plan, period_s: float, sink: Any) -> float:
        columns = plan.decode([await self.exchange(request) for request in plan.requests])
        if self.flaw != "mute":
            sink(columns)
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(0.05, self._still, sink)
        if self.flaw == "slow":
            self.timer.cancel()
        return 0.2

    def _still(self, sink: Any) -> None:
        sink(None)
        self.timer = asyncio.get_running_loop().call_later(0.05, self._still, sink)

    async def close(self) -> None:
        if hasattr(self, "timer") and self.flaw != "talks on":
            self.timer.cancel()
        await super().close()


def able_suite(flaw: str) -> Any:
    class Flawed(Notebook):
        pass

    Flawed.flaw, Flawed.written = flaw, {}

    class Suite(WireDriverContract):
        plugin = replace(SIM, open_link=Flawed)
        tags = (Tag("a", "constant:1", ValueType.FLOAT32), Tag("b", "constant:2", ValueType.INT16))
        mistakes = ()
        writes = ((Tag("a", "constant:1", ValueType.FLOAT32), 5.0),)
        refusals = ((Tag("wrong", "constant:1", ValueType.FLOAT32), 5.0),)
        subscribes = True

        def valid_settings(self) -> Mapping[str, Any]:
            return {"link": "sim://test"}

    return Suite()


@dataclass
class Still:
    settings: Mapping[str, Any]
    expected: tuple[Value, ...]

    def hold(self) -> None: ...

    def change(self) -> None: ...


@pytest.mark.parametrize(
    ("flaw", "test", "words"),
    [
        ("forgets", "test_what_was_written_is_read_back", "wrote 5.0, read back 1.0"),
        ("spills", "test_a_write_leaves_the_other_tags_alone", "turned b from 2 into 99"),
        ("refuses nothing", "test_a_write_that_cannot_be_is_refused", "was not refused"),
        ("mute", "test_the_first_report_tells_every_value", "not reported after subscribing"),
        ("slow", "test_an_unchanged_device_gives_signs_of_life", "no sign of life"),
        ("", "test_a_silent_device_gives_none", "holds back everything"),
        ("talks on", "test_no_report_comes_after_close", "after close"),
    ],
)
async def test_a_flawed_ability_is_found(
    flaw: str, test: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.testing.wire.PATIENCE_S", 0.5)
    device = Still({"link": "sim://test"}, (1.0, 2))
    suite = able_suite(flaw)
    with pytest.raises(RED, match=words):
        await getattr(suite, test)(device)


@pytest.mark.parametrize(
    "test",
    [
        "test_what_was_written_is_read_back",
        "test_a_write_leaves_the_other_tags_alone",
        "test_a_write_that_cannot_be_is_refused",
        "test_the_first_report_tells_every_value",
        "test_an_unchanged_device_gives_signs_of_life",
        "test_no_report_comes_after_close",
    ],
)
async def test_a_flawless_ability_passes(test: str) -> None:
    await getattr(able_suite(""), test)(Still({"link": "sim://test"}, (1.0, 2)))

"""The contract suite itself: it must turn red for drivers that break the contract, and say what is wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN as MODBUS
from drivers.modbus.link import ModbusTcpLink
from drivers.sim import PLUGIN as SIM
from drivers.sim.link import SimLink
from edge_agent.driver import Columns, DriverPlugin, Plan
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


def wire_suite(open_link: Callable[[Any], Any]) -> WireDriverContract:
    class Suite(WireDriverContract):
        tags = (Tag("a", "hr:0", ValueType.UINT16),)
        mistakes = ()

        def valid_settings(self) -> Mapping[str, Any]:
            return {"link": "tcp://127.0.0.1"}

    Suite.plugin = replace(MODBUS, open_link=open_link)
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

"""A serial port that is taken, pulled out, plugged in again, or reached by two names."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from drivers.modbus import PLUGIN
from drivers.modbus.serial_port import SerialWire, holders
from drivers.modbus.settings import ModbusSettings
from edge_agent.errors import LinkDenied, LinkLost
from edge_agent.settings import Text
from edge_agent.testing.wire import until
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.serial_lines import PtyLine
from tests.unit.drivers_modbus.bank import Bank
from tests.unit.drivers_modbus.peer_bus import request_for
from tests.unit.drivers_modbus.test_trust import (
    STATION,
    TAGS,
    TRUTH,
    assert_no_wrong_value,
    is_good,
    polling,
)

_HOLDER = """
import sys, serial
port = serial.Serial(sys.argv[1], exclusive=True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest_asyncio.fixture
async def bus(tmp_path: Path) -> AsyncIterator[ModbusSerialServer]:
    bus = ModbusSerialServer({STATION: Bank(6000, counting=True)}, PtyLine(tmp_path / "by-id"))
    await bus.start()
    yield bus
    await bus.close()


def settings_of(bus: ModbusSerialServer, **keys: Any) -> ModbusSettings:
    return ModbusSettings(link=f"rtu://{bus.place}", station=STATION, baud=115_200, **keys)


@contextmanager
def held_by_another_process(device: str) -> Iterator[int]:
    command = [sys.executable, "-c", _HOLDER, device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder.pid
        holder.stdin.close()
        holder.wait(5)


async def test_a_port_that_is_taken_names_who_has_it(bus: ModbusSerialServer) -> None:
    settings = settings_of(bus)
    with held_by_another_process(bus.place) as pid:
        link = PLUGIN.open_link(settings)
        with pytest.raises(LinkLost) as caught:
            await link.connect()
        await link.close()
        assert caught.value.reason == "refused" and not isinstance(caught.value, LinkDenied)
        assert f"(process {pid})" in str(caught.value) and "python" in str(caught.value)
        assert bus.place in str(caught.value)
    link = PLUGIN.open_link(settings)
    await link.connect()  # free again
    await link.close()


async def test_the_port_is_locked_as_long_as_the_link_is_open(bus: ModbusSerialServer) -> None:
    first, second = (PLUGIN.open_link(settings_of(bus)) for _ in range(2))
    await first.connect()
    with pytest.raises(LinkLost, match="this program itself"):
        await second.connect()
    await second.close()
    with open(bus.place, "rb", buffering=0) as other, pytest.raises(BlockingIOError):  # noqa: ASYNC230, PTH123
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    await first.close()
    with open(bus.place, "rb", buffering=0) as other:  # noqa: ASYNC230, PTH123
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_holder_nobody_may_see_is_another_process(tmp_path: Path) -> None:
    assert holders(str(tmp_path / "nothing")) == Text("another process", "其他进程")


async def test_two_names_of_one_port_are_one_bus(bus: ModbusSerialServer, tmp_path: Path) -> None:
    alias = tmp_path / "by-path"
    alias.symlink_to(bus.place)
    real = os.path.realpath(bus.place)  # noqa: ASYNC240 - a link in tmpfs
    keys = {
        PLUGIN.link_key(ModbusSettings(link=f"{scheme}://{path}"))
        for scheme in ("rtu", "ascii")
        for path in (bus.place, alias, real)
    }
    assert keys == {real}


async def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    link = PLUGIN.open_link(ModbusSettings(link=f"rtu://{tmp_path}/none"))
    with pytest.raises(LinkLost, match=r"does not exist.*/dev/serial/by-id"):
        await link.connect()
    await link.close()


async def test_a_file_that_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    link = PLUGIN.open_link(ModbusSettings(link=f"rtu://{tmp_path}/file"))
    with pytest.raises(LinkLost, match="cannot be used"):
        await link.connect()
    await link.close()


async def test_rs485_of_a_port_that_has_none_says_what_to_do(bus: ModbusSerialServer) -> None:
    link = PLUGIN.open_link(settings_of(bus, rs485=True))
    with pytest.raises(LinkLost, match="leave rs485 out"):
        await link.connect()
    await link.close()


async def test_rs485_reaches_the_port(bus: ModbusSerialServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo-terminal has no such mode; what is asked of the operating system is recorded instead."""
    import serial

    asked: list[Any] = []
    monkeypatch.setattr(serial.Serial, "_set_rs485_mode", lambda self, mode: asked.append(mode))
    link = PLUGIN.open_link(settings_of(bus, rs485=True))
    await link.connect()
    await link.close()
    assert asked and all(mode.rts_level_for_tx for mode in asked)


async def test_line_settings_reach_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    opened: list[serial.Serial] = []

    def refuse(self: serial.Serial) -> None:
        opened.append(self)
        raise serial.SerialException(2, "no such port")

    monkeypatch.setattr(serial.Serial, "open", refuse)
    keys = {"baud": 19_200, "data_bits": 7, "parity": "odd", "stop_bits": 2}
    link = PLUGIN.open_link(ModbusSettings(link="ascii:///dev/ttyS99", **keys))
    with pytest.raises(LinkLost):
        await link.connect()
    await link.close()
    (port,) = opened
    assert (port.port, port.baudrate, port.bytesize) == ("/dev/ttyS99", 19_200, 7)
    assert (port.parity, port.stopbits, port.exclusive) == ("O", 2, True)


async def test_pulled_out_while_asked(bus: ModbusSerialServer) -> None:
    link = PLUGIN.open_link(settings_of(bus))
    await link.connect()
    bus.holding = True
    asking = asyncio.ensure_future(link.exchange(request_for("hr:0", station=STATION)))
    await until(lambda: bus.held, "the request never arrived")
    await bus.close()
    with pytest.raises(LinkLost, match="is the adapter plugged in"):
        await asking
    with pytest.raises(LinkLost):
        await link.exchange(request_for("hr:0", station=STATION))
    await link.close()


async def test_pulled_out_while_idle_it_costs_no_time(bus: ModbusSerialServer) -> None:
    """A dead descriptor is readable for ever: it must not keep the event loop busy."""
    link = PLUGIN.open_link(settings_of(bus))
    await link.connect()
    await bus.close()
    loop = asyncio.get_running_loop()
    await until(lambda: getattr(link, "_loss", None) is not None, "the loss was not noticed")
    calls, call_soon = 0, loop._selector.select  # type: ignore[attr-defined]

    def counted(timeout: float | None) -> Any:
        nonlocal calls
        calls += 1
        return call_soon(timeout)

    loop._selector.select = counted  # type: ignore[attr-defined]
    await asyncio.sleep(0.2)
    loop._selector.select = call_soon  # type: ignore[attr-defined]
    assert calls < 10
    await link.close()


async def test_it_comes_back_by_itself_when_plugged_in_again(bus: ModbusSerialServer) -> None:
    """The adapter gets another number; its name below by-id stays."""
    before = os.path.realpath(bus.place)  # noqa: ASYNC240 - a link in tmpfs
    blockers = []
    async with polling(settings_of(bus, timeout="200ms", max_gap=20), TAGS, 0.2) as batches:
        await until(lambda: any(map(is_good, batches)), "nothing was read")
        await bus.close()
        await until(lambda: batches and not is_good(batches[-1]), "the loss was not noticed")
        await until(lambda: not Path(before).exists(), "the link does not let go of the dead port")
        blockers = list(os.openpty())  # takes the number that is free now
        seen = len(batches)
        await bus.start()
        assert os.path.realpath(bus.place) != before  # noqa: ASYNC240 - a link in tmpfs
        await until(lambda: any(map(is_good, batches[seen:])), "it did not come back")
    for descriptor in blockers:
        os.close(descriptor)
    assert_no_wrong_value(batches, TRUTH)


async def test_opening_does_not_stop_the_loop(
    bus: ModbusSerialServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may wait for the operating system; cancelled meanwhile, it leaves no lock behind."""
    may_open, opening = threading.Event(), threading.Event()
    really = SerialWire._open

    def slow(self: SerialWire) -> Any:
        opening.set()
        assert may_open.wait(5)
        return really(self)

    monkeypatch.setattr(SerialWire, "_open", slow)
    link = PLUGIN.open_link(settings_of(bus))
    connecting = asyncio.ensure_future(link.connect())
    await until(opening.is_set, "the port is not opened")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    closing = asyncio.ensure_future(link.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    may_open.set()
    await closing
    link = PLUGIN.open_link(settings_of(bus))
    await link.connect()
    await link.close()


async def test_nobody_reads_on_the_other_side(tmp_path: Path) -> None:
    """A full buffer is a lost link, not a loop that stands still."""
    master, slave = os.openpty()
    link = PLUGIN.open_link(ModbusSettings(link=f"rtu://{os.ttyname(slave)}", baud=4_000_000))
    await link.connect()
    os.write(master, b"\x13")
    wire: Any = link._wire  # type: ignore[union-attr]
    with pytest.raises(LinkLost, match="buffer is full"):
        for _ in range(10_000):
            wire.write(bytes(256))
    await link.close()
    os.close(master)
    os.close(slave)

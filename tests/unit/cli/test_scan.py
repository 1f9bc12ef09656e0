"""``scan`` finds what was planted: speed, parity, stations, unit ids, rack and slot, endpoints; and writes
nothing while it looks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.modbus import scan_line, serial_port
from hardware_mocks.modbus import ModbusServer
from hardware_mocks.modbus_serial import ModbusSerialServer
from hardware_mocks.opcua import NAMESPACE, OpcUaServer
from hardware_mocks.opcua_security import make_protection
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit
from hardware_mocks.s7 import S7Server
from hardware_mocks.serial_lines import PtyLine
from tests.plant.processes import Child
from tests.plant.site import free_port
from tests.unit.cli.beside import Beside, run

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_LANGUAGE", "en")


def a_port_with_parity(line: PtyLine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """pyserial as the driver uses it, but for one thing: the parity goes to the line by word of mouth, since
    a pseudo-terminal refuses to have one. Returns what the port was opened with, in order."""
    opened: list[tuple[int, str]] = []
    real = serial.Serial

    def told(*arguments: Any, parity: str, stopbits: int, **more: Any) -> Any:
        line.client_parity = {"N": "none", "E": "even", "O": "odd"}[parity]
        opened.append((more["baudrate"], line.client_parity))
        return real(*arguments, parity="N", stopbits=1, **more)

    monkeypatch.setattr(serial_port, "_is_line", lambda device: True)
    monkeypatch.setattr(serial, "Serial", told)
    return opened


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("baud", "parity", "stations"),
    [(19200, "even", (3, 17)), (9600, "none", (1,)), (38400, "odd", (30, 31)), (4800, "none", (2,))],
)
def test_the_speed_and_parity_of_a_bus_are_found(
    baud: int,
    parity: str,
    stations: tuple[int, ...],
    plant: Beside,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = PtyLine(tmp_path / "bus", baud=baud, parity=parity)
    a_port_with_parity(line, monkeypatch)
    monkeypatch.setattr(scan_line, "LISTEN_S", 0.05)
    unit = LineUnit(Process(1))
    bus = plant.start(ModbusSerialServer(dict.fromkeys(stations, unit), line))
    words = ("--baud", "4800,9600,19200,38400", "--stations", "1-10,17,30,31", "--timeout", "60ms", "--json")
    assert run("scan", "serial", bus.place, *words, "--yes") == 0
    told = answer(capsys)
    found = [(f["baud"], f["parity"], f["station"]) for f in told["findings"]]
    assert found == [(baud, parity, station) for station in stations]
    assert told["devices"][0] == {
        "driver": "modbus", "link": f"rtu://{bus.place}", "baud": baud, "parity": parity,
        "stop_bits": 1, "station": stations[0],
    }  # fmt: skip
    assert bus.writes.total() == 0
    assert all(bus.requests[s] == 1 for s in stations), "each is asked once where it hears"


def test_once_found_no_other_combination_is_tried(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = PtyLine(tmp_path / "bus", baud=9600, parity="odd")
    opened = a_port_with_parity(line, monkeypatch)
    bus = plant.start(ModbusSerialServer({5: LineUnit(Process(1))}, line))
    words = ("--baud", "9600,19200", "--parity", "E,O,N", "--stations", "1-12", "--timeout", "60ms", "--yes")
    assert run("scan", "serial", bus.place, *words) == 0
    assert opened == [(9600, "even"), (9600, "odd"), (9600, "odd")]
    shown = capsys.readouterr()
    assert shown.out.rstrip().endswith("poll: {fast: 1s}\ntags: press-1.csv")
    assert "parity: odd" in shown.out and "station: 5" in shown.out
    assert "At most" in shown.err


def test_a_silent_bus_is_exit_4_after_the_time_that_was_told(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_line, "LISTEN_S", 0.05)
    bus = plant.start(ModbusSerialServer({}, PtyLine(tmp_path / "bus")))
    began_s = time.monotonic()
    words = ("--baud", "9600", "--parity", "E,N", "--stations", "1-20", "--timeout", "50ms")
    assert run("scan", "serial", bus.place, *words) == 4
    assert "nobody answered" in capsys.readouterr().err
    assert 2.0 <= time.monotonic() - began_s <= 2 * 20 * 0.05 + 6
    assert bus.requests.total() == 40


def test_a_port_that_is_held_names_the_holder_and_needs_yes(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = plant.start(ModbusSerialServer({1: LineUnit(Process(1))}, PtyLine(tmp_path / "bus")))
    real = os.path.realpath(bus.place)
    code = f"import os, sys; os.open({real!r}, os.O_RDWR | os.O_NOCTTY); print('on', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, "edge-agent", "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code.replace("'on'", "'off'")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        for process in (holder, other):
            assert process.stdout is not None and process.stdout.readline()
        words = ("scan", "serial", bus.place, "--baud", "9600", "--parity", "E", "--stations", "1-3")
        assert run(*words) == 1
        said = capsys.readouterr().err
        assert f"running agent (process {holder.pid})" in said and "systemctl stop edge-agent" in said
        assert f"(process {other.pid})" in said and "--yes" in said
        assert run(*words, "--lang", "zh") == 1
        assert f"正在运行的代理（进程 {holder.pid}）" in capsys.readouterr().err
        assert bus.requests.total() == 0, "nothing was sent"
        assert run(*words, "--yes", "--json") == 0
        assert [f["station"] for f in answer(capsys)["findings"]] == [1]
    finally:
        for process in (holder, other):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()


def test_whoever_made_a_pseudo_terminal_does_not_use_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A virtual serial port of a network serial server is open in the program that offers it."""
    words = ["hardware_mocks", "modbus-rtu", "--control-port", "0", "--with-parent", "--baud", "19200"]
    bus = Child(words, tmp_path / "bus.log")
    try:
        asked = ("--parity", "E", "--stations", "1", "--timeout", "100ms", "--json")
        port = str(bus.ports["modbus"])
        assert run("scan", "serial", port, "--baud", "9600,19200", *asked) == 0
        assert [f["baud"] for f in answer(capsys)["findings"]] == [19200]
    finally:
        bus.stop()


def test_another_master_is_heard_before_anything_is_sent(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = plant.start(ModbusSerialServer({1: LineUnit(Process(1))}, PtyLine(tmp_path / "bus")))
    over = threading.Event()

    async def chatter() -> None:
        while not over.is_set():
            bus.line.write(bytes.fromhex("0103000000018 40a".replace(" ", "")))
            await asyncio.sleep(0.1)

    talk = asyncio.run_coroutine_threadsafe(chatter(), plant._loop)
    try:
        assert run("scan", "serial", bus.place, "--baud", "9600", "--parity", "E", "--stations", "1") == 1
    finally:
        over.set()
        talk.result(5)
    assert "another master" in capsys.readouterr().err
    assert bus.requests.total() == 0


def test_a_port_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("scan", "serial", str(tmp_path / "ttyUSB9"))
    assert run(*words) == 4
    assert "does not exist" in capsys.readouterr().err
    for yes in ((), ("--yes",)):
        assert run(*words, *yes, "--lang", "zh") == 4
        shown = capsys.readouterr().err
        assert "不存在：转接器是否插好" in shown
        assert "最多需要" not in shown, "looked at before it is told how long the search takes"


def test_unit_ids_behind_a_gateway_and_what_they_are(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = LineUnit(Process(1))
    server = plant.start(ModbusServer({4: unit, 9: unit}))
    server.identities[9] = {0: "汇川".encode(), 1: b"AM600", 2: b"1.7"}
    where = f"127.0.0.1:{server.port}"
    assert run("scan", "modbus", where, "--units", "1-12", "--timeout", "200ms", "--json") == 0
    told = answer(capsys)
    assert [f["station"] for f in told["findings"]] == [4, 9]
    assert told["findings"][0]["about"] == {"tables": ["hr", "ir", "co", "di"]}
    assert told["findings"][1]["about"] == {
        "tables": ["hr", "ir", "co", "di"], "vendor": "汇川", "product": "AM600", "revision": "1.7",
    }  # fmt: skip
    assert server.writes.total() == 0
    assert max(server.requests.values()) <= 5, "as few requests as possible"
    assert run("scan", "modbus", where, "--units", "8-9", "--lang", "zh") == 0
    shown = capsys.readouterr().out
    assert "汇川" in shown and "可读" in shown and f"link: tcp://{where}\nstation: 9" in shown


class Behind:
    """A gateway with nobody behind it: exception 11 to everything, or what ``reply`` says."""

    def __init__(self, reply: bytes | None = None) -> None:
        self.reply = reply
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while frame := await reader.read(260):
                if self.reply == b"":
                    break
                gateway = frame[:4] + b"\0\3" + frame[6:7] + bytes((frame[7] | 0x80, 11))
                writer.write(self.reply or gateway)
        writer.close()


def test_a_gateway_that_answers_for_nobody_is_no_silence(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"127.0.0.1:{plant.start(Behind()).port}"
    assert run("scan", "modbus", where, "--units", "1-3,7", "--lang", "zh") == 4
    shown = capsys.readouterr().err
    assert f"tcp://{where} 的网关有应答，但单元号 1-3,7 后面没有设备应答" in shown
    assert "exception 11" in shown and "无任何应答" not in shown
    assert run("scan", "modbus", where, "--units", "1", "--json") == 4
    assert "The gateway at" in answer(capsys)["silence"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "的端口有应答，但不是 Modbus"), (b"", "每次都不应答就断开")],
)
def test_a_port_that_speaks_something_else_is_no_silence(
    reply: bytes, words: str, plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"127.0.0.1:{plant.start(Behind(reply)).port}"
    assert run("scan", "modbus", where, "--units", "1-3", "--lang", "zh") == 4
    shown = capsys.readouterr().err
    assert words in shown and "无任何应答" not in shown


@pytest.mark.parametrize("driver", ["modbus", "s7", "opcua"])
def test_a_port_that_is_refused_is_told_in_chinese_and_without_serial_advice(
    driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scan", driver, f"127.0.0.1:{free_port()}", "--lang", "zh") == 4
    first, *more = [line for line in capsys.readouterr().err.splitlines() if "最多需要" not in line]
    assert "连接被拒绝" in first and "Connect call" not in first
    assert "串口" not in "".join(more) and "systemctl" not in "".join(more)


def test_a_device_that_answers_every_number_is_one_device(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = LineUnit(Process(1))
    server = plant.start(ModbusServer(dict.fromkeys(range(256), unit)))
    assert run("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-25") == 0
    assert "does not look at the unit id" in capsys.readouterr().err


@pytest.mark.parametrize("place", [(0, 3), (1, 4), (0, 0)])
def test_rack_and_slot_and_what_cpu_it_is(
    place: tuple[int, int], plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    server = S7Server(Process(1))
    server.places = {place}
    server.state_list.running = False
    plant.start(server)
    assert run("scan", "s7", f"127.0.0.1:{server.port}", "--racks", "0-1", "--slots", "0-4", "--json") == 0
    told = answer(capsys)
    (finding,) = told["findings"]
    assert (finding["rack"], finding["slot"]) == place
    assert finding["about"] == {
        "state": "STOP", "module": "CPU 315-2 PN/DP", "order_number": "6ES7 315-2EH14-0AB0",
        "firmware": "V3.2.6", "name": "furnace line", "serial": "S C-X4U421302009",
    }  # fmt: skip
    assert server.write_requests == 0


def test_a_cpu_that_tells_nothing_is_found_all_the_same(
    plant: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    server = S7Server(Process(1))
    server.told.identifies, server.state_list.answers = False, False
    plant.start(server)
    assert run("scan", "s7", f"127.0.0.1:{server.port}") == 0
    shown = capsys.readouterr().out
    assert "rack: 0\nslot: 1\n" in shown and "choose" in shown


def test_endpoints_the_certificate_and_the_choice(plant: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    protection = make_protection(NAMESPACE, users={"reader": "x"}, anonymous=False)
    server = plant.start(OpcUaServer(Process(), protection=protection))
    assert run("scan", "opcua", f"127.0.0.1:{server.port}", "--json") == 0
    told = answer(capsys)
    (chosen,) = (f for f in told["findings"] if f["chosen"])
    assert chosen["security_policy"] == "Aes256_Sha256_RsaPss"
    assert chosen["security_mode"] == "SignAndEncrypt"
    about = chosen["about"]
    assert about["application"] == "Lineside simulated line" and "UserName" in about["tokens"]
    assert len(about["fingerprint"].split(":")) == 32 and about["expires"] > "2026"
    assert len(about["thumbprint"].split(":")) == 20
    assert told["devices"] == [
        {
            "driver": "opcua", "link": f"opc.tcp://127.0.0.1:{server.port}",
            "security_policy": "Aes256_Sha256_RsaPss", "security_mode": "SignAndEncrypt",
        }
    ]  # fmt: skip
    assert server.writes == 0 and server.requests == 0


@pytest.mark.parametrize("what", ["modbus", "s7", "opcua"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nobody_there_is_exit_4(what: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scan", what, f"127.0.0.1:{free_port()}", "--lang", language) == 4
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" not in shown.err
    assert ("请" in shown.err) == (language == "zh")


@pytest.mark.parametrize(
    "words",
    [
        ("modbus", "127.0.0.1", "--units", "1-"),
        ("modbus", "127.0.0.1", "--units", "0-300"),
        ("serial", "/dev/null", "--parity", "X"),
        ("serial", "/dev/null", "--baud", "fast"),
        ("s7", "127.0.0.1", "--slots", "5-1"),
        ("modbus", "127.0.0.1", "--timeout", "5"),
        ("modbus", "a b"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_cannot_be_meant_is_a_usage_error(
    words: tuple[str, ...], language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scan", *words, "--lang", language) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_ends_with_what_was_found(plant: Beside) -> None:
    unit = LineUnit(Process(1))
    server = plant.start(ModbusServer({2: unit}))
    for silent in range(3, 248):
        server.units[silent] = unit
    from hardware_mocks.faults import Behaviour, Fault

    for silent in range(3, 248):
        plant.call(server.set_fault(silent, Behaviour(Fault.SILENT)))
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "scan", "modbus", f"127.0.0.1:{server.port}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env=os.environ | {"EDGE_AGENT_LANGUAGE": "en"},
    )  # fmt: skip
    until_s = time.monotonic() + 30
    while server.requests[4] == 0 and time.monotonic() < until_s:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "station: 2" in out and "Interrupted" in err and "Traceback" not in err
    assert server.requests[200] == 0


def test_the_progress_line_is_on_a_terminal_only(plant: Beside) -> None:
    server = plant.start(ModbusServer({2: LineUnit(Process(1))}))
    master, slave = os.openpty()
    termios.tcflush(slave, termios.TCIOFLUSH)
    process = subprocess.run(
        [sys.executable, "-m", "edge_agent", "scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-3"],
        stdout=subprocess.PIPE, stderr=slave, timeout=30, check=False,
        env=os.environ | {"EDGE_AGENT_LANGUAGE": "en"},
    )  # fmt: skip
    shown = os.read(master, 65536).decode()
    os.close(master)
    os.close(slave)
    assert process.returncode == 0
    assert "/3" in shown and "found:" in shown
    assert b"found:" not in process.stdout

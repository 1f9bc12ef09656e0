"""``guess`` with its second look, and ``read``, as a technician meets them. The device is a bank."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from edge_agent.cli import read
from hardware_mocks.modbus import ModbusServer
from tests.plant.site import free_port
from tests.unit.cli.beside import Beside, run
from tests.unit.drivers_modbus.bank import Bank

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGE_AGENT_LANGUAGE", "zh")


def line(directory: Path, port: int, *devices: str, table: str = "x,hr:0,int16\n") -> Path:
    for folder in ("devices.d", "tags.d"):
        (directory / folder).mkdir(parents=True)
    for station, name in enumerate(devices, 1):
        (directory / "devices.d" / f"{station}.yaml").write_text(
            f"device: {name}\ndriver: modbus\nlink: tcp://127.0.0.1:{port}\nstation: {station}\n"
            "poll: {fast: 1s}\ntags: m.csv\n",
            encoding="utf-8",
        )
    (directory / "tags.d" / "m.csv").write_text("name,address,type\n" + table, encoding="utf-8")
    (directory / "edge-agent.yaml").write_text("line: line-1\nstate_dir: state\n", encoding="utf-8")
    return directory


def banks(plant: Beside, count: int) -> tuple[int, list[Bank]]:
    """Stations 1 to ``count``, each with 400 at 40019."""
    found = [Bank(40) for _ in range(count)]
    for bank in found:
        bank.words[18] = 400
    return plant.start(ModbusServer(dict(enumerate(found, 1)))).port, found


def test_devices_with_chinese_names_and_of_two_lines_have_a_memory_each(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, (press, fan) = banks(plant, 2)
    one = line(tmp_path / "one", port, "压机1", "风机1")
    two = line(tmp_path / "two", port, "压机1")
    fan.words[18], fan.words[30] = 0, 777
    assert run("guess", "压机1", "--value", "0.400", "--config", one) == 0
    assert run("guess", "风机1", "--value", "77.7", "--config", one) == 0
    assert run("guess", "压机1", "--again", "0.41", "--config", two) == 2
    press.words[18] = 410
    capsys.readouterr()
    assert run("guess", "压机1", "--again", "0.410", "--config", one, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["values"]
    assert (told["shown"], told["again"]) == ("0.400", "0.410")
    kept = sorted(path.name for path in (tmp_path / "cache" / "edge-agent").iterdir())
    assert [name.rpartition("-")[0] for name in kept] == ["guess-压机1", "guess-风机1"]


def test_what_stood_still_is_dropped_and_what_moved_is_shown_as_it_is_now(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, (bank,) = banks(plant, 1)
    config = line(tmp_path / "line", port, "压机1")
    words = ("guess", "压机1", "--config", config)
    near = ("--near", "40019", "--span", "3")
    assert run(*words, "--value", "0.4", *near) == 0
    assert "--again 新数值" in capsys.readouterr().out
    assert run(*words, "--again", "0.41") == 1
    shown = capsys.readouterr()
    assert "0.4 -> 0.41：没有随显示变化的地址" in shown.err
    assert "--again" not in shown.out + shown.err, "there is nothing to look at again"
    bank.words[18] = 410
    assert run(*words, "--again", "0.41") == 0
    shown = capsys.readouterr()
    assert "0.4 -> 0.41" in shown.out and "410 / 1000" in shown.out and "400 / 1000" not in shown.out


def test_nothing_found_advises_no_second_look(
    plant: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, _ = banks(plant, 1)
    config = line(tmp_path / "line", port, "压机1")
    assert run("guess", "压机1", "--value", "23.7", "--config", config) == 1
    shown = capsys.readouterr()
    assert "没有找到" in shown.err and "--again" not in shown.out


@pytest.mark.parametrize("text", ["0", "0.0", "-0"])
def test_a_zero_is_refused_with_a_cure(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = line(tmp_path / "line", 9, "压机1")
    assert run("guess", "压机1", "--value", "23.7", f"--value={text}", "--config", config) == 2
    assert "请在显示值不为 0 时再查" in capsys.readouterr().err


# read


def test_a_refused_port_gets_no_advice_for_serial_ports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = line(tmp_path / "line", free_port(), "压机1")
    assert run("read", "压机1", "--config", config) == 4
    shown = capsys.readouterr().err
    assert "连接被拒绝" in shown and "端口无人监听" in shown
    assert "串口" not in shown and "systemctl" not in shown


@pytest.mark.parametrize(
    ("link", "reason", "serial"),
    [
        ("modbus:/dev/ttyUSB0", "refused", True),
        ("rtu:///dev/ttyUSB0", "refused", True),
        ("rtu:///dev/ttyUSB0", "timeout", False),
        ("modbus:10.0.0.21:502", "refused", False),
        ("tcp://10.0.0.21:502", "refused", False),
        ("opcua:opc.tcp://10.0.0.41:4840/path", "refused", False),
    ],
)
def test_only_a_serial_port_that_is_taken_gets_it(link: str, reason: str, serial: bool) -> None:
    assert ("sudo systemctl stop edge-agent" in read.cure(reason, link)) == serial


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("x,hr:0,int16\n", 0),
        ("x,hr:0,int16\nnan,hr:2,float32\n", 1),
        ("x,hr:0,int16\nbeyond,hr:200,int16\n", 1),
    ],
)
@pytest.mark.parametrize("how", [(), ("--json",), ("--raw",)])
def test_a_bad_value_is_no_success(
    table: str, code: int, how: tuple[str, ...], plant: Beside, tmp_path: Path
) -> None:
    port, (bank,) = banks(plant, 1)
    bank.words[2:4] = 0x7FC0, 0
    config = line(tmp_path / "line", port, "压机1", table=table)
    assert run("read", "压机1", *how, "--config", config) == code


@pytest.mark.parametrize(
    ("qualities", "code"),
    [
        (("good",), 0), (("good", "uncertain_stopped"), 0), (("good", "bad_decode"), 1),
        (("good", "bad_comm"), 1), (("bad_comm", "bad_comm"), 4),
    ],
)  # fmt: skip
def test_the_exit_code_of_read(qualities: tuple[str, ...], code: int) -> None:
    assert read.exit_code([{"quality": quality} for quality in qualities]) == code


@pytest.mark.parametrize("verb", [("read", "压机1"), ("guess", "压机1", "--value", "23.7")])
def test_whoever_waits_at_a_terminal_is_told_for_what(
    verb: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config = line(tmp_path / "line", port, "压机1")
        assert run(*verb, "--config", config) == 4
        assert "正在等待" not in capsys.readouterr().err, "not in a pipe"
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert run(*verb, "--config", config) == 4
    shown = capsys.readouterr().err
    assert f"正在等待 压机1 (modbus:127.0.0.1:{port}) 应答" in shown
    assert shown.index("正在等待") < shown.index("在 2 s 内无应答")

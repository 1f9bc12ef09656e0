"""``init``: what it writes passes ``check``; what exists stays; wrong answers are asked for again."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.config import load_with_warnings

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "edge_agent", "init"]


def answered(
    directory: Path, *answers: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, str(directory), *options],
        input="".join(f"{answer}\n" for answer in answers),
        capture_output=True,
        text=True,
        timeout=50,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("driver", ["modbus", "s7", "opcua", "sim"])
def test_what_it_writes_passes_check_without_a_warning(driver: str, language: str, tmp_path: Path) -> None:
    words = ["init", str(tmp_path / "line"), "--non-interactive", "--driver", driver, "--lang", language]
    assert main(words) == 0
    assert main(["check", "--strict", "--config", str(tmp_path / "line")]) == 0
    configuration, _ = load_with_warnings(tmp_path / "line")
    assert (configuration.line, configuration.language) == ("line-1", language)
    assert [device.driver for device in configuration.devices] == [driver]
    assert configuration.state_dir == tmp_path / "line" / "state"
    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "line").rglob("*.yaml")]
    chinese = any("\u4e00" <= character <= "\u9fff" for text in texts for character in text)
    assert chinese is (language == "zh")
    assert all("# " in text for text in texts)


def test_every_answer_arrives_and_awkward_ones_are_quoted(tmp_path: Path) -> None:
    line = 'No. 3: "焊装" #2 \\ @x'
    done = answered(tmp_path / "c", "zh", line, "modbus", "压机_1", "10.0.0.9:1502", "7", "n")
    assert done.returncode == 0, done.stderr
    assert "产线名称" in done.stderr and "产线名称" not in done.stdout  # questions are not results
    assert done.stderr.index(f"目录：{tmp_path}/c") < done.stderr.index("产线名称")
    assert "devices.d/压机_1.yaml" in done.stdout
    (device,) = (configuration := load_with_warnings(tmp_path / "c")[0]).devices
    assert configuration.line == line
    assert (device.name, device.settings.link, device.settings.station) == (  # type: ignore[attr-defined]
        "压机_1", "tcp://10.0.0.9:1502", 7,
    )  # fmt: skip


def test_wrong_answers_are_explained_and_asked_for_again(tmp_path: Path) -> None:
    done = answered(
        tmp_path / "c", "zh", "line", "modbsu", "modbus", "一号 压机", "一号压机", "压机1",
        "10.0.0.9", "x", "300", "7", "n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "是否想写 'modbus'" in done.stderr and "错误：请输入整数" in done.stderr
    assert "Error" not in done.stderr
    asked = [done.stderr.count(question) for question in ("产线名称", "设备名称", "设备地址", "站号 [")]
    assert asked == [1, 2, 2, 3], "each is asked again at once, and nothing else"
    assert all(code in done.stderr for code in ("E-CFG-030", "E-CFG-025", "E-CFG-024"))
    assert "Traceback" not in done.stderr
    assert load_with_warnings(tmp_path / "c")[0].devices[0].name == "一号压机"


def test_a_wrong_option_is_told_and_asked_for(tmp_path: Path) -> None:
    done = answered(
        tmp_path / "c", "en", "line", "press-1", "10.0.0.9", "7", "n",
        options=("--driver", "modbus", "--station", "300"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "E-CFG-024" in done.stderr
    assert load_with_warnings(tmp_path / "c")[0].devices[0].settings.station == 7  # type: ignore[attr-defined]


def test_whoever_names_no_directory_is_asked_for_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "edge-agent.yaml").write_text("line: l\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "EDGE_AGENT_CONFIG"}
    done = subprocess.run(
        PROGRAM, input="zh\nmine\nhere\nline\nsim\n\n\nn\n", capture_output=True, text=True, timeout=50,
        env=environment | {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.index("配置写入哪个目录") < done.stderr.index("产线名称")
    assert "mine/edge-agent.yaml 已存在" in done.stderr
    assert (tmp_path / "here" / "devices.d" / "sim-1.yaml").exists()


def test_where_nothing_can_be_written_is_told_before_the_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.cli.init._writable", lambda _: False)  # root may write anywhere
    assert main(["init", str(tmp_path / "etc" / "c"), "--lang", "zh"]) == 5
    shown = capsys.readouterr().err
    assert f"当前用户不能写入 {tmp_path}/etc/c" in shown and "sudo" in shown and "产线名称" not in shown
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["init", str(tmp_path / "file"), "--lang", "en"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_the_table_opens_in_excel_and_the_schema_is_where_the_first_line_says(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path), "--non-interactive", "--driver", "sim", "--lang", "zh"]) == 0
    assert (tmp_path / "tags.d" / "sim-1.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    for path, folder in (("edge-agent.yaml", "schema"), ("devices.d/sim-1.yaml", "../schema")):
        file = tmp_path / path
        first, second = file.read_text(encoding="utf-8").splitlines()[:2]
        assert second.endswith(f"edge-agent schema --write {folder}")
        assert main(["schema", "--write", str(file.parent / folder)]) == 0
        assert (file.parent / first.partition("$schema=")[2]).is_file()


@pytest.mark.parametrize("there", ["edge-agent.yaml", "devices.d/sim-1.yaml", "tags.d/sim-1.csv"])
def test_nothing_that_exists_is_touched(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", encoding="utf-8")
    assert main(["init", str(tmp_path), "--non-interactive", "--driver", "sim"]) == 1
    assert path.read_text(encoding="utf-8") == "mine"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, code, said",
    [
        ([], 2, "--driver"),
        (["--driver", "modbsu"], 1, "modbus"),
        (["--driver", "modbus", "--station", "999"], 78, "E-CFG-024"),
        (["--driver", "modbus", "--device", "../../x"], 78, "E-CFG-030"),
        (["--driver", "modbus", "--link", "::::"], 78, "E-CFG-025"),
    ],
)
def test_without_questions_a_mistake_writes_nothing(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "c"), "--non-interactive", *words]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_interrupted_it_writes_nothing(tmp_path: Path) -> None:
    done = answered(tmp_path / "c", "zh", "line")  # the line to the console is gone
    assert done.returncode == 130
    assert "Traceback" not in done.stderr and not (tmp_path / "c").exists()


def test_probing_tells_what_the_device_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--non-interactive", "--probe", "--json"]
    assert main(["init", str(tmp_path / "a"), *base, "--driver", "sim"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["probe"]["ok"] and "first_value = " in said["probe"]["said"]
    assert said["files"] == ["edge-agent.yaml", "devices.d/sim-1.yaml", "tags.d/sim-1.csv"]
    assert main(["init", str(tmp_path / "b"), *base, "--driver", "modbus", "--link", "127.0.0.1:1"]) == 4
    said = json.loads(capsys.readouterr().out)
    assert not said["probe"]["ok"] and "127.0.0.1:1" in said["probe"]["said"]
    assert (tmp_path / "b" / "edge-agent.yaml").exists(), "a silent device is no reason to write nothing"
    words = [*base[:2], "--driver", "modbus", "--link", "127.0.0.1:1", "--lang", "zh"]
    assert main(["init", str(tmp_path / "c"), *words]) == 4
    assert "配置文件已照常写入" in capsys.readouterr().err


def test_a_plain_terminal_is_enough(tmp_path: Path) -> None:
    """As on a serial console: no size, no colours, no cursor."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, str(tmp_path / "c"), "--lang", "en"], stdin=slave, stdout=slave, stderr=slave,
        env=os.environ | {"TERM": "vt100"}, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    os.write(master, b"en\nline\nsim\n\n\nn\n")
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # EIO: the other side has closed
            break
        if not part:
            break
        seen += part
    os.close(master)
    assert process.wait(timeout=30) == 0, seen
    assert b"written: " in seen and b"\x1b" not in seen
    assert (tmp_path / "c" / "devices.d" / "sim-1.yaml").exists()


@pytest.mark.parametrize("port", ["rtu:///dev/serial/by-id/usb-x", "/dev/serial/by-id/usb-x"])
def test_at_a_serial_port_speed_and_parity_are_asked_for(port: str, tmp_path: Path) -> None:
    done = answered(
        tmp_path / "c", "en", "line", "modbus", "meter-1", port, "3", "19200", "nine", "none", "n"
    )
    assert done.returncode == 0, done.stderr
    assert "one of: even, none, odd" in done.stderr
    settings = load_with_warnings(tmp_path / "c")[0].devices[0].settings
    assert (settings.link, settings.station) == ("rtu:///dev/serial/by-id/usb-x", 3)  # type: ignore[attr-defined]
    assert (settings.baud, settings.parity) == (19200, "none")  # type: ignore[attr-defined]


def test_speed_and_parity_may_be_options_and_have_defaults(tmp_path: Path) -> None:
    words = ["--non-interactive", "--driver", "modbus", "--link", "/dev/ttyS1"]
    assert main(["init", str(tmp_path / "a"), *words, "--baud", "4800", "--parity", "odd"]) == 0
    assert main(["init", str(tmp_path / "b"), *words]) == 0
    found = [load_with_warnings(tmp_path / name)[0].devices[0].settings for name in "ab"]
    assert [(s.baud, s.parity) for s in found] == [(4800, "odd"), (9600, "even")]  # type: ignore[attr-defined]

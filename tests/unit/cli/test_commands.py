"""The command as a person starts it: a process of its own, judged by exit code and what it prints."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from edge_agent import __version__
from edge_agent.cli import main
from edge_agent.cli.root import ROOT, VERBS
from tests.plant.site import free_port

HEAVY = (
    "asyncua",
    "aiohttp",
    "pydantic",
    "pymodbus",
    "snap7",
    "serial",
    "rich",
    "sqlite3",
    "yaml",
    "prometheus_client",
)
PRESS = """\
device: press-1
driver: modbus
link: tcp://127.0.0.1:{port}
station: 1
poll: {{fast: 200ms}}
tags: press-1.csv
"""
TAGS = "name,address,type,unit,group\npressure,400001,float32,MPa,fast\n温度,400003,int16,°C,fast\n"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "EDGE_AGENT"))}
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *words],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        env=inherited | {"LANG": "C.UTF-8"} | environment,
    )


@pytest.fixture
def a_port() -> int:
    return free_port()


@pytest.fixture
def config(tmp_path: Path, a_port: int) -> Path:
    """A sound configuration whose only device is switched off."""
    folder = tmp_path / "config"
    (folder / "devices.d").mkdir(parents=True)
    (folder / "tags.d").mkdir()
    (folder / "edge-agent.yaml").write_text("line: press-line-1\nstate_dir: state\n", encoding="utf-8")
    (folder / "devices.d" / "press-1.yaml").write_text(PRESS.format(port=a_port), encoding="utf-8")
    (folder / "tags.d" / "press-1.csv").write_text(TAGS, encoding="utf-8")
    return folder


# What needs no configuration


def test_the_file_in_the_directory_stands_for_the_directory(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(config / "edge-agent.yaml"), "--lang", "zh"]) == 0
    assert str(config) in capsys.readouterr().out
    assert main(["check", "--config", str(config / "devices.d/press-1.yaml"), "--lang", "zh"]) == 2
    assert "是文件；请指明它所在的目录" in capsys.readouterr().err


def test_help_lists_every_verb() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_verb_has_help_in_both_languages(
    verb: str, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--lang", language, verb, "--help"]) == 0
    text = capsys.readouterr().out
    chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    assert chinese is (language == "zh")


def test_every_option_has_help_in_both_languages() -> None:
    for path, command in _commands(ROOT, "edge-agent"):
        assert command.help and getattr(command, "zh", ""), path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help and getattr(parameter, "zh", ""), f"{path} {parameter.name}"


def _commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += _commands(command, f"{path} {name}")
    return found


@pytest.mark.parametrize("words", [["--help"], ["version"], ["run", "--help"], ["completion", "zsh"]])
def test_what_needs_no_library_imports_none(words: list[str]) -> None:
    script = (
        "import sys\nfrom edge_agent.cli import main\n"
        f"code = main({words!r})\n"
        f"print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "HEAVY []"), done.stderr


@pytest.mark.parametrize(
    ("words", "found"), [("ch", "plain,check"), ("read p", "plain,press-1"), ("init --driver s7", "plain,s7")]
)
def test_completing_a_word_imports_no_library(words: str, found: str, config: Path) -> None:
    script = (
        "import sys\nfrom edge_agent.cli import main\n"
        "try:\n    main([])\n"
        f"finally:\n    print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    environment = {
        "_EDGE_AGENT_COMPLETE": "bash_complete",
        "EDGE_AGENT_CONFIG": str(config),
        "COMP_WORDS": f"edge-agent {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=50,
        env=os.environ | environment,
    )
    assert done.stdout.splitlines() == [found, "HEAVY []"], done.stderr


def completed(config: Path, *words: str) -> list[str]:
    done = run(
        _EDGE_AGENT_COMPLETE="bash_complete", EDGE_AGENT_CONFIG=str(config),
        COMP_WORDS=" ".join(("edge-agent", *words)), COMP_CWORD=str(len(words)),
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout.split()


def test_devices_protocols_and_directories_are_completed(config: Path, tmp_path: Path) -> None:
    (config / "devices.d" / "x.yaml").write_text('# by Wang\ndevice: "压机_2"  # left\n', encoding="utf-8")
    (config / "devices.d" / "broken.yaml").write_bytes(b"\xff\xfe")
    both = ["plain,broken", "plain,press-1", "plain,压机_2"]
    assert completed(config, "read", "") == both
    assert completed(config, "tags", "import", "x.csv", "p") == ["plain,press-1"]
    assert completed(config, "watch", "press-1", "") == ["plain,broken", "plain,压机_2"]
    assert completed(config, "doctor", "se") == ["plain,self"]
    assert completed(tmp_path, "read", "--config", str(config), "") == both
    assert completed(tmp_path, "read", "") == []
    assert completed(config, "init", "--driver", "s") == ["plain,s7", "plain,sim"]
    assert completed(config, "check", "--config", "") == ["dir,"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0 and "_EDGE_AGENT_COMPLETE" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, timeout=20).returncode == 0


def test_version() -> None:
    assert __version__ in run("version").stdout
    facts = json.loads(run("version", "--json").stdout)
    assert facts["version"] == __version__ and facts["python"].startswith("3.")


@pytest.mark.parametrize("words", [["nonsense"], ["check", "--nonsense"], ["completion", "tcsh"], ["read"]])
def test_wrong_usage_is_2(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == "" and "Usage:" in done.stderr and "Traceback" not in done.stderr


# No agent, no device


@pytest.mark.parametrize("verb", ["status", "watch"])
@pytest.mark.parametrize(("language", "words"), [("en", "no agent answers"), ("zh", "没有代理应答")])
def test_no_agent_is_4_with_a_cure(verb: str, language: str, words: str, a_port: int) -> None:
    done = run("--lang", language, verb, "--url", f"http://127.0.0.1:{a_port}")
    assert (done.returncode, done.stdout) == (4, "")
    assert words in done.stderr and "systemctl status edge-agent" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proxy_in_the_environment_is_not_asked(a_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.0)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        done = run("status", "--url", f"http://127.0.0.1:{a_port}", http_proxy=url, HTTP_PROXY=url)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert done.returncode == 4


def test_the_address_comes_from_the_configuration(config: Path, a_port: int) -> None:
    with (config / "edge-agent.yaml").open("a", encoding="utf-8") as file:
        file.write(f"web: {{port: {a_port}}}\n")
    done = run("status", "--config", str(config))
    assert done.returncode == 4 and f"http://127.0.0.1:{a_port}" in done.stderr


def test_reading_an_unreachable_device_is_4_with_a_cure(config: Path, a_port: int) -> None:
    done = run("read", "press-1", "--config", str(config))
    assert (done.returncode, done.stdout) == (4, "")
    assert f"127.0.0.1:{a_port}" in done.stderr and "check the port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("words", "known"), [(["press-9"], "press-1"), (["press-1", "presure"], "pressure")])
def test_reading_what_does_not_exist_names_what_does(config: Path, words: list[str], known: str) -> None:
    done = run("read", *words, "--config", str(config))
    assert done.returncode == 2 and known in done.stderr


# Configuration


def test_a_sound_configuration(config: Path) -> None:
    done = run("check", "--config", str(config))
    assert done.returncode == 0 and "1 device(s), 2 tag(s)" in done.stdout and done.stderr == ""
    quiet = run("check", "--quiet", EDGE_AGENT_CONFIG=str(config))
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    told = json.loads(run("check", "--json", "--config", str(config)).stdout)
    assert told["ok"] is True and told["problems"] == []


@pytest.fixture
def broken(config: Path) -> Path:
    file = config / "devices.d" / "press-1.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("station: 1", "station： 1\nnonsense: 2"), encoding="utf-8"
    )
    return config


@pytest.mark.parametrize("words", [["check"], ["run"], ["read", "press-1"], ["buffer", "info"]])
def test_a_broken_configuration_is_78_without_a_traceback(broken: Path, words: list[str]) -> None:
    done = run(*words, "--config", str(broken))
    assert done.returncode == 78, done.stderr
    assert "devices.d/press-1.yaml:4:" in done.stderr and "E-CFG-" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_mistakes_in_chinese_and_as_json(broken: Path) -> None:
    chinese = run("check", "--config", str(broken), LANG="zh_CN.UTF-8")
    assert "全角" in chinese.stderr and "个错误" in chinese.stderr
    done = run("check", "--json", "--lang", "zh", "--config", str(broken))
    told = json.loads(done.stdout)
    assert done.returncode == 78 and told["ok"] is False
    assert {"file", "line", "column", "code", "message", "cure"} <= set(told["problems"][0])
    assert told["problems"][0]["file"] == "devices.d/press-1.yaml"


def test_warnings_pass_unless_strict(config: Path) -> None:
    (config / "devices.d" / "press-1.yaml").unlink()
    done = run("check", "--config", str(config))
    assert done.returncode == 0 and "1 warning(s)" in done.stderr
    assert run("check", "--strict", "--config", str(config)).returncode == 3


def test_no_configuration_at_all_is_78(tmp_path: Path) -> None:
    done = run("check", "--config", str(tmp_path / "nowhere"))
    assert done.returncode == 78 and "edge-agent.yaml" in done.stderr


@pytest.mark.parametrize("words", [["schema"], ["schema", "device"]])
def test_schema_is_json(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")


def test_schemas_are_written_where_asked(tmp_path: Path) -> None:
    done = run("schema", "--write", str(tmp_path / "schema"))
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert len(written) == 4 and all(json.loads(path.read_text(encoding="utf-8")) for path in written)


# Plug-ins and store


def test_drivers() -> None:
    done = run("drivers", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["drivers"]}
    assert done.returncode == 0 and "modbus" in rows
    assert rows["modbus"]["error"] is None and rows["modbus"]["address_hint"]
    table = run("drivers", "--lang", "zh").stdout
    assert "modbus" in table and "驱动" in table


def test_an_annotated_sample() -> None:
    done = run("drivers", "sample", "modbus")
    assert done.returncode == 0 and "driver: modbus" in done.stdout
    unknown = run("drivers", "sample", "nonsense")
    assert unknown.returncode == 1 and "modbus" in unknown.stderr and "Traceback" not in unknown.stderr


def test_no_store_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = run("buffer", "info", "--state", str(tmp_path / "nowhere"))
    assert done.returncode == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


# The outermost edge


def _failing(error: BaseException) -> Callable[[click.Context, str], click.Command]:
    def get_command(_context: click.Context, _name: str) -> click.Command:
        def fail() -> None:
            raise error

        return click.Command("fail", callback=fail)

    return get_command


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("boom"), 1, "internal error: RuntimeError: boom"),
        (PermissionError(13, "Permission denied", "/dev/ttyUSB0"), 5, "/dev/ttyUSB0"),
        (FileNotFoundError(2, "No such file", "/x"), 1, "/x"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_failure_has_a_code_and_a_sentence(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ROOT, "get_command", _failing(error))
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert main(["fail"]) == code
    told = capsys.readouterr().err
    assert words in told and "Traceback" not in told
    if code == 130:
        assert told.strip() == ""


def test_the_traceback_is_there_for_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ROOT, "get_command", _failing(RuntimeError("boom")))
    monkeypatch.setenv("EDGE_AGENT_TRACEBACK", "1")
    assert main(["fail"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_quiet() -> None:
    """A real SIGINT while a verb waits for an answer that does not come."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        child = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "status", "--url", f"127.0.0.1:{deaf.getsockname()[1]}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        deaf.settimeout(30)
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(4)  # the request is out: now it waits
            os.kill(child.pid, signal.SIGINT)
            out, err = child.communicate(timeout=30)
    assert (child.returncode, out.strip(), err.strip()) == (130, b"", b"")


@pytest.mark.parametrize("driver", ["modbus", "opcua", "s7", "sim"])
def test_every_key_of_a_sample_is_explained_in_chinese_too(
    driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The prose above each key, and the title and the tag table at the ends."""
    assert main(["drivers", "sample", driver]) == 0
    for block in capsys.readouterr().out.strip().split("\n\n"):
        prose = [line for line in block.splitlines() if line.startswith("## ")]
        assert not prose or any("\u4e00" <= c <= "\u9fff" for line in prose for c in line), block

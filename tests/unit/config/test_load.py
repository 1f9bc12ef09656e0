"""What a good set means."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.config import (
    ConfigurationError,
    TagRef,
    describe_changes,
    load,
    load_with_warnings,
    places_of,
)
from edge_agent.errors import LinesideError
from edge_agent.model import Scaling, Tag, ValueType
from edge_agent.settings import Problem, Text
from tests.unit.config.good import AGENT, DEVICE, GOOD, TABLE, FakePlugins, fake_driver, write

ROOT = Path(__file__).parents[3]


def places(directory: Path, plugins: FakePlugins | None = None) -> list[str]:
    try:
        _, found = load_with_warnings(directory, plugins=plugins or FakePlugins(), environ={})
    except ConfigurationError as error:
        found = places_of(error)
    return [f"{problem.place} {problem.code}" for problem in found]


def test_every_field_arrives(tmp_path: Path) -> None:
    configuration = load(write(tmp_path, GOOD), plugins=FakePlugins(), environ={})
    device = configuration.devices[0]
    assert (configuration.line, configuration.language) == ("press-line-1", "zh")
    assert configuration.state_dir == tmp_path / "state"
    assert (device.name, device.driver, device.link_key) == ("press-1", "fake", "fake:bus://a")
    assert device.periods_s == {"fast": 0.2, "slow": 5.0}
    assert device.tags == (
        Tag("running", "r0", ValueType.BOOL, "fast", "", "运行中", metric=True),
        Tag("pressure", "r1", ValueType.FLOAT32, "fast", "MPa", "主缸压力"),
        Tag("zone1", "r2", ValueType.INT16, "slow", "°C", "一区温度", Scaling(0.1, 0.0)),
        Tag("label", "r3", ValueType.STRING, "slow", "", "批号", length=20),
    )
    pressure, zone1 = device.windows
    assert pressure.name == "press-1.pressure"
    assert pressure.source == TagRef("press-1", "pressure")
    assert (pressure.low, pressure.high, pressure.max_age_s, pressure.unit) == (0.3, 0.5, 1.0, "MPa")
    assert (zone1.name, zone1.low, zone1.high, zone1.deadband) == ("press-1.zone1", 10.0, 90.0, 2.0)
    assert zone1.max_age_s == 15.0
    assert sorted(configuration.files) == sorted(GOOD)


def test_an_uplink_with_its_secret(tmp_path: Path) -> None:
    uplink = "{name: park, type: http, max_segments: 8, url: 'https://a.example/in', token: !secret t}"
    write(tmp_path, GOOD | {"edge-agent.yaml": f"{AGENT}uplinks:\n  - {uplink}\n"})
    configuration = load(tmp_path, plugins=FakePlugins(), environ={"EDGE_AGENT_SECRET_T": "geheim"})
    assert configuration.uplinks[0].max_segments == 8
    assert configuration.uplinks[0].settings.model_dump()["token"].get_secret_value() == "geheim"
    assert "geheim" not in repr(configuration)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("edge-agent.yaml", lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("devices.d/press-1.yaml", lambda text: text.replace("\n", "\r\n").encode()),
        ("devices.d/press-1.yaml", lambda text: ("# 注：“x”　，\n" + text).encode()),
        ("devices.d/press-1.yaml", lambda text: text.replace("200ms", "0.2s").encode()),
        ("devices.d/press-1.yaml", lambda text: text.replace("{fast: 200ms,", "{fast: 200 ms, ").encode()),
        ("devices.d/press-1.yaml", lambda text: text.replace("low: 0.3", "low: 3e-1").encode()),
        ("tags.d/press-1.csv", lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()),
        ("tags.d/press-1.csv", lambda text: text.replace(",", ";").encode()),
        ("tags.d/press-1.csv", lambda text: text.replace(",", "\t").encode()),
        ("tags.d/press-1.csv", lambda text: text.replace("name,address", "点名, 寄存器地址 ").encode()),
        ("tags.d/press-1.csv", lambda text: (text.replace("MPa", '"MPa"') + ",,,,\n\n# end\n").encode()),
        ("tags.d/press-1.csv", lambda text: text.replace("yes", "是").replace("0.1", "0.10").encode()),
        ("tags.d/press-1.csv", lambda text: text.encode("gb18030")),
    ],
)  # fmt: skip
def test_another_way_to_write_the_same_changes_nothing(name: str, change: object, tmp_path: Path) -> None:
    old = load(write(tmp_path / "a", GOOD), plugins=FakePlugins(), environ={})
    assert callable(change)
    new = load(write(tmp_path / "b", GOOD | {name: change(GOOD[name])}), plugins=FakePlugins(), environ={})
    assert new.version == old.version
    assert new.devices == old.devices
    assert describe_changes(old, replace(new, state_dir=old.state_dir)) == describe_changes(old, old)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("edge-agent.yaml", "press-line-1", "press-line-2"),
        ("devices.d/press-1.yaml", "5s", "6s"),
        ("devices.d/press-1.yaml", "0.5", "0.6"),
        ("devices.d/press-1.yaml", "bus://a", "bus://b"),
        ("tags.d/press-1.csv", "MPa", "bar"),
        ("tags.d/press-1.csv", "0.1", "0.01"),
        ("tags.d/press-1.csv", "r2", "r7"),
    ],
)
def test_what_has_a_meaning_changes_the_version(name: str, old: str, new: str, tmp_path: Path) -> None:
    first = load(write(tmp_path / "a", GOOD), plugins=FakePlugins(), environ={})
    files = GOOD | {name: GOOD[name].replace(old, new)}
    second = load(write(tmp_path / "b", files), plugins=FakePlugins(), environ={})
    assert first.version != second.version
    assert len(first.version) == 12 and int(first.version, 16) >= 0


def test_a_secret_changes_the_device_but_not_the_version(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": DEVICE + "password: !secret p\n"})
    one = load(tmp_path, plugins=FakePlugins(), environ={"EDGE_AGENT_SECRET_P": "1"})
    two = load(tmp_path, plugins=FakePlugins(), environ={"EDGE_AGENT_SECRET_P": "2"})
    assert one.version == two.version
    assert describe_changes(one, two).devices.changed == ("press-1",)


def test_a_string_may_leave_its_length_to_the_protocol(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"tags.d/press-1.csv": TABLE.replace("string[20]", "String")})
    tag = load(tmp_path, plugins=FakePlugins(), environ={}).devices[0].tags[3]
    assert (tag.type, tag.length) == (ValueType.STRING, 0)


def test_one_period_stands_for_all_tags(tmp_path: Path) -> None:
    device = DEVICE.replace("poll: {fast: 200ms, slow: 5s}", "poll: 2s")
    table = TABLE.replace("fast", "").replace("slow", "default")
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": device, "tags.d/press-1.csv": table})
    assert load(tmp_path, plugins=FakePlugins(), environ={}).devices[0].periods_s == {"default": 2.0}


def test_the_only_group_is_the_group_of_tags_that_name_none(tmp_path: Path) -> None:
    device = DEVICE.replace("{fast: 200ms, slow: 5s}", "{only: 2s}")
    table = TABLE.replace("fast", "").replace("slow", "")
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": device, "tags.d/press-1.csv": table})
    loaded = load(tmp_path, plugins=FakePlugins(), environ={}).devices[0]
    assert loaded.periods_s == {"only": 2.0}
    assert {tag.group for tag in loaded.tags} == {"only"}


def test_a_group_without_tags_is_a_warning_and_dropped(tmp_path: Path) -> None:
    device = DEVICE.replace("slow: 5s", "slow: 5s, spare: 1min")
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": device})
    configuration, warnings = load_with_warnings(tmp_path, plugins=FakePlugins(), environ={})
    assert [warning.code for warning in warnings] == ["W-CFG-047"]
    assert sorted(configuration.devices[0].periods_s) == ["fast", "slow"]


def test_keys_whose_lines_are_all_comments_mean_their_default(tmp_path: Path) -> None:
    agent = AGENT + "web:\n  # port: 80\nbuffer:\nuplinks:\n"
    device = DEVICE.split("windows:")[0].replace("tags: press-1.csv", "tags:") + "description:\nwindows:\n"
    write(tmp_path, GOOD | {"edge-agent.yaml": agent, "devices.d/press-1.yaml": device})
    loaded = load(tmp_path, plugins=FakePlugins(), environ={})
    assert (loaded.web.port, loaded.uplinks) == (9713, ())


def test_only_what_the_files_name_is_imported(tmp_path: Path) -> None:
    plugins = FakePlugins()
    load(write(tmp_path, GOOD), plugins=plugins, environ={})
    assert plugins.asked == ["fake"]
    code = (
        "import sys; from pathlib import Path; from edge_agent.config import load;"
        f"load(Path({str(ROOT / 'config/examples/first-line')!r}));"
        "assert 'drivers.modbus' in sys.modules;"
        "print([m for m in sys.modules if m in ('asyncua', 'snap7', 'aiohttp')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# --- drivers ------------------------------------------------------------------------------------------------


def test_problems_of_a_driver_are_placed(tmp_path: Path) -> None:
    text = Text("wrong", "错误")
    plugin = fake_driver(
        lambda settings, tags: [
            Problem("E-X-1", ("link",), text, text),
            Problem("E-X-2", ("tags", "zone1", "address"), text, text),
            Problem("E-X-3", ("tags", "zone1", "byte_order"), text, text),
            Problem("E-X-4", ("windows", 0, "high"), text, text),
            Problem("W-X-5", (), text, text, warning=True),
        ]
    )
    assert places(write(tmp_path, GOOD), FakePlugins(plugin)) == [
        "devices.d/press-1.yaml:1:1 W-X-5",
        "devices.d/press-1.yaml:3:7 E-X-1",
        "devices.d/press-1.yaml:9:11 E-X-4",
        "tags.d/press-1.csv:4:1 E-X-3",
        "tags.d/press-1.csv:4:7 E-X-2",
    ]


def test_a_driver_that_fails_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    def fail(*_: object) -> list[Problem]:
        raise ZeroDivisionError("oops")

    plugin = fake_driver(fail, lambda settings: str(1 / 0))
    assert places(write(tmp_path, GOOD), FakePlugins(plugin)) == ["devices.d/press-1.yaml:2:9 E-CFG-041"]


def test_devices_on_one_link_must_agree(tmp_path: Path) -> None:
    other = DEVICE.replace("press-1\n", "press-2\n").replace("link:", "speed: 2\nlink:")
    write(tmp_path, GOOD | {"devices.d/press-2.yaml": other})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    (problem,) = places_of(caught.value)
    assert (problem.place, problem.code) == ("devices.d/press-2.yaml:3:8", "E-CFG-044")
    assert "devices.d/press-1.yaml:2" in problem.message.en and "'press-1'" in problem.message.en


# --- files and secrets --------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_says_who_must_read_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "edge-agent.yaml").unlink()
    (tmp_path / "edge-agent.yaml").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    assert [p.code for p in caught.value.problems] == ["E-CFG-016"]
    assert "chmod 640" in caught.value.problems[0].cure.en


def test_an_empty_directory_and_none_at_all(tmp_path: Path) -> None:
    assert places(tmp_path) == ["edge-agent.yaml:1:1 E-CFG-005"]
    assert places(tmp_path / "absent") == ["edge-agent.yaml:1:1 E-CFG-005"]


def test_the_directory_that_was_looked_in_is_named(tmp_path: Path) -> None:
    def told(directory: Path) -> tuple[str, str]:
        with pytest.raises(ConfigurationError) as caught:
            load(directory, plugins=FakePlugins(), environ={})
        (problem,) = caught.value.problems
        assert str(directory) in problem.message.zh
        return problem.message.en, problem.cure.zh

    (tmp_path / "empty").mkdir()
    cause, cure = told(tmp_path / "empty")
    assert cause == f"there is no configuration: no edge-agent.yaml in directory {tmp_path}/empty"
    assert all(word in cure for word in ("--config", "EDGE_AGENT_CONFIG", "edge-agent init"))
    assert told(tmp_path / "absent") == (
        f"there is no configuration: directory {tmp_path}/absent does not exist",
        cure,
    )
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert told(tmp_path / "file") == (f"there is no configuration: {tmp_path}/file is no directory", cure)
    (tmp_path / "empty" / "edge-agent.yml").write_text("", encoding="utf-8")
    assert told(tmp_path / "empty")[1] == "请把 edge-agent.yml 改名为 edge-agent.yaml。"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("poll: {fast: 1S}", "是否想写 '1s'？"),
        ("station: 一", "'station' 应为整数，实际是 '一'"),
        ("station: 0.5MPa", "实际是 '0.5MPa'"),
        ("station: 1.5", "实际是 1.5"),
        ("station: [1]", "实际是一个列表"),
        ("link: 10.0.0.9:502", "此处应为 tcp://10.0.0.9:502"),
        ("link: tcp//10.0.0.9", "此处应为 tcp://10.0.0.9"),
        ("link: /dev/ttyS1", "此处应为 rtu:///dev/ttyS1"),
        ("link: 压机1", "例如 tcp://10.0.0.21:502"),
        ("link: tcp://10.0.0.9:99999", "例如 tcp://10.0.0.21:502"),
    ],
)
def test_what_was_meant_is_said_ready_to_type(tmp_path: Path, line: str, said: str) -> None:
    keys = {"link": "tcp://10.0.0.21", "station": "1", "poll": "{fast: 1s}"} | dict([line.split(": ", 1)])
    text = "device: press-1\ndriver: modbus\n" + "".join(f"{key}: {value}\n" for key, value in keys.items())
    table = "name,address,type\npressure,400001,float32\n"
    write(tmp_path, {"edge-agent.yaml": AGENT, "devices.d/press-1.yaml": text, "tags.d/press-1.csv": table})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, environ={})
    (problem,) = caught.value.problems
    assert said in problem.message.zh + problem.cure.zh


@pytest.mark.parametrize(("written", "meant"), [("4G", "4GB"), ("500 mb", "500MB"), ("2GiB", "2GB")])
def test_a_size_that_was_meant(tmp_path: Path, written: str, meant: str) -> None:
    write(tmp_path, GOOD | {"edge-agent.yaml": f"line: l\nstate_dir: state\nbuffer: {{quota: {written}}}\n"})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    assert f"'{meant}'" in caught.value.problems[0].cure.en


def test_where_secrets_are_looked_for(tmp_path: Path) -> None:
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": DEVICE + "password: !secret my-key\n"})
    environ = {"EDGE_AGENT_SECRET_MY_KEY": "third"}

    def password() -> str:
        settings = load(tmp_path, plugins=FakePlugins(), environ=environ).devices[0].settings
        return str(settings.model_dump()["password"].get_secret_value())

    assert password() == "third"
    write(tmp_path, {"secrets/my-key": "second\r\n"})
    (tmp_path / "secrets/my-key").chmod(0o600)
    assert password() == "second"
    write(tmp_path, {"run/my-key": "first"})
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "run")
    assert password() == "first"


def test_an_inline_secret_is_never_shown(tmp_path: Path) -> None:
    device = DEVICE.replace("low: 0.3", "low: x") + "password: [canary]\n"
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": device, "edge-agent.yaml": "token：canary\nline: a\n"})
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, plugins=FakePlugins(), environ={})
    for problem in places_of(caught.value):
        for language in ("en", "zh"):
            assert "canary" not in problem.render(language) + repr(problem.as_dict(language))
    assert "devices.d/press-1.yaml:10:11 E-CFG-022" in places(tmp_path)


def test_errors_are_the_agents_own(tmp_path: Path) -> None:
    with pytest.raises(LinesideError):
        load(tmp_path, plugins=FakePlugins(), environ={})


# --- size ---------------------------------------------------------------------------------------------------


def test_two_thousand_tags_load_quickly(tmp_path: Path) -> None:
    header = "name,address,type,unit,description,group,scale,offset,low,high,deadband,metric\n"
    rows = [f"tag_{n},{40001 + n},int16,°C,第{n}路温度,slow,0.1,,{n},{n + 9},1,yes\n" for n in range(100)]
    device = "device: d{n}\ndriver: modbus\nlink: tcp://10.0.0.{n}\npoll: {{slow: 5s}}\n"
    files = {f"devices.d/d{n}.yaml": device.format(n=n) for n in range(20)}
    files |= {f"tags.d/d{n}.csv": header + "".join(rows) for n in range(20)}
    write(tmp_path, files | {"edge-agent.yaml": AGENT})
    took = []
    for _ in range(4):
        start = time.process_time()  # the work, however busy the machine is
        loaded = load(tmp_path, environ={})
        took.append(time.process_time() - start)
    assert sum(len(device.tags) for device in loaded.devices) == 2000
    assert len(loaded.windows) == 2000
    print(f"2000 tags: {min(took):.3f} s")
    assert min(took) < 0.4

"""What ``writes``, ``heartbeat``, ``writing`` and ``annunciation`` become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config import ConfigurationError, describe_changes, load, places_of
from edge_agent.config.apart import load_apart
from edge_agent.config.model import Configuration
from edge_agent.config.process import Priority, TagRef
from edge_agent.config.writing import Heartbeat, Output, Writable, WriteLevel, Writing
from edge_agent.model import Tag
from edge_agent.settings import Text
from tests.unit.config.good import FAKE, FakePlugins, write

AGENT = """line: press-line-1
state_dir: state
writing: {level: setpoint, dry_run: true, arm: 30min, per_day: 50, lockout_failures: 2}
annunciation:
  - {tag: press-1.horn, priority: critical, silence: true}
  - {tag: press-1.lamp, active: true}
uplinks:
  - {name: park, type: http, url: "https://park.example/in"}
"""
DEVICE = """device: press-1
driver: fake
link: bus://a
poll: {fast: 1s}
tags: press-1.csv
heartbeat: {tag: beat, period: 2s, missed: 4}
writes:
  - tag: setpoint
    low: 20
    high: 80
    max_step: 5
    max_rate: {at: 30, per: 1min}
    min_interval: 10s
    when: [remote, press-1.ready]
    inputs: zone1
    max_age: 4s
    who: [operator, "uplink:park"]
    ttl: 10min
    revert: 40
    verify: {within: 3s, tolerance: 0.2}
    per_day: 12
    approve: true
  - tag: start
    level: request
    when: remote
    inputs: zone1
    ttl: none
    verify: {}
  - {tag: horn, who: annunciation}
  - {tag: lamp, who: [annunciation]}
"""
TABLE = """name,address,type,unit,scale
remote,r0,bool,,
ready,r1,bool,,
zone1,r2,int16,degC,0.1
setpoint,r3,int16,degC,0.1
start,r4,bool,,
horn,r5,bool,,
lamp,r6,bool,,
beat,r7,uint16,,
"""
FILES: dict[str, str | bytes] = {
    "edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE, "tags.d/press-1.csv": TABLE,
}  # fmt: skip


def ref(name: str) -> TagRef:
    return TagRef("press-1", name)


def loaded(directory: Path, **changes: str) -> Configuration:
    return load(write(directory, FILES | changes), plugins=FakePlugins(), environ={})


def test_everything_arrives(tmp_path: Path) -> None:
    writing = loaded(tmp_path).writing
    where = "devices.d/press-1.yaml:"
    assert (writing.level, writing.dry_run, writing.arm_s) == (WriteLevel.SETPOINT, True, 1800.0)
    assert (writing.per_day, writing.lockout_failures) == (50, 2)
    assert writing.heartbeats == (Heartbeat(ref("beat"), 2.0, 4),)
    assert writing.outputs == (
        Output(ref("horn"), Priority.CRITICAL, silence=True),
        Output(ref("lamp"), Priority.HIGH, active=True),
    )
    by_name = {writable.tag.tag: writable for writable in writing.writables}
    assert by_name["setpoint"] == Writable(
        ref("setpoint"), WriteLevel.SETPOINT, 20.0, 80.0, 5.0, 0.5, 10.0, (ref("remote"), ref("ready")),
        (ref("zone1"),), 4.0, ("operator", "uplink:park"), 600.0, 40.0, 3.0, 0.2, 12, True, f"{where}8",
    )  # fmt: skip
    assert by_name["start"] == Writable(
        ref("start"), WriteLevel.REQUEST, 0.0, 1.0, when=(ref("remote"),), inputs=(ref("zone1"),),
        place=f"{where}23",
    )  # fmt: skip
    assert by_name["horn"] == Writable(
        ref("horn"), WriteLevel.ALARM, 0.0, 1.0, who=("annunciation",), per_day=10_000, place=f"{where}29"
    )
    places = {name: by_name[name].place for name in ("setpoint", "start", "horn")}
    assert places == {"setpoint": f"{where}8", "start": f"{where}23", "horn": f"{where}29"}, "not compared"
    assert by_name["beat"].who == ("heartbeat",) and by_name["beat"].high == 65_535


def test_only_an_output_without_a_budget_of_its_own_gets_the_large_one(tmp_path: Path) -> None:
    own = DEVICE.replace("who: annunciation}", "who: annunciation, per_day: 7}")
    assert own != DEVICE
    writing = loaded(tmp_path, **{"devices.d/press-1.yaml": own}).writing
    found = {w.tag.tag: w.per_day for w in writing.writables}
    assert found["horn"] == 7 and found["lamp"] == 10_000 and found["start"] == 100


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("max_rate", "30", "max_rate: {at: 10, per: 1min}"),
        ("verify", "3s", "verify: {within: 2s, tolerance: 0.5}"),
    ],
)
def test_a_number_instead_of_a_block_is_told_how_to_write_it(
    tmp_path: Path, key: str, value: str, cure: str
) -> None:
    lines = DEVICE.splitlines()
    del lines[next(n for n, line in enumerate(lines) if line.strip().startswith(f"{key}:"))]
    place = next(n for n, line in enumerate(lines) if "tag: setpoint" in line)
    lines.insert(place + 1, f"    {key}: {value}")
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, **{"devices.d/press-1.yaml": "\n".join(lines) + "\n"})
    (problem,) = caught.value.problems
    assert cure in problem.cure.en and cure in problem.cure.zh


def test_without_a_word_nothing_may_be_written(tmp_path: Path) -> None:
    bare = DEVICE[: DEVICE.index("heartbeat")]
    configuration = loaded(
        tmp_path, **{"edge-agent.yaml": "line: a\nstate_dir: s\n", "devices.d/press-1.yaml": bare}
    )
    assert configuration.writing == Writing()
    assert configuration.writing.level is WriteLevel.ALARM


def test_a_device_that_is_switched_off_is_checked_and_left_out(tmp_path: Path) -> None:
    off = DEVICE.replace("link: bus://a", "link: bus://a\nenabled: false")
    assert loaded(tmp_path / "a", **{"devices.d/press-1.yaml": off}).writing.writables == ()
    with pytest.raises(ConfigurationError):
        loaded(tmp_path / "b", **{"devices.d/press-1.yaml": off.replace("low: 20", "low: 90")})


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("high: 80", "high: 81", False),
        ("ttl: 10min", "ttl: 600s", True),
        ("ttl: 10min", "ttl: 11min", False),
        ("writes:\n", "# a comment that moves everything\nwrites:\n", True),
        ("approve: true", "approve: false", False),
        ("missed: 4", "missed: 5", False),
    ],
)
def test_the_version_covers_what_may_be_written(tmp_path: Path, old: str, new: str, same: bool) -> None:
    one = loaded(tmp_path / "a")
    two = loaded(tmp_path / "b", **{"devices.d/press-1.yaml": DEVICE.replace(old, new)})
    assert (one.version == two.version) is same


def test_a_reload_is_told_of_it(tmp_path: Path) -> None:
    one = loaded(tmp_path / "a")
    two = loaded(tmp_path / "a", **{"edge-agent.yaml": AGENT.replace("per_day: 50", "per_day: 51")})
    assert "writing" in describe_changes(one, two).agent


def _choosy(settings: Any, tag: Tag) -> Text | None:
    assert settings.link
    return Text("its byte is shared", "该字节为共用") if tag.name in ("start", "beat") else None


def test_a_driver_may_say_what_cannot_be_written(tmp_path: Path) -> None:
    plugin = replace(FAKE, unwritable=_choosy)
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, FILES), plugins=FakePlugins(plugin), environ={})
    found = places_of(caught.value)
    assert [(p.place, p.code) for p in found] == [
        ("devices.d/press-1.yaml:6:18", "E-CFG-301"),
        ("devices.d/press-1.yaml:23:10", "E-CFG-301"),
    ]
    assert "its byte is shared" in found[0].message.en and "该字节为共用" in found[0].message.zh


async def test_the_agent_receives_it(tmp_path: Path) -> None:
    """Through the process that loads; with a driver that is installed."""
    device = DEVICE.replace("driver: fake", "driver: modbus\nstation: 1")
    device = device.replace("bus://a", "tcp://10.0.0.1")
    table = TABLE.replace("r0", "co:0").replace("r1", "co:1").replace("r4", "co:4").replace("r5", "co:5")
    table = table.replace("r6", "co:6").replace("r2", "hr:2").replace("r3", "hr:3").replace("r7", "hr:7")
    files = FILES | {"devices.d/press-1.yaml": device, "tags.d/press-1.csv": table}
    write(tmp_path, files)
    answer = await load_apart(tmp_path, fall_back=False)
    assert answer.configuration.writing == load(tmp_path, environ={}).writing
    assert len(answer.configuration.writing.writables) == 5

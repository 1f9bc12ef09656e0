"""``explain WINDOW``: every limit in force, and who set it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import run

DEVICE = """device: press-1
driver: sim
link: sim://a
equipment: press
poll: 1s
windows:
  - tag: pressure
    low: 0.35
    hihi: {at: 0.6, priority: critical, latch: true, realarm: 5min, first_out: g1}
    deadband: 0.01
    on_delay: 2s
    rise: {at: 3, per: 1min}
    when: running and mode == 1
    grace: 10s
    plausible: {low: 0, frozen: 10min}
  - {tag: mode, name: press-1, allowed: [run]}
"""
TABLE = """name,address,type,unit,labels,quantity
pressure,constant:0.4,float32,MPa,,pressure
mode,constant:1,uint8,,1=run;2=stop,
running,constant:1,bool,,,
"""
PARK = """standard: park-2026
level: park
version: "3"
source: notice 12
limits:
  - {equipment: press, quantity: pressure, unit: kPa, low: 300, high: 500}
"""


@pytest.fixture
def line(tmp_path: Path) -> str:
    for name, text in {
        "edge-agent.yaml": "line: press-line-1\nstate_dir: state\n",
        "devices.d/press-1.yaml": DEVICE,
        "tags.d/press-1.csv": TABLE,
        "standards.d/park.yaml": PARK,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(tmp_path)


def row(text: str, *words: str) -> str:
    return next(line for line in text.splitlines() if all(word in line for word in words))


def test_who_set_what(line: str) -> None:
    done = run("explain", "press-1.pressure", "--config", line)
    assert (done.returncode, done.stderr) == (0, "")
    high = row(done.stdout, "high", "in force")
    assert "park park-2026@3" in high and "standards.d/park.yaml:6" in high and "notice 12" in high
    assert row(done.stdout, "low", "park").split()[:5] == ["low", "park", "park-2026@3", "0.3", "MPa"]
    assert "tightened" in row(done.stdout, "low", "park")
    own = row(done.stdout, "low", "0.35", "medium")
    assert "line" in own and "devices.d/press-1.yaml:8" in own and "0.01" in own and "2s" in own
    assert "latches, again after 5min, first-out g1" in row(done.stdout, "hihi", "critical")
    assert "MPa/s" in row(done.stdout, "rise", "0.05")
    assert "Applies while running and mode == 1, 10s after it became so" in done.stdout
    assert "moves within 10min" in done.stdout


def test_the_same_in_chinese(line: str) -> None:
    done = run("explain", "press-1.pressure", "--config", line, "--lang", "zh")
    assert "园区 park-2026@3" in done.stdout and "已被收紧" in done.stdout and "产线" in done.stdout


def test_limits_stand_from_the_lowest_to_the_highest_in_words(line: str) -> None:
    device = Path(line, "devices.d", "press-1.yaml")
    device.write_text(DEVICE.replace("    low: 0.35\n", "    low: 0.35\n    lolo: 0.1\n"), encoding="utf-8")
    for lang, words in (("en", "lolo low high hihi rise"), ("zh", "下下限 下限 上限 上上限 上升过快")):
        lines = run("explain", "press-1.pressure", "--config", line, "--lang", lang).stdout.splitlines()
        start = next(n for n, text in enumerate(lines) if text.startswith(("Limits in", "生效的")))
        shown = [text.split()[0] for text in lines[start + 2 :] if text][:5]
        assert shown == words.split()
    chinese = run("explain", "press-1.pressure", "--config", line, "--lang", "zh").stdout
    assert "紧急" in chinese and "critical" not in chinese
    report = json.loads(run("explain", "press-1.pressure", "--config", line, "--json").stdout)
    assert [limit["kind"] for limit in report["limits"]] == ["lolo", "low", "high", "hihi", "rise"]


def test_the_name_of_an_alarm_leads_to_its_window(line: str) -> None:
    done = run("explain", "press-1.pressure.high", "--config", line)
    assert done.returncode == 2 and "edge-agent explain press-1.pressure\n" in done.stderr


DERIVED = """device: made
description: 计算点
tags:
  - {name: twice, formula: press-1.pressure * 2, unit: MPa, description: 两倍}
windows:
  - {tag: twice, high: 1, when: press-1.running}
"""


def test_the_virtual_device(line: str) -> None:
    path = Path(line, "derived.d", "line.yaml")
    path.parent.mkdir()
    path.write_text(DERIVED, encoding="utf-8")
    done = run("explain", "made", "--config", line)
    assert (done.returncode, done.stderr) == (0, "")
    assert "made  |  计算点  |  calculated by the agent" in done.stdout
    assert "Group press-1.default, with each of its reads, every 1 s" in done.stdout
    assert re.split("  +", row(done.stdout, "twice")) == ["twice", "press-1.pressure * 2", "MPa", "两倍"]
    report = json.loads(run("explain", "made", "--config", line, "--json").stdout)
    (group,) = report["groups"]
    assert [tag["tag"] for tag in group["tags"]] == ["twice"]
    assert run("explain", "made.twice", "--config", line).stdout.startswith("made.twice  |")
    done = run("read", "made", "--config", line)
    assert done.returncode == 2 and "edge-agent watch made" in done.stderr


def test_for_programs(line: str) -> None:
    report = json.loads(run("explain", "press-1.pressure", "--config", line, "--json").stdout)
    assert (report["window"], report["unit"], report["standards"]) == (
        "press-1.pressure",
        "MPa",
        ["park-2026@3"],
    )
    assert (report["quantity"], report["equipment"]) == ("pressure", "press")
    limits = {limit["kind"]: limit for limit in report["limits"]}
    assert set(limits) == {"low", "high", "hihi", "rise"}
    high, low = limits["high"], limits["low"]
    assert (high["alarm"], high["value"], high["level"], high["standard"], high["place"]) == (
        "press-1.pressure.high", 0.5, "park", "park-2026@3", "standards.d/park.yaml:6"
    )  # fmt: skip
    assert [(said["level"], said["value"], said["in_force"]) for said in low["said"]] == [
        ("park", 0.3, False), ("line", 0.35, True)
    ]  # fmt: skip


def test_names_that_could_be_both(line: str) -> None:
    device = run("explain", "press-1", "--config", line)
    assert "sim" in device.stdout or "link" in device.stdout
    assert "edge-agent explain press-1.press-1" in device.stdout
    window = run("explain", "press-1", "--window", "--config", line)
    assert "press-1.mode" in window.stdout and "state" in window.stdout
    assert run("explain", "pressure", "--config", line).stdout.startswith("press-1.pressure  |")


def test_a_window_that_is_not_there(line: str) -> None:
    for words in (["press-1.presure"], ["presure", "--window"]):
        done = run("explain", *words, "--config", line)
        assert done.returncode == 2 or done.returncode == 64
        assert "press-1.pressure" in done.stderr and "Traceback" not in done.stderr

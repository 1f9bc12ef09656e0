"""``explain`` and the labels beside values, each command a process of its own. No device is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import run

MODBUS = "device: {name}\ndriver: modbus\nlink: {link}\npoll: {poll}\ntags: m.csv\nstation: {station}\n"
TABLE = """name,address,type,group
pressure,40001,float32,fast
zone,hr:10,int16[3],fast
running,co:7,bool,slow
"""
SIM = "device: toy\ndriver: sim\nlink: sim://a\npoll: 1s\n"
LABELLED = """name,address,type,labels,scale
mode,constant:2,uint16,0=停止;1=运行;2=故障,10
switch,constant:1,bool,0=off;1=on,
strange,constant:9,uint16,1=known,
plain,constant:2,uint16,,
"""


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        folder = "tags.d" if name.endswith("csv") else "devices.d"
        path = directory / folder / f"{name.removesuffix('_csv')}.{'csv' if folder == 'tags.d' else 'yaml'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (directory / "edge-agent.yaml").write_text("line: press-line-1\nstate_dir: state\n", encoding="utf-8")
    return directory


def device(name: str, station: int, poll: str, link: str = "tcp://127.0.0.1:9") -> str:
    return MODBUS.format(name=name, station=station, poll=poll, link=link)


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """Two devices on one link, one on another; nobody listens there."""
    return write(
        tmp_path,
        one=device("one", 1, "{fast: 200ms, slow: 1min}"),
        two=device("two", 2, "{fast: 500ms, slow: 5s}"),
        other=device("other", 1, "{fast: 1s, slow: 5s}", "tcp://127.0.0.2:9"),
        m_csv=TABLE,
    )


def test_what_a_device_is_asked(line: Path) -> None:
    done = run("explain", "one", "--config", str(line))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Group fast, every 200ms: 4 tags, 1 requests" in done.stdout
    assert "Group slow, every 1min: 1 tags, 1 requests" in done.stdout
    request = next(row for row in done.stdout.splitlines() if "registers" in row)
    assert "hr:0..12" in request and "400001..400013" in request  # both notations
    assert "co:7" in done.stdout and "000008" in done.stdout
    assert "This link is used" in done.stdout and "127.0.0.1:9" in done.stdout
    rows = [row.split()[:3] for row in done.stdout.splitlines() if row.startswith(("one ", "two ", "other "))]
    assert rows[-4:] == [
        ["one", "fast", "200ms"],
        ["one", "slow", "1min"],
        ["two", "fast", "500ms"],
        ["two", "slow", "5s"],
    ]
    assert "other" not in done.stdout and "Warning" not in done.stdout


def test_the_same_as_json(line: Path) -> None:
    done = run("explain", "two", "--config", str(line), "--json")
    report = json.loads(done.stdout)
    fast, slow = report["groups"]
    assert (fast["group"], fast["every_s"], fast["subscribed"]) == ("fast", 0.5, False)
    assert fast["tags"] == ["pressure", "zone[0]", "zone[1]", "zone[2]"]
    assert [request["tags"] for request in fast["requests"]] == [fast["tags"]]
    assert fast["size_bytes"] == sum(request["size_bytes"] for request in fast["requests"]) == 12 + 9 + 2 * 13
    assert fast["share"] == pytest.approx(fast["cycle_s"] / 0.5, abs=1e-3)
    assert report["link_share"] == pytest.approx(sum(g["share"] for g in report["link_groups"]), abs=1e-3)
    assert [group["device"] for group in report["link_groups"]] == ["one", "one", "two", "two"]
    assert report["advice"] is None and slow["requests"][0]["tags"] == ["running"]


def test_a_full_link_is_told_with_the_cure(tmp_path: Path) -> None:
    bus = "rtu:///dev/serial/by-id/bus"
    line = write(
        tmp_path,
        one=device("one", 1, "{fast: 40ms, slow: 5s}", bus),
        two=device("two", 2, "{fast: 1s, slow: 5s}", bus),
        m_csv=TABLE,
    )
    done = run("explain", "two", "--config", str(line), "--lang", "zh")
    assert done.returncode == 0
    advice = done.stdout[done.stdout.index("警告") :]
    assert "80%" in advice and "one 的 fast 组" in advice and "倍" in advice
    checked = run("check", "--config", str(line), "--strict", "--json")
    assert checked.returncode == 3
    assert [problem["code"] for problem in json.loads(checked.stdout)["problems"]] == ["W-CFG-048"]


def test_an_unknown_device_and_a_broken_configuration(line: Path) -> None:
    unknown = run("explain", "three", "--config", str(line))
    assert unknown.returncode == 2 and "other, two" in unknown.stderr.replace("one, ", "")
    (line / "tags.d/m.csv").write_text("name,address\n")
    assert run("explain", "one", "--config", str(line)).returncode == 78


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write(tmp_path, toy=SIM, toy_csv=LABELLED)


def test_read_shows_what_a_number_means(toy: Path) -> None:
    done = run("read", "toy", "--config", str(toy))
    assert done.returncode == 0, done.stderr
    headings, *rows = [row.split() for row in done.stdout.splitlines()]
    assert headings[-1] == "meaning"
    assert [row[-1] for row in rows] == ["故障", "on", "good", "good"]
    shown = json.loads(run("read", "toy", "--config", str(toy), "--json").stdout)["tags"]
    assert [(row["value"], row["label"]) for row in shown] == [
        (20.0, "故障"),  # the label is of the raw number
        (True, "on"),
        (9, None),
        (2, None),
    ]


def test_without_labels_there_is_no_such_column(toy: Path) -> None:
    done = run("read", "toy", "plain", "--config", str(toy))
    assert done.stdout.split()[-1] == "good" and "meaning" not in done.stdout


def test_the_name_of_an_array_reads_its_elements(tmp_path: Path, line: Path) -> None:
    done = run("read", "one", "zone", "zone[4]", "--config", str(line))
    assert done.returncode == 2 and "zone[4]" in done.stderr
    assert run("read", "one", "zone", "--config", str(line)).returncode == 4  # known, and nobody there

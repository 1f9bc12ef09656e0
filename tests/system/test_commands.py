"""The commands a person types beside a running agent: what they print and how they end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, command, free_port

OK, FAILED, USAGE, UNREACHABLE, UNUSABLE = 0, 1, 2, 4, 78


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One device per protocol, running, and one that nobody has switched on."""
    folder = tmp_path_factory.mktemp("commands")
    line = Line(folder, "all", *CALM)
    park = Park.beside(line)
    site = Site(folder / "site", park.url, flush="500ms")
    site.press(line.link())
    site.device(
        "furnace-1", [("setpoint", "DB1.DBD16", "float32"), ("constant", "DB1.DBW46", "int16"),
                      ("running", "DB1.DBX44.0", "bool")],
        driver="s7", link=line.link("s7"), rack=0, slot=1, poll="500ms",
    )  # fmt: skip
    node = "nsu=urn:lineside:simulated-line;s=Line"
    site.device(
        "meters-1", [("setpoint", f"{node}.Furnace.Zone1.Setpoint", "float32"),
                     ("running", f"{node}.Running", "bool")],
        driver="opcua", link=line.link("opcua"), poll="500ms",
    )  # fmt: skip
    site.device(
        "constants", [("exact", "hr:50", "uint64"), ("negative", "hr:48", "int32"),
                      ("hole", "hr:60", "uint16")],
        driver="modbus", link=line.link(), station=2, poll="500ms",
    )  # fmt: skip
    site.device(
        "dark-1",
        [("fan", "hr:10", "uint16")],
        driver="modbus",
        link=f"tcp://127.0.0.1:{free_port()}",
        poll="1s",
    )
    site.start()
    eventually("four are up", lambda: [d["state"] for d in site.status()["devices"]].count("up") == 4)
    eventually("data flows", lambda: site.uplink()["up"])
    yield site
    site.close()
    line.close()


def run(site: Site, *arguments: str, code: int = OK) -> str:
    """Runs a command on the site's files; what it prints where it belongs: results out, complaints aside."""
    answer = command(*arguments, "--config", site.config)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert bool(answer.stderr) == (code != OK), answer.stderr
    return answer.stdout if code == OK else answer.stderr


def read(site: Site, device: str, *tags: str, code: int = OK) -> dict[str, dict[str, Any]]:
    answered = command("read", device, *tags, "--json", "--config", site.config)
    assert answered.returncode == code, answered.stderr
    answer = json.loads(answered.stdout)
    assert answer["device"] == device
    return {row["tag"]: row for row in answer["tags"]}


def test_read_over_modbus(live: Site) -> None:
    rows = read(live, "constants", code=FAILED)
    assert rows["exact"]["raw"] == 0x0123_4567_89AB_CDEF
    assert rows["negative"]["value"] == -123_456
    assert (rows["hole"]["raw"], rows["hole"]["quality"]) == (None, "bad_address")
    assert 0.38 < read(live, "press-1", "pressure")["pressure"]["value"] < 0.42
    answered = command("read", "constants", "--config", live.config)
    assert answered.returncode == FAILED, "one of its tags is bad"
    assert str(0x0123_4567_89AB_CDEF) in answered.stdout and "no such address" in answered.stdout


def test_read_over_s7(live: Site) -> None:
    rows = read(live, "furnace-1")
    assert {name: row["raw"] for name, row in rows.items()} == {
        "setpoint": 850.0, "constant": -1234, "running": True,
    }  # fmt: skip
    assert {row["quality"] for row in rows.values()} == {"good"}


def test_read_over_opcua(live: Site) -> None:
    rows = read(live, "meters-1")
    assert {name: row["raw"] for name, row in rows.items()} == {"setpoint": 850.0, "running": True}


def test_read_does_not_disturb_the_agent(live: Site) -> None:
    before = live.row("furnace-1")
    read(live, "furnace-1")
    eventually(
        "polled on", lambda: live.row("furnace-1")["groups"][0]["polls"] > before["groups"][0]["polls"]
    )
    after = live.row("furnace-1")
    assert (after["connects"], after["disconnects"]) == (before["connects"], before["disconnects"])


def test_read_of_what_does_not_answer(live: Site) -> None:
    said = run(live, "read", "dark-1", code=UNREACHABLE)
    assert "dark-1" in said and "127.0.0.1" in said and "port" in said
    said = run(live, "read", "press-2", code=USAGE)
    assert "press-1" in said, "those that there are"
    assert "pressure" in run(live, "read", "press-1", "presure", code=USAGE)


def test_status(live: Site) -> None:
    text = run(live, "status")
    assert "test-line" in text and "LAST GOOD" not in text
    for name in ("press-1", "furnace-1", "meters-1", "constants", "dark-1", "press-1.pressure", "park"):
        assert re.search(rf"^{re.escape(name)}\s", text, re.MULTILINE), name
    assert re.search(r"^dark-1\s+modbus\s+not connected", text, re.MULTILINE)
    answer = json.loads(run(live, "status", "--json"))
    assert not answer["writes"].get("locked"), "no device is locked out"
    assert answer["agent"]["id"] == live.status()["agent"]["id"]
    assert {d["name"] for d in answer["devices"]} == {
        "press-1",
        "furnace-1",
        "meters-1",
        "constants",
        "dark-1",
    }


def test_watch_once(live: Site) -> None:
    text = run(live, "watch", "--once")
    assert re.search(r"^press-1\s+pressure\s+0\.\d+\s.*good.*inside", text, re.MULTILINE)
    assert re.search(r"^dark-1\s+fan\s+no answer", text, re.MULTILINE), "no number for what is not read"
    lines = [json.loads(x) for x in run(live, "watch", "furnace-1", "--once", "--json").splitlines()]
    assert {x["device"] for x in lines} == {"furnace-1"}
    assert {x["tag"]: x["value"] for x in lines}["setpoint"] == 850.0
    assert "press-1" in run(live, "watch", "press-9", "--once", code=USAGE)


def test_buffer_info(live: Site) -> None:
    text = run(live, "buffer", "info")
    assert re.search(r"^park\s+samples\s+\d", text, re.MULTILINE)
    answer = json.loads(run(live, "buffer", "info", "--json"))
    assert answer["agent"] == live.status()["agent"]["id"]
    assert answer["samples"]["units"] > 0 and "error" not in answer["events"]
    assert "first start" in run_elsewhere(live, "buffer", "info", "--state", "nowhere")


def run_elsewhere(live: Site, *arguments: str) -> str:
    return run(live, *arguments, code=FAILED)


def test_check(live: Site, tmp_path: Path) -> None:
    assert "5 device(s)" in run(live, "check")
    assert json.loads(run(live, "check", "--json"))["version"] == live.status()["config"]["version"]
    shutil.copytree(live.config, tmp_path / "config")
    device = tmp_path / "config" / "devices.d" / "press-1.yaml"
    device.write_text(device.read_text(encoding="utf-8").replace("modbus", "modbsu"), encoding="utf-8")
    answer = command("check", "--config", tmp_path / "config")
    assert answer.returncode == UNUSABLE
    assert "devices.d/press-1.yaml:3:" in answer.stdout + answer.stderr
    assert "Did you mean 'modbus'?" in answer.stdout + answer.stderr


def test_drivers() -> None:
    answer = command("drivers")
    assert answer.returncode == OK and answer.stderr == ""
    for name in ("modbus", "s7", "opcua", "sim"):
        assert re.search(rf"^{name}\b", answer.stdout, re.MULTILINE), name


@pytest.mark.parametrize("verb", [("status",), ("watch", "--once")])
def test_nobody_there(verb: tuple[str, ...]) -> None:
    port = free_port()
    answer = command(*verb, "--url", f"127.0.0.1:{port}")
    assert answer.returncode == UNREACHABLE and answer.stdout == ""
    assert str(port) in answer.stderr and "edge-agent run" in answer.stderr

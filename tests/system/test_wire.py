"""``debug`` and ``record`` beside a running agent, and the recording played back as a device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line
from tests.plant.processes import ROOT, Child, eventually
from tests.plant.site import Site, command, free_port

pytestmark = pytest.mark.timeout(180)
OK, FAILED, UNREACHABLE = 0, 1, 4
SHORT = ("--minutes", "0.04")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Line]]:
    folder = tmp_path_factory.mktemp("wire")
    line = Line(folder, "line", *CALM)
    site = Site(folder / "site", None, flush="500ms")
    site.press(line.link())
    site.device(
        "constants", [("exact", "hr:50", "uint64"), ("hole", "hr:60", "uint16")],
        driver="modbus", link=line.link(), station=2, poll="200ms",
    )  # fmt: skip
    site.device(
        "furnace-1", [("constant", "DB1.DBW46", "int16"), ("none", "DB9.DBW0", "int16")],
        driver="s7", link=line.link("s7"), rack=0, slot=1, poll="200ms",
    )  # fmt: skip
    node = "nsu=urn:lineside:simulated-line;s=Line"
    site.device(
        "meters-1", [("running", f"{node}.Running", "bool"), ("none", f"{node}.Nothing", "bool")],
        driver="opcua", link=line.link("opcua"), poll="300ms",
    )  # fmt: skip
    site.start()
    eventually("all are up", lambda: {d["state"] for d in site.status()["devices"]} == {"up"}, 40)
    yield site, line
    site.close()
    line.close()


def frames(site: Site, device: str, *more: str) -> list[dict[str, Any]]:
    done = command("debug", device, *SHORT, "--json", *more, "--config", site.config)
    assert done.returncode == OK, done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()]


def test_modbus_frames_mean_what_they_say(live: tuple[Site, Line]) -> None:
    rows = frames(live[0], "constants")
    assert {row["station"] for row in rows if "station" in row} == {2}, "not those of its neighbour"
    asked = [row for row in rows if row["way"] == ">"]
    answered = [row for row in rows if row["way"] == "<"]
    assert asked and answered
    assert any("FC03 read hr:50..53, 4" in row["means"] for row in asked)
    assert any("hr:50..53 = 291 17767 35243 52719" in row["means"] for row in answered)
    assert any("读 hr:50..53" in row["means_zh"] for row in asked)
    pdu = bytes.fromhex(next(row["hex"] for row in asked if "hr:50..53" in row["means"]))
    assert pdu[2:] == bytes.fromhex("0000 0006 02 03 0032 0004")


def test_neighbours_are_shown_when_asked_for(live: tuple[Site, Line]) -> None:
    assert {r["station"] for r in frames(live[0], "constants", "--all") if "station" in r} == {1, 2}


def test_s7_items_have_their_return_codes(live: tuple[Site, Line]) -> None:
    rows = frames(live[0], "furnace-1")
    assert any(r["way"] == ">" and "DB1.DBB46..47, DB9.DBB0..1" in r["means"] for r in rows)
    answer = next(r for r in rows if r["way"] == "<" and "DB9" in r["means"])
    assert "DB1.DBB46..47 = fb 2e" in answer["means"]
    assert "DB9.DBB0..1: 0x0A no such block" in answer["means"] and answer["failed"]
    assert "没有该数据块" in answer["means_zh"]


def test_opcua_services_have_their_status_codes(live: tuple[Site, Line]) -> None:
    rows = frames(live[0], "meters-1")
    assert any(
        r["way"] == ">" and r["means"].startswith("Read, ") and "Line.Running" in r["means"] for r in rows
    )
    assert any(r["way"] == "<" and "True (Good)" in r["means"] for r in rows)


def test_a_timeout_is_shown_and_a_silent_device_recorded(live: tuple[Site, Line], tmp_path: Path) -> None:
    site, line = live
    out = tmp_path / "silent.rec"
    line.fault("silent", unit=1)
    try:
        rows = frames(site, "press-1", "--minutes", "0.08")
        assert any(r["way"] == "!" and "no answer" in r["remark"] for r in rows)
        done = command("record", "press-1", "--minutes", "0.1", "--out", out, "--config", site.config)
        assert done.returncode == OK, done.stderr
    finally:
        line.fault("ok", unit=1)
    exchanges = [json.loads(row) for row in out.read_text(encoding="utf-8").splitlines()][1:]
    assert exchanges and all(e["answer"] is None for e in exchanges)
    eventually("it is back", lambda: site.row("press-1")["state"] == "up")


def _state(site: Site) -> dict[str, Any]:
    from edge_agent.cli.console_client import ask

    found = ask(site.socket, "debug.status", {})["recordings"]
    return {row["device"]: row for row in found}


def test_it_switches_itself_off_when_nobody_fetches(live: tuple[Site, Line]) -> None:
    from edge_agent.cli.console_client import ask

    site, _ = live
    ask(site.socket, "debug.start", {"device": "press-1", "minutes": 0.02})
    eventually("it is over by itself", lambda: _state(site)["press-1"]["ended"] == "time")
    before = _state(site)["press-1"]["entries"]
    polls = site.row("press-1")["groups"][0]["polls"]
    eventually("polled on", lambda: site.row("press-1")["groups"][0]["polls"] > polls + 3)
    assert _state(site)["press-1"]["entries"] == before > 0


def test_one_at_a_time_and_stop(live: tuple[Site, Line]) -> None:
    site, _ = live
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "debug", "press-1", "--config", str(site.config)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually("it records", lambda: not _state(site)["press-1"]["ended"])
    second = command("debug", "constants", "--config", site.config)
    assert second.returncode == FAILED and "press-1" in second.stderr and "--stop" in second.stderr
    assert command("debug", "press-1", "--stop", "--config", site.config).returncode == OK
    assert process.communicate(timeout=20)[1].count("stopped") == 1
    assert process.returncode == OK


def test_ctrl_c_ends_it(live: tuple[Site, Line]) -> None:
    site, _ = live
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "debug", "press-1", "--config", str(site.config)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually("it records", lambda: not _state(site)["press-1"]["ended"])
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == OK and "Traceback" not in said, said
    assert _state(site)["press-1"]["ended"] == "stopped"


def test_who_cannot_be_recorded(live: tuple[Site, Line]) -> None:
    site, _ = live
    unknown = command("debug", "press-9", "--config", site.config)
    assert unknown.returncode == FAILED and "press-1" in unknown.stderr
    nobody = command("debug", "press-1", "--socket", site.root / "none.sock", "--config", site.config)
    assert nobody.returncode == UNREACHABLE
    assert command("debug", "press-1", "--minutes", "0", "--config", site.config).returncode == 2
    nowhere = command("record", "press-1", "--out", site.root / "no" / "file", "--config", site.config)
    assert nowhere.returncode == 5 and "Traceback" not in nowhere.stderr
    assert all(state["ended"] for state in _state(site).values()), "what could not be written records nothing"


def test_the_file_is_its_owners(live: tuple[Site, Line], tmp_path: Path) -> None:
    out = tmp_path / "wire.jsonl"
    done = command("debug", "press-1", *SHORT, "--out", out, "--config", live[0].config)
    assert done.returncode == OK and "FC03" in done.stdout
    assert out.stat().st_mode & 0o077 == 0
    rows = [json.loads(row) for row in out.read_text(encoding="utf-8").splitlines()]
    assert {row["way"] for row in rows} == {">", "<"}


@pytest.mark.parametrize(
    ("device", "server", "values"),
    [("constants", "modbus", {"exact": 0x0123_4567_89AB_CDEF, "hole": None}),
     ("furnace-1", "s7", {"constant": -1234, "none": None})],
)  # fmt: skip
def test_a_recorded_device_is_played(
    live: tuple[Site, Line], tmp_path: Path, device: str, server: str, values: dict[str, Any]
) -> None:
    """Another agent's `read` of the played device yields what the device itself did, and so does a single
    tag, which was never asked for alone."""
    site, line = live
    out = tmp_path / "device.rec"
    done = command("record", device, "--minutes", "0.06", "--out", out, "--json", "--config", site.config)
    assert done.returncode == OK and json.loads(done.stdout)["exchanges"] > 5
    played = Child(["hardware_mocks", "replay", str(out), "--fast", "--with-parent"], tmp_path / "replay.log")
    try:
        elsewhere = Site(tmp_path / "site", None)
        path = site.config / "devices.d" / f"{device}.yaml"
        text = path.read_text(encoding="utf-8").replace(f":{line.ports[server]}", f":{played.ports[server]}")
        (elsewhere.config / "devices.d" / path.name).write_text(text, encoding="utf-8")
        table = site.config / "tags.d" / f"{device}.csv"
        (elsewhere.config / "tags.d" / table.name).write_bytes(table.read_bytes())
        for tags in ((), tuple(values)[:1], tuple(values)[1:]):
            read = command("read", device, *tags, "--json", "--config", elsewhere.config)
            found = {row["tag"]: row["raw"] for row in json.loads(read.stdout)["tags"]}
            assert read.returncode == (FAILED if None in found.values() else OK), read.stderr
            assert found == {name: values[name] for name in found}
            assert set(found) == set(tags or values)
        elsewhere.close()
    finally:
        assert played.stop() == 0, played.text()


def test_what_is_no_recording_is_not_played(tmp_path: Path) -> None:
    for content in ("", "{}", "[1]", '{"lineside_recording": 1, "driver": "opcua"}', "x\n"):
        file = tmp_path / "no.rec"
        file.write_text(content, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "hardware_mocks", "replay", str(file)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env=dict(os.environ),
        )  # fmt: skip
        assert done.returncode == 2 and "cannot play" in done.stderr and "Traceback" not in done.stderr


def test_support_without_an_agent(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", f"http://127.0.0.1:{free_port()}/in")
    out = tmp_path / "b.tar.gz"
    done = command("support", "--out", out, "--json", "--config", site.config, timeout_s=90)
    assert done.returncode == OK, done.stderr
    told = json.loads(done.stdout)
    parts = {part["name"]: part for part in told["parts"]}
    assert parts["status.json"]["problem"] and parts["MANIFEST.json"]["bytes"] > 500
    assert "config/edge-agent.yaml" in parts and out.stat().st_mode & 0o077 == 0
    assert out.stat().st_size == told["bytes"] < 20_000_000
    site.close()


def test_support_of_nothing_at_all(tmp_path: Path) -> None:
    done = command(
        "support", "--out", tmp_path / "b.tar.gz", "--config", tmp_path / "none", "--lang", "zh", timeout_s=90
    )
    assert done.returncode == OK and "Traceback" not in done.stderr, done.stderr
    refused = command("support", "--out", tmp_path / "no" / "b.tar.gz", "--config", tmp_path, timeout_s=90)
    assert refused.returncode == 5 and "--out" in refused.stderr

"""SIGHUP: what did not change keeps connection, window state and data; a bad file changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved, command

OK = "edgeagent_config_last_reload_successful"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Line]:
    """A second controller."""
    line = Line(tmp_path, "modbus", *CALM)
    yield line
    line.close()


def fan_station(site: Site, line: Line, *tags: tuple[str, str, str], poll: str = "200ms") -> None:
    site.device("fan-1", tags or [("fan", "hr:10", "uint16")], driver="modbus", link=line.link(), poll=poll)


def test_what_did_not_change_goes_on(site: Site, line: Line, other: Line, park: Park) -> None:
    fan_station(site, other)
    site.start()
    line.process(pressure_setpoint_mpa=0.52)
    eventually("an excursion is active", lambda: site.window()["active"])
    eventually("both are up", lambda: all(d["state"] == "up" for d in site.status()["devices"]))
    before = site.status()
    kept = site.connections(line.ports["modbus"])
    replaced = site.connections(other.ports["modbus"])
    assert len(kept) == len(replaced) == 1

    fan_station(site, other, ("fan", "hr:10", "uint16"), ("power", "hr:12", "int32"))
    site.reload()
    eventually("the new tag is read", lambda: site.tags("fan-1")["power"]["quality"] == "good")

    after = site.status()
    assert site.connections(line.ports["modbus"]) == kept, "the press's connection was touched"
    assert site.connections(other.ports["modbus"]) != replaced
    press = site.row("press-1")
    (press_before,) = (d for d in before["devices"] if d["name"] == "press-1")
    for name in ("connects", "disconnects", "failures", "since_ns", "state"):
        assert press[name] == press_before[name], name
    assert press["groups"][0]["overruns"] == press_before["groups"][0]["overruns"]
    window, window_before = site.window(), before["windows"][0]
    for name in ("state", "active", "since_ns", "excursions"):
        assert window[name] == window_before[name], name
    assert after["config"]["version"] != before["config"]["version"]
    assert after["config"]["reloaded_ns"] > before["config"]["reloaded_ns"]
    assert after["buffer"]["epoch"] == before["buffer"]["epoch"]
    assert after["buffer"]["committed_samples"] >= before["buffer"]["committed_samples"]
    assert_conserved(after)
    changed = eventually("the park is told", lambda: park.events("config_changed"))
    assert [e["detail"] for e in changed] == [
        {"from": before["config"]["version"], "to": after["config"]["version"]}
    ]
    assert [e["kind"] for e in park.events() if e["source"] == "press-1.pressure"] == ["excursion_begin"]
    site.stop()
    assert park.missing("press-1", "polls") == 0
    assert park.report()["duplicates"] == park.report()["missing"] == 0


def test_a_bad_file_changes_nothing_and_a_good_one_heals(site: Site, line: Line, park: Park) -> None:
    site.start()
    eventually("data flows", lambda: park.report()["segments"] > 0)
    before = site.status()
    kept = site.connections(line.ports["modbus"])
    good = (site.config / "devices.d" / "press-1.yaml").read_text(encoding="utf-8")
    (site.config / "devices.d" / "press-1.yaml").write_text(
        good.replace("driver: modbus", "driver: modbsu").replace("poll: 200ms", "poll: -1s"), encoding="utf-8"
    )
    site.reload(accepted=False)
    bad = eventually("the status tells", lambda: not (s := site.status())["config"]["reload_ok"] and s)
    assert bad["config"]["source"] == "current" and bad["config"]["version"] == before["config"]["version"]
    assert any("press-1.yaml:" in p and "modbsu" in p for p in bad["config"]["problems"])
    assert bad["config"]["reloaded_ns"] == before["config"]["reloaded_ns"]
    assert any("press-1.yaml:" in r["msg"] for r in site.records() if r["level"] == "error")
    eventually("the metrics tell", lambda: site.metrics()[OK] == 0)

    segments = park.report()["segments"]
    eventually("data flows on", lambda: park.report()["segments"] > segments + 1)
    assert site.connections(line.ports["modbus"]) == kept

    (site.config / "devices.d" / "press-1.yaml").write_text(good, encoding="utf-8")
    site.reload()
    healed = eventually("the status tells", lambda: (s := site.status())["config"]["reload_ok"] and s)
    assert healed["config"]["problems"] == []
    assert healed["config"]["reloaded_ns"] > before["config"]["reloaded_ns"]
    eventually("the metrics tell", lambda: site.metrics()[OK] == 1)
    assert site.connections(line.ports["modbus"]) == kept, "an equal configuration was taken for a new one"
    assert park.events("config_changed") == [], "nothing has changed"


def test_devices_and_uplinks_come_go_and_move(
    site: Site, line: Line, other: Line, park: Park, tmp_path: Path
) -> None:
    site.start()
    fan_station(site, other)
    site.reload()
    eventually("the new device is read", lambda: site.tags("fan-1")["fan"]["quality"] == "good")
    eventually("and arrives", lambda: park.numbers("fan-1", "fan"))
    assert [d["name"] for d in site.status()["devices"]] == ["fan-1", "press-1"]

    site.remove("fan-1")
    site.reload()
    eventually("it is gone", lambda: [d["name"] for d in site.status()["devices"]] == ["press-1"])
    eventually("its connection too", lambda: other.state()["connections"] == 0)
    eventually("no series of it is left", lambda: not any('"fan-1"' in name for name in site.metrics()))

    second = Park(tmp_path)
    try:
        site.write_main(uplinks=[{"name": "park", "type": "http", "url": second.url}])
        site.reload()
        eventually("the new address gets data", lambda: second.numbers("press-1", "polls"))
        assert site.uplink()["endpoint"] == second.url
        assert site.uplink()["up"]
        taken = len(park.numbers("press-1", "polls"))
        count = len(second.numbers("press-1", "polls"))
        eventually("and goes on getting it", lambda: len(second.numbers("press-1", "polls")) > count + 5)
        assert len(park.numbers("press-1", "polls")) == taken, "the old address got data after the reload"
        site.stop()
        assert park.missing("press-1", "polls", second) == 0, "data fell between the two addresses"
    finally:
        second.close()


def systemctl_reload(site: Site) -> int:
    """What the unit does: each line in turn, the first that fails ends it. The exit code of the last."""
    unit = (Path(__file__).parents[2] / "systemd" / "edge-agent.service").read_text(encoding="utf-8")
    lines = [line.split("=", 1)[1].split() for line in unit.splitlines() if line.startswith("ExecReload=")]
    assert [words[0].rpartition("/")[2] for words in lines] == ["edge-agent", "kill"], "the check comes first"
    options = [word.replace("/etc/edge-agent", str(site.config)) for word in lines[0][1:]]
    code = command(*options).returncode
    if code == 0:
        site.reload()
    return code


def test_systemctl_reload_fails_visibly_and_data_flows_on(site: Site, line: Line, park: Park) -> None:
    site.start()
    eventually("data flows", lambda: park.report()["segments"] > 0)
    before = site.status()["config"]
    path = site.config / "devices.d" / "press-1.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("driver: modbus", "driver：modbus"), encoding="utf-8")
    assert systemctl_reload(site) == 78
    assert site.status()["config"] == before, "the agent heard of it"
    segments = park.report()["segments"]
    eventually("data flows on", lambda: park.report()["segments"] > segments + 1)
    path.write_text(good.replace("poll: 200ms", "poll: 250ms"), encoding="utf-8")
    assert systemctl_reload(site) == 0
    eventually("the new one runs", lambda: site.status()["config"]["version"] != before["version"])
    site.stop()


def test_what_a_reload_changes_is_shown_before_and_after(site: Site, line: Line, other: Line) -> None:
    answer = command("check", "--changes", "--config", site.config)
    assert answer.returncode == 1 and "last good" in answer.stderr, "it has never run"
    site.start()
    answer = command("check", "--changes", "--config", site.config)
    assert answer.returncode == 0 and "a reload changes nothing" in answer.stdout
    fan_station(site, other)
    device = site.config / "devices.d" / "press-1.yaml"
    text = device.read_text(encoding="utf-8")
    device.write_text(text.replace("poll: 200ms", "poll: 250ms"), encoding="utf-8")
    answer = command("check", "--changes", "--config", site.config)
    assert "  devices +fan-1 ~press-1\n" in answer.stdout
    as_json = command("check", "--changes", "--json", "--config", site.config)
    assert json.loads(as_json.stdout)["changes"][0] == "devices +fan-1 ~press-1"
    site.reload()
    eventually("it is told", lambda: site.said("reloaded"))
    (told,) = (record for record in site.records() if record["msg"] == "reloaded")
    assert told["changed"].startswith("devices +fan-1 ~press-1")
    assert "a reload changes nothing" in command("check", "--changes", "--config", site.config).stdout
    site.stop()

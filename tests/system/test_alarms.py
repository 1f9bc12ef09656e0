"""Alarms on the simulated line, from the register to the command line: raised, acknowledged, cleared, latched
and shelved as configured; untouched by a cut cable; the same after kill -9."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edge_agent.cli import console_client
from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site

pytestmark = pytest.mark.timeout(120)

PRESSURE = {"tag": "pressure", "low": 0.3, "high": 0.5, "deadband": 0.01, "on_delay": "400ms"}
TAGS = [
    ("pressure", "hr:2", "float32", "", "MPa"),
    ("running", "co:0", "bool", "", ""),
    ("remote", "di:32", "bool", "", ""),
    ("zone1_temperature", "ir:0", "int16", "0.1", "°C"),
    ("zone1_setpoint", "hr:14", "int16", "0.1", "°C"),
]


def furnish(site: Site, line: Line, *windows: dict[str, Any]) -> None:
    site.device(
        "press-1", TAGS, columns="name,address,type,scale,unit", driver="modbus", link=line.link(),
        poll="100ms", timeout="300ms", windows=list(windows),
    )  # fmt: skip
    site.start()
    eventually("every window is judged", lambda: {w["state"] for w in site.status()["windows"]} == {"in"})


def letters(site: Site) -> dict[str, str]:
    """Of the alarms that are not normal, without the device's name."""
    rows = console_client.ask(site.socket, "alarms.list", {})["alarms"]
    return {row["name"].removeprefix("press-1."): row["letter"] for row in rows}


def become(site: Site, **wanted: str) -> None:
    names = {name.replace("__", "."): letter for name, letter in wanted.items()}
    eventually(f"alarms are {names}", lambda: letters(site) == names)


def test_a_pressure_excursion_is_raised_acknowledged_and_cleared(site: Site, line: Line, park: Park) -> None:
    furnish(
        site, line, PRESSURE | {"hihi": {"at": 0.51, "latch": True, "priority": "critical", "on_delay": "0s"}}
    )
    line.process(pressure_setpoint_mpa=0.52)
    become(site, pressure__high="B", pressure__hihi="B")
    eventually("the page shows both", lambda: [a["letter"] for a in site.status()["alarms"]] == ["B", "B"])
    assert site.status()["alarms"][0]["name"].endswith("hihi"), "the most urgent first"
    site.console("alarms", "ack", "press-1.pressure.high")
    assert letters(site) == {"pressure.high": "C", "pressure.hihi": "B"}
    site.console("alarms", "reset", "press-1.pressure.hihi", code=1)  # it has not even gone
    line.process(pressure_setpoint_mpa=0.40)
    become(site, pressure__hihi="E")
    assert "acknowledge first" in site.console("alarms", "reset", "press-1.pressure.hihi", code=1)
    site.console("alarms", "ack", "press-1.*")
    assert letters(site) == {"pressure.hihi": "F"}
    site.console("alarms", "reset", "press-1.pressure.hihi")
    assert letters(site) == {}

    def told() -> list[str]:
        events = park.events("alarm_raised", "alarm_acknowledged", "alarm_returned", "alarm_reset")
        return [
            f"{e['source'].removeprefix('press-1.pressure.')} {e['detail']['before']}{e['detail']['after']}"
            for e in events
        ]

    eventually("the park knows all of it", lambda: len(told()) == 7)
    assert [t for t in told() if t.startswith("high")] == ["high AB", "high BC", "high CA"]
    assert [t for t in told() if t.startswith("hihi")] == ["hihi AB", "hihi BE", "hihi EF", "hihi FA"]
    (raised,) = [e for e in park.events("alarm_raised") if e["source"].endswith("high")]
    detail = raised["detail"]
    assert (detail["limit"], detail["unit"], detail["quality"]) == (0.5, "MPa", "good")
    assert 0.5 < detail["value"] < 0.53
    acked = park.events("alarm_acknowledged")
    assert {e["detail"]["user"] for e in acked} != {""}, "the kernel says who it was"


def test_a_furnace_drift_of_6_degrees_is_an_alarm_and_5_is_none(site: Site, line: Line) -> None:
    window = {
        "tag": "zone1_temperature", "target": "zone1_setpoint", "tolerance": 5, "deadband": 1, "ack": False,
        "when": "running",
    }  # fmt: skip
    furnish(site, line, window)
    line.process(zone1_drift_c=3.9)
    eventually("the zone is warmer", lambda: _value(site) > 853.0)
    assert letters(site) == {}
    line.process(zone1_drift_c=6)
    become(site, zone1_temperature__high="C")  # needs no acknowledgement
    line.process(zone1_drift_c=0)
    become(site)
    line.process(zone1_drift_c=-6)
    become(site, zone1_temperature__low="C")
    line.process(running=False)  # what is wrong while the line stands is suppressed, not forgotten
    become(site, zone1_temperature__low="H")
    assert site.window("press-1.zone1_temperature")["state"] == "suppressed"


def _value(site: Site) -> float:
    value = site.tags("press-1")["zone1_temperature"]["value"]
    return float(value or 0)


def test_a_shelf_ends_by_itself_and_names_who_and_why(site: Site, line: Line, park: Park) -> None:
    furnish(site, line, PRESSURE)
    line.process(pressure_setpoint_mpa=0.52)
    become(site, pressure__high="B")
    name = "press-1.pressure.high"
    assert site.console("alarms", "shelve", name, "--for", "3s", code=2)  # without a reason
    site.console("alarms", "shelve", name, "--for", "4s", "--reason", "sensor is being changed")
    assert letters(site) == {"pressure.high": "G"}
    site.kill()
    site.start()
    assert letters(site) == {"pressure.high": "G"}, "a shelf outlives kill -9"
    become(site, pressure__high="B")
    (shelved,) = eventually("the park knows", lambda: park.events("alarm_shelved"))
    assert shelved["detail"]["comment"] == "sensor is being changed"
    assert shelved["detail"]["user"] and shelved["detail"]["until_ns"] > shelved["time_us"] * 1000
    (unshelved,) = eventually("and of its end", lambda: park.events("alarm_unshelved"))
    assert unshelved["detail"]["reason"] == "expired"


@pytest.mark.parametrize("fault", ["refuse", "silent"])
def test_a_cut_cable_is_unknown_within_max_age_and_no_alarm(
    fault: str, site: Site, line: Line, park: Park
) -> None:
    out = {"tag": "pressure", "name": "out", "high": 0.35, "max_age": "1s"}
    calm = PRESSURE | {"max_age": "1s", "on_delay": "0s"}
    site.device(
        "press-1", TAGS, columns="name,address,type,scale,unit", driver="modbus", link=line.link(),
        poll="100ms", timeout="300ms", windows=[out, calm],
    )  # fmt: skip
    site.start()
    become(site, out__high="B")
    line.fault(fault)
    line.process(pressure_setpoint_mpa=0.52)  # what happens behind a cut cable
    begin = time.monotonic()
    eventually("both are unknown", lambda: {w["state"] for w in site.status()["windows"]} == {"unknown"})
    assert time.monotonic() - begin < 1.0 + 0.5 + 0.25 + 0.3, "max_age, a tick, an answer's cache, this loop"
    time.sleep(1.5)
    assert letters(site) == {"out.high": "B"}, "none begins, none ends"
    kinds = [e["kind"] for e in park.events("alarm_raised", "alarm_returned")]
    assert kinds == ["alarm_raised"]
    line.process(pressure_setpoint_mpa=0.33)
    line.fault("ok")
    become(site, out__high="D")


def test_kill_9_in_each_state_restores_that_state(site: Site, line: Line) -> None:
    """Nine alarms, one in each state; pressure 0.52, then 0.47."""

    def window(name: str, high: float, **more: Any) -> dict[str, Any]:
        return {"tag": "pressure", "name": name, "high": high, **more}

    furnish(
        site, line,
        window("a", 0.9), window("b", 0.45), window("c", 0.45), window("d", 0.5),
        window("e", 0.5, latch=True), window("f", 0.5, latch=True), window("g", 0.45),
        window("h", 0.45, when="remote"), window("i", 0.45),
    )  # fmt: skip
    line.process(pressure_setpoint_mpa=0.52)
    eventually("all but one are raised", lambda: len(letters(site)) == 8)
    site.console("alarms", "ack", "press-1.c.high")
    site.console("alarms", "ack", "press-1.f.high")
    site.console("alarms", "shelve", "press-1.g.high", "--for", "10min", "--reason", "test")
    site.console("alarms", "suppress", "press-1.i.high", "--reason", "out of service")
    line.process(pressure_setpoint_mpa=0.47)
    eventually("d has gone", lambda: letters(site).get("d.high") == "D")
    line.process(remote=False)
    wanted = {f"{name}.high": name.upper() for name in "bcdefghi"}
    eventually("each alarm is in its state", lambda: letters(site) == wanted)
    site.kill()
    line.fault("silent")  # so that nothing is judged anew
    site.start()
    assert letters(site) == wanted
    line.fault("ok")
    eventually("the windows are known again", lambda: site.window("press-1.b")["state"] == "out")
    assert letters(site) == wanted, "what is read now says the same"
    site.stop()
    site.start()
    assert letters(site) == wanted, "a clean stop is no worse"

"""A controller that dies: bad at once, never a false alarm, good again within five seconds."""

from __future__ import annotations

import time

import pytest

from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

PERIOD_S = 0.2
TIMEOUT_S = 1.0
HEAL_WITHIN_S = 5.0
CACHE_S = 0.25  # how old an answer of the web interface may be
SERIES = 'edgeagent_tag_value{device="press-1",tag="pressure"}'
UNKNOWN = 'edgeagent_window_state{state="unknown",window="press-1.pressure"}'


@pytest.mark.parametrize("fault", ["silent", "refuse"])
def test_tags_are_bad_at_once_and_good_again_soon(fault: str, site: Site, line: Line, park: Park) -> None:
    site.start()
    eventually("the press is read", lambda: site.tags("press-1")["pressure"]["quality"] == "good")
    eventually("and exported", lambda: SERIES in site.metrics())
    line.process(pressure_setpoint_mpa=0.52)  # would become an excursion, 0.4 s later
    line.fault(fault)
    begin = time.monotonic()
    eventually(
        "the tags are bad", lambda: site.tags("press-1")["pressure"]["quality"] == "bad_comm", deadline_s=5
    )
    assert time.monotonic() - begin < 2 * PERIOD_S + TIMEOUT_S + CACHE_S + 0.2
    tag = site.tags("press-1")["pressure"]
    assert tag["value"] is None
    window = site.window()
    assert (window["state"], window["active"], window["value"]) == ("unknown", False, None)
    eventually("its series has ended", lambda: SERIES not in site.metrics(), 3)
    metrics = site.metrics()
    assert metrics['edgeagent_device_up{device="press-1"}'] == 0 or fault == "silent"
    assert metrics[UNKNOWN] == 1
    eventually("the device is not shown as up", lambda: site.row("press-1")["state"] != "up", 5)
    time.sleep(1.5)  # long enough for an excursion to begin, if it did
    assert site.window()["excursions"] == 0
    assert_conserved(site.status())

    line.process(pressure_setpoint_mpa=0.40)
    counted = line.state()["requests"]
    line.fault("ok")
    begin = time.monotonic()
    eventually(
        "the tags are good", lambda: site.tags("press-1")["pressure"]["quality"] == "good", HEAL_WITHIN_S
    )
    assert time.monotonic() - begin < HEAL_WITHIN_S
    assert line.state()["requests"] > counted
    eventually("the window knows", lambda: site.window()["state"] == "in")
    eventually("the park is told", lambda: park.events("window_unknown") and park.events("window_known"))
    assert park.events("excursion_begin") == []
    records = [r for r in site.records() if r["msg"] == "device does not answer"]
    assert len(records) == 1 and records[0]["device"] == "press-1", "said once, however long it lasts"
    assert len(site.said("device answers")) == 1


def test_an_active_excursion_outlives_the_silence(site: Site, line: Line, park: Park) -> None:
    site.start()
    line.process(pressure_setpoint_mpa=0.52)
    eventually("an excursion is active", lambda: site.window()["active"])
    line.fault("silent")
    window = eventually("the window is unknown", lambda: (w := site.window())["state"] == "unknown" and w)
    assert window["active"], "an alarm does not end because nobody looks"
    assert site.metrics()['edgeagent_window_excursion_active{window="press-1.pressure"}'] == 1
    line.process(pressure_setpoint_mpa=0.40)
    line.fault("ok")
    (end,) = eventually("its end is at the park", lambda: park.events("excursion_end"))
    (begin,) = park.events("excursion_begin")
    assert end["detail"]["begin_ns"] // 1000 == begin["time_us"]


def test_a_dead_station_costs_its_neighbour_nothing(site: Site, line: Line, park: Park) -> None:
    """Two more stations on the press's connection; one of them falls silent, then answers again."""
    for station in (2, 3):
        site.device(
            f"fan-{station}", [("fan", "hr:10", "uint16")],
            driver="modbus", link=line.link(), station=station, poll="200ms",
        )  # fmt: skip
    site.start()
    eventually("all are up", lambda: all(d["state"] == "up" for d in site.status()["devices"]))
    assert len(site.connections(line.ports["modbus"])) == 1
    connects = site.row("press-1")["connects"]
    line.fault("silent", unit=3)
    eventually("it counts as silent", lambda: site.row("fan-3")["state"] == "silent")
    polls = site.row("press-1")["groups"][0]["polls"]
    eventually("the press is polled on", lambda: site.row("press-1")["groups"][0]["polls"] > polls + 10)
    for name in ("press-1", "fan-2"):
        row = site.row(name)
        assert row["state"] == "up" and row["groups"][0]["overruns"] <= 1, row
    line.fault("ok", unit=3)
    eventually("it is up", lambda: site.row("fan-3")["state"] == "up", HEAL_WITHIN_S)
    assert site.row("press-1")["connects"] == connects, "a dead station must not cost the link"
    site.stop()
    assert park.missing("press-1", "polls") == 0

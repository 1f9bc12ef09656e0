"""SIGTERM at any moment: out within ten seconds, and nothing that was read is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved, command

STOP_WITHIN_S = 10.0


def test_with_the_park_down_nothing_is_lost(site: Site, line: Line, park: Park) -> None:
    """Load: 500 more tags, ten times a second, and a park that takes each message and never answers. More
    signals while it stops change nothing."""
    site.press(line.link(), poll="100ms")
    pattern = [(f"r{i}", f"hr:{100 + i}", "uint16") for i in range(250)]
    for station in (2, 3):
        site.device(
            f"load-{station}", pattern, driver="modbus", link=line.link(), station=station, poll="100ms"
        )
    park.mood("hang")
    site.start()
    eventually("a backlog has grown", lambda: site.uplink()["pending_segments"] >= 9)
    status = site.status()
    assert_conserved(status)
    assert not status["uplinks"][0]["up"]
    assert site.agent is not None
    site.agent.signal(signal.SIGTERM)
    time.sleep(0.3)
    site.agent.signal(signal.SIGHUP)
    site.stop(STOP_WITHIN_S)
    stored = json.loads(command("buffer", "info", "--config", site.config, "--json").stdout)
    assert stored["samples"]["run"]["clean"] == 1
    committed = stored["samples"]["samples"]
    assert committed >= status["totals"]["samples_read"]

    park.mood("ok")
    site.start()
    eventually("the backlog is delivered", lambda: park.report()["samples"] > committed)
    eventually("and new data after it", lambda: site.uplink()["pending_segments"] <= 3)
    site.stop()
    report = park.report()
    assert report["missing"] == report["conflicts"] == 0 and report["problems"] == []
    assert park.events("data_lost") == [], "a clean stop loses nothing, so it leaves no ledger row"
    # The controller counts polls: while the agent was stopped there were none. The one that SIGTERM cut off
    # on the wire was counted there, but never read.
    assert park.missing("press-1", "polls") <= 1
    for station in (2, 3):
        assert set(park.numbers(f"load-{station}", "r249")) == {1349}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """Two OPC UA servers: saying good-bye to one that is silent takes seconds."""
    folder = tmp_path_factory.mktemp("servers")
    lines = [Line(folder, "opcua", *CALM) for _ in range(2)]
    yield lines
    for line in lines:
        line.close()


@pytest.fixture
def meters(site: Site, servers: list[Line]) -> list[Line]:
    """A device on each of them."""
    for number, server in enumerate(servers):
        server.fault("ok", "opcua")
        meter(site, number, server, "Line.Heartbeat", "uint32")
    return servers


def meter(site: Site, number: int, server: Line, node: str, type_: str) -> None:
    address = f"nsu=urn:lineside:simulated-line;s={node}"
    site.device(f"meter-{number}", [("value", address, type_)], driver="opcua", link=server.link("opcua"))


def all_up(site: Site) -> bool:
    return all(device["state"] == "up" for device in site.status()["devices"])


def test_those_that_hang_are_left_side_by_side(site: Site, park: Park, meters: list[Line]) -> None:
    """Two controllers and three parks, each of which costs three seconds or more."""
    (uplink,) = site.main["uplinks"]
    site.write_main(uplinks=[{**uplink, "name": f"park-{n}"} for n in range(3)])
    site.start()
    eventually("all are up", lambda: all_up(site))
    park.mood("hang")
    for server in meters:
        server.fault("silent", "opcua")
    eventually("a backlog grows", lambda: site.uplink()["pending_segments"] >= 4)
    site.stop(STOP_WITHIN_S)
    check_closed(site)


def test_in_the_middle_of_a_reload(site: Site, meters: list[Line]) -> None:
    """The reload is taking leave of a controller that does not answer; it must start nothing any more."""
    site.start()
    eventually("all are up", lambda: all_up(site))
    for server in meters:
        server.fault("silent", "opcua")
    meter(site, 0, meters[0], "Line.Meter.Power", "float32")
    assert site.agent is not None
    site.agent.signal(signal.SIGHUP)
    eventually("the files are being read", site.children)
    eventually("they have been read", lambda: not site.children())
    time.sleep(0.2)
    site.stop(STOP_WITHIN_S)
    check_closed(site)


def test_while_the_files_are_being_read(site: Site) -> None:
    agent = site.start(wait=False)
    eventually("the files are being read", site.children)
    agent.signal(signal.SIGSTOP)  # the reader goes on; we can see that nobody waits for it
    (reader,) = site.children()
    os.kill(reader, signal.SIGSTOP)
    agent.signal(signal.SIGCONT)
    site.stop(STOP_WITHIN_S)
    assert not Path(f"/proc/{reader}").exists(), "the reader was left behind"


def check_closed(site: Site) -> None:
    stored = json.loads(command("buffer", "info", "--config", site.config, "--json").stdout)
    assert stored["samples"]["run"]["clean"] == stored["events"]["run"]["clean"] == 1

"""Rows that the running agent writes to real databases, read back and counted: against the controller's own
poll counter, and against what a park received from the same agent at the same time. The database goes away in
the middle, and the agent is restarted while it is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from tests.plant.databases import Database, Influx, Victoria
from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

pytestmark = pytest.mark.timeout(180)
PATIENCE_S = 60.0


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    database = Influx(tmp_path / "influx")
    database.start()
    yield database
    database.stop()


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[Victoria]:
    database = Victoria(tmp_path / "victoria")
    database.start()
    yield database
    database.stop()


class Plant:
    """A press, whose counter grows with every poll it serves; a park and a database, both sent everything."""

    def __init__(self, site: Site, park: Park, database: Database, **keys: Any) -> None:
        self.site, self.park, self.database = site, park, database
        both = [
            {"name": "park", "type": "http", "url": park.url, "timeout": "5s"},
            {"name": "db", "type": "influx", "url": database.url, "database": "lineside", "timeout": "2s"},
        ]
        both[1] |= keys
        site.write_main(uplinks=both)

    @property
    def row(self) -> Any:
        return next(row for row in self.site.status()["uplinks"] if row["name"] == "db")

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        return eventually(what, condition, PATIENCE_S)

    def acknowledged(self, more: int) -> None:
        before = self.row["acknowledged_segments"]
        self.until(f"{more} more are confirmed", lambda: self.row["acknowledged_segments"] >= before + more)

    def outage(self, end: Callable[[], None]) -> None:
        """The database is away; a backlog grows, over a restart of the agent; it comes back."""
        end()
        self.until("it is seen", lambda: not self.row["up"])
        self.until("a backlog grows", lambda: self.row["pending_segments"] >= 4)
        self.site.stop()
        self.site.start()
        self.until("it grows on", lambda: self.row["pending_segments"] >= 8)
        assert_conserved(self.site.status())
        self.database.start()
        self.until("it is up", lambda: self.row["up"])
        self.until("the backlog is delivered", lambda: self.row["pending_segments"] <= 2)

    def served(self) -> list[tuple[int, int]]:
        """(time_us, count) of every poll that the agent read well, as the park has it."""
        rows = self.park.samples("press-1", "polls")
        good = sorted({(time_us, count) for time_us, count, _, quality in rows if quality == 0})
        assert self.park.missing("press-1", "polls") == 0
        assert len(good) > 30
        return good


@pytest.mark.tool("influxd")
def test_influxdb_has_every_row_once_after_a_kill(site: Site, park: Park, line: Line, influx: Influx) -> None:
    """Killed, not stopped: what it answered with 204 it has in its log on disk."""
    plant = Plant(site, park, influx, strings=True)
    site.start()
    plant.acknowledged(6)
    line.process(pressure_setpoint_mpa=0.55)
    plant.until("the window is left", lambda: site.events("excursion_begin"))
    plant.outage(influx.kill)
    plant.acknowledged(4)
    assert plant.row["quarantined_segments"] == 0
    site.stop()
    rows = influx.column("press-1", "polls")
    assert [(time_ns // 1000, count) for time_ns, count in rows] == plant.served()
    assert len({time_ns for time_ns, _ in rows}) == len(rows)
    assert all(type(count) is int for _, count in rows)
    pressure = influx.column("press-1", "pressure")
    sent = sorted({(t, v) for t, v, _, q in park.samples("press-1", "pressure") if q == 0})
    assert [(time_ns // 1000, value) for time_ns, value in pressure] == sent, "bit for bit"
    keys = sorted(event["key"] for event in park.events())
    assert sorted(key for _, key in influx.column("events", "key")) == keys
    assert park.events("excursion_begin")


@pytest.mark.tool("victoria-metrics")
def test_victoriametrics_has_every_row_once_after_a_restart(
    site: Site, park: Park, victoria: Victoria
) -> None:
    plant = Plant(site, park, victoria, strings=False)
    site.start()
    plant.acknowledged(6)
    plant.outage(victoria.stop)
    plant.acknowledged(4)
    assert plant.row["quarantined_segments"] == 0
    site.stop()
    served = [(time_us // 1000, count) for time_us, count in plant.served()]
    eventually("all is to be seen", lambda: len(victoria.column("press-1", "polls")) >= len(served))
    assert victoria.column("press-1", "polls") == served


@pytest.mark.tool("influxd")
def test_influxdb_refuses_a_field_that_changes_its_type_and_only_that_is_set_aside(
    site: Site, park: Park, influx: Influx
) -> None:
    site.device(
        "poison-1", [("fan", "hr:10", "uint16")], driver="modbus", poll="200ms",
        link=_link(site), station=1,
    )  # fmt: skip
    influx_write(influx, "poison-1,device=poison-1 fan=true")
    plant = Plant(site, park, influx, strings=True)
    site.start()
    plant.until("its units are set aside", lambda: plant.row["quarantined_segments"] >= 3)
    plant.until("the press arrives", lambda: len(park.numbers("press-1", "polls")) > 30)
    plant.acknowledged(1)
    assert "denied" not in plant.row["failures"]
    assert_conserved(site.status())
    site.stop()
    rows = influx.column("press-1", "polls")
    assert [(time_ns // 1000, count) for time_ns, count in rows] == plant.served()


@pytest.mark.tool("influxd")
def test_a_database_that_is_not_there_is_denied_with_the_cure(site: Site, park: Park, influx: Influx) -> None:
    plant = Plant(site, park, influx, strings=True)
    site.main["uplinks"][1]["database"] = "elsewhere"
    site.write_main()
    site.start()
    plant.until("it is counted", lambda: plant.row["failures"].get("denied", 0) >= 1)
    assert "`database`" in plant.row["reason"]
    plant.until("everything is kept", lambda: plant.row["pending_segments"] >= 4)
    assert plant.row["quarantined_segments"] == 0
    site.stop()


def influx_write(influx: Influx, line: str) -> None:
    with urlopen(f"{influx.url}/write?db=lineside", data=line.encode(), timeout=5) as reply:
        assert reply.status == 204


def _link(site: Site) -> str:
    text = (site.config / "devices.d" / "press-1.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["link"])

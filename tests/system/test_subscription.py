"""Changes reported by an OPC UA server, the whole way: a window that lives on reports, stays known while the
process is calm, and is unknown soon after the reports end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

pytestmark = pytest.mark.timeout(120)

URI = "nsu=urn:lineside:simulated-line;s=Line."


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path, "opcua", *CALM)
    yield made
    made.close()


@pytest.fixture
def park(tmp_path: Path) -> Iterator[Park]:
    made = Park(tmp_path)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path, line: Line, park: Park) -> Iterator[Site]:
    made = Site(tmp_path / "site", park.url, flush="500ms")
    made.device(
        "meters-1",
        [("heartbeat", f"{URI}Heartbeat", "uint32", "", ""),
         ("power", f"{URI}Meter.Power", "float32", "0", "1e9")],
        columns="name,address,type,low,high",
        driver="opcua",
        link=line.link("opcua"),
        poll="500ms",
        subscribe=["default"],
    )  # fmt: skip
    yield made
    made.close()


def test_reports_arrive_and_their_end_is_noticed(site: Site, line: Line, park: Park) -> None:
    site.start()
    eventually("the window is in", lambda: site.window("meters-1.power")["state"] == "in")
    eventually("changes arrive", lambda: len(set(park.numbers("meters-1", "heartbeat"))) > 5)
    (subscription,) = site.row("meters-1")["facts"]["subscriptions"]
    assert subscription["overflows"] == 0, subscription
    reads = site.row("meters-1")["groups"][0]["polls"]
    assert reads <= 2, "subscribed, not polled"
    assert_conserved(site.status())
    line.fault("silent", "opcua")
    eventually("the window is unknown", lambda: site.window("meters-1.power")["state"] == "unknown", 40)
    line.fault("ok", "opcua")
    eventually("it is known again", lambda: site.window("meters-1.power")["state"] == "in", 40)
    seen = len(set(park.numbers("meters-1", "heartbeat")))
    eventually("changes go on", lambda: len(set(park.numbers("meters-1", "heartbeat"))) > seen + 3)
    site.stop()
    assert park.report()["conflicts"] == 0

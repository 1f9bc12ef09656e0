"""Every answer a park can give, taken by a running agent: nothing is dropped or blocks, all is counted.

Each case is a park, an agent and a station of its own. They run side by side, because most of what they do is
wait for a retry; each test then asks for its own case's outcome.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.plant.mocks import CALM, Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

pytestmark = pytest.mark.timeout(120)

AT_A_TIME = 5
PATIENCE_S = 40.0  # the waits between tries double, and a dozen agents share the machine


@dataclass(frozen=True, slots=True)
class Case:
    """``other``: adds a second device whose data the park may treat otherwise."""

    site: Site
    park: Park
    link: str
    station: int

    def other(self, name: str) -> None:
        self.site.device(
            name, [("fan", "hr:10", "uint16")],
            driver="modbus", link=self.link, station=self.station, poll="200ms",
        )  # fmt: skip

    @property
    def polls(self) -> tuple[int, int]:
        """Of the press: done, and left out."""
        group = self.site.row("press-1")["groups"][0]
        return group["polls"], group["overruns"]

    @property
    def row(self) -> Any:
        return self.site.uplink()

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        return eventually(what, condition, PATIENCE_S)

    def backlog(self, units: int) -> None:
        self.until("a backlog grows", lambda: self.row["pending_segments"] >= units)
        assert_conserved(self.site.status())

    def heal(self) -> None:
        """The park is well; what has gathered is delivered."""
        self.park.mood("ok")
        self.until("the destination is up", lambda: self.row["up"])
        self.until("the backlog is delivered", lambda: self.row["pending_segments"] <= 2)

    def check_complete(self) -> dict[str, Any]:
        """Stops the agent; every poll of the press must be at the park, once."""
        self.site.stop()
        report = self.park.report()
        assert report["conflicts"] == 0 and report["problems"] == []
        assert self.park.missing("press-1", "polls") == 0
        assert self.park.events("data_lost") == []
        return report


def passing_trouble(case: Case, label: str, **mood: Any) -> None:
    """Counted, shown, waited for; not set aside; polls do not notice."""
    case.park.mood(**mood)
    case.site.start()
    case.until(f"it is counted as {label}", lambda: case.row["failures"].get(label, 0) >= 1)
    polls = case.polls
    case.until(f"it is counted as {label}", lambda: case.row["failures"].get(label, 0) >= 2)
    case.backlog(4)
    done, missed = (now - before for now, before in zip(case.polls, polls, strict=True))
    assert missed <= 1 < done, "polling waits for no destination"
    row = case.row
    assert not row["up"] and row["acknowledged_segments"] == 0 and row["quarantined_segments"] == 0
    assert row["oldest_pending_ns"] is not None
    if mood["mode"] != "lose-answer":
        assert case.park.report()["stored"] == 0
    case.heal()
    report = case.check_complete()
    assert report["missing"] == 0
    assert (report["duplicates"] > 0) == (mood["mode"] == "lose-answer")


def refused_credentials(case: Case) -> None:
    """Held, told with the cure, not tried again at once; a reload with the cure in it heals."""
    site, park = case.site, case.park
    park.mood("401")
    site.start()
    case.until("it is counted", lambda: case.row["failures"] == {"denied": 1})
    (event,) = case.until("it is an event", lambda: site.events("uplink_denied"))
    assert event["source"] == "park"
    assert "401" in event["detail"]["reason"] and "token" in event["detail"]["reason"], "the cure is named"
    case.backlog(6)
    assert park.report()["messages"] == 1, "a wrong password is not tried again every second"
    row = case.row
    assert not row["up"] and "401" in row["reason"] and row["quarantined_segments"] == 0
    site.write_main(uplinks=[{**site.main["uplinks"][0], "timeout": "5s"}])
    park.mood("ok")
    site.reload()
    case.heal()
    assert [e["source"] for e in park.events("uplink_denied")] == ["park"], "told once, when it can be told"
    assert case.check_complete()["missing"] == 0


def too_large(case: Case) -> None:
    case.park.mood("vanish", seconds=0)
    case.site.start()
    case.backlog(6)
    case.park.mood("413", max_segments=1)
    case.until("it is counted", lambda: case.row["failures"].get("too_large", 0) >= 1)
    case.until("it is delivered in small messages", lambda: case.row["acknowledged_segments"] >= 6)
    assert case.row["quarantined_segments"] == 0
    case.heal()
    assert case.check_complete()["missing"] == 0


def poison(case: Case) -> None:
    """A device the park cannot digest: its units are set aside one by one, the rest is delivered."""
    case.other("poison-1")
    case.park.mood("poison", devices=["poison-1"])
    case.site.start()
    case.until("its units are set aside", lambda: case.row["quarantined_segments"] >= 4)
    case.until("the press arrives", lambda: len(case.park.numbers("press-1", "polls")) > 15)
    assert case.park.numbers("poison-1", "fan") == []
    assert_conserved(case.site.status())
    assert case.site.metrics()['edgeagent_uplink_quarantined_samples{uplink="park"}'] > 0
    assert "denied" not in case.row["failures"], "others were confirmed in between: the destination is well"
    case.park.mood("ok")
    case.until("the device is taken again", lambda: case.park.numbers("poison-1", "fan"))
    gaps = [gap for gap in case.check_complete()["gaps"] if gap["stream"] == "samples"]
    lost = sum(gap["missing"] + gap["first"] - 1 for gap in gaps)  # with those before the first that came
    with closing(sqlite3.connect(case.site.state / "buffer.db")) as store:  # a verdict counts once committed
        (aside,) = store.execute("SELECT count(*) FROM quarantine").fetchone()
    assert lost == aside >= 4, "only what was set aside is missing"


def rejected(case: Case) -> None:
    case.other("refused-1")
    case.park.mood("reject", devices=["refused-1"])
    case.site.start()
    case.until("its units are set aside", lambda: case.row["quarantined_segments"] >= 3)
    case.until("the press arrives", lambda: len(case.park.numbers("press-1", "polls")) > 15)
    assert case.row["up"], "one who answers key by key is well"
    report, begin = case.park.report(), time.monotonic()
    case.until("more arrives", lambda: case.park.report()["messages"] >= report["messages"] + 4)
    refused = case.park.report()["rejected"] - report["rejected"]
    assert refused <= (time.monotonic() - begin) / 0.5 + 2, "a rejected unit is not sent again by itself"
    assert_conserved(case.site.status())
    case.check_complete()
    assert case.park.numbers("refused-1", "fan") == []


def refuses_everything(case: Case) -> None:
    """400 for whatever comes: the fault is the destination's, so only three units are set aside."""
    case.park.mood("400")
    case.site.start()
    (event,) = case.until("it is an event", lambda: case.site.events("uplink_denied"))
    assert "refuses one unit after the other" in event["detail"]["reason"]
    case.backlog(5)
    assert case.row["quarantined_segments"] == 3 and not case.row["up"]
    case.site.stop()


CASES: dict[str, Callable[[Case], None]] = {
    "500": partial(passing_trouble, label="retry", mode="500"),
    "503 with Retry-After": partial(passing_trouble, label="retry", mode="503", retry_after_s=1),
    "200 without keys": partial(passing_trouble, label="retry", mode="no-echo"),
    "no answer": partial(passing_trouble, label="unreachable", mode="hang"),
    "nobody there": partial(passing_trouble, label="unreachable", mode="vanish", seconds=0),
    "stored, answer lost": partial(passing_trouble, label="unreachable", mode="lose-answer"),
    "401": refused_credentials,
    "413": too_large,
    "400 for one device": poison,
    "rejected by key": rejected,
    "400 for everything": refuses_everything,
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    folder = tmp_path_factory.mktemp("verdicts")
    line = Line(folder, "modbus", *CALM, "--modbus-units", str(len(CASES)))
    parks = {name: Park(folder) for name in CASES}  # here, because they end with the thread that made them
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            name: pool.submit(_run, name, _case(folder, name, line, parks[name], station))
            for station, name in enumerate(CASES, 1)
        }
    for park in parks.values():
        park.close()
    line.close()


def _case(folder: Path, name: str, line: Line, park: Park, station: int) -> Case:
    site = Site(folder / name.replace(" ", "-"), park.url, flush="500ms", uplink={"timeout": "1s"})
    site.press(line.link(), station=station)
    return Case(site, park, line.link(), station)


def _run(name: str, case: Case) -> None:
    try:
        CASES[name](case)
    finally:
        case.site.close()


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()

"""A disk that refuses: polls and windows go on from memory, everybody can see it, and it heals by itself."""

from __future__ import annotations

import resource
from itertools import pairwise
from pathlib import Path

from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved, command

FAILED = 1
DEGRADED = "edgeagent_buffer_degraded"


def limit_files(site: Site, size: int) -> None:
    """No file may grow beyond ``size`` bytes: a disk that is full, for this process alone."""
    assert site.agent is not None
    _, hard = resource.prlimit(site.agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(site.agent.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_stops_nothing_and_loses_nothing(site: Site, line: Line, park: Park) -> None:
    site.start(piped=True)
    eventually("data flows", lambda: park.report()["segments"] > 1)
    limit_files(site, 4096)
    degraded = eventually("it says so", lambda: (b := site.status()["buffer"])["state"] == "degraded" and b)
    assert degraded["reason"]
    eventually("the metrics too", lambda: site.metrics()[DEGRADED] == 1)
    eventually("the log too", lambda: site.said("the disk takes no data: it waits in memory"))
    polls = site.row("press-1")["groups"][0]["polls"]
    line.process(pressure_setpoint_mpa=0.52)
    eventually("windows are judged", lambda: site.window()["active"])
    eventually("polls go on", lambda: site.row("press-1")["groups"][0]["polls"] > polls + 10)
    assert site.row("press-1")["groups"][0]["overruns"] == 0
    status = site.status()
    assert status["buffer"]["in_memory_samples"] > 20
    assert_conserved(status)
    assert park.events("excursion_begin") == [], "nothing is sent before it is stored"

    limit_files(site, resource.RLIM_INFINITY)
    eventually("it heals", lambda: site.status()["buffer"]["state"] == "ok")
    eventually("the metrics too", lambda: site.metrics()[DEGRADED] == 0)
    eventually("the log too", lambda: site.said("the disk takes data again"))
    (begin,) = eventually("the event arrives", lambda: park.events("excursion_begin"))
    assert begin["detail"]["value"] > 0.5
    site.stop()
    assert park.missing("press-1", "polls") == 0, "what memory held was lost"
    report = park.report()
    assert report["conflicts"] == report["missing"] == 0 and report["problems"] == []
    assert park.events("data_lost") == []


def test_what_memory_cannot_hold_is_in_the_ledger(site: Site, line: Line, park: Park) -> None:
    pattern = [("polls", "hr:0", "uint32"), *((f"r{i}", f"hr:{100 + i}", "uint16") for i in range(249))]
    site.device("load-2", pattern, driver="modbus", link=line.link(), station=2, poll="50ms")
    site.write_main(buffer={"flush": "500ms", "memory": "1MB"})
    site.start(piped=True)
    eventually("data flows", lambda: park.report()["segments"] > 1)
    limit_files(site, 4096)
    eventually("memory is full", lambda: site.status()["buffer"]["lost_samples"] > 500, 30)
    assert_conserved(site.status())
    limit_files(site, resource.RLIM_INFINITY)
    eventually("it heals", lambda: site.status()["buffer"]["state"] == "ok")
    eventually("the park is told", lambda: park.events("data_lost"))
    site.stop()
    told = park.events("data_lost")
    assert {e["detail"]["reason"] for e in told} <= {"memory", "thinned"}
    missing = sum(park.missing(d, "polls") * width for d, width in (("press-1", 3), ("load-2", 250)))
    assert sum(e["detail"]["samples"] for e in told) == missing > 0, "the ledger tells another number"
    good = [(t, n) for t, n, _, quality in park.samples("load-2", "polls") if quality == 0]
    holes = [(a, b) for (a, n), (b, m) in pairwise(good) if m - n > 2]
    for begin, end in holes:
        assert any(e["detail"]["from_us"] < end and begin < e["detail"]["to_us"] for e in told)


def test_a_start_on_a_disk_that_refuses(site: Site, park: Park) -> None:
    """It runs all the same, and takes up storing when it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        site.start(wait=False, piped=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    eventually("the press is read", lambda: site.tags("press-1")["pressure"]["quality"] == "good")
    eventually("its window is judged", lambda: site.window()["state"] == "in")
    status = site.status()
    assert status["buffer"]["state"] == "degraded"
    limit_files(site, resource.RLIM_INFINITY)
    eventually("it stores", lambda: site.status()["buffer"]["state"] == "ok")
    eventually("and delivers", lambda: len(park.numbers("press-1", "polls")) > 5)
    assert park.numbers("press-1", "polls")[0] == 1, "what was read before is delivered"
    assert_conserved(site.status())
    site.stop()


def test_a_state_directory_that_cannot_be_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "file" / "state"):
        site.write_main(state_dir=str(place))
        answer = command("run", "--config", site.config)
        assert answer.returncode == FAILED, answer.stderr
        assert str(place) in answer.stderr and "state_dir" in answer.stderr, answer.stderr
        assert "Traceback" not in answer.stderr

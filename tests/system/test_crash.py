"""kill -9: an alarm that was active is active again, and the time nobody looked counts as unknown."""

from __future__ import annotations

import time
from typing import Any

from tests.plant.mocks import Line, Park
from tests.plant.processes import eventually
from tests.plant.site import Site, assert_conserved

DOWN_S = 1.5


def test_an_active_excursion_survives(site: Site, line: Line, park: Park) -> None:
    site.start()
    line.process(pressure_setpoint_mpa=0.52)
    eventually("an excursion is active", lambda: site.window()["active"])
    (begin,) = eventually("the park knows", lambda: park.events("excursion_begin"))
    site.kill()
    before = time.monotonic()
    time.sleep(DOWN_S)
    site.start(wait=False)
    window = eventually("it is there again", lambda: site.window(), 20)
    assert window["active"] and window["excursions"] == 1
    window = eventually("it is judged again", lambda: (w := site.window())["state"] == "out" and w)
    assert window["active"] and window["excursions"] == 1
    away_s = time.monotonic() - before
    assert DOWN_S <= window["seconds"]["unknown"] <= away_s + 2, "the time while down is unknown"
    assert site.events("excursion_begin") == site.events("excursion_begin")[:1], "nothing begins twice"
    status = site.status()
    assert status["buffer"]["epoch"] == 2
    assert status["buffer"]["losses"]["unknown_extent"] == {"unclean_stop": 1}
    assert_conserved(status)

    line.process(pressure_setpoint_mpa=0.40)
    (end,) = eventually("its end is at the park", lambda: park.events("excursion_end"))
    assert [e["time_us"] for e in park.events("excursion_begin")] == [begin["time_us"]]
    assert end["detail"]["begin_ns"] // 1000 == begin["time_us"]
    lasted_s = (end["time_us"] - begin["time_us"]) / 1e6
    assert abs(end["detail"]["duration_s"] - lasted_s) < 0.5, "it lasted through the time without an agent"
    eventually("both losses are told", lambda: len(park.events("data_lost")) >= 2)
    check_loss(park.events("data_lost"))
    site.stop()
    report = park.report()
    assert report["conflicts"] == report["missing"] == 0 and report["problems"] == []
    assert len(report["agents"]) == 1, "the same agent as before"


def check_loss(events: list[dict[str, Any]]) -> None:
    """Each store says for itself that it was not closed."""
    assert {e["detail"]["stream"] for e in events} == {"samples", "event"}
    for event in events:
        detail = event["detail"]
        assert (detail["reason"], detail["samples"]) == ("unclean_stop", None)
        assert DOWN_S * 1e6 <= detail["to_us"] - detail["from_us"]


def test_an_excursion_that_ended_while_nobody_looked(site: Site, line: Line, park: Park) -> None:
    site.start()
    line.process(pressure_setpoint_mpa=0.52)
    eventually("an excursion is active", lambda: site.window()["active"])
    eventually("the park knows", lambda: park.events("excursion_begin"))
    site.kill()
    line.process(pressure_setpoint_mpa=0.40)
    site.start()
    (end,) = eventually("its end is at the park", lambda: park.events("excursion_end"))
    (begin,) = park.events("excursion_begin")
    assert end["detail"]["begin_ns"] // 1000 == begin["time_us"]
    window = eventually("the window is in", lambda: (w := site.window())["state"] == "in" and w)
    assert not window["active"]
    site.stop()


def test_a_loss_is_told_once_however_often_it_crashes(site: Site, park: Park) -> None:
    site.start()
    for epoch in (1, 2, 3):
        eventually("data flows", lambda: site.uplink()["acknowledged_segments"])
        site.kill()
        site.start()
        eventually("the loss is told", lambda e=epoch: losses(park, epoch=e))
    site.stop()
    for epoch in (1, 2, 3):
        assert len(losses(park, epoch=epoch)) == 1, "the mark was not in the event's own transaction"


def losses(park: Park, *, epoch: int) -> list[str]:
    """Keys of the events that tell of what the store of events lost in a run."""
    found = [e for e in park.events("data_lost") if e["detail"]["stream"] == "event"]
    return [e["key"] for e in found if e["detail"]["epoch"] == epoch]

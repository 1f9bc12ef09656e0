"""Shift and day records of the windows' times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from edge_agent.config.model import Shifts
from edge_agent.control.excursion import Moment
from edge_agent.control.times import TimeBook, Times

S = 1_000_000_000
BEIJING = timezone(timedelta(hours=8))
SHIFTS = Shifts(((8 * 3600, "day"), (20 * 3600, "night")))


def at(text: str) -> Moment:
    time_ns = round(datetime.fromisoformat(text).replace(tzinfo=BEIJING).timestamp()) * S
    return Moment(time_ns - 10**18, time_ns, time_ns - 10**18)


def times(in_s: int, out_s: int = 0, unknown_s: int = 0, **by_s: int) -> list[Times]:
    why = {reason: seconds * S for reason, seconds in by_s.items()}
    return [Times("press-1.pressure", in_s * S, out_s * S, unknown_s * S, 0, out_s // 10, why)]


def book() -> TimeBook:
    return TimeBook(SHIFTS, "v1")


def test_a_shift_is_told_once_with_what_was_spent_in_it() -> None:
    kept = book()
    assert kept.tick(at("2026-11-22T19:59:59"), lambda: times(1000, 50)) == []
    (evening,) = kept.tick(at("2026-11-22T20:00:00"), lambda: times(1001, 50))
    assert evening.source == "day"  # the shift of that name
    (midnight,) = kept.tick(at("2026-11-23T00:00:00"), lambda: times(15_401, 50))
    assert midnight.detail["period"] == "day"
    (event,) = kept.tick(at("2026-11-23T08:00:00"), lambda: times(41_001, 450, 1750, bad_comm=1750))
    assert (event.kind, event.source) == ("window_times", "night")
    assert event.detail["windows"]["press-1.pressure"] == {
        "in": 40_000, "out": 400, "unknown": 1750, "suppressed": 0, "excursions": 40,
        "unknown_by": {"bad_comm": 1750},
    }  # fmt: skip
    assert event.detail["start_ns"] == at("2026-11-22T20:00:00").time_ns
    assert event.detail["end_ns"] == at("2026-11-23T08:00:00").time_ns
    assert kept.tick(at("2026-11-23T08:00:01"), lambda: times(41_002, 450, 1750)) == []


@pytest.mark.parametrize(
    ("now", "name", "start", "end"),
    [
        ("2026-11-22T00:00:00", "night", "2026-11-21T20:00:00", "2026-11-22T08:00:00"),
        ("2026-11-22T08:00:00", "day", "2026-11-22T08:00:00", "2026-11-22T20:00:00"),
        ("2026-11-22T23:59:59", "night", "2026-11-22T20:00:00", "2026-11-23T08:00:00"),
    ],
)
def test_which_shift_it_is(now: str, name: str, start: str, end: str) -> None:
    kept = book()
    kept.tick(at(now), lambda: times(0))
    shift = next(p for p in kept.so_far(at(now), times(5)) if p["period"] == "shift")
    assert (shift["name"], shift["start_ns"], shift["end_ns"]) == (name, at(start).time_ns, at(end).time_ns)
    assert shift["windows"]["press-1.pressure"]["in"] == 5


def test_days_alone_without_shifts() -> None:
    kept = TimeBook(Shifts(), "v1")
    kept.tick(at("2026-11-22T23:59:00"), lambda: times(10))
    (event,) = kept.tick(at("2026-11-23T00:00:00"), lambda: times(70))
    assert (event.source, event.detail["period"]) == ("day", "day")
    assert event.detail["windows"]["press-1.pressure"]["in"] == 60


def test_a_restart_in_the_middle_changes_nothing() -> None:
    kept = book()
    kept.tick(at("2026-11-22T09:00:00"), lambda: times(100, 0, 60, stale=60))
    saved = json.loads(json.dumps(kept.changed()))
    assert set(saved) == {"times:day", "times:shift"}
    assert kept.changed() == {}
    again = book()
    again.restore(saved)
    (event,) = again.tick(at("2026-11-22T20:00:00"), lambda: times(700, 0, 90, stale=90))
    row = event.detail["windows"]["press-1.pressure"]
    assert (row["in"], row["unknown"], row["unknown_by"]) == (600, 30, {"stale": 30})


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {"span": 1},
        {"span": ["day", "", 0, 1], "since_ns": 0, "names": "a", "sums": "AAAA"},
        {"span": ["day", "", 0, 1], "since_ns": 0, "names": "a", "sums": ""},
    ],
)
def test_a_broken_row_begins_anew(broken: object) -> None:
    kept = book()
    kept.restore({"times:day": broken})
    assert kept.tick(at("2026-11-22T09:00:00"), lambda: times(100)) == []


def test_a_new_window_counts_from_when_it_came_and_one_that_is_gone_is_left_out() -> None:
    kept = TimeBook(Shifts(), "v1")
    kept.tick(at("2026-11-22T09:00:00"), lambda: times(100))
    new = Times("oven.t", 5 * S, 0, 0, 0, 0, {})
    kept.arrange([*times(200), new])
    (event,) = kept.tick(at("2026-11-23T00:00:00"), lambda: [new._replace(in_ns=25 * S)])
    assert {n: r["in"] for n, r in event.detail["windows"].items()} == {"oven.t": 20}


def test_many_windows_are_told_in_parts() -> None:
    many = [Times(f"d.w{n}", n * S, 0, 0, 0, 0, {}) for n in range(450)]
    kept = TimeBook(Shifts(), "v1")
    kept.tick(at("2026-11-22T09:00:00"), lambda: many)
    events = kept.tick(at("2026-11-23T00:00:00"), lambda: [t._replace(in_ns=t.in_ns + S) for t in many])
    assert [(e.detail["part"], e.detail["parts"], len(e.detail["windows"])) for e in events] == [
        (1, 3, 200), (2, 3, 200), (3, 3, 50),
    ]  # fmt: skip
    assert all(row["in"] == 1 for e in events for row in e.detail["windows"].values())


def test_a_clock_that_is_set_back_ends_the_period_and_says_from_when_to_when() -> None:
    kept = TimeBook(Shifts(), "v1")
    kept.tick(at("2026-11-23T00:00:10"), lambda: times(100))
    (event,) = kept.tick(at("2026-11-22T23:59:50"), lambda: times(110))
    assert event.detail["since_ns"] == at("2026-11-23T00:00:10").time_ns
    assert event.detail["until_ns"] == at("2026-11-22T23:59:50").time_ns
    assert datetime.fromtimestamp(event.detail["start_ns"] / S, UTC).hour == 16

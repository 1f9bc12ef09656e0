"""Rates, floods, chattering, fleeting and stale alarms."""

from __future__ import annotations

import pytest

from edge_agent.config.model import Priority
from edge_agent.control.alarms.figures import Sliding
from tests.unit.control_alarms.desk import HIGH, Desk, S, window


def many(count: int) -> Desk:
    return Desk(*(window(f"w{n}.x") for n in range(count)))


def test_annunciations_by_priority_and_rate() -> None:
    desk = Desk(window("a.x", priority=Priority.LOW), window("b.x", priority=Priority.CRITICAL))
    desk.comes("a.x")
    desk.seconds(300)
    desk.comes("b.x")
    desk.does("shelve", "a.x.high")
    kpi = desk.book.kpi(desk.at)
    assert kpi["annunciated"] == {"low": 1, "medium": 0, "high": 0, "critical": 1}
    assert (kpi["per_10min"], kpi["per_day"]) == (2, 2)
    assert kpi["states"] == {"shelved": {"low": 1}, "unacknowledged": {"critical": 1}}
    desk.seconds(300)
    assert desk.book.kpi(desk.at)["per_10min"] == 1, "exactly ten minutes after the first it no longer counts"
    desk.seconds(86_400)
    assert desk.book.kpi(desk.at)["per_day"] == 1, "the shelf has ended: annunciated again"


def test_a_flood_begins_above_ten_and_ends_below_five() -> None:
    desk = many(20)
    for n in range(10):
        desk.comes(f"w{n}.x")
        desk.seconds(10)
    assert not desk.book.kpi(desk.at)["flood"]
    desk.comes("w10.x")
    assert desk.book.kpi(desk.at)["flood"]
    desk.seconds(550)  # those of the first 60 s are out: five are left
    assert desk.book.kpi(desk.at)["per_10min"] == 5 and desk.book.kpi(desk.at)["flood"]
    desk.seconds(10)
    kpi = desk.book.kpi(desk.at)
    assert (kpi["per_10min"], kpi["flood"], kpi["floods"]) == (4, False, 1)
    assert kpi["flood_s"] == pytest.approx(560)


def test_covered_alarms_make_no_flood() -> None:
    desk = many(20)
    for n in range(20):
        desk.suppress(f"w{n}.x")
        desk.comes(f"w{n}.x")
    assert not desk.book.kpi(desk.at)["flood"] and desk.book.kpi(desk.at)["per_10min"] == 0


def test_chattering_is_three_times_within_a_minute() -> None:
    desk = Desk()
    for gap in (29, 29):
        desk.comes()
        desk.goes()
        desk.seconds(gap)
    assert desk.book.kpi(desk.at)["chattering"] == []
    desk.comes()
    assert desk.book.kpi(desk.at)["chattering"] == [HIGH]
    desk.seconds(2)
    assert desk.book.kpi(desk.at)["chattering"] == []


def test_fleeting_is_short_and_alone() -> None:
    desk = Desk()
    desk.comes()
    desk.seconds(4.9)
    desk.goes()
    assert desk.book.kpi(desk.at)["fleeting"] == 1
    desk.seconds(100)
    desk.comes()
    desk.seconds(5)
    desk.goes()
    assert desk.book.kpi(desk.at)["fleeting"] == 1
    desk.seconds(100)
    for _ in range(4):
        desk.comes()
        desk.goes()
    assert desk.book.kpi(desk.at)["fleeting"] == 3, "from the third time on it chatters"


def test_stale_is_active_for_more_than_a_day() -> None:
    desk = Desk()
    desk.comes()
    desk.does("ack")
    desk.seconds(86_400)
    assert desk.book.kpi(desk.at)["stale"] == 0
    again = desk.restarted(window(), down_s=1)
    assert again.book.kpi(again.at)["stale"] == 1
    desk.seconds(1)
    assert desk.book.kpi(desk.at)["stale"] == 1
    desk.goes()
    assert desk.book.kpi(desk.at)["stale"] == 0


def test_the_ten_most_frequent() -> None:
    desk = many(12)
    for n in range(12):
        for _ in range(n + 1):
            desk.comes(f"w{n}.x")
            desk.goes(f"w{n}.x")
    kpi = desk.book.kpi(desk.at)
    assert kpi["top"][0] == {"name": "w11.x.high", "count": 12} and len(kpi["top"]) == 10
    assert kpi["top_share"] == pytest.approx(75 / 78)


def test_a_storm_costs_no_memory_and_loses_no_count() -> None:
    counter = Sliding(600 * S)
    for n in range(50_000):
        counter.add(n * 1000)
    assert counter.count == 50_000 and len(counter._stamps) <= 5_000
    counter.pass_to(601 * S)
    assert counter.count == 0

"""What survives a restart, and what clocks may do meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.config.model import Output, Priority, TagRef
from tests.unit.control_alarms.desk import HIGH, Desk, S, steps, window

LEADS = {
    "B": ["comes"],
    "C": ["comes", "ack"],
    "D": ["comes", "goes"],
    "E": ["comes", "goes"],
    "F": ["comes", "goes", "ack"],
    "G": ["comes", "shelve"],
    "H": ["comes", "suppress_by_design"],
    "I": ["comes", "suppress"],
}


def lead(desk: Desk, letter: str) -> Desk:
    for step in LEADS[letter]:
        if step in ("comes", "goes"):
            getattr(desk, step)()
        elif step == "suppress_by_design":
            desk.suppress()
        else:
            desk.does(step)
    assert desk.book.letter(HIGH) == letter
    return desk


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
@pytest.mark.parametrize("letter", LEADS)
def test_every_state_is_taken_up_and_told_to_nobody(letter: str, clean: bool) -> None:
    defined = window(latch=letter in "EF", first_out="g")
    desk = lead(Desk(defined), letter)
    if clean:
        desk.rows = json.loads(json.dumps(desk.book.snapshot()))
    again = desk.restarted(defined, down_s=5)
    assert again.book.letter(HIGH) == letter
    assert again.seconds(1) == [] and again.book.changed() == {}
    before, after = desk.book.get(HIGH), again.book.get(HIGH)
    assert before is not None and after is not None
    drift = {"until_ns"} if letter == "G" else set()
    assert {k: v for k, v in before.items() if k not in drift} == {
        k: v for k, v in after.items() if k not in drift
    }
    assert again.book.kpi()["per_10min"] == 0
    assert again.book.demand([Output(TagRef("p", "h"), Priority.LOW)]) == desk.book.demand(
        [Output(TagRef("p", "h"), Priority.LOW)]
    )


def test_suppression_stands_after_a_restart() -> None:
    desk = lead(Desk(window(kinds="low high")), "H")
    by_row = desk.restarted(window(kinds="low high"))
    assert by_row.book.letter("press-1.pressure.low") == "H"
    assert steps(by_row.unsuppress()) == [("alarm_unsuppressed", "H", "B")]

    quiet = Desk()
    quiet.suppress()
    assert quiet.rows == {}, "nothing of an alarm at rest is stored"
    told = quiet.restarted(window(), suppressed=["press-1.pressure", "gone"])
    assert told.book.letter(HIGH) == "H"
    assert steps(told.comes()) == [("alarm_raised", "H", "H")]


@pytest.mark.parametrize(
    ("down_s", "step_s", "left_s"),
    [
        (0.0, 0.0, 540.0),
        (200.0, 0.0, 340.0),
        (10_000.0, 0.0, 0.0),
        (0.0, -86_400.0, 540.0),  # the clock was set back: never longer than what was left
        (0.0, 300.0, 240.0),
        (0.0, 86_400.0 * 365, 0.0),
        (200.0, -1_767_225_600.0, 540.0),  # no battery: 1970
    ],
)
def test_a_shelf_across_a_clean_restart(down_s: float, step_s: float, left_s: float) -> None:
    desk = Desk()
    desk.comes()
    desk.does("shelve", duration_s=600.0)
    desk.seconds(60)
    desk.rows = desk.book.snapshot()
    again = desk.restarted(window(), down_s=down_s + step_s)
    if left_s:
        assert again.seconds(left_s - 0.01) == []
        again.wall_ns -= 50_000 * S
    (ended,) = again.seconds(0.01)
    assert steps([ended]) == [("alarm_unshelved", "G", "B")] and ended.detail["reason"] == "expired"
    assert again.rows[f"alarm:{HIGH}"]["cover"] is None


def test_a_shelf_across_a_crash_ends_by_the_wall_clock() -> None:
    desk = Desk()
    desk.does("shelve", duration_s=600.0)
    desk.seconds(590)  # nothing was stored since
    again = desk.restarted(window(), down_s=5)
    assert again.seconds(4.9) == [] and len(again.seconds(0.1)) == 1


def test_many_restarts_do_not_make_a_shelf_longer() -> None:
    desk = Desk()
    desk.does("shelve", duration_s=100.0)
    spent = 0
    for _ in range(20):
        desk.rows = desk.book.snapshot()
        desk = desk.restarted(window(), down_s=-3600.0)  # set back each time
        ended = desk.seconds(9)
        spent += 9
        if ended:
            break
    assert spent == 108


def test_realarm_goes_on_after_a_restart() -> None:
    desk = Desk(window(realarm_s=600.0))
    desk.comes()
    desk.does("ack")
    again = desk.restarted(window(realarm_s=600.0), down_s=400.0)
    assert again.seconds(199) == [] and len(again.seconds(1)) == 1
    back = desk.restarted(window(realarm_s=600.0), down_s=-9000.0)
    assert back.seconds(599) == [] and len(back.seconds(1)) == 1


def test_the_first_out_mark_survives() -> None:
    defined = [window("a.x", first_out="g"), window("b.x", first_out="g")]
    desk = Desk(*defined)
    desk.comes("a.x")
    desk.comes("b.x")
    desk.goes("a.x")
    desk.does("ack", "*")
    assert list(desk.rows) == ["alarm:b.x.high"]
    again = desk.restarted(*defined)
    assert again.comes("a.x")[0].detail["first_out"] is True, "b still stands, and a came first"


def test_an_alarm_whose_limit_is_gone_ends_with_the_next_tick() -> None:
    desk = lead(Desk(), "B")
    again = desk.restarted(window("oven-1.zone"))
    (removed,) = again.seconds(0.25)
    assert (removed.source, *steps([removed])[0]) == (HIGH, "alarm_removed", "B", "A")
    assert again.rows == {} and again.seconds(1) == []


DAMAGE: list[Any] = [
    None, 3, "x", [], {}, {"active": True},
    {"overlay": "Z"}, {"active": 1}, {"since_ns": "soon"}, {"cover": None}, {"left_ns": None},
    {"since_ns": float("inf")}, {"cover": ["only one"]}, {"overlay": []},
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=repr)
def test_a_damaged_row_is_passed_over(damage: Any) -> None:
    desk = lead(Desk(window(kinds="high low")), "G")
    desk.comes(kind="low")
    sound = desk.rows[f"alarm:{HIGH}"]
    mixed = isinstance(damage, dict) and damage and damage != {"active": True}
    desk.rows[f"alarm:{HIGH}"] = sound | damage if mixed else damage
    desk.rows["press-1.pressure"] = {"told": "out"}  # a window's row is none of the book's business
    again = desk.restarted(window(kinds="high low"))
    assert again.book.letter(HIGH) == "A"
    assert again.book.letter("press-1.pressure.low") == "B"
    assert len(again.comes()) == 1

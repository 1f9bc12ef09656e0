"""What windows, people and time do to alarms, as events, rows and demands on horns."""

from __future__ import annotations

import pytest

from edge_agent.config.model import Alarming, Output, Priority, TagRef, Window
from edge_agent.control.alarms import CommandRefused
from tests.unit.control_alarms.desk import HIGH, START_NS, Desk, S, steps, window

HORN, LAMP = TagRef("plc", "horn"), TagRef("plc", "lamp")


def test_an_event_tells_everything() -> None:
    desk = Desk(window(priority=Priority.HIGH, first_out="press"))
    desk.mono_ns += 2 * S  # the batch is two seconds old when it is handled
    events = desk.comes(quality="good", reason="above the limit")
    (raised,) = events
    assert (raised.kind, raised.source, raised.config_version) == ("alarm_raised", HIGH, "v1")
    assert (raised.time_ns, raised.mono_ns) == (START_NS, desk.mono_ns)
    assert raised.detail == {
        "window": "press-1.pressure", "kind": "high", "before": "A", "after": "B", "priority": "high",
        "active": True, "annunciated": True, "first_out": True, "value": 5.2, "limit": 5.0, "deadband": 0.5,
        "unit": "bar", "quality": "good", "user": "", "comment": "", "until_ns": None,
        "standards": ["GB-1@2"], "reason": "above the limit", "received_ns": START_NS,
    }  # fmt: skip
    (acked,) = desk.does("ack", comment="seen")
    assert acked.detail["user"] == "ming" and acked.detail["comment"] == "seen"
    assert acked.detail["value"] == 5.2 and not acked.detail["annunciated"]


def test_receipt_is_later_than_the_sample() -> None:
    from edge_agent.config.model import LimitKind
    from edge_agent.control.excursion import Moment
    from edge_agent.control.transition import Change, Transition

    desk = Desk()
    late = Moment(desk.mono_ns, START_NS, desk.mono_ns + 3 * S)
    (raised,) = desk.book.hear([Transition(Change.ALARM, "press-1.pressure", LimitKind.HIGH, late)])
    assert (raised.time_ns, raised.detail["received_ns"]) == (START_NS, START_NS + 3 * S)


def test_repetitions_and_strangers_make_no_event() -> None:
    desk = Desk()
    assert desk.comes("press-2.pressure") == [] == desk.comes(kind="low")
    assert desk.goes() == []
    assert len(desk.comes()) == 1 and desk.comes() == []
    assert len(desk.goes()) == 1 and desk.goes() == []


def test_nothing_is_kept_of_an_alarm_at_rest() -> None:
    desk = Desk()
    desk.comes()
    assert set(desk.rows) == {f"alarm:{HIGH}"} and len(desk.book.rows()) == 1
    desk.does("ack")
    desk.goes()
    assert desk.rows == {} == desk.book.snapshot() and len(desk.book.rows()) == 0
    row = desk.book.get(HIGH)
    assert row is not None and (row["letter"], row["state"]) == ("A", "normal")
    assert desk.book.get("press-1.pressure.low") is None


def test_a_diagnostic_alarm_is_journalled_and_annunciated_to_nobody() -> None:
    desk = Desk(window(priority=Priority.DIAGNOSTIC))
    (raised,) = desk.comes()
    assert raised.detail["after"] == "B" and not raised.detail["annunciated"]
    assert desk.book.kpi()["per_10min"] == 0


# Suppression by design


def test_suppression_covers_what_stands_and_what_comes() -> None:
    desk = Desk(window(kinds="low high"))
    desk.comes()
    assert steps(desk.suppress()) == [("alarm_suppressed", "B", "H")]
    assert desk.book.letter("press-1.pressure.low") == "H"
    assert steps(desk.comes(kind="low")) == [("alarm_raised", "H", "H")]
    assert steps(desk.goes()) == [("alarm_returned", "H", "H")]
    assert not any(desk.book.demand([Output(HORN, Priority.LOW)]).values())
    ended = desk.unsuppress()
    assert steps(ended) == [("alarm_unsuppressed", "H", "B")], "of what has gone the window's event tells"
    assert ended[0].source == "press-1.pressure.low" and ended[0].detail["annunciated"]
    assert desk.book.letter(HIGH) == "A" and set(desk.rows) == {"alarm:press-1.pressure.low"}
    assert desk.suppress() and not desk.suppress()


def test_one_overlay_at_a_time() -> None:
    desk = Desk()
    desk.comes()
    desk.does("shelve")
    assert desk.suppress() == []
    with pytest.raises(CommandRefused, match="shelved"):
        desk.does("suppress")
    with pytest.raises(CommandRefused, match="shelved"):
        desk.does("ack")
    assert desk.book.letter(HIGH) == "G"


@pytest.mark.parametrize(
    ("cover", "uncover", "kind"),
    [("shelve", "unshelve", "alarm_unshelved"), ("suppress", "unsuppress", "alarm_in_service")],
)
def test_leaving_a_persons_overlay_while_the_suppression_stands(cover: str, uncover: str, kind: str) -> None:
    desk = Desk()
    desk.comes()
    desk.does(cover)
    desk.suppress()
    before = desk.book.kpi()["per_10min"]
    told = desk.does(uncover)
    letter = "G" if cover == "shelve" else "I"
    assert steps(told) == [(kind, letter, "B"), ("alarm_suppressed", "B", "H")]
    assert not any(event.detail["annunciated"] for event in told), "nobody hears of it while it is covered"
    assert desk.book.kpi()["per_10min"] == before
    assert steps(desk.unsuppress()) == [("alarm_unsuppressed", "H", "B")]


def test_leaving_it_at_rest_while_the_suppression_stands() -> None:
    desk = Desk()
    desk.does("shelve")
    desk.suppress()
    assert steps(desk.does("unshelve")) == [("alarm_unshelved", "G", "A")]
    assert desk.book.letter(HIGH) == "H" and desk.rows == {}


# Shelving, out of service


def test_a_shelf_ends_by_itself() -> None:
    desk = Desk()
    desk.comes()
    (shelved,) = desk.does("shelve", duration_s=90.0)
    assert shelved.detail["until_ns"] == desk.wall_ns + 90 * S
    assert (shelved.detail["user"], shelved.detail["comment"]) == ("ming", "because")
    assert desk.seconds(89.9) == []
    desk.wall_ns -= 3600 * S  # the wall clock has no say in it
    (ended,) = desk.seconds(0.1)
    assert (ended.kind, ended.detail["reason"], ended.detail["user"]) == ("alarm_unshelved", "expired", "")
    assert ended.detail["annunciated"] and desk.seconds(600) == []


def test_a_shelf_ended_by_a_person() -> None:
    desk = Desk()
    desk.does("shelve")
    (ended,) = desk.does("unshelve", user="hua", comment="")
    assert (ended.detail["reason"], ended.detail["user"]) == ("by command", "hua")
    assert desk.seconds(700) == []


@pytest.mark.parametrize(
    ("verb", "given", "why"),
    [
        ("shelve", {"comment": " "}, "reason"),
        ("shelve", {"duration_s": None}, "how long"),
        ("shelve", {"duration_s": 0.0}, "how long"),
        ("shelve", {"duration_s": float("nan")}, "how long"),
        ("shelve", {"duration_s": float("inf")}, "how long"),
        ("shelve", {"duration_s": 3600.1}, "1 h at most"),
        ("suppress", {"comment": ""}, "reason"),
        ("ack", {"user": ""}, "who"),
        ("explode", {}, "no command"),
        ("ack", {"name": "press-9.x.high"}, "no alarm"),
        ("ack", {"name": "press-1.pressure"}, "no alarm"),
        ("ack", {"name": "oven*"}, "no alarm that fits"),
    ],
)
def test_what_is_refused_changes_nothing(verb: str, given: dict[str, object], why: str) -> None:
    desk = Desk(window(max_shelve_s=3600.0))
    desk.comes()
    rows = dict(desk.rows)
    with pytest.raises(CommandRefused, match=why):
        desk.does(verb, **given)
    assert desk.book.letter(HIGH) == "B" and desk.book.changed() == {} and desk.rows == rows


def test_out_of_service_lasts() -> None:
    desk = Desk()
    assert steps(desk.does("suppress")) == [("alarm_out_of_service", "A", "I")]
    assert steps(desk.comes()) == [("alarm_raised", "I", "I")]
    assert desk.seconds(90 * 86_400) == []
    assert steps(desk.does("unsuppress")) == [("alarm_in_service", "I", "B")]


def test_patterns_act_where_they_change_something() -> None:
    desk = Desk(window("a.x", "low high"), window("b.x"))
    for name, kind in (("a.x", "high"), ("a.x", "low"), ("b.x", "high")):
        desk.comes(name, kind)
    desk.does("ack", "a.x.high")
    assert {e.source for e in desk.does("ack", "a.*")} == {"a.x.low"}
    assert {e.source for e in desk.does("ack", "*")} == {"b.x.high"}
    assert {e.source for e in desk.does("shelve", "a.x.*")} == {"a.x.low", "a.x.high"}


def test_a_pattern_shelves_all_or_none() -> None:
    desk = Desk(window("a.x", max_shelve_s=3600.0), window("b.x", max_shelve_s=60.0))
    with pytest.raises(CommandRefused, match=r"b\.x\.high"):
        desk.does("shelve", "*", duration_s=600.0)
    assert desk.rows == {}


# Annunciated again, first-out, horns


def test_an_acknowledged_alarm_comes_back() -> None:
    desk = Desk(window(realarm_s=600.0))
    desk.comes()
    assert desk.seconds(6000) == [], "in B there is nothing to repeat"
    desk.does("ack")
    assert desk.seconds(599) == []
    (again,) = desk.seconds(1)
    assert steps([again]) == [("alarm_realarmed", "C", "B")] and again.detail["annunciated"]
    assert desk.seconds(6000) == []
    desk.does("ack")
    desk.goes()
    assert desk.seconds(6000) == []


def test_without_acknowledgement_there_is_no_coming_back() -> None:
    desk = Desk(window(realarm_s=600.0, ack=False))
    desk.comes()
    assert desk.seconds(6000) == []


def firsts(desk: Desk) -> list[str]:
    return [row["name"] for row in desk.book.rows() if row["first_out"]]


def test_first_out_is_the_first_of_its_group() -> None:
    desk = Desk(
        *(window(f"{m}.x", first_out=g) for m, g in (("a", "g"), ("b", "g"), ("c", "g"), ("d", "other")))
    )
    (one,), (two,), (four,) = desk.comes("b.x"), desk.comes("a.x"), desk.comes("d.x")
    assert [e.detail["first_out"] for e in (one, two, four)] == [True, False, True]
    desk.goes("b.x")
    desk.does("ack", "*")
    assert firsts(desk) == ["d.x.high"], "b is normal again"
    assert desk.comes("c.x")[0].detail["first_out"] is False, "a still stands: the mark is b's"
    assert desk.comes("b.x")[0].detail["first_out"] is True
    for name in "abcd":
        desk.goes(f"{name}.x")
    desk.does("ack", "*")
    assert firsts(desk) == [] and desk.rows == {}
    assert desk.comes("c.x")[0].detail["first_out"] is True


def test_whoever_comes_after_another_is_not_first_but_may_be_when_it_comes_again() -> None:
    quiet = window("a.x", first_out="g", priority=Priority.DIAGNOSTIC)
    desk = Desk(quiet, window("b.x", first_out="g", realarm_s=60.0))
    desk.comes("a.x")
    assert desk.comes("b.x")[0].detail["first_out"] is False, "a stands, though nobody was told"
    desk.does("ack", "*")
    desk.goes("a.x")
    assert desk.seconds(60)[0].detail["first_out"] is True, "annunciated again, and nothing else stands"


def test_what_is_covered_takes_no_part_in_first_out() -> None:
    desk = Desk(window("a.x", first_out="g"), window("b.x", first_out="g"))
    desk.does("suppress", "a.x.high")
    assert desk.comes("b.x")[0].detail["first_out"] is True


def test_horns_and_silence() -> None:
    desk = Desk(window("a.x", priority=Priority.LOW), window("b.x", priority=Priority.HIGH))
    outputs = [Output(HORN, Priority.HIGH, silence=True), Output(LAMP, Priority.LOW, active=True)]
    assert desk.book.demand(outputs) == {HORN: False, LAMP: False}
    desk.comes("a.x")
    assert desk.book.demand(outputs) == {HORN: False, LAMP: True}
    desk.comes("b.x")
    assert desk.book.demand(outputs) == {HORN: True, LAMP: True}
    assert desk.does("silence") == [] and desk.book.letter("b.x.high") == "B"
    assert desk.book.demand(outputs) == {HORN: False, LAMP: True}, "a lamp is not silenced"
    desk.does("ack", "a.x.high")
    assert desk.book.demand(outputs)[HORN] is False, "silent until the next annunciation"
    desk.goes("a.x")
    desk.comes("a.x")
    assert desk.book.demand(outputs)[HORN] is True
    desk.does("ack", "*")
    assert desk.book.demand(outputs) == {HORN: False, LAMP: True}
    desk.goes("b.x")
    desk.goes("a.x")
    assert desk.book.demand(outputs) == {HORN: False, LAMP: False}
    desk.comes("b.x")
    desk.goes("b.x")
    assert desk.book.demand(outputs) == {HORN: True, LAMP: False}, "gone, and nobody has seen it"
    desk.does("shelve", "b.x.high")
    assert desk.book.demand(outputs) == {HORN: False, LAMP: False}


# Reload


def test_a_limit_that_is_gone_takes_its_alarm_along() -> None:
    desk = Desk(window("a.x", "low high", first_out="g"), window("b.x", first_out="g"))
    for name, kind in (("a.x", "low"), ("a.x", "high"), ("b.x", "high")):
        desk.comes(name, kind)
    events = desk.note(desk.book.configure([window("a.x", "high")], "v2", desk.at))
    assert {(e.source, *steps([e])[0]) for e in events} == {
        ("a.x.low", "alarm_removed", "B", "A"),
        ("b.x.high", "alarm_removed", "B", "A"),
    }
    assert all(e.config_version == "v2" and e.detail["reason"] == "removed" for e in events)
    assert set(desk.rows) == {"alarm:a.x.high"} and desk.book.letter("a.x.high") == "B"
    assert desk.goes("b.x") == [], "what the window still says of it concerns nobody"
    with pytest.raises(KeyError):
        desk.book.letter("b.x.high")


def test_a_changed_definition_holds_at_once() -> None:
    desk = Desk(window(priority=Priority.LOW))
    desk.comes()
    desk.book.configure([window(priority=Priority.CRITICAL, realarm_s=60.0)], "v2", desk.at)
    assert desk.book.demand([Output(HORN, Priority.CRITICAL)]) == {HORN: True}
    desk.does("ack")
    assert steps(desk.seconds(60)) == [("alarm_realarmed", "C", "B")]


def test_a_removed_alarm_takes_its_mark_along() -> None:
    desk = Desk(window("a.x", first_out="g"), window("b.x", first_out="g"))
    desk.comes("a.x")
    desk.comes("b.x")
    (removed,) = desk.note(desk.book.configure([window("b.x", first_out="g")], "v2", desk.at))
    assert removed.source == "a.x.high" and removed.detail["first_out"] is False
    desk.does("ack", "*")
    desk.goes("b.x")
    assert desk.comes("b.x")[0].detail["first_out"] is True


def test_acknowledged_when_it_was_required_and_required_no_more() -> None:
    desk = Desk(window(realarm_s=60.0))
    desk.comes()
    desk.does("ack")
    desk.book.configure([window(realarm_s=60.0, ack=False)], "v2", desk.at)
    assert desk.seconds(600) == [] and desk.book.letter(HIGH) == "C"


def test_a_window_that_is_gone_is_not_suppressed_when_it_comes_back() -> None:
    desk = Desk()
    desk.suppress()
    desk.book.configure([], "v2", desk.at)
    desk.book.configure([window()], "v3", desk.at)
    assert desk.book.letter(HIGH) == "A"


def test_the_most_urgent_row_comes_first_and_rows_are_made_when_taken() -> None:
    desk = Desk(
        *(window(f"{m}.x", priority=p) for m, p in (("a", Priority.LOW), ("b", Priority.HIGH))), window("c.x")
    )
    for name in ("c.x", "a.x", "b.x"):
        desk.comes(name)
    desk.does("ack", "c.x.high")
    rows = desk.book.rows()
    assert [row["name"] for row in rows] == ["b.x.high", "a.x.high", "c.x.high"]
    assert rows[1:][0]["name"] == "a.x.high" and len(rows) == 3


def test_five_thousand_windows_at_rest_cost_little() -> None:
    import tracemalloc

    rule = Alarming()
    windows = [
        Window(f"device-{n}.tag", TagRef("device", "tag"), low=1.0, high=2.0, alarming=rule)
        for n in range(5000)
    ]
    tracemalloc.start()
    desk = Desk(*windows)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 300_000, used
    assert sum(1 for _ in desk.book.names()) == 10_000

"""Heartbeats: next values, what counts as missed, when a controller can rely on them."""

from __future__ import annotations

from edge_agent.config.writing import Heartbeat
from edge_agent.control.excursion import Moment
from edge_agent.control.guard import Beats
from edge_agent.model import Tag, ValueType
from tests.unit.control_guard.bench import BEAT, OVEN_BEAT, TAGS, S


def at(seconds: float) -> Moment:
    return Moment(int(seconds * S), 0, 0)


def beats(missed: int = 3, kind: ValueType = ValueType.UINT16) -> Beats:
    return Beats((Heartbeat(BEAT, 1.0, missed),), {BEAT: Tag("beat", "hr:5", kind)})


def test_counts_and_toggles() -> None:
    both = Beats((Heartbeat(BEAT), Heartbeat(OVEN_BEAT)), TAGS)
    seen = []
    for second in range(4):
        requests = both.due(at(second))
        seen.append([request.value for request in requests])
        assert all(request.who == "heartbeat" for request in requests)
        for request in requests:
            both.done(request.tag, at(second), written=True)
    assert seen == [[1, True], [2, False], [3, True], [4, False]]


def test_a_value_that_was_not_written_is_tried_again() -> None:
    one = beats()
    assert [r.value for r in one.due(at(0))] == [1]
    one.done(BEAT, at(0), written=False)
    assert one.due(at(0.9)) == []
    assert [r.value for r in one.due(at(1))] == [1]


def test_counts_wrap_where_the_type_ends() -> None:
    for kind, highest in ((ValueType.UINT8, 255), (ValueType.INT16, 32_767), (ValueType.UINT32, 65_535)):
        one = beats(kind=kind)
        last: list[object] = []
        for turn in range(highest + 2):
            (request,) = one.due(at(turn))
            last.append(request.value)
            one.done(BEAT, at(turn), written=True)
        assert last[-2:] == [0, 1] and max(last) == highest  # type: ignore[type-var]


def test_before_the_first_beat_nothing_relies_on_it() -> None:
    one = beats()
    assert not one.heartbeat_ok("press", at(0))
    assert one.heartbeat_ok("oven", at(0)), "whether it needs one is for the guard to say"
    one.due(at(0))
    one.done(BEAT, at(0), written=True)
    assert one.heartbeat_ok("press", at(0))


def test_missed_beats_count_one_after_the_other() -> None:
    one = beats()
    one.due(at(0))
    one.done(BEAT, at(0), written=True)
    for second, ok in ((1, True), (2, True), (3, False)):
        one.due(at(second))
        one.done(BEAT, at(second), written=False)
        assert one.heartbeat_ok("press", at(second)) is ok
    one.due(at(4))
    one.done(BEAT, at(4), written=True)
    assert one.heartbeat_ok("press", at(4))


def test_a_writer_that_hangs_is_noticed() -> None:
    one = beats()
    one.due(at(0))
    one.done(BEAT, at(0), written=True)
    assert len(one.due(at(1))) == 1  # never done
    assert [len(one.due(at(second))) for second in (2, 3, 4)] == [0, 0, 0]
    assert not one.heartbeat_ok("press", at(4))


def test_an_agent_that_stood_still_is_noticed() -> None:
    one = beats()
    one.due(at(0))
    one.done(BEAT, at(0), written=True)
    assert not one.heartbeat_ok("press", at(4.5)), "without a single look in between"
    assert len(one.due(at(10))) == 1
    assert one.due(at(10.5)) == []
    assert len(one.due(at(11.1))) == 0 or one.rows(at(11.1))[0]["missed"]

"""Which outputs are to be written, and what the guard is told of readings."""

from __future__ import annotations

from typing import Any

from edge_agent.agent.annunciation import RETRY_MOST_S, Outputs
from edge_agent.agent.write_facts import WriteFacts
from edge_agent.config.model import Output, TagRef
from edge_agent.model import Batch, Quality, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow
from edge_agent.testing.clock import ManualClock

HORN, LAMP = TagRef("press", "horn"), TagRef("oven", "lamp")
SECOND = 1_000_000_000


def board(*names: str) -> Board:
    made = Board()
    for name in names:
        made.devices[name] = row = DeviceRow(name, "fake", "")
        row.turn("up", "", 1)
    return made


def outputs(on: Board, polled: Shown | None = None) -> Outputs:
    made = Outputs(on, polled or Shown())
    made.configure([Output(HORN), Output(LAMP)])
    return made


class Shown:
    """What the polls show: a value, or None where nothing good was read since the write."""

    def __init__(self, value: bool | None = None, period_s: float = 1.0) -> None:
        self.value = value
        self.every_s = period_s

    def held(self, tag: TagRef, sent_ns: int) -> bool | None:
        return self.value if tag == HORN else None

    def period_s(self, tag: TagRef) -> float:
        return self.every_s


def test_nothing_is_written_before_it_is_known_what_is_wanted() -> None:
    assert outputs(board("press", "oven")).due(0) == []


def test_a_change_is_written_once() -> None:
    made = outputs(board("press", "oven"))
    assert made.want({HORN: False, LAMP: False})
    assert made.due(0) == [(HORN, False), (LAMP, False)]
    assert made.due(0) == [], "on its way"
    made.done(HORN, False, 0, written=True)
    made.done(LAMP, False, 0, written=True)
    assert not made.want({HORN: False, LAMP: False})
    assert made.due(SECOND * 59) == []
    assert made.want({HORN: True, LAMP: False})
    assert made.due(0) == [(HORN, True)]


def test_what_changed_while_it_was_on_its_way_is_written_after_it() -> None:
    made = outputs(board("press", "oven"))
    made.want({HORN: True})
    assert made.due(0) == [(HORN, True)]
    made.want({HORN: False})
    assert made.due(0) == []
    made.done(HORN, True, 0, written=True)
    assert made.due(0) == [(HORN, False)]
    made.want({HORN: True})
    made.done(HORN, False, 0, written=False)
    assert made.due(0) == [(HORN, True)], "a failure of the other value is no reason to wait"


def test_failures_are_tried_again_less_and_less_often() -> None:
    made = outputs(board("press", "oven"))
    made.want({HORN: True})
    now_ns, waits = 0, []
    for _ in range(8):
        assert made.due(now_ns) == [(HORN, True)]
        made.done(HORN, True, now_ns, written=False)
        due_ns = now_ns
        while not made.due(due_ns):
            due_ns += SECOND // 2
        made._states[HORN].open = False
        waits.append((due_ns - now_ns) / SECOND)
        now_ns = due_ns
    assert waits == [1, 2, 4, 8, 16, RETRY_MOST_S, RETRY_MOST_S, RETRY_MOST_S]
    made.want({HORN: False})
    assert made.due(now_ns) == [(HORN, False)], "something new is said at once"


def told(made: Outputs, value: bool, now_ns: int = 0) -> None:
    made.want({HORN: value})
    assert made.due(now_ns) == [(HORN, value)]
    made.done(HORN, value, now_ns, written=True)


def seconds_to_write(made: Outputs, from_s: float, most_s: float = 3600) -> float:
    """After how long it is written again, looked at twice a second."""
    now_s = from_s
    while not (found := made.due(round(now_s * SECOND))):
        now_s += 0.5
        assert now_s - from_s <= most_s
    assert found == [(HORN, True)]
    return now_s - from_s


def test_an_output_that_did_not_stay_is_written_again_less_and_less_often() -> None:
    shown = Shown(True)
    made = outputs(board("press", "oven"), shown)
    told(made, True)
    assert made.due(SECOND * 3000) == [] and made.dropped() == []
    shown.value = False
    now_s, waits = 4000.0, []
    for _ in range(7):
        waits.append(seconds_to_write(made, now_s))
        assert made.dropped() == [(HORN, True)] and made.dropped() == []
        now_s += waits[-1]
        made.done(HORN, True, round(now_s * SECOND), written=True)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    shown.value = True
    assert made.due(round((now_s + 61) * SECOND)) == [], "it stays"
    shown.value = False
    assert seconds_to_write(made, now_s + 62) == 1, "after a minute of peace it starts anew"


def test_a_short_disagreement_is_left_to_the_next_poll() -> None:
    shown = Shown(False)
    made = outputs(board("press", "oven"), shown)
    told(made, True)
    assert made.due(0) == []
    shown.value = True
    assert made.due(SECOND * 2) == []
    shown.value = False
    assert made.due(SECOND * 3) == [], "counted from here"
    assert made.due(SECOND * 4) == [(HORN, True)]


def test_one_that_nobody_reads_is_written_again_every_minute() -> None:
    shown = Shown(None)
    made = outputs(board("press", "oven"), shown)
    told(made, True)
    assert seconds_to_write(made, 0) == 60
    made.done(HORN, True, SECOND * 60, written=True)
    assert made.dropped() == [], "nobody saw it dropped"
    assert seconds_to_write(made, 60) == 60
    made.done(HORN, True, SECOND * 120, written=True)
    shown.every_s = 50.0
    assert seconds_to_write(made, 120) == 150, "a slow poll may still come"


def test_after_a_dry_run_nothing_is_missed() -> None:
    made = outputs(board("press", "oven"), Shown(False))
    made.want({HORN: True})
    made.due(0)
    made.done(HORN, True, 0, written=True, dry_run=True)
    assert made.due(SECOND * 3600) == []


def test_what_is_wanted_now_is_written_at_once_whatever_was_dropped() -> None:
    made = outputs(board("press", "oven"), Shown(False))
    told(made, True)
    assert made.due(SECOND) == []
    assert made.want({HORN: False}) and made.due(SECOND) == [(HORN, False)]


def test_a_device_that_is_away_is_left_alone_and_told_again_when_it_is_back() -> None:
    on = board("press", "oven")
    made = outputs(on)
    made.want({HORN: True})
    made.due(0)
    made.done(HORN, True, 0, written=True)
    on.devices["press"].turn("silent", "no answer", 2)
    assert made.due(0) == []
    on.devices["press"].turn("up", "", 3)
    assert made.rows()[0] == {"tag": "press.horn", "wanted": True, "told": False, "tries": 0}
    assert made.due(0) == [(HORN, True)]
    made.done(HORN, True, 0, written=True)
    assert made.due(0) == []
    on.devices["press"].connects += 1
    assert made.due(0) == [(HORN, True)], "a new connection"


def test_a_reload_keeps_what_is_known_of_outputs_that_stay() -> None:
    made = outputs(board("press", "oven"))
    made.want({HORN: True, LAMP: True})
    for tag, value in made.due(0):
        made.done(tag, value, 0, written=True)
    made.configure([Output(HORN)])
    assert made.due(0) == []
    made.done(LAMP, True, 0, written=True)  # of one that is gone
    made.configure([Output(HORN), Output(LAMP)])
    made.want({HORN: True, LAMP: True})
    assert made.due(0) == [(LAMP, True)]


# Facts


class Rows:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def rows(self) -> tuple[dict[str, Any], ...]:
        return self._rows


SCHEMA = Schema.of("press", "g", "", [Tag("a", "", ValueType.INT16), Tag("b", "", ValueType.INT16)])


def watched(clock: ManualClock) -> Board:
    made = board("press")
    made.devices["press"].groups["g"] = GroupRow(SCHEMA, 1.0)
    return made


def batch(clock: ManualClock, values: tuple[int | None, ...], quality: bytes) -> Batch:
    return Batch(SCHEMA, clock.time_ns(), clock.mono_ns(), values, quality)


async def test_a_reading_is_the_newest_that_was_said_with_its_own_age() -> None:
    clock = ManualClock()
    on = watched(clock)
    facts = WriteFacts(on, Rows(), clock)
    b = TagRef("press", "b")
    assert facts.reading(b) is None
    on.record("fake", batch(clock, (1, 2), bytes(2)))
    await clock.advance(1.5)
    assert facts.reading(b) == (2, Quality.GOOD, 1.5)
    on.record("fake", batch(clock, (5, None), bytes([0, Quality.NOT_REPORTED])))
    assert facts.reading(b) == (2, Quality.GOOD, 1.5), "not made younger by a report that leaves it out"
    assert facts.reading(TagRef("press", "a")) == (5, Quality.GOOD, 0.0)
    on.record("fake", batch(clock, (5, None), bytes([0, 0x9F])))
    assert facts.reading(b) == (None, Quality.BAD, 0.0), "a reason that only the driver knows"
    for nobody in (TagRef("press", "c"), TagRef("oven", "a")):
        assert facts.reading(nobody) is None


async def test_a_read_under_way_during_a_write_counts_as_older_than_it() -> None:
    """Its batch comes later and may show what the tag held before."""
    clock = ManualClock()
    on = watched(clock)
    group, facts, b = on.devices["press"].groups["g"], WriteFacts(on, Rows(), clock), TagRef("press", "b")
    on.record("fake", batch(clock, (1, 2), bytes(2)))
    sent_ns = clock.mono_ns()
    await clock.advance(0.1)
    facts.wrote(b, sent_ns)
    await clock.advance(0.1)
    on.record("fake", batch(clock, (1, 2), bytes(2)))
    group.polls += 1
    assert facts.reading(b) == (2, Quality.GOOD, 0.2)
    assert facts.reading(TagRef("press", "a")) == (1, Quality.GOOD, 0.0), "others are as young as they are"
    await clock.advance(0.1)
    on.record("fake", batch(clock, (1, 3), bytes(2)))
    group.polls += 1
    assert facts.reading(b) == (3, Quality.GOOD, 0.0)
    group.liveness_s = 10.0  # its changes are reported
    facts.wrote(b, clock.mono_ns())
    await clock.advance(0.1)
    on.record("fake", batch(clock, (1, 4), bytes(2)))
    assert facts.reading(b) == (4, Quality.GOOD, 0.0)


async def test_what_an_output_holds_is_told_by_a_read_that_began_after_its_write() -> None:
    clock = ManualClock()
    on = watched(clock)
    group, facts, b = on.devices["press"].groups["g"], WriteFacts(on, Rows(), clock), TagRef("press", "b")
    assert facts.period_s(b) == 1.0 and facts.period_s(TagRef("press", "none")) == 0.0
    assert facts.held(b, 0) is None, "never read"
    on.record("fake", batch(clock, (1, 2), bytes(2)))
    sent_ns = clock.mono_ns()
    facts.wrote(b, sent_ns)
    for polls, held in ((1, None), (2, 3)):
        await clock.advance(0.1)
        on.record("fake", batch(clock, (1, 3), bytes(2)))
        group.polls += 1
        assert facts.held(b, sent_ns) == held, polls
    await clock.advance(0.1)
    on.record("fake", batch(clock, (1, 4), bytes([0, Quality.UNCERTAIN])))
    assert facts.held(b, sent_ns) is None, "not good"


async def test_a_reading_follows_a_reload() -> None:
    clock = ManualClock()
    on = watched(clock)
    facts = WriteFacts(on, Rows(), clock)
    on.record("fake", batch(clock, (1, 2), bytes(2)))
    assert facts.reading(TagRef("press", "b")) is not None
    fresh = watched(clock)
    on.devices["press"] = fresh.devices["press"]
    assert facts.reading(TagRef("press", "b")) is None
    del on.devices["press"]
    assert facts.reading(TagRef("press", "b")) is None
    assert not facts.device_up("press")


def test_only_an_active_critical_alarm_of_that_device_counts() -> None:
    def row(device: str, active: bool, priority: str) -> dict[str, Any]:
        return {"device": device, "active": active, "priority": priority}

    others = (row("press", False, "critical"), row("press", True, "high"), row("oven", True, "critical"))
    clock = ManualClock()
    assert not WriteFacts(board("press"), Rows(*others), clock).critical_active("press")
    assert WriteFacts(board("press"), Rows(*others, row("press", True, "critical")), clock).critical_active(
        "press"
    )

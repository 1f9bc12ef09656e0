"""Thousands of windows: what a quiet one may cost in time and memory. Counted, not timed, where possible."""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.config.model import Limit, LimitKind, Plausible, TagRef, Window
from edge_agent.control import Control
from edge_agent.control.window import Watcher
from edge_agent.model import Batch, Event, Quality, Scaling, Schema, Tag, Value, ValueType
from tests.unit.control.line import START_NS, WALL_NS, ns, record

TAGS = 500
SECOND_NS = 1_000_000_000


class Many:
    """One device with a window on every tag, each with limits of its own; one batch a second."""

    def __init__(self, **more: Any) -> None:
        rng = random.Random(3)
        tags = [Tag(f"t{i}", f"hr:{i}", ValueType.UINT16, scaling=Scaling(0.1, 0.0)) for i in range(TAGS)]
        self.schema = Schema.of("d", "fast", "v", tags)
        windows = [
            Window(
                f"d.{t.name}",
                TagRef("d", t.name),
                **{"low": rng.uniform(0, 50), "high": rng.uniform(300, 400)} | more,
            )
            for t in tags
        ]
        self.windows = windows
        self.control = Control(windows, "v", mono_ns=START_NS, time_ns=WALL_NS)
        self.told = record(self.control)
        self.values: list[Value] = [1000 + i for i in range(TAGS)]
        self.quality = bytearray(TAGS)
        self.at = 0

    def batch(self) -> list[Event]:
        self.at += SECOND_NS
        shown = tuple([None if q >= 0x80 else v for q, v in zip(self.quality, self.values, strict=True)])
        batch = Batch(self.schema, WALL_NS + self.at, START_NS + self.at, shown, bytes(self.quality))
        return self.control.on_batch(batch)

    def tick(self, after: float = 0.0) -> list[Event]:
        return self.control.tick(START_NS + self.at + ns(after), WALL_NS + self.at + ns(after))

    def settle(self) -> None:
        for _ in range(12):
            self.batch()
            self.tick()


@pytest.fixture
def many() -> Many:
    made = Many()
    made.settle()
    return made


def calls(work: Callable[[], Any]) -> int:
    """How many functions ran, of Python and of C."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def looks(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> set[str]:
    """The windows that were looked at singly meanwhile."""
    seen: set[str] = set()
    for step in ("look", "lapse"):
        original = getattr(Watcher, step)

        def noting(self: Watcher, at: Any, original: Any = original) -> Any:
            seen.add(self.window.name)
            return original(self, at)

        monkeypatch.setattr(Watcher, step, noting)
    work()
    monkeypatch.undo()
    return seen


def test_a_quiet_batch_runs_nothing_per_window(many: Many) -> None:
    assert calls(many.batch) < 40
    assert calls(many.tick) < 40


def test_quiet_stays_quiet_while_values_change(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)

    def minute() -> None:
        for _ in range(60):
            many.values = [rng.randint(600, 2900) for _ in range(TAGS)]
            assert many.batch() == [] and many.tick(0.9) == []

    assert looks(monkeypatch, minute) == set()


def test_one_window_outside_costs_the_others_nothing(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    many.values[77] = 9000
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_begin", "d.t77")]
    assert looks(monkeypatch, many.settle) == {"d.t77"}
    many.values[77] = 1000
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_end", "d.t77")]
    many.settle()
    assert looks(monkeypatch, many.batch) == set()


def test_change_reports_and_keep_alives_of_a_quiet_group_are_as_cheap_as_polls(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    def minutes() -> None:
        for number in range(120):
            many.quality = bytearray([Quality.UNCHANGED]) * TAGS
            if number % 2:
                many.quality[number] = 0
                many.values[number] = 1500
            assert many.batch() == [] and many.tick(0.9) == []

    assert looks(monkeypatch, minutes) == set()
    many.quality = bytearray([Quality.NOT_REPORTED]) * TAGS
    many.batch()
    many.quality = bytearray([Quality.UNCHANGED]) * TAGS
    many.settle()
    assert looks(monkeypatch, minutes) == set(), "a report that leaves tags out is made up for"
    many.quality[8], many.values[8] = 0, 9000
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_begin", "d.t8")]
    many.quality = bytearray([Quality.UNCHANGED]) * TAGS
    many.settle()
    assert looks(monkeypatch, many.batch) == {"d.t8"}, "it is still outside, and looked at"


def test_reads_that_are_cut_off_cost_no_window_a_look(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that cannot keep up is read in parts, for ever; what it costs must not be what stops it."""

    def part(number: int) -> bytearray:
        said = range(number % 4 * TAGS // 4, (number % 4 + 1) * TAGS // 4)
        return bytearray([0 if i in said else Quality.NOT_REPORTED for i in range(TAGS)])

    def parts() -> None:
        for number in range(40):
            many.quality = part(number)
            many.at -= SECOND_NS // 2
            assert many.batch() == [] and many.tick(0.4) == []

    assert looks(monkeypatch, parts) == set()
    many.values[TAGS // 2], many.quality = 9000, part(2)
    many.at -= SECOND_NS // 2
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_begin", f"d.t{TAGS // 2}")]
    many.quality = bytearray(TAGS)
    assert many.batch() == []
    assert looks(monkeypatch, many.batch) == {f"d.t{TAGS // 2}"}
    many.quality = part(0)
    for _ in range(3):
        assert many.batch() == []
    events = many.tick(0.1)
    assert {e.kind for e in events} == {"window_unknown"}, "what no part speaks of is stale in the end"
    assert len(events) == TAGS - TAGS // 4, "all but those that are read"


def test_a_sensor_that_is_bad_for_good_costs_the_others_nothing(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.quality[5] = Quality.BAD_ADDRESS
    assert [(e.kind, e.source) for e in many.batch()] == [("window_unknown", "d.t5")]
    many.settle()
    assert looks(monkeypatch, many.settle) == set()
    many.values[6] = 9000
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_begin", "d.t6")]
    many.quality[5] = 0
    assert [(e.kind, e.source) for e in many.batch()] == [("window_known", "d.t5")]


def test_a_dead_device_costs_nothing_while_it_is_dead(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    many.quality = bytearray([Quality.BAD_COMM]) * TAGS
    assert {e.kind for e in many.batch()} == {"window_unknown"}
    many.tick()

    def hour() -> None:
        for minute in range(60):
            assert many.tick(60.0 * minute) == []

    assert looks(monkeypatch, hour) == set()
    many.at += 3600 * SECOND_NS
    many.quality = bytearray(TAGS)
    assert len(many.batch()) == TAGS


def test_lanes_notice_what_comes_after_they_were_built(many: Many) -> None:
    for index in (0, 250, TAGS - 1):
        kept, many.values[index] = many.values[index], 0
        assert [e.source for e in many.batch()] == [f"d.t{index}"]
        many.values[index] = kept
        many.settle()


@pytest.mark.parametrize("strange", [None, "text", 70_000, -1, 2.5])
def test_a_value_that_is_not_of_its_type_is_judged_as_ever(many: Many, strange: Value) -> None:
    """What the contract of the batch does not allow must not be waved through."""
    many.values[9] = strange
    events = [(e.kind, e.source) for e in many.batch()]
    number = isinstance(strange, (int, float))
    assert events == [("excursion_begin" if number else "window_unknown", "d.t9")]


def test_what_a_window_costs_in_memory() -> None:
    """All in: watcher, input, lanes. 0.9 kB where this was written."""
    many = Many()
    del many.control
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        many.control = Control(many.windows, "v", mono_ns=START_NS, time_ns=WALL_NS)
        many.settle()
        list(many.control.rows(START_NS + many.at))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / TAGS < 1200


def test_rows_are_made_when_they_are_taken(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    original = Watcher.row

    def counting(self: Watcher, mono_ns: int, now_ns: int) -> dict[str, Any]:
        nonlocal made
        made += 1
        return original(self, mono_ns, now_ns)

    monkeypatch.setattr(Watcher, "row", counting)
    rows = many.control.rows(START_NS + many.at)
    assert len(rows) == TAGS and made == 0
    assert [row["name"] for row in rows[:3]] == ["d.t0", "d.t1", "d.t2"] and made == 3
    assert rows[-1]["name"] == f"d.t{TAGS - 1}" and made == 4
    assert len(list(rows)) == TAGS and made == TAGS + 4


QUIET: dict[str, dict[str, Any]] = {
    "levels": {"further": (Limit(LimitKind.LOLO, -10.0), Limit(LimitKind.HIHI, 500.0))},
    "range": {"plausible": Plausible(-100, 900)},
    "slope": {"plausible": Plausible(slope=500.0)},
    "frozen": {"plausible": Plausible(frozen_s=30.0)},
    "rates": {"further": (Limit(LimitKind.RISE, 500.0), Limit(LimitKind.FALL, 500.0))},
    "rates over a span": {"further": (Limit(LimitKind.RISE, 500.0, over_s=20), Limit(LimitKind.FALL, 400.0))},
    "bad input": {"further": (Limit(LimitKind.BAD_INPUT, on_delay_s=5),)},
}


@pytest.mark.parametrize("kind", list(QUIET))
def test_quiet_windows_of_every_kind_are_not_looked_at(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(**QUIET[kind])
    many.settle()
    rng = random.Random(5)

    def minute() -> None:
        for _ in range(60):
            many.values = [rng.randint(600, 2900) for _ in range(TAGS)]
            assert many.batch() == [] and many.tick(0.9) == []

    assert looks(monkeypatch, minute) == set()
    many.values = [1500] * TAGS
    many.batch()
    many.values[7] = 9000
    (event,) = many.batch()
    assert event.source == "d.t7"


def test_a_quiet_discrete_window_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(low=None, high=None, allowed=(1, 2, 3))
    rng = random.Random(6)
    many.values = [1] * TAGS
    many.settle()

    def minute() -> None:
        for _ in range(60):
            many.values = [rng.randint(1, 3) for _ in range(TAGS)]
            assert many.batch() == [] and many.tick(0.9) == []

    assert looks(monkeypatch, minute) == set()
    many.values[7] = 4
    assert [(e.kind, e.source) for e in many.batch()] == [("excursion_begin", "d.t7")]


def test_suppressed_windows_whose_values_are_inside_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Many(when=TagRef("d", "t0"))
    many.values[0] = 0
    many.settle()
    assert {row["state"] for row in many.control.rows(START_NS + many.at)} == {"suppressed"}
    assert looks(monkeypatch, many.settle) <= {"d.t0"}
    many.values[9] = 9000
    assert many.batch() == []
    assert [(t.window, t.kind) for t in many.told.heard if t.kind == "high"] == [("d.t9", "high")]
    many.values[0] = 1000
    assert {e.kind for e in many.batch()} == {"window_unsuppressed", "excursion_begin"}


def test_limits_cost_memory_only_while_they_are_not_at_rest() -> None:
    further = (Limit(LimitKind.LOLO, -10.0), Limit(LimitKind.HIHI, 500.0), Limit(LimitKind.BAD_INPUT))
    many = Many(further=further)
    many.settle()
    watchers = list(many.control._watchers.values())
    assert all(watcher.machines is None and watcher.excursion is None for watcher in watchers)
    assert len({id(watcher.terms) for watcher in watchers}) == 1, "limits differ, settings are shared"
    many.values[3] = 9000
    many.batch()
    assert [w.window.name for w in watchers if w.machines is not None] == ["d.t3"]
    many.values[3] = 1000
    many.settle()
    assert all(watcher.machines is None and watcher.excursion is None for watcher in watchers)

"""What is shown of a tag: polls, partial polls, change reports and keep-alives put together."""

from __future__ import annotations

import random

import pytest

from edge_agent.config.model import WebConfig
from edge_agent.metrics import Exporter
from edge_agent.model import Batch, Quality, Schema, Tag, Value, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow, live_qualities, live_quality, quality_counts

GOOD, STILL, LEFT_OUT, BAD = Quality.GOOD, Quality.UNCHANGED, Quality.NOT_REPORTED, Quality.BAD_COMM
STALE, WAITING = Quality.STALE, Quality.WAITING
SECOND_NS = 1_000_000_000
WALL_NS = 1_767_225_600_000_000_000
SCHEMA = Schema.of("d", "g", "v", [Tag(n, "0", ValueType.INT16, metric=True) for n in ("a", "b", "c")])


class Shown:
    """A board with one group of three tags, period 1 s: too old after 3 s."""

    def __init__(self) -> None:
        self.board = Board()
        device = self.board.devices["d"] = DeviceRow("d", "fake", "")
        device.turn("up", "", 1)
        self.row = device.groups["g"] = GroupRow(SCHEMA, 1.0)

    def take(
        self, at: float, *said: tuple[Value, Quality], offsets: tuple[int | None, ...] | None = None
    ) -> None:
        values, quality = tuple(v for v, _ in said), bytes(q for _, q in said)
        now = round(at * SECOND_NS)
        self.board.record("fake", Batch(SCHEMA, WALL_NS + now, now, values, quality, offsets))

    def at(self, at: float) -> list[tuple[Value, str, float | None]]:
        group = self.board.snapshot(0, round(at * SECOND_NS), tags=True)["devices"][0]["groups"][0]
        return [(v["value"], v["quality"], v["age_s"]) for v in group["values"]]

    def series(self, at: float) -> dict[str, float]:
        snapshot = Exporter().collect(
            self.board, WebConfig(tags="all"), mono_ns=round(at * SECOND_NS), time_ns=WALL_NS
        )
        rows = next(rows for name, rows in snapshot.families if name.name == "edgeagent_tag_value")
        return {labels[1]: value for labels, value in rows}


def test_a_report_hides_none_of_the_unchanged_values() -> None:
    shown = Shown()
    shown.take(1, (1, GOOD), (2, GOOD), (3, GOOD))
    shown.take(3, (None, STILL), (20, GOOD), (None, STILL))
    assert shown.at(4) == [(1, "good", 1.0), (20, "good", 1.0), (3, "good", 1.0)]
    assert shown.series(4) == {"a": 1, "b": 20, "c": 3}
    assert quality_counts(shown.row, 4 * SECOND_NS, up=True) == {
        "good": 3,
        "uncertain": 0,
        "bad": 0,
        "stale": 0,
    }


def test_keep_alives_keep_it_fresh_and_count_nothing() -> None:
    shown = Shown()
    shown.take(1, (1, GOOD), (2, GOOD), (3, GOOD))
    for at in range(2, 60):
        shown.take(at, (None, STILL), (None, STILL), (None, STILL))
    assert shown.at(60) == [(1, "good", 1.0), (2, "good", 1.0), (3, "good", 1.0)]
    assert shown.board.samples_read == 3 and shown.board.samples_good["fake"] == 3
    assert shown.row.last_success_ns == WALL_NS + 59 * SECOND_NS
    assert shown.at(63) == [(None, "stale", 4.0)] * 3 and shown.series(63) == {}


def test_what_a_partial_read_leaves_out_grows_old_by_itself() -> None:
    shown = Shown()
    shown.take(1, (1, GOOD), (2, GOOD), (3, GOOD))
    shown.take(3, (10, GOOD), (None, LEFT_OUT), (None, LEFT_OUT))
    assert shown.at(3.5) == [(10, "good", 0.5), (2, "good", 2.5), (3, "good", 2.5)]
    shown.take(5, (11, GOOD), (None, LEFT_OUT), (30, GOOD))
    assert shown.at(5) == [(11, "good", 0.0), (None, "stale", 4.0), (30, "good", 0.0)]
    assert shown.series(5) == {"a": 11, "c": 30}
    assert quality_counts(shown.row, 5 * SECOND_NS, up=True) == {
        "good": 2,
        "uncertain": 0,
        "bad": 0,
        "stale": 1,
    }
    shown.take(6, (12, GOOD), (22, GOOD), (32, GOOD))
    assert shown.row.spoke_ns is None, "a whole poll is as cheap as ever"


def test_before_anything_was_said_there_is_nothing_to_vouch_for() -> None:
    shown = Shown()
    shown.take(1, (None, STILL), (2, GOOD), (None, LEFT_OUT))
    assert shown.at(1) == [(None, "waiting", None), (2, "good", 0.0), (None, "waiting", None)]
    shown.take(2, (None, STILL), (None, STILL), (None, STILL))
    assert shown.at(2) == [(None, "waiting", None), (2, "good", 0.0), (None, "waiting", None)]


def test_bad_and_unchanged_is_still_bad_and_no_success() -> None:
    shown = Shown()
    shown.take(1, (None, BAD), (None, BAD), (None, BAD))
    shown.take(2, (None, STILL), (None, STILL), (None, STILL))
    assert shown.at(2) == [(None, "bad_comm", 0.0)] * 3
    assert shown.row.last_success_ns is None


def test_a_living_subscription_is_believed_until_its_own_deadline() -> None:
    shown = Shown()
    shown.row.liveness_s = 10.0
    shown.take(1, (1, GOOD), (2, GOOD), (3, GOOD))
    assert {q for _, q, _ in shown.at(10.9)} == {"good"}
    assert {q for _, q, _ in shown.at(11.1)} == {"stale"}


def test_source_times_are_kept_as_offsets_to_the_new_stamp() -> None:
    shown = Shown()
    shown.take(1, (1, GOOD), (2, GOOD), (3, GOOD), offsets=(-5, None, -7))
    shown.take(2, (None, STILL), (20, GOOD), (None, LEFT_OUT), offsets=(None, -9, None))
    assert shown.row.latest is not None
    assert shown.row.latest.offsets_ns == (-5 - SECOND_NS, -9, -7 - SECOND_NS)
    shown.take(3, (None, STILL), (21, GOOD), (None, STILL))
    assert shown.row.latest.offsets_ns == (-5 - 2 * SECOND_NS, None, -7 - 2 * SECOND_NS)


@pytest.mark.parametrize("seed", [1, 2, None])
def test_against_a_table_kept_by_hand(seed: int | None) -> None:
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}")
    rng, shown = random.Random(seed), Shown()
    held: list[tuple[Value, Quality, float | None]] = [(None, WAITING, None)] * 3
    at = 0.0
    for step in range(400):
        at += rng.choice([0.0, 0.5, 1.0, 2.0, 4.0])
        said = []
        for i in range(3):
            quality = rng.choice([GOOD, GOOD, STILL, STILL, STILL, LEFT_OUT, BAD, Quality.UNCERTAIN])
            value = step if quality < 0x80 else None
            said.append((value, quality))
            if quality < LEFT_OUT:
                held[i] = (value, quality, at)
            elif quality == STILL and held[i][2] is not None:
                held[i] = (*held[i][:2], at)
        shown.take(at, *said)
        now = at + rng.choice([0.0, 1.0, 3.5])
        up = rng.random() < 0.9
        expected = [
            STALE if q < 0x80 and (not up or (when is not None and now - when > 3)) else q
            for _, q, when in held
        ]
        now_ns = round(now * SECOND_NS)
        assert list(live_qualities(shown.row, now_ns, up=up)) == expected, step
        assert [live_quality(shown.row, i, now_ns, up=up) for i in range(3)] == expected
        counts = quality_counts(shown.row, now_ns, up=up)
        assert counts["good"] == expected.count(GOOD) and counts["stale"] == expected.count(STALE)
        assert sum(counts.values()) == 3
        latest = shown.row.latest
        assert latest is not None and list(latest.values) == [value for value, _, _ in held]

"""The oracle itself: it must see what is missing, what came twice, what stands under a foreign name."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.faults.account import Account, Lives, account
from tests.faults.parks import Reading
from tests.faults.plc import number_of, place_of, value_of
from tests.faults.stage import rhythm
from tests.faults.tracing import synced_again_after_error

SECOND = 1_000_000_000
POLLS = {1: [(n * SECOND, n * SECOND) for n in range(1, 21)]}  # one a second, unit 1


class FakePark:
    name = "park"
    kind = "http"
    ordered = True
    per_second = False
    lag_s = 0.0

    def __init__(self, values: list[int]) -> None:
        self.rows: list[Reading] = [(number_of(value) * 1_000_000, value, True) for value in values]

    def seconds(self) -> set[int]:
        return {time_us // 1_000_000 for time_us, _, _ in self.rows}

    def readings(self, device: str, tag: str) -> list[Reading]:
        return self.rows

    def conflicts(self) -> int:
        return 0

    def repeated(self) -> int:
        return 0


def values(*but: int) -> list[int]:
    return [value_of(1, 0, n) for n in range(1, 21) if n not in but]


def judged(park: Any, state: Path, *, end: int = 0, failed: frozenset[int] = frozenset()) -> Account:
    lives = Lives([{1: end}] if end else [])
    return account(park, POLLS, lives, state, 1, {1: set(failed)})


def ledger(state: Path, *rows: tuple[str, str | None, int | None, int, int]) -> None:
    """Rows (reason, uplink, samples, from_s, to_s) of the store's ledger."""
    with closing(sqlite3.connect(state / "buffer.db")) as connection:
        connection.execute(
            "CREATE TABLE loss (reason, epoch, uplink, from_seq, to_seq, n_samples, t0_ns, t1_ns)"
        )
        for index, (reason, uplink, samples, start, end) in enumerate(rows):
            row = (reason, index, uplink, None, None, samples, start * SECOND, end * SECOND)
            connection.execute("INSERT INTO loss VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.commit()


def test_a_value_tells_where_and_when_it_was() -> None:
    value = value_of(15, 3, 70_000)
    assert value < 2**32
    assert place_of(value) == (15, 3)
    assert number_of(value) == 70_000


def test_everything_arrived(tmp_path: Path) -> None:
    found = judged(FakePark(values()), tmp_path)
    assert (found.served, found.received, found.unaccounted, found.overtold) == (20, 20, 0, 0)


def test_one_sample_lost_without_a_word(tmp_path: Path) -> None:
    assert judged(FakePark(values(7)), tmp_path).unaccounted == 1


def test_a_loss_of_known_extent_explains_so_many_and_no_more(tmp_path: Path) -> None:
    ledger(tmp_path, ("quota", "park", 2, 3, 4), ("quota", "other", 5, 3, 9))
    assert judged(FakePark(values(3, 4)), tmp_path).unaccounted == 0
    assert judged(FakePark(values(3, 4, 5)), tmp_path).unaccounted == 1
    assert judged(FakePark(values(3)), tmp_path).overtold == 1


def test_a_loss_of_unknown_extent_explains_its_time_only(tmp_path: Path) -> None:
    ledger(tmp_path, ("unclean_stop", None, None, 5, 8))
    found = judged(FakePark(values(5, 6, 7, 8)), tmp_path)
    assert (found.unknown, found.unaccounted) == (4, 0)
    assert judged(FakePark(values(8, 9)), tmp_path).unaccounted == 1


def test_a_poll_cut_off_by_the_end_or_reported_as_failed(tmp_path: Path) -> None:
    assert judged(FakePark(values(20)), tmp_path, end=20).in_flight == 1
    assert judged(FakePark(values(19)), tmp_path, end=20).unaccounted == 1
    found = judged(FakePark(values(5)), tmp_path, failed=frozenset({6_000_000}))
    assert (found.failed, found.unaccounted) == (1, 0)
    assert judged(FakePark(values(5)), tmp_path, failed=frozenset({16_000_000})).unaccounted == 1
    found = judged(FakePark(values(5, 6)), tmp_path, failed=frozenset({6_500_000}))
    assert (found.failed, found.unaccounted) == (1, 1), "one report of a failure is not an excuse for two"


def test_twice_shifted_and_out_of_order(tmp_path: Path) -> None:
    assert judged(FakePark([*values(), value_of(1, 0, 20)]), tmp_path).duplicates == 1
    assert judged(FakePark([*values(20), value_of(1, 1, 20)]), tmp_path).wrong_tag == 1
    assert judged(FakePark([*values(20), value_of(2, 0, 20)]), tmp_path).wrong_tag == 1
    assert judged(FakePark([*values(), value_of(1, 0, 21)]), tmp_path).wrong_tag == 1
    assert judged(FakePark([*values()[10:], *values()[:10]]), tmp_path).unordered == 1


def test_a_row_told_as_an_event_counts_once(tmp_path: Path) -> None:
    ledger(tmp_path, ("quota", "park", 2, 3, 4))
    detail = {"stream": "samples", "reason": "quota", "epoch": 0, "uplink": "park", "from_seq": None,
              "to_seq": None, "samples": 2, "from_us": 3_000_000, "to_us": 4_000_000}  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        connection.execute("CREATE TABLE event (kind, body)")
        for body in (detail, detail | {"samples": 1, "epoch": 9}):
            connection.execute("INSERT INTO event VALUES ('data_lost', ?)", (json.dumps([0, "v", body]),))
        connection.commit()
    assert judged(FakePark(values(3, 4, 5)), tmp_path).ledger == 3


def test_missed_and_extra_polls() -> None:
    regular = [(0, round(n * 0.5 * SECOND)) for n in range(40)]
    span = (2 * SECOND, 15 * SECOND)
    assert rhythm(regular, 0.5, *span) == (0, 0)
    late = [(0, t + (SECOND // 4 if i == 12 else 0)) for i, (_, t) in enumerate(regular)]
    assert rhythm(late, 0.5, *span) == (0, 0)
    assert rhythm([*regular[:12], *regular[13:]], 0.5, *span) == (1, 0)
    assert rhythm(sorted([*regular, (0, regular[12][1] + 1000)]), 0.5, *span) == (0, 1)
    assert rhythm([], 0.5, *span) == (25, 0)


def test_a_sync_tried_again_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    failed = "41 fdatasync(8) = -1 EIO (Input/output error) (INJECTED)"
    log.write_text(f"{failed}\n41 close(8) = 0\n41 fdatasync(8) = 0\n", encoding="ascii")
    assert synced_again_after_error(log) == 0
    log.write_text(f"{failed}\n41 fdatasync(9) = 0\n41 fdatasync(8) = 0\n", encoding="ascii")
    assert synced_again_after_error(log) == 1


class PlatformOfSeconds(FakePark):
    per_second = True


def test_one_reading_of_a_second_stands_for_the_others(tmp_path: Path) -> None:
    """Two polls a second: of each pair the platform gets the first. A second it has none of is a loss."""
    polls = {1: [(n * SECOND // 2 + SECOND // 10, 0) for n in range(2, 22)]}
    park = PlatformOfSeconds([])
    park.rows = [(second * 1_000_000, value_of(1, 0, 2 * second - 1), True) for second in range(1, 11)]
    found = account(park, polls, Lives([]), tmp_path, 1, {1: set()})  # type: ignore[arg-type]
    assert (found.served, found.received, found.unaccounted, found.wrong_tag) == (20, 20, 0, 0)
    del park.rows[4]
    found = account(park, polls, Lives([]), tmp_path, 1, {1: set()})  # type: ignore[arg-type]
    assert found.unaccounted == 2

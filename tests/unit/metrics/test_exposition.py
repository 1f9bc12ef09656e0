"""What Prometheus is told.

``golden.prom`` is the whole text for a board made by hand: a renamed metric shows in review.

After a wanted change:  EDGE_AGENT_WRITE_GOLDEN=1 .venv/bin/pytest tests/unit/metrics
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.utils import floatToGoString

from edge_agent.config.model import WebConfig
from edge_agent.metrics import Exporter, Snapshot
from edge_agent.metrics.names import WINDOW_STATES
from edge_agent.metrics.text import number
from edge_agent.model import Batch, Quality, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow, Histogram
from tests.unit.metrics.board import BUFFER, MONO_NS, PERIODS, SECOND_NS, SELECTED, TIME_NS, make_board
from tests.unit.metrics.reference import written_by_the_client

GOLDEN = Path(__file__).with_name("golden.prom")


def snapshot_of(board: Board, web: WebConfig | None = None, *, mono_ns: int = MONO_NS) -> Snapshot:
    return Exporter().collect(
        board, web or WebConfig(), mono_ns=mono_ns, time_ns=TIME_NS, selected=lambda: SELECTED
    )


def text(board: Board, web: WebConfig | None = None, *, mono_ns: int = MONO_NS) -> str:
    return Exporter().exposition(snapshot_of(board, web, mono_ns=mono_ns), process=False).decode()


def whole(board: Board) -> bytes:
    """With what is known of the process."""
    return Exporter().exposition(snapshot_of(board))


def series(
    board: Board, name: str, web: WebConfig | None = None, **clock: int
) -> dict[tuple[str, ...], float]:
    """Label values (in order of label names) -> value, of one metric."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text(board, web, **clock))
        for sample in family.samples
        if sample.name == name
    }


def test_the_whole_text() -> None:
    found = text(make_board()).replace(f'python="{platform.python_version()}"', 'python="3.x"')
    if os.environ.get("EDGE_AGENT_WRITE_GOLDEN") == "1":
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


EVIL = ("back\\slash", 'qu"ote', "new\nline", "充注温度", "\\n", '\\"', "tab\t", "\U0001f600", "x" * 300)


def _evil_board() -> Board:
    """Whatever a person may call a device, a tag, a unit or a window."""
    board = make_board()
    for count, evil in enumerate(EVIL):
        device = board.devices[evil] = DeviceRow(evil, "modbus", evil)
        device.turn("up", "", TIME_NS)
        device.failures[evil] = count
        tags = [Tag(other, "hr:0", ValueType.FLOAT64, unit=evil) for other in EVIL]
        group = device.groups[evil] = GroupRow(Schema.of(evil, evil, "1", tags), 1.0)
        values = (0.0, -0.0, 1e6, -1e6, 123456.75, 1e22, 5e-324, float("inf"), 1234567.25)
        group.latest = Batch(group.schema, TIME_NS, MONO_NS, values, bytes(len(tags)))
        group.late.observe(count / 7)
    windows = [{**board.windows()[0], "name": evil, "low": -1e300} for evil in EVIL]
    board.windows = lambda: windows
    board.uplinks["park"].name = EVIL[0]
    board.samples_read = 12_345_678_901
    return board


@pytest.mark.parametrize("board", [make_board(), _evil_board(), Board()])
def test_it_says_what_the_prometheus_client_would_say(board: Board) -> None:
    """Letter by letter, and once more through the client's parser, which undoes the escaping."""
    snapshot = snapshot_of(board, WebConfig(tags="all"))
    ours = Exporter().exposition(snapshot, process=False).decode()
    theirs = written_by_the_client(snapshot)
    assert _parsed(ours) == _parsed(theirs)
    assert ours == theirs
    again = Exporter()
    assert {again.exposition(snapshot, process=False).decode() for _ in range(3)} == {ours}


def test_escaped_labels_come_back_as_they_were() -> None:
    found = series(_evil_board(), "edgeagent_tag_value", WebConfig(tags="all"))
    assert {(evil, other, evil) for evil in EVIL for other in EVIL} <= set(found)
    assert {window for _, window in series(_evil_board(), "edgeagent_window_state")} == set(EVIL)


def _parsed(text: str) -> list[tuple[str, str, str, str, dict[str, str], float]]:
    return [
        (family.name, family.type, family.documentation, sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


@given(st.floats(allow_nan=False) | st.integers(-(1 << 70), 1 << 70))
def test_numbers_are_written_as_the_client_writes_them(value: float) -> None:
    assert number(value) == floatToGoString(value)


def test_not_a_number_is_written_too() -> None:
    assert [number(x) for x in (math.nan, math.inf, -math.inf)] == ["NaN", "+Inf", "-Inf"]


@pytest.mark.tool("promtool")
def test_promtool_finds_nothing() -> None:
    given = whole(make_board())
    lint = subprocess.run(["promtool", "check", "metrics"], input=given, capture_output=True, timeout=30)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


def test_an_empty_board_is_exposed_too() -> None:
    assert b"edgeagent_samples_read_total 0.0" in whole(Board())


def test_process_metrics_come_with_every_scrape_and_only_once() -> None:
    exporter = Exporter()
    for _ in range(2):
        lines = exporter.exposition(snapshot_of(make_board())).decode().splitlines()
        assert sum(line.startswith("process_resident_memory_bytes ") for line in lines) == 1
        assert sum(line.startswith("python_info{") for line in lines) == 1


def test_only_good_values_of_selected_tags_are_exported_and_in_engineering_units() -> None:
    assert series(make_board(), "edgeagent_tag_value") == {
        ("press-1", "pressure", "MPa"): pytest.approx(0.41),
        ("press-1", "zone1_temperature", "°C"): pytest.approx(185.2),
        ("press-1", "pump_on"): 1.0,
        ("press-1", "meter", "kWh"): 9_007_199_254_740_992.0,  # what a double can hold
    }


@pytest.mark.parametrize("quality", [q for q in Quality if not q.is_good])
def test_a_value_that_is_not_good_is_not_exported(quality: Quality) -> None:
    board = make_board()
    group = board.devices["press-1"].groups["fast"]
    assert group.latest is not None
    group.latest = replace(group.latest, quality=bytes([quality, *group.latest.quality[1:]]))
    assert len(series(board, "edgeagent_tag_value")) == 3


def test_a_value_vanishes_when_it_is_too_old_and_comes_back_with_the_next_poll() -> None:
    board = make_board()
    group = board.devices["press-1"].groups["fast"]
    limit_ns = int(1.5 * SECOND_NS)  # three periods of 0.5 s
    assert group.latest is not None
    at_limit = group.latest.mono_ns + limit_ns
    assert len(series(board, "edgeagent_tag_value", mono_ns=at_limit)) == 4
    assert series(board, "edgeagent_tag_value", mono_ns=at_limit + 1) == {}
    assert series(board, "edgeagent_tags", mono_ns=at_limit + 1)["press-1", "stale"] == 6
    latest = group.latest
    group.latest = Batch(latest.schema, TIME_NS, at_limit, latest.values, latest.quality)
    assert len(series(board, "edgeagent_tag_value", mono_ns=at_limit + 1)) == 4


@pytest.mark.parametrize("state", ["down", "silent", "connecting", "refused"])
def test_values_vanish_at_once_when_the_device_is_known_to_be_gone(state: str) -> None:
    board = make_board()
    board.devices["press-1"].turn(state, "cable", TIME_NS)
    assert series(board, "edgeagent_tag_value") == {}
    assert series(board, "edgeagent_device_up")[("press-1",)] == 0
    assert series(board, "edgeagent_tags")["press-1", "good"] == 0
    assert series(board, "edgeagent_tags")["press-1", "stale"] == 6


def test_a_removed_device_leaves_no_series() -> None:
    board = make_board()
    assert 'device="oven-1"' in text(board)
    del board.devices["oven-1"]
    assert "oven-1" not in text(board)


@pytest.mark.parametrize(("tags", "count"), [("off", 0), ("selected", 4), ("all", 5)])
def test_which_tags(tags: str, count: int) -> None:
    assert len(series(make_board(), "edgeagent_tag_value", WebConfig(tags=tags))) == count


def test_a_window_is_one_series_per_state() -> None:
    board = make_board()
    for state in WINDOW_STATES:
        row = dict(board.windows()[0]) | {"state": state}
        board.windows = lambda row=row: [row]  # type: ignore[misc]
        found = series(board, "edgeagent_window_state")
        assert found == {(other, "press-1.pressure"): float(other == state) for other in WINDOW_STATES}


def test_histograms_are_cumulative_and_count_everything() -> None:
    found = series(make_board(), "edgeagent_event_loop_lag_seconds_bucket")
    assert (found[("0.001",)], found[("2.5",)], found[("+Inf",)]) == (1, 1, 2)
    assert series(make_board(), "edgeagent_event_loop_lag_seconds_count") == {(): 2}
    assert series(make_board(), "edgeagent_event_loop_lag_seconds_sum") == {(): pytest.approx(3.0005)}


def test_a_histogram_may_get_other_bounds() -> None:
    board, exporter = make_board(), Exporter()
    exporter.exposition(snapshot_of(board))
    board.loop_lag = Histogram((1.0, 7.0))
    board.loop_lag.observe(5.0)
    text = exporter.exposition(snapshot_of(board), process=False).decode()
    assert [line for line in text.splitlines() if line.startswith("edgeagent_event_loop_lag_seconds")] == [
        'edgeagent_event_loop_lag_seconds_bucket{le="1.0"} 0.0',
        'edgeagent_event_loop_lag_seconds_bucket{le="7.0"} 1.0',
        'edgeagent_event_loop_lag_seconds_bucket{le="+Inf"} 1.0',
        "edgeagent_event_loop_lag_seconds_count 1.0",
        "edgeagent_event_loop_lag_seconds_sum 5.0",
    ]


@pytest.mark.parametrize("missing", sorted(BUFFER))
def test_a_buffer_that_tells_less_costs_only_that_series(missing: str) -> None:
    board = make_board()
    all_of_it = set(text(board).splitlines())
    left = {key: value for key, value in BUFFER.items() if key != missing}
    board.buffer = lambda: left | {"periods": PERIODS}
    less = set(text(board).splitlines())
    assert less <= all_of_it
    assert all("edgeagent_buffer_" in line for line in all_of_it - less)


def test_every_kind_of_loss_is_there_before_it_happens() -> None:
    """Prometheus cannot see a counter rise from nothing."""
    found = series(make_board(), "edgeagent_buffer_lost_samples_total")
    assert found["quota",] == 30
    assert found["memory",] == found["corrupt",] == found["uplink_removed",] == 0
    unknown = series(make_board(), "edgeagent_buffer_losses_unknown_extent_total")
    assert (unknown["unclean_stop",], unknown["quarantined_database",]) == (1, 0)


def test_a_store_that_cannot_write_is_degraded() -> None:
    board = make_board()
    board.buffer = lambda: BUFFER | {"state": "degraded"}
    assert series(board, "edgeagent_buffer_degraded") == {(): 1}


def test_period_values_have_series_where_there_are_any() -> None:
    board = make_board()
    board.buffer = lambda: BUFFER | {"periods": PERIODS | {"state": "degraded"}}
    assert series(board, "edgeagent_periods_late_samples_total") == {(): 3}
    assert series(board, "edgeagent_periods_degraded") == {(): 1}
    board.buffer = lambda: dict(BUFFER)
    assert "edgeagent_periods_" not in text(board)


def test_labels_are_escaped() -> None:
    assert series(make_board(), "edgeagent_device_info")["oven-1", "s7", 's7://"Halle \\ 2"'] == 1


def test_a_snapshot_does_not_change_with_the_board() -> None:
    board, exporter = make_board(), Exporter()
    snapshot = snapshot_of(board)
    before = exporter.exposition(snapshot, process=False)
    board.devices["press-1"].duration.observe(0.001)
    board.devices["press-1"].failures["timeout"] += 1
    board.devices["press-1"].groups["fast"].latest = None
    board.loop_lag.observe(1.0)
    board.devices.clear()
    assert exporter.exposition(snapshot, process=False) == before


def test_threads_may_write_the_text_at_the_same_time() -> None:
    snapshot, exporter = snapshot_of(make_board()), Exporter()
    with ThreadPoolExecutor(4) as pool:
        texts = set(pool.map(lambda _: exporter.exposition(snapshot, process=False), range(40)))
    assert len(texts) == 1

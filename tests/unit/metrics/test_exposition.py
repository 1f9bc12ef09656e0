"""What Prometheus is told.

``golden.prom`` is the whole text for a board made by hand: a renamed metric shows in review.

After a wanted change:  EDGE_AGENT_WRITE_GOLDEN=1 .venv/bin/pytest tests/unit/metrics
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.config.model import WebConfig
from edge_agent.metrics import WINDOW_STATES, collect, exposition, render
from edge_agent.model import Batch, Quality, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow
from tests.unit.metrics.board import BUFFER, MONO_NS, SECOND_NS, SELECTED, TIME_NS, make_board

GOLDEN = Path(__file__).with_name("golden.prom")


def text(board: Board, web: WebConfig | None = None, *, mono_ns: int = MONO_NS) -> str:
    snapshot = collect(board, web or WebConfig(), mono_ns=mono_ns, time_ns=TIME_NS, selected=SELECTED)
    return exposition(snapshot, process=False).decode()


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


@pytest.mark.tool("promtool")
def test_promtool_finds_nothing() -> None:
    whole = render(make_board(), WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS, selected=SELECTED)
    lint = subprocess.run(["promtool", "check", "metrics"], input=whole, capture_output=True, timeout=30)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


def test_an_empty_board_is_exposed_too() -> None:
    assert b"edgeagent_samples_read_total 0.0" in render(Board(), WebConfig(), mono_ns=0, time_ns=0)


def test_process_metrics_come_with_every_scrape_and_only_once() -> None:
    for _ in range(2):
        lines = render(make_board(), WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS).decode().splitlines()
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


def test_the_cap_counts_what_it_drops_and_does_not_depend_on_who_lives() -> None:
    board, web = make_board(), WebConfig(max_series=2)
    assert sorted(series(board, "edgeagent_tag_value", web)) == [
        ("press-1", "pressure", "MPa"),
        ("press-1", "zone1_temperature", "°C"),
    ]
    assert series(board, "edgeagent_metrics_series_dropped", web) == {
        (): 5.0
    }  # three of press-1, two of oven-1
    board.devices["press-1"].turn("down", "cable", TIME_NS)
    board.devices["oven-1"].turn("up", "", TIME_NS)
    assert series(board, "edgeagent_tag_value", web) == {}


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


@pytest.mark.parametrize("missing", sorted(BUFFER))
def test_a_buffer_that_tells_less_costs_only_that_series(missing: str) -> None:
    board = make_board()
    whole = set(text(board).splitlines())
    board.buffer = lambda: {key: value for key, value in BUFFER.items() if key != missing}
    less = set(text(board).splitlines())
    assert less <= whole
    assert all("edgeagent_buffer_" in line for line in whole - less)


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


def test_labels_are_escaped() -> None:
    assert series(make_board(), "edgeagent_device_info")["oven-1", "s7", 's7://"Halle \\ 2"'] == 1


def test_a_snapshot_does_not_change_with_the_board() -> None:
    board = make_board()
    snapshot = collect(board, WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS, selected=SELECTED)
    before = exposition(snapshot, process=False)
    board.devices["press-1"].duration.observe(0.001)
    board.devices["press-1"].failures["timeout"] += 1
    board.loop_lag.observe(1.0)
    board.devices.clear()
    assert exposition(snapshot, process=False) == before


def test_threads_may_write_the_text_at_the_same_time() -> None:
    snapshot = collect(make_board(), WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS, selected=SELECTED)
    with ThreadPoolExecutor(4) as pool:
        texts = set(pool.map(lambda _: exposition(snapshot, process=False), range(40)))
    assert len(texts) == 1


def test_the_event_loop_is_held_up_for_little() -> None:
    """5,000 tags, 1,000 of them exported: the copy took 3 ms where this was written. A generous bound."""
    board, selected = _large_board()
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        collect(board, WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS, selected=selected)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.03


def _large_board() -> tuple[Board, frozenset[tuple[str, str]]]:
    board = Board()
    tags = [Tag(f"t{i}", f"hr:{i}", ValueType.INT16, unit="MPa") for i in range(500)]
    for number in range(10):
        row = board.devices[f"d{number}"] = DeviceRow(f"d{number}", "modbus", "tcp://127.0.0.1:502")
        row.turn("up", "", TIME_NS)
        schema = Schema.of(row.name, "fast", "1", tags)
        group = row.groups["fast"] = GroupRow(schema, 1.0)
        group.latest = Batch(schema, TIME_NS, MONO_NS, tuple(range(500)), bytes(500))
    return board, frozenset((f"d{d}", f"t{i}") for d in range(10) for i in range(100))

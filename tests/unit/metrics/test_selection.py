"""Which tags and windows become series, how many, and that a scrape pays only for those."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.config.model import TagRef, WebConfig, Window
from edge_agent.control import Control
from edge_agent.control.window import Watcher
from edge_agent.metrics import Exporter
from edge_agent.metrics.names import SERIES_PER_WINDOW
from edge_agent.model import Batch, Schema, Tag, ValueType
from edge_agent.status import Board, DeviceRow, GroupRow
from tests.unit.metrics.board import MONO_NS, TIME_NS, WINDOW, make_board


class Plant:
    """Some devices of so many tags each, a window on the first so many; ``asked`` counts how often the
    selected tags were asked for."""

    def __init__(self, devices: int, tags: int, windows: int) -> None:
        self.asked = 0
        self.exporter = Exporter()
        self.board = Board()
        self.tags = [
            Tag(f"t{i}", f"hr:{i}", ValueType.INT16, unit="MPa", metric=i < 100) for i in range(tags)
        ]
        names = [(f"d{d}", tag.name) for d in range(devices) for tag in self.tags]
        self.control = Control(
            [Window(f"{d}.{t}", TagRef(d, t), low=-1, high=9000) for d, t in names[:windows]],
            "1", mono_ns=MONO_NS - 1, time_ns=TIME_NS,
        )  # fmt: skip
        self.board.windows = lambda: self.control.rows(MONO_NS)
        for number in range(devices):
            self.add(f"d{number}")

    def add(self, device: str) -> None:
        row = self.board.devices[device] = DeviceRow(device, "modbus", "tcp://127.0.0.1:502")
        row.turn("up", "", TIME_NS)
        schema = Schema.of(device, "fast", "1", self.tags)
        group = row.groups["fast"] = GroupRow(schema, 1.0)
        count = len(self.tags)
        group.latest = Batch(schema, TIME_NS, MONO_NS, tuple(range(count)), bytes(count))
        self.control.on_batch(group.latest)

    def selected(self) -> Collection[tuple[str, str]]:
        self.asked += 1
        return {(device, tag.name) for device in self.board.devices for tag in self.tags if tag.metric}

    def scrape(self, web: WebConfig) -> str:
        snapshot = self.exporter.collect(
            self.board, web, mono_ns=MONO_NS, time_ns=TIME_NS, selected=self.selected
        )
        return self.exporter.exposition(snapshot, process=False).decode()

    def counts(self, max_series: int, tags: str = "all") -> tuple[int, int, int]:
        """Exported tags, exported windows, dropped series."""
        text = self.scrape(WebConfig(tags=tags, max_series=max_series))
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        windows = [s for s in samples if s.name.startswith("edgeagent_window_")]
        per_window = {s.labels["window"] for s in windows}
        assert len(windows) == SERIES_PER_WINDOW * len(per_window)
        values = sum(s.name == "edgeagent_tag_value" for s in samples)
        (dropped,) = [s.value for s in samples if s.name == "edgeagent_metrics_series_dropped"]
        assert values + len(windows) <= max_series
        return values, len(per_window), int(dropped)


@pytest.mark.parametrize(
    ("max_series", "tags", "expected"),
    [
        (20 + 20 * 12, "all", (20, 20, 0)),  # just enough for all
        (19 + 20 * 12, "all", (20, 19, 12)),
        (100, "all", (20, 6, 14 * 12)),  # tags need less than half: the rest is for windows
        (30, "all", (18, 1, 2 + 19 * 12)),  # half of it is room for one window, tags take what is left
        (10, "all", (10, 0, 10 + 20 * 12)),
        (1, "all", (1, 0, 19 + 20 * 12)),
        (0, "all", (0, 0, 20 + 20 * 12)),
        (48, "off", (0, 4, 16 * 12)),
        (24, "off", (0, 2, 18 * 12)),
    ],
)
def test_tags_and_windows_share_the_room(max_series: int, tags: str, expected: tuple[int, int, int]) -> None:
    assert Plant(devices=2, tags=10, windows=20).counts(max_series, tags) == expected


def test_windows_leave_their_half_to_the_tags_when_they_are_few() -> None:
    assert Plant(devices=2, tags=50, windows=2).counts(60) == (36, 2, 64)


def test_the_first_in_the_configuration_are_taken_and_stay_whoever_lives() -> None:
    plant = Plant(devices=2, tags=10, windows=20)
    text = plant.scrape(WebConfig(tags="all", max_series=30))
    assert 'device="d0",tag="t9"' in text and 'device="d1",tag="t7"' in text
    assert 'device="d1",tag="t8"' not in text
    assert 'window="d0.t0"' in text and 'window="d0.t1"' not in text
    plant.board.devices["d0"].turn("down", "cable", TIME_NS)
    text = plant.scrape(WebConfig(tags="all", max_series=30))
    assert 'tag="t7"' in text and 'tag="t8"' not in text and 'tag_value{device="d0"' not in text


def test_the_selection_is_made_once_and_anew_when_something_changes() -> None:
    plant, web = Plant(devices=2, tags=10, windows=3), WebConfig()
    for _ in range(3):
        plant.scrape(web)
    assert plant.asked == 1
    plant.add("d2")
    assert 'device="d2",tag="t0"' in plant.scrape(web) and plant.asked == 2
    plant.tags = [*plant.tags[:9], Tag("new", "hr:9", ValueType.INT16, metric=True)]
    plant.add("d1")  # a reload gave it another schema
    assert 'device="d1",tag="new"' in plant.scrape(web) and plant.asked == 3
    plant.tags = [Tag(t.name, t.address, t.type, unit=t.unit) for t in plant.tags]
    plant.board.config_version = "2"  # the same tags, but other ones are marked
    assert "edgeagent_tag_value" not in plant.scrape(web) and plant.asked == 4
    assert "edgeagent_tag_value" in plant.scrape(WebConfig(tags="all")) and plant.asked == 4
    del plant.board.devices["d0"]
    assert 'device="d0"' not in plant.scrape(WebConfig(tags="all"))


def test_nothing_is_kept_of_series_that_have_ended() -> None:
    plant, web = Plant(devices=1, tags=3, windows=0), WebConfig(tags="all")
    for number in range(500):
        plant.board.devices.clear()
        plant.add(f"device-{number}")
        assert f"device-{number}" in plant.scrape(web)
    kept = [len(heads) for heads in plant.exporter._writer._heads.values()]
    assert max(kept) < 60


def test_a_scrape_makes_only_the_rows_it_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    row = Watcher.row

    def noting(self: Watcher, mono_ns: int, now_ns: int) -> dict[str, Any]:
        made.append(self.window.name)
        return row(self, mono_ns, now_ns)

    monkeypatch.setattr(Watcher, "row", noting)
    plant = Plant(devices=10, tags=500, windows=5000)
    assert plant.counts(2000) == (2000 - 83 * 12, 83, 5000 - (2000 - 83 * 12) + (5000 - 83) * 12)
    assert len(made) == 83


def test_the_event_loop_is_held_up_for_little() -> None:
    """10 x 500 tags with a window on each, 2,000 series: 0.5 ms where this was written. A generous bound."""
    plant, spent = Plant(devices=10, tags=500, windows=5000), []
    for _ in range(6):
        start = time.perf_counter()
        plant.exporter.collect(
            plant.board, WebConfig(), mono_ns=MONO_NS, time_ns=TIME_NS, selected=plant.selected
        )
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.01


def test_windows_of_a_board_by_hand_need_not_tell_everything() -> None:
    board = make_board()
    board.windows = lambda: [{"name": "w", "state": "in"}, WINDOW]
    plant = Plant(1, 1, 0)
    plant.board = board
    text = plant.scrape(WebConfig())
    assert text.count('window="w"') == 4 and text.count('window="press-1.pressure"') == 12

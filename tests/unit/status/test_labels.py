"""From the column ``labels`` to the rows that page, API and ``watch`` show."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.acquisition.station import Station
from edge_agent.config import load
from edge_agent.model import Batch, Quality, Value
from edge_agent.status import DeviceRow
from edge_agent.status.live import live_values, meaning
from tests.unit.config.good import GOOD, FakePlugins, write

TABLE = """name,address,type,group,labels,scale
plain,r0,uint16,fast,,
mode,r1,uint16,fast,0=停止;1=运行,10
switch,r2,bool,fast,1=on,
other,r3,uint16,slow,7=seven,
"""


@pytest.fixture
def row(tmp_path: Path) -> DeviceRow:
    windowless = GOOD["devices.d/press-1.yaml"].partition("windows:")[0]
    write(tmp_path, GOOD | {"devices.d/press-1.yaml": windowless, "tags.d/press-1.csv": TABLE})
    device = load(tmp_path, plugins=FakePlugins(), environ={}).devices[0]
    row = DeviceRow(device.name, device.driver, "")
    Station(device, row, "version", start_ns=0)
    return row


def shown(row: DeviceRow, values: tuple[Value, ...], quality: bytes = b"\0\0\0") -> list[object]:
    group = row.groups["fast"]
    group.latest = Batch(group.schema, 0, 0, values, quality)
    return [value.get("label", "none") for value in live_values(group, 0, up=True)]


def test_beside_values_of_tags_that_have_labels(row: DeviceRow) -> None:
    assert shown(row, (1, 1, True)) == ["none", "运行", "on"]  # by the raw number, not by 10
    assert shown(row, (1, 10, False)) == ["none", None, None]
    value = live_values(row.groups["fast"], 0, up=True)[1]
    assert (value["value"], value["quality"]) == (100.0, "good")


def test_a_bad_value_means_nothing(row: DeviceRow) -> None:
    assert shown(row, (1, None, None), bytes([0, Quality.BAD_COMM, Quality.BAD_DECODE])) == [
        "none",
        None,
        None,
    ]
    group = row.groups["fast"]
    group.latest = Batch(group.schema, 0, 0, (1, 1, True), b"\0\0\0")
    assert [value.get("label") for value in live_values(group, 0, up=False)] == [None] * 3  # not live
    group.latest = None
    assert [value.get("label") for value in live_values(group, 0, up=True)] == [None] * 3


def test_only_numbers_have_a_meaning() -> None:
    assert meaning({1: "one"}, 1) == "one"
    assert meaning({1: "one"}, True) == "one"
    assert meaning({1: "one"}, 1.0) is None
    assert meaning({1: "one"}, "1") is None

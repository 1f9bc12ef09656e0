"""Conditions of windows: judged by hidden tags, shown to nobody under the names of those."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

from edge_agent.agent.virtual import VirtualDevice, judged_by
from edge_agent.config import Configuration, TagRef, load
from edge_agent.config.condition import ConditionRef
from edge_agent.config.model import Window
from edge_agent.control import Control
from edge_agent.metrics.selection import Selector
from edge_agent.model import Batch, Event, Schema
from edge_agent.status import Board
from edge_agent.testing.clock import ManualClock
from tests.unit.config.good import AGENT, FakePlugins, write

DEVICE = """device: press-1
driver: fake
link: bus://a
poll: 1s
windows:
  - {tag: pressure, high: 90, when: "running and   derived.presskpa > 300 kPa", grace: 5s}
  - {tag: speed, high: 9, when: running}
"""
TABLE = "name,address,type,unit\nrunning,r0,bool,\npressure,r1,float32,MPa\nspeed,r2,float32,m/s\n"
LINE = """tags:
  - {name: presskpa, formula: press-1.pressure + 0 MPa, unit: kPa}
windows:
  - {tag: presskpa, high: 900, when: "press-1.running and press-1.speed > 1 [m/s]"}
"""
FILES = {
    "edge-agent.yaml": AGENT, "devices.d/press-1.yaml": DEVICE, "tags.d/press-1.csv": TABLE,
    "derived.d/line.yaml": LINE,
}  # fmt: skip


class Running:
    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self.directory = directory
        self.clock, self.board = ManualClock(), Board()
        self.configuration = self._load(files)
        self.virtual = VirtualDevice(self.board, self.clock)
        self.virtual.configure(self.configuration, {})
        self.virtual.show()
        self.control = Control(self.configuration.windows, self.configuration.version, **self._now())

    def _load(self, files: dict[str, str]) -> Configuration:
        found = load(write(self.directory, files), plugins=FakePlugins(), environ={})
        windows = pickle.loads(pickle.dumps([*found.windows]))  # they come from a child process
        assert [str(one.when) for one in windows] == [str(one.when) for one in found.windows]
        return found

    def _now(self) -> dict[str, int]:
        return {"mono_ns": self.clock.mono_ns(), "time_ns": self.clock.time_ns()}

    def reload(self, files: dict[str, str]) -> None:
        self.configuration = self._load(files)
        self.control.reconfigure(self.configuration.windows, self.configuration.version, **self._now())
        self.virtual.configure(self.configuration)
        self.virtual.show()

    async def batch(self, running: bool, pressure: float, speed: float = 2.0) -> list[Event]:
        await self.clock.advance(1.0)
        (device,) = self.configuration.devices
        schema = Schema.of("press-1", "default", self.configuration.version, device.tags)
        batch = Batch(
            schema, self.clock.time_ns(), self.clock.mono_ns(), (running, pressure, speed), b"\0\0\0"
        )
        events = list(self.control.on_batch(batch))
        result = self.virtual.take(batch)
        for derived in result.batches if result is not None else ():
            events += self.control.on_batch(derived)
        return events

    def reason(self, window: str) -> str:
        (row,) = [row for row in self.control.rows(self.clock.mono_ns()) if row["name"] == window]
        return str(row["reason"])


async def test_a_suppression_names_the_condition_as_it_was_written(tmp_path: Path) -> None:
    agent = Running(tmp_path, FILES)
    await agent.batch(True, 0.1)
    assert agent.reason("press-1.pressure") == "(running and derived.presskpa > 300 kPa) is off"
    await agent.batch(True, 0.5)
    assert agent.reason("press-1.pressure") == (
        "(running and derived.presskpa > 300 kPa) is on for less than 5 s"
    )
    events = await agent.batch(False, 0.1)
    assert agent.reason("press-1.speed") == "press-1.running is off"
    assert agent.reason("derived.presskpa") == "(press-1.running and press-1.speed > 1 [m/s]) is off"
    told = [event.detail["reason"] for event in events if event.kind == "window_suppressed"]
    assert told and not any("when." in reason for reason in told)
    rows = json.dumps([*agent.control.rows(agent.clock.mono_ns())])
    assert "when." not in rows


async def test_after_a_reload_it_is_the_condition_that_is_now_in_force(tmp_path: Path) -> None:
    agent = Running(tmp_path, FILES)
    await agent.batch(True, 0.1)
    agent.reload(FILES | {"devices.d/press-1.yaml": DEVICE.replace("300 kPa", "200 kPa")})
    await agent.batch(True, 0.1)
    assert agent.reason("press-1.pressure") == "(running and derived.presskpa > 200 kPa) is off"


async def test_hidden_tags_are_listed_nowhere(tmp_path: Path) -> None:
    agent = Running(tmp_path, FILES)
    await agent.batch(True, 0.1)
    now = agent.clock.time_ns(), agent.clock.mono_ns()
    (device,) = agent.board.snapshot(*now, tags=True)["devices"]
    (group,) = device["groups"]
    assert [row["tag"] for row in group["values"]] == ["presskpa"]
    assert group["tags"] == 1 and group["quality"] == {"good": 1, "uncertain": 0, "bad": 0, "stale": 0}
    row = agent.board.devices["derived"]
    assert len(row.groups["press-1.default"].schema.names) == 3  # stored and sent all the same
    web = agent.configuration.web.__class__("", 0, "all", 100)
    groups = [(row, one) for one in row.groups.values()]
    selection = Selector().choose(agent.board, web, groups, 0, list)
    assert [labels[:2] for _, _, labels in selection.columns[0]] == [("derived", "presskpa")]
    await agent.clock.advance(60.0)
    later = agent.clock.time_ns(), agent.clock.mono_ns()
    assert agent.board.snapshot(*later)["devices"][0]["groups"][0]["quality"]["stale"] == 1


def test_a_condition_is_the_tag_that_stands_for_it() -> None:
    one, same = ConditionRef("derived", "when.w", "a\n  and b"), TagRef("derived", "when.w")
    assert one == same and same == one and hash(one) == hash(same) and {same: 1}[one] == 1
    assert one != TagRef("derived", "when.v") and one != "(a and b)"
    assert str(one) == "(a and b)" and str(pickle.loads(pickle.dumps(one))) == "(a and b)"
    assert len(str(ConditionRef("d", "t", "long " * 50))) == 82


def test_blanks_in_a_condition_make_no_other_version(tmp_path: Path) -> None:
    changed = FILES | {"devices.d/press-1.yaml": DEVICE.replace("and   derived", "and derived")}
    plain = load(write(tmp_path / "a", FILES), plugins=FakePlugins(), environ={})
    again = load(write(tmp_path / "b", changed), plugins=FakePlugins(), environ={})
    assert plain.version == again.version


def test_a_total_names_the_standards_of_the_windows_that_judge_it() -> None:
    def window(tag: str, *standards: str) -> Window:
        return Window(f"derived.{tag}", TagRef("derived", tag), high=3.2, standards=standards)

    windows = [
        window("kwh_per_kg.day", "park-2026@3", "group@1"),
        window("kwh_per_kg.month", "sector@9"),
        window("electricity.day", "group@1"),
        Window("press-1.pressure", TagRef("press-1", "kwh_per_kg.day"), high=1, standards=("other@1",)),
    ]
    columns = {"electricity": {"value": 9.0}, "kwh_per_kg": {"value": 3.0}}
    total = Event(
        "period_total", "derived", 0, 0, "v", {"period": "day", "columns": columns, "standards": []}
    )
    judged = judged_by(total, windows)
    assert judged.detail["standards"] == ["group@1", "park-2026@3"]
    assert judged.detail["columns"] == columns
    other = Event("counter_reset", "meters-1.gas", 0, 0, "v", {})
    assert judged_by(other, windows) is other

"""The page on guarded writes, compared with the program: reasons and their order, keys, kinds of events."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from edge_agent.config import load
from edge_agent.config.writes_shapes import HeartbeatFile, OutputFile, WriteFile, WritingFile
from edge_agent.control.guard import Reason
from tests.docs.markdown import CHINESE, ROOT, codes, page

GUARD = ROOT / "edge_agent" / "control" / "guard"
TAGS = """name,address,type,unit,scale
remote,co:0,bool,,
interlocks_closed,co:1,bool,,
zone1_temperature,hr:0,int16,degC,0.1
zone1_setpoint,hr:1,int16,degC,0.1
agent_beat,hr:2,uint16,,
horn,co:2,bool,,
"""


@pytest.mark.parametrize("ending", [".md", CHINESE])
def test_every_reason_in_the_order_in_which_it_is_judged(ending: str) -> None:
    tables = page(ROOT / "docs" / f"writes{ending}").tables()
    known = [str(reason) for reason in Reason]
    columns = [[key for row in table for key in codes(row[0])] for table in tables]
    told = [key for column in columns if {"writes_off", "unreadable"} & set(column) for key in column]
    assert told == known


@pytest.mark.parametrize("ending", [".md", CHINESE])
@pytest.mark.parametrize("model", [WritingFile, OutputFile, HeartbeatFile, WriteFile])
def test_every_key(model: type[WriteFile], ending: str) -> None:
    tables = page(ROOT / "docs" / f"writes{ending}").tables()
    shown = [[key for row in table for key in codes(row[0])] for table in tables]
    assert list(model.model_fields) in shown


@pytest.mark.parametrize("name", ["wire-format.md", f"wire-format{CHINESE}"])
def test_every_kind_of_event(name: str) -> None:
    made = {kind for file in GUARD.glob("*.py") for kind in re.findall(r'"(write_\w+)"', file.read_text())}
    told = {key for table in page(ROOT / "docs" / name).tables() for row in table for key in codes(row[0])}
    assert made <= told


@pytest.mark.parametrize("ending", [".md", CHINESE])
def test_the_examples_are_sound(ending: str, tmp_path: Path) -> None:
    examples = [b.text for b in page(ROOT / "docs" / f"writes{ending}").blocks if b.language == "yaml"]
    device, agent = examples
    for folder in ("devices.d", "tags.d"):
        (tmp_path / folder).mkdir()
    head = "device: press-1\ndriver: modbus\nlink: tcp://10.0.0.1\nstation: 1\n"
    (tmp_path / "devices.d" / "press-1.yaml").write_text(head + device)
    (tmp_path / "tags.d" / "press-1.csv").write_text(TAGS)
    (tmp_path / "edge-agent.yaml").write_text("line: press-line-1\nstate_dir: state\n" + agent)
    writing = load(tmp_path, environ={}).writing
    assert len(writing.writables) == 3 and len(writing.outputs) == 1
    assert yaml.safe_load(agent)["writing"]["level"] == "setpoint"

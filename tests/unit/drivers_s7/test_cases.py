"""Walks tests/cases/s7: what a technician wrote, what the controller holds, what must come out.

``case.yaml``: ``settings``, ``memory`` (data block: hex bytes), ``tags`` (name: [address, type]), then
``expect`` (name: value, or a quality's name where it is bad) or ``problems`` (tag and code, in order). The
controller is python-snap7's server.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.s7 import PLUGIN
from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, Value, ValueType

from .plc import Snap7Plc, connected, read, settings_for

CASES = sorted((Path(__file__).parents[2] / "cases" / "s7").iterdir())


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    case: dict[str, Any] = yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))
    keys = case.get("settings", {})
    tags = [Tag(name, address, ValueType(kind)) for name, (address, kind) in case["tags"].items()]
    problems = PLUGIN.check(settings_for(1, **keys), tags)
    assert [f"{p.path[1]} {p.code}" for p in problems] == case.get("problems", [])
    if "expect" not in case:
        return
    plc = Snap7Plc({db: bytes.fromhex(text) for db, text in case["memory"].items()})
    settings = settings_for(plc.start(), **keys)
    try:
        async with connected(settings) as (link, limits):
            columns = await read(link, settings, tags, limits)
    finally:
        await plc.stop()
    assert outcome(tags, columns) == {name: wanted(case["expect"][name], tags, name) for name in case["tags"]}


def outcome(tags: list[Tag], columns: Columns) -> dict[str, Value]:
    return {
        tag.name: value if quality == Quality.GOOD else Quality(quality).name
        for tag, value, quality in zip(tags, columns.values, columns.quality, strict=True)
    }


def wanted(value: Value, tags: list[Tag], name: str) -> Value:
    """A decimal in the file means the nearest float32 where the tag is one."""
    (tag,) = (tag for tag in tags if tag.name == name)
    if tag.type is ValueType.FLOAT32 and isinstance(value, float):
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    return value


def test_there_are_cases() -> None:
    assert len(CASES) >= 8

"""Walks tests/cases/s7: what a technician wrote, what the controller holds, what must come out.

``case.yaml``: ``settings``, ``memory`` (data block or area: hex bytes), ``tags`` (name: [address, type] and
perhaps an encoding), ``array`` (name: [address, type, elements]), then ``expect`` (name: value, or the
quality where it is bad; uncertain values as [value, quality]) and ``problems`` (tag or key, and code, in
order). The controller is python-snap7's server, and the simulated one where it must be in a state (``cpu``)
or have limits (``plc``) that the former cannot have.
"""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.s7 import PLUGIN
from edge_agent.driver import Columns
from edge_agent.model import Quality, Tag, Value, ValueType
from hardware_mocks.process import Process
from hardware_mocks.s7 import S7Server
from hardware_mocks.s7areas import COUNTERS, INPUTS, MEMORY, OUTPUTS, TIMERS

from .plc import Snap7Plc, connected, read, settings_for

CASES = sorted((Path(__file__).parents[2] / "cases" / "s7").iterdir())
AREAS = {"M": MEMORY, "I": INPUTS, "Q": OUTPUTS, "T": TIMERS, "C": COUNTERS}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    case: dict[str, Any] = yaml.safe_load((folder / "case.yaml").read_text(encoding="utf-8"))
    keys = case.get("settings", {})
    tags = [tag_of(name, *row) for name, row in case.get("tags", {}).items()]
    for name, (address, kind, count) in case.get("array", {}).items():
        first = tag_of(name, address, kind)
        addresses = PLUGIN.elements(settings_for(1, **keys), first, count)  # type: ignore[misc]
        tags += [tag_of(f"{name}[{at}]", address, kind) for at, address in enumerate(addresses)]
    problems = PLUGIN.check(settings_for(1, **keys), tags)
    found = [f"{p.path[1] if p.path[0] == 'tags' else p.path[0]} {p.code}" for p in problems]
    assert found == case.get("problems", [])
    if "expect" not in case:
        return
    async with controller(case) as port:
        settings = settings_for(port, **keys)
        async with connected(settings) as (link, limits):
            columns = await read(link, settings, tags, limits)
    assert outcome(tags, columns) == {tag.name: wanted(case["expect"][tag.name], tag) for tag in tags}


def tag_of(name: str, address: str, kind: str, encoding: str = "") -> Tag:
    """``kind`` as the type column writes it."""
    match = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", kind)
    assert match is not None, kind
    wire, length = match[1], int(match[2] or 0)
    if wire in PLUGIN.types:
        kind = PLUGIN.types[wire]
    else:
        kind, wire = ValueType(wire), ""
    if kind is not ValueType.STRING:
        length = 1
    return Tag(name, address, kind, length=length, wire=wire, encoding=encoding)


@asynccontextmanager
async def controller(case: Mapping[str, Any]) -> AsyncIterator[int]:
    memory = {where: bytes.fromhex(text) for where, text in case["memory"].items()}
    if not {"cpu", "plc"} & set(case):
        plc = Snap7Plc(memory)
        try:
            yield plc.start()
        finally:
            await plc.stop()
        return
    server = S7Server(Process(1), **case.get("plc", {}))
    server.state_list.running = case.get("cpu") != "STOP"
    for where, data in memory.items():
        if isinstance(where, str):
            server.areas.areas[AREAS[where]][: len(data)] = data
        else:
            server.areas.blocks[where] = bytearray(data)
    await server.start()
    try:
        yield server.port
    finally:
        await server.close()


def outcome(tags: list[Tag], columns: Columns) -> dict[str, object]:
    return {
        tag.name: _cell(value, Quality(quality))
        for tag, value, quality in zip(tags, columns.values, columns.quality, strict=True)
    }


def _cell(value: Value, quality: Quality) -> object:
    if quality is Quality.GOOD:
        return value
    return quality.name if value is None else [value, quality.name]


def wanted(value: object, tag: Tag) -> object:
    """A decimal in the file means the nearest float32 where the tag is one."""
    if tag.type is ValueType.FLOAT32 and isinstance(value, float):
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    return value


def test_there_are_cases() -> None:
    assert len(CASES) >= 25

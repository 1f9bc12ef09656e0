"""Walks tests/cases/modbus: each folder is a device, its tags, what the PLC holds and what must come out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.modbus import PLUGIN
from drivers.modbus.link import ModbusTcpLink
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Columns, Plan
from edge_agent.errors import Refused, Replan, StationSilent
from edge_agent.model import Quality, Tag, ValueType

FOLDER = Path(__file__).parents[2] / "cases" / "modbus"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/case.yaml"))
TABLES = {1: "co", 2: "di", 3: "hr", 4: "ir"}


class Image:
    """What the fake PLC holds, and its answers."""

    def __init__(self, plc: dict[str, Any]) -> None:
        self._plc = plc
        self._places = {
            (table, int(start) + index): int(value)
            for table in TABLES.values()
            for start, values in plc.get(table, {}).items()
            for index, value in enumerate(values)
        }

    def answer(self, request: bytes, reply: Callable[..., bytes]) -> list[bytes]:
        table, start = TABLES[request[7]], int.from_bytes(request[8:10], "big")
        count = int.from_bytes(request[10:12], "big")
        places = [self._held(table, start + index) for index in range(count)]
        if self._plc.get("unreachable"):
            return [_exception(request, 11)]
        if count > self._plc.get("max_count", 2000):
            return [_exception(request, 3)]
        if None in places:
            return [_exception(request, 2)]
        if table in ("hr", "ir"):
            return [reply(request, b"".join(place.to_bytes(2, "big") for place in places))]
        packed = sum((place & 1) << index for index, place in enumerate(places))
        return [reply(request, packed.to_bytes((count + 7) // 8, "little"))]

    def _held(self, table: str, place: int) -> Any:
        return self._places.get((table, place), place if self._plc.get("echo") else None)


def _exception(request: bytes, code: int) -> bytes:
    return request[:4] + b"\0\3" + bytes([request[6], request[7] | 0x80, code])


def test_there_are_cases() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("name", CASES)
async def test_case(name: str, peer: Any, reply: Callable[..., bytes]) -> None:
    case = yaml.safe_load((FOLDER / name / "case.yaml").read_text(encoding="utf-8"))
    expect = case["expect"]
    settings = ModbusSettings.model_validate({"link": f"tcp://127.0.0.1:{peer.port}", **case["device"]})
    tags = [Tag(t[0], t[1], ValueType(t[2]), byte_order=t[3] if len(t) > 3 else "") for t in case["tags"]]
    problems = PLUGIN.check(settings, tags)
    for warning, key in ((False, "problems"), (True, "warnings")):
        found = [[p.code, *p.path[1:]] for p in problems if p.warning is warning]
        assert found == expect.get(key, []), case["about"]
    if "problems" in expect:
        return
    image = Image(case["plc"])
    peer.script = lambda request: image.answer(request, reply)
    columns, plan, rounds = await _read(settings, tags)
    assert dict(zip([t.name for t in tags], columns.values, strict=True)) == expect["values"], case["about"]
    qualities = {tag.name: Quality(q).name for tag, q in zip(tags, columns.quality, strict=True) if q}
    assert qualities == expect.get("quality", {}), case["about"]
    if "requests" in expect:
        assert [request.text for request in plan.requests] == expect["requests"], case["about"]
    assert rounds <= expect.get("rounds", 20), case["about"]
    assert peer.connections == 1


async def _read(settings: ModbusSettings, tags: list[Tag]) -> tuple[Columns, Plan, int]:
    """One poll as the supervisor does it, with plans made anew until nothing more is learned."""
    link = ModbusTcpLink(settings)
    try:
        await link.connect()
        learned, limits = None, await link.enrol(settings)
        for rounds in range(1, 21):
            plan = PLUGIN.plan(settings, tags, limits, learned)
            replies = [await _exchange(link, request) for request in plan.requests]
            lessons = [answer.learned for answer in replies if isinstance(answer, Replan)]
            if not lessons:
                return plan.decode(replies), plan, rounds
            learned = lessons[-1]
    finally:
        await link.close()
    pytest.fail("the plan never settled")


async def _exchange(link: ModbusTcpLink, request: Any) -> Any:
    try:
        async with asyncio.timeout(3):
            return await link.exchange(request)
    except Replan as lesson:
        return lesson
    except Refused:
        return Quality.BAD_ADDRESS
    except StationSilent:
        return Quality.BAD_COMM

"""Walks tests/cases/modbus: each folder is a device, its tags, what the PLC holds and what must come out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Columns, Link, Plan
from edge_agent.errors import Busy, Refused, Replan, StationSilent
from edge_agent.model import Quality, Tag, ValueType

FOLDER = Path(__file__).parents[2] / "cases" / "modbus"
CASES = {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*/case.yaml"))
}
_COLUMNS = ("name", "address", "type", "byte_order")
TABLES = {1: "co", 2: "di", 3: "hr", 4: "ir"}


class Image:
    """What the fake PLC holds, and its answers: request PDU -> reply PDU."""

    def __init__(self, plc: dict[str, Any]) -> None:
        self._plc = plc
        self._busy = plc.get("busy", 0)
        self._places = {
            (table, int(start) + index): value
            for table in TABLES.values()
            for start, values in plc.get(table, {}).items()
            for index, value in enumerate(_image(values))
        }

    def answer(self, station: int, pdu: bytes) -> bytes:
        function, start, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        table = TABLES[function]
        refusal = self._refusal(station, table, range(start, start + count))
        if refusal:
            return bytes([function | 0x80, refusal])
        places = [self._held(table, place) for place in range(start, start + count)]
        if function > 2:
            data = b"".join(place.to_bytes(2, "big") for place in places)
        else:
            bits = sum((place & 1) << index for index, place in enumerate(places))
            data = bits.to_bytes((count + 7) // 8, "little")
        return bytes([function, len(data)]) + data

    def _refusal(self, station: int, table: str, places: range) -> int:
        """The code of the exception, 0 for none."""
        if station != self._plc.get("station", station):
            return 11
        if table in self._plc.get("unknown", ()):
            return 1
        self._busy -= 1
        if self._busy >= 0:
            return 6
        for start, code in self._plc.get("exceptions", {}).get(table, {}).items():
            if int(start) in places:
                return int(code)
        if len(places) > self._plc.get("max_count", 2000):
            return 3
        for first, last in self._plc.get("trap", {}).get(table, ()):
            assert last < places.start or first >= places.stop, f"{table}:{first}-{last} was touched"
        return 2 if any(self._held(table, place) is None for place in places) else 0

    def _held(self, table: str, place: int) -> Any:
        return self._places.get((table, place), place if self._plc.get("echo") else None)


def _image(values: Any) -> Iterator[int]:
    """Numbers of registers or bits; a string of hexadecimal digits is the bytes on the wire."""
    if not isinstance(values, str):
        yield from (int(value) for value in values)
        return
    data = bytes.fromhex(values)
    yield from (int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2))


Framing = Callable[[bytes], tuple[int, int, bytes, Callable[[bytes], bytes]] | None]
"""Received bytes -> length of the first request, station, PDU, and how to frame its reply; None: wait."""


def mbap(data: bytes) -> tuple[int, int, bytes, Callable[[bytes], bytes]] | None:
    if len(data) < 12:
        return None
    head, station = data[:4], data[6]
    return (
        12,
        station,
        data[7:12],
        lambda pdu: head + (len(pdu) + 1).to_bytes(2, "big") + bytes([station]) + pdu,
    )


def rtu(data: bytes) -> tuple[int, int, bytes, Callable[[bytes], bytes]] | None:
    if len(data) < 8:
        return None
    assert _crc(data[:6]) == data[6:8], f"bad CRC in {data.hex(' ')}"
    station = data[:1]
    return 8, data[0], data[1:6], lambda pdu: station + pdu + _crc(station + pdu)


def ascii_(data: bytes) -> tuple[int, int, bytes, Callable[[bytes], bytes]] | None:
    end = data.find(b"\r\n")
    if end < 0:
        return None
    frame = bytes.fromhex(data[1:end].decode())
    assert data[:1] == b":" and sum(frame) % 256 == 0, f"bad LRC in {data!r}"

    def framed(pdu: bytes) -> bytes:
        body = frame[:1] + pdu
        return b":" + (body + bytes([-sum(body) % 256])).hex().upper().encode() + b"\r\n"

    return end + 2, frame[0], frame[1:-1], framed


def _crc(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


FRAMINGS: dict[str, Framing] = {"tcp": mbap, "rtu+tcp": rtu, "ascii+tcp": ascii_}


class Plc(asyncio.Protocol):
    """One connection to the image."""

    def __init__(self, image: Image, framing: Framing, faults: list[str]) -> None:
        self._image, self._framing, self._faults = image, framing, faults
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        try:
            while found := self._framing(self._rest):
                length, station, pdu, framed = found
                self._rest = self._rest[length:]
                self._transport.write(framed(self._image.answer(station, pdu)))
        except AssertionError as fault:
            self._faults.append(str(fault))
            self._transport.abort()


RUNS = [(name, scheme) for name, case in CASES.items() for scheme in case.get("transports", ["tcp"])]


def test_there_are_cases() -> None:
    assert len(CASES) >= 40
    assert {scheme for _, scheme in RUNS} == set(FRAMINGS)


@pytest.mark.parametrize(("name", "scheme"), RUNS)
async def test_case(name: str, scheme: str) -> None:
    case = CASES[name]
    expect, image, faults = case["expect"], Image(case.get("plc", {})), []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Plc(image, FRAMINGS[scheme], faults), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        settings = ModbusSettings.model_validate({"link": f"{scheme}://127.0.0.1:{port}", **case["device"]})
        tags = list(_tags(settings, case["tags"]))
        _assert_problems(settings, tags, expect)
        if "problems" in expect:
            return
        columns, plan, rounds = await _read(settings, tags)
    finally:
        server.close()
        await server.wait_closed()
    assert not faults
    assert dict(zip([t.name for t in tags], columns.values, strict=True)) == expect["values"], case["about"]
    assert [type(v) for v in columns.values] == [type(v) for v in expect["values"].values()]
    qualities = {tag.name: Quality(q).name for tag, q in zip(tags, columns.quality, strict=True) if q}
    assert qualities == expect.get("quality", {}), case["about"]
    if "requests" in expect and scheme == case.get("transports", ["tcp"])[0]:
        assert [request.text for request in plan.requests] == expect["requests"], case["about"]
    assert rounds <= expect.get("rounds", 20), case["about"]


def _assert_problems(settings: ModbusSettings, tags: list[Tag], expect: dict[str, Any]) -> None:
    problems = PLUGIN.check(settings, tags)
    for warning, key in ((False, "problems"), (True, "warnings")):
        found = [[p.code, *p.path[1:]] for p in problems if p.warning is warning]
        assert found == expect.get(key, [])
    for problem in problems:
        assert problem.message.en and problem.cure.en
        assert re.search(r"[\u4e00-\u9fff]", problem.message.zh + problem.cure.zh), problem


def _tags(settings: ModbusSettings, rows: list[Any]) -> Iterator[Tag]:
    """``[name, address, type, byte order]`` or a mapping; ``type[n]`` is an array, or a string's length."""
    for row in rows:
        keys = dict(row) if isinstance(row, dict) else dict(zip(_COLUMNS, row, strict=False))
        kind, number = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", keys.pop("type")).groups()
        if kind in PLUGIN.types:
            keys |= {"type": PLUGIN.types[kind], "wire": kind}
        else:
            keys["type"] = ValueType(kind)
        if kind == "string":
            yield Tag(**keys, length=int(number or 1))
        elif number is None:
            yield Tag(**keys)
        else:
            for index, address in enumerate(PLUGIN.elements(settings, Tag(**keys), int(number))):
                yield Tag(**{**keys, "name": f"{keys['name']}[{index}]", "address": address})


async def _read(settings: ModbusSettings, tags: list[Tag]) -> tuple[Columns, Plan, int]:
    """One poll as the supervisor does it, with plans made anew until nothing more is learned."""
    link = PLUGIN.open_link(settings)
    async with aclosing(_Closing(link)):
        await link.connect()
        learned, limits = None, await link.enrol(settings)
        for rounds in range(1, 41):
            plan = PLUGIN.plan(settings, tags, limits, learned)
            replies = [await _exchange(link, request) for request in plan.requests]
            lessons = [answer.learned for answer in replies if isinstance(answer, Replan)]
            if not lessons:
                return plan.decode(replies), plan, rounds
            learned = lessons[-1]
    pytest.fail("the plan never settled")


class _Closing:
    def __init__(self, link: Link) -> None:
        self.aclose = link.close


async def _exchange(link: Link, request: Any) -> Any:
    try:
        async with asyncio.timeout(3):
            return await link.exchange(request)
    except Replan as lesson:
        return lesson
    except Refused as error:
        return Quality.BAD_ADDRESS if error.reason == "illegal_address" else Quality.BAD_DEVICE
    except StationSilent:
        return Quality.BAD_COMM
    except Busy:
        return await _exchange(link, request)

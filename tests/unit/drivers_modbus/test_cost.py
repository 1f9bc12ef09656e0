"""Bytes and seconds of a request, against numbers worked out by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.driver import Request
from edge_agent.model import Tag, ValueType


def requests(link: str, count: int = 20, **keys: Any) -> tuple[Request, ...]:
    settings = ModbusSettings.model_validate({"link": link, **keys})
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in range(count)]
    return PLUGIN.plan(settings, tags, None, None).requests


@pytest.mark.parametrize(
    ("link", "size"),
    [
        ("tcp://plc", 12 + 9 + 40),
        ("rtu+tcp://plc:4001", 8 + 5 + 40),
        ("ascii+tcp://plc:4001", 17 + 11 + 80),
        ("rtu:///dev/ttyUSB0", 8 + 5 + 40),
        ("ascii:///dev/ttyS0", 17 + 11 + 80),
    ],
)
def test_bytes(link: str, size: int) -> None:
    (request,) = requests(link)
    assert request.size_bytes == size


CHARACTER_S = 11 / 9600
TURN_S = 0.001  # this computer, or gateway and network
SILENCE_S = 3.5 * CHARACTER_S


@pytest.mark.parametrize(
    ("link", "keys", "seconds"),
    [
        ("rtu:///dev/ttyS0", {"baud": 9600}, 53 * CHARACTER_S + SILENCE_S + 0.010),
        ("rtu:///dev/ttyS0", {"baud": 9600, "parity": "none"}, (53 * 10 + 3.5 * 10) / 9600 + 0.010),
        (
            "rtu:///dev/ttyS0",
            {"baud": 9600, "parity": "none", "stop_bits": 2},
            53 * CHARACTER_S + SILENCE_S + 0.010,
        ),
        ("rtu:///dev/ttyS0", {"baud": 9600, "response_time": "0ms"}, 53 * CHARACTER_S + 2 * SILENCE_S),
        ("rtu:///dev/ttyS0", {"baud": 115200}, 53 * 11 / 115200 + 0.001_75 + 0.010),
        ("rtu:///dev/ttyUSB0", {"baud": 9600}, 53 * CHARACTER_S + SILENCE_S + 0.010 + 0.016),
        (
            "rtu:///dev/serial/by-id/usb-FTDI-if00",
            {"baud": 9600, "usb_latency": "1ms"},
            53 * CHARACTER_S + SILENCE_S + 0.010 + 0.001,
        ),
        (
            "rtu:///dev/ttyS0",
            {"baud": 9600, "turnaround": "30ms"},
            53 * CHARACTER_S + 0.030 + 0.010,
        ),
        (
            "ascii:///dev/ttyS0",
            {"baud": 9600, "data_bits": 7},
            (17 + 11 + 80) * 10 / 9600 + 0.010,
        ),
        ("tcp://gateway", {"baud": 9600}, 53 * CHARACTER_S + SILENCE_S + 0.010),
        ("rtu+tcp://gateway:4001", {"baud": 9600}, 53 * CHARACTER_S + SILENCE_S + 0.010),
    ],
)
def test_seconds_on_a_bus(link: str, keys: dict[str, Any], seconds: float) -> None:
    (request,) = requests(link, **keys)
    assert request.cost_s == pytest.approx(seconds + TURN_S, rel=1e-6)


@pytest.mark.parametrize(
    ("link", "keys", "response_s"),
    [
        ("tcp://plc", {}, 0.004),
        ("tcp://plc", {"response_time": "50ms"}, 0.050),
        ("rtu+tcp://gateway:4001", {}, 0.004),
    ],
)
def test_seconds_on_ethernet(link: str, keys: dict[str, Any], response_s: float) -> None:
    (request,) = requests(link, **keys)
    assert request.cost_s == pytest.approx(response_s + 40 * 0.000_02)


def test_a_slow_device_makes_wider_gaps_worth_reading_over() -> None:
    def reads(gap: int, **keys: Any) -> int:
        settings = ModbusSettings.model_validate({"link": "rtu:///dev/ttyS0", "baud": 9600, **keys})
        tags = [Tag("a", "hr:0", ValueType.UINT16), Tag("b", f"hr:{gap + 1}", ValueType.UINT16)]
        return len(PLUGIN.plan(settings, tags, None, None).requests)

    quick = (13 * CHARACTER_S + SILENCE_S + 0.010 + TURN_S) / (2 * CHARACTER_S)
    assert (reads(int(quick)), reads(int(quick) + 1)) == (1, 2)
    assert reads(int(quick) + 20, response_time="100ms") == 1


@pytest.mark.parametrize("scheme", ["rtu", "ascii"])
def test_neighbours_in_time_look_different_where_replies_carry_no_transaction(scheme: str) -> None:
    """A reply that comes one request late must not fit the next request."""
    settings = ModbusSettings.model_validate({"link": f"{scheme}:///dev/ttyS0", "max_gap": 0, "baud": 9600})
    places = [0, 10, 20, 25, 31, 32, 41, 42, 50, 51]
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in places]
    plan = PLUGIN.plan(settings, tags, None, None)
    sizes = [request.body.size for request in plan.requests]
    assert sorted(sizes) == [2, 2, 2, 2, 4, 4, 4]
    assert all(before != after for before, after in pairwise(sizes))
    image = {n: n.to_bytes(2, "big") for n in range(60)}
    replies = [
        b"".join(image[n] for n in range(r.body.offset, r.body.offset + r.body.count)) for r in plan.requests
    ]
    assert plan.decode(replies).values == tuple(places)

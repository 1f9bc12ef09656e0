"""What a poll is predicted to take, against the simulated bus, on which every character takes its time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.model import Tag, ValueType
from hardware_mocks.modbus_serial import ModbusSerialServer

TOLERANCE = 0.10
STATION = 7
PLACES = [*range(20), 60, 61, *range(150, 175), 300]


class OwnAddresses:
    """Every register holds its own address."""

    def registers(self, table: str, start: int, count: int) -> bytes:
        return b"".join(place.to_bytes(2, "big") for place in range(start, start + count))

    def bits(self, table: str, start: int, count: int) -> list[bool]:
        return [False] * count

    def write_registers(self, start: int, values: list[int]) -> bool:
        return False

    def write_bits(self, start: int, values: list[bool]) -> bool:
        return False


@pytest.mark.parametrize(
    ("framing", "latency_s", "keys"),
    [
        ("rtu", 0.010, {"baud": 9600}),
        ("rtu", 0.040, {"baud": 9600, "response_time": "40ms"}),
        ("rtu", 0.026, {"baud": 9600, "turnaround": "20ms", "usb_latency": "16ms"}),
        ("rtu", 0.030, {"baud": 38400, "parity": "none", "stop_bits": 2, "response_time": "30ms"}),
        ("ascii", 0.005, {"baud": 19200, "response_time": "5ms"}),
    ],
    ids=["9600", "9600, slow device", "9600, USB, turnaround", "38400", "ASCII"],
)
async def test_a_poll_takes_what_was_predicted(framing: str, latency_s: float, keys: dict[str, Any]) -> None:
    bus = ModbusSerialServer(
        {STATION: OwnAddresses()}, framing=framing, baud=keys["baud"], latency_s=latency_s
    )
    await bus.start()
    settings = ModbusSettings.model_validate({"link": f"{framing}://{bus.place}", "station": STATION, **keys})
    tags = [Tag(f"t{n}", f"hr:{n}", ValueType.UINT16) for n in PLACES]
    link = PLUGIN.open_link(settings)
    loop, polls_s = asyncio.get_running_loop(), []
    try:
        await link.connect()
        plan = PLUGIN.plan(settings, tags, await link.enrol(settings), None)
        assert len(plan.requests) >= 3
        for _ in range(4):  # the least disturbed: other work on this computer is not the bus's
            start_s = loop.time()
            async with asyncio.timeout(10):
                replies = [await link.exchange(request) for request in plan.requests]
            polls_s.append(loop.time() - start_s)
    finally:
        await link.close()
        await bus.close()
    assert plan.decode(replies).values == tuple(PLACES)
    predicted_s = sum(request.cost_s for request in plan.requests)
    assert predicted_s == pytest.approx(min(polls_s[1:]), rel=TOLERANCE), f"measured {polls_s}"

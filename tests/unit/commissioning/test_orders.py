"""Which reading of an address looks like a process value."""

from __future__ import annotations

import struct

import pytest

from drivers.modbus.probe import ModbusProber
from edge_agent.commissioning import Reading, plausible, readings, runs, trials
from edge_agent.settings import Record

SETTINGS = Record({"forbidden": (), "station": 1, "byte_order": "ABCD", "link": "tcp://127.0.0.1:502"})


def read(*registers: int) -> list[Reading]:
    prober = ModbusProber()
    cells = prober.cells(SETTINGS, "hr:0", 0, len(registers) - 1)
    return readings(prober, SETTINGS, runs(prober, SETTINGS, cells, list(registers)))


def registers(value: float, order: str) -> tuple[int, ...]:
    packed = struct.pack(">f", value)
    return struct.unpack(">HH", bytes(packed["ABCD".index(letter)] for letter in order))


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize("value", [23.7, 415.25, -12.5, 0.385])
@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_the_right_order_and_base_are_first(order: str, value: float, shift: int) -> None:
    before = [0xFFFF] * (3 + shift)
    found = trials(read(*before, *registers(value, order), 0xFFFF, 0xFFFF, 0xFFFF), ("hr", 3), 1, "float32")
    best = found[0]
    assert (best.reading.type, best.reading.order, best.shift) == ("float32", order, shift)
    assert best.reading.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("type_name", "size", "value", "word"),
    [
        ("float32", 4, 23.7, "typical"),
        ("float32", 4, float("nan"), "NaN"),
        ("float32", 4, float("inf"), "NaN"),
        ("float32", 4, 1e-42, "denormal"),
        ("float32", 4, -1.8e25, "huge"),
        ("float32", 4, 0.0, "zero"),
        ("float64", 8, 1e-310, "denormal"),
        ("int32", 4, 237 << 16, "low half"),
        ("bcd16", 2, None, "not a number"),
    ],
)
def test_marks(type_name: str, size: int, value: float | None, word: str) -> None:
    mark = plausible(Reading("400001", type_name, "ABCD", size, value))
    assert word in mark.text.en and mark.text.zh
    assert (mark.score > 0.8) is (word == "typical")

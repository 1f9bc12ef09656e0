"""Addresses of arrays."""

from __future__ import annotations

import pytest

from drivers.modbus import PLUGIN
from drivers.modbus.settings import ModbusSettings
from edge_agent.model import Tag, ValueType

SETTINGS = ModbusSettings(link="tcp://127.0.0.1")


def elements(address: str, kind: str, count: int, length: int = 1) -> list[str]:
    assert PLUGIN.elements is not None
    value = PLUGIN.types.get(kind) or ValueType(kind)
    return list(PLUGIN.elements(SETTINGS, Tag("t", address, value, wire=kind, length=length), count))


@pytest.mark.parametrize(
    ("address", "kind", "length", "expected"),
    [
        ("40001", "int16", 1, ["hr:0", "hr:1", "hr:2"]),
        ("400001", "float32", 1, ["hr:0", "hr:2", "hr:4"]),
        ("ir:10", "uint64", 1, ["ir:10", "ir:14", "ir:18"]),
        ("hr:0x10", "bcd32", 1, ["hr:16", "hr:18", "hr:20"]),
        ("hr:0", "float16", 1, ["hr:0", "hr:1", "hr:2"]),
        ("hr:0", "string", 5, ["hr:0", "hr:3", "hr:6"]),
        ("co:7", "bool", 1, ["co:7", "co:8", "co:9"]),
        ("hr:3.14", "bool", 1, ["hr:3.14", "hr:3.15", "hr:4.0"]),
        ("hr:3.h", "uint8", 1, ["hr:3.h", "hr:3.l", "hr:4.h"]),
        ("hr:3.l", "int8", 1, ["hr:3.l", "hr:3.h", "hr:4.l"]),
    ],
)
def test_elements_follow_each_other(address: str, kind: str, length: int, expected: list[str]) -> None:
    assert elements(address, kind, 3, length) == expected


def test_every_element_passes_check() -> None:
    for address, kind in (("hr:3.14", "bool"), ("hr:3.h", "uint8"), ("40001", "bcd64")):
        value = PLUGIN.types.get(kind) or ValueType(kind)
        tags = [Tag(f"t{n}", a, value, wire=kind) for n, a in enumerate(elements(address, kind, 40))]
        assert PLUGIN.check(SETTINGS, tags) == []


@pytest.mark.parametrize(
    ("address", "kind", "most"),
    [
        ("hr:65530", "int16", 6),
        ("hr:65530", "float32", 3),
        ("465534", "int32", 1),
        ("co:65530", "bool", 6),
        ("hr:65535.10", "bool", 6),
        ("hr:65535.h", "uint8", 2),
        ("hr:65530", "string", 2),
    ],
)
def test_past_the_end(address: str, kind: str, most: int) -> None:
    length = 5 if kind == "string" else 1
    assert len(elements(address, kind, most, length)) == most
    with pytest.raises(ValueError, match=r"past the end.*65535, reference 65536") as caught:
        elements(address, kind, most + 1, length)
    assert " = " in str(caught.value), "both notations"


def test_no_address_no_elements() -> None:
    with pytest.raises(ValueError, match="not a Modbus address"):
        elements("hr:x", "int16", 2)
    assert elements("hr:0", "int16", 0) == []

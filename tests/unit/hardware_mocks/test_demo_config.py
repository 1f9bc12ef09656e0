"""The demo configuration names only what the simulated line has."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from hardware_mocks.datablocks import DB1_SIZE
from hardware_mocks.opcua import NAMESPACE, nodes
from hardware_mocks.process import Process
from hardware_mocks.registers import LineUnit

DEMO = Path(__file__).parents[3] / "config" / "demo"
BITS = {"bool": 1, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "float32": 32, "int64": 64}
BITS |= {"uint64": 64, "float64": 64}
OPC_TYPES = {
    "bool": "Boolean",
    "uint32": "UInt32",
    "float32": "Float",
    "float64": "Double",
    "uint64": "UInt64",
}
REFERENCES = {"0": "co", "1": "di", "3": "ir", "4": "hr"}
HEADER = "name,address,type,unit,description,group,scale,offset,byte_order,low,high,metric"


def rows(name: str) -> list[dict[str, str]]:
    text = (DEMO / "tags.d" / name).read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER
    found = list(csv.DictReader(text.splitlines()))
    assert len({row["name"] for row in found}) == len(found)
    return found


@pytest.mark.parametrize("row", rows("press-1.csv"), ids=lambda row: row["name"])
def test_modbus_addresses_exist(row: dict[str, str], process: Process) -> None:
    address = row["address"]
    if ":" in address:
        table, offset = address.split(":")
    else:
        table, offset = REFERENCES[address[0]], str(int(address[1:]) - 1)
    unit = LineUnit(process)
    if table in ("co", "di"):
        assert row["type"] == "bool"
        assert unit.bits(table, int(offset), 1) is not None
    else:
        assert unit.registers(table, int(offset), BITS[row["type"]] // 16) is not None


@pytest.mark.parametrize("row", rows("furnace-1.csv"), ids=lambda row: row["name"])
def test_s7_addresses_exist(row: dict[str, str]) -> None:
    match = re.fullmatch(r"DB1\.DB([XWD])(\d+)(?:\.([0-7]))?", row["address"])
    assert match is not None
    assert {"X": 1, "W": 16, "D": 32}[match[1]] == BITS[row["type"]]
    assert int(match[2]) + BITS[row["type"]] // 8 <= DB1_SIZE


@pytest.mark.parametrize("row", rows("meters-1.csv"), ids=lambda row: row["name"])
def test_opcua_nodes_exist_with_that_type(row: dict[str, str]) -> None:
    prefix = f"nsu={NAMESPACE};s="
    assert row["address"].startswith(prefix)
    name = row["address"].removeprefix(prefix)
    type_name = "UInt32" if name == "Line.Heartbeat" else nodes()[name][0]
    assert OPC_TYPES[row["type"]] == type_name

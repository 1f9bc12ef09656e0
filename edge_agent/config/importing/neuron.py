"""Tag workbooks of Neuron and NeuronEX: one sheet, a row a tag, groups with their interval.

A Modbus address is ``SLAVE!ADDRESS[.BIT][#ENDIAN][.LEN[H|L|D|E]]``. ``#LL`` is the order in which the
standard writes (ABCD), ``#LB`` BADC, ``#BL`` CDAB, ``#BB`` DCBA; without it the setting of the node counts,
here that of the device.
"""

from __future__ import annotations

import re

from edge_agent.config.columns import read_number
from edge_agent.config.importing import s7_words
from edge_agent.config.importing.rows import Imported, ImportedRow, Intake, number_text
from edge_agent.config.importing.sheets import Grid, Record
from edge_agent.settings import Text

NEEDED = ("group", "name", "address", "attribute", "type")
_TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "word": "uint16",
    "int32": "int32", "uint32": "uint32", "dword": "uint32", "int64": "int64", "uint64": "uint64",
    "lword": "uint64", "float": "float32", "double": "float64", "bit": "bool", "bool": "bool",
    "string": "string", "array_char": "char",
}  # fmt: skip
_ORDERS = {"LL": "ABCD", "LB": "BADC", "BL": "CDAB", "BB": "DCBA", "L": "ABCD", "B": "BADC"}
_MODBUS = re.compile(
    r"(\d{1,3})!([0134])(\d{5})(?:\.(\d{1,3})([HLDE]?))?(?:#([LB]{1,2}))?(?:\.(\d{1,3})([HLDE]?))?", re.ASCII
)
_OPCUA = re.compile(r"(\d{1,5})!(.+)", re.ASCII)
_S7 = re.compile(r"(DB\d+\.DB[A-Z]|[IOQFMTC])(\d+)(?:\.(\d+)(D?))?", re.ASCII | re.IGNORECASE)
_BY_COLUMN = {
    "name": "name", "address": "address", "type": "type", "group": "group", "description": "description",
    "scale": "decimal", "offset": "bias", "byte_order": "address",
}  # fmt: skip


def read(grid: Grid, driver: str = "") -> Imported:
    intake = Intake("neuron", grid.source)
    for record in grid.records:
        _row(record, driver, intake)
    intake.not_read(grid.others)
    return intake.done()


def _row(record: Record, driver: str, intake: Intake) -> None:
    name, word = record["name"], record["type"].lower()
    kind = _TYPES.get(word)
    if kind is None:
        reason = Text(
            f"there is no type like '{record['type']}' here", f"没有与 '{record['type']}' 对应的类型"
        )
        intake.refuse(name, record.at("type"), reason)
        return
    attributes = {part.lower() for part in re.split(r"[^A-Za-z]+", record["attribute"]) if part}
    if not attributes & {"read", "subscribe"}:
        reason = Text(
            f"attribute '{record['attribute']}': there is nothing to read",
            f"属性为“{record['attribute']}”，无可读取的值",
        )
        intake.refuse(name, record.at("attribute"), reason)
        return
    found = _address(record["address"], kind, driver)
    if isinstance(found, Text):
        intake.refuse(name, record.at("address"), found)
        return
    address, kind, order, station = found
    cells = {"name": name, "address": address, "type": kind, "byte_order": order}
    cells |= {"scale": "", "offset": ""} | _scaling(record, kind, intake)
    if record["description"]:
        cells["description"] = record["description"]
    interval_ms = read_number(record["interval"])
    period_s = interval_ms / 1000 if interval_ms else None
    columns = record.places(_BY_COLUMN)
    intake.add(name, ImportedRow(cells, record.at("name"), columns, record["group"], period_s, station))


def _scaling(record: Record, kind: str, intake: Intake) -> dict[str, str]:
    """Zero and blank mean none."""
    cells: dict[str, str] = {}
    for column, header, nothing in (("scale", "decimal", (0.0, 1.0)), ("offset", "bias", (0.0,))):
        text = record[header]
        number = read_number(text) if text else 0.0
        if number is None:
            what = Text(f"'{header}'", f"“{header}”")
            reason = Text(f"'{text}' is not a number", f"'{text}' 不是数字")
            intake.leave(record["name"], record.at(header), what, reason)
        elif number not in nothing and not kind.startswith(("bool", "string")):
            cells[column] = number_text(number)
    return cells


def _address(text: str, kind: str, driver: str) -> tuple[str, str, str, int | None] | Text:
    """Address, type, byte order, station; or why there is none."""
    unknown = Text(f"address '{text}' cannot be read", f"无法识别地址 '{text}'")
    if (match := _MODBUS.fullmatch(text)) and driver not in ("opcua", "s7"):
        return _modbus(match, kind)
    if driver in ("", "opcua") and (match := _OPCUA.fullmatch(text)):
        identifier = f"i={match[2]}" if match[2].isdigit() else f"s={match[2]}"
        return f"ns={match[1]};{identifier}", kind, "", None
    if driver in ("", "s7") and (match := _S7.fullmatch(text)):
        return _s7(match, kind) or unknown
    return unknown


def _modbus(match: re.Match[str], kind: str) -> tuple[str, str, str, int | None] | Text:
    if kind == "char":
        return Text(f"'{match[0]}' holds no array of characters", f"'{match[0]}' 不能存放字符数组")
    station, reference = int(match[1]), f"{match[2]}{match[3]}"
    length, form = (match[7], match[8]) if match[7] else (match[4], match[5])
    if not 1 <= int(match[3]) <= 65536 and match[3] != "65536":
        return Text(f"address '{match[0]}' is outside the table", f"地址 '{match[0]}' 超出范围")
    if kind == "string":
        if not length or form in ("D", "E"):
            return (
                Text("a text with one character per register", "每个寄存器一个字符的字符串")
                if length
                else Text("the length of the text is missing", "缺少字符串长度")
            )
        return reference, f"string[{length}]", "" if form == "H" else "BADC", station
    if kind == "bool":
        if match[2] in "01":
            return reference, kind, "", station
        if match[4] is None or int(match[4]) > 15:
            return Text("the bit of the register is missing", "缺少寄存器的位号")
        return f"{reference}.{int(match[4])}", kind, "", station
    if match[2] in "01" or match[4] is not None:
        return Text(f"'{match[0]}' holds no {kind}", f"'{match[0]}' 不能存放 {kind}")
    if kind in ("int8", "uint8"):
        reference += ".l"
    return reference, kind, _ORDERS[match[6]] if match[6] else "", station


def _s7(match: re.Match[str], kind: str) -> tuple[str, str, str, int | None] | None:
    """Neuron writes DBW whatever the width; the type has the width."""
    area, start, last, wide = match[1].upper(), int(match[2]), match[3], match[4]
    area = area.partition(".")[0] if area.startswith("DB") else {"O": "Q", "F": "M"}.get(area, area)
    if area in ("T", "C"):
        return f"{area}{start}", "timer" if area == "T" else "counter", "", None
    if kind in ("string", "char"):
        name = "wstring" if wide else kind
        return s7_words.written(area, start, "string"), f"{name}[{int(last)}]" if last else name, "", None
    if (kind == "bool") != (last is not None):
        return None
    return s7_words.written(area, start, kind, int(last) if last else None), kind, "", None

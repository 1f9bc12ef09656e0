"""PLC tag tables of TIA Portal, exported as xlsx. The contents of data blocks are not in them, only what
stands at an absolute address: inputs, outputs, bit memory, timers, counters."""

from __future__ import annotations

import re

from edge_agent.config.importing import s7_words
from edge_agent.config.importing.rows import Imported, ImportedRow, Intake
from edge_agent.config.importing.sheets import Grid, Record
from edge_agent.settings import Text

NEEDED = ("name", "path", "datatype", "logicaladdress")
_STRING = re.compile(r"(w?string)(?:\[(\d+)\])?", re.IGNORECASE)
_BY_COLUMN = {"name": "name", "address": "logicaladdress", "type": "datatype", "description": "comment"}


def read(grid: Grid, driver: str = "") -> Imported:
    intake = Intake("tia", grid.source)
    for record in grid.records:
        _row(record, intake)
    intake.not_read(grid.others)
    return intake.done()


def _row(record: Record, intake: Intake) -> None:
    name, word, address = record["name"], record["datatype"].strip('"').lower(), record["logicaladdress"]
    text = _STRING.fullmatch(word)
    kind = s7_words.TYPES.get(word) or (
        f"{text[1]}[{text[2]}]" if text and text[2] else text[1] if text else None
    )
    if kind is None:
        reason = Text(
            f"'{record['datatype']}' is a structure or a type of its own; import its elements",
            f"'{record['datatype']}' 是结构或自定义类型，请导入其各个元素",
        )
        intake.refuse(name, record.at("datatype"), reason)
        return
    if address.upper().endswith(":P"):
        reason = Text(
            f"'{address}' is the peripheral itself, which the PLC does not let others read",
            f"'{address}' 是外设直接地址，外部无法读取",
        )
        cure = Text(
            f"Use {address[:-2].lstrip('%')}, the process image.",
            f"请改用过程映像 {address[:-2].lstrip('%')}。",
        )
        intake.refuse(name, record.at("logicaladdress"), reason, cure)
        return
    found = s7_words.read(address, kind)
    if found is None or not address.startswith("%"):
        shown = address or "-"
        reason = Text(f"'{shown}' is not an absolute address", f"'{shown}' 不是绝对地址")
        intake.refuse(name, record.at("logicaladdress"), reason)
        return
    cells = {
        "name": name,
        "address": found[0],
        "type": kind if found[1] not in ("timer", "counter") else found[1],
    }
    if record["comment"]:
        cells["description"] = record["comment"]
    intake.add(name, ImportedRow(cells, record.at("name"), record.places(_BY_COLUMN)))

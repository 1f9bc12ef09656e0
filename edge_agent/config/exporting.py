"""A tag table for Excel and WPS: CSV that they open without garbling, or a workbook that helps to fill it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edge_agent.config.columns import COLUMNS, REQUIRED
from edge_agent.config.importing.merging import BOM, csv_line, set_cell
from edge_agent.config.table import Table
from edge_agent.settings import Text

NOTES: dict[str, Text] = {
    "name": Text(
        "Unique in the device: letters, digits, '_', '-', '.'.", "设备内唯一：文字、数字、'_'、'-'、'.'。"
    ),
    "address": Text(
        "As the driver writes it: 40001, hr:0, DB1.DBD4.", "按驱动的写法：40001、hr:0、DB1.DBD4。"
    ),
    "type": Text(
        "Choose one; float32[4] is an array, string[20] a text.",
        "请选择；float32[4] 为数组，string[20] 为文本。",
    ),
    "unit": Text("Of the engineering value, such as MPa.", "工程值的单位，例如 MPa。"),
    "description": Text("For people.", "供人阅读的说明。"),
    "group": Text("A poll group of the device.", "设备的轮询组。"),
    "scale": Text("Engineering value = raw x scale + offset.", "工程值 = 原始值 × 倍率 + 偏移。"),
    "offset": Text("Engineering value = raw x scale + offset.", "工程值 = 原始值 × 倍率 + 偏移。"),
    "raw_low": Text(
        "Range instead of scale and offset: all four or none.", "用量程代替倍率和偏移：四列都填或都不填。"
    ),
    "raw_high": Text("Range: the raw value at eng_high.", "量程：对应工程上限的原始值。"),
    "eng_low": Text("Range: the engineering value at raw_low.", "量程：对应原始下限的工程值。"),
    "eng_high": Text("Range: the engineering value at raw_high.", "量程：对应原始上限的工程值。"),
    "byte_order": Text("Where it differs from the device's.", "与设备设置不同时填写。"),
    "lolo": Text("Lowest limit of a window.", "窗口的下下限。"),
    "low": Text("Lower limit of a window.", "窗口的下限。"),
    "high": Text("Upper limit of a window.", "窗口的上限。"),
    "hihi": Text("Highest limit of a window.", "窗口的上上限。"),
    "deadband": Text("How far a value must return before the alarm ends.", "报警解除所需的回差。"),
    "quantity": Text("What it measures, for limits handed down.", "测量的物理量，供上级下达的限值查找。"),
    "no_value": Text("Raw numbers that mean 'no value': 65535;0x8000.", "表示“无值”的原始值：65535;0x8000。"),
    "labels": Text("0=stopped;1=running.", "0=停止;1=运行。"),
    "encoding": Text("Of a text: utf-8, gbk.", "文本的编码：utf-8、gbk。"),
    "metric": Text("yes: shown to Prometheus.", "yes：输出到 Prometheus。"),
}
"""What a technician is told at the head of each column."""

_WIDTHS = {"name": 24, "address": 18, "type": 12, "description": 30, "labels": 26}
_ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_SPARE_ROWS = 2000  # below the last tag, for which the drop-downs hold too


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table to write. ``types``, ``groups``: for the drop-downs."""

    name: str
    table: Table
    types: Sequence[str]
    groups: Sequence[str]


def to_csv(table: Table) -> bytes:
    """UTF-8 with its mark, canonical columns: those that are needed and those that are used."""
    lines = table_rows(table)
    columns = [c for c in COLUMNS if c in REQUIRED or any(line.get(c) for line in lines)]
    text = [",".join(columns)]
    text += [csv_line([line.get(column, "") for column in columns], ",") for line in lines]
    return BOM + ("\r\n".join(text) + "\r\n").encode()


def table_rows(table: Table) -> list[Mapping[str, str]]:
    """The rows in their order, by column."""
    return [
        {column: table.cell(row, column) for column in table.columns} | {"name": name}
        for name, row in table.names.items()
        if name
    ]


def to_workbook(sheets: Sequence[Sheet], language: str) -> bytes:
    """One sheet a device. ImportError where openpyxl is not installed."""
    openpyxl: Any = import_module("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    lists = book.create_sheet("lists")
    lists.sheet_state = "hidden"
    for number, sheet in enumerate(sheets):
        made = book.create_sheet(_sheet_name(sheet.name, book.sheetnames), number)
        _fill(made, sheet, language)
        _choices(made, lists, number, sheet)
    book.active = 0
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill(made: Any, sheet: Sheet, language: str) -> None:
    styles: Any = import_module("openpyxl.styles")
    comments: Any = import_module("openpyxl.comments")
    for number, (column, names) in enumerate(COLUMNS.items(), 1):
        cell = made.cell(1, number)
        cell.value = names[0] if language == "zh" else column
        cell.font = styles.Font(bold=True)
        cell.fill = styles.PatternFill("solid", fgColor="FFDDEBF7" if column in REQUIRED else "FFEDEDED")
        cell.comment = comments.Comment(NOTES[column].say(language), "Lineside", height=60, width=260)
        letters = cell.column_letter
        made.column_dimensions[letters].width = _WIDTHS.get(column, 11)
        if column in ("name", "address", "no_value", "labels"):
            made.column_dimensions[letters].number_format = "@"
    for line, row in enumerate(table_rows(sheet.table), 2):
        for number, column in enumerate(COLUMNS, 1):
            if row.get(column):
                set_cell(made.cell(line, number), column, row[column])
    for line in range(made.max_row + 1, made.max_row + 101):  # text, so that 000001 stays what is typed
        made.cell(line, 2).number_format = "@"
    made.freeze_panes = "B2"


def _choices(made: Any, lists: Any, number: int, sheet: Sheet) -> None:
    """Drop-downs. Their lists stand on a hidden sheet: in place they may have 255 characters only."""
    validation: Any = import_module("openpyxl.worksheet.datavalidation")
    choices = {"type": sheet.types, "byte_order": _ORDERS, "group": sheet.groups, "metric": ("yes", "no")}
    for offset, (column, words) in enumerate(choices.items()):
        if not words:
            continue
        at = number * len(choices) + offset + 1
        for line, word in enumerate(words, 1):
            lists.cell(line, at).value = word
        letters = lists.cell(1, at).column_letter
        rule = validation.DataValidation(
            type="list", formula1=f"lists!${letters}$1:${letters}${len(words)}", allow_blank=True
        )
        rule.showErrorMessage = column != "type"  # float32[4] is in no list
        rule.add(_below(made, column))
        made.add_data_validation(rule)


def _below(made: Any, column: str) -> str:
    letters = made.cell(1, list(COLUMNS).index(column) + 1).column_letter
    return f"{letters}2:{letters}{made.max_row + _SPARE_ROWS}"


def _sheet_name(name: str, taken: Sequence[str]) -> str:
    """At most 31 characters, as Excel wants it."""
    short = "".join("_" if character in "[]:*?/\\" else character for character in name)[:31]
    number = 2
    while short in taken:
        short = f"{short[:27]}_{number}"
        number += 1
    return short

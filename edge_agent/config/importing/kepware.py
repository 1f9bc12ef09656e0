"""Tag tables as KEPServerEX writes them: CSV, one row a tag of one device.

Modbus addresses have five or six digits counted from 1 (``400001``, ``40001``, ``H`` before hexadecimal
ones), ``.3`` a bit, ``.20H`` or ``.20L`` a text of 20 bytes, ``[4]`` or ``[2][3]`` an array. S7 addresses are
``DB1,REAL4`` or ``DB1.DBD4``. The word order of wide Modbus values is a setting of the Kepware device and not
in the file.
"""

from __future__ import annotations

import re

from edge_agent.config.columns import read_number
from edge_agent.config.importing import s7_words
from edge_agent.config.importing.rows import Imported, ImportedRow, Intake, number_text
from edge_agent.config.importing.sheets import Grid, Record
from edge_agent.settings import Text

NEEDED = ("tagname", "address", "datatype", "clientaccess")
_TYPES = {
    "boolean": "bool", "byte": "uint8", "char": "int8", "short": "int16", "word": "uint16", "long": "int32",
    "dword": "uint32", "llong": "int64", "qword": "uint64", "float": "float32", "double": "float64",
    "bcd": "bcd16", "lbcd": "bcd32", "string": "string",
}  # fmt: skip
_WIDE = ("int32", "uint32", "int64", "uint64", "float32", "float64", "bcd32")
_MODBUS = re.compile(
    r"(H?)([0134])([0-9A-F]{4,5})(?:\.(\d{1,3})([HL]?))?((?:\s*\[\d+\]){0,2})", re.ASCII | re.IGNORECASE
)
_BY_COLUMN = {
    "name": "tagname", "address": "address", "type": "datatype", "unit": "engunits",
    "description": "description", "raw_low": "rawlow", "raw_high": "rawhigh", "eng_low": "scaledlow",
    "eng_high": "scaledhigh", "scale": "scaling", "offset": "scaling",
}  # fmt: skip
_TRUE = ("1", "true", "yes")
_NO_SCALING = dict.fromkeys(("scale", "offset", "raw_low", "raw_high", "eng_low", "eng_high"), "")
_WORD_ORDER = Text(
    "the word order of 32 and 64 bit values is not in a Kepware file",
    "Kepware 文件不含 32/64 位数值的字序",
)
_WORD_CURE = Text(
    "Kepware's default for Modbus is 'first word low', which is byte_order: CDAB in the device's file; "
    "compare a value with edge-agent read DEVICE.",
    "Kepware 的 Modbus 默认“First word low”，对应设备文件中的 byte_order: CDAB；"
    "请用 edge-agent read 设备 核对数值。",
)


def read(grid: Grid, driver: str = "") -> Imported:
    intake = Intake("kepware", grid.source)
    for record in grid.records:
        _row(record, driver, intake)
    wide = [row for row in intake.rows if row.cells["type"].partition("[")[0] in _WIDE]
    if wide and driver != "s7" and _MODBUS.fullmatch(wide[0].cells["address"]):
        intake.note(wide[0].place("address"), _WORD_ORDER, _WORD_CURE)
    return intake.done()


def _row(record: Record, driver: str, intake: Intake) -> None:
    name, address = record["tagname"], record["address"]
    word = record["datatype"].lower()
    array = word.endswith(" array")
    word = word.removesuffix(" array")
    kind = "" if word in ("", "default") else _TYPES.get(word)
    if kind is None:
        reason = Text(
            f"there is no type like '{record['datatype']}' here", f"没有与 '{record['datatype']}' 对应的类型"
        )
        intake.refuse(name, record.at("datatype"), reason)
        return
    if record["clientaccess"].upper() == "WO":
        intake.refuse(name, record.at("clientaccess"), Text("it can only be written", "只能写入，无法读取"))
        return
    found = _address(address, kind, driver)
    if isinstance(found, Text):
        intake.refuse(name, record.at("address"), found)
        return
    place, type_, order = found
    if array and "[" not in type_:
        reason = Text("it is an array without a size in its address", "是数组，但地址中没有元素个数")
        intake.refuse(name, record.at("address"), reason)
        return
    scaling = _scaling(record, intake, type_)
    cells = {"address": place, "type": type_} | (scaling if scaling is not None else _NO_SCALING)
    if order:
        cells["byte_order"] = order
    for column, header in (("unit", "engunits"), ("description", "description")):
        if record[header]:
            cells[column] = record[header]
    if scaling is None:  # the unit is that of the scaled value
        cells["unit"] = ""
    rate_ms = read_number(record["scanrate"] or record["scanrate(ms)"])
    period_s = rate_ms / 1000 if rate_ms else None
    columns = record.places(_BY_COLUMN)
    intake.add(name, ImportedRow({"name": name} | cells, record.at("tagname"), columns, period_s=period_s))


def _address(text: str, kind: str, driver: str) -> tuple[str, str, str] | Text:
    """Address, type and byte order; or why there is none."""
    match = _MODBUS.fullmatch(text)
    if match and driver != "s7":
        return _modbus(match, kind)
    found = s7_words.read(text, kind)
    if found is not None and driver != "modbus":
        return *found, ""
    if driver == "opcua" and re.match(r"(ns|nsu)=", text):
        return text, kind or "float64", ""
    if text.isdigit() and len(text) < 5:
        return Text(
            f"address '{text}' has too few digits: Excel takes leading zeros away (000001 becomes 1)",
            f"地址 '{text}' 位数不足：Excel 会去掉前面的 0（000001 变成 1）",
        )
    return Text(f"address '{text}' cannot be read", f"无法识别地址 '{text}'")


def _modbus(match: re.Match[str], kind: str) -> tuple[str, str, str] | Text:
    digits = match[3]
    if not match[1] and not digits.isdigit():
        return Text(f"address '{match[0]}' cannot be read", f"无法识别地址 '{match[0]}'")
    number = int(digits, 16) if match[1] else int(digits)
    if not 1 <= number <= 65536:
        return Text(f"address '{match[0]}' is outside the table", f"地址 '{match[0]}' 超出范围")
    reference = f"{match[2]}{number:05d}"
    if match[2] in "01":
        count = s7_words.elements_of(match[6])
        return reference, f"bool[{count}]" if count else "bool", ""
    if match[4] is not None:
        if match[5] or kind == "string":
            return reference, f"string[{match[4]}]", "BADC" if match[5].upper() == "L" else ""
        if int(match[4]) > 15 or kind not in ("", "bool"):
            return Text(
                f"bit {match[4]} of a register is no {kind}", f"寄存器的第 {match[4]} 位不能是 {kind}"
            )
        return f"{reference}.{int(match[4])}", "bool", ""
    kind = kind or "uint16"
    if kind == "bool":
        return Text("a bool of a whole register has no bit", "整个寄存器作为 bool，缺少位号")
    if kind in ("int8", "uint8"):
        reference += ".l"
    if kind == "string":
        return Text("the length of the text is missing in the address", "地址中缺少字符串长度")
    count = s7_words.elements_of(match[6])
    return reference, f"{kind}[{count}]" if count else kind, ""


def _scaling(record: Record, intake: Intake, kind: str) -> dict[str, str] | None:
    """A linear scaling as a factor where that is exact, else as the four ends of a range. None for one that
    cannot be taken over (and is reported)."""
    name, word = record["tagname"], record["scaling"].lower()
    if word in ("", "none"):
        return _NO_SCALING
    what = Text("scaling", "量程变换")
    if word != "linear":
        reason = Text(
            f"'{record['scaling']}' is not linear; the tag is the raw value, without unit",
            f"'{record['scaling']}' 不是线性；该点为原始值，不带单位",
        )
        cure = Text("Calculate it as a derived tag.", "请用派生点计算。")
        intake.leave(name, record.at("scaling"), what, reason, cure)
        return None
    ends = [read_number(record[header]) for header in ("rawlow", "rawhigh", "scaledlow", "scaledhigh")]
    if None in ends or ends[0] == ends[1] or ends[2] == ends[3] or kind.startswith(("string", "bool")):
        reason = Text(
            "its four ends are not complete; the tag is the raw value, without unit",
            "量程的四个端点不完整；该点为原始值，不带单位",
        )
        intake.leave(name, record.at("scaling"), what, reason)
        return None
    _clamping(record, intake)
    raw_low, raw_high, eng_low, eng_high = (end or 0.0 for end in ends)
    if record["negatevalue"].lower() in _TRUE:
        eng_low, eng_high = -eng_low, -eng_high
    if raw_low == 0 and eng_low == 0:
        factor = eng_high / raw_high
        if factor * raw_high == eng_high and len(repr(factor)) <= 8:
            return _NO_SCALING | ({"scale": number_text(factor)} if factor != 1 else {})
    names = ("raw_low", "raw_high", "eng_low", "eng_high")
    numbers = (raw_low, raw_high, eng_low, eng_high)
    return _NO_SCALING | {column: number_text(end) for column, end in zip(names, numbers, strict=True)}


def _clamping(record: Record, intake: Intake) -> None:
    if record["clamplow"].lower() in _TRUE or record["clamphigh"].lower() in _TRUE:
        what = Text("clamping", "限幅")
        reason = Text("measured values are never cut off here", "本系统从不截断测量值")
        cure = Text("Set a window (low, high) to be told.", "如需提示，请设置窗口（low、high）。")
        intake.leave(record["tagname"], record.at("clamplow"), what, reason, cure)

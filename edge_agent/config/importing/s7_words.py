"""Siemens addresses as other tools write them -> as the table of an S7 device has them."""

from __future__ import annotations

import re

_LETTER = {1: "B", 2: "W", 4: "D", 8: "L"}
_BYTES = {
    "bool": 0, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4,
    "int64": 8, "uint64": 8, "float64": 8, "s5time": 2, "time": 4, "tod": 4, "date": 2, "dt": 1, "dtl": 1,
    "ltime": 8, "ltod": 8, "ldt": 8, "timer": 0, "counter": 0, "bcd16": 2, "bcd32": 4,
}  # fmt: skip
_AREAS = {"I": "I", "E": "I", "Q": "Q", "A": "Q", "O": "Q", "M": "M", "F": "M"}

TYPES = {
    "bool": "bool", "byte": "uint8", "usint": "uint8", "sint": "int8", "word": "uint16", "uint": "uint16",
    "int": "int16", "dword": "uint32", "udint": "uint32", "dint": "int32", "lword": "uint64",
    "ulint": "uint64", "lint": "int64", "real": "float32", "lreal": "float64", "s5time": "s5time",
    "time": "time", "ltime": "ltime", "date": "date", "time_of_day": "tod", "tod": "tod", "ltod": "ltod",
    "date_and_time": "dt", "dt": "dt", "ldt": "ldt", "dtl": "dtl", "timer": "timer", "counter": "counter",
    "char": "char[1]", "wchar": "wchar[1]",
}  # fmt: skip
"""What TIA Portal calls a type -> what a tag table calls it."""

_CODES = {
    "x": "bool", "b": "uint8", "byte": "uint8", "c": "int8", "char": "int8", "w": "uint16", "word": "uint16",
    "i": "int16", "int": "int16", "d": "uint32", "dw": "uint32", "dword": "uint32", "di": "int32",
    "dint": "int32", "li": "int64", "real": "float32", "lreal": "float64", "date": "date", "dt": "dt",
    "time": "time", "tod": "tod", "string": "string",
}  # fmt: skip
_COMMA = re.compile(r"DB(\d+),([A-Z]+)(\d+)(?:\.(\d+))?((?:\s*\[\d+\]){0,2})", re.ASCII | re.IGNORECASE)
_STEP7 = re.compile(r"DB(\d+)\.DB([XBWDL])(\d+)(?:\.(\d+))?((?:\s*\[\d+\]){0,2})", re.ASCII | re.IGNORECASE)
_AREA = re.compile(r"([IEQAOMF])([A-Z]*?)(\d+)(?:\.(\d+))?((?:\s*\[\d+\]){0,2})", re.ASCII | re.IGNORECASE)
_NUMBERED = re.compile(r"([TCZ])(\d+)", re.ASCII | re.IGNORECASE)


def elements_of(brackets: str) -> int:
    """``[3][4]`` -> 12; 0 for none."""
    count = 1
    for part in re.findall(r"\d+", brackets):
        count *= int(part)
    return count if brackets else 0


def written(area: str, start: int, kind: str, bit: int | None = None) -> str:
    """The address of a value of that type: ``area`` is ``DB5``, ``M``, ``I`` or ``Q``."""
    plain = kind.partition("[")[0]
    width = _BYTES.get(plain, 1)
    if plain == "bool":
        letter, end = "X", f"{start}.{bit or 0}"
    else:
        letter, end = _LETTER[width], str(start)
    if area.startswith("DB"):
        return f"{area}.DB{letter}{end}"
    return f"{area}{end}" if letter == "X" else f"{area}{letter}{end}"


def read(text: str, kind: str = "") -> tuple[str, str] | None:
    """(address, type) of ``DB1,REAL4``, ``DB1.DBD4``, ``MW10``, ``I0.0``, ``T5``. ``kind``: the type the
    tool states elsewhere, which then counts; None for what cannot be read."""
    text = text.strip().lstrip("%")
    if match := _NUMBERED.fullmatch(text):
        area = "T" if match[1].upper() == "T" else "C"
        return f"{area}{match[2]}", "timer" if area == "T" else "counter"
    if match := _COMMA.fullmatch(text) or _STEP7.fullmatch(text):
        area, code, start, last, brackets = f"DB{match[1]}", match[2], match[3], match[4], match[5]
    elif match := _AREA.fullmatch(text):
        area, code, start, last, brackets = _AREAS[match[1].upper()], match[2], match[3], match[4], match[5]
    else:
        return None
    return _typed(area, code.lower(), int(start), last, brackets, kind)


def _typed(
    area: str, code: str, start: int, last: str | None, brackets: str, kind: str
) -> tuple[str, str] | None:
    found = _CODES.get(code) if code else ("bool" if last is not None else None)
    if found is None and code != "l":
        return None
    if found == "string":
        return written(area, start, "string"), f"string[{int(last)}]" if last else "string"
    if last is not None and found != "bool":
        found = "bool"
        if kind not in ("", "bool"):
            return None
    same_width = kind and _BYTES.get(kind.partition("[")[0]) == _BYTES.get(found or "int64")
    chosen = kind if same_width else (found or kind or "int64")
    bit = int(last) if last is not None else None
    if chosen == "bool" and (bit is None or bit > 7):
        return None
    count = elements_of(brackets)
    return written(area, start, chosen, bit), f"{chosen}[{count}]" if count else chosen

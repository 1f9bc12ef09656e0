"""The columns of a tag table, their Chinese names, and how a cell of each is read."""

from __future__ import annotations

import math
import re

COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("点名", "变量名", "名称"),
    "address": ("地址", "寄存器地址"),
    "type": ("数据类型", "类型"),
    "unit": ("单位",),
    "description": ("描述", "备注", "说明"),
    "group": ("组", "分组"),
    "scale": ("倍率",),
    "offset": ("偏移", "偏移量"),
    "raw_low": ("原始值下限", "原始下限"),
    "raw_high": ("原始值上限", "原始上限"),
    "eng_low": ("工程值下限", "工程下限", "量程下限"),
    "eng_high": ("工程值上限", "工程上限", "量程上限"),
    "byte_order": ("字节序",),
    "lolo": ("下下限", "低低限"),
    "low": ("下限",),
    "high": ("上限",),
    "hihi": ("上上限", "高高限"),
    "deadband": ("死区",),
    "quantity": ("物理量",),
    "no_value": ("无效值", "无值"),
    "labels": ("取值含义", "标签", "枚举"),
    "encoding": ("字符编码", "编码"),
    "metric": ("上报指标", "指标"),
}
"""Column -> other headers it goes by."""

REQUIRED = ("name", "address", "type")
LIMITS = ("lolo", "low", "high", "hihi", "deadband")
RANGE = ("raw_low", "raw_high", "eng_low", "eng_high")
NUMBERS = ("scale", "offset", *RANGE, *LIMITS)

YES = frozenset({"yes", "y", "true", "1", "是"})
NO = frozenset({"", "no", "n", "false", "0", "否"})

_SPREADSHEET = (
    (re.compile(r"\d+(\.\d+)?[eE][+-]?\d{1,3}", re.ASCII), "scientific"),
    (re.compile(r"\d+\.0+", re.ASCII), "decimal"),
    (re.compile(r"\d{1,4}[-/]\d{1,2}[-/]\d{1,4}|\d{1,2}月\d{1,2}日|\d{1,2}-[A-Z][a-z]{2}", re.ASCII), "date"),
)


def _plain(header: str) -> str:
    return re.sub(r"[\s_\-]", "", header).lower()


_BY_HEADER = {_plain(name): column for column, names in COLUMNS.items() for name in (column, *names)}
_BY_HEADER["metrics"] = "metric"


def column_of(header: str) -> str | None:
    """The column a header names, in any case and with any spaces; None for a strange one."""
    return _BY_HEADER.get(_plain(header))


def headers() -> list[str]:
    """Everything a header may be called, for suggestions."""
    return [name for column, names in COLUMNS.items() for name in (column, *names)]


def read_number(text: str) -> float | None:
    """A finite decimal number; None for anything else, also for what only Python takes as one (``1_000``)."""
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, re.ASCII):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def spreadsheet_damage(address: str, *, bit: bool) -> str | None:
    """What a spreadsheet program made of an address: ``scientific``, ``decimal`` or ``date``. ``bit``: the
    tag is a bool, for which ``40001.0`` may mean bit 0 of a register."""
    found = next((kind for pattern, kind in _SPREADSHEET if pattern.fullmatch(address)), None)
    return None if bit and found == "decimal" else found


def undamaged(address: str) -> str:
    """The address before the damage where that can be told, else nothing."""
    if re.fullmatch(r"\d+\.0+", address, re.ASCII):
        return address.split(".")[0]
    return ""

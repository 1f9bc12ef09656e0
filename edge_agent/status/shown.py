"""How numbers and reasons are shown to people, on the page and in the terminal alike."""

from __future__ import annotations

import re
import struct
from typing import Any

from edge_agent.settings import Text

_FLOAT32 = struct.Struct("<f")
_DIGITS = 12  # of a float of 64 bits: what arithmetic adds stands behind them

REASONS = {
    "connected, nothing delivered yet": Text("connected, nothing delivered yet", "已连接，尚未送达数据"),
    "not clear of the limit by the deadband": Text(
        "not clear of the limit by the deadband", "离限值尚不足一个死区"
    ),
    "inside, off-delay running": Text("inside, off-delay running", "已回到限内，恢复延时中"),
    "lolo": Text("lolo", "下下限"),
    "low": Text("low", "下限"),
    "high": Text("high", "上限"),
    "hihi": Text("hihi", "上上限"),
    "rise": Text("rise", "上升过快"),
    "fall": Text("fall", "下降过快"),
    "state": Text("state", "状态不允许"),
    "bad_input": Text("bad_input", "输入无效"),
    "not_a_number": Text("no number", "不是数值"),
    "not_a_boolean": Text("not true or false", "不是开关量"),
    "frozen": Text("frozen", "数值不变"),
    "implausible_range": Text("outside its physical range", "超出物理范围"),
    "implausible_slope": Text("changes too fast to be true", "变化快得不合理"),
    "removed": Text("removed", "已删除"),
    "changed": Text("changed", "已修改"),
}
QUALITIES = {
    "good": Text("good", "良好"),
    "uncertain": Text("uncertain", "可疑"),
    "uncertain_stopped": Text("controller stopped", "控制器停机"),
    "uncertain_estimated": Text("estimated", "估算值"),
    "undefined": Text("undefined", "无定义"),
    "uncertain_source_time": Text("source time wrong", "源时间异常"),
    "bad": Text("bad", "坏值"),
    "bad_comm": Text("no answer", "通信失败"),
    "bad_address": Text("no such address", "地址不存在"),
    "bad_decode": Text("no number", "无法解码"),
    "bad_device": Text("device fault", "设备故障"),
    "bad_config": Text("wrong type or access", "类型或权限不符"),
    "stale": Text("too old", "过期"),
    "waiting": Text("not read yet", "尚未读取"),
    "not_reported": Text("not reported", "未上报"),
    "unchanged": Text("unchanged", "未变化"),
}
LETTERS = {  # the states of an alarm, by ISA-18.2
    "A": Text("normal", "正常"),
    "B": Text("ACTIVE", "报警中"),
    "C": Text("active, acknowledged", "报警中(已确认)"),
    "D": Text("gone, NOT ACKNOWLEDGED", "已恢复(未确认)"),
    "E": Text("latched, NOT ACKNOWLEDGED", "已锁存(未确认)"),
    "F": Text("latched, to be reset", "已锁存(待复位)"),
    "G": Text("shelved", "已搁置"),
    "H": Text("suppressed", "已抑制"),
    "I": Text("out of service", "已停用"),
}
_OFF = re.compile(r"(?P<of>\S.*) is off")
_ON = re.compile(r"(?P<of>\S.*) is on for less than (?P<s>\S+) s")
_OF = {"when": Text("condition: ", "条件："), "target": Text("target: ", "目标值：")}


def letter_text(letter: str, language: str) -> str:
    return LETTERS[letter].say(language) if letter in LETTERS else letter


def reason_text(reason: str, language: str) -> str:
    """What the agent itself says of a window or an uplink, in the language of the reader. The words of a
    device or of a destination stay as they are: they are what a search finds."""
    known = REASONS.get(reason) or QUALITIES.get(reason)
    if known is not None:
        return known.say(language)
    of, _, rest = reason.partition(" ")
    if of in _OF and (rest in REASONS or rest in QUALITIES):
        return _OF[of].say(language) + reason_text(rest, language)
    parts = reason.split(", ")
    if len(parts) > 1 and all(part in REASONS for part in parts):
        return ("、" if language == "zh" else ", ").join(reason_text(part, language) for part in parts)
    if language == "zh":
        if found := _ON.fullmatch(reason):
            return f"{found['of']} 接通不足 {found['s']} 秒"
        if found := _OFF.fullmatch(reason):
            return f"{found['of']} 未接通"
    return reason


def number_text(value: Any, kind: str = "") -> str:
    """A value as a panel would show it: nothing for none, integers in full, of a float the digits that it
    has. ``kind`` is the type of the register; a float without one is taken for 32 bits where it fits them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if not isinstance(value, float):
        return str(value)
    small = _as_float32(value)
    if kind == "float32" or (not kind and small == value):
        for digits in (7, 8):
            text = f"{value:.{digits}g}"
            if _as_float32(float(text)) == small:
                return _in_full(text)
        return _in_full(f"{value:.9g}")
    return _in_full(f"{value:.{_DIGITS}g}")


def _as_float32(value: float) -> float | None:
    try:
        return float(_FLOAT32.unpack(_FLOAT32.pack(value))[0])
    except OverflowError:
        return None


def _in_full(text: str) -> str:
    """No exponent where a meter would show none."""
    if "e+" in text and abs(float(text)) < 1e15:
        return f"{float(text):.0f}"
    return text

"""How alarms are shown to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.cli.output import local_time, process_text, quality_word
from edge_agent.cli.say import language, say
from edge_agent.cli.table import Table
from edge_agent.status.shown import letter_text


def letter_word(letter: str) -> str:
    return letter_text(letter, language())


def priority_word(priority: str) -> str:
    words = {
        "critical": say("critical", "紧急"),
        "high": say("high", "高"),
        "medium": say("medium", "中"),
        "low": say("low", "低"),
        "diagnostic": say("diagnostic", "诊断"),
    }
    return words.get(priority, priority)


def limit_word(kind: str) -> str:
    """A kind of limit, the last part of an alarm's name."""
    words = {
        "lolo": say("lolo", "下下限"),
        "low": say("low", "下限"),
        "high": say("high", "上限"),
        "hihi": say("hihi", "上上限"),
        "rise": say("rise", "上升过快"),
        "fall": say("fall", "下降过快"),
        "state": say("state", "状态不允许"),
        "bad_input": say("bad_input", "输入无效"),
        "early": say("early", "趋势预警"),
        "pattern": say("pattern", "异常模式"),
    }
    return words.get(kind, kind)


def list_table(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "alarm,state,priority,last value,limit,unit,since,until,who,why",
        "报警,状态,优先级,最近值,限值,单位,自,至,谁,原因",
    )
    shown = {row["name"] for row in answer["alarms"]}
    rows = [_row(row) for row in answer["alarms"]]
    rows += [[name, letter_word("A"), *[""] * 8] for name in answer.get("names", ()) if name not in shown]
    spare = (8, 7, 9, 2, 5, 4)
    return Table(_title(answer), tuple(headings.split(",")), rows, frozenset({3, 4}), spare)


def _title(answer: Mapping[str, Any]) -> str:
    kpi = answer["kpi"]
    parts = [say(f"Alarms: {answer['count']}", f"报警：{answer['count']}")]
    if kpi["flood"]:
        parts.append(say("ALARM FLOOD", "报警泛滥"))
    parts.append(say(f"{kpi['per_10min']} in 10 min", f"10 分钟内 {kpi['per_10min']} 次"))
    if kpi["chattering"]:
        parts.append(say("chattering: ", "频繁抖动：") + ", ".join(kpi["chattering"]))
    return "  |  ".join(parts)


def _row(row: Mapping[str, Any]) -> list[str]:
    first = say("  first", "  首出") if row["first_out"] else ""
    return [
        row["name"], letter_word(row["letter"]) + first, priority_word(row["priority"]),
        process_text(row["value"]), process_text(row["limit"]), row["unit"], local_time(row["since_ns"]),
        local_time(row["until_ns"]), row["user"] or row["acked_by"], row["comment"],
    ]  # fmt: skip


def show_table(row: Mapping[str, Any]) -> Table:
    """Everything there is to say of one alarm; lines without anything to say are left out."""
    return Table(
        str(row["name"]),
        (say("what", "项目"), say("value", "值")),
        [[name, text] for name, text in (*_what(row), *_standing(row), *_history(row)) if text],
    )


def _what(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (say("meaning", "说明"), row["description"]),
        (say("window", "窗口"), row["window"]),
        (say("limit watched", "监视的限值"), limit_word(row["kind"])),
        (say("tag", "变量"), f"{row['device']}.{row['tag']}"),
        (say("priority", "优先级"), priority_word(row["priority"])),
        (say("standards", "标准"), say(", ", "，").join(map(str, row["standards"]))),
    ]


def _standing(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (say("state", "状态"), letter_word(row["letter"])),
        (say("in this state since", "此状态自"), local_time(row["since_ns"])),
        (say("last value", "最近值"), _amount(row["value"], row["unit"])),
        (say("limit", "限值"), _amount(row["limit"], row["unit"])),
        (say("deadband", "死区"), _amount(row["deadband"] or None, row["unit"])),
        (say("quality", "质量"), quality_word(row["quality"])),
        (say("acknowledged", "已确认"), _yes(row["acked"])),
        (say("latched", "已锁存"), _yes(row["latched"])),
        (say("first of its group", "首出"), _yes(row["first_out"])),
    ]


def _history(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (say("came last", "最近一次出现"), local_time(row["active_ns"])),
        (say("announced last", "最近一次提示"), local_time(row["annunciated_ns"])),
        (say("acknowledged by", "确认人"), row["acked_by"]),
        (say("put aside by", "搁置或停用人"), row["user"]),
        (say("put aside because", "搁置或停用原因"), row["comment"]),
        (say("put aside until", "搁置至"), local_time(row["until_ns"])),
    ]


def _yes(flag: bool) -> str:
    return say("yes", "是") if flag else say("no", "否")


def _amount(value: Any, unit: str) -> str:
    return f"{process_text(value)} {unit}".strip() if value is not None else ""


def done_table(answer: Mapping[str, Any]) -> Table:
    headings = say("alarm,before,after,until", "报警,之前,之后,至")
    rows = [
        [row["name"], letter_word(row["before"]), letter_word(row["after"]), local_time(row["until_ns"])]
        for row in answer["alarms"]
    ]
    return Table("", tuple(headings.split(",")), rows)

"""How alarms are shown to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.cli.output import flat, local_time, value_text
from edge_agent.cli.say import say
from edge_agent.cli.table import Table


def letter_word(letter: str) -> str:
    words = {
        "A": say("normal", "正常"),
        "B": say("ACTIVE", "报警中"),
        "C": say("active, acknowledged", "报警中(已确认)"),
        "D": say("gone, NOT ACKNOWLEDGED", "已恢复(未确认)"),
        "E": say("latched, NOT ACKNOWLEDGED", "已锁存(未确认)"),
        "F": say("latched, to be reset", "已锁存(待复位)"),
        "G": say("shelved", "已搁置"),
        "H": say("suppressed", "已抑制"),
        "I": say("out of service", "已停用"),
    }
    return words.get(letter, letter)


def priority_word(priority: str) -> str:
    words = {
        "critical": say("critical", "紧急"),
        "high": say("high", "高"),
        "medium": say("medium", "中"),
        "low": say("low", "低"),
        "diagnostic": say("diagnostic", "诊断"),
    }
    return words.get(priority, priority)


def list_table(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "alarm,state,priority,value,limit,unit,since,until,who,why",
        "报警,状态,优先级,值,限值,单位,自,至,谁,原因",
    )
    shown = {row["name"] for row in answer["alarms"]}
    rows = [_row(row) for row in answer["alarms"]]
    rows += [[name, letter_word("A"), *[""] * 8] for name in answer.get("names", ()) if name not in shown]
    return Table(_title(answer), tuple(headings.split(",")), rows, frozenset({3, 4}))


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
        value_text(row["value"]), value_text(row["limit"]), row["unit"], local_time(row["since_ns"]),
        local_time(row["until_ns"]), row["user"] or row["acked_by"], row["comment"],
    ]  # fmt: skip


def show_table(row: Mapping[str, Any]) -> Table:
    told = dict(row) | {"state": letter_word(row["letter"]), "priority": priority_word(row["priority"])}
    rows = [[name, text] for name, text in flat(told) if text]
    return Table(str(row["name"]), (say("what", "项目"), say("value", "值")), rows)


def done_table(answer: Mapping[str, Any]) -> Table:
    headings = say("alarm,before,after,until", "报警,之前,之后,至")
    rows = [
        [row["name"], letter_word(row["before"]), letter_word(row["after"]), local_time(row["until_ns"])]
        for row in answer["alarms"]
    ]
    return Table("", tuple(headings.split(",")), rows)

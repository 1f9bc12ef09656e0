"""How guarded writes are told: their state, the last decisions, an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.cli.output import local_time, value_text
from edge_agent.cli.say import say
from edge_agent.cli.table import Table, without_empty_last


def status_text(answer: Mapping[str, Any]) -> str:
    armed = answer["armed"]
    if answer["killed_by"]:
        state = say("KILL SWITCH ON, set by ", "总停已按下，操作者 ") + answer["killed_by"]
    elif armed:
        until = local_time(armed["until_ns"])
        state = say(f"armed by {armed['user']} until {until}", f"{armed['user']} 已授权，有效期至 {until}")
    else:
        state = say("not armed", "未授权")
    parts = [
        say("level ", "级别 ") + answer["level"],
        state,
        say(
            f"{answer['today']} of {answer['per_day']} writes today",
            f"今日已写 {answer['today']} / {answer['per_day']}",
        ),
    ]
    if answer["dry_run"]:
        parts.append(say("DRY RUN", "试运行"))
    return "  |  ".join(parts)


def status_tables(answer: Mapping[str, Any]) -> list[Table]:
    tables = [_writables(answer), *locked_tables(answer)]
    if any(row["mismatch"] for row in answer["writables"]):
        tables.append(_mismatches(answer))
    if answer["pending"]:
        tables.append(_pending(answer))
    return tables


def locked_tables(answer: Mapping[str, Any]) -> list[Table]:
    """None where no device is locked out."""
    rows = [[row["device"], local_time(row["since_ns"]), row["reason"]] for row in answer["locked"]]
    headings = say("device,since,reason", "设备,自,原因").split(",")
    return [Table(say("Locked out for writing", "写入已锁定"), tuple(headings), rows)] if rows else []


def _mismatches(answer: Mapping[str, Any]) -> Table:
    headings = say("output,written,read back,times,since", "输出,写入,读回,次数,自")
    rows = [
        [
            row["tag"], value_text(found["wrote"]), value_text(found["read_back"]), str(found["times"]),
            local_time(found["since_ns"]),
        ]
        for row in answer["writables"] if (found := row["mismatch"])
    ]  # fmt: skip
    title = say("Outputs that do not hold what was written", "回读与写入不符的输出")
    return Table(title, tuple(headings.split(",")), rows, frozenset({3}))


def _writables(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "tag,level,low,high,who,today,per day,reverts to,in", "点,级别,下限,上限,来源,今日,每日,恢复为,剩余"
    )
    rows = []
    for row in answer["writables"]:
        back = row["revert"]
        rows.append(
            [
                row["tag"], row["level"], value_text(row["low"]), value_text(row["high"]),
                " ".join(row["who"]), str(row["today"]), str(row["per_day"]),
                value_text(back["value"]) if back else "", f"{back['in_s']:.0f} s" if back else "",
            ]
        )  # fmt: skip
    return Table(
        say("May be written", "允许写入"), tuple(headings.split(",")), rows, frozenset({2, 3, 5, 6, 7})
    )


def _pending(answer: Mapping[str, Any]) -> Table:
    headings = say("id,kind,tag,value,who,user,comment", "编号,类别,点,值,来源,用户,说明")
    kinds = {True: say("recommendation", "建议"), False: say("wants a second person", "待第二人批准")}
    rows = [
        [
            row["id"], kinds[row["recommendation"]], row["tag"], value_text(row["value"]), row["who"],
            row["user"], row.get("comment", ""),
        ]
        for row in answer["pending"]
    ]  # fmt: skip
    return without_empty_last(
        Table(say("Waiting", "待处理"), tuple(headings.split(",")), rows, frozenset({3}))
    )


def log_table(answer: Mapping[str, Any]) -> Table:
    headings = say("time,event,tag,value,user,reason", "时间,事件,点,值,用户,原因")
    rows = []
    for event in answer["events"]:
        detail = event["detail"]
        who = detail.get("user") or detail.get("who") or ""
        why = detail.get("reason") or detail.get("text") or detail.get("comment") or ""
        rows.append(
            [
                local_time(event["time_ns"]), event["kind"], event["source"], value_text(detail.get("value")),
                str(who), str(why),
            ]
        )  # fmt: skip
    return Table(say("Writes", "写入"), tuple(headings.split(",")), rows, frozenset({3}))


def outcome_text(outcome: Mapping[str, Any]) -> str:
    text = say(str(outcome["text"]["en"]), str(outcome["text"]["zh"]))
    tag, value = outcome["tag"], value_text(outcome["value"])
    kind = outcome["kind"]
    if kind == "write_refused":
        return say(f"refused ({outcome['reason']}): {text}", f"已拒绝（{outcome['reason']}）：{text}")
    before = value_text(outcome["before"])
    change = f"{tag}: {before} -> {value}" if before else f"{tag}: {value}"
    return f"{change}  {text}"

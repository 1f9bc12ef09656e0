"""How guarded writes are told: their state, the last decisions, an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.cli.output import local_time, value_text
from edge_agent.cli.say import say
from edge_agent.cli.table import Table, without_empty_last


def status_text(answer: Mapping[str, Any]) -> str:
    state = headline(answer)
    if not answer["killed_by"] and not answer["armed"]:
        state.insert(0, say("not armed", "未授权"))
    today = say(
        f"{answer['today']} of {answer['per_day']} writes today",
        f"今日已写 {answer['today']} / {answer['per_day']}",
    )
    return "  |  ".join([*state, say("level ", "级别 ") + answer["level"], today])


def headline(answer: Mapping[str, Any]) -> list[str]:
    """What everybody who looks at the agent must know of its writing; nothing where it is at rest."""
    armed, parts = answer.get("armed"), []
    if answer.get("killed_by"):
        parts.append(say("KILL SWITCH ON, set by ", "总停已按下，操作者 ") + answer["killed_by"])
    elif armed:
        until = local_time(armed["until_ns"])
        parts.append(
            say(f"armed by {armed['user']} until {until}", f"{armed['user']} 已授权，有效期至 {until}")
        )
    if answer.get("dry_run") and answer.get("writables"):
        parts.append(say("DRY RUN", "试运行（不实际写入）"))
    return parts


def status_tables(answer: Mapping[str, Any]) -> list[Table]:
    tables = [_writables(answer), *locked_tables(answer)]
    if any(row["mismatch"] for row in answer["writables"]):
        tables.append(_mismatches(answer))
    if answer["pending"]:
        tables.append(_pending(answer))
    return tables


def locked_tables(answer: Mapping[str, Any]) -> list[Table]:
    """None where no device is locked out."""
    rows = [[row["device"], local_time(row["since_ns"]), _locked_why(row)] for row in answer["locked"]]
    headings = say("device,since,reason", "设备,自,原因").split(",")
    return [Table(say("Locked out for writing", "写入已锁定"), tuple(headings), rows)] if rows else []


def _locked_why(row: Mapping[str, Any]) -> str:
    text = row.get("text")
    return say(text["en"], text["zh"]) if text else row["reason"]


def _mismatches(answer: Mapping[str, Any]) -> Table:
    headings = say("output,wanted,held,times,since,why", "输出,应为,实为,次数,自,原因")
    causes = {
        "read_back": say("written, but it does not take it", "已写入但未生效"),
        "dropped": say("changed by the controller or another master", "被控制器或其他主站更改"),
        "budget_tag": say("its per_day is used up", "每日写入额度已用完"),
    }
    rows = [
        [
            row["tag"], value_text(found["wrote"]), value_text(found["read_back"]), str(found["times"]),
            local_time(found["since_ns"]), causes.get(found.get("reason", "read_back"), ""),
        ]
        for row in answer["writables"] if (found := row["mismatch"])
    ]  # fmt: skip
    title = say("Outputs that do not hold what they should", "状态与要求不符的输出")
    return Table(title, tuple(headings.split(",")), rows, frozenset({3}))


def _writables(answer: Mapping[str, Any]) -> Table:
    """Beats are the agent's own: nobody writes them."""
    headings = say(
        "tag,level,low,high,who,today,per day,reverts to,in,now",
        "点,级别,下限,上限,来源,今日,每日,恢复为,剩余,现在可否",
    )
    rows = []
    for row in answer["writables"]:
        if row["who"] == ["heartbeat"]:
            continue
        back = row["revert"]
        rows.append(
            [
                row["tag"], row["level"], value_text(row["low"]), value_text(row["high"]),
                " ".join(_source(who) for who in row["who"]), str(row["today"]), str(row["per_day"]),
                value_text(back["value"]) if back else "", f"{back['in_s']:.0f} s" if back else "",
                _ready(row, armed=answer["armed"] is not None),
            ]
        )  # fmt: skip
    table = Table(
        say("May be written", "允许写入"), tuple(headings.split(",")), rows, frozenset({2, 3, 5, 6, 7})
    )
    return without_empty_last(table)


def _ready(row: Mapping[str, Any], *, armed: bool) -> str:
    """Whether it could be written now; empty where the agent does not tell."""
    if "ready" not in row:
        return ""
    if row["why"] is not None:
        text = row["why"]["text"]
        return say("NO: ", "否：") + say(text["en"], text["zh"])
    needs_nobody = armed or row["who"] == ["annunciation"] or row["level"] == "recommend"
    return say("ready", "就绪") if needs_nobody else say("once armed", "授权后即可")


def _source(who: str) -> str:
    """Who asks, as people say it; names stay as they are."""
    words = {
        "operator": say("operator", "操作员"),
        "annunciation": say("annunciation", "报警输出"),
        "heartbeat": say("heartbeat", "心跳"),
        "ttl": say("ttl", "到期恢复"),
    }
    return words.get(who, who)


def _pending(answer: Mapping[str, Any]) -> Table:
    headings = say("id,kind,tag,value,who,user,comment", "编号,类别,点,值,来源,用户,说明")
    kinds = {True: say("recommendation", "建议"), False: say("wants a second person", "待第二人批准")}
    rows = [
        [
            row["id"], kinds[row["recommendation"]], row["tag"], value_text(row["value"]),
            _source(row["who"]), row["user"], row.get("comment", ""),
        ]
        for row in answer["pending"]
    ]  # fmt: skip
    return without_empty_last(
        Table(say("Waiting", "待处理"), tuple(headings.split(",")), rows, frozenset({3}))
    )


def log_table(answer: Mapping[str, Any]) -> Table:
    headings = say("time,event,tag,value,user,reason,comment", "时间,事件,点,值,用户,原因,说明")
    rows = []
    for event in answer["events"]:
        detail = event["detail"]
        who = detail.get("user") or _source(detail.get("who") or "")
        rows.append(
            [
                local_time(event["time_ns"]), _event(event), event["source"], value_text(detail.get("value")),
                str(who), _why(event), str(detail.get("comment") or ""),
            ]
        )  # fmt: skip
    return without_empty_last(Table(say("Writes", "写入"), tuple(headings.split(",")), rows, frozenset({3})))


def _event(event: Mapping[str, Any]) -> str:
    """Its kind, as it stands in the record; in Chinese a word for it."""
    kind = event["kind"]
    if kind == "write_killed" and event["detail"].get("on") is False:
        return say(kind, "解除总停")
    return say(kind, _KINDS.get(kind, kind))


_KINDS = {
    "write_intent": "准备写入", "write_done": "已写入", "write_reverted": "已恢复", "write_dry_run": "试运行",
    "write_refused": "已拒绝", "write_failed": "失败", "write_mismatch": "与要求不符", "write_locked": "锁定",
    "write_unlocked": "解锁", "write_armed": "授权", "write_disarmed": "授权结束", "write_killed": "总停",
    "write_approved": "已批准",
}  # fmt: skip
_ENDS = {"expired": "到期", "by command": "人工", "configuration": "配置已更改"}


def _why(event: Mapping[str, Any]) -> str:
    """The reason of a refusal by its name, as in the record, then the sentence."""
    detail = event["detail"]
    text = event.get("text") or {"en": str(detail.get("text") or detail.get("reason") or "")}
    told = say(text["en"], _ENDS.get(text["en"], text.get("zh", text["en"])))
    if event["kind"] == "write_refused":
        return f"{detail.get('reason', '')}: {told}" if told != detail.get("reason") else told
    return told


def outcome_text(outcome: Mapping[str, Any]) -> str:
    text = say(str(outcome["text"]["en"]), str(outcome["text"]["zh"]))
    tag, value = outcome["tag"], value_text(outcome["value"])
    kind = outcome["kind"]
    if kind == "write_refused":
        return say(f"refused ({outcome['reason']}): {text}", f"已拒绝（{outcome['reason']}）：{text}")
    if not outcome["ok"]:  # what was read before says nothing about what it holds now
        return say(f"{tag}: NOT DONE: {text}", f"{tag}：未完成：{text}")
    before = value_text(outcome["before"])
    change = f"{tag}: {before} -> {value}" if before else f"{tag}: {value}"
    return f"{change}  {text}"

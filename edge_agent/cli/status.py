"""``status``: what the running agent says of itself, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import agent_api
from edge_agent.cli.lengths import length_text
from edge_agent.cli.output import (
    flat,
    local_time,
    print_json,
    print_tables,
    process_text,
    reason_word,
    state_word,
)
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.table import Table
from edge_agent.cli.whereabouts import tell_other

SHOWN_ALARMS = 20
QUALITIES = ("good", "uncertain", "bad", "stale")


def url_option(function: Any) -> Any:
    return option(
        "--url",
        metavar="URL",
        en="Where the agent listens, if not at the default.",
        zh="代理的地址（非默认时）。",
    )(function)


@verb("status", en="Show what the running agent is doing.", zh="查看正在运行的代理的状态。")
@config_option
@url_option
@option("--all", "everything", is_flag=True, en="Every figure of the buffer.", zh="显示缓存的全部数字。")
@json_option
@click.pass_context
def status(context: click.Context, config_dir: Path, url: str | None, everything: bool, as_json: bool) -> int:
    place = agent_api.locate(url, config_dir, context)
    answer = agent_api.ask(place, "/api/v1/status")
    if url is None:
        tell_other(config_dir, place, answer)
    if as_json:
        print_json(answer)
        return 0
    click.echo(_headline(answer))
    for problem in answer["config"]["problem_texts"]:
        click.echo(f"{problem['place']}: {problem['code']} {say(problem['en'], problem['zh'])}")
    click.echo()
    urgent = [*_alarms(answer), *_locked(answer)]
    stores = _stores(answer.get("storage") or {})
    buffer = _everything(answer) if everything else _buffer(answer)
    print_tables([_devices(answer), _windows(answer), *urgent, _uplinks(answer), *stores, buffer])
    return 0


def _headline(answer: Mapping[str, Any]) -> str:
    agent, config = answer["agent"], answer["config"]
    source = (
        say("current", "当前") if config["source"] == "current" else say("LAST GOOD ONE", "上次有效的配置")
    )
    clock = {True: say("synchronised", "已同步"), False: say("NOT synchronised", "未同步")}.get(
        agent["clock_synchronised"], say("unknown", "未知")
    )
    parts = [
        agent["line"] or "-",
        f"Lineside {agent['version']}",
        say("running since ", "启动于 ") + local_time(agent["started_ns"]),
        say("configuration ", "配置 ") + f"{config['version']} ({source})",
        say("clock ", "时钟 ") + clock,
    ]
    if not config["reload_ok"]:
        parts.append(say("RELOAD FAILED", "重新加载失败"))
    if answer.get("writes"):
        from edge_agent.cli import write_words

        parts += write_words.headline(answer["writes"])
    return "  |  ".join(parts)


def _devices(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "device,driver,state,since,polls,overruns,good,uncertain,bad,stale,endpoint,reason",
        "设备,驱动,状态,自,轮询,超时轮次,良好,可疑,坏值,过期,地址,原因",
    )
    rows = [_device(row) for row in answer["devices"]]
    spare = (5, 4, 1, 7, 3, 10)
    return Table(say("Devices", "设备"), tuple(headings.split(",")), rows, frozenset(range(4, 10)), spare)


def _device(row: Mapping[str, Any]) -> list[str]:
    groups = row["groups"]
    sums = [str(sum(group[key] for group in groups)) for key in ("polls", "overruns")]
    sums += [str(sum(group["quality"][quality] for group in groups)) for quality in QUALITIES]
    return [
        row["name"], row["driver"], state_word(row["state"]), local_time(row["since_ns"]), *sums,
        row["endpoint"], reason_word(row["reason"]),
    ]  # fmt: skip


def _windows(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "window,state,alarm,value,low,high,unit,since,reason", "窗口,状态,报警,值,下限,上限,单位,自,原因"
    )
    rows = [
        [
            row["name"], state_word(row["state"]), say("ACTIVE", "报警中") if row["active"] else "",
            process_text(row["value"]), process_text(row["low"]), process_text(row["high"]), row["unit"],
            local_time(row["since_ns"]), reason_word(row["reason"]),
        ]
        for row in answer["windows"]
    ]  # fmt: skip
    title = say("Process windows", "工艺窗口")
    return Table(title, tuple(headings.split(",")), rows, frozenset({3, 4, 5}), (7, 2))


def _alarms(answer: Mapping[str, Any]) -> list[Table]:
    """The most urgent ones; `alarms list` has all."""
    rows = answer.get("alarms") or []
    if not rows:
        return []
    from edge_agent.cli.alarm_words import list_table

    told = {"alarms": rows[:SHOWN_ALARMS], "count": len(rows), "kpi": answer["alarm_figures"]}
    return [list_table(told)]


def _locked(answer: Mapping[str, Any]) -> list[Table]:
    """`writes status` has the rest."""
    writes = answer.get("writes") or {}
    if not writes.get("locked"):
        return []
    from edge_agent.cli.write_words import locked_tables

    return locked_tables(writes)


def _uplinks(answer: Mapping[str, Any]) -> Table:
    headings = say(
        "uplink,state,confirmed,pending,set aside,oldest pending,endpoint,reason",
        "上传,状态,已确认,待传,隔离,最早待传,地址,原因",
    )
    rows = [
        [
            row["name"], state_word("up" if row["up"] else "down"), str(row["acknowledged_samples"]),
            str(row["pending_samples"]), str(row["quarantined_samples"]),
            local_time(row["oldest_pending_ns"]), row["endpoint"], reason_word(row["reason"]),
        ]
        for row in answer["uplinks"]
    ]  # fmt: skip
    return Table(say("Uplinks", "上传"), tuple(headings.split(",")), rows, frozenset({2, 3, 4}), (6, 2))


def _stores(storage: Mapping[str, Any]) -> list[Table]:
    """How long an outage may last."""
    headings = say(
        "store,state,quota used,not delivered,oldest not delivered,outage hours left,one reading in five",
        "存储,状态,配额已用,未送达,最早未送达,可断网小时,五取一",
    )
    rows = [
        [
            name, state_word("up" if row["state"] == "ok" else "down"), f"{row['quota_used_ratio']:.1%}",
            f"{row['unsent_ratio']:.1%}", local_time(row["oldest_unsent_ns"]),
            _hours(row["outage_hours_left"]), say("yes", "是") if row["thinning"] else "",
        ]
        for name, row in storage.get("stores", {}).items()
    ]  # fmt: skip
    if not rows:
        return []
    title = say("Stores", "存储")
    return [Table(title, tuple(headings.split(",")), rows, frozenset({2, 3, 5}), (6, 4))]


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.1f}"


def _buffer(answer: Mapping[str, Any]) -> Table:
    """What a technician acts upon; ``--all`` has the rest."""
    buffer = answer["buffer"]
    if not buffer:
        return _lines([])
    hours = answer["storage"].get("stores", {}).get("samples", {}).get("outage_hours_left")
    aside = sum(row["quarantined_samples"] for row in answer["uplinks"])
    ok = buffer["state"] == "ok"
    rows = [
        [say("state", "状态"), say("ok", "正常") if ok else f"{buffer['state']}: {buffer['reason']}"],
        [say("full", "已用"), f"{buffer['bytes'] / max(1, buffer['quota_bytes']):.1%}"],
        [
            say("an outage may last", "还可断网"),
            say("not known yet", "尚不清楚") if hours is None else length_text(hours * 3600),
        ],
        [say("samples lost since start", "启动以来丢失样本"), _lost(buffer)],
        [say("samples set aside", "被隔离样本"), f"{aside:,}"],
    ]
    if buffer.get("databases_set_aside"):
        rows.append([say("files set aside", "被搁置的文件"), str(buffer["databases_set_aside"])])
    return _lines(rows)


def _lost(buffer: Mapping[str, Any]) -> str:
    """The ledger has moments and causes: `buffer info`."""
    unknown = sum(buffer.get("losses", {}).get("unknown_extent", {}).values())
    more = say(f" and {unknown} times an unknown number", f"，另有 {unknown} 次数量不明") if unknown else ""
    return f"{buffer['lost_samples']:,}{more}"


def _everything(answer: Mapping[str, Any]) -> Table:
    numbers = {key: value for key, value in answer["buffer"].items() if not isinstance(value, (dict, list))}
    if "last_flush_s" in numbers:  # beside its moment, which loses its unit as well
        numbers["last_flush_took_s"] = numbers.pop("last_flush_s")
    return _lines([[name, text] for name, text in flat(numbers) if text])


def _lines(rows: list[list[str]]) -> Table:
    return Table(say("Buffer", "缓存"), (say("what", "项目"), say("value", "值")), rows, frozenset({1}))

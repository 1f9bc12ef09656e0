"""``alarms history`` and ``alarms export``: what there was, for people and for Excel."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.alarm_words import letter_word, priority_word
from edge_agent.cli.console_client import socket_option
from edge_agent.cli.moments import moment
from edge_agent.cli.output import local_time, print_tables, process_text
from edge_agent.cli.say import Verb, config_option, json_option, option, say, verb
from edge_agent.cli.table import Table

PAGE = 2_000
OVERLAP_NS = 10_000_000_000
COLUMNS = (
    "time", "time_ns", "kind", "alarm", "window", "priority", "before", "after", "active", "annunciated",
    "first_out", "value", "limit", "deadband", "unit", "quality", "user", "comment", "reason", "until",
    "standards", "config_version", "before_state", "after_state",
)  # fmt: skip
"""New ones are added at the end. The last two are ``before`` and ``after`` in words."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def span_options(function: Any) -> Any:
    since = option(
        "--since",
        default="24h",
        show_default=True,
        metavar="TIME",
        en="From when: 8h, 7d, or in Beijing time 06:00, 2026-01-31, 2026-01-31T06:00.",
        zh="起始时间：8h、7d，或北京时间 06:00、2026-01-31、2026-01-31T06:00。",
    )
    until = option("--until", metavar="TIME", en="Until when; now if not given.", zh="结束时间，默认为现在。")
    return since(until(config_option(socket_option(function))))


@verb("history", en="Show what alarms and windows did.", zh="查看报警与窗口的历史。")
@option("--name", "pattern", default="*", en="Only these; * and ? allowed.", zh="只看这些，可用 * 和 ?。")
@span_options
@json_option
@click.pass_context
def history(
    context: click.Context,
    pattern: str,
    since: str,
    until: str | None,
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    span = _span(since, until)
    found = _events(context, span, config_dir, socket_path)
    events = _fitting(found, pattern)
    if not events:
        click.echo(_none(span, pattern, found), err=as_json)
        return 0
    if as_json:
        for event in events:
            click.echo(json.dumps(event, ensure_ascii=False))
        return 0
    headings = say(
        "time,alarm,what,before,after,priority,value,limit,unit,who,why",
        "时间,报警,事件,之前,之后,优先级,值,限值,单位,谁,原因",
    )
    print_tables([Table("", tuple(headings.split(",")), [_line(event) for event in events])])
    return 0


@verb(
    "export",
    en="Write the history to a file: CSV for Excel, or JSON Lines.",
    zh="把历史写入文件：CSV(Excel 可直接打开)或 JSON Lines。",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    en="Form; by the file's name if not given.",
    zh="格式，默认由文件名决定。",
)
@span_options
@click.pass_context
def export(
    context: click.Context,
    file: Path,
    form: str | None,
    since: str,
    until: str | None,
    config_dir: Path,
    socket_path: Path | None,
) -> int:
    form = form or ("csv" if file.suffix.lower() == ".csv" else "jsonl")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(
            say(
                f"there is no directory {file.parent}: make it first, or name another",
                f"没有目录 {file.parent}：请先建立，或另指定目录",
            )
        )
    events = _events(context, _span(since, until), config_dir, socket_path)
    with file.open("w", encoding="utf-8-sig" if form == "csv" else "utf-8", newline="") as out:
        if form == "csv":
            csv.writer(out).writerow(COLUMNS)
        for event in events:
            out.write(csv_line(event) if form == "csv" else json_line(event))
    click.echo(say(f"{len(events)} events written to {file}", f"已将 {len(events)} 条事件写入 {file}"))
    return 0


COMMANDS: dict[str, Verb] = {"history": history, "export": export}


def json_line(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def csv_line(event: Mapping[str, Any]) -> str:
    detail = event["detail"]
    alarm = event["kind"].startswith("alarm_")
    cells = {
        "time": local_time(event["time_ns"]),
        "time_ns": str(event["time_ns"]),
        "kind": event["kind"],
        "alarm": event["source"] if alarm else "",
        "window": str(detail.get("window", "")) if alarm else event["source"],
        "until": local_time(detail.get("until_ns")),
        "standards": " ".join(map(str, detail.get("standards") or ())),
        "config_version": event["config_version"],
        "before_state": letter_word(detail.get("before") or ""),
        "after_state": letter_word(detail.get("after") or ""),
    }
    row = [cells[name] if name in cells else _cell(detail.get(name)) for name in COLUMNS]
    line = io.StringIO()
    csv.writer(line).writerow([harmless(text) for text in row])
    return line.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def harmless(text: str) -> str:
    """A cell that Excel would take for a formula gets an apostrophe; a number stays one."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _span(since: str, until: str | None) -> tuple[int, int]:
    """Raises UsageError for a span in which nothing can have happened."""
    now_ns = time.time_ns()
    start_ns, end_ns = moment(since, now_ns), now_ns + 1 if until is None else moment(until, now_ns)
    begin, end = local_time(start_ns), local_time(end_ns)
    if start_ns > now_ns:
        raise click.UsageError(say(f"--since {begin} is still to come", f"--since {begin} 尚未到来"))
    if end_ns <= start_ns:
        raise click.UsageError(
            say(
                f"--until {end} is not after --since {begin}",
                f"--until {end} 不晚于 --since {begin}",
            )
        )
    return start_ns, end_ns


def _none(span: tuple[int, int], pattern: str, others: Sequence[Mapping[str, Any]]) -> str:
    begin, end = map(local_time, span)
    if not others:
        return say(f"nothing happened from {begin} to {end}", f"{begin} 至 {end} 没有事件")
    names = sorted({str(event["source"]) for event in others})
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return say(
        f"nothing of a name that fits {pattern!r} happened from {begin} to {end}; "
        f"other events were of: {shown}",
        f"{begin} 至 {end} 没有名称符合 {pattern!r} 的事件；其他事件属于：{shown}",
    )


def _fitting(events: list[dict[str, Any]], pattern: str) -> list[dict[str, Any]]:
    from fnmatch import fnmatchcase

    return [event for event in events if fnmatchcase(event["source"], pattern)]


def _line(event: Mapping[str, Any]) -> list[str]:
    detail = event["detail"]
    return [
        local_time(event["time_ns"]), event["source"], kind_word(event["kind"]),
        letter_word(detail.get("before") or ""), letter_word(detail.get("after") or ""),
        priority_word(detail.get("priority") or ""), process_text(detail.get("value")),
        process_text(detail.get("limit")), str(detail.get("unit") or ""), str(detail.get("user") or ""),
        str(detail.get("comment") or detail.get("reason") or ""),
    ]  # fmt: skip


def kind_word(kind: str) -> str:
    words = {
        "alarm_raised": say("raised", "报警"),
        "alarm_returned": say("returned", "恢复"),
        "alarm_acknowledged": say("acknowledged", "确认"),
        "alarm_reset": say("reset", "复位"),
        "alarm_shelved": say("shelved", "搁置"),
        "alarm_unshelved": say("unshelved", "结束搁置"),
        "alarm_suppressed": say("suppressed", "抑制"),
        "alarm_unsuppressed": say("no longer suppressed", "解除抑制"),
        "alarm_out_of_service": say("out of service", "停用"),
        "alarm_in_service": say("back in service", "恢复使用"),
        "alarm_realarmed": say("annunciated again", "再次报警"),
        "alarm_removed": say("removed", "已删除"),
        "excursion_begin": say("excursion begins", "超限开始"),
        "excursion_end": say("excursion ends", "超限结束"),
        "window_unknown": say("window unknown", "窗口变为未知"),
        "window_known": say("window known again", "窗口不再未知"),
        "window_suppressed": say("window suppressed", "窗口被抑制"),
        "window_unsuppressed": say("window applies again", "窗口解除抑制"),
    }
    return words.get(kind, kind)


def _events(
    context: click.Context, span: tuple[int, int], config_dir: Path, socket_path: Path | None
) -> list[dict[str, Any]]:
    """Oldest first, fetched from the newest page backwards. Time stamps are not always in order (a batch may
    be older than a tick before it), so pages overlap; what comes twice is dropped."""
    start_ns, end_ns = span
    place = console_client.locate(socket_path, config_dir, context)
    pages: list[list[dict[str, Any]]] = []
    known: set[str] = set()
    while end_ns > start_ns:
        args = {"start_ns": start_ns, "end_ns": end_ns, "limit": PAGE}
        answer = console_client.ask(place, "alarms.history", args)
        fresh = {json_line(event): event for event in answer["events"]}
        pages.append([event for line, event in fresh.items() if line not in known])
        if answer["complete"] or not fresh:
            break
        known = set(fresh)
        oldest_ns = min(event["time_ns"] for event in fresh.values())
        end_ns = min(oldest_ns + OVERLAP_NS, end_ns - 1) if pages[-1] else oldest_ns
    return [event for page in reversed(pages) for event in page]

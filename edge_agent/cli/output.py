"""How results are printed: JSON for programs, a table with colour on a terminal, a plain table elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.lengths import length_text
from edge_agent.cli.moments import moment_text
from edge_agent.cli.say import say
from edge_agent.cli.table import Table, plain, printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

ALARMING = frozenset(
    {
        "ACTIVE",
        "报警中",
        "OUTSIDE",
        "超限",
        "no answer",
        "无应答",
        "not connected",
        "未连接",
        "refused",
        "被拒绝",
    }
)


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def print_tables(tables: Sequence[Table]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        for table in tables:
            console.print(rich_table(table))
        return
    click.echo("\n\n".join(plain(table) for table in tables))


def rich_table(table: Table) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=table.title or None, title_justify="left", box=None, pad_edge=False)
    for column, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if column in table.right else "left")
    for row in table.rows:
        style = "bold red" if ALARMING.intersection(row) else ""
        shown.add_row(*(Text(printable(cell), style=style) for cell in row))
    return shown


def state_word(state: str) -> str:
    words = {
        "up": say("up", "正常"),
        "connecting": say("connecting", "连接中"),
        "proving": say("checking its answers", "核对应答中"),
        "silent": say("no answer", "无应答"),
        "down": say("not connected", "未连接"),
        "refused": say("refused", "被拒绝"),
        "in": say("inside", "正常"),
        "out": say("OUTSIDE", "超限"),
        "unknown": say("unknown", "未知"),
        "suppressed": say("suppressed", "已抑制"),
    }
    return words.get(state, state)


def quality_word(quality: str) -> str:
    words = {
        "good": say("good", "良好"),
        "uncertain": say("uncertain", "可疑"),
        "uncertain_stopped": say("controller stopped", "控制器停机"),
        "uncertain_estimated": say("estimated", "估算值"),
        "undefined": say("undefined", "无定义"),
        "uncertain_source_time": say("source time wrong", "源时间异常"),
        "bad": say("bad", "坏值"),
        "bad_comm": say("no answer", "通信失败"),
        "bad_address": say("no such address", "地址不存在"),
        "bad_decode": say("no number", "无法解码"),
        "bad_device": say("device fault", "设备故障"),
        "bad_config": say("wrong type or access", "类型或权限不符"),
        "stale": say("too old", "过期"),
        "waiting": say("not read yet", "尚未读取"),
        "not_reported": say("not reported", "未上报"),
        "unchanged": say("unchanged", "未变化"),
    }
    return words.get(quality, quality)


def value_text(value: Any) -> str:
    """A value as a person reads it: nothing for none, floats without noise, integers in full."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def local_time(time_ns: int | None) -> str:
    """Beijing time with its offset; nothing for none."""
    if not time_ns:
        return ""
    return moment_text(time_ns)


def age_text(age_s: float | None) -> str:
    if age_s is None:
        return ""
    return (
        f"{age_s:.1f} s"
        if age_s < 100
        else f"{age_s / 60:.0f} min"
        if age_s < 6000
        else f"{age_s / 3600:.1f} h"
    )


def flat(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested plain data as (dotted name, text) lines; times as Beijing time, lengths in
    units of people."""
    for key, value in report.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            yield from flat({str(position): item for position, item in enumerate(value)}, f"{prefix}{key}.")
        elif key.endswith("_ns") and isinstance(value, int):
            yield f"{prefix}{key.removesuffix('_ns')}", local_time(value)
        elif key.endswith("_s") and isinstance(value, (int, float)):
            yield f"{prefix}{key.removesuffix('_s')}", length_text(value)
        else:
            yield f"{prefix}{key}", value_text(value)

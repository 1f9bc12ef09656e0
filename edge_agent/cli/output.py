"""How results are printed: JSON for programs, a table with colour on a terminal, a plain table elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.lengths import length_text
from edge_agent.cli.moments import moment_text
from edge_agent.cli.say import language, say
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
        for position, table in enumerate(tables):
            console.print(*([""] if position else []), rich_table(table, console.width), sep="\n")
        return
    click.echo("\n\n".join(plain(table) for table in tables))


def rich_table(table: Table, columns: int) -> RichTable:
    """The table as a terminal of so many columns has room for it."""
    from rich.table import Table as RichTable
    from rich.text import Text

    from edge_agent.cli.fitting import fitted, widths

    fit, left_out = fitted(table, columns)
    names = say(", ", "、").join(left_out)
    note = say(f"no room for: {names} (--json has all)", f"放不下：{names}（--json 有全部）")
    shown = RichTable(
        title=Text(fit.title, overflow="fold") if fit.title else None,
        title_justify="left",
        caption=note if left_out else None,
        caption_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column, (heading, width) in enumerate(zip(fit.headings, widths(fit, columns), strict=True)):
        shown.add_column(
            heading, justify="right" if column in fit.right else "left", width=width, overflow="fold"
        )
    for whole, row in zip(table.rows, fit.rows, strict=True):
        style = "bold red" if ALARMING.intersection(whole) else ""
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
    from edge_agent.status.shown import QUALITIES

    return QUALITIES[quality].say(language()) if quality in QUALITIES else quality


def reason_word(reason: str) -> str:
    from edge_agent.status.shown import reason_text

    return reason_text(reason, language())


def value_text(value: Any, kind: str = "") -> str:
    """A value as a person reads it, with the digits that it has. ``kind``: the type, where it is known."""
    from edge_agent.status.shown import number_text

    return number_text(value, kind)


def process_text(value: Any) -> str:
    """A value beside its limits: with the digits of a measurement, whatever arithmetic it went through."""
    return value_text(value, "float32")


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

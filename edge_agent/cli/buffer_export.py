"""``buffer export``: what is stored, as a file for a spreadsheet or a program."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from edge_agent.cli.moments import length_ns, moment
from edge_agent.cli.say import Verb, config_option, option, say
from edge_agent.cli.store_place import locate, state_option
from edge_agent.errors import LinesideError

if TYPE_CHECKING:
    from edge_agent.buffer import History
    from edge_agent.model import Schema

_MOST_EVENTS = 1_000_000


@click.command(
    "export",
    cls=Verb,
    help="Write stored data to a file, oldest first: CSV for a spreadsheet, JSON Lines for a program.",
    zh="把存储的数据按时间顺序写入文件：CSV 供表格软件使用，JSON Lines 供程序使用。",
)
@option(
    "--what",
    type=click.Choice(["samples", "periods", "events"]),
    default="samples",
    show_default=True,
    en="Readings, period values, or events.",
    zh="采样值、周期值或事件。",
)
@option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    en="Form of the file.",
    zh="文件格式。",
)
@option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    en="File; - for standard output.",
    zh="输出文件，- 表示标准输出。",
)
@option(
    "--from",
    "begin",
    metavar="TIME",
    en="From when, Beijing time; default: the oldest.",
    zh="起始时间（北京时间），默认最早。",
)
@option("--to", "end", metavar="TIME", default="now", show_default=True, en="Until when.", zh="结束时间。")
@option("--last", metavar="LENGTH", en="Instead of --from: 8h, 7d.", zh="代替 --from：8h、7d。")
@option(
    "--tag",
    "tags",
    multiple=True,
    metavar="DEVICE.TAG",
    en="Only these; * allowed; may be repeated.",
    zh="只导出这些点，可用 *，可重复。",
)
@config_option
@state_option
def export(
    what: str,
    form: str,
    out: Path,
    begin: str | None,
    end: str,
    last: str | None,
    tags: tuple[str, ...],
    config_dir: Path,
    state_dir: Path | None,
) -> int:
    from edge_agent.buffer import open_history
    from edge_agent.cli.buffer_rows import COLUMNS, EVENT_COLUMNS, write_csv, write_jsonl

    span = _span(begin, end, last)
    place = locate(config_dir, state_dir)
    with open_history(place.directory) as history, opened(out) as file:
        rows = _events(history, span) if what == "events" else _samples(history, span, what, tags)
        if form == "csv":
            count = write_csv(rows, EVENT_COLUMNS if what == "events" else COLUMNS, file)
        else:
            count = write_jsonl(rows, file)
        damaged = history.corrupt
    said = say(f"{count:,} rows", f"{count:,} 行")
    if damaged:
        said += say(
            f"; {damaged} stored units are damaged and were left out (buffer verify names them)",
            f"；{damaged} 个存储单元已损坏，未导出（buffer verify 可列出）",
        )
    click.echo(said, err=True)
    return 1 if damaged else 0


def _samples(
    history: History, span: tuple[int, int], what: str, tags: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    from edge_agent.cli.buffer_rows import sample_rows
    from edge_agent.config.selection import Selection
    from edge_agent.uplink import Stream

    selection = Selection(tags=tags)

    def wanted(schema: Schema) -> bool:
        return selection.wants(schema)

    for batch in history.batches(*span, select=wanted, stream=Stream(what)):
        yield from sample_rows(selection.narrowed(batch))


def _events(history: History, span: tuple[int, int]) -> Iterator[dict[str, Any]]:
    from edge_agent.cli.buffer_rows import event_row

    for event in history.events(*span, limit=_MOST_EVENTS):
        yield event_row(event)


def _span(begin: str | None, end: str, last: str | None) -> tuple[int, int]:
    now_ns = time.time_ns()
    end_ns = moment(end, now_ns)
    if begin is not None and last is not None:
        raise click.UsageError(say("Give --from or --last, not both.", "--from 与 --last 只能给一个。"))
    begin_ns = moment(begin, now_ns) if begin is not None else 0
    if last is not None:
        begin_ns = end_ns - length_ns(last)
    if begin_ns >= end_ns:
        raise click.UsageError(say("--from must lie before --to.", "--from 必须早于 --to。"))
    return begin_ns, end_ns


@contextmanager
def opened(out: Path) -> Iterator[TextIO]:
    """A file that exists is not overwritten: it may be somebody's evidence."""
    if str(out) == "-":
        yield sys.stdout
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            yield file
    except FileExistsError:
        raise LinesideError(
            say(f"{out} exists already: name another file", f"{out} 已存在：请换一个文件名")
        ) from None
    except OSError as error:
        raise LinesideError(
            say(f"{out} cannot be written: {error.strerror}", f"无法写入 {out}：{error.strerror}")
        ) from None

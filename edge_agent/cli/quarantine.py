"""``buffer quarantine``: what a destination refused for good. Looking needs only the files; sending again and
giving up are the running agent's to do, and are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.console_client import socket_option
from edge_agent.cli.output import local_time, print_json, print_tables
from edge_agent.cli.say import Family, Verb, config_option, json_option, option, say
from edge_agent.cli.store_place import locate, state_option
from edge_agent.cli.table import Table

if TYPE_CHECKING:
    from edge_agent.buffer import History, Refused


@click.group(
    "quarantine",
    cls=Family,
    help="Data that a destination refused for good: see it, export it, send it again, give it up.",
    zh="上行目标拒收的数据：查看、导出、重发、放弃。",
)
def quarantine() -> None:
    pass


uplink_option = option("--uplink", en="Only of this uplink.", zh="仅此上行通道。")


@quarantine.command("list", cls=Verb, help="Show what is set aside, and why.", zh="显示被隔离的数据及原因。")
@uplink_option
@config_option
@state_option
@json_option
def list_(uplink: str | None, config_dir: Path, state_dir: Path | None, as_json: bool) -> None:
    from edge_agent.buffer import open_history

    with open_history(locate(config_dir, state_dir).directory) as history:
        found = _refused(history, uplink)
    if as_json:
        print_json([_plain(unit) for unit in found])
        return
    headings = say("uplink,key,refused,samples,from,why", "上行通道,编号,拒收时间,样本数,数据时间,原因")
    rows = [
        [u.uplink, str(u.key), local_time(u.at_ns), f"{u.samples:,}", local_time(u.t0_ns), u.reason]
        for u in found
    ]
    print_tables([Table("", tuple(headings.split(",")), rows, frozenset({3}))])


@quarantine.command(
    "export",
    cls=Verb,
    help="Write what is set aside to a file, one JSON object per row.",
    zh="把被隔离的数据写入文件，每行一个 JSON 对象。",
)
@option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    en="File; - for standard output.",
    zh="输出文件，- 表示标准输出。",
)
@uplink_option
@config_option
@state_option
def export(out: Path, uplink: str | None, config_dir: Path, state_dir: Path | None) -> None:
    from edge_agent.buffer import open_history
    from edge_agent.cli.buffer_export import opened
    from edge_agent.cli.buffer_rows import write_jsonl

    with open_history(locate(config_dir, state_dir).directory) as history, opened(out) as file:
        count = write_jsonl(_rows(history, _refused(history, uplink)), file)
    click.echo(say(f"{count:,} rows", f"{count:,} 行"), err=True)


def _refused(history: History, uplink: str | None) -> list[Refused]:
    from edge_agent.uplink import Stream

    streams = (Stream.SAMPLES, Stream.PERIODS, Stream.EVENT)
    return [u for stream in streams for u in history.refused(stream) if uplink in (None, u.uplink)]


def _rows(history: History, units: list[Refused]) -> Iterator[dict[str, Any]]:
    from edge_agent.cli.buffer_rows import event_row, sample_rows
    from edge_agent.model import Event

    for unit in units:
        head = {"uplink": unit.uplink, "key": str(unit.key), "reason": unit.reason}
        found = history.unit(unit.key)
        if found is None:
            yield head | {"damaged": True}
        elif isinstance(found, Event):
            yield head | event_row(found)
        else:
            for batch in found.batches:
                for row in sample_rows(batch):
                    yield head | row


def _plain(unit: Refused) -> dict[str, Any]:
    return {
        "uplink": unit.uplink, "key": str(unit.key), "reason": unit.reason, "at_ns": unit.at_ns,
        "samples": unit.samples, "t0_ns": unit.t0_ns, "t1_ns": unit.t1_ns,
    }  # fmt: skip


keys_argument = click.argument("keys", nargs=-1, metavar="[KEY]...")
all_option = option(
    "--all", "everything", is_flag=True, en="All that is set aside for it.", zh="该通道的全部。"
)


@quarantine.command(
    "retry",
    cls=Verb,
    help="Have it sent again: after the destination was mended.",
    zh="重新发送：目标修复之后使用。",
)
@click.argument("uplink")
@keys_argument
@all_option
@config_option
@socket_option
@json_option
@click.pass_context
def retry(
    context: click.Context, /, uplink: str, keys: tuple[str, ...], everything: bool, **where: Any
) -> int:
    return _act(context, "buffer.retry", _args(uplink, keys, everything), **where)


@quarantine.command(
    "drop",
    cls=Verb,
    help="Give it up for this destination: it goes into the loss ledger, with who and why.",
    zh="放弃：记入丢失台账，并记录何人因何原因。",
)
@click.argument("uplink")
@keys_argument
@all_option
@option("--reason", "comment", required=True, en="Why; is recorded.", zh="原因，会被记录。")
@config_option
@socket_option
@json_option
@click.pass_context
def drop(
    context: click.Context,
    /,
    uplink: str,
    keys: tuple[str, ...],
    everything: bool,
    comment: str,
    **where: Any,
) -> int:
    args = _args(uplink, keys, everything) | {"comment": comment}
    return _act(context, "buffer.drop", args, **where)


def _args(uplink: str, keys: tuple[str, ...], everything: bool) -> dict[str, Any]:
    if bool(keys) == everything:
        raise click.UsageError(say("Name the keys, or say --all.", "请列出编号，或使用 --all（二选一）。"))
    return {"uplink": uplink, "all": True} if everything else {"uplink": uplink, "keys": list(keys)}


def _act(
    context: click.Context,
    verb: str,
    args: dict[str, Any],
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    rows = console_client.ask(place, verb, args)
    if as_json:
        print_json(rows)
        return 0
    samples = sum(row["samples"] for row in rows)
    done = {
        "buffer.retry": say("are sent again", "将重新发送"),
        "buffer.drop": say("are given up and stand in the ledger", "已放弃并记入台账"),
    }[verb]
    click.echo(
        say(
            f"{len(rows)} unit(s), {samples:,} samples {done}.",
            f"{len(rows)} 个单元、{samples:,} 个样本{done}。",
        )
    )
    return 0

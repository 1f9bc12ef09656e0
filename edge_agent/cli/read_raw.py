"""``read --raw``: the bytes beside the value, read in the same requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.output import print_json, print_tables, quality_word, value_text
from edge_agent.cli.read import ask, exit_code, rows_of
from edge_agent.cli.say import say
from edge_agent.cli.table import Table, without_empty_last

if TYPE_CHECKING:
    from edge_agent.config.model import Device
    from edge_agent.driver import Prober
    from edge_agent.model import Batch, Tag

MOST_COMMANDS = 12


def show_raw(device: Device, labels: Mapping[str, Mapping[int, str]], as_json: bool) -> int:
    prober = None if device.plugin.probe is None else device.plugin.probe()
    cells = {} if prober is None else _cells(prober, device)
    batches = ask(replace(device, tags=(*device.tags, *(c for own in cells.values() for c in own))))
    data = {key: value for batch in batches for key, value in _values(batch)}
    by_name = {tag.name: tag for tag in device.tags}
    rows = [
        row | _raw(prober, device, by_name[row["tag"]], data)
        for batch in batches
        for row in rows_of(batch, {name: labels.get(name, {}) for name in batch.schema.names})
        if row["tag"] in by_name
    ]
    if as_json:
        print_json({"device": device.name, "tags": rows})
        return exit_code(rows)
    print_tables([_table(rows)])
    _tell(prober, rows)
    return exit_code(rows)


def _cells(prober: Prober, device: Device) -> dict[str, list[Tag]]:
    """Per poll group, each once."""
    groups: dict[str, dict[str, Tag]] = {}
    for tag in device.tags:
        for cell in prober.cells_of(device.settings, tag):
            own = groups.setdefault(tag.group, {})
            own[cell.address] = replace(cell, group=tag.group, name=_name(cell))
    return {group: list(cells.values()) for group, cells in groups.items()}


def _name(cell: Tag) -> str:
    return f"\0{cell.address}"


def _values(batch: Batch) -> Iterator[tuple[tuple[str, str], Any]]:
    for name, value in zip(batch.schema.names, batch.values, strict=True):
        yield (batch.schema.group, name), value


def _raw(
    prober: Prober | None, device: Device, tag: Tag, data: Mapping[tuple[str, str], Any]
) -> dict[str, Any]:
    if prober is None:
        return {"address": tag.address, "notation": "", "bytes": None, "command": ""}
    values = [data.get((tag.group, _name(cell))) for cell in prober.cells_of(device.settings, tag)]
    found = b"".join(v.to_bytes(prober.cell_bytes, "big") for v in values if isinstance(v, int))
    return {
        "address": tag.address,
        "notation": prober.notation(tag),
        "bytes": found.hex(" ") if values and len(found) == len(values) * prober.cell_bytes else None,
        "command": prober.elsewhere(device.settings, tag),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    headings = say(
        "tag,address,type,bytes,raw,value,unit,quality,meaning",
        "变量,地址,类型,字节,原始值,工程值,单位,质量,含义",
    )
    cells = [
        [
            row["tag"], row["notation"] or row["address"], row["type"], row["bytes"] or "",
            value_text(row["raw"], row["type"]), value_text(row["value"], row["type"]), row["unit"],
            quality_word(row["quality"]), row["label"] or "",
        ]
        for row in rows
    ]  # fmt: skip
    return without_empty_last(Table("", tuple(headings.split(",")), cells, frozenset({4, 5})))


def _tell(prober: Prober | None, rows: Sequence[Mapping[str, Any]]) -> None:
    if prober is None:
        click.echo(
            say(
                "This protocol gives values with their types: there are no bytes to show.",
                "该协议直接给出带类型的值，没有可显示的字节。",
            )
        )
        return
    commands = [row for row in rows if row["command"]]
    if not commands:
        return
    click.echo()
    click.echo(say("The same with mbpoll, to compare:", "可用 mbpoll 对照："))
    for row in commands[:MOST_COMMANDS]:
        click.echo(f"  {row['tag']}: {row['command']}")
    if len(commands) > MOST_COMMANDS:
        click.echo(say("  --json has all of them; or name tags.", "  --json 列出全部；也可指定变量名。"))

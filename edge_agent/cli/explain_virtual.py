"""``explain`` of the virtual device: what the agent calculates, and of what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.lengths import length_text
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import say
from edge_agent.cli.table import Table, without_empty_last

if TYPE_CHECKING:
    from edge_agent.config.derivation import Derivation


def show_virtual(derivation: Derivation, as_json: bool) -> None:
    groups = list(_groups(derivation))
    counters = [
        {"counter": c.name, "tag": str(c.tag), "unit": c.unit, "max_rate": c.max_rate}
        for c in derivation.counters
    ]
    figures = [
        {"figure": f.name, "formula": f.formula.text, "unit": f.formula.unit, "description": f.description}
        for f in derivation.figures
    ]
    if as_json:
        made: dict[str, Any] = {"device": derivation.device, "description": derivation.description}
        print_json(made | {"groups": groups, "counters": counters, "figures": figures})
        return
    head = say("calculated by the agent, from no device", "由代理计算，不读取设备")
    click.echo(
        "  |  ".join(part for part in (derivation.device, derivation.description, head) if part) + "\n"
    )
    tables = [_table(group) for group in groups]
    if counters:
        headings = say("counter,tag,unit,at most per s", "计数器,变量,单位,每秒最多").split(",")
        tables.append(
            Table(say("Counters", "计数器"), tuple(headings), [list(row.values()) for row in counters])
        )
    if figures:
        headings = say("figure,formula,unit,meaning", "指标,公式,单位,说明").split(",")
        title = say("Figures of each hour, day and month", "每小时、日、月的指标")
        rows = [list(row.values()) for row in figures]
        tables.append(without_empty_last(Table(title, tuple(headings), rows)))
    print_tables(tables)


def _groups(derivation: Derivation) -> Iterator[dict[str, Any]]:
    from edge_agent.config.virtual import groups_of

    hidden = {item.name for item in derivation.derived if item.hidden}
    for name, group in groups_of(derivation).items():
        tags = [
            {"tag": tag.name, "formula": tag.address, "unit": tag.unit, "description": tag.description}
            for tag in group.tags
            if tag.name not in hidden
        ]
        if tags:
            yield {"group": name, "every_s": group.period_s, "tags": tags}


def _table(group: dict[str, Any]) -> Table:
    name, every = group["group"], length_text(group["every_s"])
    if name.startswith("total."):
        title = say(f"Group {name}, at the end of each period", f"轮询组 {name}，每个时段结束时")
    else:
        title = say(
            f"Group {name}, with each of its reads, every {every}", f"轮询组 {name}，随其读取，每 {every}"
        )
    headings = say("tag,formula,unit,meaning", "变量,公式,单位,说明").split(",")
    rows = [list(tag.values()) for tag in group["tags"]]
    return without_empty_last(Table(title, tuple(headings), rows))

"""``drivers``: which protocols and destinations this installation can speak to."""

from __future__ import annotations

from typing import Any

import click

from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import Family, Verb, json_option, language, say
from edge_agent.cli.table import Table
from edge_agent.errors import LinesideError


class NoSample(LinesideError):
    """The driver ships no annotated example."""


@click.group(
    "drivers",
    cls=Family,
    invoke_without_command=True,
    help="List installed drivers and uplinks; `drivers sample NAME` prints an annotated example.",
    zh="列出已安装的驱动与上传方式；`drivers sample 名称` 输出带注释的示例。",
)
@json_option
@click.pass_context
def drivers(context: click.Context, as_json: bool) -> None:
    if context.invoked_subcommand is not None:
        return
    found = {"drivers": _drivers(), "uplinks": _uplinks()}
    if as_json:
        print_json(found)
        return
    rows = [
        [row["name"], row.get("error") or row["summary"].get(language(), ""), row["address_hint"]]
        for row in found["drivers"]
    ]
    headings = say("driver,what,address", "驱动,说明,地址写法").split(",")
    uplinks = [[row["name"], row.get("error") or ""] for row in found["uplinks"]]
    print_tables(
        [
            Table(say("Drivers", "驱动"), tuple(headings), rows),
            Table(say("Uplinks", "上传方式"), (say("type", "类型"), ""), uplinks),
        ]
    )


@drivers.command(
    "sample",
    cls=Verb,
    help="Print a driver's annotated example of a device file.",
    zh="输出某驱动带注释的设备文件示例。",
)
@click.argument("name")
def sample(name: str) -> None:
    click.echo(_sample(name), nl=False)


def _drivers() -> list[dict[str, Any]]:
    from edge_agent import registry

    rows: list[dict[str, Any]] = []
    for name in registry.names(registry.DRIVERS):
        row: dict[str, Any] = {"name": name, "address_hint": "", "summary": {}, "error": None}
        try:
            plugin = registry.load_driver(name)
        except LinesideError as error:
            row["error"] = str(error)
        else:
            row |= {"address_hint": plugin.address_hint, "summary": dict(plugin.summary)}
        rows.append(row)
    return rows


def _uplinks() -> list[dict[str, Any]]:
    from edge_agent import registry

    rows: list[dict[str, Any]] = []
    for name in registry.names(registry.UPLINKS):
        try:
            registry.load_uplink(name)
        except LinesideError as error:
            rows.append({"name": name, "error": str(error)})
        else:
            rows.append({"name": name, "error": None})
    return rows


def _sample(name: str) -> str:
    """The text of ``sample.yaml`` beside the driver's plug-in object."""
    from importlib.metadata import entry_points
    from importlib.resources import files

    from edge_agent import registry

    for point in entry_points(group=registry.DRIVERS):
        if point.name == name:
            try:
                return files(point.module).joinpath("sample.yaml").read_text(encoding="utf-8")
            except (FileNotFoundError, ModuleNotFoundError) as error:
                raise NoSample(say(f"driver {name} has no example", f"驱动 {name} 没有示例")) from error
    raise registry.UnknownPlugin(name, registry.names(registry.DRIVERS))

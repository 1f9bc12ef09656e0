"""``browse``: what is in a device, without a tag table: an OPC UA server's variables, a controller's data
blocks and their bytes, the registers that answer. Reads only."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.completing import devices
from edge_agent.cli.output import print_json, print_tables, value_text
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.table import Table, without_empty_last
from edge_agent.errors import DriverError, LinesideError, LinkLost
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.driver import DriverPlugin
    from edge_agent.model import Tag

_CONNECT_S = 10.0
_WALK_S = 120.0
_AD_HOC = {"modbus": "tcp", "s7": "tcp", "opcua": "opc.tcp"}


class Exists(LinesideError):
    """The file to write is there already."""


@verb(
    "browse",
    en="Show what is in a device: `browse DEVICE`, `browse opcua URL`, `browse s7 HOST`, "
    "`browse modbus HOST`. Only reads.",
    zh="显示设备中有什么：`browse 设备`、`browse opcua URL`、`browse s7 主机`、`browse modbus 主机`。只读。",
)
@click.argument("device", metavar="DEVICE|URL|opcua|s7|modbus", shell_complete=devices)
@click.argument("place", metavar="[URL|HOST[:PORT]]", required=False)
@option("--from", "start", metavar="NODE|NUMBER", en="Where to begin.", zh="起始节点或地址。")
@option("--count", type=click.IntRange(1, 65_536), en="Modbus: how many places.", zh="Modbus：数量。")
@option(
    "--table", type=click.Choice(["hr", "ir", "co", "di"]), en="Modbus: which table.", zh="Modbus：数据区。"
)
@option(
    "--unit", type=click.IntRange(0, 255), en="Modbus: unit id or station.", zh="Modbus：单元号（站号）。"
)
@option("--db", "blocks", metavar="1,5-9", en="S7: which data blocks.", zh="S7：数据块号。")
@option("--size", type=click.IntRange(1, 65_536), en="S7: how many bytes.", zh="S7：字节数。")
@option("--rack", type=click.IntRange(0, 7), en="S7: rack.", zh="S7：机架号。")
@option("--slot", type=click.IntRange(0, 31), en="S7: slot.", zh="S7：插槽号。")
@option(
    "--csv",
    "table_file",
    type=click.Path(path_type=Path),
    en="OPC UA: write a tag table.",
    zh="OPC UA：写成点表文件。",
)
@config_option
@json_option
def browse(
    device: str,
    place: str | None,
    start: str | None,
    config_dir: Path,
    table_file: Path | None,
    as_json: bool,
    **chosen: Any,
) -> int:
    from edge_agent.driver import Browser

    if table_file is not None and table_file.exists():
        raise Exists(say(f"{table_file} exists; name a new file", f"{table_file} 已存在，请换一个文件名"))
    plugin, settings = _target(device, place, chosen, config_dir)
    if plugin.look is None and isinstance(plugin.open_link(settings), Browser):
        return _show_tags(_walk(plugin, settings, start or ""), table_file, as_json)
    if plugin.look is None:
        raise click.UsageError(say(f"the driver of {device} cannot browse", f"{device} 的驱动不支持浏览"))
    if table_file is not None:
        raise click.UsageError(
            say("--csv is for OPC UA: only there tags have names", "--csv 仅用于 OPC UA：只有它的变量有名称")
        )
    return _look(plugin, settings, _tries(start, chosen), as_json)


def _target(
    device: str, place: str | None, chosen: Mapping[str, Any], config_dir: Path
) -> tuple[DriverPlugin, Any]:
    """A driver's plug-in and the settings of a device: one of the configuration, or one at an address."""
    from edge_agent.cli.survey import settings_of
    from edge_agent.registry import load_driver

    if device.startswith("opc.tcp://"):
        device, place = "opcua", device
    if place is None:
        if device in _AD_HOC:
            raise click.UsageError(say(f"browse {device}: at which address?", f"browse {device}：缺少地址"))
        if "." in device or ":" in device:
            raise click.UsageError(
                say(
                    f"{device}: which protocol? Write browse modbus {device} or browse s7 {device}",
                    f"{device}：使用哪种协议？请写 browse modbus {device} 或 browse s7 {device}",
                )
            )
        from edge_agent.cli.read import find_device
        from edge_agent.config import load

        found = find_device(load(config_dir), device)
        return found.plugin, found.settings
    if device not in _AD_HOC:
        raise click.UsageError(
            say(
                f"{device!r} is none of: {', '.join(_AD_HOC)}",
                f"{device!r} 不在可选值之中：{', '.join(_AD_HOC)}",
            )
        )
    plugin = load_driver(device)
    keys = {
        "link": place if "://" in place else f"{_AD_HOC[device]}://{place}",
        "station": chosen["unit"],
        "rack": chosen["rack"],
        "slot": chosen["slot"],
    }
    return plugin, settings_of(plugin, keys)


def _tries(start: str | None, chosen: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    from edge_agent.cli.scan import numbers

    tries: dict[str, tuple[Any, ...]] = {}
    if start is not None:
        tries["start"] = numbers(start, "--from", 0, 65_535)[:1]
    if chosen["table"]:
        tries["table"] = (chosen["table"],)
    if chosen["count"] or chosen["size"]:
        tries["count"] = (chosen["count"] or chosen["size"],)
    if chosen["blocks"]:
        tries["db"] = numbers(chosen["blocks"], "--db", 1, 65_535)
    return tries


def _look(plugin: DriverPlugin, settings: Any, tries: Mapping[str, Sequence[Any]], as_json: bool) -> int:
    from edge_agent.cli.survey import Nobody, carry_out, tell_end

    assert plugin.look is not None
    outcome = carry_out(plugin.look(settings, tries), settings.link)
    if as_json:
        print_json(
            {
                "link": settings.link,
                "places": outcome.findings,
                "notes": outcome.notes,
                "stopped": outcome.stopped,
                "error": outcome.error,
            }
        )
        return 0 if outcome.findings else Nobody.exit_code
    if not outcome.findings:
        tell_end(outcome)
        raise Nobody(say("nothing there answers", "没有可读取的内容"))
    headings = list(dict.fromkeys(key for finding in outcome.findings for key in finding))
    rows = [[value_text(finding.get(key)) for key in headings] for finding in outcome.findings]
    right = frozenset(
        n for n, key in enumerate(headings) if key not in ("address", "reference", "raw", "text", "block")
    )
    print_tables([Table("", tuple(_heading(key) for key in headings), rows, right)])
    tell_end(outcome)
    return 0


def _heading(key: str) -> str:
    words = {
        "address": say("address", "地址"),
        "reference": say("reference", "引用地址"),
        "raw": say("bytes", "字节"),
        "text": say("text", "字符"),
        "block": say("block", "数据块"),
        "size_bytes": say("bytes", "字节数"),
    }
    return words.get(key, key)


# A tree of variables


def _walk(plugin: DriverPlugin, settings: Any, start: str) -> Sequence[Tag]:
    from edge_agent.cli.survey import Nobody, failure

    if sys.stderr.isatty():
        click.echo(say("Browsing; Ctrl-C ends it.", "正在浏览，按 Ctrl-C 结束。"), err=True)
    try:
        return asyncio.run(_tags(plugin, settings, start))
    except TimeoutError:
        raise Nobody(say(f"{settings.link} answers too slowly", f"{settings.link} 应答过慢")) from None
    except DriverError as error:
        raise failure(error, settings.link) from error


async def _tags(plugin: DriverPlugin, settings: Any, start: str) -> Sequence[Tag]:
    link: Any = plugin.open_link(settings)
    try:
        try:
            async with asyncio.timeout(_CONNECT_S):
                await link.connect()
                await link.enrol(settings)
        except TimeoutError:
            raise LinkLost(
                Text(f"no connection within {_CONNECT_S:g} s", f"{_CONNECT_S:g} s 内未能连接"),
                reason="timeout",
            ) from None
        async with asyncio.timeout(_WALK_S):
            tags: Sequence[Tag] = await link.browse(settings, start)
            return tags
    finally:
        await link.close()


def _show_tags(tags: Sequence[Tag], table_file: Path | None, as_json: bool) -> int:
    rows = _named(tags)
    if not rows:
        raise LinesideError(say("there are no readable variables below that node", "该节点下没有可读的变量"))
    if table_file is not None:
        _write(table_file, rows)
    if as_json:
        print_json({"tags": rows})
    elif table_file is not None:
        click.echo(
            say(f"{len(rows)} tags written to {table_file}", f"已将 {len(rows)} 个点写入 {table_file}")
        )
    else:
        headings = say("name,address,type,unit,description", "点名,地址,数据类型,单位,描述").split(",")
        print_tables([without_empty_last(Table("", tuple(headings), [list(row.values()) for row in rows]))])
    return 0


def _named(tags: Sequence[Tag]) -> list[dict[str, str]]:
    """Rows of a tag table: every name permitted, and only there once."""
    from edge_agent.config.fields import is_tag_name, name_guess

    taken: set[str] = set()
    rows = []
    for tag in tags:
        wanted = tag.name if is_tag_name(tag.name) else name_guess(tag.name)[:90]
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        rows.append(
            {
                "name": name,
                "address": tag.address,
                "type": tag.wire or str(tag.type),
                "unit": tag.unit,
                "description": " ".join(tag.description.split()),
            }
        )
    return rows


def _write(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """With a byte order mark, by which spreadsheets know the encoding."""
    with file.open("x", encoding="utf-8-sig", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

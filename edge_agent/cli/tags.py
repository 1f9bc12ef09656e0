"""``tags``: the tag tables of the devices, to and from Excel and the exports of other tools."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.completing import devices
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import Family, Verb, config_option, json_option, language, option, say
from edge_agent.cli.table import Table, without_empty_last
from edge_agent.errors import LinesideError

if TYPE_CHECKING:
    from edge_agent.config.importing import Imported
    from edge_agent.config.importing.merging import Change, Written
    from edge_agent.config.importing.target import Target
    from edge_agent.config.located import Located

OK, WARNINGS, BAD = 0, 3, 78
_TOOLS = ("auto", "kepware", "neuron", "ignition", "tia", "lineside")
_SHOWN = 200  # lines of a difference; --json has all of it


@click.group(
    "tags",
    cls=Family,
    help="Tag tables: list, take to Excel, bring back, import from other tools.",
    zh="点表：列出、导出到 Excel、改后导入、从其他软件导入。",
)
def tags() -> None:
    pass


@tags.command("list", cls=Verb, help="List the tags of a device, or of all.", zh="列出一台或全部设备的点。")
@click.argument("device", required=False, metavar="[DEVICE]", shell_complete=devices)
@config_option
@json_option
def list_(device: str | None, config_dir: Path, as_json: bool) -> int:
    from edge_agent.config.exporting import table_rows

    found = _targets(config_dir, device)
    rows = [
        {"device": one.name, **{column: text for column, text in row.items() if text}}
        for one in found
        if one.now is not None
        for row in table_rows(one.now)
    ]
    if as_json:
        print_json(rows)
        return OK
    columns = ("device", "name", "address", "type", "unit", "group", "description")
    headings = say(
        "device,tag,address,type,unit,group,description", "设备,点,地址,类型,单位,轮询组,说明"
    ).split(",")
    lines = [[row.get(column, "") for column in columns] for row in rows]
    print_tables([without_empty_last(Table("", tuple(headings), lines))])
    return OK


# --- export ------------------------------------------------------------------------------------------------


@tags.command(
    "export",
    cls=Verb,
    help="Write the tag table of a device to a file for Excel or WPS. Without DEVICE, of all devices: a "
    "workbook with a sheet each.",
    zh="把设备的点表写成 Excel 或 WPS 可编辑的文件。不写 DEVICE 时导出全部设备：每台一个工作表。",
)
@click.argument("device", required=False, metavar="[DEVICE]", shell_complete=devices)
@option(
    "--out",
    "out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    en="The file to write.",
    zh="要写入的文件。",
)
@option("--xlsx", "form", flag_value="xlsx", en="Write an Excel workbook.", zh="写成 Excel 工作簿。")
@option("--csv", "form", flag_value="csv", en="Write CSV.", zh="写成 CSV。")
@option("--force", is_flag=True, en="Replace the file if it exists.", zh="文件已存在时覆盖。")
@config_option
def export(device: str | None, out: Path, form: str | None, force: bool, config_dir: Path) -> int:
    form = form or ("xlsx" if out.suffix.lower() == ".xlsx" else "csv")
    found = [one for one in _targets(config_dir, device) if one.now is not None]
    if not found:
        raise LinesideError(say("there is no tag table to export", "没有可导出的点表"))
    if out.exists() and not force:
        raise LinesideError(say(f"{out} exists; --force replaces it", f"{out} 已存在；--force 可覆盖"))
    if not out.parent.is_dir():
        raise LinesideError(
            say(
                f"directory {out.parent} does not exist; correct --out, or make it: mkdir -p {out.parent}",
                f"目录 {out.parent} 不存在；请改正 --out，或先新建：mkdir -p {out.parent}",
            )
        )
    if form == "csv" and len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise click.UsageError(
            say(
                f"a CSV file holds one device: name one of {names}, or write an .xlsx file",
                f"CSV 文件只能放一台设备：请指定其一（{names}），或导出为 .xlsx",
            )
        )
    bad = [problem for one in found for problem in one.problems if not problem.warning]
    if bad:
        from edge_agent.cli.problems import show

        show(bad)
        return BAD
    _replace(out, _exported(found, form))
    count = sum(len(one.now.names) for one in found if one.now is not None)
    click.echo(say(f"{count} tag(s) written to {out}", f"已将 {count} 个点写入 {out}"))
    return OK


def _exported(found: Sequence[Target], form: str) -> bytes:
    from edge_agent.config.exporting import Sheet, to_csv, to_workbook

    tables = [(one, one.now) for one in found if one.now is not None]
    if form == "csv":
        return to_csv(tables[0][1])
    sheets = [Sheet(one.name, table, one.types, tuple(one.periods_s)) for one, table in tables]
    try:
        return to_workbook(sheets, language())
    except ValueError as error:
        raise LinesideError(
            say(
                f"a cell holds what no workbook can (control characters): {error}; use --csv",
                f"单元格含控制字符，工作簿无法保存：{error}；请用 --csv",
            )
        ) from None
    except ImportError:
        raise LinesideError(
            say(
                "writing workbooks needs openpyxl: pip install 'lineside[xlsx]' (or Debian's "
                "python3-openpyxl); --csv does without it",
                "写工作簿需要 openpyxl：pip install 'lineside[xlsx]'（或 Debian 的 python3-openpyxl）；"
                "也可用 --csv 导出",
            )
        ) from None


# --- import ------------------------------------------------------------------------------------------------


@tags.command(
    "import",
    cls=Verb,
    help="Compare FILE with the tag table of DEVICE and show the difference; --apply writes it.",
    zh="把 FILE 与设备 DEVICE 的点表比较并显示差异；加 --apply 才写入。",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@option(
    "--from",
    "tool",
    type=click.Choice(_TOOLS),
    default="auto",
    show_default=True,
    en="Whose export it is.",
    zh="文件来自哪个软件。",
)
@option("--apply", is_flag=True, en="Write the new table.", zh="写入新点表。")
@option("--keep", is_flag=True, en="Keep tags that FILE does not have.", zh="保留 FILE 中没有的点。")
@option(
    "--strict",
    is_flag=True,
    en="Exit code 3 if something is not taken over.",
    zh="有内容未导入时退出码为 3。",
)
@config_option
@json_option
def import_(
    file: Path, device: str, tool: str, apply: bool, keep: bool, strict: bool, config_dir: Path, as_json: bool
) -> int:
    from edge_agent.config.importing import read_export
    from edge_agent.config.importing.merging import compare
    from edge_agent.config.importing.target import fitted

    target = _targets(config_dir, device)[0]
    data = file.read_bytes()
    imported = fitted(read_export(file.name, data, tool=tool, driver=target.driver, device=device), target)
    usable = target.now is None or target.now.usable
    changes = compare(target.now, imported.rows, keep=keep) if usable else []
    problems, written = _judged(config_dir, target, imported, changes)
    wrong = [problem for problem in problems if not problem.warning]
    write = apply and not wrong and bool(changes) and written is not None
    if write and written is not None:
        _replace(config_dir / target.table, written.data)
    if as_json:
        print_json(_told(target, imported, changes, problems, write))
    else:
        _show(target, imported, changes, problems)
        _say_outcome(target, changes, wrong, write)
    return BAD if wrong else WARNINGS if strict and problems else OK


def _judged(
    config_dir: Path, target: Target, imported: Imported, changes: Sequence[Change]
) -> tuple[list[Located], Written | None]:
    """Everything that is to be said, and the new table as it would be written."""
    from edge_agent.config.importing.merging import write_csv, write_workbook
    from edge_agent.config.importing.target import mistakes_with
    from edge_agent.config.located import sort
    from edge_agent.config.workbook import is_workbook

    problems = list(imported.problems)
    now = target.now
    if now is not None and not now.usable:
        return [*problems, *target.problems], None
    if not imported.rows:
        return problems, None
    if is_workbook(target.table) and now is not None and target.old is not None:
        written = write_workbook(now, target.old, imported.rows, changes)
    else:
        written = write_csv(now, target.old, imported.rows, changes)
    places = {
        (problem.file, problem.sheet, problem.line, problem.column)
        for problem in problems
        if not problem.warning
    }
    problems += [
        problem
        for problem in mistakes_with(config_dir, target, written, imported)
        if (problem.file, problem.sheet, problem.line, problem.column) not in places
    ]
    return list(sort(problems)), written


def _show(target: Target, imported: Imported, changes: Sequence[Change], problems: Sequence[Located]) -> None:
    if problems:
        from edge_agent.cli.problems import show

        show(problems)
    lines = [line for change in changes for line in _lines(change)]
    if lines:
        headings = say("change,tag,column,before,after", "变化,点,列,原来,之后").split(",")
        title = f"{imported.source.name} -> {target.table} ({imported.tool})"
        print_tables([Table(title, tuple(headings), lines[:_SHOWN])])
    if len(lines) > _SHOWN:
        rest = len(lines) - _SHOWN
        click.echo(
            say(f"... and {rest} more lines (--json shows all)", f"……另有 {rest} 行（--json 显示全部）")
        )


def _lines(change: Change) -> list[list[str]]:
    words = {
        "added": say("added", "新增"),
        "changed": say("changed", "修改"),
        "removed": say("removed", "删除"),
    }
    word = words[change.kind]
    if change.kind == "added":
        return [[word, change.tag, "", "", "  ".join(f"{cell.column}={cell.new}" for cell in change.cells)]]
    if change.kind == "removed":
        return [[word, change.tag, "", "", ""]]
    return [[word, change.tag, cell.column, cell.old, cell.new] for cell in change.cells]


def _say_outcome(target: Target, changes: Sequence[Change], wrong: Sequence[Located], written: bool) -> None:
    kinds = [change.kind for change in changes]
    added, changed, removed = (kinds.count(kind) for kind in ("added", "changed", "removed"))
    click.echo(
        say(
            f"{added} added, {changed} changed, {removed} removed",
            f"新增 {added}，修改 {changed}，删除 {removed}",
        )
    )
    if wrong:
        click.echo(say("Nothing was written: correct the errors first.", "未写入：请先改正错误。"), err=True)
    elif not changes:
        click.echo(say("The table already says the same.", "点表内容已相同。"))
    elif written:
        click.echo(
            say(
                f"{target.table} is written. A running agent takes it over with: systemctl reload edge-agent",
                f"已写入 {target.table}。正在运行的代理需执行：systemctl reload edge-agent",
            )
        )
    else:
        click.echo(say("Nothing was written; --apply writes it.", "尚未写入；加 --apply 写入。"))


def _told(
    target: Target,
    imported: Imported,
    changes: Sequence[Change],
    problems: Sequence[Located],
    written: bool,
) -> dict[str, Any]:
    return {
        "device": target.name,
        "table": target.table,
        "from": imported.tool,
        "written": written,
        "changes": [
            {
                "change": change.kind,
                "tag": change.tag,
                "cells": {cell.column: {"before": cell.old, "after": cell.new} for cell in change.cells},
            }
            for change in changes
        ],
        "problems": [problem.as_dict(language()) for problem in problems],
    }


# --- files -------------------------------------------------------------------------------------------------


def _targets(config_dir: Path, device: str | None) -> list[Target]:
    from edge_agent.config.importing.target import targets

    found = targets(config_dir)
    if device is None:
        return found
    chosen = [one for one in found if one.name == device]
    if not chosen:
        known = ", ".join(one.name for one in found) or "-"
        raise click.UsageError(
            say(
                f"no device {device!r} is configured in {config_dir}; there are: {known}",
                f"{config_dir} 中没有配置设备 {device!r}，现有：{known}",
            )
        )
    return chosen


def _replace(path: Path, data: bytes) -> None:
    """At once or not at all, with the owner and the rights of the file that was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat() if path.exists() else None
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            beside.chmod(before.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(beside, before.st_uid, before.st_gid)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

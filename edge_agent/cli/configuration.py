"""``check`` and ``schema``: the configuration, without an agent and without a device."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.output import print_json
from edge_agent.cli.say import config_option, json_option, language, option, say, verb
from edge_agent.errors import ConfigurationError, LinesideError

if TYPE_CHECKING:
    from edge_agent.config.located import Located
    from edge_agent.config.model import Configuration

OK, WARNINGS, BAD = 0, 3, 78


@verb(
    "check",
    en="Check the configuration and show every mistake with file, line and cure.",
    zh="检查配置，列出每个错误的文件、行号与改法。",
)
@config_option
@option("--strict", is_flag=True, en="Warnings fail too (exit code 3).", zh="有警告也算失败（退出码 3）。")
@option(
    "--changes",
    is_flag=True,
    en="Show what a reload would change: compare with what the agent runs.",
    zh="显示重新加载会改变什么：与代理正在运行的配置比较。",
)
@option("--quiet", is_flag=True, en="Print nothing when all is well.", zh="没有问题时不输出。")
@json_option
def check(config_dir: Path, strict: bool, changes: bool, quiet: bool, as_json: bool) -> int:
    configuration, problems = _load(config_dir)
    code = BAD if configuration is None else WARNINGS if strict and problems else OK
    changed = _changes(configuration) if changes and configuration is not None else None
    if as_json:
        _print(config_dir, configuration, problems, changed)
    elif problems:
        from edge_agent.cli.problems import show

        show(problems)
    elif configuration is not None and not quiet:
        click.echo(_summary(config_dir, configuration))
    if changed is not None and not as_json:
        nothing = say("a reload changes nothing", "重新加载不会改变任何内容")
        told = [say("a reload would change:", "重新加载将改变："), *(f"  {line}" for line in changed)]
        click.echo("\n".join(told) if changed else nothing)
    return code


def _changes(configuration: Configuration) -> tuple[str, ...]:
    """Against the snapshot, which is what the agent last started with or reloaded. LinesideError where there
    is none: the agent has never run with this state directory, or was of another one."""
    from edge_agent.config import describe_changes, load_last_good

    try:
        return describe_changes(load_last_good(configuration.state_dir), configuration).signs()
    except ConfigurationError as error:
        reason = error.problems[0]
        raise LinesideError(f"{reason.message.say(language())}. {reason.cure.say(language())}") from None


def _load(config_dir: Path) -> tuple[Configuration | None, Sequence[Located]]:
    """The configuration with its warnings, or None with every mistake."""
    gc.disable()  # a second of work that ends the process: collecting would be a tenth of it
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else it looks through every package
    from edge_agent.config import load_with_warnings, places_of

    try:
        return load_with_warnings(config_dir)
    except ConfigurationError as error:
        return None, places_of(error)


def _print(
    config_dir: Path,
    configuration: Configuration | None,
    problems: Sequence[Located],
    changed: Sequence[str] | None,
) -> None:
    compared = {} if changed is None else {"changes": list(changed)}
    print_json(
        {
            "directory": str(config_dir),
            "ok": configuration is not None,
            "version": configuration.version if configuration else None,
            "problems": [problem.as_dict(language()) for problem in problems],
            **compared,
        }
    )


def _summary(config_dir: Path, configuration: Configuration) -> str:
    tags = sum(len(device.tags) for device in configuration.devices)
    numbers = (len(configuration.devices), tags, len(configuration.windows), len(configuration.uplinks))
    return say(
        "{}: ok, version {}: {} device(s), {} tag(s), {} window(s), {} uplink(s)",
        "{}：正确，版本 {}：{} 台设备，{} 个变量，{} 个窗口，{} 个上传目标",
    ).format(config_dir, configuration.version, *numbers)


@verb(
    "schema",
    en="Print the JSON Schema of a configuration file, for editors.",
    zh="输出配置文件的 JSON Schema，供编辑器使用。",
)
@click.argument(
    "which", type=click.Choice(["edge-agent", "device", "derived", "standards"]), default="edge-agent"
)
@option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    en="Write all schemas into this directory instead.",
    zh="改为把全部 schema 写入该目录。",
)
def schema(which: str, folder: Path | None) -> None:
    from edge_agent.config import json_schema, write_schemas

    if folder is None:
        print_json(json_schema()[which])
        return
    for path in write_schemas(folder):
        click.echo(path)

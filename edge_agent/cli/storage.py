"""``buffer``: what is stored on disk, looked at without disturbing the agent."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli.output import flat, print_json, print_tables
from edge_agent.cli.say import Family, Verb, config_option, json_option, option, say
from edge_agent.cli.table import Table
from edge_agent.errors import LinesideError


class NoStore(LinesideError):
    """Nothing has been stored there yet."""


@click.group("buffer", cls=Family, help="Look into the store on disk.", zh="查看磁盘上的缓存。")
def buffer() -> None:
    pass


@buffer.command(
    "info",
    cls=Verb,
    help="Show how much is stored and how much each uplink has confirmed.",
    zh="显示存储量，以及各上传目标已确认的数量。",
)
@config_option
@option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path),
    en="Directory of the store, instead of what the configuration says.",
    zh="缓存所在目录（不按配置时）。",
)
@json_option
def info(config_dir: Path, state_dir: Path | None, as_json: bool) -> None:
    directory = state_dir or _state_dir(config_dir)
    if not directory.is_dir():
        raise NoStore(
            say(
                f"there is no store at {directory}; it appears with the agent's first start",
                f"{directory} 处没有缓存；代理首次启动后才会建立",
            )
        )
    from edge_agent.buffer import inspect

    report = inspect(directory)
    if as_json:
        print_json(report)
        return
    rows = [[name, text] for name, text in flat(report)]
    print_tables(
        [Table(say("Buffer", "缓存"), (say("what", "项目"), say("value", "值")), rows, frozenset({1}))]
    )


def _state_dir(config_dir: Path) -> Path:
    from edge_agent.config import load

    return load(config_dir).state_dir

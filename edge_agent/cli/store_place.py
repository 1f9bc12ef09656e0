"""Where the store is that a command looks into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.say import option, say
from edge_agent.errors import ConfigurationError, LinesideError


class NoStore(LinesideError):
    """Nothing has been stored there yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """``quota_bytes``: None where no configuration tells it."""

    directory: Path
    quota_bytes: int | None = None


def state_option(function: Any) -> Any:
    return option(
        "--state",
        "state_dir",
        type=click.Path(path_type=Path),
        en="Directory of the store, instead of what the configuration says.",
        zh="缓存所在目录（不按配置时）。",
    )(function)


def locate(config_dir: Path, state_dir: Path | None) -> Place:
    """Raises NoStore; and ConfigurationError where only the configuration could tell the directory."""
    from edge_agent.config import load

    try:
        configuration = load(config_dir)
        place = Place(state_dir or configuration.state_dir, configuration.buffer.quota_bytes)
    except (ConfigurationError, LinesideError):
        if state_dir is None:
            raise
        place = Place(state_dir)
    if not place.directory.is_dir():
        raise NoStore(
            say(
                f"there is no store at {place.directory}; it appears with the agent's first start",
                f"{place.directory} 处没有缓存；代理首次启动后才会建立",
            )
        )
    return place

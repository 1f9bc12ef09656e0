"""Asking the running agent, over its own HTTP interface."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import click

from edge_agent.cli.answers import Answer
from edge_agent.cli.say import say
from edge_agent.cli.whereabouts import look, remember, tell_doubt
from edge_agent.cli.whereabouts import reason as place_reason
from edge_agent.errors import LinesideError

DEFAULT_URL = "http://127.0.0.1:9713"
TIMEOUT_S = 5.0


class NoAgent(LinesideError):
    """Nobody answers there, or somebody who is not an agent."""

    exit_code = 4


def ask(url: str, path: str) -> Any:
    """The decoded JSON answer. Raises NoAgent with a cure."""
    # A proxy from the environment has no business between this terminal and an agent beside it.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url.rstrip("/") + path, timeout=TIMEOUT_S) as answer:
            found = json.load(answer, object_hook=Answer)
    except HTTPError as error:
        tried = place_reason()
        raise NoAgent(
            say(
                f"{url} answered with {error.code} {error.reason}; is that an agent?{tried}",
                f"{url} 返回 {error.code} {error.reason}，确定那里是代理吗?{tried}",
            )
        ) from error
    except (URLError, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        tried = place_reason()
        raise NoAgent(
            say(
                f"no agent answers at {url} ({reason}).{tried}\n"
                "Is it running? `systemctl status edge-agent` shows it, `edge-agent run` starts one. "
                "If it listens elsewhere, name the place with --url or --config.",
                f"{url} 没有代理应答 ({reason})。{tried}\n"
                "代理是否在运行？用 `systemctl status edge-agent` 查看，或用 `edge-agent run` 启动；"
                "如果监听在别处，请用 --url 或 --config 指明。",
            )
        ) from error
    tell_doubt()
    return found


def locate(url: str | None, config_dir: Path, context: click.Context) -> str:
    """``--url``, else what the agent's file of the configuration says, else what the last good configuration
    says, else the default address."""
    if url is not None:
        return url if "://" in url else f"http://{url}"
    named = context.get_parameter_source("config_dir") is not click.core.ParameterSource.DEFAULT
    web, why, doubtful = look(config_dir, lambda told: told.web)
    remember(context, why, doubtful and named)
    return DEFAULT_URL if web is None else base_url(web.host, web.port)


def base_url(host: str, port: int) -> str:
    """Where an agent that listens on host:port is asked from the same machine."""
    if host in ("", "0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Asking the running agent over its local socket."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.answers import Answer, OtherVersion
from edge_agent.cli.say import language, option, say
from edge_agent.cli.whereabouts import Told, look, remember, tell_doubt
from edge_agent.cli.whereabouts import reason as place_reason
from edge_agent.errors import LinesideError
from edge_agent.settings import Text

DEFAULT = Path("/run/edge-agent/console.sock")
TIMEOUT_S = 15.0
MAX_ANSWER = 64_000_000
_NO_ANSWER = Text("that is not an agent's answer", "应答不是代理的")


class NoConsole(LinesideError):
    """Nobody answers there."""

    exit_code = 4


class NotAllowed(LinesideError):
    exit_code = 5


class Refused(LinesideError):
    """The agent has answered with a sentence why not."""

    exit_code = 1


def socket_option(function: Any) -> Any:
    return option(
        "--socket",
        "socket_path",
        type=click.Path(path_type=Path),
        en="The agent's local socket, if not at its usual place.",
        zh="代理的本机套接字（不在默认位置时）。",
    )(function)


def ask(place: Path, verb: str, args: Mapping[str, Any]) -> Any:
    """The result. Raises NoConsole, NotAllowed, Refused, each with a sentence."""
    request = json.dumps({"verb": verb, "args": args}, ensure_ascii=False).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(place))
            connection.sendall(request)
            line = _line(connection)
    except PermissionError as error:
        raise _not_allowed(place) from error
    except OSError as error:
        raise _nobody(place, _reason(error)) from error
    try:
        answer = json.loads(line, object_hook=Answer)
    except ValueError as error:
        raise _nobody(place, _NO_ANSWER.say(language())) from error
    if not isinstance(answer, Answer) or ("result" if answer.get("ok") else "error") not in answer:
        raise _nobody(place, _NO_ANSWER.say(language()))
    tell_doubt()
    if answer["ok"]:
        return answer["result"]
    if f"does not know {verb!r}" in str(answer["error"]):
        raise OtherVersion(verb)
    raise Refused(say(str(answer["error"]), str(answer.get("error_zh") or answer["error"])))


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while not parts or not parts[-1].endswith(b"\n"):
        part = connection.recv(65_536)
        size += len(part)
        if not part or size > MAX_ANSWER:
            break
        parts.append(part)
    return b"".join(parts)


def locate(socket_path: Path | None, config_dir: Path, context: click.Context) -> Path:
    """``--socket``, else the usual place if no configuration is named and something is there, else what the
    agent's file of the configuration says, else what the last good configuration says, else the usual
    place."""
    if socket_path is not None:
        return socket_path
    named = context.get_parameter_source("config_dir") is not click.core.ParameterSource.DEFAULT
    if not named and _is_there(DEFAULT):
        return DEFAULT
    found, why, doubtful = look(config_dir, _socket, _is_there)
    remember(context, why, doubtful and named)
    return found or DEFAULT


def _socket(told: Told) -> Path | None:
    """As configured, else beside the state; the usual place if only there is something: the service's."""
    if "console" in told.wrong:
        return None
    if told.socket is not None or told.state_dir is None:
        return told.socket
    beside = told.state_dir / DEFAULT.name
    return beside if _is_there(beside) or not _is_there(DEFAULT) else DEFAULT


def _is_there(path: Path) -> bool:
    """Also where a directory on the way does not let us see: then asking tells why."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return say("there is no such socket", "该套接字不存在")
    if isinstance(error, ConnectionRefusedError):
        return say("nobody listens there", "无程序监听")
    return error.strerror or str(error)


def _nobody(place: Path, reason: str) -> NoConsole:
    tried = place_reason()
    return NoConsole(
        say(
            f"no agent answers at {place} ({reason}).{tried}\n"
            "Is it running? `systemctl status edge-agent` shows it. "
            "If its socket is elsewhere, name it with --socket, or its configuration with --config.",
            f"{place} 没有代理应答 ({reason})。{tried}\n"
            "代理是否在运行？用 `systemctl status edge-agent` 查看。"
            "套接字在别处时，请用 --socket 指明，或用 --config 指明配置目录。",
        )
    )


def _not_allowed(place: Path) -> NotAllowed:
    tried = place_reason()
    return NotAllowed(
        say(
            f"you may not use {place}.{tried}\n"
            "Its group is `console.group` in edge-agent.yaml; `sudo usermod -aG GROUP USER` adds somebody "
            "(who then logs in anew). Or run the command with sudo: then root is recorded as the user.",
            f"您无权使用 {place}。{tried}\n"
            "其用户组见 edge-agent.yaml 的 `console.group`；"
            "用 `sudo usermod -aG 组 用户` 加入(重新登录后生效)。"
            "也可用 sudo 执行，此时记录的操作者是 root。",
        )
    )

"""``writes`` and ``write``: guarded writes of the running agent. A refused write ends with exit code 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from edge_agent.cli import console_client
from edge_agent.cli.completing import devices
from edge_agent.cli.console_client import socket_option
from edge_agent.cli.lengths import seconds
from edge_agent.cli.output import local_time, print_json, print_tables
from edge_agent.cli.say import Family, config_option, json_option, option, say, verb
from edge_agent.cli.write_words import log_table, outcome_text, status_tables, status_text

TOKEN_VARIABLE = "EDGE_AGENT_WRITE_TOKEN"


class Writes(Family):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return COMMANDS.get(cmd_name)


writes = Writes(
    "writes",
    help="Guarded writes to controllers: what may be written, arming, the kill switch, approvals.",
    zh="受控写入：允许写入的点、授权、总停、审批。",
)


def console_options(function: Any) -> Any:
    return config_option(socket_option(json_option(function)))


def comment_option(function: Any) -> Any:
    return option(
        "--comment",
        "--reason",
        "comment",
        default="",
        metavar="TEXT",
        en="Why; goes on record.",
        zh="原因，会记录在案。",
    )(function)


@verb("status", en="Show what may be written and whether it can be now.", zh="查看可写的点和当前状态。")
@console_options
@click.pass_context
def status(context: click.Context, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    answer = _ask(context, config_dir, socket_path, "writes.status", {})
    if as_json:
        print_json(answer)
        return 0
    click.echo(status_text(answer))
    click.echo()
    print_tables(status_tables(answer))
    return 0


@verb(
    "arm",
    en="Permit writing for a limited time. Prints a token that each write needs.",
    zh="限时授权写入。输出每次写入所需的令牌。",
)
@option("--for", "length", default=None, metavar="TIME", en="Such as 10min; default: the longest permitted.",
        zh="例如 10min；默认取允许的最长时间。")  # fmt: skip
@option("--token-file", type=click.Path(path_type=Path), en="Write the token there (mode 0600).",
        zh="把令牌写入该文件（权限 0600）。")  # fmt: skip
@console_options
@click.pass_context
def arm(
    context: click.Context, length: str | None, token_file: Path | None, config_dir: Path,
    socket_path: Path | None, as_json: bool,
) -> int:  # fmt: skip
    args = {} if length is None else {"seconds": _seconds(length)}
    if token_file is None:
        answer = _ask(context, config_dir, socket_path, "writes.arm", args)
    else:
        with _new_file(token_file) as file:
            answer = _ask(context, config_dir, socket_path, "writes.arm", args)
            file.write(answer["token"] + "\n")
        answer = {"until_ns": answer["until_ns"], "token_file": str(token_file)}
    until = say("armed until ", "授权有效期至 ") + local_time(answer["until_ns"])
    if as_json:
        print_json(answer)
    elif token_file is not None:
        click.echo(until)
    else:
        click.echo(answer["token"])
        click.echo(until, err=True)
    return 0


@verb("disarm", en="End the permission to write. The heartbeat goes on.", zh="结束写入授权。心跳继续。")
@console_options
@click.pass_context
def disarm(context: click.Context, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    answer = _ask(context, config_dir, socket_path, "writes.disarm", {})
    told = say("disarmed", "已结束授权") if answer["changed"] else say("it was not armed", "本来就没有授权")
    return _tell(answer, told, as_json)


@verb(
    "kill",
    en="Stop every write at once, heartbeats and reverts included, until 'kill --off'. Outlasts restarts.",
    zh="立即停止一切写入（包括心跳和恢复），直到 'kill --off'。重启后仍有效。",
)
@option(
    "--off", is_flag=True, en="Take the kill switch off; needs --comment.", zh="解除总停；须填 --comment。"
)
@comment_option
@console_options
@click.pass_context
def kill(
    context: click.Context, off: bool, comment: str, config_dir: Path, socket_path: Path | None, as_json: bool
) -> int:
    answer = _ask(context, config_dir, socket_path, "writes.kill", {"on": not off, "comment": comment})
    if not answer["changed"]:
        told = say("nothing to change", "状态未变")
    elif off:
        told = say("the kill switch is off; writing must be armed anew", "总停已解除；写入须重新授权")
    else:
        told = say("the kill switch is on: nothing is written any more", "总停已按下：不再写入任何值")
    return _tell(answer, told, as_json)


@verb("unlock", en="Let a locked-out device be written again.", zh="解除对设备的写入锁定。")
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@comment_option
@console_options
@click.pass_context
def unlock(
    context: click.Context, device: str, comment: str, config_dir: Path, socket_path: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    answer = _ask(context, config_dir, socket_path, "writes.unlock", {"device": device, "comment": comment})
    return _tell(answer, say(f"{device} is unlocked", f"{device} 已解锁"), as_json)


@verb(
    "approve",
    en="Approve, as a second person, what somebody asked for; it is then written.",
    zh="作为第二人批准他人的写入请求，随后执行。",
)
@click.argument("key", metavar="ID")
@console_options
@click.pass_context
def approve(
    context: click.Context, key: str, config_dir: Path, socket_path: Path | None, as_json: bool
) -> int:
    answer = _ask(context, config_dir, socket_path, "writes.approve", {"id": key})
    if answer["outcome"] is None:
        told = say(
            "recorded; the agent writes nothing at this level: set the value at the machine",
            "已记录；此级别代理不写入，请在设备上设定",
        )
        return _tell(answer, told, as_json)
    return _outcome(answer["outcome"], as_json)


@verb("log", en="Show the last decisions since the agent started.", zh="查看启动以来最近的写入决定。")
@option("--last", default=20, type=click.IntRange(1, 100), en="How many.", zh="条数。")
@console_options
@click.pass_context
def log(context: click.Context, last: int, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    answer = _ask(context, config_dir, socket_path, "writes.log", {"last": last})
    if as_json:
        print_json(answer)
    else:
        print_tables([log_table(answer)])
    return 0


COMMANDS: dict[str, click.Command] = {
    "status": status,
    "arm": arm,
    "disarm": disarm,
    "kill": kill,
    "unlock": unlock,
    "approve": approve,
    "log": log,
}


@verb(
    "write",
    en="Ask the agent to write one value, in the tag's unit. Refused unless every condition holds.",
    zh="请求代理写入一个值（工程单位）。任一条件不满足即拒绝。",
)
@click.argument("tag", metavar="DEVICE.TAG")
@click.argument("value", metavar="VALUE")
@option("--token-file", metavar="FILE", en="The token of 'writes arm'; '-' is standard input.",
        zh="'writes arm' 的令牌文件；'-' 表示标准输入。")  # fmt: skip
@option("--dry-run", is_flag=True, en="Everything but the write.", zh="除写入外全部执行。")
@comment_option
@console_options
@click.pass_context
def write(
    context: click.Context, tag: str, value: str, token_file: str | None, dry_run: bool, comment: str,
    config_dir: Path, socket_path: Path | None, as_json: bool,
) -> int:  # fmt: skip
    token = _token(token_file)
    args = {"tag": tag, "value": value, "token": token, "comment": comment, "dry_run": dry_run}
    answer = _ask(context, config_dir, socket_path, "writes.write", args)
    return _outcome(answer["outcome"], as_json)


# click takes what looks like an option for one; a negative value is none.
write.context_settings = {"ignore_unknown_options": True}


def _ask(
    context: click.Context, config_dir: Path, socket_path: Path | None, what: str, args: Mapping[str, Any]
) -> Any:
    return console_client.ask(console_client.locate(socket_path, config_dir, context), what, args)


def _tell(answer: Any, told: str, as_json: bool) -> int:
    if as_json:
        print_json(answer)
    else:
        click.echo(told)
    return 0


def _outcome(outcome: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(outcome)
    else:
        click.echo(outcome_text(outcome), err=not outcome["ok"])
    return 0 if outcome["ok"] else 1


def _token(file: str | None) -> str:
    """Never an argument: those of a process can be read by everybody on the machine."""
    if file == "-":
        return sys.stdin.readline().strip()
    if file is not None:
        return Path(file).read_text(encoding="utf-8", errors="replace").strip()
    if found := os.environ.get(TOKEN_VARIABLE):
        return found.strip()
    if sys.stdin.isatty():
        return str(click.prompt(say("Token", "令牌"), default="", hide_input=True, err=True)).strip()
    return ""


def _seconds(text: str) -> float:
    length_s = seconds(text)
    if not length_s:
        raise click.UsageError(
            say(f"{text!r} is no length of time: write 10min", f"{text!r} 不是时长：请写 10min")
        )
    return length_s


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Made before anything is armed, and gone again when that fails. An old file is replaced, no link is
    followed."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise

"""``debug`` and ``record``: what passes on a device's wire in the running agent, for people and as a file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.completing import devices
from edge_agent.cli.console_client import socket_option
from edge_agent.cli.moments import BEIJING, moment_text
from edge_agent.cli.output import print_json
from edge_agent.cli.say import config_option, json_option, language, option, say, verb
from edge_agent.cli.table import printable
from edge_agent.errors import LinesideError

if TYPE_CHECKING:
    from edge_agent.cli.recording import Pairs
    from edge_agent.cli.wire import Frame, Watching

FILE_MOST = 50_000_000  # bytes
PLAYABLE = ("modbus", "s7")  # drivers whose recordings the simulated controller plays
_HEX_SHOWN = 40  # bytes in a line of the terminal; the file has all
_WAYS = {">": "->", "<": "<-", "!": "!!"}


class Unwritable(LinesideError):
    exit_code = 5


def minutes_option(function: Any) -> Any:
    return option(
        "--minutes",
        type=click.FloatRange(0, 1440, min_open=True),
        default=10.0,
        show_default=True,
        en="It switches itself off after so long.",
        zh="到时自动停止。",
    )(function)


@verb(
    "debug",
    en="Show what passes on a device's wire in the running agent, each frame with its meaning. Reads along "
    "only, sends nothing, and switches itself off.",
    zh="显示正在运行的代理与设备之间的每一帧报文及其含义。只旁听，不发送，到时自动停止。",
)
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@minutes_option
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    en="Also write JSON Lines to this file, with all bytes.",
    zh="同时写入该文件（JSON Lines，含全部字节）。",
)
@option(
    "--all",
    "everybody",
    is_flag=True,
    en="Also other devices on the same connection.",
    zh="包括同一连接上的其他设备。",
)
@option("--stop", is_flag=True, en="End a recording that somebody has begun.", zh="结束正在进行的记录。")
@config_option
@socket_option
@json_option
@click.pass_context
def debug(
    context: click.Context, device: str, minutes: float, out: Path | None, everybody: bool, stop: bool,
    config_dir: Path, socket_path: Path | None, as_json: bool,
) -> int:  # fmt: skip
    place = console_client.locate(socket_path, config_dir, context)
    if stop:
        return _stop(place, device, as_json)
    with _begun(place, device, minutes) as watching, _file(out) as file:
        if not as_json:
            click.echo(_opening(watching), err=True)
        for frame in watching.frames():
            if not (frame.own or everybody):
                continue
            line = json.dumps(frame.as_dict(), ensure_ascii=False)
            click.echo(line if as_json else shown(frame))
            if not _written(file, line):
                break
    if not as_json:
        click.echo(_closing(watching, out), err=True)
    return 0


@verb(
    "record",
    en="Record what a device answers into a file that the simulated controller can play "
    "(python -m hardware_mocks replay FILE).",
    zh="把设备的应答录制成文件，可由模拟控制器回放（python -m hardware_mocks replay FILE）。",
)
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@minutes_option
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    en="The file to write (JSON Lines).",
    zh="要写入的文件（JSON Lines）。",
)
@config_option
@socket_option
@json_option
@click.pass_context
def record(
    context: click.Context, device: str, minutes: float, out: Path, config_dir: Path,
    socket_path: Path | None, as_json: bool,
) -> int:  # fmt: skip
    from edge_agent.cli.recording import Pairs, heading

    place = console_client.locate(socket_path, config_dir, context)
    count = 0
    with _begun(place, device, minutes) as watching, _file(out) as file:
        pairs = Pairs(watching.about["began_ns"])
        _written(file, json.dumps(heading(watching.about), ensure_ascii=False))
        if not as_json:
            click.echo(_opening(watching), err=True)
        for frame in watching.frames():
            if not all(_written(file, json.dumps(p, ensure_ascii=False)) for p in _own(pairs, frame)):
                break
            count += 1
            _progress(count)
    if as_json:
        print_json({"file": str(out), "exchanges": pairs.count, "unanswered": pairs.unanswered})
    else:
        click.echo(_recorded(out, pairs.count, pairs.unanswered, watching.about["driver"]))
    return 0 if pairs.count else 1


def _own(pairs: Pairs, frame: Frame) -> list[dict[str, Any]]:
    return list(pairs.take(frame)) if frame.own else []


def shown(frame: Frame) -> str:
    """One line for the terminal: time, direction, meaning, bytes."""
    meaning = frame.meaning.text.say(language())
    words = " ".join(part for part in (meaning, f"[{frame.remark}]" if frame.remark else "") if part)
    data = frame.data[:_HEX_SHOWN].hex(" ") + (" ..." if len(frame.data) > _HEX_SHOWN else "")
    mark = say(" ERROR", " 错误") if frame.meaning.failed else ""
    when = datetime.fromtimestamp(frame.time_ns / 1e9, BEIJING)
    line = printable(f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} {_WAYS[frame.way]}{mark} {words}")
    return f"{line}\n    {data}" if data else line


@contextmanager
def _begun(place: Path, device: str, minutes: float) -> Iterator[Watching]:
    """Ctrl-C ends the recording and not the command."""
    from edge_agent.cli.wire import Watching

    watching = Watching(place, device, minutes)
    watching.begin()
    try:
        yield watching
    except KeyboardInterrupt:
        pass
    finally:
        watching.end()


@contextmanager
def _file(path: Path | None) -> Iterator[IO[str] | None]:
    """For its owner alone: a recording shows what a plant does."""
    if path is None:
        yield None
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Unwritable(
            say(f"{path} cannot be written: {error.strerror}", f"无法写入 {path}：{error.strerror}")
        ) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yield file


def _written(file: IO[str] | None, line: str) -> bool:
    """False when the file has become as large as it may."""
    if file is None:
        return True
    if file.tell() + len(line) > FILE_MOST:
        most = FILE_MOST // 1_000_000
        click.echo(say(f"the file has {most} MB: ended", f"文件已达 {most} MB，记录结束"), err=True)
        return False
    file.write(line + "\n")
    return True


def _stop(place: Path, device: str, as_json: bool) -> int:
    state = console_client.ask(place, "debug.stop", {"device": device})
    if as_json:
        print_json(state)
    else:
        click.echo(say(f"the recording of {device} is over", f"{device} 的记录已结束"))
    return 0


def _opening(watching: Watching) -> str:
    about = watching.about
    until = moment_text(about["until_ns"])
    others = ", ".join(about["shared_with"])
    text = say(
        f"{watching.device} ({about['driver']}, {about['link']}): recording until {until}; Ctrl-C ends it",
        f"{watching.device}（{about['driver']}，{about['link']}）：记录至 {until}；按 Ctrl-C 提前结束",
    )
    return text + (say(f"\nsame connection: {others}", f"\n同一连接：{others}") if others else "")


def _closing(watching: Watching, out: Path | None) -> str:
    why = {
        "time": say("its time is over", "时间到"),
        "reloaded": say("the device's configuration has changed", "设备配置已更改"),
    }.get(watching.ended, say("stopped", "已停止"))
    text = say(f"recording ended: {why}", f"记录结束：{why}")
    if watching.dropped:
        text += say(
            f"; {watching.dropped} frame(s) came faster than they were fetched and are missing",
            f"；有 {watching.dropped} 帧来不及取走而丢失",
        )
    return text + (f"; {out}" if out else "")


def _recorded(out: Path, count: int, unanswered: int, driver: str) -> str:
    if not count:
        return say(
            f"{out}: nothing was asked of the device meanwhile; is it being polled (edge-agent status)?",
            f"{out}：期间没有向设备发送任何请求；是否在采集（edge-agent status）？",
        )
    text = say(
        f"{out}: {count} exchange(s), {unanswered} without an answer.",
        f"{out}：{count} 次请求，其中 {unanswered} 次无应答。",
    )
    if driver not in PLAYABLE:
        return text
    return text + say(
        f"\nIt can be played with: python -m hardware_mocks replay {out}",
        f"\n可用以下命令回放：python -m hardware_mocks replay {out}",
    )


def _progress(count: int) -> None:
    if sys.stderr.isatty() and int(time.monotonic() * 4) % 2 == 0:
        click.echo(say(f"\r{count} frames", f"\r{count} 帧"), nl=False, err=True)

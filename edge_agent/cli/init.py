"""``init``: a few questions, then a configuration that ``check`` passes. Nothing that exists is touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.completing import drivers
from edge_agent.cli.init_files import files_of
from edge_agent.cli.init_questions import Questions, ask, ask_language
from edge_agent.cli.language import choose
from edge_agent.cli.output import print_json, quality_word, value_text
from edge_agent.cli.say import Directory, json_option, option, say, verb
from edge_agent.errors import ConfigurationError, LinesideError

if TYPE_CHECKING:
    from edge_agent.config.model import Configuration

SYSTEM = Path("/etc/edge-agent")
_FIRST = "edge-agent.yaml"
OK, UNREACHABLE = 0, 4


@verb(
    "init",
    en="Ask a few questions and write a first configuration. Nothing that exists is touched.",
    zh="回答几个问题，生成第一份配置。已有的文件绝不改动。",
)
@click.argument("directory", type=Directory(), default=SYSTEM, envvar="EDGE_AGENT_CONFIG")
@option("--line", "line", en="Name of the production line.", zh="产线名称。")
@option("--device", "device", en="Name of the first device.", zh="第一台设备的名称。")
@option(
    "--driver",
    "driver",
    shell_complete=drivers,
    en="Protocol: modbus, s7, opcua, sim ...",
    zh="协议：modbus、s7、opcua、sim 等。",
)
@option("--link", "link", en="Address of the device.", zh="设备地址。")
@option("--station", "station", type=int, en="Station number, where there is one.", zh="站号（如有）。")
@option("--baud", "baud", type=int, en="Speed of the bus, at a serial port.", zh="串口：总线波特率。")
@option(
    "--parity", "parity", en="Its parity: even, none, odd.", zh="串口：校验 even、none、odd（偶、无、奇）。"
)
@option(
    "--probe/--no-probe", "probe", default=None,
    en="Read the device once, or do not. Default: ask.", zh="是否试读一次设备。默认：询问。",
)  # fmt: skip
@option(
    "--non-interactive", is_flag=True,
    en="Ask nothing: what no option says has its default.", zh="不提问：未给出的选项使用默认值。",
)  # fmt: skip
@json_option
@click.pass_context
def init(
    ctx: click.Context, directory: Path, line: str | None, device: str | None, driver: str | None,
    link: str | None, station: int | None, baud: int | None, parity: str | None, probe: bool | None,
    non_interactive: bool, as_json: bool,
) -> int:  # fmt: skip
    named = ctx.get_parameter_source("directory") is not click.core.ParameterSource.DEFAULT
    given = {"line": line, "device": device, "driver": driver, "link": link, "station": station}
    given = {
        key: value for key, value in (given | {"baud": baud, "parity": parity}).items() if value is not None
    }
    if named:
        _usable(directory, [])
    if non_interactive and driver is None:
        raise click.UsageError(say("--non-interactive needs --driver", "--non-interactive 需要 --driver"))
    if not non_interactive:
        choose(ctx, None, ask_language())  # type: ignore[arg-type]
    directory = _place(directory, named=named, asking=not non_interactive)
    questions = Questions(given, ask=None if non_interactive else ask)
    files, configuration = _answered(directory, questions)
    _usable(directory, list(files))
    for name, text in files.items():
        _write(directory / name, text)
    read = _probe(configuration, probe, asking=not non_interactive)
    _tell(directory, list(files), read, as_json)
    return OK if read is None or read["ok"] else UNREACHABLE


def _answered(directory: Path, questions: Questions) -> tuple[dict[str, str], Configuration]:
    """The files, and what they mean. A wrong answer is told and asked for again; without anybody to ask,
    ConfigurationError."""
    from edge_agent.cli.problems import show
    from edge_agent.config.loader import load_files
    from edge_agent.config.sources import SnapshotFiles

    state_dir = None if directory == SYSTEM else "state"
    while True:
        files = files_of(questions.answers(), state_dir)
        snapshot = SnapshotFiles(directory.absolute(), {name: text.encode() for name, text in files.items()})
        try:
            return files, load_files(snapshot)[0]
        except ConfigurationError as error:
            if questions.ask is None:
                raise
            show(error.problems)
            questions.again()


def _place(directory: Path, *, named: bool, asking: bool) -> Path:
    """Where the files are to go, told before the first question. A place that cannot be used is refused at
    once; whoever named none is asked."""
    if named or not asking:
        if asking or not named:
            click.echo(say(f"directory: {directory}", f"目录：{directory}"), err=True)
        _usable(directory, [])
        return directory

    def check(text: str) -> str:
        try:
            _usable(Path(text).expanduser(), [])
        except LinesideError as error:
            raise click.UsageError(str(error)) from None
        return text

    usual = str(directory) if _writable(directory) and not (directory / _FIRST).exists() else "my-line"
    question = say("Directory to write the configuration to", "配置写入哪个目录")
    return Path(ask(question, usual, check)).expanduser()


def _usable(directory: Path, names: list[str]) -> None:
    """Before the first question as well: nobody likes to answer for nothing."""
    for name in [_FIRST, *names]:
        if (directory / name).exists():
            raise LinesideError(
                say(
                    f"{directory / name} exists and is left as it is. Choose another directory, such as "
                    "`edge-agent init my-line`, or add a device as a further file in devices.d.",
                    f"{directory / name} 已存在，不做改动。请换一个目录，例如 `edge-agent init my-line`；"
                    "增加设备时请在 devices.d 中新建文件。",
                )
            )
    if directory.exists() and not directory.is_dir():
        raise LinesideError(
            say(f"{directory} is a file; name a directory.", f"{directory} 是文件；请指明一个目录。")
        )
    if not _writable(directory):
        raise NotWritable(
            say(
                f"this user may not write to {directory}. Choose a directory of your own, such as "
                f"`edge-agent init my-line`, or run it as root: sudo edge-agent init {directory}",
                f"当前用户不能写入 {directory}。请换成自己的目录，例如 `edge-agent init my-line`，"
                f"或以 root 执行：sudo edge-agent init {directory}",
            )
        )


class NotWritable(LinesideError):
    exit_code = 5


def _writable(directory: Path) -> bool:
    """Whether it could be made and written to, as far as can be told beforehand."""
    there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _write(path: Path, text: str) -> None:
    """Never over anything, also not over what came in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _probe(configuration: Configuration, wanted: bool | None, *, asking: bool) -> dict[str, Any] | None:
    """One read of the first tag; a device that does not answer changes nothing in what was written."""
    device = configuration.devices[0]
    if wanted is None and asking:
        question = say(f"Read {device.name} once now?", f"现在试读一次 {device.name}？")
        wanted = click.confirm(question, default=False, err=True)
    if not wanted:
        return None
    from edge_agent.cli.read import Unreached, ask
    from edge_agent.model import Quality

    try:
        batch = ask(device)[0]
    except Unreached as error:
        return {"ok": False, "said": str(error)}
    name, value, quality = batch.schema.names[0], batch.values[0], Quality(batch.quality[0])
    word = quality_word(quality.name.lower())
    return {"ok": True, "said": f"{name} = {value_text(value) or '-'} ({word})"}


def _tell(directory: Path, names: list[str], read: dict[str, Any] | None, as_json: bool) -> None:
    if as_json:
        print_json({"directory": str(directory), "files": names, "probe": read})
        return
    for name in names:
        click.echo(say("written: {}", "已写入：{}").format(directory / name))
    if read is not None:
        click.echo(read["said"], file=sys.stdout if read["ok"] else sys.stderr)
        if not read["ok"]:
            kept = say("The files are written all the same.", "配置文件已照常写入。")
            click.echo(kept, err=True)
    where = "" if directory == SYSTEM else f" --config {directory}"
    click.echo(
        say(
            f"Next: put your tags into {names[2]}, then\n  edge-agent check{where}\n  edge-agent run{where}",
            f"下一步：在 {names[2]} 中填写实际的点，然后执行\n"
            f"  edge-agent check{where}\n  edge-agent run{where}",
        )
    )

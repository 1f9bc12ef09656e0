"""``init``: a few questions, then a configuration that ``check`` passes. Nothing that exists is touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.init_files import Answers, files_of
from edge_agent.cli.language import choose
from edge_agent.cli.output import print_json, quality_word, value_text
from edge_agent.cli.say import json_option, language, option, say, verb
from edge_agent.errors import ConfigurationError, LinesideError

if TYPE_CHECKING:
    from edge_agent.config.model import Configuration
    from edge_agent.driver import DriverPlugin

SYSTEM = Path("/etc/edge-agent")
_SERIAL = ("rtu://", "ascii://")
_UNKNOWN_TAG = ("1", "float32")


@verb(
    "init",
    en="Ask a few questions and write a first configuration. Nothing that exists is touched.",
    zh="回答几个问题，生成第一份配置。已有的文件绝不改动。",
)
@click.argument("directory", type=click.Path(path_type=Path), default=SYSTEM, envvar="EDGE_AGENT_CONFIG")
@option("--line", "line", en="Name of the production line.", zh="产线名称。")
@option("--device", "device", en="Name of the first device.", zh="第一台设备的名称。")
@option(
    "--driver", "driver", en="Protocol: modbus, s7, opcua, sim ...", zh="协议：modbus、s7、opcua、sim 等。"
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
    _refuse_existing(directory, [])
    given = {"line": line, "device": device, "driver": driver, "link": link, "station": station}
    given |= {"baud": baud, "parity": parity}
    if non_interactive:
        if driver is None:
            raise click.UsageError(say("--non-interactive needs --driver", "--non-interactive 需要 --driver"))
        questions = Questions({key: value for key, value in given.items() if value is not None}, ask=None)
    else:
        questions = Questions({key: value for key, value in given.items() if value is not None}, ask=_ask)
        chosen = _ask("Language / 语言 (zh, en)", language(), _one_of(["zh", "en"]))
        choose(ctx, None, chosen)  # type: ignore[arg-type]
    files, configuration = _answered(directory, questions)
    _refuse_existing(directory, list(files))
    for name, text in files.items():
        _write(directory / name, text)
    read = _probe(configuration, probe, asking=not non_interactive)
    _tell(directory, list(files), read, as_json)
    return 0


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


Ask = Callable[[str, str | None, Callable[[str], str]], str]


class Questions:
    """What to ask, in order. ``given``: answers of the command line; they are not asked for."""

    def __init__(self, given: Mapping[str, Any], ask: Ask | None) -> None:
        self.given = dict(given)
        self.ask = ask

    def again(self) -> None:
        """Of what was wrong nothing counts: only protocol and line stay."""
        for key in ("device", "link", "station", "baud", "parity"):
            self.given.pop(key, None)

    def answers(self) -> Answers:
        from edge_agent import registry

        line = self._text("line", say("Name of the production line", "产线名称"), "line-1")
        names = registry.names(registry.DRIVERS)
        driver = self._text(
            "driver", say("Protocol ({})", "协议（{}）").format(", ".join(names)), names[0], _one_of(names)
        )
        plugin = registry.load_driver(driver)
        fields = plugin.settings.model_fields
        device = self._text("device", say("Name of the device", "设备名称"), f"{driver}-1")
        example = str((fields["link"].examples or [fields["link"].default])[0])
        question = say("Address of the device, such as {}", "设备地址，例如 {}").format(example)
        link = _whole_link(self._text("link", question, example), example)
        station = None
        if "station" in fields:
            station = int(self._text("station", say("Station number", "站号"), "1", _whole_number))
        bus = self._bus() if "baud" in fields and link.startswith(_SERIAL) else None
        return Answers(language(), line, device, driver, link, station, _first_tag(plugin), bus)

    def _bus(self) -> tuple[str, str]:
        baud = self._text("baud", say("Speed of the bus (baud)", "总线波特率"), "9600", _whole_number)
        question = say("Parity of the bus (even, none, odd)", "总线校验（even 偶、none 无、odd 奇）")
        return baud, self._text("parity", question, "even", _one_of(["even", "none", "odd"]))

    def _text(
        self, key: str, question: str, default: str | None, check: Callable[[str], str] = str.strip
    ) -> str:
        if key not in self.given:
            self.given[key] = default if self.ask is None else self.ask(question, default, check)
        return str(self.given[key])


def _whole_link(written: str, example: str) -> str:
    """An address alone gets the scheme of the example, a serial port that of RTU."""
    if written.startswith("/"):
        return f"rtu://{written}"
    return written if "://" in written else f"{example.partition('://')[0]}://{written}"


def _first_tag(plugin: DriverPlugin) -> tuple[str, str]:
    return plugin.first_tag or _UNKNOWN_TAG


def _ask(question: str, default: str | None, check: Callable[[str], str]) -> str:
    """On standard error, a line at a time, so that it works on any terminal and serial console."""
    return str(click.prompt(question, default=default, value_proc=lambda text: check(str(text)), err=True))


def _one_of(known: list[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text.strip().lower() in known:
            return text.strip().lower()
        from edge_agent.config.suggest import hint

        guess = hint(text, known).say(language())
        raise click.UsageError(say("{}one of: {}", "{}可选：{}").format(guess, ", ".join(known)))

    return check


def _whole_number(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        raise click.UsageError(say("a whole number", "请输入整数")) from None


def _refuse_existing(directory: Path, names: list[str]) -> None:
    """Before the first question as well: nobody likes to answer for nothing."""
    for name in ["edge-agent.yaml", *names]:
        if (directory / name).exists():
            raise LinesideError(
                say(
                    f"{directory / name} exists and is left as it is. Choose another directory, such as "
                    "`edge-agent init my-line`, or add a device as a further file in devices.d.",
                    f"{directory / name} 已存在，不做改动。请换一个目录，例如 `edge-agent init my-line`；"
                    "增加设备时请在 devices.d 中新建文件。",
                )
            )


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
    where = "" if directory == SYSTEM else f" --config {directory}"
    click.echo(
        say(
            f"Next: put your tags into {names[2]}, then\n  edge-agent check{where}\n  edge-agent run{where}",
            f"下一步：在 {names[2]} 中填写实际的点，然后执行\n"
            f"  edge-agent check{where}\n  edge-agent run{where}",
        )
    )

"""``alarms``: the alarms of the running agent, as a list; acknowledging, shelving; what there was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.alarm_words import done_table, list_table, show_table
from edge_agent.cli.console_client import Refused, socket_option
from edge_agent.cli.lengths import no_length, seconds
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import Family, Verb, config_option, json_option, option, say, verb


class Alarms(Family):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("history", "export"):
            from edge_agent.cli import alarm_history

            return alarm_history.COMMANDS[cmd_name]
        return COMMANDS.get(cmd_name)


alarms = Alarms(
    "alarms",
    help="The alarms of the running agent: see, acknowledge, shelve, export.",
    zh="正在运行的代理的报警：查看、确认、搁置、导出。",
)


def console_options(function: Any) -> Any:
    return config_option(socket_option(json_option(function)))


@verb("list", en="List the alarms that are not normal.", zh="列出所有非正常状态的报警。")
@option("--all", "everything", is_flag=True, en="Also those at rest.", zh="也列出正常的报警。")
@console_options
@click.pass_context
def list_(
    context: click.Context, everything: bool, config_dir: Path, socket_path: Path | None, as_json: bool
) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    answer = console_client.ask(place, "alarms.list", {"all": everything})
    if as_json:
        print_json(answer)
        return 0
    print_tables([list_table(answer)])
    return 0


@verb("show", en="Show one alarm with everything known of it.", zh="查看一条报警的全部信息。")
@click.argument("name", metavar="NAME")
@console_options
@click.pass_context
def show(context: click.Context, name: str, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    row = _ask(place, "show", {"name": name})
    if as_json:
        print_json(row)
    else:
        print_tables([show_table(row)])
    return 0


def _ask(place: Path, name: str, args: Mapping[str, Any]) -> Any:
    """As the console, which knows alarms only: of a window, the refusal names its alarms."""
    try:
        return console_client.ask(place, f"alarms.{name}", args)
    except Refused:
        window = str(args["name"])
        known = console_client.ask(place, "alarms.list", {"all": True})["names"]
        own = [alarm for alarm in known if alarm.rpartition(".")[0] == window]
        if not own:
            raise
    names = ", ".join(own)
    raise Refused(
        say(
            f"{window!r} is a window. Each of its limits is an alarm: {names}",
            f"{window!r} 是窗口，其每个限值为一条报警：{names}",
        )
    )


def _acting(name: str, *, en: str, zh: str, why: bool = False, how_long: bool = False) -> Verb:
    """A command on one alarm, on those that fit a pattern, or on all."""

    @verb(name, en=en, zh=zh)
    @click.argument("name", metavar="[NAME]", required=False, default="")
    @option("--all", "everything", is_flag=True, en="All to which it applies.", zh="所有适用的报警。")
    @option("--reason", "comment", default="", en="Why; is recorded.", zh="原因，会被记录。")
    @console_options
    @click.pass_context
    def act(
        context: click.Context,
        name: str,
        everything: bool,
        comment: str,
        config_dir: Path,
        socket_path: Path | None,
        as_json: bool,
        duration: str | None = None,
    ) -> int:
        args: dict[str, Any] = {"name": _which(name, everything), "comment": comment}
        if why and not comment.strip():
            raise click.UsageError(say("say why: --reason TEXT", "请说明原因：--reason 文字"))
        if how_long:
            args["duration_s"] = _seconds(duration)
        return _run(context, act.name or "", args, config_dir, socket_path, as_json)

    if how_long:
        act = option(
            "--for", "duration", metavar="TIME", en="For how long: 30min, 8h.", zh="时长：30min、8h。"
        )(act)
    return act


def _which(name: str, everything: bool) -> str:
    if bool(name) == everything:
        raise click.UsageError(
            say(
                "name one alarm, a pattern such as 'press-1.*', or --all",
                "请给出一个报警名、模式(如 'press-1.*')，或 --all",
            )
        )
    return name or "*"


def _seconds(text: str | None) -> float:
    if text is None:
        raise click.UsageError(say("say for how long: --for 30min", "请说明时长：--for 30min"))
    length_s = seconds(text)
    if not length_s:
        raise no_length(text, "--for")
    return length_s


def _run(
    context: click.Context,
    name: str,
    args: Mapping[str, Any],
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    answer = _ask(place, name, args)
    if as_json:
        print_json(answer)
    else:
        print_tables([done_table(answer)])
    return 0


@verb(
    "silence",
    en="Silence horns until the next alarm. Acknowledges nothing.",
    zh="消音，直到下一次报警；不等于确认。",
)
@console_options
@click.pass_context
def silence(context: click.Context, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    answer = console_client.ask(place, "alarms.silence", {})
    if as_json:
        print_json(answer)
    else:
        click.echo(say("silenced until the next alarm", "已消音，直到下一次报警"))
    return 0


_OWN: Sequence[Verb] = (
    list_,
    show,
    _acting("ack", en="Acknowledge: seen, somebody acts.", zh="确认：已看到，有人处理。"),
    _acting("reset", en="Reset latched alarms that are acknowledged.", zh="复位已确认的锁存报警。"),
    silence,
    _acting(
        "shelve",
        en="Shelve for a time: it is not annunciated and comes back by itself.",
        zh="搁置一段时间：期间不提示，到时自动恢复。",
        why=True,
        how_long=True,
    ),
    _acting("unshelve", en="End a shelf early.", zh="提前结束搁置。"),
    _acting(
        "suppress",
        en="Take out of service, until unsuppress: for maintenance.",
        zh="停用(检修)，直到 unsuppress。",
        why=True,
    ),
    _acting("unsuppress", en="Return to service.", zh="恢复使用。"),
)
COMMANDS: dict[str, Verb | None] = {str(own.name): own for own in _OWN} | {"history": None, "export": None}

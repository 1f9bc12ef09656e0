"""click's parts taught to speak two languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edge_agent.cli.language import choose
from edge_agent.cli.language import language as language
from edge_agent.cli.language import say as say
from edge_agent.cli.wording import Context

Function = TypeVar("Function", bound=Callable[..., Any])


class Option(click.Option):
    """An option whose help exists in both languages."""

    def __init__(self, *arguments: Any, zh: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.zh = zh

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None or language() != "zh" or not self.help or not self.zh:
            return record
        return record[0], record[1].replace(self.help, self.zh, 1)


class _Bilingual(click.Command):
    context_class = Context

    def __init__(self, *arguments: Any, zh: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.zh = zh
        self.params.append(
            Option(
                ["--lang"],
                type=click.Choice(["zh", "en"]),
                is_eager=True,
                expose_value=False,
                callback=choose,
                help="Language of texts.",
                zh="文字语言。",
            )
        )

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if language() != "zh" or not self.zh:
            return super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(self.zh)
        return None

    def get_short_help_str(self, limit: int = 45) -> str:
        if language() == "zh" and self.zh:
            return self.zh.partition("。")[0]
        return super().get_short_help_str(limit=90)


class Verb(_Bilingual):
    """One command."""


class Family(_Bilingual, click.Group):
    """A command with commands of its own."""


def verb(name: str, *, en: str, zh: str) -> Callable[[Callable[..., Any]], Verb]:
    return click.command(name, cls=Verb, help=en, zh=zh)


def option(*names: str, en: str, zh: str, **attributes: Any) -> Callable[[Function], Function]:
    return click.option(*names, cls=Option, help=en, zh=zh, **attributes)


def json_option(function: Function) -> Function:
    return option(
        "--json", "as_json", is_flag=True, en="Print JSON for programs.", zh="输出 JSON，供程序使用。"
    )(function)


class Directory(click.Path):
    """A configuration directory; whoever names the ``edge-agent.yaml`` in it means the directory."""

    def __init__(self) -> None:
        from pathlib import Path

        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pathlib import Path

        named = Path(value)
        if named.is_file() and named.name != "edge-agent.yaml":
            wrong = say(f"{value} is a file; name its directory", f"{value} 是文件；请指明它所在的目录")
            self.fail(wrong, param, ctx)
        return super().convert(named.parent if named.is_file() else named, param, ctx)


def config_option(function: Function) -> Function:
    from pathlib import Path

    return option(
        "--config",
        "config_dir",
        type=Directory(),
        default=Path("/etc/edge-agent"),
        envvar="EDGE_AGENT_CONFIG",
        show_default=True,
        en="Directory of the configuration.",
        zh="配置目录。",
    )(function)

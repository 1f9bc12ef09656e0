"""What click itself says, in Chinese: headings of the help, and what is wrong with a command line.

click knows its own sentences in English only and makes them from parts; they are recognised and said anew.
A sentence that is not known here stays English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import click

from edge_agent.cli.language import language, language_in

_PARTS = {
    "Options": "选项",
    "Commands": "命令",
    "Show this message and exit.": "显示本帮助并退出。",
    "[OPTIONS]": "[选项]",
    "[COMMAND]": "[命令]",
    "COMMAND": "命令",
    "[ARGS]...": "[参数]...",
}
_SENTENCES = [
    (re.compile(pattern, re.DOTALL), chinese)
    for pattern, chinese in (
        (r"No such option '?(?P<x>[^'\s]+?)'?\.(?P<rest>.*)", "没有选项 {x}。{rest}"),
        (r"No such option: (?P<x>[^\s]+)(?P<rest>.*)", "没有选项 {x}。{rest}"),
        (r"No such command '(?P<x>.*?)'\.(?P<rest>.*)", "没有命令 '{x}'。{rest}"),
        (r"Missing command\.?", "缺少命令。"),
        (r"Missing argument '?(?P<x>.*?)'?\.(?P<rest>.*)", "缺少参数 {x}。{rest}"),
        (r"Missing option '?(?P<x>.*?)'?\.(?P<rest>.*)", "缺少选项 {x}。{rest}"),
        (r"Option '(?P<x>.*?)' requires an argument\.", "选项 {x} 需要一个值。"),
        (r"Option '(?P<x>.*?)' requires (?P<n>\d+) arguments\.", "选项 {x} 需要 {n} 个值。"),
        (r"Option '(?P<x>.*?)' does not take a value\.", "选项 {x} 不带值。"),
        (r"Got unexpected extra arguments? \((?P<x>.*)\)", "多余的参数：{x}"),
        (r"Invalid value for (?P<x>.*?): (?P<rest>.*)", "{x} 的值无效：{rest}"),
        (r"Invalid value: (?P<rest>.*)", "值无效：{rest}"),
        (r"'(?P<x>.*?)' is not one of (?P<n>.*)\.", "'{x}' 不在可选值之中：{n}。"),
        (r"'(?P<x>.*?)' is not a valid (?P<n>\w+)( range)?\.", "'{x}' 不是有效的数值。"),
        (r"(?P<x>\S+) is not in the range (?P<n>.*)\.", "{x} 不在范围 {n} 之内。"),
        (r"\s*Choose from:\s*(?P<x>.*)", "可选：{x}。"),
        (r"\s*\(?Did you mean one of: (?P<x>.*?)\?\)?", "是否想写其中之一：{x}？"),
        (r"\s*Did you mean (?P<x>.*?)\?", "是否想写 {x}？"),
        (r"(File|Directory|Path) (?P<x>'.*') does not exist\.", "{x} 不存在。"),
        (r"(File|Directory|Path) (?P<x>'.*') is a file\.", "{x} 是文件，不是目录。"),
        (r"(File|Directory|Path) (?P<x>'.*') is a directory\.", "{x} 是目录，不是文件。"),
        (r"(File|Directory|Path) (?P<x>'.*') is not readable\.", "{x} 无法读取。"),
        (r"(File|Directory|Path) (?P<x>'.*') is not writable\.", "{x} 无法写入。"),
        (r"(File|Directory|Path) (?P<x>'.*') is not executable\.", "{x} 无法执行。"),
        (r"\s*\(?Possible options: (?P<x>.*?)\)?", "可用的选项：{x}"),
    )
]


def in_chinese(sentence: str) -> str:
    """The sentence in Chinese as far as it is known."""
    for pattern, chinese in _SENTENCES:
        found = pattern.fullmatch(sentence)
        if found:
            parts = {name: _one_line(part) for name, part in found.groupdict().items()}
            rest = parts.pop("rest", None) or ""
            return chinese.format(**parts, rest=in_chinese(rest) if rest.strip() else "")
    return sentence


def _one_line(part: str | None) -> str | None:
    """click writes a list of choices one a line."""
    return part if part is None else re.sub(r",?\s*\n\s*", lambda m: ", " if "," in m[0] else " ", part)


def tell_usage(error: click.ClickException, words: Sequence[str]) -> None:
    """As ``error.show()``, in the language of the command line ``words``."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError) or language_in(words) != "zh":
        error.show()
        return
    if context is not None:
        click.echo(usage_in_chinese(context.get_usage()), err=True)
        names = context.help_option_names
        click.echo(f"用 '{context.command_path} {names[0]}' 查看帮助。\n" if names else "", err=True)
    click.echo(f"错误：{in_chinese(error.format_message())}", err=True)


def usage_in_chinese(usage: str) -> str:
    text = usage.replace("Usage: ", "用法：", 1)
    for english, chinese in _PARTS.items():
        text = text.replace(english, chinese)
    return text


class Formatter(click.HelpFormatter):
    """click's help, with its own words in the language of the command line."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        if language() == "zh":
            args = usage_in_chinese(args)
            prefix = prefix or "用法："
        super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        if language() == "zh" and heading in _PARTS:
            self.write(f"{'':>{self.current_indent}}{_PARTS[heading]}：\n")
        else:
            super().write_heading(heading)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        if language() == "zh":
            rows = [(name, _description(text)) for name, text in rows]
        super().write_dl(rows, col_max, col_spacing)


def _description(text: str) -> str:
    text = _PARTS.get(text, text)
    return re.sub(r"\[(.*?)default: (.*?)\]$", r"[\1默认：\2]", text).replace("env var: ", "环境变量：")


class Context(click.Context):
    formatter_class = Formatter

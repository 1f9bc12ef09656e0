"""What ``init`` asks. Each answer is judged when it is given, and asked for again where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.init_files import Answers, files_of
from edge_agent.cli.say import language, say
from edge_agent.errors import ConfigurationError

if TYPE_CHECKING:
    from edge_agent.driver import DriverPlugin

_SERIAL = ("rtu://", "ascii://")
_UNKNOWN_TAG = ("1", "float32")

Check = Callable[[str], str]
"""The answer as it is meant. UsageError with the cure where it cannot be used."""
Ask = Callable[[str, str | None, Check], str]


class Questions:
    """What to ask, in order. ``given``: answers of the command line; they are asked for only where they are
    wrong. ``ask``: None where nobody answers; then every question has its default."""

    def __init__(self, given: Mapping[str, Any], ask: Ask | None) -> None:
        self.given = dict(given)
        self.ask = ask

    def again(self) -> None:
        """Of what was wrong together nothing counts: only protocol and line stay."""
        for key in ("device", "link", "station", "baud", "parity"):
            self.given.pop(key, None)

    def answers(self) -> Answers:
        from edge_agent import registry

        self._text("line", say("Name of the production line", "产线名称"), "line-1", self._sound("line"))
        names = registry.names(registry.DRIVERS)
        protocol = say("Protocol ({})", "协议（{}）").format(", ".join(names))
        driver = self._text("driver", protocol, names[0], _one_of(names))
        fields = registry.load_driver(driver).settings.model_fields
        self._text("device", say("Name of the device", "设备名称"), f"{driver}-1", self._sound("device"))
        example = _example(fields)
        question = say("Address of the device, such as {}", "设备地址，例如 {}").format(example)
        link = self._text("link", question, example, self._sound("link"))
        if "station" in fields:
            self._text("station", say("Station number", "站号"), "1", self._sound("station", _whole_number))
        if "baud" in fields and _whole_link(link, example).startswith(_SERIAL):
            speed = say("Speed of the bus (baud)", "总线波特率")
            self._text("baud", speed, "9600", self._sound("baud", _whole_number))
            parity = say("Parity of the bus (even, none, odd)", "总线校验（even 偶、none 无、odd 奇）")
            self._text("parity", parity, "even", _one_of(["even", "none", "odd"]))
        return _made(self.given)

    def _text(self, key: str, question: str, default: str, check: Check) -> str:
        if key in self.given and self.ask is not None:
            try:
                check(str(self.given[key]))
            except click.UsageError as error:
                click.echo(error.message, err=True)
                del self.given[key]
        if key not in self.given:
            self.given[key] = default if self.ask is None else self.ask(question, default, check)
        return str(self.given[key])

    def _sound(self, key: str, form: Check = str.strip) -> Check:
        """By the rules of the configuration itself: with this answer and those before it, ``key`` has no
        mistake."""

        def check(text: str) -> str:
            found = form(text)
            mistake = _mistake(_made(self.given | {key: found}), key)
            if mistake:
                raise click.UsageError(mistake)
            return found

        return check


def _made(given: Mapping[str, Any]) -> Answers:
    """What is not answered yet has its default."""
    from edge_agent import registry

    driver = str(given.get("driver") or registry.names(registry.DRIVERS)[0])
    plugin = registry.load_driver(driver)
    fields = plugin.settings.model_fields
    example = _example(fields)
    link = _whole_link(str(given.get("link", example)), example)
    station = int(given.get("station", 1)) if "station" in fields else None
    bus = None
    if "baud" in fields and link.startswith(_SERIAL):
        bus = str(given.get("baud", 9600)), str(given.get("parity", "even"))
    line, device = str(given.get("line", "line-1")), str(given.get("device", f"{driver}-1"))
    return Answers(language(), line, device, driver, link, station, _first_tag(plugin), bus)


def _mistake(answers: Answers, key: str) -> str:
    """What ``check`` would say of that key, or nothing."""
    from edge_agent.config.loader import load_files
    from edge_agent.config.sources import SnapshotFiles

    files = {name: text.encode() for name, text in files_of(answers, "state").items()}
    try:
        load_files(SnapshotFiles(Path("/"), files))
    except ConfigurationError as error:
        for problem in error.problems:
            if problem.path[:1] == (key,) and not problem.warning:
                message, cure = problem.message.say(language()), problem.cure.say(language())
                return f"{problem.code} {message}\n{cure}"
    return ""


def _example(fields: Mapping[str, Any]) -> str:
    return str((fields["link"].examples or [fields["link"].default])[0])


def _whole_link(written: str, example: str) -> str:
    """An address alone gets the scheme of the example, a serial port that of RTU."""
    if written.startswith("/"):
        return f"rtu://{written}"
    return written if "://" in written else f"{example.partition('://')[0]}://{written}"


def _first_tag(plugin: DriverPlugin) -> tuple[str, str]:
    return plugin.first_tag or _UNKNOWN_TAG


def ask(question: str, default: str | None, check: Check) -> str:
    """On standard error, a line at a time, so that it works on any terminal and serial console."""
    while True:
        written = str(click.prompt(question, default=default, value_proc=str, err=True))
        try:
            return check(written)
        except click.UsageError as error:  # click itself would put "Error:" in front, in any language
            click.echo(say("Error: ", "错误：") + error.message, err=True)


def _one_of(known: list[str]) -> Check:
    def check(text: str) -> str:
        if text.strip().lower() in known:
            return text.strip().lower()
        from edge_agent.config.suggest import hint

        guess = hint(text, known).say(language())
        raise click.UsageError(say("{}one of: {}", "{}可选：{}").format(guess, ", ".join(known)))

    return check


def ask_language() -> str:
    return ask("Language / 语言 (zh, en)", language(), _one_of(["zh", "en"]))


def _whole_number(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        raise click.UsageError(say("a whole number", "请输入整数")) from None

"""Where the running agent is asked: its socket, its web address, its state directory.

``edge-agent.yaml`` alone says that. It is read without the other files and without plug-ins, so a mistake
anywhere else changes nothing; where it cannot be used itself, the last good configuration says it, from which
the agent then runs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_agent.cli.say import say

if TYPE_CHECKING:
    from edge_agent.config.shapes import WebFile

AGENT_FILE = "edge-agent.yaml"
LAST_GOOD = "last-good.json"
DEFAULT_STATE = Path("/var/lib/edge-agent")
_REASON = "edge_agent.place"
Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class Told:
    """What one ``edge-agent.yaml`` says. A part that cannot be used is None and has its reason in ``wrong``,
    by ``console``, ``web`` or ``state_dir``. ``source``: what was read, for people. ``absent``: there is no
    such file."""

    source: str
    wrong: Mapping[str, str]
    state_dir: Path | None = None
    socket: Path | None = None
    web: WebFile | None = None
    line: str | None = None
    absent: bool = False


def of_directory(directory: Path) -> Told:
    """The file of that directory, as it is now. Never raises."""
    file = directory / AGENT_FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        return _unread(file, error)
    return _told(str(file), data, directory.absolute())


def of_last_good(state_dir: Path) -> Told:
    """The file in the snapshot of that state directory. Never raises."""
    file = state_dir / LAST_GOOD
    try:
        data = file.read_bytes()
    except OSError as error:
        return _unread(file, error)
    from edge_agent.config.lastgood import last_good_marker

    marker = last_good_marker(state_dir)  # checks the digest
    try:
        kept = json.loads(data)["content"]["files"][AGENT_FILE]
        text = base64.b64decode(kept, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        marker = None
    if marker is None:
        return _nothing(str(file), say("it is damaged", "文件已损坏"))
    return _told(str(file), text, marker.directory)


def look(
    directory: Path,
    take: Callable[[Told], Wanted | None],
    is_there: Callable[[Any], bool] = lambda _: True,
) -> tuple[Wanted | None, str, bool]:
    """What ``take`` finds in the file of that directory; in the last good configuration, if the file cannot
    be used, or if only what the snapshot says ``is_there``. None when neither can be used. With it, what was
    tried and why, as a sentence, and whether that is doubtful: not what the file says now."""
    now = of_directory(directory)
    found = take(now)
    plain = say(f"{now.source} says this place.", f"依据：{now.source}。")
    if found is not None and is_there(found):
        return found, plain, False
    last = of_last_good(now.state_dir or DEFAULT_STATE)
    kept = take(last)
    if found is not None and (kept is None or not is_there(kept)):
        return found, plain, False
    if now.absent and kept is None:
        return None, _elsewhere(now), True
    why = _why(now) if found is None else say(f"nothing is at {found}", f"{found} 处没有")
    tried = say(f"{now.source} does not tell the place ({why})", f"{now.source} 未能指明位置（{why}）")
    if kept is not None:
        then = say(
            f"so the place is that of the last good configuration, {last.source}",
            f"因此改按上次有效的配置 {last.source}",
        )
        return kept, say(f"{tried}, {then}.", f"{tried}，{then}。"), True
    then = say(
        f"and there is no last good configuration, {last.source} ({_why(last)}): this is the default place. "
        "`edge-agent check` shows what is wrong",
        f"也没有上次有效的配置 {last.source}（{_why(last)}），因此查找的是默认位置。"
        "请用 `edge-agent check` 查看错误",
    )
    return None, say(f"{tried}, {then}.", f"{tried}，{then}。"), True


def _elsewhere(now: Told) -> str:
    """The configuration is not where it was looked for: most often a second terminal without the variable."""
    return say(
        f"There is no configuration at {now.source}, so this is the default place. If the agent runs with "
        "another directory, name that one: --config DIRECTORY, or once in this terminal: "
        "export EDGE_AGENT_CONFIG=DIRECTORY",
        f"未找到配置文件 {now.source}，因此查找的是默认位置。若代理使用其他配置目录，请加 --config 目录，"
        "或在本终端先执行：export EDGE_AGENT_CONFIG=目录",
    )


def remember(context: click.Context, reason: str, doubtful: bool = False) -> None:
    """Keeps why this place was chosen: ``reason`` is for the sentence when nobody answers there. What is
    doubtful is told also when somebody does."""
    context.meta[_REASON] = reason, doubtful


def reason() -> str:
    """A line of its own, or nothing; once."""
    found, _ = _remembered()
    return f"\n{found}" if found else ""


def tell_doubt() -> None:
    found, doubtful = _remembered()
    if doubtful:
        click.echo(found, err=True)


def tell_other(config_dir: Path, place: str, answer: Mapping[str, Any]) -> None:
    """Warns where the agent that answers is not that of the local configuration: two configurations with the
    same port, and the second agent could not listen."""
    here = of_directory(config_dir)
    if here.line is None:
        return
    running, there = str(answer["agent"]["line"]), str(answer["config"].get("directory") or "")
    same = Path(there).resolve() == config_dir.resolve() if there else running == here.line
    if same:
        return
    click.echo(
        say(
            f"warning: at {place} answers the agent of line {running} ({there or 'place not told'}), "
            f"not that of line {here.line} ({config_dir.absolute()}). Does the latter run? If both are to "
            "run, give each its own `web.port` in edge-agent.yaml.",
            f"警告：{place} 处应答的是产线 {running} 的代理（{there or '未告知位置'}），"
            f"不是产线 {here.line} 的（{config_dir.absolute()}）。后者是否在运行？"
            "如需同时运行，请在各自的 edge-agent.yaml 中设置不同的 `web.port`。",
        ),
        err=True,
    )


def _remembered() -> tuple[str, bool]:
    context = click.get_current_context(silent=True)
    found: tuple[str, bool] = context.meta.pop(_REASON, ("", False)) if context else ("", False)
    return found


def _why(told: Told) -> str:
    return say(", ", "，").join(dict.fromkeys(told.wrong.values()))


def _nothing(source: str, why: str, *, absent: bool = False) -> Told:
    return Told(source, dict.fromkeys(("console", "web", "state_dir"), why), absent=absent)


def _unread(file: Path, error: OSError) -> Told:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _nothing(str(file), say("there is no such file", "文件不存在"), absent=True)
    if isinstance(error, PermissionError):
        return _nothing(str(file), say("this user may not read it", "当前用户无权读取"))
    return _nothing(str(file), error.strerror or str(error))


def _told(source: str, data: bytes, directory: Path) -> Told:
    from pydantic import ValidationError

    from edge_agent.config.shapes import AgentFile, ConsoleFile, WebFile

    found, why = _mapping(data)
    if found is None:
        return _nothing(source, why)
    wrong: dict[str, str] = {}

    def part(key: str, make: Callable[[Any], Wanted]) -> Wanted | None:
        try:
            return make(found.get(key))
        except (ValidationError, TypeError, ValueError):
            wrong[key] = say(f"`{key}` has a mistake", f"`{key}` 有错误")
            return None

    default = AgentFile.model_fields["state_dir"].default
    state_dir = part("state_dir", lambda value: directory / _text(default if value is None else value))
    console = part("console", lambda value: ConsoleFile(**_only(value, "socket")))
    web = part("web", lambda value: WebFile(**_only(value, "host", "port")))
    socket = directory / console.socket if console is not None and console.socket is not None else None
    line = part("line", _text)
    wrong.pop("line", None)  # nothing is looked for there
    return Told(source, wrong, state_dir, socket, web, line)


def _mapping(data: bytes) -> tuple[Mapping[str, Any] | None, str]:
    """The keys of the file, and if it has none, why. Secrets are not looked up."""
    from pydantic import SecretStr

    from edge_agent.config.document import parse
    from edge_agent.config.located import Collector, Source
    from edge_agent.config.sources import MAX_BYTES, decode

    text = decode(data).text if len(data) <= MAX_BYTES else None
    if text is None:
        return None, say("it is no text", "不是文本文件")
    collector = Collector()
    document = parse(Source(AGENT_FILE, text), text, lambda *_: SecretStr(""), collector, "line")
    if document is not None:
        return document.data, ""
    first = next(iter(collector.all()), None)
    return None, "" if first is None else f"{first.place}: {say(first.message.en, first.message.zh)}".rstrip(
        ".。"
    )


def _only(value: Any, *keys: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError
    return {key: value[key] for key in keys if key in value}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value

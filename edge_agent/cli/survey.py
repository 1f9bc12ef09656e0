"""Carrying out a driver's survey (``driver.Survey``) for a person: how long it may take, how far it is, and
what was found, also when it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.lengths import length_text
from edge_agent.cli.say import language, say
from edge_agent.cli.table import printable, width
from edge_agent.errors import DriverError, LinesideError, Refused

if TYPE_CHECKING:
    from edge_agent.driver import DriverPlugin, Survey

_REFRESH_S = 0.2
_BEGIN_S = 0.01
_WORTH_TELLING_S = 1.0


class Nobody(LinesideError):
    """Nobody answers there."""

    exit_code = 4


class NotLetIn(LinesideError):
    """This user may not open the port."""

    exit_code = 5


class Declined(LinesideError):
    """The device answers, and refuses."""


class Occupied(LinesideError):
    """Somebody uses the place; nothing was asked."""


@dataclass(slots=True)
class Outcome:
    """``stopped``: interrupted before its end. ``error``: why it ended early by itself. ``silence``: what is
    known where nothing was found."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False
    error: str = ""
    silence: str = ""


def settings_of(plugin: DriverPlugin, keys: Mapping[str, Any]) -> Any:
    """A device's settings from the command line. Raises UsageError."""
    from pydantic import ValidationError

    try:
        return plugin.settings(**{key: value for key, value in keys.items() if value is not None})
    except ValidationError as error:
        texts = []
        for problem in error.errors():
            context = problem.get("ctx") or {}
            meant = say(problem["msg"], str(context.get("zh") or problem["msg"]))
            cure = say(str(context.get("cure_en") or ""), str(context.get("cure_zh") or ""))
            texts.append(f"{'.'.join(map(str, problem['loc']))}: {meant}" + (f"\n{cure}" if cure else ""))
        raise click.UsageError("\n".join(texts)) from None


def carry_out(survey: Survey, link: str, *, despite_others: bool = True) -> Outcome:
    """Runs it to its end, or until it is interrupted. Raises Occupied where somebody would be disturbed,
    unless ``despite_others``; Nobody where nothing was found because nobody can be reached."""
    if survey.longest_s > _WORTH_TELLING_S:
        survey.on_begin = lambda: _announce(survey)
    outcome = Outcome()
    try:
        asyncio.run(_run(survey, outcome, despite_others))
    except KeyboardInterrupt:
        outcome.stopped = True
    except DriverError as error:
        if not outcome.findings:
            raise failure(error, link, [note.say(language()) for note in survey.notes]) from error
        outcome.error = error.text.say(language())
    outcome.notes += [note.say(language()) for note in survey.notes]
    outcome.silence = "" if survey.silence is None else survey.silence.say(language())
    return outcome


def _announce(survey: Survey) -> None:
    length = length_text(survey.longest_s)
    click.echo(
        say(
            f"At most {length} ({survey.steps} to ask). Ctrl-C ends it and shows what was found.",
            f"最多需要 {length}（共询问 {survey.steps} 项）。按 Ctrl-C 可提前结束并显示已找到的结果。",
        ),
        err=True,
    )


def failure(error: DriverError, link: str, notes: Sequence[str] = ()) -> LinesideError:
    """What a driver's error is to a person: with the cure, and with the exit code that belongs to it."""
    if isinstance(error, Refused):
        text = say(f"the device refuses: {error}", f"设备拒绝：{error.text.say('zh')}")
        return Declined("\n".join((text, *notes)))
    from edge_agent.cli.read import cure

    text = "\n".join((error.text.say(language()), *(notes or (cure(error.reason, link),))))
    return NotLetIn(text) if error.reason == "permission" else Nobody(text)


async def _run(survey: Survey, outcome: Outcome, despite_others: bool) -> None:
    if not despite_others and (others := await survey.occupied()):
        raise Occupied(_occupied([text.say(language()) for text in others]))
    line = asyncio.create_task(_show(survey, outcome)) if sys.stderr.isatty() else None
    findings: Any = aiter(survey)
    try:
        async with contextlib.aclosing(findings):
            async for finding in findings:
                outcome.findings.append(dict(finding))
    finally:
        if line is not None:
            line.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await line


async def _show(survey: Survey, outcome: Outcome) -> None:
    """A line on the terminal, gone at the end."""
    started_s, before = time.monotonic(), 0
    try:
        while True:
            if not survey.begun:  # it has yet to say how long it takes, and does so on a line of its own
                await asyncio.sleep(_BEGIN_S)
                continue
            left = ""
            spent_s = time.monotonic() - started_s
            if survey.longest_s > spent_s and survey.steps:
                share = survey.done / survey.steps
                left = say(", at most {} left", "，最多还需 {}").format(
                    length_text(max(1, round(survey.longest_s * (1 - share))))
                )
            text = printable(
                say(
                    f"{survey.done}/{survey.steps}  {survey.trying}  found: {len(outcome.findings)}{left}",
                    f"{survey.done}/{survey.steps}  {survey.trying}  已找到：{len(outcome.findings)}{left}",
                )
            )
            click.echo("\r" + text + " " * (before - width(text)), nl=False, err=True)
            before = width(text)
            await asyncio.sleep(_REFRESH_S)
    finally:
        if before:
            click.echo("\r" + " " * before + "\r", nl=False, err=True)


def _occupied(others: Sequence[str]) -> str:
    return "\n".join(
        (
            *others,
            say(
                "Nothing was sent. If it may be disturbed, ask again with --yes.",
                "未发送任何数据。如可以打扰，请加 --yes 重试。",
            ),
        )
    )


def tell_end(outcome: Outcome) -> None:
    """Notes, and why it ended early, for a person."""
    for note in outcome.notes:
        click.echo(note, err=True)
    if outcome.error:
        click.echo(say(f"It ended early: {outcome.error}", f"提前结束：{outcome.error}"), err=True)
    if outcome.stopped:
        click.echo(say("Interrupted: not everything was asked.", "已中断：未询问完全部。"), err=True)

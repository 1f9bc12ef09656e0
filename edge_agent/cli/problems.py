"""Mistakes in the configuration, as the loader located them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from edge_agent.cli.say import language, say

if TYPE_CHECKING:
    from edge_agent.settings import Problem


def show(problems: Sequence[Problem]) -> None:
    """Every problem with its place and cure, then how many there are, on standard error."""
    for problem in problems:
        click.echo(_text(problem) + "\n", err=True)
    errors = sum(not problem.warning for problem in problems)
    warnings = len(problems) - errors
    click.echo(
        say(f"{errors} error(s), {warnings} warning(s)", f"{errors} 个错误，{warnings} 个警告"), err=True
    )


def _text(problem: Problem) -> str:
    from edge_agent.config.located import Located

    if isinstance(problem, Located):
        return problem.render(language())
    return f"{problem.code} {problem.message.say(language())}\n    {problem.cure.say(language())}"

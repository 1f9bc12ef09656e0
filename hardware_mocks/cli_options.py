"""What the commands of the simulators have in common."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from hardware_mocks.lifetime import Part, die_with_parent, run_until_signal

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def chain(options: Sequence[Decorator]) -> Decorator:
    def apply(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def port(name: str, default: int, what: str) -> Decorator:
    return click.option(
        name,
        type=click.IntRange(0, 65535),
        default=default,
        show_default=True,
        help=f"{what}; 0: any free one.",
    )


def seconds(name: str, default: float, what: str) -> Decorator:
    return click.option(name, type=click.FloatRange(0), default=default, show_default=True, help=what)


parent = click.option("--with-parent", is_flag=True, help="End when the parent process ends.")


def run(parts: Sequence[Part], ready: Callable[[], dict[str, Any]], with_parent: bool) -> None:
    if with_parent:
        die_with_parent()
    try:
        asyncio.run(run_until_signal(parts, ready))
    except OSError as error:  # a port is taken, the store is not writable
        click.echo(f"cannot start: {error}", err=True)
        sys.exit(1)

"""What this program is, and how a shell completes it."""

from __future__ import annotations

import platform

import click

from edge_agent import __version__
from edge_agent.cli.output import print_json
from edge_agent.cli.say import json_option, verb


@verb("version", en="Print the version.", zh="显示版本。")
@json_option
def version(as_json: bool) -> None:
    if as_json:
        facts = {"version": __version__, "python": platform.python_version(), "machine": platform.machine()}
        print_json(facts)
    else:
        click.echo(f"Lineside {__version__} (Python {platform.python_version()}, {platform.machine()})")


@verb(
    "completion",
    en='Print a shell\'s completion script. Use: eval "$(edge-agent completion bash)"',
    zh='输出命令补全脚本。用法：eval "$(edge-agent completion bash)"',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    from click.shell_completion import get_completion_class

    from edge_agent.cli.root import ROOT

    complete = get_completion_class(shell)
    assert complete is not None  # one of click's own three
    click.echo(complete(ROOT, {}, "edge-agent", "_EDGE_AGENT_COMPLETE").source())

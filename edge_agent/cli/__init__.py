"""The command ``edge-agent``. One file per family of verbs; a verb imports what it needs when it runs.

Exit codes: 0 ok, 1 failed, 2 usage, 3 warnings under --strict, 4 unreachable, 5 permission, 78 bad
configuration, 130 interrupted. Results go to standard output, messages to standard error.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from edge_agent.cli.root import ROOT
from edge_agent.cli.say import say
from edge_agent.cli.wording import tell_usage
from edge_agent.errors import ConfigurationError, LinesideError

PROGRAM = "edge-agent"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code. What goes wrong is told in a sentence; the traceback is
    shown only with EDGE_AGENT_TRACEBACK=1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Not click's standalone mode: it answers an interrupt with "Aborted!" and 1.
        code = ROOT.main(words, prog_name=PROGRAM, standalone_mode=False, obj=arguments is None)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        tell_usage(error, words)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 - the outermost edge: a person reads what leaves it
        return tell(error)
    return code if isinstance(code, int) else 0


def tell(error: Exception) -> int:
    """Says to a person what went wrong; the exit code. In an ``except`` block."""
    if os.environ.get("EDGE_AGENT_TRACEBACK") == "1":
        traceback.print_exc()
    if isinstance(error, ConfigurationError):
        from edge_agent.cli.problems import show

        show(error.problems)
        return 78
    if isinstance(error, PermissionError):
        click.echo(_permission(error), err=True)
        return 5
    if isinstance(error, LinesideError):
        click.echo(say(error.text.en, error.text.zh), err=True)
        return int(getattr(error, "exit_code", 1))
    if isinstance(error, OSError):
        click.echo(str(error), err=True)
        return 1
    name = type(error).__name__
    click.echo(
        say(
            f"internal error: {name}: {error}. This is a mistake in the agent, please report it; "
            "EDGE_AGENT_TRACEBACK=1 shows where it is.",
            f"内部错误：{name}: {error}。这是程序缺陷，请反馈；设置 EDGE_AGENT_TRACEBACK=1 可显示位置。",
        ),
        err=True,
    )
    return 1


def _permission(error: PermissionError) -> str:
    path = error.filename or ""
    return say(
        f"no permission for {path}. Run the command as the service's user "
        "(sudo -u edge-agent edge-agent ...) or as root.",
        f"没有权限访问 {path}。请以服务用户(sudo -u edge-agent edge-agent ...)或 root 运行。",
    )

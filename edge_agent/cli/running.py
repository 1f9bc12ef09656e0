"""The agent itself, and the demonstration of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from edge_agent.__main__ import AS_AGENT
from edge_agent.cli.language import LANGUAGE
from edge_agent.cli.say import config_option, language, option, verb


@verb(
    "run",
    en="Run the agent until it is stopped. SIGTERM and Ctrl-C end it cleanly, SIGHUP reloads.",
    zh="运行代理，直到被停止。SIGTERM 与 Ctrl-C 正常退出，SIGHUP 重新加载配置。",
)
@config_option
@option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    en="Least severe message that is logged.",
    zh="最低日志级别。",
)
@option(
    "--log-format",
    type=click.Choice(["auto", "text", "logfmt", "json"]),
    default="auto",
    show_default=True,
    en="Form of log lines.",
    zh="日志格式。",
)
@click.pass_obj
def run(program: bool | None, config_dir: Path, log_level: str, log_format: str) -> int:
    if program:  # not called by other Python code
        become_agent(str(config_dir), log_level, log_format)
    from edge_agent.agent import run as run_agent

    return run_agent(config_dir, log_level=log_level, log_format=log_format)


def become_agent(*words: str) -> None:
    """Does not return: the process goes on, under the same id, as the agent alone (``edge_agent.__main__``).
    One memory arena is enough for its threads, which allocate little, and half a megabyte smaller."""
    os.environ[LANGUAGE] = language()
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    interpreter = [sys.executable, *_own_options(sys.orig_argv[1:])]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*interpreter, "-m", "edge_agent", AS_AGENT, *words])


def _own_options(words: Sequence[str]) -> Iterator[str]:
    """The interpreter's own options, as it was started; where it was not by ``-m``, what lies in the present
    directory must not be taken for a module."""
    left = iter(words)
    for word in left:
        if word == "-m":
            return
        if not word.startswith("-"):
            break
        yield word
        if word in ("-X", "-W"):
            yield next(left, "")
    yield "-P"


@verb(
    "demo",
    en="Show the whole way without a machine: a simulated line, the agent, a park platform.",
    zh="无需设备的完整演示：模拟产线、代理与园区平台。",
)
@option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    en="End by itself after so many seconds.",
    zh="运行多少秒后自动结束。",
)
def demo(seconds: float | None) -> int:
    from edge_agent.cli.demo_line import run_demo

    return run_demo(seconds, language=language())

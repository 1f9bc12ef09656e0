"""The agent itself, and the demonstration of it."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli.say import config_option, option, verb


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
def run(config_dir: Path, log_level: str, log_format: str) -> int:
    from edge_agent.agent import run as run_agent

    return run_agent(config_dir, log_level=log_level, log_format=log_format)


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

    return run_demo(seconds)

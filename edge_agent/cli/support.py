"""``support``: one file for the phone call, with what somebody elsewhere has to know and no secret in it."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli.console_client import socket_option
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.status import url_option
from edge_agent.cli.table import Table


@verb(
    "support",
    en="Write a bundle for support: status, configuration, logs, plans, versions; every secret is masked. "
    "Works without a running agent. It is sent nowhere: look into it, then send it yourself.",
    zh="生成支持包：状态、配置、日志、请求计划与版本，所有密钥均已遮盖。代理未运行时也可使用。"
    "不会发送到任何地方：请先查看内容，再自行发送。",
)
@option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    en="The file to write; default: lineside-support-TIME.tar.gz here.",
    zh="要写入的文件；默认为当前目录下的 lineside-support-时间.tar.gz。",
)
@option("--since", default="24h", show_default=True, en="How far back the log goes.", zh="日志的时间范围。")
@option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    en="A log file, where the agent does not run under systemd.",
    zh="日志文件（代理不由 systemd 运行时）。",
)
@config_option
@url_option
@socket_option
@json_option
@click.pass_context
def support(
    context: click.Context, out: Path | None, since: str, log_file: Path | None, config_dir: Path,
    url: str | None, socket_path: Path | None, as_json: bool,
) -> int:  # fmt: skip
    from edge_agent.cli.bundle import Wanted, collect, write
    from edge_agent.cli.moments import length_ns

    wanted = Wanted(context, config_dir, url, socket_path, length_ns(since), log_file)
    parts, masked = collect(wanted)
    path = write(parts, out)
    if as_json:
        rows = [{"name": p.name, "bytes": len(p.data), "what": p.what, "problem": p.problem} for p in parts]
        print_json({"file": str(path), "bytes": path.stat().st_size, "masked": masked, "parts": rows})
        return 0
    headings = say("file,bytes,what it is", "文件,字节,内容").split(",")
    rows_ = [[p.name, f"{len(p.data):,}", say(p.what, p.what_zh) + _why(p.problem)] for p in parts]
    print_tables([Table(say("In the bundle", "支持包内容"), tuple(headings), rows_, frozenset({1}))])
    size = path.stat().st_size
    click.echo(
        say(
            f"\n{path} ({size:,} bytes), {masked} place(s) masked. Nothing was sent. It shows device names, "
            f"addresses, tag names and recent values: look into it (tar -xzf {path.name}), then send it.",
            f"\n{path}（{size:,} 字节），遮盖 {masked} 处。未发送到任何地方。"
            f"其中含设备名、地址、变量名和近期数值：请先查看（tar -xzf {path.name}），再自行发送。",
        )
    )
    return 0


_PROBLEMS = {  # the manifest, which goes to whoever it is, has them in English
    "there is none on this machine": "本机没有",
    "there is none": "没有",
    "there is no store yet": "还没有缓存",
    "no journalctl here; name a log file with --log": "本机没有 journalctl；请用 --log 指定日志文件",
}


def _why(problem: str) -> str:
    if not problem:
        return ""
    size = problem.removeprefix("cut: it has ").removesuffix(" bytes")
    chinese = f"已截断，原有 {size} 字节" if size != problem else _PROBLEMS.get(problem, problem)
    return f" [{say(problem, chinese)}]"

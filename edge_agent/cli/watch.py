"""``watch``: every tag of the running agent, once a second. An old number is never shown as live."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import agent_api
from edge_agent.cli.completing import devices as device_names
from edge_agent.cli.output import age_text, quality_word, rich_table, state_word, value_text
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.status import url_option
from edge_agent.cli.table import Table, plain, without_empty_last
from edge_agent.cli.whereabouts import tell_other

PERIOD_S = 1.0


@verb(
    "watch",
    en="Show live values with quality, age and window state. Name devices to see only those.",
    zh="实时显示数值、质量、时效与窗口状态。可指定设备。",
)
@click.argument("devices", nargs=-1, metavar="[DEVICE]...", shell_complete=device_names)
@option("--once", is_flag=True, en="Show once and end.", zh="只显示一次。")
@option("--plain", "as_plain", is_flag=True, en="No colour, no cursor movement.", zh="纯文本输出。")
@option(
    "--raw",
    is_flag=True,
    en="Show the bytes that each value stands for, by its type and byte order.",
    zh="按类型和字节序显示每个值对应的字节。",
)
@config_option
@url_option
@json_option
@click.pass_context
def watch(
    context: click.Context,
    devices: tuple[str, ...],
    once: bool,
    as_plain: bool,
    raw: bool,
    config_dir: Path,
    url: str | None,
    as_json: bool,
) -> int:
    place = agent_api.locate(url, config_dir, context)
    first = agent_api.ask(place, "/api/v1/tags")
    if url is None:
        tell_other(config_dir, place, first)
    _refuse_unknown(devices, first)
    answers = iter([first]) if once else _every_second(place, first)
    if raw:
        from edge_agent.cli.watch_raw import bytes_of

        answers = _with_bytes(answers, bytes_of(config_dir))
    if as_json:
        for answer in answers:
            _print_lines(answer, devices)
    elif as_plain or once or not sys.stdout.isatty():
        for answer in answers:
            click.echo(plain(_table(answer, devices)) + "\n")
    else:
        _live(answers, devices)
    return 0


def _every_second(place: str, first: Any) -> Iterator[Any]:
    """Answers for ever; None in place of one while the agent does not answer."""
    yield first
    while True:
        time.sleep(PERIOD_S)
        try:
            yield agent_api.ask(place, "/api/v1/tags")
        except agent_api.NoAgent:
            yield None


def _with_bytes(answers: Iterator[Any], bytes_of: Callable[[str, str, Any], str]) -> Iterator[Any]:
    for answer in answers:
        for device in () if answer is None else answer["devices"]:
            for group in device["groups"]:
                for value in group["values"]:
                    value["bytes"] = bytes_of(device["name"], value["tag"], value["value"])
        yield answer


def _refuse_unknown(devices: Sequence[str], answer: Mapping[str, Any]) -> None:
    known = [row["name"] for row in answer["devices"]]
    for row in answer["devices"]:
        if row["name"] in devices and not row["groups"]:
            name = row["name"]
            click.echo(say(f"{name} has no value yet", f"{name} 尚无数值"), err=True)
    for name in devices:
        if name not in known:
            raise click.UsageError(
                say(
                    f"the agent has no device {name!r}; it has: {', '.join(known)}",
                    f"代理没有设备 {name!r}，现有：{', '.join(known)}",
                )
            )


def _live(answers: Iterator[Any], devices: Sequence[str]) -> None:
    from rich.live import Live

    with Live(auto_refresh=False, vertical_overflow="ellipsis") as screen:
        for answer in answers:
            screen.update(rich_table(_table(answer, devices), screen.console.width), refresh=True)


def _values(answer: Mapping[str, Any], devices: Sequence[str]) -> Iterator[dict[str, Any]]:
    windows: dict[tuple[str, str], str] = {}
    for window in answer["windows"]:
        key = (window["device"], window["tag"])
        windows[key] = _worse(windows.get(key), window["state"])
    for device in answer["devices"]:
        if devices and device["name"] not in devices:
            continue
        for group in device["groups"]:
            for value in group["values"]:
                state = windows.get((device["name"], value["tag"]))
                yield {"device": device["name"], **value, "window": state}


def _worse(one: str | None, other: str) -> str:
    order = ("suppressed", "in", "unknown", "out")
    return other if one is None or order.index(other) > order.index(one) else one


def _print_lines(answer: Any, devices: Sequence[str]) -> None:
    """One JSON object per tag and line, so that a pipe can take them one by one."""
    if answer is None:
        click.echo(json.dumps({"error": "no answer"}))
        return
    time_ns = answer["agent"]["time_ns"]
    for value in _values(answer, devices):
        click.echo(json.dumps({"now_ns": time_ns, **value}, ensure_ascii=False))


def _table(answer: Any, devices: Sequence[str]) -> Table:
    headings = say(
        "device,tag,value,unit,quality,age,window,meaning", "设备,变量,值,单位,质量,时效,窗口,含义"
    )
    if answer is None:
        title = say("The agent does not answer any more.", "代理不再应答。")
        return without_empty_last(Table(title, tuple(headings.split(",")), []))
    rows = [
        [
            value["device"], value["tag"], value_text(value["value"], value.get("type", "")), value["unit"],
            quality_word(value["quality"]), age_text(value["age_s"]),
            state_word(value["window"]) if value["window"] else "", value.get("label") or "",
        ]
        for value in _values(answer, devices)
    ]  # fmt: skip
    if any("bytes" in value for value in _values(answer, devices)):
        headings = headings.replace(say(",unit", ",单位"), say(",bytes,unit", ",字节,单位"))
        for row, value in zip(rows, _values(answer, devices), strict=True):
            row.insert(3, value.get("bytes", ""))
        return without_empty_last(Table("", tuple(headings.split(",")), rows, frozenset({2, 6})))
    return without_empty_last(Table("", tuple(headings.split(",")), rows, frozenset({2, 5})))

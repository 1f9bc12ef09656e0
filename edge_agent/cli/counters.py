"""``counters``: what the meters' counters stand at; declaring that a meter was replaced, and taking that
back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.console_client import socket_option
from edge_agent.cli.moments import BEIJING
from edge_agent.cli.output import local_time, print_json, print_tables
from edge_agent.cli.say import Family, Verb, config_option, json_option, option, say
from edge_agent.cli.table import Table


@click.group(
    "counters",
    cls=Family,
    help="The counters of the running agent: see, declare a replaced meter.",
    zh="正在运行的代理的计数器：查看、登记换表。",
)
def counters() -> None:
    pass


@counters.command(
    "list", cls=Verb, help="Show what each counter stands at.", zh="显示各计数器的累计值与读数。"
)
@config_option
@socket_option
@json_option
@click.pass_context
def list_(context: click.Context, config_dir: Path, socket_path: Path | None, as_json: bool) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    rows = console_client.ask(place, "counters.list", {})
    if as_json:
        print_json(rows)
        return 0
    headings = say(
        "counter,tag,counted,unit,display,read,remarks", "计数器,点,累计量,单位,表计读数,读取时间,备注"
    )
    lines = [_line(row) for row in rows]
    print_tables([Table("", tuple(headings.split(",")), lines, frozenset({2, 4}))])
    return 0


def _line(row: Mapping[str, Any]) -> list[str]:
    remarks = [
        say("replacement awaited since ", "等待换表后的读数，自 ") + local_time(item["at_ns"])
        for item in row["declared"]
    ]
    if row["held"]:
        remarks.insert(0, say("readings HELD BACK", "读数暂不计入"))
    shown = [row["name"], row["tag"], _counted(row), row["unit"], row["display"] or ""]
    return [*shown, local_time(row["time_ns"]), ", ".join(remarks)]


def _counted(row: Mapping[str, Any]) -> str:
    """The total without what floats add to a difference of readings: as many decimals as twelve digits of the
    larger of total and display leave, at most nine. ``--json`` has every digit."""
    total = Decimal(row["total"])
    whole = max(abs(total), abs(Decimal(row["display"] or "0")))
    decimals = min(9, max(0, 11 - whole.adjusted() if whole >= 1 else 9))
    text = f"{total:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@counters.command(
    "declare",
    cls=Verb,
    help="Declare that a meter was replaced, so that nothing is lost or counted twice.",
    zh="登记换表，使用量既不丢失也不重复计入。",
)
@click.argument("name", metavar="COUNTER")
@option("--old-final", required=True, en="Last reading of the old meter.", zh="旧表最后读数。")
@option("--new-start", required=True, en="First reading of the new meter.", zh="新表起始读数。")
@option(
    "--at",
    "at",
    en="When, Beijing time: 2026-01-31T08:00; default: now.",
    zh="北京时间：2026-01-31T08:00，默认现在。",
)
@option(
    "--reason", "comment", required=True, en="Why, meter numbers; is recorded.", zh="原因、表号，会被记录。"
)
@option("--replace", is_flag=True, en="In place of the declaration that is waiting.", zh="取代等待中的登记。")
@config_option
@socket_option
@json_option
@click.pass_context
def declare(
    context: click.Context,
    name: str,
    old_final: str,
    new_start: str,
    at: str | None,
    comment: str,
    replace: bool,
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    _check_amounts(old_final, new_start)
    args: dict[str, Any] = {
        "counter": name, "old_final": old_final, "new_start": new_start, "comment": comment,
    }  # fmt: skip
    if replace:
        args["replace"] = True
    if at is not None:
        args["at"] = _moment(at)
    place = console_client.locate(socket_path, config_dir, context)
    answer = console_client.ask(place, "counters.declare", args)
    if as_json:
        print_json(answer)
    else:
        if answer.get("withdrawn"):
            click.echo(_withdrawn(answer))
        click.echo(_outcome(answer))
    return 1 if answer["outcome"] == "refused" else 0


@counters.command(
    "withdraw",
    cls=Verb,
    help="Take back a declaration that waits for the first reading of the new meter.",
    zh="撤回等待新表读数的换表登记。",
)
@click.argument("name", metavar="COUNTER")
@option("--reason", "comment", required=True, en="Why; is recorded.", zh="原因，会被记录。")
@config_option
@socket_option
@json_option
@click.pass_context
def withdraw(
    context: click.Context,
    name: str,
    comment: str,
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    place = console_client.locate(socket_path, config_dir, context)
    answer = console_client.ask(place, "counters.withdraw", {"counter": name, "comment": comment})
    if as_json:
        print_json(answer)
    else:
        click.echo(_withdrawn(answer))
    return 0


def _withdrawn(answer: Mapping[str, Any]) -> str:
    name = answer["counter"]
    return say(f"{name}: the waiting declaration is withdrawn.", f"{name}：已撤回等待中的换表登记。")


def _check_amounts(old_final: str, new_start: str) -> None:
    """What the agent would refuse whatever stands in it. Raises UsageError."""
    for name, text in (("--old-final", old_final), ("--new-start", new_start)):
        try:
            sound = Decimal(text.strip()).is_finite() and Decimal(text.strip()) >= 0
        except InvalidOperation:
            sound = False
        if not sound:
            raise click.UsageError(
                say(
                    f"{name} is {text!r}: write what the display showed, such as 48213.7",
                    f"{name} 是 {text!r}：请填写表计显示的读数，例如 48213.7",
                )
            )


def _moment(at: str) -> str:
    """With its zone: Beijing time unless another stands there. Raises UsageError."""
    try:
        found = datetime.fromisoformat(at.strip())
    except ValueError:
        raise click.UsageError(
            say(
                f"--at {at!r} is no date and time: write 2026-01-31T08:00 or 2026-01-31T08:00+08:00",
                f"--at {at!r} 不是日期时间：请写 2026-01-31T08:00 或 2026-01-31T08:00+08:00",
            )
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=BEIJING)).isoformat()


def _outcome(answer: Mapping[str, Any]) -> str:
    name = answer["counter"]
    if answer["outcome"] == "counted":
        amount = f"{answer['amount']} {answer['unit']}".strip()
        return say(
            f"{name}: the replacement is recorded; {amount} counted across it.",
            f"{name}：换表已登记，换表期间计入 {amount}。",
        )
    if answer["outcome"] == "waiting":
        return say(
            f"{name}: recorded; counted when the first reading of the new meter comes.",
            f"{name}：已登记，读到新表的第一个读数时计入。",
        )
    return say(
        f"{name}: not counted: {answer['reason']}. The declaration is on record; "
        "compare the readings and the time with the meters and declare it again.",
        f"{name}：未计入：{_REASONS.get(answer['reason'], answer['reason'])}。登记已留存；"
        "请核对读数与时间后重新登记。",
    )


_REASONS = {
    "no jump of the readings was seen then": "该时刻附近没有出现读数跳变",
    "the readings around that moment do not fit": "与该时刻前后的读数不符",
}

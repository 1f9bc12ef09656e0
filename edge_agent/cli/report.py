"""``report``: how the shift ran: time in each window, and the totals of the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from edge_agent.cli import console_client
from edge_agent.cli.console_client import Refused, socket_option
from edge_agent.cli.output import local_time, print_json, print_tables, quality_word, value_text
from edge_agent.cli.say import Family, Verb, config_option, json_option, option, say
from edge_agent.cli.table import Table

_STATES = ("in", "out", "unknown", "suppressed")


@click.group(
    "report",
    cls=Family,
    help="What the shift report needs: time in windows, totals.",
    zh="班次报表所需的数据：窗口内时间、累计量。",
)
def report() -> None:
    pass


def _options(function: Any) -> Any:
    day = option(
        "--day",
        metavar="DATE",
        en="2026-01-31, a Beijing day; default: today.",
        zh="日期 2026-01-31(北京时间)，默认今天。",
    )
    return day(config_option(socket_option(json_option(function))))


@report.command(
    "windows",
    cls=Verb,
    help="Share of the time each window was in, out, unknown and suppressed, per shift and day.",
    zh="各窗口正常、超限、未知、抑制的时间占比，按班次和日。",
)
@option("--shift", metavar="NAME", en="Only this shift.", zh="只看此班次。")
@_options
@click.pass_context
def windows(
    context: click.Context,
    shift: str | None,
    day: str | None,
    config_dir: Path,
    socket_path: Path | None,
    as_json: bool,
) -> int:
    answer = _ask(context, "report.windows", day, config_dir, socket_path)
    periods = [p for p in answer["periods"] if shift is None or (_is_shift(p) and p["name"] == shift)]
    if shift is not None and not periods:
        _refuse_unknown(shift, answer)
    if as_json:
        print_json({"periods": periods})
        return 0
    if not periods:
        of = "" if shift is None else say(f" of shift {shift}", f"班次 {shift} ")
        click.echo(say(f"nothing was recorded{of} on {answer['day']}", f"{answer['day']} 没有{of}记录"))
        return 0
    print_tables([_period(period) for period in periods])
    return 0


def _is_shift(period: Mapping[str, Any]) -> bool:
    return bool(period["period"] == "shift")


def _refuse_unknown(shift: str, answer: Mapping[str, Any]) -> None:
    recorded = [p["name"] for p in answer["periods"] if _is_shift(p)]
    known = list(dict.fromkeys([*answer["shifts"], *recorded]))
    if shift in known:
        return
    names = ", ".join(known)
    there = say(f"there are: {names}", f"现有：{names}")
    if not known:
        there = say(
            "none is configured (`shifts` in edge-agent.yaml)", "没有配置班次 (edge-agent.yaml 的 `shifts`)"
        )
    raise Refused(say(f"there is no shift {shift!r}; {there}", f"没有班次 {shift!r}；{there}"))


def _ask(
    context: click.Context, verb: str, day: str | None, config_dir: Path, socket_path: Path | None
) -> Mapping[str, Any]:
    if day is not None:
        _check_day(day)
    place = console_client.locate(socket_path, config_dir, context)
    answer: Mapping[str, Any] = console_client.ask(place, verb, {} if day is None else {"day": day})
    return answer


def _check_day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            say(f"{text!r} is no day: write 2026-01-31", f"{text!r} 不是日期：请写 2026-01-31")
        ) from None


def _period(period: Mapping[str, Any]) -> Table:
    name = say("whole day", "全天")
    if _is_shift(period):
        name = say(f"shift {period['name']}", f"班次 {period['name']}")
    until = say("until now", "至今") if period["running"] else local_time(period["until_ns"])
    title = f"{name}  {local_time(period['since_ns'])} - {until}"
    headings = say(
        "window,in,out,unknown,suppressed,excursions,why unknown",
        "窗口,正常,超限,未知,抑制,超限次数,未知原因",
    )
    rows = [_window(window, row) for window, row in period["windows"].items()]
    return Table(title, tuple(headings.split(",")), rows, frozenset(range(1, 6)))


def _window(name: str, row: Mapping[str, Any]) -> list[str]:
    total = sum(row[state] for state in _STATES)
    shares = [f"{100 * row[state] / total:.1f} %" if total else "" for state in _STATES]
    return [name, *shares, str(row["excursions"]), ", ".join(_reasons(row, total))]


def _reasons(row: Mapping[str, Any], total: float) -> Iterator[str]:
    """The reasons, longest first, as shares of the whole time."""
    by_length = sorted(row.get("unknown_by", {}).items(), key=lambda item: -item[1])
    for reason, seconds in by_length[:3]:
        prefix, _, last = reason.rpartition(" ")
        word = f"{prefix} {quality_word(last)}" if prefix else quality_word(last)
        yield f"{word} {100 * seconds / total:.1f} %" if total else word


@report.command(
    "totals",
    cls=Verb,
    help="Totals and figures of the hours and of the day: energy, production, kWh/kg.",
    zh="各小时及全天的累计量与指标：能耗、产量、单耗。",
)
@_options
@click.pass_context
def totals(
    context: click.Context, day: str | None, config_dir: Path, socket_path: Path | None, as_json: bool
) -> int:
    answer = _ask(context, "report.totals", day, config_dir, socket_path)
    if as_json:
        print_json(answer)
        return 0
    rows = [line for total in answer["totals"] for line in _total(total)]
    if not rows:
        day = answer["day"]
        none = say(f"nothing was recorded on {day}", f"{day} 没有记录")
        if not answer["over"]:
            none = say(f"no period of {day} has ended yet", f"{day} 尚无已结束的统计时段")
        click.echo(none)
        return 0
    headings = say(
        "period,from,value of,amount,unit,quality,known,revision", "时段,开始,项目,数值,单位,质量,有效率,修订"
    )
    print_tables([Table("", tuple(headings.split(",")), rows, frozenset({3, 6, 7}))])
    return 0


def _total(total: Mapping[str, Any]) -> Sequence[list[str]]:
    columns = total.get("columns")
    if columns is None:  # a correction is of one amount
        columns = {total.get("name", total["source"]): total}
    start = local_time(total["start_ns"])
    return [
        [
            str(total.get("period", "")), start, name, value_text(column.get("value")),
            str(column.get("unit", "")), quality_word(str(column.get("quality", ""))),
            _known(column.get("coverage")), str(total.get("revision", 0)),
        ]
        for name, column in columns.items()
    ]  # fmt: skip


def _known(coverage: Any) -> str:
    return f"{coverage:.1f} %" if isinstance(coverage, (int, float)) else ""

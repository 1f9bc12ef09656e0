"""``replay``: stored readings through the windows of another configuration, before it is put to use."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.moments import length_ns, moment, moment_text
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.table import Table
from edge_agent.cli.whereabouts import DEFAULT_STATE, of_directory
from edge_agent.errors import ConfigurationError, LinesideError

if TYPE_CHECKING:
    from edge_agent.buffer.history import History
    from edge_agent.cli.replay_sides import Choice, Compared, Replay
    from edge_agent.config.model import Configuration

STORE = "buffer.db"
_MOMENTS = 3
_PROGRESS_S = 0.5


@verb(
    "replay",
    en="Run stored readings through the alarms of the configuration in use and of another one, and show what "
    "would have been different.",
    zh="用已存储的数据分别按现用配置和新配置重算报警，列出差异。",
)
@config_option
@option(
    "--old",
    "old_dir",
    type=click.Path(path_type=Path),
    en="Directory to compare with, instead of the configuration in use.",
    zh="作为对照的配置目录（默认为现用配置）。",
)
@option(
    "--state-dir",
    "state_dir",
    type=click.Path(path_type=Path),
    en="Directory of the store, instead of what the configuration says.",
    zh="缓存所在目录（不按配置时）。",
)
@option(
    "--from",
    "begin",
    metavar="TIME",
    en="From when, Beijing time: 2026-11-22T06:00, 06:00 or 2h ago.",
    zh="起始时间(北京时间)：2026-11-22T06:00、06:00 或 2h ago。",
)
@option("--to", "end", metavar="TIME", default="now", show_default=True, en="Until when.", zh="结束时间。")
@option("--last", metavar="LENGTH", en="Instead of --from: 8h, 7d.", zh="代替 --from：8h、7d。")
@option(
    "--all",
    "everything",
    is_flag=True,
    en="Windows that are the same in both, too: takes longer.",
    zh="相同的窗口也重算：耗时更长。",
)
@json_option
def replay(
    config_dir: Path,
    old_dir: Path | None,
    state_dir: Path | None,
    begin: str | None,
    end: str,
    last: str | None,
    everything: bool,
    as_json: bool,
) -> int:
    from edge_agent.buffer.history import open_history
    from edge_agent.config import load

    new = load(config_dir)
    named = load(old_dir) if old_dir is not None else None
    span = _span(begin, end, last)
    directory = state_dir or _store(new, named)
    old = named or _in_use(directory)
    with open_history(directory) as history:
        report = _run(old, new, span, history, everything=everything)
    if as_json:
        print_json(report)
    else:
        _show(report)
    return 0


def _store(new: Configuration, named: Configuration | None) -> Path:
    """Where readings are stored: what ``new`` says, if a store is there; a configuration that is only tried
    out has none of its own. Then that of the one to compare with, else that of the agent of this machine."""
    tried = [new.state_dir]
    if named is not None:
        tried.append(named.state_dir)
    else:
        usual = Path(os.environ.get("EDGE_AGENT_CONFIG") or "/etc/edge-agent")
        tried += [of_directory(usual).state_dir or DEFAULT_STATE, DEFAULT_STATE]
    for directory in tried:
        if (directory / STORE).exists():
            return directory
    shown = ", ".join(str(directory) for directory in dict.fromkeys(tried))
    raise LinesideError(
        say(
            f"no readings are stored in {shown}: nothing has been stored there yet, or the store is "
            "elsewhere. Name its directory with --state-dir DIRECTORY",
            f"{shown} 中没有已存储的数据：尚未存储，或缓存在别处。请用 --state-dir DIRECTORY 指明缓存目录",
        )
    )


def _in_use(state_dir: Path) -> Configuration:
    from edge_agent.config.lastgood import load_last_good

    try:
        return load_last_good(state_dir)
    except ConfigurationError as error:
        problem = error.problems[0]
        said = say(problem.message.en, problem.message.zh)
        raise LinesideError(
            say(
                f"the configuration in use cannot be read from {state_dir}: {said}. "
                "Name one to compare with: --old DIRECTORY; or the directory of the running agent's store: "
                "--state-dir DIRECTORY",
                f"无法从 {state_dir} 读取现用配置：{said}。请用 --old DIRECTORY 指定对照配置，"
                "或用 --state-dir DIRECTORY 指明运行中代理的缓存目录",
            )
        ) from None


def _span(begin: str | None, end: str, last: str | None) -> tuple[int, int]:
    now_ns = time.time_ns()
    end_ns = moment(end, now_ns)
    if begin is not None and last is not None:
        raise click.UsageError(say("Give --from or --last, not both.", "--from 与 --last 只能给一个。"))
    start_ns = moment(begin, now_ns) if begin is not None else end_ns - length_ns(last or "24h")
    if start_ns >= end_ns:
        raise click.UsageError(say("--from is not before --to.", "--from 不早于 --to。"))
    return start_ns, end_ns


def _run(
    old: Configuration,
    new: Configuration,
    span: tuple[int, int],
    history: History,
    *,
    everything: bool,
) -> dict[str, Any]:
    from edge_agent.cli.replay_sides import NEW, OLD, WARM_UP_NS, Comparison, Replay, Side, chosen, subscribed

    start_ns, end_ns = span
    choice = chosen(old, new, everything=everything)
    begin_ns = start_ns - WARM_UP_NS
    sides = (
        Side(old, choice.windows[OLD], begin_ns),
        Side(new, choice.windows[NEW], begin_ns, choice.scalings),
    )
    comparison = Comparison(start_ns)
    run = Replay(sides, comparison, subscribed((old, new)))
    if any(choice.windows):
        with _Progress(start_ns, end_ns) as progress:
            batches = history.batches(begin_ns, end_ns, select=choice.wants)
            run.run(batches, end_ns, progress.show)
    return _report((old, new), span, choice, run, history, comparison.alarms)


def _report(
    sides: tuple[Configuration, Configuration],
    span: tuple[int, int],
    choice: Choice,
    run: Replay,
    history: History,
    alarms: dict[str, Compared],
) -> dict[str, Any]:
    from edge_agent.cli.replay_sides import NEW, OLD, plain

    defined = [{f"{w.name}.{limit.kind}" for w in side for limit in w.limits} for side in choice.windows]
    found = sorted(alarms.values(), key=lambda alarm: alarm.name)
    both = defined[OLD] & defined[NEW]
    changed = [plain(a) for a in found if a.name in both and a.differing]
    one_sided = [[plain(a) for a in found if a.name in one - both] for one in defined]
    extent = history.extent()
    report = {
        "from_ns": span[0],
        "to_ns": span[1],
        "stored": None if extent is None else {"from_ns": extent[0], "to_ns": extent[1]},
        "old": sides[OLD].version,
        "new": sides[NEW].version,
        "batches": run.batches,
        "corrupt_segments": history.corrupt,
        "windows_replayed": len({w.name for side in choice.windows for w in side}),
        "windows_same": choice.same,
        "changed": changed,
        "same": [plain(a) for a in found if a.name in both and not a.differing],
        "only_old": one_sided[OLD],
        "only_new": one_sided[NEW],
        "removed": sorted(defined[OLD] - both),
        "added": sorted(defined[NEW] - both),
        "never_read": sorted(
            f"{device}.{tag}" for device, tag in choice.read - run.seen if device not in choice.virtual
        ),
    }
    return report | {"summary": _summary(report)}


def _summary(report: dict[str, Any]) -> str:
    shown = [*report["changed"], *report["same"], *report["only_old"], *report["only_new"]]
    old, new = (sum(alarm[side]["raised"] for alarm in shown) for side in ("old", "new"))
    if not report["windows_replayed"]:
        return say(
            "The windows are the same in both configurations: there is nothing to replay.",
            "两份配置的窗口相同，无需重算。",
        )
    if not report["batches"]:
        return say("Nothing is stored of that time.", "该时间段没有存储数据。")
    more = len(report["changed"]) + len(report["only_old"]) + len(report["only_new"])
    return say(
        f"{more} alarms would have been different: raised {old} times with the old configuration, "
        f"{new} times with the new one.",
        f"有 {more} 个报警会不同：旧配置共触发 {old} 次，新配置共触发 {new} 次。",
    )


def _show(report: dict[str, Any]) -> None:
    start, end = (moment_text(report[key]) for key in ("from_ns", "to_ns"))
    click.echo(say(f"From {start} to {end}", f"自 {start} 至 {end}"))
    tables = [
        _table(say("Different", "有差异"), report["changed"]),
        _table(say("Only with the new configuration", "仅新配置"), report["only_new"]),
        _table(say("Only with the old configuration", "仅旧配置"), report["only_old"]),
    ]
    if shown := [table for table in tables if table.rows]:
        click.echo()
        print_tables(shown)
        click.echo()
    for note in _notes(report):
        click.echo(note)
    click.echo(report["summary"])


def _table(title: str, alarms: list[dict[str, Any]]) -> Table:
    headings = say(
        "alarm,raised old,new,active old,new,first differences (+08:00)",
        "报警,触发次数 旧,新,持续 旧,新,最早的差异 (+08:00)",
    )
    rows = [
        [
            alarm["alarm"],
            str(alarm["old"]["raised"]),
            str(alarm["new"]["raised"]),
            _seconds(alarm["old"]["active_s"]),
            _seconds(alarm["new"]["active_s"]),
            _moments(alarm),
        ]
        for alarm in alarms
    ]
    return Table(title, tuple(headings.split(",")), rows, frozenset({1, 2, 3, 4}))


def _moments(alarm: dict[str, Any]) -> str:
    shown = []
    for one in alarm["differs"][:_MOMENTS]:
        only = say("only new", "仅新") if one["active_in"] == "new" else say("only old", "仅旧")
        length = _seconds((one["to_ns"] - one["from_ns"]) / 1e9)
        shown.append(f"{moment_text(one['from_ns'])[:19]} {only} {length}")
    left = len(alarm["differs"]) + alarm["more_differences"] - len(shown)
    return "; ".join(shown) + (say(f"; {left} more", f"；另有 {left} 处") if left else "")


def _seconds(length_s: float) -> str:
    if length_s < 100:
        return f"{length_s:.1f} s"
    return f"{length_s / 60:.1f} min" if length_s < 6000 else f"{length_s / 3600:.1f} h"


def _notes(report: dict[str, Any]) -> list[str]:
    notes = []
    stored = report["stored"]
    if stored is not None and stored["from_ns"] > report["from_ns"]:
        notes.append(say("Readings are stored only of a part of that time.", "该时间段只有部分数据已存储。"))
    if report["never_read"] and report["batches"]:
        names = ", ".join(report["never_read"][:5])
        left = len(report["never_read"]) - 5
        more = say(f" and {left} more", f" 等另外 {left} 个") if left > 0 else ""
        notes.append(say(f"Never stored in that time: {names}{more}.", f"该时间段从未存储：{names}{more}。"))
    if report["corrupt_segments"]:
        number = report["corrupt_segments"]
        notes.append(say(f"{number} damaged segments were skipped.", f"已跳过 {number} 个损坏的数据段。"))
    if report["windows_same"]:
        number = report["windows_same"]
        notes.append(
            say(
                f"{number} windows are the same in both and were left out (--all replays them too).",
                f"{number} 个窗口在两份配置中相同，未重算（加 --all 一并重算）。",
            )
        )
    return notes


class _Progress:
    """A line on a terminal, gone at the end; nothing elsewhere."""

    def __init__(self, start_ns: int, end_ns: int) -> None:
        self._start_ns, self._end_ns = start_ns, end_ns
        self._on = sys.stderr.isatty()
        self._next_s = 0.0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._on:
            click.echo("\r" + " " * 20 + "\r", nl=False, err=True)

    def show(self, time_ns: int) -> None:
        if self._on and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _PROGRESS_S
            share = (time_ns - self._start_ns) / (self._end_ns - self._start_ns)
            click.echo(f"\r{max(0.0, min(share, 1.0)):7.1%}", nl=False, err=True)

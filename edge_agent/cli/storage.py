"""``buffer``: what is stored on disk, looked at without disturbing the agent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.buffer_export import export
from edge_agent.cli.lengths import length_text
from edge_agent.cli.output import local_time, print_json, print_tables
from edge_agent.cli.quarantine import quarantine
from edge_agent.cli.say import Family, Verb, config_option, json_option, say
from edge_agent.cli.store_place import Place, locate, state_option
from edge_agent.cli.table import Table

_FULL = 0.95  # the share of its quota at which a store deletes what was not delivered
_SHOWN = 20
_STORES = ("samples", "periods", "events")


@click.group("buffer", cls=Family, help="Look into the store on disk.", zh="查看磁盘上的缓存。")
def buffer() -> None:
    pass


buffer.add_command(export)
buffer.add_command(quarantine)


@buffer.command(
    "info",
    cls=Verb,
    help="Show how much is stored, what each uplink still has to get, how long an outage may last, what was "
    "set aside and what was lost.",
    zh="显示存储量、各上行通道尚未传送的数据、断网还能坚持多久、被隔离和已丢失的数据。",
)
@config_option
@state_option
@json_option
def info(config_dir: Path, state_dir: Path | None, as_json: bool) -> None:
    from edge_agent.buffer import inspect

    place = locate(config_dir, state_dir)
    report = inspect(place.directory)
    report["outage_hours_left"] = _hours_left(report["samples"], place)
    if as_json:
        print_json(report)
        return
    print_tables(_tables(report, place))


def _hours_left(samples: Mapping[str, Any], place: Place) -> float | None:
    """Until the store deletes what was not delivered, at the rate of the last hour; None where nothing
    tells the rate or the quota."""
    rate, units = samples.get("units_per_h"), samples.get("units")
    if not rate or not units or place.quota_bytes is None:
        return None
    unit_bytes = samples["bytes"] / units
    waiting = max((u["pending_segments"] for u in samples["uplinks"].values()), default=0)
    return float(round(max(0.0, place.quota_bytes * _FULL / unit_bytes - waiting) / rate, 1))


def _tables(report: Mapping[str, Any], place: Place) -> list[Table]:
    stores = [(name, report[name]) for name in _STORES if name in report]
    tables = [_overview(report, place), _contents(stores)]
    sound = [(name, store) for name, store in stores if "error" not in store]
    more = (_uplinks(sound), _refused(sound), _ledger(sound))
    return tables + [table for table in more if table.rows]


def _overview(report: Mapping[str, Any], place: Place) -> Table:
    hours = report["outage_hours_left"]
    rows = [
        [say("directory", "目录"), report["directory"]],
        [say("agent", "代理编号"), report["agent"]],
        [
            say("outage left at this rate", "按当前速率断网还可坚持"),
            say("not known yet", "尚不清楚") if hours is None else length_text(hours * 3600),
        ],
    ]
    if report["set_aside"]:
        rows.append([say("files set aside", "被搁置的文件"), ", ".join(report["set_aside"])])
    return Table(say("Buffer", "缓存"), (say("what", "项目"), say("value", "值")), rows)


def _contents(stores: list[tuple[str, Any]]) -> Table:
    headings = say("store,units,samples,MB,file MB", "存储,单元数,样本数,MB,文件 MB").split(",")
    rows = []
    for name, store in stores:
        if "error" in store:
            rows.append([name, store["error"], "", "", ""])
            continue
        sizes = [f"{store[key] / 1e6:.1f}" for key in ("bytes", "file_bytes")]
        rows.append([name, f"{store['units']:,}", f"{store['samples']:,}", *sizes])
    return Table(say("Stored", "已存储"), tuple(headings), rows, frozenset({1, 2, 3, 4}))


def _uplinks(stores: list[tuple[str, Any]]) -> Table:
    headings = say(
        "uplink,store,waiting units,samples,oldest unsent,confirmed,set aside,lost",
        "上行通道,存储,待传单元,样本数,最早未传,已确认,被隔离,已丢失",
    ).split(",")
    rows = [
        [
            uplink, name, f"{row['pending_segments']:,}", f"{row['pending_samples']:,}",
            local_time(row["oldest_pending_ns"]),
            *(f"{row[key]:,}" for key in ("acknowledged_samples", "quarantined_samples", "lost_samples")),
        ]
        for name, store in stores
        for uplink, row in store["uplinks"].items()
    ]  # fmt: skip
    return Table(say("Uplinks", "上行通道"), tuple(headings), rows, frozenset({2, 3, 5, 6, 7}))


def _refused(stores: list[tuple[str, Any]]) -> Table:
    headings = say("uplink,when,samples,why", "上行通道,时间,样本数,原因").split(",")
    rows = [
        [row["uplink"], local_time(row["at_ns"]), str(row["n_samples"]), row["reason"]]
        for _, store in stores
        for row in store["quarantined"][:_SHOWN]
    ]
    title = say("Set aside (see: buffer quarantine list)", "被隔离（详见 buffer quarantine list）")
    return Table(title, tuple(headings), rows, frozenset({2}))


def _ledger(stores: list[tuple[str, Any]]) -> Table:
    headings = say("reason,store,uplink,samples,from,to", "原因,存储,上行通道,样本数,自,至").split(",")
    unknown = say("unknown", "未知")
    rows = [
        [
            row["reason"], name, row["uplink"] or "",
            unknown if row["n_samples"] is None else f"{row['n_samples']:,}",
            local_time(row["t0_ns"]), local_time(row["t1_ns"]),
        ]
        for name, store in stores
        for row in store["losses"][:_SHOWN]
    ]  # fmt: skip
    return Table(
        say("Loss ledger, newest first", "丢失台账（新的在前）"), tuple(headings), rows, frozenset({3})
    )


@buffer.command(
    "verify",
    cls=Verb,
    help="Read everything that is stored and check it against its checksums. Exit code 1: damage found.",
    zh="读出全部存储内容并核对校验和。有损坏时退出码为 1。",
)
@config_option
@state_option
@json_option
def verify(config_dir: Path, state_dir: Path | None, as_json: bool) -> int:
    from edge_agent.buffer.verifying import verify as check

    found = check(locate(config_dir, state_dir).directory, _progress if sys.stderr.isatty() else _silent)
    if as_json:
        print_json(
            [
                {
                    "file": f.name,
                    "units": f.units,
                    "samples": f.samples,
                    "damaged": f.damaged,
                    "fault": f.fault,
                }
                for f in found
            ]
        )
    else:
        rows = [
            [f.name, f"{f.units:,}", f"{f.samples:,}", str(len(f.damaged)), f.fault or say("sound", "完好")]
            for f in found
        ]
        headings = say("file,units,samples,damaged,file itself", "文件,单元数,样本数,损坏,文件本身").split(
            ","
        )
        print_tables([Table("", tuple(headings), rows, frozenset({1, 2, 3}))])
    return 0 if all(f.sound for f in found) else 1


def _progress(name: str, share: float) -> None:
    click.echo(f"\r{name} {share:4.0%}", nl=share >= 1, err=True)


def _silent(name: str, share: float) -> None:
    """Nobody watches."""

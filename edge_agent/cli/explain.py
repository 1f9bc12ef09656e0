"""``explain``: what a device will be asked, before anything is asked; of a window, who set its limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.completing import devices
from edge_agent.cli.output import print_json, print_tables
from edge_agent.cli.read import find_device
from edge_agent.cli.say import config_option, json_option, option, say, verb
from edge_agent.cli.table import Table

if TYPE_CHECKING:
    from edge_agent.config.demand import Demand
    from edge_agent.config.model import Configuration, Device, Window


@verb(
    "explain",
    en="Show the requests a device is polled with and how busy its link will be; of a window, its limits "
    "and who set them. Connects to nothing.",
    zh="显示轮询设备所用的请求，以及链路的繁忙程度；对于窗口，显示各限值及其来源。不连接任何设备。",
)
@click.argument("name", metavar="DEVICE|WINDOW", shell_complete=devices)
@option("--window", "as_window", is_flag=True, en="It is the name of a window.", zh="这是窗口名称。")
@config_option
@json_option
def explain(name: str, as_window: bool, config_dir: Path, as_json: bool) -> int:
    from edge_agent.config.loader import load_explained

    loaded = load_explained(config_dir)
    windows = _windows(loaded.configuration, name)
    derivation = loaded.configuration.derivation
    is_virtual = derivation is not None and derivation.device == name
    is_device = is_virtual or any(device.name == name for device in loaded.configuration.devices)
    if as_window or (windows and not is_device):
        window = _one(loaded.configuration, windows, name)
        from edge_agent.cli.explain_window import show_window
        from edge_agent.config.explained import story

        show_window(story(loaded.configuration, window, loaded.notes[window.name]), as_json)
        return 0
    if derivation is not None and is_virtual:
        from edge_agent.cli.explain_virtual import show_virtual

        show_virtual(derivation, as_json)
    else:
        _device(loaded.configuration, name, as_json)
    if windows and not as_json:
        click.echo()
        click.echo(
            say(
                f"There is also a window of this name: edge-agent explain {windows[0].name}",
                f"还有同名的窗口：edge-agent explain {windows[0].name}",
            )
        )
    return 0


def _windows(configuration: Configuration, name: str) -> list[Window]:
    """The window of that full name, else those of that name in any device."""
    full = [window for window in configuration.windows if window.name == name]
    return full or [w for w in configuration.windows if w.name.partition(".")[2] == name]


def _one(configuration: Configuration, windows: Sequence[Window], name: str) -> Window:
    if len(windows) == 1:
        return windows[0]
    if windows:
        names = ", ".join(window.name for window in windows)
        raise click.UsageError(
            say(
                f"several windows are named {name!r}; say which: {names}",
                f"有多个窗口名为 {name!r}，请指明：{names}",
            )
        )
    from edge_agent.config.process import LimitKind

    of_alarm = _windows(configuration, name.rpartition(".")[0])
    if len(of_alarm) == 1 and name.rpartition(".")[2] in frozenset(LimitKind):
        window = of_alarm[0].name
        raise click.UsageError(
            say(
                f"{name!r} is an alarm; its limit is one of the window {window}: edge-agent explain {window}",
                f"{name!r} 是报警；其限值属于窗口 {window}：edge-agent explain {window}",
            )
        )
    from difflib import get_close_matches

    known = [window.name for window in configuration.windows]
    near = ", ".join(get_close_matches(name, known, n=3) or known[:20])
    raise click.UsageError(
        say(f"no window {name!r} is configured; there are: {near}", f"没有配置窗口 {name!r}，现有：{near}")
    )


def _device(configuration: Configuration, name: str, as_json: bool) -> None:
    from edge_agent.config.demand import on_link

    if "." in name:
        _one(configuration, (), name)
    wanted = find_device(configuration, name)
    link = on_link(wanted, configuration.devices)
    own = [demand for demand in link if demand.device == wanted.name]
    if as_json:
        print_json(_report(wanted, own, link))
        return
    tables = [_requests(demand) for demand in own]
    click.echo(f"{wanted.name}  |  {_link_name(wanted)}")
    click.echo(_assumed(own) + "\n")
    print_tables([*tables, _link(wanted, link)])
    if advice := _advice(link):
        click.echo("\n" + advice)


def device_report(configuration: Configuration, device: Device) -> dict[str, Any]:
    """What ``explain DEVICE --json`` prints."""
    from edge_agent.config.demand import on_link

    link = on_link(device, configuration.devices)
    return _report(device, [demand for demand in link if demand.device == device.name], link)


def _assumed(own: Sequence[Demand]) -> str:
    requests = [request for demand in own for request in demand.requests]
    sizes = [request.size_bytes for request in requests] or [0]
    return say(
        "Planned without a connection, with the limits the driver assumes before it has asked the device\n"
        f"(longest exchange: {max(sizes)} bytes); the agent plans anew with what the device grants.",
        "未连接设备，按驱动在询问设备之前假定的限制规划"
        f"（最长一次交换 {max(sizes)} 字节）；\n连接后代理会按设备给出的限制重新规划。",
    )


def _requests(demand: Demand) -> Table:
    if demand.subscribed:
        how = say(
            f"subscribed; read every {_span(demand.every_s)}", f"订阅；每 {_span(demand.every_s)} 读一次"
        )
    else:
        how = say(f"every {_span(demand.every_s)}", f"每 {_span(demand.every_s)}")
    title = say(
        f"Group {demand.group}, {how}: {len(demand.tags)} tags, {len(demand.requests)} requests, "
        f"{demand.size_bytes} bytes, {_ms(demand.cycle_s)} ms a cycle ({demand.share:.1%} of the link)",
        f"轮询组 {demand.group}，{how}：{len(demand.tags)} 个变量，{len(demand.requests)} 个请求，"
        f"{demand.size_bytes} 字节，每轮 {_ms(demand.cycle_s)} ms（占链路 {demand.share:.1%}）",
    )
    rows = [
        [str(number), str(len(request.tags)), str(request.size_bytes), _ms(request.cost_s), request.text]
        for number, request in enumerate(demand.requests, 1)
    ]
    headings = say("no.,tags,bytes,ms,request", "序号,变量数,字节,毫秒,请求")
    return Table(title, tuple(headings.split(",")), rows, frozenset({0, 1, 2, 3}))


def _link(device: Device, link: Sequence[Demand]) -> Table:
    rows = [
        [
            demand.device, demand.group, _span(demand.every_s), str(len(demand.requests)),
            str(demand.size_bytes), _ms(demand.cycle_s), f"{demand.share:.1%}",
        ]
        for demand in link
    ]  # fmt: skip
    used = _used(link)
    title = say(f"This link is used {used}: {_link_name(device)}", f"该链路占用 {used}：{_link_name(device)}")
    headings = say("device,group,every,requests,bytes,ms,share", "设备,轮询组,周期,请求数,字节,毫秒,占比")
    return Table(title, tuple(headings.split(",")), rows, frozenset(range(2, 7)))


def _advice(link: Sequence[Demand]) -> str:
    """What to do about a link that is nearly or more than full; empty when it has time to spare."""
    from edge_agent.config.demand import BUSY, share

    if share(link) <= BUSY:
        return ""
    most = max(link, key=lambda demand: demand.share)
    times = share(link) / BUSY
    return say(
        f"Warning: the link is used {_used(link)}; above {BUSY:.0%} nothing is left for retries and slow "
        "replies, and polls are left out.\n"
        f"Make the periods {times:.1f} times as long, first of all that of group {most.group} of "
        f"{most.device}; or move tags that change slowly into a slower group; or put the values of a "
        "group at neighbouring addresses.",
        f"警告：链路占用 {_used(link)}；超过 {BUSY:.0%} 就没有余量应付重试与慢应答，部分轮询会被跳过。\n"
        f"请把周期延长到 {times:.1f} 倍，首先是 {most.device} 的 {most.group} 组；"
        "或把变化慢的变量移到慢速组；或让变量地址相邻。",
    )


def _report(device: Device, own: Sequence[Demand], link: Sequence[Demand]) -> dict[str, Any]:
    from edge_agent.config.demand import share

    return {
        "device": device.name,
        "driver": device.driver,
        "link": _link_name(device),
        "groups": [
            _numbers(demand)
            | {
                "tags": [tag.name for tag in demand.tags],
                "requests": [
                    {
                        "text": request.text,
                        "tags": [demand.tags[position].name for position in request.tags],
                        "size_bytes": request.size_bytes,
                        "cost_s": round(request.cost_s, 6),
                    }
                    for request in demand.requests
                ],
            }
            for demand in own
        ],
        "link_share": round(share(link), 4),
        "link_groups": [
            {"device": demand.device} | _numbers(demand) | {"requests": len(demand.requests)}
            for demand in link
        ],
        "advice": _advice(link) or None,
    }


def _numbers(demand: Demand) -> dict[str, Any]:
    return {
        "group": demand.group,
        "every_s": demand.every_s,
        "subscribed": demand.subscribed,
        "size_bytes": demand.size_bytes,
        "cycle_s": round(demand.cycle_s, 6),
        "share": round(demand.share, 4),
    }


def _link_name(device: Device) -> str:
    return device.link_key.partition(":")[2]


def _used(link: Sequence[Demand]) -> str:
    from edge_agent.config.demand import share

    return f"{share(link) * 100:.0f} %" if share(link) >= 0.1 else f"{share(link) * 100:.1f} %"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _span(seconds: float) -> str:
    """A period as it is written in a device file."""
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"

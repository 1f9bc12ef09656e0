"""``read``: one read of one device, straight from the wire, without a running agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_agent.cli.completing import devices
from edge_agent.cli.output import print_json, print_tables, quality_word, value_text
from edge_agent.cli.say import config_option, json_option, language, option, say, verb
from edge_agent.cli.table import Table, without_empty_last
from edge_agent.errors import DriverError, LinesideError
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.config.model import Configuration, Device
    from edge_agent.model import Batch, Tag

Result = TypeVar("Result")

WORTH_TELLING_S = 1.0

_CURES = {
    "timeout": Text(
        "Is the device switched on, the cable plugged in, the address and station number right? Try `ping` "
        "(not at a serial port), then `edge-agent doctor`.",
        "设备是否上电、电缆是否插好、地址与站号是否正确？可先 `ping`（串口除外），再用 `edge-agent doctor`。",
    ),
    "refused": Text(
        "The machine answers, but nothing listens on that port: check the port and that the PLC's server "
        "is enabled.",
        "主机可达但端口无人监听：请检查端口号，以及 PLC 的通信服务是否启用。",
    ),
    "auth": Text(
        "Check user, password and certificate, and what the device trusts.",
        "请检查用户名、密码、证书，以及设备的信任设置。",
    ),
    "cert": Text(
        "One side does not accept the other's certificate: the message above says what to do. "
        "Is the clock of this machine right?",
        "有一方不接受对方的证书，处理方法见上面的信息。本机时钟是否正确？",
    ),
    "checksum": Text(
        "Bytes arrive damaged: check baud, parity and stop bits, the shield, and the bus's termination.",
        "收到的字节有损坏：请检查波特率、校验位、停止位、屏蔽层和总线终端电阻。",
    ),
    "permission": Text(
        "The user needs access to the port: `sudo usermod -aG dialout $USER`, then log in again.",
        "当前用户无权使用串口：执行 `sudo usermod -aG dialout $USER` 后重新登录。",
    ),
    "mismatch": Text(
        "Something answers, but not as this protocol does: check driver, port, and whether a second "
        "master is on the bus.",
        "有应答但不符合协议：请检查驱动、端口，以及总线上是否有第二个主站。",
    ),
}
"""What to try, by the reason's fixed label."""
_TAKEN = Text(
    "Another program has the port, see above: end it first. If that is the running agent, `edge-agent watch` "
    "shows what it reads; to ask directly, `sudo systemctl stop edge-agent`, and start it again afterwards: "
    "meanwhile nothing on that port is polled.",
    "串口被上面所示的程序占用：请先结束该程序。若占用者是正在运行的代理：`edge-agent watch` 可查看数值；"
    "如需直接读取，请先 `sudo systemctl stop edge-agent`，读完再启动，期间该串口不采集。",
)
"""Of "refused" where the link is a serial port."""
_OTHER_CURE = Text(
    "Check the device's address in its file, then cable and power; `edge-agent doctor` names the cause.",
    "请检查配置中的设备地址，再查接线与电源；可用 `edge-agent doctor` 查明原因。",
)


class Unreached(LinesideError):
    exit_code = 4


@verb(
    "read",
    en="Read a device once, directly, and show raw and engineering values. The agent need not run.",
    zh="直接读取一次设备，显示原始值与工程值。无需代理在运行。",
)
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@option(
    "--raw",
    is_flag=True,
    en="Show the bytes beside the value, every way to write the address, and mbpoll's command line.",
    zh="同时显示原始字节、地址的各种写法和 mbpoll 命令。",
)
@option(
    "--address",
    metavar="ADDRESS",
    en="Read an address that no tag has, such as 40001 or DB1.DBD4.",
    zh="读取没有变量的地址，例如 40001 或 DB1.DBD4。",
)
@option("--type", "type_name", metavar="TYPE", en="Its type, such as float32.", zh="其类型，例如 float32。")
@option(
    "--order",
    metavar="ORDER",
    en="Its byte order: ABCD, CDAB, BADC, DCBA.",
    zh="其字节序：ABCD、CDAB、BADC、DCBA。",
)
@option(
    "--try-orders",
    is_flag=True,
    en="Show what the bytes at one address mean in every order and type, the likeliest first.",
    zh="按所有字节序和类型解释一个地址处的字节，最可能的排在最前。",
)
@config_option
@json_option
def read(
    device: str,
    tags: tuple[str, ...],
    raw: bool,
    address: str | None,
    type_name: str | None,
    order: str | None,
    try_orders: bool,
    config_dir: Path,
    as_json: bool,
) -> int:
    from edge_agent.config import load

    found = find_device(load(config_dir), device)
    if address is not None or try_orders or type_name is not None or order is not None:
        from edge_agent.cli import read_address

        wanted = read_address.only(found, tags, address, type_name, order, whole=not try_orders)
    else:
        wanted = only(found, tags)
    if try_orders:
        from edge_agent.cli.read_orders import show_orders

        return show_orders(wanted, named=type_name, as_json=as_json)
    labels = {tag.name: dict(tag.labels) for tag in wanted.tags}
    if raw:
        from edge_agent.cli.read_raw import show_raw

        return show_raw(wanted, labels, as_json)
    rows = [row for batch in ask(wanted) for row in rows_of(batch, labels)]
    if as_json:
        print_json({"device": wanted.name, "tags": rows})
    else:
        print_tables([_table(rows)])
        if any(row["quality"] != "good" for row in rows):
            command = f"edge-agent doctor {wanted.name}"
            hint = say(f"Not all is good: {command} names the cause.", f"有的值不正常：{command} 可查原因。")
            click.echo(hint, err=True)
    return exit_code(rows)


def exit_code(rows: Sequence[Mapping[str, Any]]) -> int:
    """4 where no value came at all, 1 where one is bad; a doubtful one has been read."""
    bad = [row["quality"] for row in rows if str(row["quality"]).startswith("bad")]
    if rows and bad == ["bad_comm"] * len(rows):
        return Unreached.exit_code
    return 1 if bad else 0


def find_device(configuration: Configuration, name: str) -> Device:
    for device in configuration.devices:
        if device.name == name:
            return device
    virtual = configuration.derivation.device if configuration.derivation is not None else None
    if name == virtual:
        raise click.UsageError(
            say(
                f"{name!r} is calculated by the agent, there is nothing to read: edge-agent watch {name} "
                f"shows its values, edge-agent explain {name} its formulas",
                f"{name!r} 由代理计算，无法直接读取：edge-agent watch {name} 显示数值，"
                f"edge-agent explain {name} 显示公式",
            )
        )
    known = ", ".join(device.name for device in configuration.devices)
    raise click.UsageError(
        say(f"no device {name!r} is configured; there are: {known}", f"没有配置设备 {name!r}，现有：{known}")
    )


def only(device: Device, names: Sequence[str]) -> Device:
    """The device with the named tags only (the name of an array stands for its elements); with all of them
    when none is named."""
    from dataclasses import replace

    known: dict[str, list[Tag]] = {}
    for tag in device.tags:
        for name in {tag.name, tag.name.partition("[")[0]}:
            known.setdefault(name, []).append(tag)
    for name in names:
        if name not in known:
            raise click.UsageError(
                say(
                    f"{device.name} has no tag {name!r}; it has: {', '.join(known)}",
                    f"{device.name} 没有变量 {name!r}，现有：{', '.join(known)}",
                )
            )
    chosen = dict.fromkeys(tag for name in names for tag in known[name])
    return replace(device, tags=tuple(chosen)) if names else device


def ask(device: Device) -> list[Batch]:
    """One read of all its tags. Unreached, with a cure, where nobody answers."""
    from edge_agent.acquisition import read_once
    from edge_agent.clock import SystemClock

    return reached(device, read_once(device, SystemClock()))


def reached(device: Device, doing: Coroutine[Any, Any, Result]) -> Result:
    """What it returns. Unreached, with a cure, where the driver cannot reach the device."""
    try:
        return asyncio.run(_watched(device, doing))
    except DriverError as error:
        said, link = error.text.say(language()), device.link_key
        colon = say(": ", "：")
        raise Unreached(f"{device.name} ({link}){colon}{said}\n{cure(error.reason, link)}") from error


async def _watched(device: Device, doing: Coroutine[Any, Any, Result]) -> Result:
    """On a terminal it is told what is waited for, once it takes long enough to wonder."""
    loop = asyncio.get_running_loop()
    telling = loop.call_later(WORTH_TELLING_S, _tell, device) if sys.stderr.isatty() else None
    try:
        return await doing
    finally:
        if telling is not None:
            telling.cancel()


def _tell(device: Device) -> None:
    where = f"{device.name} ({device.link_key})"
    click.echo(say(f"waiting for {where} ...", f"正在等待 {where} 应答 ..."), err=True)


def cure(reason: str, link: str) -> str:
    """What to try where ``link``, as it is written (rtu:///dev/ttyUSB0) or as its key, fails for that
    reason."""
    on_this_machine = link.partition(":")[2].removeprefix("//").startswith("/")
    taken = reason == "refused" and on_this_machine
    return (_TAKEN if taken else _CURES.get(reason, _OTHER_CURE)).say(language())


def rows_of(batch: Batch, labels: Mapping[str, Mapping[int, str]]) -> Iterator[dict[str, Any]]:
    from edge_agent.model import Quality, engineering
    from edge_agent.status.live import meaning

    schema = batch.schema
    for index, name in enumerate(schema.names):
        raw = batch.values[index]
        yield {
            "tag": name,
            "raw": raw,
            "value": engineering(raw, schema.scaling[index]),
            "label": meaning(labels[name], raw),
            "unit": schema.units[index],
            "quality": Quality(batch.quality[index]).name.lower(),
            "type": str(schema.types[index]),
            "group": schema.group,
            "time_ns": batch.time_ns,
        }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    headings = say("tag,type,raw,value,unit,quality,meaning", "变量,类型,原始值,工程值,单位,质量,含义")
    cells = [
        [
            row["tag"], row["type"], value_text(row["raw"], row["type"]),
            value_text(row["value"], row["type"]), row["unit"],
            quality_word(row["quality"]), row["label"] or "",
        ]
        for row in rows
    ]  # fmt: skip
    return without_empty_last(Table("", tuple(headings.split(",")), cells, frozenset({2, 3})))

"""Reading memory that no tag stands for, by the plug-in's own plans and exchanges: read-only, one connection
at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.read import ask, reached
from edge_agent.cli.read_address import asking
from edge_agent.cli.say import language, say
from edge_agent.errors import LinkLost
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.commissioning import Reading
    from edge_agent.config.model import Device
    from edge_agent.driver import Prober
    from edge_agent.model import Tag, Value

MOST_CELLS = 4000
BROWSE_S = 60.0

Piece = tuple[str, int, int]
"""An address, how many cells before it and how many behind."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What was read. ``tags``: cells, or the variables of a protocol that gives typed values. ``around``: per
    address that was asked for, its area and number."""

    tags: list[Tag]
    values: list[Value]
    around: dict[str, tuple[str, int]]

    @property
    def missing(self) -> int:
        return self.values.count(None)


def prober_of(device: Device) -> Prober:
    """UsageError for a protocol whose values have their types with them."""
    if device.plugin.probe is None:
        raise click.UsageError(
            say(
                f"{device.name}: {device.driver} gives values with their types; there is no order to try",
                f"{device.name}：{device.driver} 直接给出带类型的值，没有字节序可试",
            )
        )
    return device.plugin.probe()


def memory_of(device: Device, pieces: Sequence[Piece]) -> Memory:
    """What stands there now. UsageError for what is no address, Unreached where nobody answers."""
    prober, settings = prober_of(device), device.settings
    cells: dict[str, Tag] = {}
    around = {}
    for address, before, after in pieces:
        found, here = _cells(prober, device, address, before, after), _cells(prober, device, address, 0, 0)
        if here:
            around[address] = prober.place(settings, here[0])
        cells |= {cell.address: cell for cell in found}
    if len(cells) > MOST_CELLS:
        raise click.UsageError(say("that is too much memory: --span", "范围过大：请减小 --span"))
    if not cells:
        raise click.UsageError(say("nothing there may or can be read", "那里没有可读或允许读取的地址"))
    tags = list(cells.values())
    return Memory(tags, values_of(device, tags), around)


def values_of(device: Device, tags: Sequence[Tag]) -> list[Value]:
    """Read now; None where that did not go."""
    if sys.stderr.isatty():
        click.echo(say(f"reading {len(tags)} places ...", f"正在读取 {len(tags)} 个地址 ..."), err=True)
    wanted = asking(device, tags)
    if device.plugin.probe is None:
        return [value for batch in ask(wanted) for value in batch.values]
    from edge_agent.acquisition.looking import read_memory

    return reached(device, read_memory(wanted, wanted.tags))


def readings_of(device: Device, memory: Memory) -> list[Reading]:
    """Every number that can be made of it."""
    from edge_agent.commissioning import Reading, readings, runs

    if device.plugin.probe is not None:
        prober = device.plugin.probe()
        return readings(prober, device.settings, runs(prober, device.settings, memory.tags, memory.values))
    return [
        Reading(tag.address, str(tag.type), "", _SIZES.get(str(tag.type)[-2:], 2), value)
        for tag, value in zip(memory.tags, memory.values, strict=True)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


_SIZES = {"64": 8, "32": 4, "t8": 1}


def browsed(device: Device, start: str) -> Memory:
    """The variables below a node, read once. UsageError where the protocol has neither memory nor nodes."""
    from edge_agent.driver import Browser

    link = device.plugin.open_link(device.settings)
    if not isinstance(link, Browser):
        raise click.UsageError(say(f"{device.driver} cannot be searched", f"{device.driver} 不支持搜索"))
    found = reached(device, _browse(device, link, start))
    tags = [tag for tag in found if tag.type.is_numeric][:MOST_CELLS]
    if not tags:
        raise click.UsageError(say("no number stands below that node", "该节点下没有数值变量"))
    return Memory(tags, values_of(device, tags), {})


async def _browse(device: Device, link: Any, start: str) -> Sequence[Tag]:
    try:
        async with asyncio.timeout(BROWSE_S):
            await link.connect()
            await link.enrol(device.settings)
            found: Sequence[Tag] = await link.browse(device.settings, start)
            return found
    except TimeoutError:
        raise LinkLost(
            Text(f"not browsed within {BROWSE_S:g} s", f"{BROWSE_S:g} s 内未能浏览完"), reason="timeout"
        ) from None
    finally:
        await link.close()


def _cells(prober: Prober, device: Device, address: str, before: int, after: int) -> Sequence[Tag]:
    try:
        return prober.cells(device.settings, address, before, after)
    except ValueError as error:
        message, cure = getattr(error, "message", None), getattr(error, "cure", None)
        if message is None or cure is None:
            raise click.UsageError(str(error)) from error
        raise click.UsageError(f"{message.say(language())}: {cure.say(language())}") from error

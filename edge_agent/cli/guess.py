"""``guess``: which address, type, order and scale shows what the machine's display shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.completing import devices
from edge_agent.cli.say import config_option, json_option, option, say, verb

if TYPE_CHECKING:
    from edge_agent.cli.probing import Memory
    from edge_agent.commissioning import Guessed, Search, Shown
    from edge_agent.config.model import Device


@verb(
    "guess",
    en="Find which address, type, byte order and scale shows what the machine's display shows. Only reads.",
    zh="根据机器显示屏上的数值，反查地址、类型、字节序和倍率。只读不写。",
)
@click.argument("device", metavar="DEVICE", shell_complete=devices)
@option("--value", "values", multiple=True, metavar="NUMBER",
        en="What the display shows, with its decimals; may be given several times.",
        zh="显示屏上的数值，保留小数位；可多次给出。")  # fmt: skip
@option("--again", multiple=True, metavar="NUMBER",
        en="What it shows now, after the first look; as often and in the same order as --value was.",
        zh="第一次查找之后显示屏的新数值；个数和顺序与 --value 相同。")  # fmt: skip
@option("--near", metavar="ADDRESS", en="Where to look: an address, a data block (DB1), a node.",
        zh="在哪里找：地址、数据块（DB1）或节点。")  # fmt: skip
@option("--span", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N",
        en="How many registers or bytes before and behind it.", zh="前后各多少个寄存器或字节。")  # fmt: skip
@option("--tolerance", type=click.FloatRange(0.0), metavar="X",
        en="How far off a reading may be; one unit of the last digit if not given.",
        zh="允许的偏差；缺省为末位的一个单位。")  # fmt: skip
@option("--unit", default="", metavar="UNIT", en="For the line to copy.", zh="写入变量表行的单位。")
@config_option
@json_option
def guess(
    device: str,
    values: tuple[str, ...],
    again: tuple[str, ...],
    near: str | None,
    span: int,
    tolerance: float | None,
    unit: str,
    config_dir: Path,
    as_json: bool,
) -> int:
    from edge_agent.cli import guess_words
    from edge_agent.cli.read import find_device
    from edge_agent.config import load

    wanted = find_device(load(config_dir), device)
    if again:
        guessed = _second_look(wanted, config_dir, values, again, tolerance)
    else:
        guessed = _first_look(wanted, config_dir, values, near, span, tolerance)
    if as_json:
        guess_words.show_json(wanted, guessed, unit)
    else:
        guess_words.show(wanted, guessed, unit)
    return 0 if all(one.candidates for one in guessed) else 1


def _first_look(
    device: Device,
    config_dir: Path,
    values: Sequence[str],
    near: str | None,
    span: int,
    tolerance: float | None,
) -> list[Guessed]:
    from edge_agent.cli import guess_memory

    if not values:
        raise click.UsageError(
            say("what does the display show? --value 23.7", "显示屏上是多少？例如 --value 23.7")
        )
    shown = [_shown(text, tolerance) for text in values]
    _refuse_zero(shown)
    memory = _memory(device, near, span)
    guess_memory.keep(config_dir, device.name, guess_memory.Kept(tuple(values), near, memory))
    return _guessed(device, memory, shown, _search(memory, near))


def _second_look(
    device: Device,
    config_dir: Path,
    values: Sequence[str],
    again: Sequence[str],
    tolerance: float | None,
) -> list[Guessed]:
    from dataclasses import replace

    from edge_agent.cli import guess_memory
    from edge_agent.cli.probing import Memory, readings_of, values_of

    first = guess_memory.kept(config_dir, device.name)
    if first is None or (values and tuple(values) != first.values):
        raise click.UsageError(
            say(
                f"--again is the second look: first run edge-agent guess {device.name} --value ... and wait "
                "until the display shows something else",
                f"--again 用于第二次查找：请先执行 edge-agent guess {device.name} --value ...，"
                "等显示屏数值变化后再用",
            )
        )
    if len(again) != len(first.values):
        raise click.UsageError(
            say(
                f"the first look was for {', '.join(first.values)}: give --again {len(first.values)} time(s)",
                f"第一次查找的是 {', '.join(first.values)}：请给出 {len(first.values)} 个 --again",
            )
        )
    shown = [_shown(text, tolerance) for text in first.values]
    after = [_shown(text, tolerance) for text in again]
    later = Memory(first.memory.tags, values_of(device, first.memory.tags), first.memory.around)
    search = replace(
        _search(first.memory, first.near),
        later={reading.key: reading for reading in readings_of(device, later)},
        after=after,
    )
    return _guessed(device, first.memory, shown, search)


def _refuse_zero(shown: Sequence[Shown]) -> None:
    """Memory is full of zeros, and of floats too small to be told from one."""
    for one in shown:
        if one.value == 0:
            raise click.UsageError(
                say(
                    f"--value {one.text}: zeros stand everywhere in memory, so a zero finds nothing. Choose "
                    "a moment when the display is not zero, or another value of the same display.",
                    f"--value {one.text}：内存中到处是 0，无法据此查找。"
                    "请在显示值不为 0 时再查，或改用同一显示屏上的另一个数值。",
                )
            )


def _memory(device: Device, near: str | None, span: int) -> Memory:
    from edge_agent.cli.probing import browsed, memory_of, prober_of

    if device.plugin.probe is None:
        return browsed(device, near or "")
    if near is not None:
        return memory_of(device, [(near, span, span)])
    usual = prober_of(device).usual(device.settings, device.tags)
    if not usual:
        raise click.UsageError(say("say where to look: --near ADDRESS", "请用 --near 地址 指明在哪里找"))
    return memory_of(device, [(address, 0, 2 * span) for address in usual])


def _search(memory: Memory, near: str | None) -> Search:
    from edge_agent.commissioning import Search

    return Search(near=None if near is None else memory.around.get(near))


def _guessed(device: Device, memory: Memory, shown: Sequence[Shown], search: Search) -> list[Guessed]:
    from edge_agent.cli.probing import readings_of
    from edge_agent.commissioning import guess as rank

    if memory.missing == len(memory.values):
        raise click.UsageError(
            say(
                "the device has nothing there: look elsewhere with --near",
                "设备在那里没有任何地址：请用 --near 换个位置",
            )
        )
    return rank(readings_of(device, memory), shown, search)


def _shown(text: str, tolerance: float | None) -> Shown:
    from edge_agent.commissioning import NotANumber, shown

    try:
        return shown(text, tolerance)
    except NotANumber:
        raise click.UsageError(
            say(f"{text!r} is not a number such as 23.7", f"{text!r} 不是 23.7 这样的数值")
        ) from None

"""``read --try-orders``: what the bytes at one address mean in every order and type, and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.output import print_json, print_tables, value_text
from edge_agent.cli.probing import memory_of, prober_of, readings_of
from edge_agent.cli.say import language, say
from edge_agent.cli.table import Table

if TYPE_CHECKING:
    from edge_agent.commissioning import Trial
    from edge_agent.config.model import Device

SHOWN = 12
WIDEST = 8  # bytes of a number


def show_orders(device: Device, *, named: str | None, as_json: bool) -> int:
    from edge_agent.commissioning import trials

    prober, tag = prober_of(device), device.tags[0]
    step = prober.align_bytes // prober.cell_bytes
    memory = memory_of(device, [(tag.address, step, step + WIDEST // prober.cell_bytes - 1)])
    if tag.address not in memory.around:
        raise click.UsageError(say("that address may not be read", "该地址不允许读取"))
    wanted = _form_of(device, named or ("" if tag.name == tag.address else tag.wire or str(tag.type)))
    found = trials(readings_of(device, memory), memory.around[tag.address], step, wanted)
    if not found:
        click.echo(say("the device has nothing at that address", "设备没有该地址"), err=True)
        return 1
    if as_json:
        print_json({"device": device.name, "address": tag.address, "trials": [_plain(t) for t in found]})
        return 0
    first = [t for t in found if t.reading.type == wanted]
    others = [t for t in found if t.reading.type != wanted and not (wanted and t.shift)]
    print_tables([_table(part) for part in (first, others[:SHOWN]) if part])
    if len(first) + len(others[:SHOWN]) < len(found):
        click.echo(
            say(
                "Less likely ones: --json shows them all; --type puts one type first.",
                "其余可能性较小：--json 可全部列出；--type 可优先某一类型。",
            )
        )
    return 0


def _form_of(device: Device, name: str) -> str:
    """The driver's own name for a type of the agent's: ``real`` where float32 is meant."""
    own = [form.type for form in prober_of(device).forms(device.settings)]
    same = [form for form in own if str(device.plugin.types.get(form, form)) == name]
    return name if name in own or not same else same[0]


def _plain(trial: Trial) -> dict[str, Any]:
    reading = trial.reading
    value = reading.value if reading.value is None or abs(reading.value) < float("inf") else None
    return {
        "address": reading.address,
        "shift": trial.shift,
        "type": reading.type,
        "order": reading.order,
        "bytes": reading.data.hex(" "),
        "value": value,
        "plausibility": trial.mark.score,
        "mark": trial.mark.text.en,
        "mark_zh": trial.mark.text.zh,
    }


def _table(found: Sequence[Trial]) -> Table:
    headings = say("address,type,order,bytes,value,judgement", "地址,类型,字节序,字节,数值,判断")
    rows = [
        [
            f"{t.reading.address}{f' ({t.shift:+d})' if t.shift else ''}", t.reading.type, t.reading.order,
            t.reading.data.hex(" "), value_text(t.reading.value), t.mark.text.say(language()),
        ]
        for t in found
    ]  # fmt: skip
    return Table("", tuple(headings.split(",")), rows, frozenset({4}))

"""How the candidates of ``guess`` are told to a person and to a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.output import print_json, print_tables, value_text
from edge_agent.cli.say import language, say
from edge_agent.cli.table import Table

if TYPE_CHECKING:
    from edge_agent.commissioning import Candidate, Guessed
    from edge_agent.config.model import Device

SHOWN = 8
SURE, LIKELY = 0.95, 0.5
COLUMNS = ("name", "address", "type", "byte_order", "scale", "unit")


def show(device: Device, guessed: Sequence[Guessed], unit: str) -> None:
    print_tables([_table(one) for one in guessed if one.candidates])
    for one in guessed:
        _tell(one)
    best = [one for one in guessed if one.candidates]
    if best:
        click.echo(say("\nFor the tag table:", "\n可复制到变量表："))
        click.echo(",".join(COLUMNS))
        for number, one in enumerate(best, 1):
            click.echo(_line(device, one.candidates[0], number, unit))
    if best and any(not one.candidates or one.candidates[0].likely < SURE for one in guessed):
        _advise(device, guessed)


def show_json(device: Device, guessed: Sequence[Guessed], unit: str) -> None:
    print_json(
        {
            "device": device.name,
            "values": [
                {
                    "shown": one.shown.text,
                    **({} if one.after is None else {"again": one.after.text}),
                    "tolerance": one.shown.tolerance,
                    "accidents": round(one.accidents, 3),
                    "candidates": [
                        _plain(candidate) | {"line": _line(device, candidate, number, unit)}
                        for candidate in one.candidates
                    ],
                }
                for number, one in enumerate(guessed, 1)
            ],
        }
    )


def _plain(candidate: Candidate) -> dict[str, Any]:
    reading = candidate.reading
    return {
        "address": reading.address,
        "type": reading.type,
        "order": reading.order,
        "scale": 1 / candidate.divisor,
        "raw": reading.value,
        "value": candidate.value,
        "bytes": reading.data.hex(" "),
        "likely": round(candidate.likely, 4),
        "also": list(candidate.also),
        "reasons": [reason.en for reason in candidate.reasons],
        "reasons_zh": [reason.zh for reason in candidate.reasons],
    }


def _table(one: Guessed) -> Table:
    headings = say(
        "how sure,address,type,order,raw,shows,bytes,why", "把握,地址,类型,字节序,原始值,显示为,字节,理由"
    )
    rows = [
        [
            f"{_sure(c.likely)} {c.likely:.0%}", c.reading.address, c.reading.type, c.reading.order,
            value_text(c.reading.value) + (f" / {c.divisor}" if c.divisor > 1 else ""),
            value_text(c.value), c.reading.data.hex(" "), _why(c),
        ]
        for c in one.candidates[:SHOWN]
    ]  # fmt: skip
    return Table(_texts(one), tuple(headings.split(",")), rows, frozenset({4, 5}))


def _texts(one: Guessed) -> str:
    return one.shown.text if one.after is None else f"{one.shown.text} -> {one.after.text}"


def _sure(likely: float) -> str:
    if likely >= SURE:
        return say("almost certain", "基本确定")
    return say("likely", "较可能") if likely >= LIKELY else say("possible", "可能")


def _why(candidate: Candidate) -> str:
    words = [reason.say(language()) for reason in candidate.reasons]
    if candidate.also:
        words.append(say("the same as ", "等同于 ") + ", ".join(candidate.also))
    return "; ".join(words)


def _tell(one: Guessed) -> None:
    text = _texts(one)
    if not one.candidates and one.after is not None:
        click.echo(
            say(
                f"{text}: no place has gone with the display. Begin anew with --value, at another place "
                "(--near) or with more room (--span, --tolerance).",
                f"{text}：没有随显示变化的地址。请用 --value 重新查找：换个位置（--near），"
                "或放宽范围（--span、--tolerance）。",
            ),
            err=True,
        )
        return
    if not one.candidates:
        click.echo(
            say(
                f"{text}: nothing there shows that. Is it elsewhere (--near), calculated in the panel, or "
                "has it changed while you typed (--tolerance)?",
                f"{text}：没有找到。可能在别处（--near）、由触摸屏计算得出，或输入时数值已变化（--tolerance）。",
            ),
            err=True,
        )
        return
    if len(one.candidates) > SHOWN:
        click.echo(
            say(
                f"{text}: {len(one.candidates) - SHOWN} more with --json",
                f"{text}：另有 {len(one.candidates) - SHOWN} 个，见 --json",
            )
        )
    if one.accidents >= 0.1:
        click.echo(
            say(
                f"{text}: in so much memory about {one.accidents:.1f} places agree by accident alone.",
                f"{text}：在这么大的范围内，仅凭巧合约有 {one.accidents:.1f} 处吻合。",
            )
        )


def _advise(device: Device, guessed: Sequence[Guessed]) -> None:
    words, words_zh = (" ".join(f"--again {word}" for _ in guessed) for word in ("NEW", "新数值"))
    click.echo(
        say(
            "\nTo be sure, wait until the display has changed and give what it shows then:\n"
            f"  edge-agent guess {device.name} {words}\n"
            "or name a second value from the same display (--value), or one with more digits.",
            "\n如需确认，请等显示屏数值变化后给出新数值：\n"
            f"  edge-agent guess {device.name} {words_zh}\n"
            "也可再给出同一显示屏上的另一个数值（--value），或位数更多的数值。",
        )
    )


def _line(device: Device, candidate: Candidate, number: int, unit: str) -> str:
    reading = candidate.reading
    usual = str(getattr(device.settings, "byte_order", ""))
    order = "" if reading.order == usual else reading.order
    scale = f"{1 / candidate.divisor:g}" if candidate.divisor > 1 else ""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(
        [f"value_{number}", reading.address, reading.type, order, scale, unit]
    )
    return out.getvalue()

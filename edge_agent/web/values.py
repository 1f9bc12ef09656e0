"""The tags on the page: newest value, unit, quality and age, device by device. Bounded, because a page is
read by a person and made anew every few seconds; ``/api/v1/tags`` has them all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from edge_agent.settings import Text
from edge_agent.status import Board, DeviceRow
from edge_agent.status.live import live_values
from edge_agent.status.shown import QUALITIES, number_text

MAX_TAGS = 200  # of one device
MAX_ALL = 1000  # of all
_OPEN = 30  # so many are shown without unfolding

_TITLE = Text("Values", "实时值")
_HEADINGS = (Text("tag", "变量"), Text("value", "值"), Text("quality", "质量"), Text("age", "时效"))
_TAGS = Text("tags", "个变量")
_STAY = Text("keep unfolded", "保持展开")
_ALL = Text("all devices", "全部设备")
_MORE = Text("more: edge-agent watch", "个未列出：edge-agent watch")


async def section(board: Board, mono_ns: int, lang: str, chosen: str = "") -> str:
    """``chosen``: the only device to show, unfolded, because the page forgets what was unfolded whenever it
    is made anew."""
    rows = [row for row in board.devices.values() if row.groups and chosen in ("", row.name)]
    parts, room = [], MAX_ALL
    for row in rows:
        count = sum(len(group.schema.names) - len(group.hidden) for group in row.groups.values())
        values = _values(row, mono_ns, min(MAX_TAGS, room))
        room -= len(values)
        parts.append(_device(row, values, count, lang, is_open=bool(chosen) or count <= _OPEN))
        await asyncio.sleep(0)  # polls get their turn
    back = f'<p><a href="/">{_ALL.say(lang)}</a></p>' if chosen else ""
    return f"<h2>{_TITLE.say(lang)}</h2>{''.join(parts)}{back}" if parts else ""


def _values(row: DeviceRow, mono_ns: int, most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for group in row.groups.values():
        found += live_values(group, mono_ns, up=row.up, most=most - len(found))
    return found


def _device(
    row: DeviceRow, values: Sequence[Mapping[str, Any]], count: int, lang: str, *, is_open: bool
) -> str:
    headings = "".join(f"<th>{heading.say(lang)}</th>" for heading in _HEADINGS)
    body = "".join(_tag(value, lang) for value in values)
    if count > len(values):
        body += f"<tr><td colspan=4>… {count - len(values)} {_MORE.say(lang)}</td></tr>"
    link = f' · <a href="/?device={quote(row.name, safe="")}">{_STAY.say(lang)}</a>' if not is_open else ""
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(row.name)}: {count} {_TAGS.say(lang)}{link}"
        f"</summary><table><tr>{headings}</tr>{body}</table></details>"
    )


def _tag(value: Mapping[str, Any], lang: str) -> str:
    quality = str(value["quality"])
    shown = QUALITIES[quality].say(lang) if quality in QUALITIES else quality
    mark = "" if quality == "good" else ' class="unsure"'
    number = f"{number_text(value['value'], value['type'])} {value['unit']}".strip()
    if value.get("label"):
        number += f" ({value['label']})"
    age = "" if value["age_s"] is None else f"{value['age_s']:.1f} s"
    return (
        f"<tr><td>{escape(str(value['tag']))}</td><td>{escape(number)}</td>"
        f"<td{mark}>{escape(shown)}</td><td>{age}</td></tr>"
    )

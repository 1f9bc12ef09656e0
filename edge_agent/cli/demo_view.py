"""What the demo shows: a live table on a terminal, one line a second where there is none."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_agent.cli.alarm_history import kind_word
from edge_agent.cli.output import process_text, quality_word, reason_word, state_word
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.agent import Agent

PERIOD_S = 1.0

_TITLE = Text(
    "Lineside demo: simulated line, real protocols. Ctrl-C ends it.",
    "Lineside 演示：模拟产线，真实协议。按 Ctrl-C 结束。",
)
_PARK = Text("park", "园区平台")
_CONFIRMED = Text("samples confirmed", "条样本已确认")
_WAITING = Text("waiting", "待确认")
_HEADINGS = (
    Text("device", "设备"),
    Text("tag", "变量"),
    Text("value", "值"),
    Text("quality", "质量"),
    Text("window", "窗口"),
)
_ACCOUNT = {
    "devices_up": Text("devices connected", "已连接设备"),
    "samples_read": Text("samples read", "采集样本"),
    "samples_delivered": Text("confirmed by the park", "园区已确认"),
    "samples_buffered": Text("still stored here", "仍在本地缓存"),
    "samples_quarantined": Text("set aside", "被隔离"),
    "samples_lost": Text("lost", "丢失"),
    "excursions": Text("times outside a window", "超限次数"),
}
_CLOSING = Text("The demo has ended:", "演示结束：")
_DETAILS = {
    "value": Text("value", "值"),
    "low": Text("low", "下限"),
    "high": Text("high", "上限"),
    "unit": Text("unit", "单位"),
    "duration_s": Text("seconds", "持续秒数"),
    "reason": Text("reason", "原因"),
}
_SHOWN_TAGS = 5


class View:
    def __init__(self, language: str, *, plain: bool) -> None:
        self._language = language
        self._live = sys.stdout.isatty() and not plain
        self._events: deque[str] = deque(maxlen=6)
        self._printed = 0

    async def show(self, agent: Agent) -> None:
        """Draws until cancelled."""
        logger = logging.getLogger("edge_agent.events")
        handler = _Collect(self._events.append if self._live else self._line, self._language)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            await agent.ready.wait()
            await (self._draw(agent) if self._live else self._print(agent))
        finally:
            logger.removeHandler(handler)

    def close(self, account: Mapping[str, Any]) -> None:
        """What became of every sample."""
        self._line(_CLOSING.say(self._language))
        for name, text in _ACCOUNT.items():
            self._line(f"  {text.say(self._language)}: {account[name]}")

    def _line(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    async def _print(self, agent: Agent) -> None:
        self._line(_TITLE.say(self._language))
        while True:
            self._line(" | ".join([time.strftime("%H:%M:%S"), *self._devices(agent), self._park(agent)]))
            await asyncio.sleep(PERIOD_S)

    def _devices(self, agent: Agent) -> list[str]:
        parts = []
        state = _snapshot(agent)
        for device in state["devices"]:
            values = _watched_first(device, state["windows"])[:2]
            shown = "  ".join(f"{v['tag']} {_number(v)}" for v in values)
            parts.append(f"{device['name']} ({device['driver']}) {state_word(device['state'])}  {shown}")
        return parts

    def _park(self, agent: Agent) -> str:
        row = next(iter(agent.board.uplinks.values()))
        park = f"{_PARK.say(self._language)}: {row.acknowledged_samples} {_CONFIRMED.say(self._language)}"
        return f"{park}, {row.pending_samples} {_WAITING.say(self._language)}"

    async def _draw(self, agent: Agent) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(), refresh_per_second=4, transient=False) as live:
            while True:
                live.update(self._table(agent))
                await asyncio.sleep(PERIOD_S / 2)

    def _table(self, agent: Agent) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text as RichText

        state = _snapshot(agent)
        windows = {w["name"]: w for w in state["windows"]}
        table = Table(title=_TITLE.say(self._language), expand=True)
        for heading in _HEADINGS:
            table.add_column(heading.say(self._language))
        for device in state["devices"]:
            for value in _watched_first(device, state["windows"])[:_SHOWN_TAGS]:
                window = windows.get(f"{device['name']}.{value['tag']}", {})
                style = {"out": "bold red", "unknown": "yellow"}.get(window.get("state", ""), "")
                name = f"{device['name']} ({device['driver']}) {state_word(device['state'])}"
                state_shown = state_word(window.get("state", ""))
                cells = (name, value["tag"], _number(value), quality_word(value["quality"]), state_shown)
                table.add_row(*cells, style=style)
        return Group(table, RichText(self._park(agent)), *(RichText(e) for e in self._events))


class _Collect(logging.Handler):
    """Turns event records into lines for people."""

    def __init__(self, take: Any, language: str) -> None:
        super().__init__(logging.INFO)
        self._take = take
        self._language = language

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        detail = " ".join(
            f"{text.say(self._language)}={_detail(fields[name])}"
            for name, text in _DETAILS.items()
            if fields.get(name) not in (None, "")
        )
        said = f"{kind_word(str(record.msg))} {fields.get('source', '')} {detail}".rstrip()
        self._take(f"{time.strftime('%H:%M:%S')} * {said}")


def _detail(value: Any) -> str:
    return reason_word(value) if isinstance(value, str) else process_text(value)


def _snapshot(agent: Agent) -> dict[str, Any]:
    return agent.board.snapshot(time.time_ns(), time.monotonic_ns(), tags=True)


def _number(value: dict[str, Any]) -> str:
    shown = value["value"]
    if shown is None:
        return "-"
    if isinstance(shown, float):
        shown = f"{shown:.1f}" if abs(shown) >= 1000 else f"{shown:.4g}"
    return f"{shown} {value['unit']}".strip()


def _watched_first(device: dict[str, Any], windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A device's tags, those with a process window first, then the others that have a unit."""
    watched = {w["tag"] for w in windows if w["device"] == device["name"]}
    values = [v for g in device["groups"] for v in g.get("values", ())]
    return sorted(values, key=lambda v: (v["tag"] not in watched, not v["unit"]))

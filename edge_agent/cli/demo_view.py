"""What the demo shows: a live table on a terminal, one line a second where there is none."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

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
        handler = _Collect(self._events.append if self._live else self._line)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            await agent.ready.wait()
            await (self._draw(agent) if self._live else self._print(agent))
        finally:
            logger.removeHandler(handler)

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
            parts.append(f"{device['name']} ({device['driver']}) {device['state']}  {shown}")
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
        for column in ("device", "tag", "value", "quality", "window"):
            table.add_column(column)
        for device in state["devices"]:
            for value in _watched_first(device, state["windows"])[:_SHOWN_TAGS]:
                window = windows.get(f"{device['name']}.{value['tag']}", {})
                style = {"out": "bold red", "unknown": "yellow"}.get(window.get("state", ""), "")
                name = f"{device['name']} ({device['driver']}) {device['state']}"
                table.add_row(
                    name, value["tag"], _number(value), value["quality"], window.get("state", ""), style=style
                )
        return Group(table, RichText(self._park(agent)), *(RichText(e) for e in self._events))


class _Collect(logging.Handler):
    """Turns event records into lines for people."""

    def __init__(self, take: Any) -> None:
        super().__init__(logging.INFO)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "fields", {})
        detail = " ".join(
            f"{k}={fields[k]}"
            for k in ("value", "low", "high", "unit", "duration_s", "reason")
            if fields.get(k) not in (None, "")
        )
        self._take(f"{time.strftime('%H:%M:%S')} * {record.msg} {fields.get('source', '')} {detail}".rstrip())


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

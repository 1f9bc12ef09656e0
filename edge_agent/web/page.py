"""The small page under ``/``: is the line all right, and where to look further. No script, nothing from
elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from html import escape
from typing import Any

from edge_agent.settings import Text
from edge_agent.web import guard

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:1.5em auto;max-width:60em;padding:0 1em;"
    "color:#222;background:#eee}"
    "table{border-collapse:collapse;width:100%;margin:.5em 0 1.5em}"
    "th,td{text-align:left;padding:.3em .6em;border-bottom:1px solid #bbb;vertical-align:top}"
    ".bad{background:#b00020;color:#fff;font-weight:bold}"
    ".unsure{background:#ffd24d;font-weight:bold}"
)
POLICY = (
    f"{guard.POLICY}; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
LINKS = ("/metrics", "/api/v1/status", "/api/v1/tags", "/api/v1/windows", "/api/v1/buffer", "/api/v1/events")

_DEVICES = Text("Devices", "设备")
_WINDOWS = Text("Process windows", "工艺窗口")
_ALARMS = Text("Alarms", "报警")
_UPLINKS = Text("Uplinks", "上传")
_NONE = Text("none", "无")
_MORE = Text(
    "more, none of them more urgent than the last one shown: /api/v1/windows",
    "个未列出，均不比所列最后一个更紧急：/api/v1/windows",
)
_MORE_ALARMS = Text("more: edge-agent alarms list", "条未列出：edge-agent alarms list")
MAX_WINDOWS = 200
MAX_ALARMS = 50
_BEIJING = timezone(timedelta(hours=8))
_RANKS = ("out", "unknown", "suppressed", "in")
_STATES = {
    "up": Text("up", "正常"),
    "connecting": Text("connecting", "连接中"),
    "proving": Text("checking its answers", "核对应答中"),
    "silent": Text("no answer", "无应答"),
    "down": Text("not connected", "未连接"),
    "refused": Text("refused", "被拒绝"),
    "in": Text("inside", "正常"),
    "out": Text("OUTSIDE", "超限"),
    "unknown": Text("unknown", "未知"),
    "suppressed": Text("suppressed", "已抑制"),
}
_CLASSES = {
    "B": "bad",
    "C": "unsure",
    "D": "unsure",
    "E": "unsure",
    "out": "bad",
    "down": "bad",
    "silent": "bad",
    "refused": "bad",
    "unknown": "unsure",
    "connecting": "unsure",
    "proving": "unsure",
}


def language(accept: str, otherwise: str = "en") -> str:
    """The browser's first choice, if that is Chinese or English, else that of the configuration."""
    first = accept.strip().lower()[:2]
    return first if first in ("zh", "en") else otherwise


class Urgent:
    """Which windows the page shows: all, in the order of the configuration; of very many the most urgent
    ones, because nobody reads thousands."""

    def __init__(self) -> None:
        self._first: list[Mapping[str, Any]] = []
        self._by_rank: list[list[Mapping[str, Any]]] = [[] for _ in _RANKS]
        self._count = 0

    def see(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self._count += 1
            for place in (self._first, self._by_rank[_rank(row)]):
                if len(place) < MAX_WINDOWS:
                    place.append(row)

    def chosen(self) -> list[Mapping[str, Any]]:
        if self._count <= MAX_WINDOWS:
            return self._first
        return [row for rows in self._by_rank for row in rows][:MAX_WINDOWS]


def _rank(row: Mapping[str, Any]) -> int:
    """0 is the most urgent: an excursion, also one whose input has died."""
    state = row["state"]
    return 0 if row["active"] or state not in _RANKS else _RANKS.index(state)


def render(
    snapshot: Mapping[str, Any], lang: str, *, left_out: int = 0, alarms_left_out: int = 0, values: str = ""
) -> str:
    """The whole page from ``Board.snapshot``; every value is escaped. ``left_out``, ``alarms_left_out``: so
    many windows and alarms are not in it. ``values``: the section of the tags (``values.section``)."""
    agent = snapshot["agent"]
    windows = [_window(row, lang) for row in snapshot["windows"]]
    if left_out:
        windows.append(f"<tr><td colspan=6>… {left_out} {_MORE.say(lang)}</td></tr>")
    alarms = [_alarm(row, lang) for row in snapshot["alarms"]]
    if alarms_left_out:
        alarms.append(f"<tr><td colspan=5>… {alarms_left_out} {_MORE_ALARMS.say(lang)}</td></tr>")
    title = escape(str(agent["line"] or "Lineside"))
    sections = [
        _section(_DEVICES.say(lang), [_device(row, lang) for row in snapshot["devices"]], lang),
        _section(_ALARMS.say(lang), alarms, lang),
        _section(_WINDOWS.say(lang), windows, lang),
        _section(_UPLINKS.say(lang), [_uplink(row, lang) for row in snapshot["uplinks"]], lang),
        values,
    ]
    links = " · ".join(f'<a href="{path}">{path}</a>' for path in LINKS)
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="5"><title>{title}</title><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1>{_banner(snapshot['config'], lang)}{''.join(sections)}<p>{links}</p>"
        f"<p>Lineside {escape(str(agent['version']))} · {_time(agent['time_ns'])}</p></body></html>\n"
    )


def _banner(config: Mapping[str, Any], lang: str) -> str:
    if config["reload_ok"] and config["source"] == "current":
        return ""
    head = Text(
        "The configuration on disk has mistakes; an older one is in use.",
        "磁盘上的配置有错误，仍在使用旧配置。",
    )
    problems = [f"{p['place']}: {p['code']} {p[lang]}" for p in config["problem_texts"]]
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<p class="bad">{head.say(lang)}</p><ul>{lines}</ul>'


def _section(title: str, rows: Iterable[str], lang: str) -> str:
    body = "".join(rows) or f"<tr><td>{_NONE.say(lang)}</td></tr>"
    return f"<h2>{title}</h2><table>{body}</table>"


def _row(state: str, cells: Sequence[str], shown: str) -> str:
    first, *rest = cells
    kind = _CLASSES.get(state)
    mark = f' class="{kind}"' if kind else ""
    return (
        f"<tr><td>{escape(first)}</td><td{mark}>{escape(shown)}</td>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
    )


def _say(state: str, lang: str) -> str:
    return _STATES[state].say(lang) if state in _STATES else state


def _device(row: Mapping[str, Any], lang: str) -> str:
    state = str(row["state"])
    cells = [str(row["name"]), str(row["endpoint"]), _reason(row, lang), _time(row["since_ns"])]
    return _row(state, cells, _say(state, lang))


def _window(row: Mapping[str, Any], lang: str) -> str:
    state = str(row["state"])
    edges = (row["low"], row["high"])
    limits = "" if edges == (None, None) else "..".join(map(_number, edges))
    value = f"{_number(row['value'])} {row['unit']}".strip()
    cells = [str(row["name"]), value, limits, _reason(row, lang), _time(row["since_ns"])]
    # An excursion stays active while nobody can tell how the value is.
    return _row("out" if row["active"] else state, cells, _say(state, lang))


def _alarm(row: Mapping[str, Any], lang: str) -> str:
    """The value is the one at which it came or went."""
    from edge_agent.status.shown import letter_text

    letter = str(row["letter"])
    shown = letter_text(letter, lang)
    value = f"{_number(row['value'])} {row['unit']}".strip()
    return _row(letter, [str(row["name"]), value, _number(row["limit"]), _time(row["since_ns"])], shown)


def _reason(row: Mapping[str, Any], lang: str) -> str:
    from edge_agent.status.shown import reason_text  # when somebody looks, not at the start of the agent

    return reason_text(str(row["reason"]), lang)


def _number(value: Any) -> str:
    from edge_agent.status.shown import number_text

    return number_text(value, "float32")  # of a measurement, whatever arithmetic it went through


def _uplink(row: Mapping[str, Any], lang: str) -> str:
    state = "up" if row["up"] else "down"
    pending = Text(f"{row['pending_samples']} samples pending", f"待传 {row['pending_samples']} 个样本")
    return _row(
        state,
        [str(row["name"]), str(row["endpoint"]), _reason(row, lang), pending.say(lang)],
        _say(state, lang),
    )


def _time(time_ns: int) -> str:
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns // 10**9, _BEIJING).isoformat(sep=" ")

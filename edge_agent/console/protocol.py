"""One line each way. A request: {"verb": "alarms.ack", "args": {...}}. An answer: {"ok": true, "result": ...}
or {"ok": false, "error": a sentence, "error_zh": the same in Chinese}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from edge_agent.settings import Text

MAX_REQUEST = 65_536  # bytes of a line


class Request(NamedTuple):
    verb: str
    args: Mapping[str, Any]


class NoRequest(Exception):
    """The line is not a request. ``text`` says why."""

    def __init__(self, en: str, zh: str) -> None:
        self.text = Text(en, zh)
        super().__init__(en)


def parse(line: bytes) -> Request:
    """Raises ``NoRequest``."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise NoRequest("that is not a line of JSON", "这不是一行 JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("verb"), str):
        raise NoRequest(
            'a request is {"verb": ..., "args": {...}}', '请求的格式是 {"verb": ..., "args": {...}}'
        )
    args = data.get("args", {})
    if not isinstance(args, dict):
        raise NoRequest("args is an object", "args 必须是对象")
    return Request(data["verb"], args)


def result(value: Any) -> bytes:
    """Raises TypeError or ValueError for what is not JSON."""
    return _line({"ok": True, "result": value})


def failure(text: Text) -> bytes:
    return _line({"ok": False, "error": text.en, "error_zh": text.zh})


def _line(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"

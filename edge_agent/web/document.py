"""Answers in JSON. Thousands of rows are written a few at a time, and polls get their turn in between. (A
thread would not help: the encoder does not let go of the interpreter before it has finished.)"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

AT_ONCE = 100  # rows; below a millisecond
_PIECE = 16_384  # characters; so that a small answer is one write to the socket


async def few_at_a_time(
    rows: Sequence[Mapping[str, Any]], count: int = AT_ONCE
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """The rows in order; each tells of the moment at which it is taken."""
    for start in range(0, len(rows), count):
        yield rows[start : start + count]
        await asyncio.sleep(0)


async def in_pieces(answer: Mapping[str, Any], at_once: Mapping[str, int]) -> list[bytes]:
    """A JSON object and a line end. ``at_once``: members that are rows, and how many of those are written
    before others get their turn."""
    pieces: list[bytes] = []
    text = ""
    for name, value in answer.items():
        text += f"{', ' if text or pieces else '{'}{text_of(name)}: "
        if name not in at_once:
            text += text_of(value)
            continue
        text += "["
        comma = ""
        async for some in few_at_a_time(value, at_once[name]):
            text += f"{comma}{text_of([dict(row) for row in some])[1:-1]}"
            comma = ", "
            if len(text) > _PIECE:
                pieces.append(text.encode())
                text = ""
        text += "]"
    pieces.append(f"{text}}}\n".encode())
    return pieces


def object_bytes(answer: Mapping[str, Any]) -> bytes:
    """A JSON object and a line end."""
    return f"{text_of(answer)}\n".encode()


def text_of(data: Any) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError:  # an infinite value is no JSON; a reader must not choke on the whole answer for it
        return json.dumps(_finite(data), ensure_ascii=False, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data

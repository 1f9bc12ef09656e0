"""Answers in JSON. Thousands of windows are written a few at a time, and polls get their turn in between:
that holds up nobody, and takes the memory of a few rows instead of all."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

AT_ONCE = 100  # rows; below a millisecond


async def few_at_a_time(rows: Sequence[Mapping[str, Any]]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """The rows in order; each tells of the moment at which it is taken."""
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]
        await asyncio.sleep(0)


async def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A JSON array."""
    parts = [text_of([dict(row) for row in some])[1:-1] async for some in few_at_a_time(rows)]
    return f"[{', '.join(parts)}]"


def text_of(data: Any) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError:  # an infinite value is no JSON; a reader must not choke on the whole answer for it
        return json.dumps(_finite(data), ensure_ascii=False, allow_nan=False)


def object_bytes(data: Mapping[str, Any], written: Mapping[str, str] | None = None) -> bytes:
    """A JSON object and a line end. ``written``: members that are JSON text already; they take the place of
    those in ``data``."""
    texts = written or {}
    members = [f"{text_of(key)}: {texts[key] if key in texts else text_of(data[key])}" for key in data]
    return f"{{{', '.join(members)}}}\n".encode()


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data

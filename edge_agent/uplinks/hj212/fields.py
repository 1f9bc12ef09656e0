"""The data area: ``a=1;b-Rtd=2,b-Flag=N``. Sub-fields of one factor are joined by ``,``, factors by ``;``."""

from __future__ import annotations

import re
from collections.abc import Iterable

Group = tuple[tuple[str, str], ...]
"""What belongs together: one factor with its sub-fields, or one plain field."""

_LENIENT_BREAK = re.compile(r",(?=(?:BeginTime|EndTime)=)")


def join(groups: Iterable[Group]) -> str:
    """ValueError for a value that would change the structure."""
    return ";".join(group_text(group) for group in groups)


def group_text(group: Group) -> str:
    for name, value in group:
        if any(c in name for c in ";,=&\r\n") or any(c in value for c in ";,&\r\n") or not name:
            raise ValueError(f"{name}={value!r} cannot be written in HJ 212")
    return ",".join(f"{name}={value}" for name, value in group)


def split(data: str, *, lenient: bool = True) -> list[Group]:
    """ValueError when something is no ``name=value``. Lenient: a ``,`` between BeginTime and EndTime."""
    if not data:
        return []
    if lenient:
        data = _LENIENT_BREAK.sub(";", data)
    return [tuple(_pair(piece) for piece in group.split(",")) for group in data.split(";")]


def values(data: str) -> dict[str, str]:
    """All fields of an inbound message by name, the last of a name counts. ValueError as ``split``."""
    return dict(pair for group in split(data) for pair in group)


def _pair(piece: str) -> tuple[str, str]:
    name, found, value = piece.partition("=")
    if not found or not name.strip():
        raise ValueError(f"{piece[:40]!r} is no name=value")
    return name.strip(), value.strip()

"""Cutting a record into packets: between factors, never inside one; each packet complete in itself."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.uplinks.hj212.profile import MAX_CP, MAX_SEGMENT, Version

_CP = len("CP=&&&&")
_FIXED = len("QN=;ST=;CN=;PW=;MN=;Flag=;") + 17 + 4
_SPLIT = {Version.V2017: len("PNUM=9999;PNO=9999;"), Version.V2025: len("PNUM=9;PNO=9;") + len("RF=1;")}


def room(version: Version, st: str, pw: str, mn: str) -> int:
    """Bytes of data that always fit, whatever else the segment holds."""
    head = _FIXED + len(f"{st}{pw}{mn}".encode()) + 2 + _SPLIT[version]
    return min(MAX_CP - _CP, MAX_SEGMENT - 1 - _CP - head)


def cut(first: str, groups: Sequence[str], room_bytes: int, version: Version) -> list[str]:
    """The data of each packet; ``first`` (the DataTime) stands in every one. ValueError when a factor alone
    is too long, or when there would be more packets than the edition can number."""
    packets: list[str] = []
    current = first
    used = len(first.encode())
    for group in groups:
        size = len(group.encode()) + 1
        if used + size > room_bytes and current != first:
            packets.append(current)
            current, used = first, len(first.encode())
        if used + size > room_bytes:
            raise ValueError(f"one factor needs {size} bytes: {group[:40]}")
        current, used = f"{current};{group}", used + size
    packets.append(current)
    if len(packets) > version.max_parts:
        raise ValueError(f"{len(packets)} packets; this edition can number {version.max_parts}")
    return packets

"""Whether the primary host application is there, by its STATE messages. Pure."""

from __future__ import annotations

import json


class PrimaryHost:
    """``online`` is None until it has spoken. What is older than the last word is a message that was under
    way for long, or another broker's memory: it changes nothing."""

    def __init__(self) -> None:
        self.online: bool | None = None
        self._heard_ms = 0

    def heard(self, payload: bytes) -> bool:
        """True when this message was taken; ``online`` then holds what it says."""
        said = _read(payload)
        if said is None:
            return False
        online, time_ms = said
        if self.online is not None and time_ms < self._heard_ms:
            return False
        self.online, self._heard_ms = online, time_ms
        return True


def _read(payload: bytes) -> tuple[bool, int] | None:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    online, time_ms = said.get("online"), said.get("timestamp")
    if not isinstance(online, bool) or isinstance(time_ms, bool) or not isinstance(time_ms, int):
        return None
    return online, time_ms

"""How the park answers, switchable while it runs: ``POST /control {"mode": ...}``.

    ok            stores and answers with the keys
    500, 401 ...  any HTTP status, nothing stored ("retry_after_s" is sent along)
    413           only for more than "max_segments" items; smaller messages are served
    no-echo       200 without keys, nothing stored
    hang          reads and never answers, nothing stored, also not when the mode has changed since
    lose-answer   stores, then breaks the connection instead of answering
    slow          as ok, after "delay_s"
    reject        as ok, but items of "devices" and "keys" are rejected by key
    poison        400 while the message contains an item of "devices" or "keys"; else as ok
    vanish        the port is closed with all its connections for "seconds" (0: until another mode)

With "times": N the mode holds for N messages, then ``ok`` again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAMED = ("ok", "no-echo", "hang", "lose-answer", "slow", "reject", "poison", "vanish")
_KEYS = {"mode", "retry_after_s", "max_segments", "delay_s", "seconds", "devices", "keys", "times"}


class UnknownMood(ValueError):
    """The text says what is wrong with the order."""


@dataclass(frozen=True, slots=True)
class Mood:
    mode: str = "ok"
    retry_after_s: int | None = None
    max_segments: int = 1
    delay_s: float = 1.0
    seconds: float = 5.0
    devices: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    times: int | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status that answers everything, if the mode is one."""
        return int(self.mode) if self.mode.isdecimal() and self.mode != "413" else None

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> Mood:
        """Raises UnknownMood."""
        mode = str(order.get("mode", "ok"))
        if mode not in _NAMED and not (mode.isdecimal() and 200 <= int(mode) <= 599):
            raise UnknownMood(f"mode {mode!r} is not one of {', '.join(_NAMED)} or an HTTP status")
        if unknown := set(order) - _KEYS:
            raise UnknownMood(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KEYS))}")
        retry, times = order.get("retry_after_s"), order.get("times")
        try:
            return cls(
                mode,
                None if retry is None else int(retry),
                int(order.get("max_segments", 1)),
                float(order.get("delay_s", 1.0)),
                float(order.get("seconds", 5.0)),
                frozenset(order.get("devices", ())),
                frozenset(order.get("keys", ())),
                None if times is None else int(times),
            )
        except (TypeError, ValueError) as error:
            raise UnknownMood(str(error)) from error

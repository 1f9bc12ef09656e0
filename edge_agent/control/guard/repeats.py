"""Refusals that come again and again: the first is told, then once a minute how many there were.

Whoever asks ten thousand times must neither fill the disk with it nor push the rest of the record out. What
counts as the same is tag, reason and asker; beyond fifty of those at a time, the reason alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.request import Refusal

EVERY_S = 60.0
_MOST = 50

Key = tuple[TagRef | None, str, str, str]


class Repeats:
    """Both functions give the details that are to be recorded now."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[Key, _Run] = {}

    def hear(self, refusal: Refusal, detail: Mapping[str, Any], at: Moment) -> list[Mapping[str, Any]]:
        """``detail``: of this refusal."""
        request, reason = refusal.request, str(refusal.reason)
        key: Key = (request.tag, reason, request.who, request.user)
        if key not in self._runs and len(self._runs) >= _MOST:
            key = (None, reason, "", "")
        run = self._runs.get(key)
        if run is None or (run.is_over(at) and not run.count):
            self._runs[key] = _Run(at, detail)
            return [detail]
        run.count += 1
        run.last = detail if key[0] is not None else _common(detail)
        return [run.told(at)] if run.is_over(at) else []

    def due(self, at: Moment) -> list[Mapping[str, Any]]:
        """To be asked now and then: the numbers of those whose minute is over."""
        found = []
        for key, run in list(self._runs.items()):
            if not run.is_over(at):
                continue
            if run.count:
                found.append(run.told(at))
            else:
                del self._runs[key]
        return found


class _Run:
    """``count``: since ``since``, the one that was told not included."""

    __slots__ = ("count", "last", "since")

    def __init__(self, at: Moment, detail: Mapping[str, Any]) -> None:
        self.since = at
        self.count = 0
        self.last = detail

    def is_over(self, at: Moment) -> bool:
        return at.mono_ns - self.since.mono_ns >= EVERY_S * 1e9

    def told(self, at: Moment) -> Mapping[str, Any]:
        """The newest of them, and how many."""
        found = {**self.last, "count": self.count, "since_ns": self.since.time_ns}
        self.since, self.count = at, 0
        return found


def _common(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """What refusals of several tags and askers have in common."""
    return {name: detail[name] for name in ("reason", "stage")}

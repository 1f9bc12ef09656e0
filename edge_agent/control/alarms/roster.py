"""Which alarms there are: one per limit of each window, found by name when they are needed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from edge_agent.config.model import Limit, LimitKind, Window


class Roster:
    """Names ``WINDOW.KIND``. A limit is an object made of its window when it is asked for: for transitions
    and commands, not for every sample."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Sequence[Window] = ()) -> None:
        self._windows = sorted(windows, key=_name)  # a sorted list costs a sixth of a dict

    def window(self, name: str) -> Window | None:
        place = bisect_left(self._windows, name, key=_name)
        if place < len(self._windows) and self._windows[place].name == name:
            return self._windows[place]
        return None

    def find(self, name: str) -> tuple[Window, Limit] | None:
        window_name, kind = split(name)
        window = self.window(window_name)
        limit = None if window is None else next((x for x in window.limits if x.kind == kind), None)
        return None if window is None or limit is None else (window, limit)

    def names(self) -> Iterator[str]:
        """Of all alarms, at rest or not."""
        return (name_of(window.name, limit.kind) for window in self._windows for limit in window.limits)


def name_of(window: str, kind: LimitKind) -> str:
    return f"{window}.{kind}"


def split(name: str) -> tuple[str, str]:
    """The window and the kind of an alarm's name."""
    window, _, kind = name.rpartition(".")
    return window, kind


def _name(window: Window) -> str:
    return window.name

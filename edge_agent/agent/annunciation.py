"""Which horn or lamp is to be written now. It decides and remembers; ``writes`` carries out.

An output is written when what the alarms ask of it has changed, and again when its device was away in the
meantime: nobody knows what a controller made of its outputs while it was. What could not be written is tried
again, soon at first, then every half minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge_agent.config.model import Output, TagRef

if TYPE_CHECKING:
    from edge_agent.status import Board

RETRY_S = 1.0
RETRY_MOST_S = 30.0


class Outputs:
    """Times are monotonic nanoseconds. What a device was told holds for one stretch of being up."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._states: dict[TagRef, _State] = {}

    def configure(self, outputs: Sequence[Output]) -> None:
        """Those that stay keep what is known of them."""
        self._states = {o.tag: self._states.get(o.tag) or _State() for o in outputs}

    def want(self, demand: Mapping[TagRef, bool]) -> bool:
        """True when that is news."""
        news = False
        for tag, value in demand.items():
            state = self._states.get(tag)
            if state is not None and state.wanted != value:
                state.wanted, state.tries, state.due_ns = value, 0, 0
                news = True
        return news

    def due(self, now_ns: int) -> list[tuple[TagRef, bool]]:
        """To be written now; not while the device is away, and each once until ``done``."""
        found = []
        for tag, state in self._states.items():
            stretch = self._stretch(tag.device)
            if stretch is None or state.wanted is None or state.open or state.due_ns > now_ns:
                continue
            if state.told != (state.wanted, stretch):
                state.open = True
                found.append((tag, state.wanted))
        return found

    def done(self, tag: TagRef, value: bool, now_ns: int, *, written: bool) -> None:
        state = self._states.get(tag)
        if state is None:
            return
        state.open = False
        if written:
            state.told, state.tries, state.due_ns = (value, self._stretch(tag.device)), 0, 0
            return
        state.told = None  # it may hold either
        if state.wanted == value:
            wait_s = min(RETRY_S * 2.0**state.tries, RETRY_MOST_S)
            state.tries = min(state.tries + 1, 16)
            state.due_ns = now_ns + round(wait_s * 1e9)

    def rows(self) -> list[dict[str, object]]:
        """For status: what is wanted, and whether the device was told."""
        return [
            {
                "tag": str(tag),
                "wanted": state.wanted,
                "told": state.told is not None and state.told == (state.wanted, self._stretch(tag.device)),
                "tries": state.tries,
            }
            for tag, state in self._states.items()
        ]

    def _stretch(self, device: str) -> int | None:
        """Names the time since which it has been up without a break; None while it is not."""
        row = self._board.devices.get(device)
        return hash((id(row), row.connects, row.since_ns)) if row is not None and row.up else None


class _State:
    __slots__ = ("due_ns", "open", "told", "tries", "wanted")

    def __init__(self) -> None:
        self.wanted: bool | None = None
        self.told: tuple[bool, int | None] | None = None  # what, in which stretch
        self.tries = 0
        self.due_ns = 0
        self.open = False

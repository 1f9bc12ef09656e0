"""Which horn or lamp is to be written now. It decides and remembers; ``writes`` carries out.

An output is written when what the alarms ask of it has changed, and again when its device was away in the
meantime: nobody knows what a controller made of its outputs while it was. What could not be written is tried
again, soon at first, then every half minute.

So is what did not stay: an output that is polled and shows something else than was written (the PLC, another
master, a restart nobody noticed) is written again. Of one that nothing good is read of, nobody would notice:
it is written again every minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from edge_agent.config.model import Output, TagRef

if TYPE_CHECKING:
    from edge_agent.model import Value
    from edge_agent.status import Board

RETRY_S = 1.0
RETRY_MOST_S = 30.0
REASSERT_S = 60.0
CALM_S = 60.0  # an output that has stayed so long as it was written is no longer under suspicion
_PERIODS = 3  # so many polls may pass before an output counts as not polled


class Polled(Protocol):
    """Of ``agent.write_facts.WriteFacts``."""

    def held(self, tag: TagRef, sent_ns: int) -> Value: ...

    def period_s(self, tag: TagRef) -> float: ...


class Outputs:
    """Times are monotonic nanoseconds. What a device was told holds for one stretch of being up."""

    def __init__(self, board: Board, polled: Polled) -> None:
        self._board = board
        self._polled = polled
        self._states: dict[TagRef, _State] = {}
        self._dropped: list[tuple[TagRef, bool]] = []

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
                state.drops, state.off_ns = 0, None
                news = True
        return news

    def due(self, now_ns: int) -> list[tuple[TagRef, bool]]:
        """To be written now; not while the device is away, and each once until ``done``."""
        found = []
        for tag, state in self._states.items():
            stretch = self._stretch(tag.device)
            if stretch is None or state.wanted is None or state.open or state.due_ns > now_ns:
                continue
            if state.told != (state.wanted, stretch) or self._again(tag, state, state.wanted, now_ns):
                state.open = True
                found.append((tag, state.wanted))
        return found

    def dropped(self) -> list[tuple[TagRef, bool]]:
        """Those that are written again because they did not stay as they were written, and what was written.
        Each time once."""
        found, self._dropped = self._dropped, []
        return found

    def done(self, tag: TagRef, value: bool, now_ns: int, *, written: bool, dry_run: bool = False) -> None:
        """``now_ns``: a moment after the write, so that what is read from then on must show it."""
        state = self._states.get(tag)
        if state is None:
            return
        state.open = False
        if written:
            state.told, state.tries, state.due_ns = (value, self._stretch(tag.device)), 0, 0
            state.written_ns, state.off_ns = None if dry_run else now_ns, None
            return
        state.told = None  # it may hold either
        if state.wanted == value:
            state.due_ns = now_ns + _wait_ns(state.tries)
            state.tries = min(state.tries + 1, 16)

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

    def _again(self, tag: TagRef, state: _State, wanted: bool, now_ns: int) -> bool:
        """Whether an output that was told has to be told once more."""
        if state.written_ns is None:  # a dry run: nothing was written that could be missed
            return False
        since_ns = now_ns - state.written_ns
        held = self._polled.held(tag, state.written_ns)
        if held is None:
            state.off_ns = None
            return since_ns >= max(REASSERT_S, _PERIODS * self._polled.period_s(tag)) * 1e9
        if bool(held) is wanted:
            state.off_ns = None
            state.drops = 0 if since_ns >= CALM_S * 1e9 else state.drops
            return False
        if state.off_ns is None:
            state.off_ns = now_ns
        if now_ns - state.off_ns < _wait_ns(state.drops):
            return False
        state.drops = min(state.drops + 1, 16)
        self._dropped.append((tag, wanted))
        return True

    def _stretch(self, device: str) -> int | None:
        """Names the time since which it has been up without a break; None while it is not."""
        row = self._board.devices.get(device)
        return hash((id(row), row.connects, row.since_ns)) if row is not None and row.up else None


class _State:
    """``off_ns``: since when it has shown something else than was written; ``drops``: how often it was
    written again for that, since it was last calm."""

    __slots__ = ("drops", "due_ns", "off_ns", "open", "told", "tries", "wanted", "written_ns")

    def __init__(self) -> None:
        self.wanted: bool | None = None
        self.told: tuple[bool, int | None] | None = None  # what, in which stretch
        self.tries = 0
        self.due_ns = 0
        self.open = False
        self.written_ns: int | None = None
        self.off_ns: int | None = None
        self.drops = 0


def _wait_ns(tries: int) -> int:
    return round(min(RETRY_S * 2.0**tries, RETRY_MOST_S) * 1e9)

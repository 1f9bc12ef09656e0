"""Whether the wall clock can be trusted, where the kernel may not be asked (ProtectClock=yes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent import clock
from edge_agent.clock import SystemClock
from edge_agent.model import ClockState


class _Kernel:
    def __init__(self, answer: int) -> None:
        self.answer = answer

    def adjtimex(self, _: Any) -> int:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "marked", "state"),
    [
        (0, False, ClockState.SYNCHRONISED),
        (5, True, ClockState.UNSYNCHRONISED),  # the kernel knows better than a mark from an hour ago
        (-1, True, ClockState.SYNCHRONISED),
        (-1, False, ClockState.UNKNOWN),
    ],
)
def test_state(
    answer: int, marked: bool, state: ClockState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "timesync" / "synchronized"
    if marked:
        mark.parent.mkdir()
        mark.touch()
    monkeypatch.setattr(clock, "_TIMESYNC_MARK", mark)
    monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_, **__: _Kernel(answer))
    assert SystemClock().state() is state

"""Frames of a recording -> requests and their answers, as the simulated controller plays them.

A file of JSON Lines. First what it is of: ``{"lineside_recording": 1, "driver": ..., "station": ...,
"limits": ...}``; then one exchange a line: ``{"at_s": when it was asked, "ask": bytes, "answer": bytes or
null, "after_s": how long the answer took, "means": ...}``, bytes as hexadecimal, without what differs each
time the same is asked (transaction ids).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_agent.cli.wire import Frame

FORMAT = 1


def heading(about: Mapping[str, Any]) -> dict[str, Any]:
    names = ("driver", "device", "station", "limits", "began_ns")
    scheme = str(about.get("link", "")).partition("://")[0]
    return {"lineside_recording": FORMAT, "scheme": scheme, **{name: about.get(name) for name in names}}


class Pairs:
    """``count`` exchanges so far, ``unanswered`` of them."""

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._open: dict[str, Frame] = {}
        self.count = self.unanswered = 0

    def take(self, frame: Frame) -> Iterator[dict[str, Any]]:
        """The exchanges that this frame ends: a station is asked one thing at a time."""
        if frame.way == "!" and not frame.data:  # a time-out, or the connection is gone
            while self._open:
                yield self._pair(self._open.pop(next(iter(self._open))), None)
            return
        bare, identity = frame.meaning.bare, frame.meaning.identity
        if not bare and not (frame.data and identity):
            return
        if frame.way == ">":
            for key in [
                key for key, old in self._open.items() if old.meaning.station == frame.meaning.station
            ]:
                yield self._pair(self._open.pop(key), None)
            self._open[identity] = frame
        elif frame.way == "<" and identity in self._open:
            yield self._pair(self._open.pop(identity), frame)

    def _pair(self, asked: Frame, answer: Frame | None) -> dict[str, Any]:
        self.count += 1
        self.unanswered += answer is None
        pair: dict[str, Any] = {
            "at_s": round((asked.time_ns - self._began_ns) / 1e9, 4),
            "ask": (asked.meaning.bare or asked.data).hex(),
            "answer": None if answer is None else (answer.meaning.bare or answer.data).hex(),
            "means": asked.meaning.text.en,
        }
        if answer is not None:
            pair["after_s"] = round((answer.time_ns - asked.time_ns) / 1e9, 4)
            pair["means_answer"] = answer.meaning.text.en
        return pair

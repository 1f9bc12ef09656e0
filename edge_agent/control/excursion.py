"""What is remembered of one excursion, and the time a window has spent in each state. Plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class State(StrEnum):
    """Where a window is. Whether an excursion is active is told beside it: it stays so while unknown."""

    IN = "in"
    OUT = "out"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"


class Moment(NamedTuple):
    """``mono_ns``/``time_ns``: of the batch or tick at hand. ``now_ns``: the newest monotonic time heard of;
    ages and times in state are measured by it, so that a batch handed over late turns nothing back."""

    mono_ns: int
    time_ns: int
    now_ns: int


class Excursion:
    """From the first value outside (so the on-delay is part of what ``extreme`` saw) to the end."""

    __slots__ = ("begin_mono_ns", "begin_ns", "beyond", "extreme", "outside_ns")

    def __init__(self, outside_ns: int) -> None:
        self.outside_ns = outside_ns  # wall time of the first value outside
        self.begin_ns = 0  # wall time of excursion_begin, after the on-delay
        self.begin_mono_ns = 0
        self.extreme: float | None = None
        self.beyond = -1.0

    def see(self, value: float, low: float, high: float) -> None:
        """Keeps the value that lay furthest beyond the limits of its moment."""
        beyond = max(value - high, low - value)
        if beyond > self.beyond:
            self.extreme, self.beyond = value, beyond

    def begin(self, at: Moment) -> None:
        self.begin_ns, self.begin_mono_ns = at.time_ns, at.mono_ns

    def as_dict(self, mono_ns: int) -> dict[str, Any]:
        return {
            "outside_ns": self.outside_ns,
            "begin_ns": self.begin_ns,
            "lasted_ns": max(0, mono_ns - self.begin_mono_ns),
            "extreme": self.extreme,
            "beyond": self.beyond,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], mono_ns: int, down_ns: int) -> Excursion:
        """``down_ns``: how long the agent was away; the excursion is taken to have lasted through it."""
        self = cls(int(data["outside_ns"]))
        self.begin_ns = int(data["begin_ns"])
        self.begin_mono_ns = mono_ns - int(data["lasted_ns"]) - down_ns
        self.extreme = None if data["extreme"] is None else float(data["extreme"])
        self.beyond = float(data["beyond"])
        return self


class Spent:
    """Nanoseconds in each state. Their sum is exactly the time that was accounted."""

    __slots__ = ("ns", "upto_ns")

    def __init__(self, mono_ns: int) -> None:
        self.ns = dict.fromkeys(State, 0)
        self.upto_ns = mono_ns

    def account(self, state: State, known_until_ns: int, now_ns: int) -> None:
        """Adds the time up to ``now_ns``: to ``state`` until ``known_until_ns``, from there on to unknown."""
        if now_ns <= self.upto_ns:
            return
        known_until_ns = min(now_ns, max(self.upto_ns, known_until_ns))
        self.ns[state] += known_until_ns - self.upto_ns
        self.ns[State.UNKNOWN] += now_ns - known_until_ns
        self.upto_ns = now_ns

    def seconds(self) -> dict[str, float]:
        return {str(state): ns / 1e9 for state, ns in self.ns.items()}

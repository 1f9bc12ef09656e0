"""What is remembered of one excursion, and the time a window has spent in each state. Plain arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

WAITING = "waiting"
"""The reason for unknown until the inputs were read for the first time."""


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
    """Nanoseconds in each state. Their sum is exactly the time that was accounted. One per window: small.

    ``_reasons``: reason, nanoseconds, reason, nanoseconds... of the unknown time. What is not in it is time
    before anything was read: every window has some of that, and most have no other.
    """

    __slots__ = ("_reasons", "in_ns", "out_ns", "suppressed_ns", "unknown_ns", "upto_ns")

    def __init__(self, mono_ns: int) -> None:
        self.upto_ns = mono_ns
        self.in_ns = self.out_ns = self.unknown_ns = self.suppressed_ns = 0
        self._reasons: tuple[Any, ...] = ()

    def account(self, state: State, known_until_ns: int, now_ns: int, reason: str) -> None:
        """Adds the time up to ``now_ns``: to ``state`` until ``known_until_ns``, from there on to unknown.
        ``reason``: why it is unknown."""
        upto_ns = self.upto_ns
        if now_ns <= upto_ns:
            return
        if known_until_ns < now_ns:
            known_until_ns = max(upto_ns, known_until_ns)
            self.add_unknown(reason, now_ns - known_until_ns)
            now_ns, self.upto_ns = known_until_ns, now_ns
        else:
            self.upto_ns = now_ns
        if state is State.UNKNOWN:
            self.add_unknown(reason, now_ns - upto_ns)
        else:
            self.add(state, now_ns - upto_ns)

    def add(self, state: State, ns: int) -> None:
        if state is State.IN:
            self.in_ns += ns
        elif state is State.OUT:
            self.out_ns += ns
        elif state is State.UNKNOWN:
            self.unknown_ns += ns
        else:
            self.suppressed_ns += ns

    def add_unknown(self, reason: str, ns: int) -> None:
        self.unknown_ns += ns
        if reason == WAITING or ns == 0:
            return
        known = self._reasons
        if reason in known:
            place = known.index(reason) + 1
            self._reasons = (*known[:place], known[place] + ns, *known[place + 1 :])
        else:
            self._reasons = (*known, sys.intern(reason), ns)

    def by_reason(self) -> dict[str, int]:
        """Nanoseconds of the unknown time by reason; their sum is all of it."""
        known = self._reasons
        found: dict[str, int] = dict(zip(known[::2], known[1::2], strict=True))
        waited_ns = self.unknown_ns - sum(found.values())
        return found | {WAITING: waited_ns} if waited_ns else found

    def restore(self, by_state: Mapping[str, int], by_reason: Mapping[str, int]) -> None:
        for state in State:
            self.add(state, int(by_state[state]))
        unknown_ns = self.unknown_ns
        for reason, ns in by_reason.items():
            self.add_unknown(str(reason), int(ns))
        self.unknown_ns = unknown_ns

    def by_state(self) -> dict[str, int]:
        """Nanoseconds by the state's name."""
        return {
            "in": self.in_ns,
            "out": self.out_ns,
            "unknown": self.unknown_ns,
            "suppressed": self.suppressed_ns,
        }

    def seconds(self) -> dict[str, float]:
        return {
            "in": self.in_ns / 1e9,
            "out": self.out_ns / 1e9,
            "unknown": self.unknown_ns / 1e9,
            "suppressed": self.suppressed_ns / 1e9,
        }

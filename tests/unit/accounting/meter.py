"""A meter with everything that happens to meters, and its account a second time: with fractions, over the
whole list of readings, looking ahead instead of remembering. Shares no code with
``edge_agent.accounting.counter``."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

SECOND = 10**9


class Read(NamedTuple):
    time_ns: int
    raw: int


@dataclass
class Meter:
    """``truth``: raw counts that really went through, as far as any register could ever tell."""

    rng: random.Random
    modulus: int | None
    rate: int  # counts per second at most
    register: int = 0
    truth: int = 0
    time_ns: int = 1_767_225_600 * SECOND
    readings: list[Read] = field(default_factory=list)
    swaps: list[tuple[int, int, int]] = field(default_factory=list)  # (when, old final, new start)

    def run(self, seconds: int) -> None:
        counts = self.rng.randint(0, self.rate * seconds)
        self.time_ns += seconds * SECOND
        self.truth += counts
        self.register += counts
        if self.modulus is not None:
            self.register %= self.modulus

    def read(self) -> None:
        self.readings.append(Read(self.time_ns, self.register))

    def swap(self, new_start: int) -> None:
        """Declared truthfully, a second after the last reading."""
        self.swaps.append((self.time_ns, self.register, new_start))
        self.register = new_start


class Account(NamedTuple):
    counts: Fraction
    kinds: list[str]
    points: list[tuple[int, Fraction]]


class NaiveCounter:
    """``rate``: counts per second; ``lag_s``, ``confirm`` as declared."""

    def __init__(self, modulus: int | None, rate: int, lag_s: int, confirm: int) -> None:
        self.modulus, self.rate, self.lag_s, self.confirm = modulus, rate, lag_s, confirm

    def could(self, counts: int, a: Read, b: Read) -> bool:
        return counts <= self.rate * (Fraction(b.time_ns - a.time_ns, SECOND) + self.lag_s) + 1

    def forward(self, a: Read, b: Read) -> tuple[int, str] | None:
        if self.modulus is not None and max(b.raw, a.raw) >= self.modulus:
            return None
        if b.raw >= a.raw:
            return (b.raw - a.raw, "") if self.could(b.raw - a.raw, a, b) else None
        if self.modulus is not None and self.could(b.raw - a.raw + self.modulus, a, b):
            return b.raw - a.raw + self.modulus, "counter_rollover"
        return None

    def account(self, readings: list[Read]) -> Account:
        counts, kinds, points = Fraction(0), [], [(readings[0].time_ns, Fraction(0))]
        base, i = readings[0], 1
        while i < len(readings):
            step = self.forward(base, readings[i])
            if step is None:
                kinds.append("counter_held")
                i, verdict, start = self.look_ahead(base, readings, i)
                if verdict == "":
                    break  # not clear by the end
                kinds.append(verdict)
                if verdict == "counter_glitch":
                    continue
                first = readings[start]
                if verdict == "counter_reset":
                    counts += first.raw
                points.append((first.time_ns, counts))
                base, i = first, start + 1
                continue
            counts += step[0]
            kinds += [step[1]] if step[1] else []
            base = readings[i]
            points.append((base.time_ns, counts))
            i += 1
        return Account(counts, kinds, points)

    def look_ahead(self, base: Read, readings: list[Read], first: int) -> tuple[int, str, int]:
        """Where to go on, what it was, and where what is believed began."""
        start, j = first, first
        while True:
            if j - start + 1 == self.confirm:
                reset = readings[start].raw < base.raw and self.could(
                    readings[start].raw, base, readings[start]
                )
                return start, "counter_reset" if reset else "counter_jump", start
            j += 1
            if j == len(readings):
                return j, "", start
            fell = readings[start].raw < base.raw
            back = readings[j].raw >= base.raw and self.forward(base, readings[j]) is not None
            goes_on = self.forward(readings[j - 1], readings[j]) is not None
            if back and (fell or not goes_on):
                return j, "counter_glitch", start
            if not goes_on:
                start = j

"""What the address of a tag means: which signal it follows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_SIGNAL = re.compile(r"(?:(counter)|(constant|ramp):(-?\d{1,9}(?:\.\d{1,6})?)|(sine):(\d{1,6})s)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signal:
    """A made-up value as a function of time. Plain data, so that equal plans compare equal."""

    kind: str
    parameter: float = 0.0

    def at(self, seconds: float, reads: int) -> float:
        match self.kind:
            case "sine":  # swings between 0 and 100 with the period given
                return 50.0 + 50.0 * math.sin(2 * math.pi * seconds / self.parameter)
            case "ramp":  # rises by 1 per second up to the parameter, then starts again at 0
                return seconds % self.parameter
            case "counter":  # how often the link was read
                return float(reads)
            case _:
                return self.parameter

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest value, so that ``check`` can tell whether a type holds it."""
        match self.kind:
            case "sine":
                return 0.0, 100.0
            case "ramp":
                return 0.0, self.parameter
            case "counter":
                return 0.0, 0.0  # wraps at the end of its type, as counters in a PLC do
            case _:
                return self.parameter, self.parameter


def parse(text: str) -> Signal | None:
    """The signal an address names, or None where it names none."""
    match = _SIGNAL.fullmatch(text.strip())
    if match is None:
        return None
    signal = Signal(match[1] or match[2] or match[4], float(match[3] or match[5] or 0))
    endless = signal.kind in ("sine", "ramp") and signal.parameter <= 0
    return None if endless else signal

"""What a hostile controller does with a request, and in which order: seeded, and each equally often."""

from __future__ import annotations

from enum import StrEnum
from random import Random


class Behaviour(StrEnum):
    OK = "ok"
    LATE = "late"  # the right answer, beyond the deadline, during later requests
    SHORT = "short"  # a sound frame with fewer values than asked
    LONG = "long"  # the same with more
    FOREIGN = "foreign"  # the answer to another transaction; on a bus, of another station
    FUNCTION = "function"  # another function than was asked
    UNIT = "unit"  # another unit, channel or station under the right transaction
    TRUNCATED = "truncated"  # the frame breaks off
    DRIP = "drip"  # a byte every 0.3 s
    FLOOD = "flood"  # up to 256 kB that nobody asked for
    HUGE = "huge"  # a length field that announces more than there can be
    RESET = "reset"  # RST
    CLOSE = "close"  # closes, and closes the next connection as soon as it is there
    STOLEN = "stolen"  # another client connects, and the only place is its


FAULTS = tuple(b for b in Behaviour if b is not Behaviour.OK)
_CONNECTIONS = frozenset({Behaviour.RESET, Behaviour.CLOSE, Behaviour.STOLEN})
_SERIAL = tuple(b for b in FAULTS if b not in _CONNECTIONS)

APPLICABLE: dict[str, tuple[Behaviour, ...]] = {
    "tcp": FAULTS,
    "tls": FAULTS,
    "rtu": _SERIAL,  # a serial line has no connections to reset, close or steal
    "ascii": _SERIAL,
    "rtu+tcp": FAULTS,
    "ascii+tcp": FAULTS,
    "s7": tuple(b for b in FAULTS if b is not Behaviour.UNIT),  # an S7 connection leads to one CPU
    "opcua": FAULTS,
}
"""Transport -> what it can suffer."""


class Deck:
    """Draws behaviours: ``share`` of all draws are faults, and each fault comes once before one comes twice.
    ``counts`` is what was drawn; ``share`` may be changed at any time."""

    def __init__(self, transport: str, share: float, seed: str) -> None:
        self._chance = Random(seed)
        self.share = share
        self._faults = APPLICABLE[transport]
        self._left: list[Behaviour] = []
        self.counts: dict[Behaviour, int] = dict.fromkeys((Behaviour.OK, *self._faults), 0)

    def draw(self) -> Behaviour:
        drawn = Behaviour.OK
        if self._chance.random() < self.share:
            if not self._left:
                self._left = list(self._faults)
                self._chance.shuffle(self._left)
            drawn = self._left.pop()
        self.counts[drawn] += 1
        return drawn

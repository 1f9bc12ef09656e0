"""What is known of one station on a stream whose frames carry no transaction id, and how it proves itself.

On RTU and ASCII a reply names its station, its function and how much it holds, but not the request it
answers. So after a time-out the late answer to the old request looks exactly like the answer to the next one,
and from then on every value is the one before, each passing every check that the right one would pass.

What a proof is
    A request whose reply differs from every other reply that can still be on its way, and that reply. The
    request is a read of places known to be readable, with a count that no poll of this station uses
    (``Reserved``). A station answers in the order in which it was asked, so what was asked before the probe
    has come, or never will, when the probe's reply is there. Late replies that come meanwhile are skipped.

Why counts are not simply taken in turn
    A stream may be behind by any number of probes: if counts came round every n probes, one that is behind by
    n would answer each probe with the reply to the n-th before, and be believed for ever. Therefore a count
    is *owed* from the moment it was sent, and an owed count is not sent again. It is free again when
    ``horizon_s`` has passed: three times the longest lateness this station has shown, 5 s at least. A late
    reply is reckoned to the oldest request of the last 20 s that it may answer: rather too late than too
    early. Among the free counts chance decides, so that even a device later than it ever was before is
    believed with small probability only, and not regularly. And if it is: what comes next on a stream that
    was only probed is the reply to a probe, which fits no poll.
    A count whose size any exchange of this link has had is never used, whatever the plan says: a read by hand
    or a plan of yesterday may be under way still.

Where no count is free
    A plan of single values leaves nothing below its one count. Then function 08/00 is sent, which returns a
    random number; not first, because many small devices do not know it. Where that is refused as well, or
    twice in a row not answered, only time helps: a station that was neither asked nor heard for ``horizon_s``
    owes nothing.

What proves nothing
    An exception reply: it holds no count, so the late refusal of another request looks the same. The count
    that was refused is not tried again, and after two such tries in a row function 08 is.
    Closing and opening the port: the bytes that are late come after it has been opened again.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from drivers.modbus.reserve import resized

if TYPE_CHECKING:
    from drivers.modbus.request import Learned
    from edge_agent.driver import Reserved

HORIZON_MIN_S = 5.0
HORIZON_TIMES = 3.0
OLDEST_S = 20.0  # what was asked before is not answered any more
CHOICE = 8  # of the best free counts
REFUSALS = 2
ECHO = 8
ECHOES = 2  # without an answer: there are devices that say nothing to what they do not know
_REMEMBERED = 64  # unanswered requests; a station that owes more is dead

Identity = tuple[int, int]
"""Function and data bytes of a reply; for function 08 the number it returns."""


@dataclass(frozen=True, slots=True)
class Probe:
    """``reply``: how the fitting one begins; ``size``: how long its PDU is."""

    station: int
    function: int
    pdu: bytes
    reply: bytes
    size: int
    identity: Identity
    place: str
    if_hole: Learned | None = None
    if_too_many: Learned | None = None

    def fits(self, pdu: bytes) -> bool:
        return len(pdu) == self.size and pdu.startswith(self.reply)


class Trust:
    """One station's, on one connection. Times are seconds of the event loop's clock."""

    __slots__ = (
        "_echoes", "_echoing", "_last_s", "_longest_s", "_owed", "_random", "_refusals", "_refused",
        "_station", "_unanswered", "_used", "cause", "doubted",
    )  # fmt: skip

    def __init__(self, station: int, now_s: float, random: Random) -> None:
        self.doubted = False  # a request of this connection is without an answer that fits
        self.cause = "timeout"  # why, as a ``reason``
        self._station = station
        self._random = random
        self._last_s = now_s  # asked or heard; before the connection nobody knows
        self._longest_s = 0.0
        self._unanswered: list[tuple[float, Identity]] = []
        self._used: set[Identity] = set()
        self._owed: dict[Identity, float] = {}
        self._refused: set[Identity] = set()
        self._refusals = 0
        self._echoes = 0  # sent since one was answered
        self._echoing = False

    @property
    def horizon_s(self) -> float:
        return max(HORIZON_MIN_S, HORIZON_TIMES * self._longest_s)

    def asked(self, now_s: float, identity: Identity, *, probe: bool = False) -> None:
        """A request is about to be sent: until its answer has come, nothing of this station is sure."""
        self.doubted = True
        self.cause = "timeout"  # until something comes that says otherwise
        self._last_s = now_s
        self._echoing = identity[0] == ECHO
        self._unanswered = [*self._unanswered[-_REMEMBERED:], (now_s, identity)]
        if probe:
            self._owed[identity] = now_s
            self._echoes += self._echoing
        else:
            self._used.add(identity)

    def answered(self, now_s: float) -> None:
        """By a reply that fits: what was asked before has come or never will."""
        self.doubted = False
        self._last_s = now_s
        self._unanswered.clear()
        self._refusals = 0
        if self._echoing:
            self._echoes = 0

    def heard(self, now_s: float, pdu: bytes) -> None:
        """Something of this station came that nobody waits for. What was asked before it is not answered
        any more, because a station answers in order."""
        self._last_s = now_s
        self._unanswered = [asked for asked in self._unanswered if now_s - asked[0] < OLDEST_S]
        identity = _identity_of(pdu)
        for index, (sent_s, owed) in enumerate(self._unanswered):
            if owed == identity:
                self._longest_s = max(self._longest_s, now_s - sent_s)
                del self._unanswered[: index + 1]
                return

    def refused(self, probe: Probe) -> None:
        self._refused.add(probe.identity if probe.function != ECHO else (ECHO, -1))
        self._refusals += 1

    def outwaited_s(self, now_s: float) -> float:
        """How long there must still be silence before it proves something; 0 when it does."""
        return max(0.0, self._last_s + self.horizon_s - now_s)

    def probe(self, reserved: Reserved, now_s: float) -> Probe | None:
        """What to ask next; None when nothing is left that would prove anything."""
        self._owed = {i: sent_s for i, sent_s in self._owed.items() if now_s - sent_s < self.horizon_s}
        if self._refusals < REFUSALS and (read := self._free(reserved)) is not None:
            return read
        return None if (ECHO, -1) in self._refused or self._echoes >= ECHOES else self._echo()

    def _free(self, reserved: Reserved) -> Probe | None:
        if reserved.request is None:
            return None
        reads = (resized(reserved.request, count) for count in reserved.counts)
        free = []
        for read in reads:
            identity = (read.function, read.size)
            if not (identity in self._used or identity in self._owed or identity in self._refused):
                free.append(read)
                if len(free) == CHOICE:
                    break
        if not free:
            return None
        read = self._random.choice(free)
        return Probe(
            self._station,
            read.function,
            read.pdu,
            bytes((read.function, read.size)),
            2 + read.size,
            (read.function, read.size),
            f"{read.place} to prove itself",
        )

    def _echo(self) -> Probe:
        number = self._random.randrange(0x10000)
        while (ECHO, number) in self._owed:
            number = self._random.randrange(0x10000)
        pdu = struct.pack(">BHH", ECHO, 0, number)
        return Probe(self._station, ECHO, pdu, pdu, len(pdu), (ECHO, number), "FC08 to prove itself")


def _identity_of(pdu: bytes) -> Identity:
    if pdu[0] == ECHO:
        return ECHO, int.from_bytes(pdu[3:5], "big")
    return pdu[0], len(pdu) - 2

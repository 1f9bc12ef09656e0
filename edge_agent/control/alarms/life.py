"""The life of one alarm by ISA-18.2 (IEC 62682): four bits, a letter derived from them, a function per event.

    A normal                    not active, nothing to acknowledge or reset
    B unacknowledged            active
    C acknowledged              active
    D returned unacknowledged   not active
    E latched unacknowledged    not active, waits to be acknowledged and then reset
    F latched acknowledged      not active, waits to be reset
    G shelved                   by a person, for a time
    H suppressed by design      by logic: the window does not apply
    I out of service            by a person, until further notice

      | ALM       RTN         ACK  RESET    SHELVE  UNSHELVE  SUPPR  UNSUPPR  OOS  RTS
    A | B (1)     -           -    -        G       -         H      -        I    -
    B | -         D (2)       C    -        G       -         H      -        I    -
    C | -         A (2)       -    -        G       -         H      -        I    -
    D | B (1)     -           A    -        G       -         H      -        I    -
    E | B (1)     -           F    refused  G       -         H      -        I    -
    F | B (1)     -           -    A        G       -         H      -        I    -
    G | -         -           -    -        -       (3)       -      -        -    -
    H | -         -           -    -        -       -         -      (3)      -    -
    I | -         -           -    -        -       -         -      -        -    (3)

    (1) C where no acknowledgement is required.   (2) E for D and F for A where the alarm latches.
    (3) B if active, else E if latched, else A; C and F where no acknowledgement is required.

In G, H and I the bits ``active`` and ``latched`` still follow the process; only the letter does not show it.
What the table marks with "-" gives back the same bits.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from edge_agent.config.model import Alarming


class Overlay(StrEnum):
    """At most one at a time. The value is its letter."""

    NONE = ""
    SHELVED = "G"
    SUPPRESSED = "H"
    OUT_OF_SERVICE = "I"


class Bits(NamedTuple):
    """``latched``: the alarm has been active and latches; stays until it is reset."""

    active: bool = False
    acked: bool = True
    latched: bool = False
    overlay: Overlay = Overlay.NONE

    @property
    def letter(self) -> str:
        if self.overlay:
            return str(self.overlay)
        if self.active:
            return "C" if self.acked else "B"
        if self.latched:
            return "F" if self.acked else "E"
        return "A" if self.acked else "D"


AT_REST = Bits()


class NotAcknowledged(Exception):
    """A latched alarm is acknowledged before it is reset."""


def comes(bits: Bits, rule: Alarming) -> Bits:
    """ALM: the condition has come."""
    if bits.active:
        return bits
    latched = bits.latched or rule.latch
    if bits.overlay:
        return bits._replace(active=True, latched=latched)
    return Bits(active=True, acked=not rule.ack, latched=latched)


def goes(bits: Bits) -> Bits:
    """RTN: the condition has gone. What is latched stays so."""
    return bits._replace(active=False)


def acknowledge(bits: Bits) -> Bits:
    """ACK: of B, D and E."""
    return bits if bits.overlay else bits._replace(acked=True)


def reset(bits: Bits) -> Bits:
    """RESET: of F. Raises ``NotAcknowledged`` in E."""
    if bits.letter == "E":
        raise NotAcknowledged
    return AT_REST if bits.letter == "F" else bits


def shelve(bits: Bits) -> Bits:
    return _cover(bits, Overlay.SHELVED)


def suppress(bits: Bits) -> Bits:
    return _cover(bits, Overlay.SUPPRESSED)


def out_of_service(bits: Bits) -> Bits:
    return _cover(bits, Overlay.OUT_OF_SERVICE)


def unshelve(bits: Bits, rule: Alarming) -> Bits:
    return _uncover(bits, Overlay.SHELVED, rule)


def unsuppress(bits: Bits, rule: Alarming) -> Bits:
    return _uncover(bits, Overlay.SUPPRESSED, rule)


def in_service(bits: Bits, rule: Alarming) -> Bits:
    """RTS: returned to service."""
    return _uncover(bits, Overlay.OUT_OF_SERVICE, rule)


def realarm(bits: Bits) -> Bits:
    """REALARM: of C, whose acknowledgement has lasted long enough."""
    return bits._replace(acked=False) if bits.letter == "C" else bits


def _cover(bits: Bits, overlay: Overlay) -> Bits:
    return bits if bits.overlay else bits._replace(overlay=overlay)


def _uncover(bits: Bits, overlay: Overlay, rule: Alarming) -> Bits:
    """What is still there has to be acknowledged anew, whatever it was before; what has gone is forgotten."""
    if bits.overlay is not overlay:
        return bits
    left = bits.active or bits.latched
    return Bits(bits.active, not (left and rule.ack), bits.latched, Overlay.NONE)

"""What may be written to controllers, by whom and within which envelope. Off unless every part is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from edge_agent.config.process import Priority, TagRef


class WriteLevel(IntEnum):
    """How far the agent may go. OBSERVE: no annunciation either; ALARM (default): local alarms; RECOMMEND: a
    request a person must approve; SETPOINT: writes within an envelope; REQUEST: sets request bits that the
    PLC's own logic decides about."""

    OBSERVE = 0
    ALARM = 1
    RECOMMEND = 2
    SETPOINT = 3
    REQUEST = 4


@dataclass(frozen=True, slots=True)
class Writable:
    """One line of the allow-list, in engineering units. Everything not listed is refused.

    ``level``: the least ``WriteLevel`` at which it may be written. ``low``, ``high``: the envelope, inclusive
    (both 0 and 1 for BOOL). ``max_step``: from the value read before. ``max_rate``: units per second since
    the
    last write. ``min_interval_s``: between two writes. ``when``: boolean tags that must be true and fresh
    (PLC in remote, interlocks closed). ``inputs``: tags that must be good and no older than ``max_age_s``.
    ``who``: permitted sources (``operator``, ``uplink:NAME``, ``annunciation``, ``heartbeat``).
    ``ttl_s``: after that the value is reverted to ``revert`` (None: to what was read before the write); None:
    it stays. ``verify_within_s``, ``verify_tolerance``: the read-back. ``per_day``: budget, Beijing day.
    ``approve``: needs a second person.
    """

    tag: TagRef
    level: WriteLevel = WriteLevel.SETPOINT
    low: float = 0.0
    high: float = 0.0
    max_step: float | None = None
    max_rate: float | None = None
    min_interval_s: float = 1.0
    when: tuple[TagRef, ...] = ()
    inputs: tuple[TagRef, ...] = ()
    max_age_s: float = 5.0
    who: tuple[str, ...] = ("operator",)
    ttl_s: float | None = None
    revert: float | None = None
    verify_within_s: float = 2.0
    verify_tolerance: float = 0.0
    per_day: int = 100
    approve: bool = False
    place: str = field(default="", compare=False)  # a line that moved is no other entry


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A register the agent renews every ``period_s`` so that the PLC notices its absence: counts 0..65535, a
    BOOL
    toggles. ``missed``: after so many beats that could not be written, writes to that device are refused."""

    tag: TagRef
    period_s: float = 1.0
    missed: int = 3


@dataclass(frozen=True, slots=True)
class Output:
    """One annunciation output (horn, lamp): true while an alarm of at least ``priority`` is unacknowledged
    (or,
    with ``active``, active). ``silence``: the silence command switches it off until the next annunciation."""

    tag: TagRef
    priority: Priority = Priority.HIGH
    active: bool = False
    silence: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """``arm_s``: the longest time for which writing may be armed. ``dry_run``: everything but the write.
    ``lockout_failures``: consecutive failures that lock a device out; a mismatch on read-back always does."""

    level: WriteLevel = WriteLevel.ALARM
    dry_run: bool = False
    arm_s: float = 3600.0
    per_day: int = 200
    lockout_failures: int = 3
    writables: tuple[Writable, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    outputs: tuple[Output, ...] = ()

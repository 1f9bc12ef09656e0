"""What of the process is watched: windows, their limits, how their alarms behave. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True)
class TagRef:
    """A tag of any device, by name."""

    device: str
    tag: str

    def __str__(self) -> str:
        return f"{self.device}.{self.tag}"


class Priority(IntEnum):
    """Of an alarm, ISA-18.2. A higher number is more urgent. DIAGNOSTIC is journalled and never
    annunciated."""

    DIAGNOSTIC = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class LimitKind(StrEnum):
    """What a limit watches. The value becomes the last part of the alarm's name."""

    LOLO = "lolo"
    LOW = "low"
    HIGH = "high"
    HIHI = "hihi"
    RISE = "rise"  # rate of change, upwards
    FALL = "fall"  # rate of change, downwards
    STATE = "state"  # a discrete value that is not one of the allowed
    BAD_INPUT = "bad_input"  # the window has been unknown for too long
    EARLY = "early"  # advisory: the trend reaches a limit soon
    PATTERN = "pattern"  # advisory: Nelson rules


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a limit. ``level``: park, sector, enterprise or line. ``standard``: ``ID@VERSION``, empty for
    the line's own. ``place``: file:line of the configuration; a line that moved is no other limit, so it is
    not compared."""

    level: str = "line"
    standard: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Alarming:
    """How the alarm of a limit behaves. ``realarm_s``: an alarm still active so long after its
    acknowledgement
    is annunciated again; None: never. ``first_out``: alarms with the same non-empty group compete for
    first-out. ``max_shelve_s``: no shelf may last longer."""

    priority: Priority = Priority.MEDIUM
    latch: bool = False
    ack: bool = True
    realarm_s: float | None = None
    first_out: str = ""
    max_shelve_s: float = 28_800.0


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a window; each is one alarm, named ``WINDOW.KIND``.

    ``value``: engineering units, of RISE and FALL units per second (both positive); None for STATE,
    BAD_INPUT,
    EARLY and PATTERN, and where ``tolerance`` is given: then the limit is the window's target plus (HIGH,
    HIHI) or minus (LOW, LOLO) that. ``deadband``: how far back inside a value must come to clear.
    ``on_delay_s``, ``off_delay_s``: how long, in sample time, outside or clear of it before the alarm comes
    or
    goes. ``over_s`` of RISE and FALL: the time over which the change is measured; 0: between two readings.
    """

    kind: LimitKind
    value: float | None = None
    tolerance: float | None = None
    deadband: float = 0.0
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    over_s: float = 0.0
    alarming: Alarming = Alarming()
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class Plausible:
    """What an input can say and still be believed, in engineering units; ``slope``: units per second between
    two readings. Beyond that, or unchanged for ``frozen_s`` while the window applies, its window is
    unknown."""

    low: float | None = None
    high: float | None = None
    slope: float | None = None
    frozen_s: float | None = None


@dataclass(frozen=True, slots=True)
class Early:
    """Early warning, advisory. ``over_s``: the span the trend is fitted to. ``ahead_s``: warn when a limit
    would be reached within it; None: no trend. ``rules``: Nelson rules in use (of 1, 2, 3, 5, 6).
    ``every_s``: one reading is taken so often for the rules and for Cp/Cpk (an individuals chart: averages
    would hide the spread that Cp is about)."""

    over_s: float = 600.0
    ahead_s: float | None = None
    rules: tuple[int, ...] = ()
    every_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Window:
    """One process window. In engineering units; limits are inclusive: a value on the limit is inside. It may
    have neither low nor high nor target, only further limits.

    ``low``/``high`` (at least one) or ``target`` +- ``tolerance`` is the plain window with ``deadband``,
    ``on_delay_s``, ``off_delay_s`` and ``alarming``; ``further`` adds limits of other kinds or with settings
    of their own. ``limits`` is all of them together, and what the engine works with; a limit in ``further``
    stands in for a plain one of the same kind. ``allowed``: of a discrete window, the raw values that are in.

    ``max_age_s``: older input is stale and the window unknown. ``when``: a boolean tag; while it is false,
    and
    for ``grace_s`` after it became true, the window is suppressed. ``standards``: ``ID@VERSION`` of every
    document that set one of the limits.
    """

    name: str
    source: TagRef
    low: float | None = None
    high: float | None = None
    target: TagRef | float | None = None
    tolerance: float | None = None
    deadband: float = 0.0
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    max_age_s: float = 3.0
    when: TagRef | None = None
    unit: str = ""
    description: str = ""
    alarming: Alarming = Alarming()
    further: tuple[Limit, ...] = ()
    allowed: tuple[int | bool | str, ...] = ()
    plausible: Plausible | None = None
    early: Early | None = None
    grace_s: float = 0.0
    standards: tuple[str, ...] = ()
    origin: Origin = Origin()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """All limits, the plain ones first."""
        own = {limit.kind for limit in self.further}
        plain = []
        for kind, value in ((LimitKind.LOW, self.low), (LimitKind.HIGH, self.high)):
            if kind not in own and (value is not None or self.tolerance is not None):
                plain.append(
                    Limit(
                        kind,
                        value,
                        self.tolerance,
                        self.deadband,
                        self.on_delay_s,
                        self.off_delay_s,
                        alarming=self.alarming,
                        origin=self.origin,
                    )
                )
        if self.allowed and LimitKind.STATE not in own:
            plain.append(
                Limit(
                    LimitKind.STATE,
                    on_delay_s=self.on_delay_s,
                    off_delay_s=self.off_delay_s,
                    alarming=self.alarming,
                    origin=self.origin,
                )
            )
        return (*plain, *self.further)

"""What the model keeps: statements, the machines of limits, windows. Numbers are decimal fractions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from edge_agent.config.model import Limit, LimitKind, TagRef, Window
from edge_agent.model import Batch, Quality, Scaling, Value, ValueType

SECOND_NS = 1_000_000_000
NOTHING = object()  # equal to no value

Meant = Decimal | bool | str | None


@cache
def written(number: float) -> Decimal:
    """0.1 means one tenth here, not the binary number next to it."""
    return Decimal(repr(number))


def ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)


def meant(raw: Value, type_: ValueType, scaling: Scaling | None) -> Meant:
    if raw is None or isinstance(raw, (bool, str)):
        return raw
    if not math.isfinite(raw):
        return None
    plain = written(float(f"{raw:.6g}")) if type_ is ValueType.FLOAT32 else written(raw)
    return plain if scaling is None else plain * written(scaling.scale) + written(scaling.offset)


def is_number(value: Meant) -> bool:
    return isinstance(value, Decimal)


@dataclass(frozen=True, slots=True)
class Said:
    """What a tag said last; ``mono_ns`` and ``batch``: of the last one that said or vouched for it."""

    quality: int
    raw: Value
    value: Meant
    mono_ns: int
    scaling: Scaling | None
    batch: Batch

    @property
    def usable(self) -> bool:
        return self.quality < Quality.UNCERTAIN or self.quality == Quality.UNCERTAIN_SOURCE_TIME


@dataclass
class Machine:
    """One limit of a window."""

    limit: Limit
    active: bool = False
    outside_ns: int | None = None
    clear_ns: int | None = None

    def hold(self) -> None:
        self.outside_ns = self.clear_ns = None

    def judge(self, outside: bool, clear: bool, since_ns: int, until_ns: int) -> bool:
        """Whether ``active`` changed. A delay that begins now begins at ``since_ns`` and has run until
        ``until_ns``."""
        if outside:
            self.clear_ns = None
            if self.outside_ns is None:
                self.outside_ns = since_ns
            delay_ns = ns(self.limit.on_delay_s)
            if not self.active and (delay_ns == 0 or until_ns - self.outside_ns >= delay_ns):
                self.active = True
                return True
            return False
        self.outside_ns = None
        if not clear:
            self.clear_ns = None
            return False
        if not self.active:
            return False
        if self.clear_ns is None:
            self.clear_ns = since_ns
        delay_ns = ns(self.limit.off_delay_s)
        if delay_ns == 0 or until_ns - self.clear_ns >= delay_ns:
            self.active, self.clear_ns = False, None
            return True
        return False


@dataclass(frozen=True, slots=True)
class Stored:
    """What the state row of a window has to tell a later process."""

    told: str | None
    active: tuple[str, ...]
    excursion: bool
    excursions: int
    suppression: bool
    spent: dict[str, int]
    unknown_by: dict[str, int]
    wall_ns: int


@dataclass
class Status:
    """One window: what it is, what its source has said since it exists, and what was told of it."""

    window: Window
    upto_ns: int
    version: str
    machines: list[Machine] = field(default_factory=list)
    state: str = "unknown"
    reason: str = "waiting"
    starting: bool = True
    told: str | None = None
    excursion: bool = False
    excursions: int = 0
    suppression: bool = False  # stands also while unknown after suppressed
    target: Decimal | None = None
    judged_scaling: Scaling | None = None
    source_scaling: Scaling | None = None
    heard_source: Batch | None = None
    raw: object = NOTHING
    heard: list[tuple[int, Decimal]] = field(default_factory=list)  # usable numbers, plausible or not
    trusted: list[tuple[int, Decimal]] = field(default_factory=list)  # what a rate may be taken from
    moved_ns: int = 0
    implausible: str = ""
    spent: dict[str, int] = field(default_factory=lambda: {"in": 0, "out": 0, "unknown": 0, "suppressed": 0})
    unknown_by: dict[str, int] = field(default_factory=dict)
    touched: bool = False
    stored: Stored | None = None

    @property
    def refs(self) -> list[TagRef]:
        w = self.window
        return [r for r in (w.source, w.target, w.when) if isinstance(r, TagRef)]

    @property
    def active(self) -> list[str]:
        return [str(m.limit.kind) for m in self.machines if m.active]

    @property
    def discrete_only(self) -> bool:
        kinds = {m.limit.kind for m in self.machines}
        return kinds <= {LimitKind.STATE, LimitKind.BAD_INPUT}

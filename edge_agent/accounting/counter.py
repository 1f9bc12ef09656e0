"""One counter: raw readings -> a total that only ever grows, and an account of everything odd on the way.

    reading ──judge──┬─ plausible ──────────────────────────> counted
                     ├─ below, fits over the modulus ───────> counted, ``counter_rollover``
                     └─ anything else ──> held back (``counter_held``) until it is clear what it was:
                           the old register is back ────────> forgotten, ``counter_glitch``
                           ``confirm`` readings agree ─┬────> near zero: ``counter_reset``, counted from zero
                                                       └────> ``counter_jump``, nothing is counted
    declared replacement ──────────────────────────────────> counted to the old final and from the new start

Plausible means: no more than the nameplate allows for the time between two readings. Nothing implausible is
ever counted silently, and the total never falls. Amounts are exact decimals: raw counts times scale times
multiplier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from edge_agent.accounting.decimals import EXACT, ZERO, decimal
from edge_agent.accounting.replacement import Jump, Replacement
from edge_agent.model import Event

_SECOND = Decimal(1_000_000_000)
_PATIENCE_NS = 86_400_000_000_000  # a declared replacement may be seen so much later, or declared so late


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Of current and voltage transformers: valid for what is read from ``from_ns`` on."""

    from_ns: int
    factor: Decimal


@dataclass(frozen=True, slots=True)
class CounterSpec:
    """What a person declares of a counter.

    ``scale``: the tag's own, one raw count in ``unit``. ``max_rate``: nameplate, in ``unit`` per second,
    multiplier included. ``modulus``: raw counts at which the register begins anew; None where it never does.
    ``step``: raw counts by which the register moves. ``noise``: raw counts by which it may fall without
    meaning it. ``lag_s``: how far the register may be behind, which is how seldom the meter itself renews it.
    ``max_gap_s``: a longer silence cannot be allotted to single hours. ``confirm``: so many readings make a
    jump believed.
    """

    name: str
    unit: str
    max_rate: Decimal
    scale: Decimal = Decimal(1)
    modulus: Decimal | None = None
    step: Decimal = Decimal(1)
    noise: Decimal = ZERO
    multipliers: tuple[Multiplier, ...] = ()
    lag_s: Decimal = Decimal(60)
    max_gap_s: Decimal = Decimal(60)
    confirm: int = 3

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.max_rate <= 0 or self.confirm < 2:
            raise ValueError(f"{self.name}: scale and max_rate must be above 0, confirm at least 2")
        if any(m.factor <= 0 for m in self.multipliers):
            raise ValueError(f"{self.name}: a multiplier must be above 0")
        if self.modulus is not None and self.modulus <= 0:
            raise ValueError(f"{self.name}: the modulus must be above 0")


class Reading(NamedTuple):
    """``mono_ns`` is None for what was read before a restart."""

    time_ns: int
    mono_ns: int | None
    raw: Decimal


class Point(NamedTuple):
    """The total at one accepted reading. ``mark``: "" or why the amount since the last point is not the whole
    truth: start, reset, jump, multiplier, uncertain; rollover and replaced are only told. ``gap_ns``: the
    silence before it where that was too long to be allotted, else 0."""

    time_ns: int
    mono_ns: int
    total: Decimal
    mark: str = ""
    gap_ns: int = 0


class Late(NamedTuple):
    """An amount that belongs to a moment long past: a correction, never an edit."""

    at_ns: int
    amount: Decimal
    reason: str


@dataclass(slots=True)
class Heard:
    """What a reading or a declaration caused."""

    points: list[Point] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)


class Counter:
    """Pure. ``read`` is called with every usable reading, in the order in which they were made."""

    def __init__(self, spec: CounterSpec, config_version: str = "") -> None:
        self.spec = spec
        self.config_version = config_version
        self.total = ZERO
        self.base: Reading | None = None  # the last one that was counted
        self._held: list[Reading] = []
        self._declared: list[Replacement] = []
        self._jump: Jump | None = None
        self._now = (0, 0)
        self.last_raw: int | float | None = None  # what the register showed last, counted or not

    @property
    def declared(self) -> tuple[Replacement, ...]:
        """Replacements that were not seen in the readings yet."""
        return tuple(self._declared)

    @property
    def is_held(self) -> bool:
        """Whether what comes is held back at present."""
        return bool(self._held)

    def read(self, time_ns: int, mono_ns: int, raw: int | float, *, uncertain: bool = False) -> Heard:
        heard, self.last_raw = Heard(), raw
        self._take(Reading(time_ns, mono_ns, decimal(raw)), heard, "uncertain" if uncertain else "")
        return heard

    def declare(self, replacement: Replacement, time_ns: int, mono_ns: int) -> Heard:
        """The meter was or will be replaced. Known before the new meter is read, both parts are counted; else
        what was held back is released as an amount of its own. Refused where it does not fit."""
        heard, self._now = Heard(), (time_ns, mono_ns)
        if self.base is None or replacement.at_ns >= self.base.time_ns:
            self._declared = sorted([*self._declared, replacement])
            held, self._held = self._held, []
            for reading in held:
                self._take(reading, heard, "")
        else:
            self._declared_late(replacement, heard)
        return heard

    def withdraw(self) -> tuple[Replacement, ...]:
        """Takes back what was declared and not yet seen in the readings."""
        withdrawn, self._declared = self._declared, []
        return tuple(withdrawn)

    def old_final_range(self, at_ns: int, time_ns: int, mono_ns: int) -> tuple[Decimal, Decimal] | None:
        """What the display of a meter that is replaced at ``at_ns`` may have shown last, at the moment
        ``time_ns``: the last accepted reading, less its noise, up to what the nameplate allows. None where no
        reading says anything about it, or a later one has been counted already."""
        base, spec = self.base, self.spec
        if base is None or at_ns < base.time_ns:
            return None
        silent_ns = _between_ns(base, Reading(time_ns, mono_ns, base.raw)) + max(0, at_ns - time_ns)
        most = EXACT.divide(self._most(base, silent_ns), self._factor(base.time_ns))
        least = EXACT.multiply(EXACT.subtract(base.raw, spec.noise), spec.scale)
        return least, EXACT.add(EXACT.multiply(base.raw, spec.scale), most)

    # --- one reading -------------------------------------------------------------------------------------

    def _take(self, reading: Reading, heard: Heard, mark: str) -> None:
        self._now = (reading.time_ns, reading.mono_ns or 0)
        base = self.base
        if base is None:
            self._declared = [r for r in self._declared if r.at_ns > reading.time_ns]
            self.base = reading
            heard.points.append(Point(reading.time_ns, reading.mono_ns or 0, self.total, "start"))
        elif self._declared and self._replaced(base, reading, heard):
            return
        elif self._held:
            self._while_held(base, reading, heard, mark)
        elif not self._plain(base, reading, heard, mark):
            self._held = [reading]
            self._tell(heard, "counter_held", before=base.raw, after=reading.raw)

    def _plain(self, base: Reading, reading: Reading, heard: Heard, mark: str) -> bool:
        """Counts what needs no second look."""
        counts, rolled = self._judge(base, reading)
        if counts is None:
            return False
        if rolled:
            self._tell(heard, "counter_rollover", before=base.raw, after=reading.raw, counts=counts)
            mark = mark or "rollover"
        if reading.raw < base.raw and not rolled:  # noise: the higher reading stays the mark
            reading = reading._replace(raw=base.raw)
        self._count(base, reading, counts, heard, mark)
        return True

    def _judge(self, before: Reading, after: Reading) -> tuple[Decimal | None, bool]:
        """The counts between two readings, None where implausible; and whether the register rolled over."""
        modulus = self.spec.modulus
        if modulus is not None and not 0 <= after.raw < modulus:
            return None, False  # no such reading exists
        counts = EXACT.subtract(after.raw, before.raw)
        if counts >= 0:
            return (counts if self._plausible(counts, before, after) else None), False
        if -counts <= self.spec.noise:
            return ZERO, False
        if modulus is not None and before.raw < modulus:
            counts = EXACT.add(counts, modulus)
            if self._plausible(counts, before, after):
                return counts, True
        return None, False

    def _plausible(self, counts: Decimal, before: Reading, after: Reading) -> bool:
        amount = EXACT.multiply(counts, self._worth(before))
        return amount <= self._most(before, _between_ns(before, after))

    def _most(self, before: Reading, between_ns: int) -> Decimal:
        """The amount that the nameplate allows, multiplier included."""
        spec = self.spec
        seconds = EXACT.add(EXACT.divide(Decimal(between_ns), _SECOND), spec.lag_s)
        step = EXACT.multiply(spec.step, self._worth(before))
        return EXACT.add(EXACT.multiply(spec.max_rate, seconds), step)

    def _count(self, base: Reading, reading: Reading, counts: Decimal, heard: Heard, mark: str) -> None:
        factor, later = self._factor(base.time_ns), self._factor(reading.time_ns)
        if factor != later:
            self._tell(heard, "counter_multiplier", before=factor, after=later)
            mark = "multiplier"
        self._add(EXACT.multiply(counts, factor), base, reading, heard, mark)

    def _add(self, counts: Decimal, base: Reading, reading: Reading, heard: Heard, mark: str) -> None:
        """``counts``: multiplier included."""
        self.total = EXACT.add(self.total, EXACT.multiply(counts, self.spec.scale))
        self.base = reading
        silent_ns = _between_ns(base, reading)
        gap_ns = silent_ns if silent_ns > self.spec.max_gap_s * _SECOND else 0
        heard.points.append(Point(reading.time_ns, reading.mono_ns or 0, self.total, mark, gap_ns))

    def _factor(self, time_ns: int) -> Decimal:
        factor = Decimal(1)
        for multiplier in self.spec.multipliers:
            if multiplier.from_ns <= time_ns:
                factor = multiplier.factor
        return factor

    # --- held back ---------------------------------------------------------------------------------------

    def _while_held(self, base: Reading, reading: Reading, heard: Heard, mark: str) -> None:
        """A fall is believed less readily than what stood before it, a rise more readily: neither can then
        make the total larger than the lesser of the two stories."""
        fell = self._held[0].raw < base.raw
        if fell and self._is_back(base, reading, heard, mark):
            return
        if self._judge(self._held[-1], reading)[0] is not None:
            self._held.append(reading)
            if len(self._held) >= self.spec.confirm:
                self._settle(base, heard)
        elif fell or not self._is_back(base, reading, heard, mark):
            self._held = [reading]

    def _is_back(self, base: Reading, reading: Reading, heard: Heard, mark: str) -> bool:
        if reading.raw < base.raw - self.spec.noise or self._judge(base, reading)[0] is None:
            return False
        odd = self._held
        self._tell(heard, "counter_glitch", before=base.raw, after=odd[0].raw, readings=len(odd))
        self._held = []
        return self._plain(base, reading, heard, mark)

    def _settle(self, base: Reading, heard: Heard) -> None:
        """What was held back is the register now."""
        held, self._held = self._held, []
        first = held[0]
        is_reset = first.raw < base.raw and self._plausible(first.raw, base, first) and first.raw >= 0
        counts = first.raw if is_reset else ZERO
        missing = EXACT.multiply(EXACT.subtract(first.raw, base.raw), self._worth(base))
        values = {"before": base.raw, "after": first.raw}
        if is_reset:
            self._tell(heard, "counter_reset", **values, counted=EXACT.multiply(counts, self._worth(base)))
        else:
            self._tell(heard, "counter_jump", **values, held_back=missing)
        self._jump = Jump(base.time_ns, first.time_ns, base.raw, first.raw, counts)
        self._count(base, first, counts, heard, "reset" if is_reset else "jump")
        for reading in held[1:]:
            self._take(reading, heard, "")

    def _worth(self, base: Reading) -> Decimal:
        return EXACT.multiply(self.spec.scale, self._factor(base.time_ns))

    # --- replacement -------------------------------------------------------------------------------------

    def _replaced(self, base: Reading, reading: Reading, heard: Heard) -> bool:
        """Whether this is the first reading of a meter whose installation was declared."""
        declared = self._declared[0]
        if reading.time_ns < declared.at_ns:
            return False
        old, new = self._parts(declared, base.raw, reading.raw)
        if not self._plausible(max(old, new), base, reading) or min(old, new) < 0:
            if reading.time_ns - declared.at_ns > _PATIENCE_NS:
                self._declared.pop(0)
                self._refuse(declared, "the readings around that moment do not fit", heard)
            return False
        self._declared.pop(0)
        self._held = []
        after = self._factor(reading.time_ns)
        counts = EXACT.add(EXACT.multiply(old, self._factor(base.time_ns)), EXACT.multiply(new, after))
        amount = EXACT.multiply(counts, self.spec.scale)
        self._tell(
            heard, "counter_replaced", before=base.raw, after=reading.raw, at_ns=declared.at_ns,
            old_final=declared.old_final, new_start=declared.new_start, amount=amount,
        )  # fmt: skip
        self._add(counts, base, reading, heard, "replaced")
        return True

    def _parts(self, declared: Replacement, before: Decimal, after: Decimal) -> tuple[Decimal, Decimal]:
        """Raw counts on the old meter and on the new one. The last reading may have been noise above the
        display of the old one."""
        old_final = EXACT.divide(declared.old_final, self.spec.scale)
        new_start = EXACT.divide(declared.new_start, self.spec.scale)
        old = EXACT.subtract(old_final, before)
        return (ZERO if -self.spec.noise <= old < 0 else old), EXACT.subtract(after, new_start)

    def _declared_late(self, declared: Replacement, heard: Heard) -> None:
        jump = self._jump
        near = jump is not None and jump.from_ns - _PATIENCE_NS <= declared.at_ns <= jump.to_ns + _PATIENCE_NS
        if jump is None or not near:
            self._refuse(declared, "no jump of the readings was seen then", heard)
            return
        old, new = self._parts(declared, jump.before, jump.after)
        before, after = Reading(jump.from_ns, None, jump.before), Reading(jump.to_ns, None, jump.after)
        if min(old, new) < 0 or not self._plausible(max(old, new), before, after):
            self._refuse(declared, "the readings around that moment do not fit", heard)
            return
        self._jump = None
        counts = EXACT.subtract(EXACT.add(old, new), jump.counted)
        amount = EXACT.multiply(counts, self._worth(before))
        self._tell(
            heard, "counter_replaced", before=jump.before, after=jump.after, at_ns=declared.at_ns,
            old_final=declared.old_final, new_start=declared.new_start, amount=amount,
        )  # fmt: skip
        heard.late.append(Late(jump.to_ns, amount, "replaced"))

    def _refuse(self, declared: Replacement, reason: str, heard: Heard) -> None:
        values = {"old_final": declared.old_final, "new_start": declared.new_start}
        self._tell(heard, "counter_replacement_refused", at_ns=declared.at_ns, reason=reason, **values)

    def _tell(self, heard: Heard, kind: str, **detail: Any) -> None:
        plain = {k: str(v) if isinstance(v, Decimal) else v for k, v in detail.items()}
        plain |= {"unit": self.spec.unit, "scale": str(self.spec.scale), "total": str(self.total)}
        heard.events.append(Event(kind, self.spec.name, *self._now, self.config_version, plain))

    # --- restart -----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        base = self.base
        return {
            "total": str(self.total),
            "base": None if base is None else [base.time_ns, str(base.raw)],
            "held": [[r.time_ns, str(r.raw)] for r in self._held],
            "declared": [r.as_list() for r in self._declared],
            "jump": None if self._jump is None else self._jump.as_list(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Takes up a snapshot; raises what malformed data raises, having changed nothing."""
        total = Decimal(saved["total"])
        base = None if saved["base"] is None else _past(saved["base"])
        held = [_past(item) for item in saved["held"]]
        declared = [Replacement.from_list(item) for item in saved["declared"]]
        jump = None if saved["jump"] is None else Jump.from_list(saved["jump"])
        self.total, self.base, self._held, self._declared, self._jump = total, base, held, declared, jump


def _past(item: list[Any]) -> Reading:
    return Reading(int(item[0]), None, Decimal(item[1]))


def _between_ns(before: Reading, after: Reading) -> int:
    """By the monotonic clock, unless one of the two was read before a restart."""
    if before.mono_ns is None or after.mono_ns is None:
        return max(0, after.time_ns - before.time_ns)
    return max(0, after.mono_ns - before.mono_ns)

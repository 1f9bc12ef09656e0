"""What the readings around an alarm say, as figures and as a bounded series. Pure arithmetic.

A reading holds until the next one, but not longer than the window's ``max_age`` (``hold_ns``): after that
nothing is known, and the time counts as absent. Durations run on the monotonic axis of the statements, so
that a step of the wall clock neither makes nor takes time.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from edge_agent.config.model import LimitKind, Window
from edge_agent.model import Quality, Value

POINTS = 2000
TEXT_POINTS = 200  # a text may have 254 characters
GAPS = 20
_LEVELS = (LimitKind.LOLO, LimitKind.LOW, LimitKind.HIGH, LimitKind.HIHI)
_ROUNDING = 1e-7  # relative: what single precision and scaling round is not outside


class Statement(NamedTuple):
    """One reading: engineering ``value``, ``raw`` as the device said it; both None where there was none."""

    time_ns: int
    mono_ns: int
    value: Value
    raw: Value
    quality: int


@dataclass(frozen=True, slots=True)
class Band:
    """What counts as inside. ``below``, ``above``: distance of the limit from the target, where it follows
    one; ``allowed``: of a discrete window, raw values."""

    low: float | None = None
    high: float | None = None
    below: float | None = None
    above: float | None = None
    allowed: tuple[int | bool | str, ...] = ()

    def excess(self, value: Value, raw: Value, target: float | None) -> float | None:
        """By how much the value lies outside; 0.0: inside; None: it cannot be compared."""
        if self.allowed:
            same = (raw == one and isinstance(raw, bool) is isinstance(one, bool) for one in self.allowed)
            return 0.0 if any(same) else 1.0
        if not _numeric(value):
            return None
        low, high = self.limits(target)
        if low is None and high is None:
            return None
        above = 0.0 if high is None else _beyond(value, high)
        return max(above, 0.0 if low is None else _beyond(-value, -low))

    def limits(self, target: float | None) -> tuple[float | None, float | None]:
        low = self.low if self.below is None else None if target is None else target - self.below
        high = self.high if self.above is None else None if target is None else target + self.above
        return low, high


def _beyond(value: float, limit: float) -> float:
    distance = value - limit
    return distance if distance > _ROUNDING * max(abs(value), abs(limit)) else 0.0


def band_of(window: Window, kind: str) -> Band:
    """Of a level or discrete alarm its own limit; of any other the window's plain one."""
    limits = {str(limit.kind): limit for limit in window.limits}
    if kind == LimitKind.STATE:
        return Band(allowed=window.allowed)
    chosen = [kind] if kind in _LEVELS else [LimitKind.LOW, LimitKind.HIGH]
    bounds: dict[str, Any] = {}
    fixed = window.target if isinstance(window.target, (int, float)) else None
    for name in chosen:
        limit = limits.get(str(name))
        if limit is None:
            continue
        upper = name in (LimitKind.HIGH, LimitKind.HIHI)
        if limit.tolerance is None:
            bounds["high" if upper else "low"] = limit.value
        elif fixed is None:
            bounds["above" if upper else "below"] = limit.tolerance
        else:
            bounds["high" if upper else "low"] = fixed + (limit.tolerance if upper else -limit.tolerance)
    return Band(**bounds)


class Account:
    """Figures of one tag over [from, to) of wall time. ``put`` in the order of time; statements before the
    span only say what held at its begin. ``hold_ns`` None: a reading holds until the next one."""

    def __init__(self, from_ns: int, to_ns: int, band: Band, hold_ns: int | None) -> None:
        self.counts: Counter[str] = Counter()
        self.gaps: list[tuple[int, int]] = []
        self.more_gaps = 0
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._band = band
        self._hold_ns = hold_ns
        self._target: float | None = None
        self._held: Statement | None = None
        self._said_ns = 0  # monotonic: when what is held was last said
        self._at_ns: int | None = None  # monotonic: up to where time is booked
        self._newest: tuple[int, int] | None = None  # wall and monotonic time of the newest statement
        self._first: Statement | None = None
        self._last: Statement | None = None
        self._least: float | None = None
        self._most: float | None = None
        self._spent = {"good": 0, "uncertain": 0, "bad": 0, "absent": 0}
        self._numeric_ns = 0
        self._weighted = 0.0
        self._outside_ns = 0
        self._compared_ns = 0
        self._area = 0.0

    def put(self, said: Statement) -> None:
        """A reading of the source, good or bad."""
        self._reach(said.time_ns, said.mono_ns)
        self._held, self._said_ns = said, said.mono_ns
        if not self._from_ns <= said.time_ns < self._to_ns:
            return
        self.counts[_name(said.quality)] += 1
        if said.quality == Quality.GOOD:
            self._first = self._first or said
            self._last = said
            if _numeric(said.value):
                value = said.value
                self._least = value if self._least is None else min(self._least, value)
                self._most = value if self._most is None else max(self._most, value)

    def still(self, time_ns: int, mono_ns: int) -> None:
        """The source vouches that its value is still the one it last reported."""
        self._reach(time_ns, mono_ns)
        self._said_ns = mono_ns

    def follow(self, said: Statement) -> None:
        """A reading of the target."""
        self._reach(said.time_ns, said.mono_ns)
        value = said.value
        self._target = value if said.quality == Quality.GOOD and _numeric(value) else None

    def close(self) -> None:
        """The span is over: books what is left of it."""
        if self._newest is None:
            self._absent(self._from_ns, self._to_ns - self._from_ns)
            return
        time_ns, mono_ns = self._newest
        self._book(mono_ns + self._to_ns - time_ns)

    def figures(self) -> dict[str, Any]:
        """Plain data; None where there is nothing to say."""
        whole_ns = max(sum(self._spent.values()), 1)
        outside = {
            "outside_s": self._outside_ns / 1e9,
            "area": None if self._band.allowed else self._area / 1e9,
        }
        low, high = self._band.limits(self._target)
        return {
            "n": sum(self.counts.values()),
            "min": self._least,
            "max": self._most,
            "mean": self._weighted / self._numeric_ns if self._numeric_ns else None,
            "first": None if self._first is None else self._first.value,
            "last": None if self._last is None else self._last.value,
            **(outside if self._compared_ns else dict.fromkeys(outside)),
            "low": low,
            "high": high,
            "share": {name: spent / whole_ns for name, spent in self._spent.items()},
            "span_s": sum(self._spent.values()) / 1e9,
        }

    # --- time ----------------------------------------------------------------------------------------------

    def _reach(self, time_ns: int, mono_ns: int) -> None:
        if self._at_ns is None:
            self._at_ns = mono_ns - time_ns + self._from_ns
        self._book(mono_ns)
        self._newest = time_ns, mono_ns

    def _book(self, until_ns: int) -> None:
        """Time up to ``until_ns``, to what was held."""
        at_ns = self._at_ns
        assert at_ns is not None  # _reach has set it
        if until_ns <= at_ns:
            return
        self._at_ns = until_ns
        held = self._held
        if held is None:
            known_ns = at_ns
        elif self._hold_ns is None:
            known_ns = until_ns
        else:
            known_ns = min(max(self._said_ns + self._hold_ns, at_ns), until_ns)
        if held is not None and known_ns > at_ns:
            self._known(held, known_ns - at_ns)
        if until_ns > known_ns:
            time_ns, mono_ns = self._newest or (self._from_ns, at_ns)
            self._absent(max(time_ns + known_ns - mono_ns, self._from_ns), until_ns - known_ns)

    def _known(self, held: Statement, spent_ns: int) -> None:
        quality = held.quality
        self._spent["good" if quality < 0x40 else "uncertain" if quality < 0x80 else "bad"] += spent_ns
        if quality >= 0x40:
            return
        if _numeric(held.value):
            self._numeric_ns += spent_ns
            self._weighted += held.value * spent_ns
        excess = self._band.excess(held.value, held.raw, self._target)
        if excess is not None:
            self._compared_ns += spent_ns
            self._area += excess * spent_ns
            self._outside_ns += spent_ns if excess > 0 else 0

    def _absent(self, begin_ns: int, spent_ns: int) -> None:
        """``begin_ns``: wall time."""
        self._spent["absent"] += spent_ns
        if self.gaps and self.gaps[-1][1] == begin_ns:
            self.gaps[-1] = self.gaps[-1][0], begin_ns + spent_ns
        elif len(self.gaps) < GAPS:
            self.gaps.append((begin_ns, begin_ns + spent_ns))
        else:
            self.more_gaps += 1


class Excerpt:
    """A series at full rate, bounded: where there are more readings than ``limit``, the first half of the
    limit and the last half are whole, and ``left_out`` says what lay between."""

    def __init__(self, limit: int = POINTS) -> None:
        self._room = limit - limit // 2
        self._head: list[Statement] = []
        self._tail: deque[Statement] = deque(maxlen=max(limit // 2, 1))
        self._left: tuple[int, int, int] | None = None

    def put(self, said: Statement) -> None:
        if len(self._head) < self._room:
            self._head.append(said)
            return
        if len(self._tail) == self._tail.maxlen:
            gone = self._tail[0]
            first_ns, _, count = self._left or (gone.time_ns, 0, 0)
            self._left = first_ns, gone.time_ns, count + 1
        self._tail.append(said)

    @property
    def left_out(self) -> dict[str, int] | None:
        """Times of the first and last reading that does not stand in the series, and how many."""
        if self._left is None:
            return None
        return dict(zip(("from_ns", "to_ns", "readings"), self._left, strict=True))

    def as_dict(self, unit: str, *, scaled: bool) -> dict[str, Any]:
        """``t_ns``: of the first reading; ``dt_ms``: after it. ``q``: two hex digits per reading, or nothing
        if all are good. ``raw`` only where the tag is scaled."""
        points = [*self._head, *self._tail]
        base_ns = points[0].time_ns if points else 0
        quality = bytes(p.quality for p in points)
        out: dict[str, Any] = {
            "unit": unit,
            "t_ns": base_ns,
            "dt_ms": [(p.time_ns - base_ns) // 1_000_000 for p in points],
            "v": [p.value for p in points],
            "q": quality.hex() if any(quality) else "",
        }
        if scaled:
            out["raw"] = [p.raw for p in points]
        if self.left_out is not None:
            out["left_out"] = self.left_out
        return out


def _numeric(value: Value) -> TypeGuard[int | float]:
    return value is not None and not isinstance(value, (bool, str))


def _name(quality: int) -> str:
    try:
        return Quality(quality).name.lower()
    except ValueError:
        return f"0x{quality:02x}"

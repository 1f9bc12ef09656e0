"""What one tag did over the last minutes: the windows of ``avg min max sum``, ``delta rate`` and ``hold``.

A statement holds until the next one, but no longer than ``max_age_ns``; what is bad does not count, and where
less than three quarters of the span are known the result is uncertain. All times are monotonic and never go
back. Adding and asking cost the same however long the span is.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any, NamedTuple

from edge_agent.expression.rating import BAD, ENOUGH, GOOD, UNCERTAIN
from edge_agent.model import Quality

Number = bool | int | float | Decimal
Rated = tuple[Any, int]
MOST_KEPT = 240  # statements of one span that a snapshot holds; it is written often
WAITING = int(Quality.WAITING)
STALE = int(Quality.STALE)


class Stretch(NamedTuple):
    """A usable value and how long it held."""

    start_ns: int
    end_ns: int
    value: Any
    quality: int


class Sums(NamedTuple):
    """Over several stretches. ``area``: values times nanoseconds."""

    area: Any
    weight_ns: int
    low: Any
    high: Any
    total: Any
    worst: int


def _both(a: Sums | None, b: Sums | None) -> Sums | None:
    if a is None or b is None:
        return b if a is None else a
    return Sums(
        a.area + b.area,
        a.weight_ns + b.weight_ns,
        a.low if a.low <= b.low else b.low,
        a.high if a.high >= b.high else b.high,
        a.total + b.total,
        a.worst if a.worst >= b.worst else b.worst,
    )


def _one(stretch: Stretch) -> Sums:
    value, long_ns = stretch.value, stretch.end_ns - stretch.start_ns
    return Sums(value * long_ns, long_ns, value, value, value, stretch.quality)


class Mean:
    """``avg``, ``min``, ``max``, ``sum``. Two stacks make a queue whose sums are never corrected by taking
    away, so nothing drifts: ``_old`` holds, top oldest, each stretch with the sums from it to the bottom."""

    def __init__(self, window_ns: int, max_age_ns: int) -> None:
        self.window_ns = window_ns
        self.max_age_ns = max_age_ns
        self._old: list[tuple[Stretch, Sums | None]] = []
        self._new: list[Stretch] = []
        self._new_sums: Sums | None = None
        self._head: Stretch | None = None  # begins before the span, reaches into it
        self._last: Stretch | None = None  # still holds; its end is how long it may
        self._quality = WAITING

    def put(self, mono_ns: int, value: Number | None, quality: int) -> None:
        last = self._last
        if last is not None:
            self._push(last._replace(end_ns=min(mono_ns, last.end_ns)))
        usable = quality < BAD and value is not None
        self._last = Stretch(mono_ns, mono_ns + self.max_age_ns, value, quality) if usable else None
        self._quality = quality

    def _push(self, stretch: Stretch) -> None:
        self._new.append(stretch)
        self._new_sums = _both(self._new_sums, _one(stretch))

    def get(self, function: str, now_ns: int) -> Rated:
        sums = self._sums(now_ns)
        if sums is None:
            return None, self._quality if self._quality >= BAD else WAITING
        known = sums.weight_ns >= ENOUGH * self.window_ns
        quality = sums.worst if known else max(sums.worst, UNCERTAIN)
        match function:
            case "min":
                return sums.low, quality
            case "max":
                return sums.high, quality
            case "sum":
                return sums.total, quality
        return (sums.area / sums.weight_ns if sums.weight_ns else sums.high + 0.0), quality

    def _sums(self, now_ns: int) -> Sums | None:
        floor_ns = now_ns - self.window_ns
        self._forget(floor_ns)
        found = _both(self._old[-1][1] if self._old else None, self._new_sums)
        for part in (self._head, self._last):
            if part is None or part.end_ns <= floor_ns:
                continue
            cut = part._replace(start_ns=max(part.start_ns, floor_ns), end_ns=min(part.end_ns, now_ns))
            sums = _one(cut)
            if part.start_ns <= floor_ns:
                sums = sums._replace(total=0 * part.value)  # it was said before the span began
            found = _both(found, sums)
        return found

    def _forget(self, floor_ns: int) -> None:
        if self._head is not None and self._head.end_ns <= floor_ns:
            self._head = None
        while True:
            if not self._old:
                self._turn()
            if not self._old or self._old[-1][0].start_ns > floor_ns:
                return
            oldest = self._old.pop()[0]
            if oldest.end_ns > floor_ns:
                self._head = oldest

    def _turn(self) -> None:
        sums: Sums | None = None
        while self._new:
            stretch = self._new.pop()
            sums = _both(_one(stretch), sums)
            self._old.append((stretch, sums))
        self._new_sums = None

    def snapshot(self, to_wall_ns: int) -> dict[str, Any]:
        held = [stretch for stretch, _ in reversed(self._old)] + self._new
        parts = [part for part in (self._head, *held, self._last) if part is not None]
        if len(parts) > MOST_KEPT:  # without the middle, nothing of it would be true
            parts = parts[-1:] if self._last is not None else []
        return {
            "parts": [[p.start_ns + to_wall_ns, p.end_ns - p.start_ns, p.value, p.quality] for p in parts],
            "holds": self._last is not None,
            "quality": self._quality,
        }

    def restore(self, saved: dict[str, Any], to_wall_ns: int) -> None:
        parts = [Stretch(w - to_wall_ns, w - to_wall_ns + d, v, int(q)) for w, d, v, q in saved["parts"]]
        self._last = parts.pop() if saved["holds"] else None
        for part in parts:
            self._push(part)
        self._quality = int(saved["quality"])


class Ends:
    """``delta`` and ``rate``: the newest reading less the newest one that is at least a span older.

    Where none is, or that one is too old because nothing came for long, the oldest reading inside the span
    serves, and what is known of the span decides whether the result is uncertain.
    """

    def __init__(self, window_ns: int, max_age_ns: int) -> None:
        self.window_ns = window_ns
        self.max_age_ns = max_age_ns
        self._readings: deque[tuple[int, Any]] = deque()
        self._doubts: deque[tuple[int, int]] = deque()  # (when, quality)
        self._quality = WAITING

    def put(self, mono_ns: int, value: Number | None, quality: int) -> None:
        self._quality = quality
        if quality >= BAD or value is None:
            return
        self._readings.append((mono_ns, value))
        if quality:
            self._doubts.append((mono_ns, quality))

    def get(self, function: str, now_ns: int) -> Rated:
        floor_ns = now_ns - self.window_ns
        readings = self._readings
        while len(readings) > 1 and readings[1][0] <= floor_ns:
            readings.popleft()
        base = readings[0] if readings else (now_ns, 0)
        if base[0] < floor_ns - self.max_age_ns and len(readings) > 1:
            base = readings[1]
        if len(readings) < 2 or readings[-1][0] <= max(base[0], floor_ns):
            return None, self._quality if self._quality >= BAD else WAITING
        last = readings[-1]
        while self._doubts and self._doubts[0][0] <= base[0]:
            self._doubts.popleft()
        quality = max((q for _, q in self._doubts), default=GOOD)
        if last[0] - max(base[0], floor_ns) < ENOUGH * self.window_ns:
            quality = max(quality, UNCERTAIN)
        change = float(last[1] - base[1])
        return (change if function == "delta" else change / ((last[0] - base[0]) / 1e9)), quality

    def snapshot(self, to_wall_ns: int) -> dict[str, Any]:
        every = len(self._readings) // MOST_KEPT + 1
        kept = list(self._readings)[::-1][::every][::-1]  # the newest is among them
        return {
            "readings": [[at + to_wall_ns, _plain(value)] for at, value in kept],
            "doubts": [[at + to_wall_ns, quality] for at, quality in list(self._doubts)[-MOST_KEPT:]],
            "quality": self._quality,
        }

    def restore(self, saved: dict[str, Any], to_wall_ns: int) -> None:
        self._readings = deque((int(at) - to_wall_ns, _unplain(value)) for at, value in saved["readings"])
        self._doubts = deque((int(at) - to_wall_ns, int(quality)) for at, quality in saved["doubts"])
        self._quality = int(saved["quality"])


class Hold:
    """``hold``: the last good value while there is none, for so long, as uncertain."""

    def __init__(self, window_ns: int, max_age_ns: int) -> None:
        self.window_ns = window_ns
        self.max_age_ns = max_age_ns
        self._said_ns = 0
        self._good: tuple[int, Any] | None = None
        self._now: Rated = (None, WAITING)

    def put(self, mono_ns: int, value: Number | None, quality: int) -> None:
        self._now, self._said_ns = (value, quality), mono_ns
        if quality < BAD and value is not None:
            self._good = (mono_ns, value)

    def get(self, function: str, now_ns: int) -> Rated:
        value, quality = self._now
        if quality < BAD:
            if now_ns - self._said_ns <= self.max_age_ns:
                return value, quality
            quality = STALE
        if self._good is None or now_ns - self._good[0] > self.window_ns:
            return None, quality
        return self._good[1], UNCERTAIN

    def snapshot(self, to_wall_ns: int) -> dict[str, Any]:
        good = None if self._good is None else [self._good[0] + to_wall_ns, self._good[1]]
        said_ns = self._said_ns + to_wall_ns
        return {"good": good, "said_ns": said_ns, "quality": self._now[1], "value": self._now[0]}

    def restore(self, saved: dict[str, Any], to_wall_ns: int) -> None:
        good = saved["good"]
        self._good = None if good is None else (int(good[0]) - to_wall_ns, good[1])
        self._now = (saved["value"], int(saved["quality"]))
        self._said_ns = int(saved["said_ns"]) - to_wall_ns


Span = Mean | Ends | Hold


def span(function: str, window_ns: int, max_age_ns: int) -> Span:
    if function == "hold":
        return Hold(window_ns, max_age_ns)
    return (Ends if function in ("delta", "rate") else Mean)(window_ns, max_age_ns)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _unplain(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) else value

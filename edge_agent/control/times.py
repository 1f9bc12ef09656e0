"""Time in each state per shift and day: what a shift report says of every window.

Windows keep sums that only grow; this book remembers the sums at the begin of each period and tells the
difference at its end. Periods begin on local time (a fixed offset, no summer time); the moments of a record
are those at which the sums were really taken.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from edge_agent.config.model import Shifts
from edge_agent.control.excursion import Moment
from edge_agent.model import Event

DAY_S = 86_400
BEIJING_S = 28_800
PER_EVENT = 200  # windows in one record
NOW = "times:now"
_MALFORMED = (KeyError, TypeError, ValueError, OverflowError, AttributeError, zlib.error)
_SUMS = ("in", "out", "unknown", "suppressed")
_WIDTH = len(_SUMS) + 1


class Times(NamedTuple):
    """Of one window since ever: nanoseconds in each state, excursions, and the unknown time by reason."""

    window: str
    in_ns: int
    out_ns: int
    unknown_ns: int
    suppressed_ns: int
    excursions: int
    unknown_by: Mapping[str, int]


class _Span(NamedTuple):
    kind: str  # day or shift
    name: str
    start_ns: int
    end_ns: int


class _Open:
    """One period under way: the sums at its begin, in the order of ``names``. Lean: there may be thousands of
    windows."""

    __slots__ = ("names", "reasons", "since_ns", "span", "sums")

    def __init__(self, span: _Span, since_ns: int, times: Iterable[Times]) -> None:
        self.span = span
        self.since_ns = since_ns
        self.names: list[str] = []
        self.sums = array("q")
        self.reasons: dict[str, array[int]] = {}  # as far as windows had any: a number each
        self.take(times)

    def take(self, times: Iterable[Times]) -> None:
        """Windows that are not yet known begin here."""
        known = set(self.names)
        for each in times:
            if each.window not in known:
                for reason, ns in each.unknown_by.items():
                    held = self.reasons.setdefault(reason, array("q"))
                    held.frombytes(bytes(8 * (len(self.names) - len(held))))  # those before had none of it
                    held.append(ns)
                self.names.append(each.window)
                self.sums.extend(each[1:6])

    def since(self, times: Iterable[Times]) -> Iterator[tuple[str, dict[str, Any]]]:
        places = {name: place for place, name in enumerate(self.names)}
        for each in times:
            place = places.get(each.window)
            if place is None:
                continue
            base = self.sums[place * _WIDTH : (place + 1) * _WIDTH]
            spent = [max(0, now - then) for now, then in zip(each[1:6], base, strict=True)]
            row: dict[str, Any] = {name: ns / 1e9 for name, ns in zip(_SUMS, spent, strict=False)}
            row["excursions"] = spent[-1]
            before = {reason: held[place] for reason, held in self.reasons.items() if place < len(held)}
            why = {r: (ns - before.get(r, 0)) / 1e9 for r, ns in each.unknown_by.items()}
            if why := {reason: seconds for reason, seconds in why.items() if seconds > 0}:
                row["unknown_by"] = why
            yield each.window, row

    def times(self) -> Iterator[Times]:
        """As they were taken."""
        for place, name in enumerate(self.names):
            sums = self.sums[place * _WIDTH : (place + 1) * _WIDTH]
            in_ns, out_ns, unknown_ns, suppressed_ns, excursions = sums
            reasons = {r: held[place] for r, held in self.reasons.items() if place < len(held)}
            yield Times(name, in_ns, out_ns, unknown_ns, suppressed_ns, excursions, reasons)

    def as_dict(self) -> dict[str, Any]:
        """Packed: the store keeps rows in memory, and thousands of numbers in a list are a megabyte."""
        return {
            "span": list(self.span),
            "since_ns": self.since_ns,
            "names": _packed("\n".join(self.names).encode()),
            "sums": _packed(self.sums),
            "reasons": {reason: _packed(held) for reason, held in self.reasons.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> _Open:
        kind, name, start_ns, end_ns = data["span"]
        self = cls(_Span(str(kind), str(name), int(start_ns), int(end_ns)), int(data["since_ns"]), ())
        self.names = _unpacked(data["names"]).decode().splitlines()
        self.sums = array("q", _unpacked(data["sums"]))
        if len(self.sums) != _WIDTH * len(self.names):
            raise ValueError("sums and names do not fit")
        self.reasons = {str(r): array("q", _unpacked(text)) for r, text in data["reasons"].items()}
        return self


class TimeBook:
    """``tick`` about once a second. Pure."""

    def __init__(self, shifts: Shifts, config_version: str, zone_s: int = BEIJING_S) -> None:
        self.shifts = shifts
        self.config_version = config_version
        self._zone_ns = zone_s * 1_000_000_000
        self._open: dict[str, _Open] = {}
        self._changed: set[str] = set()

    def tick(self, at: Moment, ask: Callable[[], Iterable[Times]]) -> list[Event]:
        """The records of the periods that have ended. ``ask`` is called only where one begins or ends."""
        events: list[Event] = []
        spans = self._spans(at.time_ns)
        for kind in [kind for kind in self._open if kind not in spans]:
            events += self._close(kind, at, ask())
        for kind, span in spans.items():
            held = self._open.get(kind)
            if held is None or held.span[1:] != span[1:]:
                if held is not None:
                    events += self._close(kind, at, ask())
                self._open[kind] = _Open(span, at.time_ns, ask())
                self._changed.add(kind)
        return events

    def so_far(self, at: Moment, times: Iterable[Times]) -> list[dict[str, Any]]:
        """The periods under way, in the form of the records' detail."""
        taken = list(times)
        return [_detail(held, at.time_ns, dict(held.since(taken))) for held in self._open.values()]

    def checkpoint(self, at: Moment, times: Iterable[Times]) -> dict[str, Any]:
        """A state row with all sums as of now: what an unclean stop then costs is the time since. ``kept``
        reads it."""
        return {NOW: _Open(_Span("now", "", at.time_ns, at.time_ns), at.time_ns, times).as_dict()}

    def arrange(self, times: Iterable[Times]) -> None:
        """After a reload: new windows count from here on."""
        taken = list(times)
        for kind, held in self._open.items():
            held.take(taken)
            self._changed.add(kind)

    def _close(self, kind: str, at: Moment, times: Iterable[Times]) -> list[Event]:
        held = self._open.pop(kind)
        self._changed.add(kind)
        rows = held.since(times)
        parts = []
        while part := dict(islice(rows, PER_EVENT)):
            parts.append(part)
        events = []
        for number, part in enumerate(parts, start=1):
            detail = _detail(held, at.time_ns, part) | {"part": number, "parts": len(parts)}
            name = held.span.name or kind
            events.append(Event("window_times", name, at.time_ns, at.mono_ns, self.config_version, detail))
        return events

    def _spans(self, time_ns: int) -> dict[str, _Span]:
        local_ns = time_ns + self._zone_ns
        day_ns = DAY_S * 1_000_000_000
        midnight_ns = local_ns - local_ns % day_ns - self._zone_ns
        spans = {"day": _Span("day", "", midnight_ns, midnight_ns + day_ns)}
        begins = [(begin_s * 1_000_000_000, name) for begin_s, name in self.shifts.begins]
        if begins:
            passed_ns = time_ns - midnight_ns
            past = [pair for pair in begins if pair[0] <= passed_ns]
            start_ns, name = past[-1] if past else (begins[-1][0] - day_ns, begins[-1][1])
            later = [begin_ns for begin_ns, _ in begins if begin_ns > passed_ns]
            end_ns = later[0] if later else begins[0][0] + day_ns
            spans["shift"] = _Span("shift", name, midnight_ns + start_ns, midnight_ns + end_ns)
        return spans

    def changed(self) -> dict[str, Any]:
        """State rows that have changed since the last call; None: the row is not needed any more."""
        kinds, self._changed = self._changed, set()
        return {
            f"times:{kind}": self._open[kind].as_dict() if kind in self._open else None
            for kind in sorted(kinds)
        }

    def restore(self, states: Mapping[str, Any]) -> None:
        """Once, before the first tick. Malformed rows are passed over: their periods begin anew."""
        for kind in ("day", "shift"):
            saved = states.get(f"times:{kind}")
            if saved is None:
                continue
            try:
                self._open[kind] = _Open.from_dict(saved)
            except _MALFORMED:
                continue


def kept(states: Mapping[str, Any]) -> tuple[int, list[Times]]:
    """The sums of the newest ``checkpoint`` among state rows, and its wall time; none where there is none."""
    try:
        held = _Open.from_dict(states[NOW])
    except _MALFORMED:
        return 0, []
    return held.since_ns, list(held.times())


def _packed(data: bytes | array[int]) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _detail(held: _Open, until_ns: int, windows: Mapping[str, Any]) -> dict[str, Any]:
    span = held.span
    return {
        "period": span.kind,
        "name": span.name,
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "since_ns": held.since_ns,
        "until_ns": until_ns,
        "windows": dict(windows),
    }

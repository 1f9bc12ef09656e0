"""What was written when and how often: budgets per Beijing day, intervals, the last value, reverts due.

One ``TagLedger`` per writable that was ever written; one ``Days`` for all of them. Plain arithmetic; times
are arguments. What must outlive a restart is in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.control.excursion import Moment
from edge_agent.model import Value

BEIJING_S = 28_800
_DAYS_KEPT = 4
_RETRY_S = 5.0
_RETRY_MOST_S = 300.0


def day_of(time_ns: int) -> int:
    """The Beijing day a UTC time falls on, counted from 1970."""
    return (time_ns // 1_000_000_000 + BEIJING_S) // 86_400


class Days:
    """Counts per Beijing day. A few past days are kept: a clock that is set back finds its count again."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts: dict[int, int] = {int(day): int(count) for day, count in (counts or {}).items()}

    def count(self, time_ns: int) -> int:
        return self._counts.get(day_of(time_ns), 0)

    def add(self, time_ns: int, by: int = 1) -> None:
        day = day_of(time_ns)
        self._counts[day] = max(0, self._counts.pop(day, 0) + by)
        while len(self._counts) > _DAYS_KEPT:
            del self._counts[next(iter(self._counts))]

    def row(self) -> dict[str, int]:
        return {str(day): count for day, count in self._counts.items() if count}


class Revert:
    """A value that has to be taken back. ``value``: to what, engineering units (of a BOOL, a bool).
    ``writes``: how many writes that will take, kept free in the budgets."""

    __slots__ = ("due_mono_ns", "tries", "value", "writes")

    def __init__(self, value: float | bool, due_mono_ns: int, writes: int) -> None:
        self.value = value
        self.due_mono_ns = due_mono_ns
        self.writes = writes
        self.tries = 0

    def postpone(self, mono_ns: int) -> None:
        """After a refusal or failure: again after 5 s, then twice as long, at most 5 min."""
        wait_s = min(_RETRY_S * 2**self.tries, _RETRY_MOST_S)
        self.tries = min(self.tries + 1, 16)
        self.due_mono_ns = mono_ns + int(wait_s * 1e9)

    def row(self, at: Moment) -> dict[str, Any]:
        left_ns = max(0, self.due_mono_ns - at.mono_ns)
        return {
            "value": self.value, "writes": self.writes, "left_ns": left_ns, "due_ns": at.time_ns + left_ns,
        }  # fmt: skip

    @classmethod
    def of(cls, row: Mapping[str, Any], at: Moment) -> Revert:
        """By wall time, and never later than what was left when it was stored."""
        left_ns = max(0, min(int(row["left_ns"]), int(row["due_ns"]) - at.time_ns))
        return cls(row["value"], at.mono_ns + left_ns, int(row["writes"]))


class TagLedger:
    """``raw``: the last value sent, None where none was. ``sent_mono_ns``: when."""

    __slots__ = ("days", "raw", "revert", "sent_mono_ns", "sure")

    def __init__(self) -> None:
        self.days = Days()
        self.raw: Value = None
        self.sent_mono_ns: int | None = None
        self.revert: Revert | None = None
        self.sure = True  # False: the write of ``raw`` failed, nobody knows what the controller holds

    def since_s(self, mono_ns: int) -> float | None:
        """Seconds since the last write; None where there was none."""
        return None if self.sent_mono_ns is None else max(0, mono_ns - self.sent_mono_ns) / 1e9

    @property
    def reserved(self) -> int:
        return self.revert.writes if self.revert else 0

    def row(self, at: Moment) -> dict[str, Any]:
        since_ns = None if self.sent_mono_ns is None else max(0, at.mono_ns - self.sent_mono_ns)
        return {
            "days": self.days.row(),
            "raw": self.raw,
            "sure": self.sure,
            "sent_ns": None if since_ns is None else at.time_ns - since_ns,
            "revert": self.revert.row(at) if self.revert else None,
        }

    @classmethod
    def of(cls, row: Mapping[str, Any], at: Moment) -> TagLedger:
        found = cls()
        found.days = Days(row["days"])
        found.raw, found.sure = row["raw"], bool(row["sure"])
        if row["sent_ns"] is not None:
            found.sent_mono_ns = at.mono_ns - max(0, at.time_ns - int(row["sent_ns"]))
        found.revert = Revert.of(row["revert"], at) if row["revert"] else None
        return found


class DeviceLedger:
    """``failures``: one after the other. ``locked``: why, or empty; ``since_ns``: wall time."""

    __slots__ = ("failures", "locked", "since_ns")

    def __init__(self, failures: int = 0, locked: str = "", since_ns: int = 0) -> None:
        self.failures = failures
        self.locked = locked
        self.since_ns = since_ns

    def lock(self, why: str, time_ns: int) -> None:
        self.locked, self.since_ns = why, time_ns

    def row(self) -> dict[str, Any] | None:
        if not self.failures and not self.locked:
            return None
        return {"failures": self.failures, "locked": self.locked, "since_ns": self.since_ns}

"""The change reports of one poll group on one connection, and the read by plan that runs beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.driver import Columns
from edge_agent.model import Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.acquisition.cycle import Cycle
    from edge_agent.clock import Clock


class Feed:
    """``take`` is the sink that a driver calls, at any moment. ``emit`` gets the columns of each report;
    those of a keep-alive say UNCHANGED of every tag that the device watches.

    Order: a read asks for values at a moment before its reply is there. What was reported since the read
    began is newer than what it brings (``newest``).
    """

    def __init__(self, cycle: Cycle, clock: Clock, emit: Callable[[Columns], None]) -> None:
        width = len(cycle.tags)
        self.cycle = cycle
        self.partial = False  # the device does not watch every tag
        self.broken = False  # it reported something that is no report
        self._clock = clock
        self._emit = emit
        self._open = True
        self._liveness_ns: int | None = None
        self._heard_ns = clock.mono_ns()
        self._nothing = (None,) * width
        self._still = bytes([Quality.UNCHANGED]) * width
        self._reported: set[int] = set()

    def take(self, columns: Columns | None) -> None:
        if not self._open:
            return
        self._heard_ns = self._clock.mono_ns()
        if columns is None:
            self._emit(Columns(self._nothing, self._still))
        elif len(columns.values) == len(columns.quality) == len(self._nothing):
            self._see(columns.quality)
            self._emit(columns)
        else:
            self.broken = True

    def _see(self, quality: bytes) -> None:
        unchanged, left_out = Quality.UNCHANGED, Quality.NOT_REPORTED
        if quality.count(unchanged) == len(quality):
            return
        self._reported.update([i for i, q in enumerate(quality) if q < left_out])
        if left_out in quality:
            self.partial = True
            self._still = bytes([left_out if q == left_out else unchanged for q in quality])

    def live(self, liveness_s: float) -> None:
        """Subscribed: from now on silence means something."""
        self._liveness_ns = round(liveness_s * 1e9)
        self._heard_ns = self._clock.mono_ns()
        self.cycle.row.liveness_s = liveness_s

    @property
    def deadline_ns(self) -> int:
        assert self._liveness_ns is not None
        return self._heard_ns + self._liveness_ns

    def forgive(self, late_ns: int) -> None:
        """The agent itself stood still: the reports of the meantime are still waiting to be taken."""
        self._heard_ns += late_ns

    def reading(self) -> None:
        """A read by plan begins."""
        self._reported.clear()

    def newest(self, columns: Columns) -> Columns:
        """The columns of a read, without those that were reported while it was under way."""
        if not self._reported:
            return columns
        values, quality = list(columns.values), bytearray(columns.quality)
        for index in self._reported:
            values[index], quality[index] = None, Quality.UNCHANGED
        return Columns(tuple(values), bytes(quality), columns.source_ns)

    def close(self) -> None:
        self._open = False

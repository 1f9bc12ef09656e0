"""What a shift report is made of, over the console: time in windows per shift and day, totals per period."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.control.excursion import Moment
from edge_agent.control.times import BEIJING_S, DAY_S
from edge_agent.errors import LinesideError
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.console import Handler
    from edge_agent.control.times import TimeBook, Times
    from edge_agent.model import Event

DAY_NS = DAY_S * 1_000_000_000
_ZONE = timezone(timedelta(seconds=BEIJING_S))
MOST = 5_000
_LATE_NS = 2 * DAY_NS  # a record is written at the end of its period; a month's total belongs to its begin
_TOTALS = frozenset({"period_total", "period_corrected", "amount_corrected"})


class ReportRefused(LinesideError):
    """What was asked for cannot be told; the text says why."""


class History(Protocol):
    def __call__(
        self, start_ns: int, end_ns: int, kinds: frozenset[str], limit: int
    ) -> Awaitable[Sequence[Event]]: ...


def report_handlers(
    book: Callable[[], TimeBook], times: Callable[[], Iterable[Times]], clock: Clock, history: History
) -> dict[str, Handler]:
    """``report.windows`` and ``report.totals``; both take ``day`` (2026-11-22; default: today)."""
    desk = _Desk(book, times, clock, history)
    return {"report.windows": desk.windows, "report.totals": desk.totals}


class _Desk:
    def __init__(
        self,
        book: Callable[[], TimeBook],
        times: Callable[[], Iterable[Times]],
        clock: Clock,
        history: History,
    ) -> None:
        self._book = book
        self._times = times
        self._clock = clock
        self._history = history

    async def windows(self, _user: str, args: Mapping[str, Any]) -> Any:
        """One record per day and shift that began on that day, those under way included (``running``). The
        parts of a record are put together. ``shifts``: the names of those configured now."""
        start_ns = self._day(args)
        events = await self._history(start_ns, start_ns + _LATE_NS, frozenset({"window_times"}), MOST)
        found: dict[tuple[str, int, int], dict[str, Any]] = {}
        for event in events:
            detail = dict(event.detail)
            key = str(detail["period"]), int(detail["start_ns"]), int(detail["since_ns"])
            record = found.setdefault(key, detail | {"windows": {}, "running": False})
            record["windows"].update(detail["windows"])
        at = Moment(self._clock.mono_ns(), self._clock.time_ns(), self._clock.mono_ns())
        running = [record | {"running": True} for record in self._book().so_far(at, self._times())]
        records = [*found.values(), *running]
        shown = [r for r in records if start_ns <= r["start_ns"] < start_ns + DAY_NS]
        shifts = [name for _, name in self._book().shifts.begins]
        return {"periods": shown, "day": _name(start_ns), "shifts": shifts}

    async def totals(self, _user: str, args: Mapping[str, Any]) -> Any:
        """The totals of the periods that began on that day, and what was corrected later. ``over``: the day
        has ended."""
        start_ns = self._day(args)
        until_ns = self._clock.time_ns() + DAY_NS
        events = await self._history(start_ns, until_ns, _TOTALS, MOST)
        rows = [{"kind": event.kind, "source": event.source, **event.detail} for event in events]
        shown = [r for r in rows if start_ns <= r.get("start_ns", 0) < start_ns + DAY_NS]
        over = start_ns + DAY_NS <= self._clock.time_ns()
        return {"totals": shown, "day": _name(start_ns), "over": over}

    def _day(self, args: Mapping[str, Any]) -> int:
        """The Beijing midnight at which the day begins, UTC nanoseconds."""
        text = args.get("day")
        if text is None:
            day = datetime.fromtimestamp(self._clock.time_ns() / 1e9, _ZONE).date()
        else:
            try:
                day = date.fromisoformat(str(text))
            except ValueError:
                raise ReportRefused(
                    Text(f"{text!r} is no day: write 2026-01-31", f"{text!r} 不是日期，请写成 2026-01-31")
                ) from None
        midnight = datetime(day.year, day.month, day.day, tzinfo=_ZONE)
        start_ns = round(midnight.timestamp()) * 1_000_000_000
        if start_ns > self._clock.time_ns():
            raise ReportRefused(Text(f"{day} is still to come", f"{day} 尚未到来"))
        return start_ns


def _name(start_ns: int) -> str:
    """2026-11-22, of its midnight."""
    return datetime.fromtimestamp(start_ns // 1_000_000_000, _ZONE).date().isoformat()

"""Every alarm has an evidence record: the readings before, during and after it, with figures and limits.

    alarm_raised ──> case (a state row: survives kill -9) ──> alarm_returned ──> after_s ──> record
                                └── longest_s ──> interim record, complete=false; the final one follows

Records are written one at a time, by a task of their own: a flood of alarms makes a queue of small cases, not
of samples. What a record needs is read from the history, which covers the disk and what is still in memory.
An alarm that comes back while its case is open belongs to that case, up to ``longest_s``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.agent.evidence_case import NOTES, Case, case_of
from edge_agent.agent.evidence_reading import Reading, Span
from edge_agent.model import Batch, Event

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.config.model import TagRef, Window

log = logging.getLogger(__name__)

KIND = "alarm_evidence"
ROW = "evidence:"
MOST_CASES = 2000
PATIENCE_S = 5.0  # for the disk to take the record before
_LOOK_NS = 100_000_000
_AGAIN_NS = 60_000_000_000
_ENDS = ("alarm_returned", "alarm_removed")

Rows = Mapping[str, Any]


class HistoryReader(Protocol):
    """``Buffer.history``."""

    def __call__(
        self,
        device: str | None,
        group: str | None,
        start_ns: int,
        end_ns: int,
        *,
        tags: Collection[TagRef] | None = None,
    ) -> AsyncIterator[Batch]: ...


class EvidenceKeeper:
    """``announce(events, rows)``: queues both for one transaction; ``rows`` as in ``changed``. ``waiting``:
    how many events the disk has not taken yet. ``reported``: whether a tag's source speaks only when its
    value changes, so that silence means unchanged. ``run`` is a supervisor: it never raises."""

    def __init__(
        self,
        history: HistoryReader,
        clock: Clock,
        announce: Callable[[Sequence[Event], Rows], None],
        windows: Callable[[], Mapping[str, Window]],
        before_s: float = 30.0,
        after_s: float = 30.0,
        longest_s: float = 600.0,
        *,
        waiting: Callable[[], int] = int,
        reported: Callable[[TagRef], bool] = lambda _: False,
    ) -> None:
        self.records = 0
        self.refused = 0  # alarms for which there was no room
        self._history = history
        self._clock = clock
        self._announce = announce
        self._windows = windows
        self._before_ns, self._after_ns = round(before_s * 1e9), round(after_s * 1e9)
        self._longest_ns = round(longest_s * 1e9)
        self._waiting = waiting
        self._reported = reported
        self._cases: dict[str, Case] = {}  # by id
        self._open: dict[str, Case] = {}  # by alarm: the one that takes what happens now
        self._changed: set[str] = set()
        self._bare: deque[Case] = deque(maxlen=MOST_CASES)  # beyond the most: a record without readings
        self._wake = asyncio.Event()
        self._stuck = False

    @property
    def cases(self) -> int:
        """How many are open."""
        return len(self._cases)

    # --- what happens --------------------------------------------------------------------------------------

    def hear(self, events: Sequence[Event]) -> None:
        """All events of control, in order. Cheap; take ``changed`` into the same transaction."""
        for event in events:
            if event.kind == "alarm_raised":
                self._raised(event)
            elif event.kind in _ENDS:
                self._returned(event)
            elif event.kind == "alarm_acknowledged":
                self._acknowledged(event)

    def _raised(self, event: Event) -> None:
        if event.detail.get("priority") == "diagnostic":
            return
        now_ns = self._clock.mono_ns()
        case = self._open.get(event.source)
        if case is not None and (
            case.returned_ns is None or event.time_ns - case.raised_ns < self._longest_ns
        ):
            self._raised_again(case, event, now_ns)
            return
        if len(self._cases) >= MOST_CASES:
            self.refused += 1
            self._bare.append(case_of(event, self._window(event), now_ns))
            self._wake.set()
            return
        case = case_of(event, self._window(event), now_ns + self._longest_ns)
        self._cases[case.id] = self._open[event.source] = case
        self._touch(case)

    def _window(self, event: Event) -> Window | None:
        return self._windows().get(str(event.detail.get("window", "")))

    def _raised_again(self, case: Case, event: Event, now_ns: int) -> None:
        if case.returned_ns is None:  # told twice: nothing new
            return
        if len(case.again) < NOTES:
            case.again.append([case.returned_ns, event.time_ns])
        else:
            case.uncounted += 1
        case.returned_ns, case.reason = None, ""
        left_ns = case.raised_ns + self._longest_ns - event.time_ns
        case.due_ns = None if case.interim else now_ns + max(left_ns, 0)
        self._touch(case)

    def _returned(self, event: Event) -> None:
        case = self._open.get(event.source)
        if case is None or case.returned_ns is not None:
            return
        reason = str(event.detail.get("reason") or "")
        case.returned_ns = event.time_ns
        case.reason = reason or ("removed" if event.kind == "alarm_removed" else "")
        case.due_ns = self._clock.mono_ns() + self._after_ns
        self._touch(case)

    def _acknowledged(self, event: Event) -> None:
        case = self._open.get(event.source)
        if case is None:
            return
        note = {"time_ns": event.time_ns, "user": event.detail.get("user", "")}
        if len(case.acknowledged) < NOTES:
            case.acknowledged.append(note | {"comment": event.detail.get("comment", "")})
        else:
            case.uncounted += 1
        self._touch(case)

    def _touch(self, case: Case) -> None:
        self._changed.add(case.name)
        self._wake.set()

    # --- the disk ------------------------------------------------------------------------------------------

    def changed(self) -> dict[str, Any]:
        """State rows touched since the last call; None: that row goes."""
        names, self._changed = self._changed, set()
        return {ROW + name: self._row(name) for name in names}

    def rows(self) -> dict[str, Any]:
        """All state rows."""
        return {ROW + name: self._row(name) for name in {case.name for case in self._cases.values()}}

    def _row(self, name: str) -> dict[str, Any] | None:
        mine = [case.as_dict() for case in self._cases.values() if case.name == name]
        return {"cases": mine} if mine else None

    def restore(self, states: Rows) -> None:
        """Takes up ``rows`` among other states, before the first ``hear``. Malformed ones are passed over. A
        case whose window is gone ends now."""
        now_ns, time_ns = self._clock.mono_ns(), self._clock.time_ns()
        windows = self._windows()
        for key, saved in states.items():
            if not key.startswith(ROW):
                continue
            try:
                cases = [Case.from_dict(one) for one in saved["cases"]]
            except (KeyError, TypeError, ValueError, IndexError, AttributeError):
                continue
            for case in cases[: MOST_CASES - len(self._cases)]:
                if case.returned_ns is None and case.window not in windows:
                    case.returned_ns, case.reason = time_ns, "removed"
                case.due_ns = self._due_after_restart(case, now_ns, time_ns)
                self._cases[case.id] = self._open[case.name] = case
        self._wake.set()

    def _due_after_restart(self, case: Case, now_ns: int, time_ns: int) -> int | None:
        if case.returned_ns is not None:
            left_ns, most_ns = case.returned_ns + self._after_ns - time_ns, self._after_ns
        elif case.interim:
            return None
        else:
            left_ns, most_ns = case.raised_ns + self._longest_ns - time_ns, self._longest_ns
        return now_ns + min(max(left_ns, 0), most_ns)

    # --- writing -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:  # a supervisor never raises: the next alarm must have its record
                log.exception("an evidence record could not be written")
                await self._clock.sleep_until(self._clock.mono_ns() + 1_000_000_000)

    async def _step(self) -> None:
        """Waits for what is due, then writes one record."""
        self._wake.clear()
        if self._bare:
            await self._room()
            case = self._bare.popleft()
            self._send(case, False, "too many alarms at once", _nothing(self._span(case, False)[0]))
            return
        ripe = min(
            (case for case in self._cases.values() if case.due_ns is not None),
            key=lambda case: case.due_ns or 0,
            default=None,
        )
        if ripe is None or ripe.due_ns is None:
            await self._wake.wait()
        elif ripe.due_ns > self._clock.mono_ns():
            await self._sleep(ripe.due_ns)
        else:
            await self._write(ripe)

    async def _sleep(self, until_ns: int) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep_until(until_ns))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleeping, waking):
                task.cancel()
            await asyncio.gather(sleeping, waking, return_exceptions=True)

    async def _write(self, case: Case) -> None:
        case.due_ns = self._clock.mono_ns() + _AGAIN_NS  # if the rest fails
        final = case.returned_ns is not None
        detail = None
        if case.source is None:
            note = "the window was not configured when the alarm came"
        elif not await self._room():
            note = "the disk takes no events: the record goes without its readings"
        else:
            note, detail = "", await self._read(case, final)
        if final and case.returned_ns is None:  # it came back while we read
            return
        if final:
            self._close(case)
        else:
            case.interim = True
            if case.returned_ns is None:
                case.due_ns = None
        self._send(case, final, note, detail or _nothing(self._span(case, final)[0]))

    def _close(self, case: Case) -> None:
        del self._cases[case.id]
        if self._open.get(case.name) is case:
            del self._open[case.name]

    def _send(self, case: Case, final: bool, note: str, found: Mapping[str, Any]) -> None:
        self._changed.add(case.name)
        detail = {**_head(case, final, note), **found}
        detail["complete"] = bool(final and not note and detail["complete"])
        event = Event(
            KIND, case.name, self._clock.time_ns(), self._clock.mono_ns(), case.config_version, detail
        )
        self.records += 1
        self._announce([event], self.changed())

    async def _room(self) -> bool:
        """False while the disk takes nothing: records must not pile up in memory with thousands of readings
        each."""
        if not self._waiting():
            self._stuck = False
            return True
        until_ns = self._clock.mono_ns() + (0 if self._stuck else round(PATIENCE_S * 1e9))
        while self._clock.mono_ns() < until_ns:
            await self._clock.sleep_until(self._clock.mono_ns() + _LOOK_NS)
            if not self._waiting():
                return True
        if not self._stuck:
            log.warning("evidence records go without readings: the disk takes no events")
        self._stuck = True
        return False

    def _span(self, case: Case, final: bool) -> tuple[Span, Span | None]:
        """What is read; a very long case in two parts, its begin and its end."""
        from_ns = case.raised_ns - case.on_delay_ns - self._before_ns
        longest_ns = case.raised_ns + self._longest_ns
        if not final or case.returned_ns is None:
            return Span(from_ns, max(min(longest_ns, self._clock.time_ns()), from_ns)), None
        to_ns = max(case.returned_ns, case.raised_ns) + self._after_ns
        last_ns = to_ns - self._after_ns - self._longest_ns
        if last_ns <= longest_ns:
            return Span(from_ns, to_ns), None
        return Span(from_ns, longest_ns), Span(last_ns, to_ns)

    async def _read(self, case: Case, final: bool) -> dict[str, Any]:
        first, second = self._span(case, final)
        found = await self._part(case, first)
        if second is None:
            return found
        left_out = {"from_ns": first.to_ns, "to_ns": second.from_ns}
        end = await self._part(case, second)
        return found | {"to_ns": second.to_ns, "complete": False, "left_out": left_out, "end": end}

    async def _part(self, case: Case, span: Span) -> dict[str, Any]:
        tags = {tag for tag in (case.source, case.target) if tag is not None}
        reported = case.source is not None and self._reported(case.source)
        reading = Reading(case, span, reported=reported)
        batches = self._history(None, None, reading.begin_ns, span.to_ns, tags=tags)
        async for batch in batches:
            reading.take(batch)
        account = reading.account
        account.close()
        skipped = int(getattr(batches, "skipped", 0))
        unreadable = bool(getattr(batches, "unreadable", False))
        return {
            "from_ns": span.from_ns,
            "to_ns": span.to_ns,
            "unit": reading.unit or case.facts.get("unit", ""),
            "quality": dict(account.counts),
            "statistics": account.figures(),
            "gaps": [{"from_ns": a, "to_ns": b} for a, b in account.gaps],
            "more_gaps": account.more_gaps,
            "segments_skipped": skipped,
            "disk_read": not unreadable,
            "series": reading.series(),
            "complete": not (reading.cut or skipped or unreadable),
        }


def _head(case: Case, final: bool, note: str) -> dict[str, Any]:
    facts = case.facts
    return {
        "alarm": case.name,
        **case.alarm,
        "case": case.id,
        "interim": not final,
        "note": note,
        "raised_ns": case.raised_ns,
        "returned_ns": case.returned_ns if final else None,
        "reason": case.reason if final else "",
        "again": [{"returned_ns": a, "raised_ns": b} for a, b in case.again],
        "acknowledged": list(case.acknowledged),
        "not_listed": case.uncounted,
        "device": None if case.source is None else case.source.device,
        "tag": None if case.source is None else case.source.tag,
        "target": facts.get("target"),
        "limits": facts.get("limits", []),
        "standards": facts.get("standards", []),
        "config_version": case.config_version,
    }


def _nothing(span: Span) -> dict[str, Any]:
    return {
        "from_ns": span.from_ns,
        "to_ns": span.to_ns,
        "quality": {},
        "statistics": None,
        "gaps": [],
        "series": {},
        "complete": False,
    }

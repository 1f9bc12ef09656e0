"""The audit events of the guard. A token is in none of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.config.process import TagRef
from edge_agent.control.excursion import Moment
from edge_agent.control.guard.refusal import Stage
from edge_agent.control.guard.repeats import Repeats
from edge_agent.control.guard.request import (
    ANNUNCIATION,
    HEARTBEAT,
    Audit,
    Permit,
    Refusal,
    WriteRequest,
    plain,
)
from edge_agent.model import Event, engineering
from edge_agent.settings import Text

SOURCE = "writes"
"""Source of the events that concern the agent as a whole."""


OUTCOMES = ("done", "reverted", "dry_run", "refused", "failed", "mismatch")


class Journal:
    """Makes events; ``recent`` are the last hundred. Heartbeats and outputs repeat themselves: of theirs only
    what differs from the last one is told. Of equal refusals the first is, then how many (``Repeats``).
    ``outcomes``, ``reasons``: how every request ended since the start, told or not; beats are not counted.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.recent: deque[Event] = deque(maxlen=100)
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.reasons: Counter[str] = Counter()  # of those refused
        self._chinese: dict[str, str] = {}  # of the sentences in ``recent``, by the English ones
        self._told: dict[tuple[TagRef, str], tuple[object, ...]] = {}
        self._repeats = Repeats()

    def whole(self, kind: str, at: Moment, source: str = SOURCE, **detail: Any) -> Audit:
        event = Event(kind, source, at.time_ns, at.mono_ns, self.version, detail)
        self.recent.append(event)
        return Audit((event,))

    def keep(self, text: Text) -> None:
        """Events tell it in English; people may read the last ones in Chinese as well."""
        self._chinese.pop(text.en, None)
        self._chinese[text.en] = text.zh
        while len(self._chinese) > 2 * (self.recent.maxlen or 0):
            del self._chinese[next(iter(self._chinese))]

    def chinese(self, sentence: str) -> str:
        """Of a sentence of one of the recent events; itself where nothing else is known."""
        return self._chinese.get(sentence, sentence)

    def refused(self, refusal: Refusal, at: Moment, permit: Permit | None = None) -> Audit:
        """One whose intent stands in the record is always told: an intent without an end would look as if the
        agent had been killed."""
        request = refusal.request
        if request.who != HEARTBEAT:
            self.outcomes["refused"] += 1
            self.reasons[str(refusal.reason)] += 1
        if not self._news(request, ("write_refused", refusal.reason)):
            return Audit()
        self.keep(refusal.text)
        passed = permit.stages if permit else stages_before(refusal.reason.stage, at)
        detail = (of_permit(permit) if permit else of_request(request)) | {
            "reason": str(refusal.reason),
            "stage": str(refusal.reason.stage),
            "text": refusal.text.en,
            "stages": _stages(passed),
        }
        if refusal.pending:
            detail["pending"] = refusal.pending
        if permit is not None or request.who in (ANNUNCIATION, HEARTBEAT):
            return self._refusals([detail], at)
        return self._refusals(self._repeats.hear(refusal, detail, at), at)

    def due(self, at: Moment) -> Audit:
        """How many refusals there were that were not told one by one."""
        return self._refusals(self._repeats.due(at), at)

    def _refusals(self, details: Iterable[Mapping[str, Any]], at: Moment) -> Audit:
        audit = Audit()
        for detail in details:
            audit += self.whole("write_refused", at, detail.get("tag", SOURCE), **detail)
        return audit

    def intent(self, permit: Permit, at: Moment) -> Audit:
        """Of a beat none: it is no statement about the process."""
        request = permit.request
        if request.who == HEARTBEAT or permit.dry_run:
            return Audit()
        if request.who == ANNUNCIATION and not self._news(request, (permit.raw,), "intent"):
            return Audit()
        return self.whole("write_intent", at, str(request.tag), **of_permit(permit))

    def ended(self, kind: str, permit: Permit, text: Text, at: Moment, **more: Any) -> Audit:
        if permit.request.who != HEARTBEAT:
            self.outcomes[kind.removeprefix("write_")] += 1
        key = (kind, more.get("reason"), None if permit.request.who == HEARTBEAT else permit.raw)
        if not self._news(permit.request, key):
            return Audit()
        self.keep(text)
        return self.whole(kind, at, str(permit.request.tag), **of_permit(permit), **more, text=text.en)

    def _news(self, request: WriteRequest, key: tuple[object, ...], about: str = "end") -> bool:
        if request.who not in (ANNUNCIATION, HEARTBEAT):
            return True
        if self._told.get((request.tag, about)) == key:
            return False
        self._told[request.tag, about] = key
        return True


def of_request(request: WriteRequest) -> dict[str, Any]:
    detail = {
        "tag": str(request.tag),
        "value": plain(request.value),
        "who": request.who,
        "user": request.user,
    }
    if request.comment:
        detail["comment"] = request.comment[:500]
    if request.dry_run:
        detail["dry_run"] = True
    return detail


def of_permit(permit: Permit) -> dict[str, Any]:
    writable, scaling = permit.writable, permit.tag.scaling
    detail = of_request(permit.request) | {
        "id": permit.id,
        "value": permit.value,
        "raw": permit.raw,
        "low": writable.low,
        "high": writable.high,
        "unit": permit.tag.unit,
        "expected": engineering(permit.expected, scaling),
        "before": engineering(permit.found, scaling),
        "stages": _stages(permit.stages),
    }
    if permit.dry_run:
        detail["dry_run"] = True
    if permit.armed_by:
        detail["armed_by"] = permit.armed_by
    if permit.approved_by:
        detail["approved_by"] = permit.approved_by
    return detail


_JUDGED = (Stage.AUTHORISE, Stage.MAP, Stage.VERIFY, Stage.ACCEPT)


def stages_before(stage: Stage, at: Moment) -> tuple[tuple[Stage, int], ...]:
    """Those a request passed that failed at ``stage``, while it was judged."""
    passed = _JUDGED[: _JUDGED.index(stage)] if stage in _JUDGED else _JUDGED
    return tuple((one, at.time_ns) for one in passed)


def _stages(passed: tuple[tuple[Stage, int], ...]) -> list[list[Any]]:
    return [[str(stage), time_ns] for stage, time_ns in passed]
